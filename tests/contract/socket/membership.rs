//! Every socket of a user is told of rooms that the user comes into and leaves (PROTOCOL.md section 3.4). On a synced
//! socket live delivery follows, and nothing of a room is delivered after `removed`.

use serde_json::{Value, json};

use crate::support::{Account, Db, Server, Socket, each_database, of_room};

async fn add(by: &Account, room: u64, who: &Account) -> u64 {
    let path = format!("/api/chat/rooms/{room}/members");
    let (status, member) = by.post(&path, json!({"user_id": who.id})).await;
    assert_eq!(status, 201, "{member}");
    member["rev"].as_u64().unwrap()
}

async fn remove(by: &Account, room: u64, who: &Account) {
    let path = format!("/api/chat/rooms/{room}/members/{}", who.id);
    let (status, problem) = by.delete(&path).await;
    assert_eq!(status, 204, "{problem}");
}

/// A socket that has sent `sync`: rooms that are added go live by themselves.
async fn synced(account: &Account) -> Socket {
    let mut socket = account.connect().await;
    let rooms = socket.ready["rooms"].as_array().unwrap().len();
    socket.send(json!({"type": "sync", "ref": "sync"})).await;
    for _ in 0..rooms.max(1) {
        let answer = socket.frame().await;
        assert_eq!(answer["ref"], "sync", "{answer}");
    }
    socket
}

async fn who_is_added_is_told_on_every_socket(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[]).await;
    let mut writer = ada.connect().await;
    writer.say(room, "before").await;

    let mut plain = bob.connect().await;
    let mut live = synced(&bob).await;
    let rev = add(&ada, room, &bob).await;
    for socket in [&mut plain, &mut live] {
        let added = socket.frame().await;
        assert_eq!(added["type"], "added", "{added}");
        let room_now = &added["room"];
        assert_eq!(
            (&room_now["id"], &room_now["rev"]),
            (&json!(room), &json!(rev))
        );
        assert_eq!(
            (&room_now["role"], &room_now["member_count"]),
            (&json!("member"), &json!(2))
        );
        // Joining sets the marker to the last message.
        assert_eq!(
            (&room_now["last_seq"], &room_now["last_read_seq"]),
            (&json!(1), &json!(1))
        );
    }
    let ack = writer.say(room, "after").await;
    let message = live.frame().await;
    assert_eq!(
        (&message["content"], &message["rev"]),
        (&json!("after"), &ack["rev"]),
        "{message}"
    );
    assert_eq!(
        plain.fence().await,
        [] as [Value; 0],
        "it has not asked for live delivery"
    );
    let (frames, _) = plain.join_from(room, rev).await;
    assert_eq!(frames.len(), 1, "from `added`: {frames:?}");
    writer.say(room, "for both").await;
    assert_eq!(plain.expect("message").await["content"], "for both");
    assert_eq!(live.expect("message").await["content"], "for both");
    // A later `sync` begins where `added` said.
    let mut late = bob.connect().await;
    remove(&ada, room, &bob).await;
    late.expect("removed").await;
    add(&ada, room, &bob).await;
    late.expect("added").await;
    writer.say(room, "once more").await;
    late.send(json!({"type": "sync", "ref": 1})).await;
    assert_eq!(late.frame().await["content"], "once more");
    assert_eq!(late.frame().await["type"], "synced");
}

async fn a_new_room_is_added_for_its_maker_and_its_members(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let mut sockets = [synced(&ada).await, ada.connect().await, synced(&bob).await];
    let room = ada.create_room("hall", &[&bob]).await;
    for socket in &mut sockets {
        let added = socket.expect("added").await;
        assert_eq!(
            (&added["room"]["id"], &added["room"]["rev"]),
            (&json!(room), &json!(3)),
            "{added}"
        );
    }
    let mut writer = ada.connect().await;
    writer.say(room, "hello").await;
    assert_eq!(sockets[0].expect("message").await["rev"], 4);
    assert_eq!(sockets[2].expect("message").await["rev"], 4);
    assert_eq!(sockets[1].fence().await, [] as [Value; 0]);
}

/// A change on one device shows on the user's others.
async fn joining_and_leaving_show_on_other_devices(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[]).await;
    let path = format!("/api/chat/rooms/{room}");
    let mut devices = [bob.connect().await, synced(&bob).await];
    let mut witness = ada.connect().await;
    witness.join(room).await;
    let mut rev = 2;
    for _ in 0..3 {
        let (status, _) = bob.act(&format!("{path}/join")).await;
        assert_eq!(status, 200);
        rev += 1;
        for device in &mut devices {
            assert_eq!(device.expect("added").await["room"]["rev"], rev);
        }
        let member = witness.frame().await;
        assert_eq!(
            (&member["type"], &member["rev"]),
            (&json!("member"), &json!(rev))
        );
        assert_eq!(
            (&member["role"], &member["member_count"]),
            (&json!("member"), &json!(2))
        );

        let (status, _) = bob.act(&format!("{path}/leave")).await;
        assert_eq!(status, 204);
        rev += 1;
        for device in &mut devices {
            // Once, also where it comes before the synced socket could follow the room.
            assert_eq!(
                device.frame().await,
                json!({"type": "removed", "room_id": room, "rev": rev})
            );
        }
        let member = witness.frame().await;
        assert_eq!(
            (&member["rev"], &member["role"]),
            (&json!(rev), &Value::Null)
        );
    }
    for device in &mut devices {
        assert_eq!(device.fence().await, [] as [Value; 0]);
    }
}

async fn nothing_follows_a_removal(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let carol = server.register("carol").await;
    let room = ada.create_room("hall", &[&bob, &carol]).await;
    let mut witness = carol.connect().await;
    witness.join(room).await;
    let mut live = bob.connect().await;
    live.join(room).await;
    let mut plain = bob.connect().await;
    let mut writer = ada.connect().await;
    writer.say(room, "before").await;
    remove(&ada, room, &bob).await;
    writer.say(room, "after").await;

    let message = live.frame().await;
    assert_eq!(
        (&message["content"], &message["rev"]),
        (&json!("before"), &json!(5))
    );
    for socket in [&mut live, &mut plain] {
        let removed = socket.frame().await;
        assert_eq!(
            removed,
            json!({"type": "removed", "room_id": room, "rev": 6})
        );
    }
    let member = witness.read_to(room, 6).await.pop().unwrap();
    assert_eq!(
        (&member["type"], &member["role"]),
        (&json!("member"), &Value::Null),
        "{member}"
    );
    assert_eq!(
        (&member["user"]["id"], &member["by"]),
        (&json!(bob.id), &json!(ada.id))
    );
    assert_eq!(member["member_count"], 2);
    assert!(member["at"].is_string(), "{member}");
    writer.say(room, "and on").await;
    witness.read_to(room, 8).await;
    for socket in [&mut live, &mut plain] {
        assert_eq!(socket.fence().await, [] as [Value; 0]);
        for request in [
            json!({"type": "join", "room_id": room}),
            json!({"type": "join", "room_id": room, "rev": 3}),
            json!({"type": "sync", "rooms": {room.to_string(): 3}}),
        ] {
            let (passed, answer) = socket.ask_through(request.clone()).await;
            assert_eq!(
                (&answer["type"], passed.len()),
                (&json!("removed"), 0),
                "{request}: {answer}"
            );
            assert!(answer.get("rev").is_none(), "{answer}");
        }
    }
    // Back again: the whole history is visible.
    let rev = add(&ada, room, &bob).await;
    let added = live.expect("added").await;
    assert_eq!(added["room"]["rev"], rev);
    let (frames, _) = live.join_from(room, 0).await;
    let texts: Vec<_> = frames
        .iter()
        .filter_map(|frame| frame["content"].as_str())
        .collect();
    assert_eq!(texts, ["before", "after", "and on"]);
    assert_eq!(
        of_room(&plain.fence().await, room).len(),
        1,
        "`added` alone"
    );
}

/// A membership that ends before a synced socket could follow the room, whatever ends it: its end is told once, by its `rev`.
async fn an_end_is_told_once(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let mut socket = synced(&bob).await;
    let hall = ada.create_room("hall", &[]).await;
    for round in 0..100 {
        let (room, end) = match round % 3 {
            0 => (ada.create_room("group", &[&bob]).await, 4),
            _ => {
                let rev = add(&ada, hall, &bob).await;
                (hall, rev + 1)
            }
        };
        let added = socket.frame().await;
        assert_eq!(
            (&added["type"], &added["room"]["rev"]),
            (&json!("added"), &json!(end - 1)),
            "{added}"
        );
        match round % 3 {
            0 => {
                let path = format!("/api/chat/rooms/{room}");
                assert_eq!(ada.delete(&path).await.0, 204);
            }
            1 => remove(&ada, room, &bob).await,
            _ => {
                let (status, _) = bob.act(&format!("/api/chat/rooms/{room}/leave")).await;
                assert_eq!(status, 204);
            }
        }
        let removed = json!({"type": "removed", "room_id": room, "rev": end});
        assert_eq!(socket.frame().await, removed, "{round}");
        assert_eq!(socket.fence().await, [] as [Value; 0], "{round}");
    }
}

/// Comings and goings faster than the connections can tell them: what holds in the end is told last.
async fn the_higher_rev_wins_when_things_change_fast(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[]).await;
    let mut sockets = [bob.connect().await, synced(&bob).await];
    for _ in 0..20 {
        add(&ada, room, &bob).await;
        remove(&ada, room, &bob).await;
    }
    let last = add(&ada, room, &bob).await;
    for socket in &mut sockets {
        let mut rev = 2;
        while rev < last {
            let frame = socket.frame().await;
            let now = match frame["type"].as_str().unwrap() {
                "added" => frame["room"]["rev"].as_u64().unwrap(),
                // Found by an older notice, when a newer membership that had been told of had ended, too.
                "removed" if frame.get("rev").is_none() => continue,
                "removed" => frame["rev"].as_u64().unwrap(),
                // A synced socket that follows what `added` gave may find in the log that it was renewed
                // meanwhile, and says so as any catch-up does: by the final state of the row.
                "member" => {
                    assert_eq!(frame["user"]["id"], bob.id, "{frame}");
                    assert!(
                        frame["prev"].is_u64() && frame.get("by").is_none(),
                        "{frame}"
                    );
                    continue;
                }
                // No other member comes or goes.
                other => panic!("{other}: {frame}"),
            };
            assert!(now > rev, "at {rev}: {frame}");
            rev = now;
            assert_eq!(frame["type"] == "added", rev % 2 == 1, "{frame}");
        }
    }
}

each_database!(
    who_is_added_is_told_on_every_socket,
    a_new_room_is_added_for_its_maker_and_its_members,
    joining_and_leaving_show_on_other_devices,
    nothing_follows_a_removal,
    an_end_is_told_once,
    the_higher_rev_wins_when_things_change_fast,
);

//! Every answer, ack, event and catch-up frame of a change to a message, with exactly its fields.

use serde_json::{Value, json};

use super::{next_of, plain, reaction};
use crate::support::{Db, Server, Socket, each_database};

/// What one change causes: the answers to its author, and the frames that a subscriber sees.
async fn by_socket(maker: &mut Socket, listener: &mut Socket, frame: Value) -> (Value, Value) {
    let room = frame["room_id"].as_u64().unwrap();
    let mut ack = maker.ask(frame).await;
    ack.as_object_mut().unwrap().remove("ref");
    (plain(&ack), plain(&next_of(listener, room).await))
}

async fn each_change_has_its_frames(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let path = format!("/api/chat/rooms/{room}/messages");
    let mut maker = ada.connect().await;
    let mut listener = bob.connect().await;
    listener.join(room).await;

    let (status, sent) = ada.post(&path, json!({"content": "hello @bob"})).await;
    let message = json!({
        "room_id": room, "seq": 1, "rev": 4, "id": "ID", "kind": "text", "content": "hello @bob",
        "sender": {"id": ada.id, "username": "ada"}, "created_at": "T", "mentions": [bob.id],
    });
    assert_eq!((status, plain(&sent)), (201, message.clone()));
    let mut event = message.clone();
    event["type"] = "message".into();
    assert_eq!(plain(&next_of(&mut listener, room).await), event);

    let ack = |rev: u64| json!({"type": "ack", "room_id": room, "seq": 1, "rev": rev});
    let update = |rev: u64, action: &str, what: Value| {
        let mut frame = json!({
            "type": "message_updated", "room_id": room, "seq": 1, "rev": rev,
            "by": {"user_id": ada.id, "action": action},
        });
        let what = what.as_object().unwrap().clone();
        frame.as_object_mut().unwrap().extend(what);
        frame
    };

    let frame = json!({"type": "edit", "room_id": room, "seq": 1, "content": "@all"});
    let (said, seen) = by_socket(&mut maker, &mut listener, frame).await;
    let what = json!({"content": "@all", "edited_at": "T", "mention_all": true});
    assert_eq!((said, seen), (ack(5), update(5, "edit", what)));

    let frame = json!({"type": "edit", "room_id": room, "seq": 1, "content": "nobody"});
    let (said, seen) = by_socket(&mut maker, &mut listener, frame).await;
    let what = json!({"content": "nobody", "edited_at": "T"});
    assert_eq!(
        (said, seen),
        (ack(6), update(6, "edit", what)),
        "mentions are left out: none"
    );

    let react =
        |on: bool| json!({"type": "react", "room_id": room, "seq": 1, "emoji": "👍", "on": on});
    let (said, seen) = by_socket(&mut maker, &mut listener, react(true)).await;
    let mut expected = update(
        7,
        "react",
        json!({"reactions": [{"emoji": "👍", "count": 1}]}),
    );
    expected["by"]["emoji"] = "👍".into();
    assert_eq!((said, seen), (ack(7), expected));
    let (status, answer) = reaction(&bob, true, room, 1, "👍").await;
    let mut now = message.clone();
    now.as_object_mut().unwrap().remove("mentions");
    now["content"] = "nobody".into();
    now["edited_at"] = "T".into();
    now["rev"] = 8.into();
    now["reactions"] =
        json!([{"emoji": "👍", "count": 2, "user_ids": [ada.id, bob.id], "me": true}]);
    assert_eq!((status, plain(&answer)), (200, now.clone()));
    let seen = next_of(&mut listener, room).await;
    assert_eq!(seen["reactions"], json!([{"emoji": "👍", "count": 2}]));

    let (status, answer) = ada.request("PUT", &format!("{path}/1/pin"), None).await;
    now["rev"] = 9.into();
    now["pinned_at"] = "T".into();
    assert_eq!((status, plain(&answer)), (200, now.clone()));
    let seen = plain(&next_of(&mut listener, room).await);
    assert_eq!(seen, update(9, "pin", json!({"pinned_at": "T"})));

    // Caught up: whole, with ids, without `me`, `by` and `at`.
    let (frames, _) = bob.connect().await.join_from(room, 3).await;
    let mut row = now.clone();
    row["type"] = "message".into();
    row["prev"] = 3.into();
    row["reactions"][0].as_object_mut().unwrap().remove("me");
    assert_eq!(frames.iter().map(plain).collect::<Vec<_>>(), [row]);

    let (status, answer) = ada.request("DELETE", &format!("{path}/1/pin"), None).await;
    now["rev"] = 10.into();
    now.as_object_mut().unwrap().remove("pinned_at");
    assert_eq!((status, plain(&answer)), (200, now.clone()));
    let seen = plain(&next_of(&mut listener, room).await);
    assert_eq!(seen, update(10, "unpin", json!({"pinned_at": null})));

    let (said, seen) = by_socket(&mut maker, &mut listener, react(false)).await;
    let mut expected = update(
        11,
        "unreact",
        json!({"reactions": [{"emoji": "👍", "count": 1}]}),
    );
    expected["by"]["emoji"] = "👍".into();
    assert_eq!((said, seen), (ack(11), expected));
    reaction(&bob, false, room, 1, "👍").await;
    let seen = next_of(&mut listener, room).await;
    assert_eq!(
        seen["reactions"],
        json!([{"emoji": "👍", "count": 0}]),
        "gone"
    );

    let frame = json!({"type": "delete", "room_id": room, "seq": 1});
    let (said, seen) = by_socket(&mut maker, &mut listener, frame).await;
    assert_eq!(
        (said, seen),
        (ack(13), update(13, "delete", json!({"deleted_at": "T"})))
    );
    let (_, page) = bob.get(&path).await;
    let left = json!({
        "room_id": room, "seq": 1, "rev": 13, "id": "ID", "kind": "text", "created_at": "T",
        "sender": {"id": ada.id, "username": "ada"}, "edited_at": "T", "deleted_at": "T",
    });
    assert_eq!(plain(&page["items"]), json!([left]));
    let (status, answer) = ada.delete(&format!("{path}/1")).await;
    assert_eq!(
        (status, plain(&answer)),
        (200, left),
        "again: the present state"
    );
    assert!(listener.fence().await.is_empty(), "which uses no rev");
}

async fn what_is_so_already_uses_no_rev(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let mut socket = ada.connect().await;
    socket.join(room).await;
    socket.say(room, "text").await;
    let path = format!("/api/chat/rooms/{room}/messages/1");
    let edit =
        |content: &str| json!({"type": "edit", "room_id": room, "seq": 1, "content": content});
    let react =
        |on: bool| json!({"type": "react", "room_id": room, "seq": 1, "emoji": "👍", "on": on});
    for method in ["PUT", "PUT", "DELETE", "DELETE"] {
        let (status, _) = ada.request(method, &format!("{path}/pin"), None).await;
        assert_eq!(status, 200);
    }
    let (_, before) = ada.get(&format!("/api/chat/rooms/{room}")).await;
    let rev = before["rev"].as_u64().unwrap();
    assert_eq!(rev, 5, "pinned and unpinned, once each");
    // The frame, and how many revs there are after it.
    let steps = [
        (edit("text"), 0),
        (edit("more"), 1),
        (edit("more"), 1),
        (react(false), 1),
        (react(true), 2),
        (react(true), 2),
        (react(false), 3),
        (react(false), 3),
        (json!({"type": "delete", "room_id": room, "seq": 1}), 4),
        (json!({"type": "delete", "room_id": room, "seq": 1}), 4),
        (react(false), 4),
    ];
    for (frame, more) in steps {
        let ack = socket.ask(frame.clone()).await;
        let answered = (&ack["type"], &ack["seq"], &ack["rev"]);
        assert_eq!(
            answered,
            (&json!("ack"), &json!(1), &json!(rev + more)),
            "{frame}: {ack}"
        );
    }
    let (_, now) = ada.get(&format!("/api/chat/rooms/{room}")).await;
    assert_eq!(now["rev"], rev + 4);
    let (status, left) = ada.request("DELETE", &format!("{path}/pin"), None).await;
    assert_eq!(
        (status, &left["rev"]),
        (200, &json!(rev + 4)),
        "there is no pin: {left}"
    );
}

/// PROTOCOL.md section 5.2: what travels of a change doesn't grow with the message, nor with those who reacted.
async fn live_changes_are_small(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let mut socket = ada.connect().await;
    socket.join(room).await;
    socket.say(room, &"𝄞".repeat(8_000)).await;
    for seq in 0..30 {
        let friend = server.register(&format!("friend{seq}")).await;
        friend.act(&format!("/api/chat/rooms/{room}/join")).await;
        reaction(&friend, true, room, 1, "👍").await;
        socket.expect("message_updated").await;
    }
    let family = "👩‍👩‍👧‍👦";
    let react = json!({"type": "react", "room_id": room, "seq": 1, "emoji": family, "on": true});
    socket.send(react).await;
    let frame = socket.expect("message_updated").await;
    assert_eq!(frame["by"]["emoji"], family);
    assert!(frame.to_string().len() < 300, "{frame}");
    for method in ["PUT", "DELETE"] {
        let path = format!("/api/chat/rooms/{room}/messages/1/pin");
        ada.request(method, &path, None).await;
        let frame = socket.expect("message_updated").await;
        assert!(frame.to_string().len() < 300, "{frame}");
    }
    ada.delete(&format!("/api/chat/rooms/{room}/messages/1"))
        .await;
    let frame = socket.expect("message_updated").await;
    assert!(frame.to_string().len() < 300, "{frame}");
}

each_database!(
    each_change_has_its_frames,
    what_is_so_already_uses_no_rev,
    live_changes_are_small,
);

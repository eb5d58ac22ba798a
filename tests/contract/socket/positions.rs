//! Catch-up of one room (PROTOCOL.md sections 3.1 and 3.2): what `join` brings from any position, and that live delivery
//! continues it without a gap.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Chain, Db, Server, each_database};

async fn join_without_a_rev_is_live_from_now(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let mut writer = ada.connect().await;
    writer.say(room, "one").await;
    writer.say(room, "two").await;

    let mut listener = bob.connect().await;
    let join = json!({"type": "join", "room_id": room});
    let (passed, synced) = listener.ask_through(join).await;
    assert_eq!(passed, [] as [Value; 0], "nothing is caught up with");
    assert_eq!(synced["type"], "synced");
    assert_eq!(
        (&synced["rev"], &synced["last_seq"]),
        (&json!(5), &json!(2))
    );
    assert_eq!(
        (&synced["last_read_seq"], &synced["unread_mentions"]),
        (&json!(0), &json!(0))
    );
    assert!(
        synced["prev"].as_u64().is_some_and(|prev| prev <= 5),
        "{synced}"
    );

    writer.say(room, "three").await;
    let message = listener.frame().await;
    assert_eq!(
        (&message["type"], &message["rev"]),
        (&json!("message"), &json!(6))
    );
    assert!(
        message.get("prev").is_none(),
        "one change needs no `prev`: {message}"
    );
}

async fn a_catch_up_brings_every_change_in_order(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let carol = server.register("carol").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let path = format!("/api/chat/rooms/{room}");
    let mut writer = ada.connect().await;
    // Settings at 1, ada at 2, bob at 3; then:
    writer.say(room, "four").await;
    carol.act(&format!("{path}/join")).await;
    writer.say(room, "six").await;
    carol.act(&format!("{path}/leave")).await;
    carol.act(&format!("{path}/join")).await;
    writer.say(room, "nine").await;

    // Carol's three changes are one row: 5 and 7 went into 8.
    let all = [
        ("room", 1),
        ("member", 2),
        ("member", 3),
        ("message", 4),
        ("message", 6),
        ("member", 8),
        ("message", 9),
    ];
    let mut socket = bob.connect().await;
    for from in 0..=9 {
        let (frames, synced) = socket.join_from(room, from).await;
        let seen: Vec<_> = frames
            .iter()
            .map(|frame| {
                (
                    frame["type"].as_str().unwrap(),
                    frame["rev"].as_u64().unwrap(),
                )
            })
            .collect();
        let expected: Vec<_> = all.into_iter().filter(|(_, rev)| *rev > from).collect();
        assert_eq!(seen, expected, "from {from}");
        let mut chain = Chain(from);
        chain.take_caught_up(&frames);
        chain.take(&synced);
        assert_eq!(
            (chain.0, &synced["last_seq"]),
            (9, &json!(3)),
            "from {from}"
        );
    }
    let (frames, _) = socket.join_from(room, 0).await;
    let settings = &frames[0]["room"];
    assert_eq!(
        (&frames[0]["room_id"], &settings["id"], &settings["name"]),
        (&json!(room), &json!(room), &json!("hall"))
    );
    assert_eq!(
        (&settings["member_count"], &settings["last_seq"]),
        (&json!(3), &json!(3))
    );
    assert!(
        settings.get("role").is_none() && settings.get("last_read_seq").is_none(),
        "{settings}"
    );
    let owner = &frames[1];
    assert_eq!(
        (&owner["user"]["username"], &owner["role"]),
        (&json!("ada"), &json!("owner"))
    );
    assert_eq!(owner["member_count"], 3);
    let message = &frames[3];
    assert_eq!(
        (&message["content"], &message["seq"]),
        (&json!("four"), &json!(1))
    );
    assert_eq!(
        (&message["sender"]["username"], &message["kind"]),
        (&json!("ada"), &json!("text"))
    );
    assert!(message.get("replay").is_none(), "{message}");
}

async fn who_left_and_stayed_away_is_told_with_role_null(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let mut listener = ada.connect().await;
    listener.join(room).await;
    let (status, _) = bob.act(&format!("/api/chat/rooms/{room}/leave")).await;
    assert_eq!(status, 204);

    let live = listener.expect("member").await;
    assert_eq!(
        (&live["rev"], &live["role"], &live["member_count"]),
        (&json!(4), &Value::Null, &json!(1))
    );
    assert_eq!(live["user"]["id"], bob.id);
    assert!(
        live.as_object().unwrap().contains_key("role"),
        "null, not left out: {live}"
    );
    let (frames, _) = listener.join_from(room, 2).await;
    assert_eq!(frames.len(), 1, "{frames:?}");
    assert_eq!(
        (&frames[0]["rev"], &frames[0]["role"]),
        (&json!(4), &Value::Null)
    );
    assert_eq!(frames[0]["user"]["id"], bob.id);
}

/// A page of the log holds 500 changed rows: from both sides of every page's end.
async fn pages_follow_on_each_other(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    ada.post_many(room, 1_103).await;
    let head = 1_105;
    let mut socket = ada.connect().await;
    for behind in [1_105, 1_104, 1_001, 1_000, 999, 501, 500, 499, 1, 0] {
        let from = head - behind;
        let (frames, synced) = socket.join_from(room, from).await;
        let revs: Vec<u64> = frames
            .iter()
            .map(|frame| frame["rev"].as_u64().unwrap())
            .collect();
        assert_eq!(revs, (from + 1..=head).collect::<Vec<_>>(), "from {from}");
        let mut chain = Chain(from);
        chain.take_caught_up(&frames);
        chain.take(&synced);
        assert_eq!((chain.0, &synced["last_seq"]), (head, &json!(1_103)));
    }
}

/// Listeners that join from anywhere while others write: each sees every change once, in order, whether
/// by catch-up or live.
async fn there_is_no_seam_between_catch_up_and_live(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    ada.post_many(room, 40).await;
    let last = 3 + 40 + 600;
    let writing = async {
        let posts = (0..4).map(|_| ada.post_many(room, 150));
        join_all(posts).await;
    };
    let listening = join_all((0..8).map(|listener: u64| {
        let bob = &bob;
        async move {
            let mut socket = bob.connect().await;
            let mut chain = Chain(listener * 5);
            while chain.0 < last {
                let (frames, synced) = socket.join_from(room, chain.0).await;
                // Live events of before a repeated join come first and follow on; then catch-up brings
                // some of them again, which a client ignores.
                for frame in &frames {
                    if frame["rev"].as_u64() > Some(chain.0) {
                        chain.take(frame);
                    }
                }
                chain.take(&synced);
                // Some live events, then join again, until the end.
                for _ in 0..10 + listener * 7 {
                    if chain.0 >= last {
                        break;
                    }
                    chain.take(&socket.frame().await);
                }
            }
            chain.0
        }
    }));
    let ((), reached) = tokio::join!(writing, listening);
    assert_eq!(reached, [last; 8]);
}

async fn a_foreign_epoch_or_an_impossible_rev_resets(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let mut writer = ada.connect().await;
    writer.say(room, "one").await;
    for (fields, reason) in [
        (json!({"rev": 2, "epoch": "another"}), "epoch"),
        (json!({"rev": 99}), "epoch"),
        (json!({"rev": 9_007_199_254_740_991u64}), "epoch"),
    ] {
        let mut socket = bob.connect().await;
        let mut join = json!({"type": "join", "room_id": room});
        join.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        let (passed, reset) = socket.ask_through(join.clone()).await;
        assert_eq!(passed, [] as [Value; 0], "{join}");
        assert_eq!(
            (&reset["type"], &reset["reason"]),
            (&json!("reset"), &json!(reason)),
            "{join}"
        );
        let head = reset["rev"].as_u64().unwrap();
        // Live from there, without another join.
        let ack = writer.say(room, "more").await;
        let message = socket.expect("message").await;
        assert_eq!(
            (&message["rev"], message["rev"].as_u64()),
            (&ack["rev"], Some(head + 1))
        );
    }
    // The right epoch is no reason.
    let mut socket = bob.connect().await;
    let join = json!({"type": "join", "room_id": room, "rev": 3, "epoch": socket.ready["epoch"]});
    let (passed, synced) = socket.ask_through(join).await;
    assert_eq!(
        (passed.len(), &synced["type"]),
        (4, &json!("synced")),
        "{passed:?}"
    );
}

async fn who_is_too_far_behind_is_reset(db: Db) {
    let mut server = Server::start(db).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    ada.connect().await.say(room, "one").await;
    assert!(server.stop().await.success());
    server
        .sql(&format!("UPDATE rooms SET rev = 100010 WHERE id = {room}"))
        .await;
    server
        .sql(&format!(
            "UPDATE room_members SET rev = 100010 WHERE room_id = {room}"
        ))
        .await;
    server.restart().await;

    let mut socket = ada.connect().await;
    let (frames, _) = socket.join_from(room, 10).await;
    assert_eq!(
        frames.len(),
        1,
        "100,000 changes are not too far: {frames:?}"
    );
    let reset = socket
        .ask(json!({"type": "join", "room_id": room, "rev": 9}))
        .await;
    assert_eq!(
        (&reset["type"], &reset["reason"], &reset["rev"]),
        (&json!("reset"), &json!("too_far"), &json!(100_010))
    );
    let ack = socket.say(room, "two").await;
    assert_eq!(ack["rev"], 100_011);
    let (frames, _) = socket.join_from(room, 100_010).await;
    assert_eq!(frames.last().unwrap()["content"], "two");
}

async fn leave_ends_live_delivery_and_join_goes_on(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let mut witness = ada.connect().await;
    witness.join(room).await;
    let mut listener = bob.connect().await;
    listener.join(room).await;
    let (passed, ()) = tokio::join!(
        async {
            listener.read_to(room, 20).await;
            let leave = json!({"type": "leave", "room_id": room});
            let (passed, ack) = listener.ask_through(leave).await;
            assert_eq!(
                (&ack["type"], &ack["room_id"]),
                (&json!("ack"), &json!(room))
            );
            passed
        },
        ada.post_many(room, 200),
    );
    // All 200 and one more have been delivered to the witness, so the room's task has delivered the 200 to every subscriber.
    ada.post_many(room, 1).await;
    witness.read_to(room, 204).await;
    assert_eq!(
        listener.fence().await,
        [] as [Value; 0],
        "nothing follows the ack of `leave`"
    );

    let at = passed
        .last()
        .map_or(20, |frame| frame["rev"].as_u64().unwrap());
    let (frames, synced) = listener.join_from(room, at).await;
    let mut chain = Chain(at);
    chain.take_caught_up(&frames);
    chain.take(&synced);
    assert_eq!(chain.0, 204);
    // To leave what isn't live is no mistake.
    for room in [room, room, 999] {
        let ack = listener
            .ask(json!({"type": "leave", "room_id": room}))
            .await;
        assert_eq!(ack["type"], "ack", "{ack}");
    }
}

each_database!(
    join_without_a_rev_is_live_from_now,
    a_catch_up_brings_every_change_in_order,
    who_left_and_stayed_away_is_told_with_role_null,
    pages_follow_on_each_other,
    there_is_no_seam_between_catch_up_and_live,
    a_foreign_epoch_or_an_impossible_rev_resets,
    who_is_too_far_behind_is_reset,
    leave_ends_live_delivery_and_join_goes_on,
);

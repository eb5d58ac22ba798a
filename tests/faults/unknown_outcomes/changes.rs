//! Unknown outcomes of changes without an id of their own: edits, deletions, reactions, pins, roles, settings and markers
//! are asked for again, and come to the same.

use serde_json::{Value, json};

use super::{House, ask, assert_open, expect_soon, listener};
use crate::support::{Account, Fault, Socket, Tables, of_room, timeout};

const FAULTS: [Fault; 2] = [Fault::LoseAnswer, Fault::LoseCommit];

/// The next frame of the room, whatever it is.
async fn told(socket: &mut Socket, room: u64) -> Value {
    let reading = async {
        loop {
            let frame = socket.frame().await;
            if frame["type"] != "read" && !of_room(std::slice::from_ref(&frame), room).is_empty() {
                return frame;
            }
        }
    };
    let told = timeout(super::SOON, reading).await;
    told.expect("it is told by itself")
}

/// The room's rows, each right by itself.
async fn rev(house: &House) -> u64 {
    let rooms = Tables::MariaDb(house.schema.url.clone()).read().await;
    rooms[&house.room].check(house.room);
    rooms[&house.room].rev
}

/// An edit, a reaction, its end, and a deletion: each repeated until it is acknowledged, and done once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_done_to_a_message_is_done_once_when_it_is_asked_for_again() {
    let house = House::new().await;
    let mut listening = listener(&house.bob).await;
    for fault in FAULTS {
        let mut a = house.ada.connect().await;
        let seq = a.say(house.room, "first").await["seq"].clone();
        expect_soon(&mut listening, "message").await;
        let of = |kind: &str, more: Value| {
            let mut frame = json!({"type": kind, "room_id": house.room, "seq": seq, "ref": kind});
            let more = more.as_object().unwrap().clone();
            frame.as_object_mut().unwrap().extend(more);
            frame
        };
        for frame in [
            of("edit", json!({"content": "second @cyd"})),
            of("react", json!({"emoji": "👍", "on": true})),
            of("react", json!({"emoji": "👍", "on": false})),
            of("react", json!({"emoji": "🎉", "on": true})),
            of("delete", json!({})),
        ] {
            let before = rev(&house).await;
            house.proxy.at_next_commit(fault);
            assert_open(&ask(&mut a, frame.clone()).await);
            let committed = house.proxy.struck().await;
            if committed {
                // Read from the log: the whole row.
                let row = told(&mut listening, house.room).await;
                assert_eq!(
                    (&row["type"], &row["rev"]),
                    (&json!("message"), &json!(before + 1))
                );
            }
            for _ in 0..2 {
                let ack = ask(&mut a, frame.clone()).await;
                assert_eq!(
                    (&ack["type"], &ack["seq"], &ack["rev"]),
                    (&json!("ack"), &seq, &json!(before + 1)),
                    "{fault:?}, {frame}: {ack}"
                );
            }
            if !committed {
                let change = told(&mut listening, house.room).await;
                assert_eq!(
                    (&change["type"], &change["rev"]),
                    (&json!("message_updated"), &json!(before + 1))
                );
            }
            assert_eq!(rev(&house).await, before + 1, "{fault:?}, {frame}");
        }
        let path = format!("/api/chat/rooms/{}/messages?limit=1", house.room);
        let (_, page) = house.bob.get(&path).await;
        let left = &page["items"][0];
        assert_eq!(
            (
                &left["content"],
                &left["reactions"],
                left["deleted_at"].is_string()
            ),
            (&Value::Null, &Value::Null, true),
            "{left}"
        );
    }
}

/// By REST: 503, then what was asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pins_roles_and_settings_are_changed_once_when_they_are_asked_for_again() {
    let house = House::new().await;
    let mut listening = listener(&house.bob).await;
    house.ada.connect().await.say(house.room, "first").await;
    expect_soon(&mut listening, "message").await;
    let path = format!("/api/chat/rooms/{}", house.room);
    let pin = format!("{path}/messages/1/pin");
    let cyd = format!("{path}/members/{}", house.cyd.id);
    for (round, fault) in FAULTS.into_iter().enumerate() {
        for (method, path, body, field, value) in [
            ("PUT", &pin, Value::Null, "", Value::Null),
            ("DELETE", &pin, Value::Null, "pinned_at", Value::Null),
            (
                "PATCH",
                &cyd,
                json!({"role": "admin"}),
                "role",
                json!("admin"),
            ),
            (
                "PATCH",
                &cyd,
                json!({"role": "member"}),
                "role",
                json!("member"),
            ),
            (
                "PATCH",
                &path,
                json!({"name": format!("hall {round}")}),
                "name",
                json!(format!("hall {round}")),
            ),
            ("PATCH", &path, json!({"archived": true}), "", Value::Null),
            (
                "PATCH",
                &path,
                json!({"archived": false}),
                "archived_at",
                Value::Null,
            ),
        ] {
            let body = Some(&body).filter(|body| !body.is_null());
            let before = rev(&house).await;
            house.proxy.at_next_commit(fault);
            let (status, problem) = house.ada.request(method, path, body).await;
            assert_eq!(status, 503, "{problem}");
            let committed = house.proxy.struck().await;
            if committed {
                assert_eq!(told(&mut listening, house.room).await["rev"], before + 1);
            }
            for _ in 0..2 {
                let (status, now) = house.ada.request(method, path, body).await;
                assert_eq!(
                    (status, &now[field], &now["rev"]),
                    (200, &value, &json!(before + 1)),
                    "{fault:?}, {method} {path}: {now}"
                );
            }
            if !committed {
                assert_eq!(told(&mut listening, house.room).await["rev"], before + 1);
            }
            assert_eq!(rev(&house).await, before + 1, "{fault:?}, {method} {path}");
        }
    }
}

/// Two rows change when a room is handed over: both or none. Whoever did it can't do it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_is_handed_over_once() {
    let house = House::new().await;
    let mut listening = listener(&house.bob).await;
    let hand_over = async |from: &Account, to: &Account| {
        let path = format!("/api/chat/rooms/{}/members/{}", house.room, to.id);
        from.request("PATCH", &path, Some(&json!({"role": "owner"})))
            .await
    };
    for (fault, from, to) in [
        (FAULTS[0], &house.ada, &house.cyd),
        (FAULTS[1], &house.cyd, &house.ada),
    ] {
        let before = rev(&house).await;
        house.proxy.at_next_commit(fault);
        assert_eq!(hand_over(from, to).await.0, 503);
        let again = if house.proxy.struck().await { 403 } else { 200 };
        let (status, answer) = hand_over(from, to).await;
        assert_eq!(status, again, "{fault:?}: {answer}");
        for (rev, person, role) in [(before + 1, to, "owner"), (before + 2, from, "admin")] {
            let member = told(&mut listening, house.room).await;
            assert_eq!(
                (&member["rev"], &member["user"]["id"], &member["role"]),
                (&json!(rev), &json!(person.id), &json!(role))
            );
        }
        assert_eq!(rev(&house).await, before + 2);
    }
}

/// A marker has no `rev` by which the log would show it: the repetition tells it to all sockets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_marker_is_raised_and_told_when_it_is_asked_for_again() {
    let house = House::new().await;
    let mut a = house.ada.connect().await;
    let mut other = house.bob.connect().await;
    let mut b = house.bob.connect().await;
    for (round, fault) in (1..).zip(FAULTS) {
        a.say(house.room, "hello @bob").await;
        let before = rev(&house).await;
        let read = json!({"type": "read", "room_id": house.room, "seq": round, "ref": round});
        house.proxy.at_next_commit(fault);
        assert_open(&ask(&mut b, read.clone()).await);
        house.proxy.struck().await;
        let ack = ask(&mut b, read).await;
        assert_eq!(
            (&ack["last_read_seq"], &ack["unread_mentions"]),
            (&json!(round), &json!(0)),
            "{fault:?}: {ack}"
        );
        let told = expect_soon(&mut other, "read").await;
        assert_eq!(
            (&told["user_id"], &told["seq"], &told["unread_mentions"]),
            (&json!(house.bob.id), &json!(round), &json!(0)),
            "{fault:?}: {told}"
        );
        assert_eq!(rev(&house).await, before, "a marker takes no rev");
    }
}

//! A deleted message is not unread, whoever deleted it, and whether the reader was connected or not. The room, `ready`,
//! `synced`, `read` and its answers agree on it, and a room's last message is one that is not deleted.

use serde_json::{Value, json};

use super::next_of;
use crate::support::{Account, Db, Server, Socket, each_database};

async fn delete(by: &Account, room: u64, seqs: impl IntoIterator<Item = u64>) {
    for seq in seqs {
        let path = format!("/api/chat/rooms/{room}/messages/{seq}");
        let (status, answer) = by.delete(&path).await;
        assert_eq!(status, 200, "{answer}");
    }
}

/// Says these texts; answers the first one's seq.
async fn say(by: &Account, room: u64, texts: &[&str]) -> u64 {
    let mut socket = by.connect().await;
    let mut seqs = Vec::new();
    for text in texts {
        seqs.push(socket.say(room, text).await["seq"].as_u64().unwrap());
    }
    seqs[0]
}

/// All that a member is told of a room on connecting: `unread` and `deleted` are the same everywhere.
async fn told(member: &Account, room: u64) -> (Value, Value) {
    let mut socket = member.connect().await;
    let rooms = socket.ready["rooms"].as_array().unwrap().iter();
    let ready = rooms.clone().find(|of| of["id"] == room).unwrap().clone();
    let synced = socket.join(room).await;
    let mut of_room = member.open(&format!("/ws/{room}")).await;
    let of_room = of_room.expect("synced").await;
    let (_, shown) = member.get(&format!("/api/chat/rooms/{room}")).await;
    let path = format!("/api/chat/rooms?scope=mine&cursor={}", room - 1);
    let (_, list) = member.get(&path).await;
    for other in [&ready, &synced, &of_room, &list["items"][0]] {
        for field in ["unread", "deleted", "unread_mentions", "mentioned"] {
            assert_eq!(other[field], shown[field], "{field} of {other}");
        }
    }
    assert_eq!(ready["last_message"], shown["last_message"], "{ready}");
    assert_eq!(list["items"][0]["last_message"], shown["last_message"]);
    (shown["unread"].clone(), shown["deleted"].clone())
}

/// The last message's seq and text, as a list of rooms shows them.
async fn last(member: &Account, room: u64) -> Option<(u64, String)> {
    let (_, shown) = member.get(&format!("/api/chat/rooms/{room}")).await;
    let last = shown.get("last_message")?;
    Some((
        last["seq"].as_u64().unwrap(),
        last["snippet"].as_str().unwrap().to_owned(),
    ))
}

async fn three_that_were_sent_and_deleted_leave_nothing(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    say(&ada, room, &["secret", "secret @bob", "secret"]).await;
    assert_eq!(told(&bob, room).await, (json!(3), json!([])));
    delete(&ada, room, 1..=3).await;
    assert_eq!(told(&bob, room).await, (json!(0), json!([1, 2, 3])));
    assert_eq!(last(&bob, room).await, None);
    let (_, shown) = bob.get(&format!("/api/chat/rooms/{room}")).await;
    assert!(!shown.to_string().contains("secret"), "{shown}");
    assert_eq!(
        (&shown["last_seq"], &shown["last_read_seq"]),
        (&json!(3), &json!(0)),
        "the numbers stay"
    );
    // A message that comes afterwards counts, and is the last one.
    say(&ada, room, &["here"]).await;
    assert_eq!(told(&bob, room).await, (json!(1), json!([1, 2, 3])));
    assert_eq!(last(&bob, room).await, Some((4, "here".into())));
}

async fn whatever_is_deleted_is_not_unread(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let cleo = server.register("cleo").await;
    let room = ada.create_room("hall", &[&bob, &cleo]).await;
    let path = format!("/api/chat/rooms/{room}");
    say(&ada, room, &["1", "2", "3", "4", "5", "6"]).await;
    // Edited first.
    let body = json!({"content": "edited @bob"});
    let (status, _) = ada
        .request("PATCH", &format!("{path}/messages/2"), Some(&body))
        .await;
    assert_eq!(status, 200);
    delete(&ada, room, [2, 2]).await;
    assert_eq!(told(&bob, room).await, (json!(5), json!([2])));
    // By an admin, of another's.
    let (status, _) = ada
        .request(
            "PATCH",
            &format!("{path}/members/{}", cleo.id),
            Some(&json!({"role": "admin"})),
        )
        .await;
    assert_eq!(status, 200);
    delete(&cleo, room, [6]).await;
    assert_eq!(told(&bob, room).await, (json!(4), json!([2, 6])));
    assert_eq!(last(&bob, room).await, Some((5, "5".into())));
    // Deleting a message that was read changes no count.
    let (_, answer) = bob.post(&format!("{path}/read"), json!({"seq": 3})).await;
    assert_eq!(
        answer,
        json!({"last_read_seq": 3, "last_seq": 6, "unread": 2, "unread_mentions": 0})
    );
    delete(&ada, room, [1, 3]).await;
    assert_eq!(told(&bob, room).await, (json!(2), json!([6])));
    // A member who comes back has read all, and a deletion changes nothing then.
    assert_eq!(bob.post(&format!("{path}/leave"), json!({})).await.0, 204);
    assert_eq!(bob.post(&format!("{path}/join"), json!({})).await.0, 200);
    delete(&ada, room, [4]).await;
    assert_eq!(told(&bob, room).await, (json!(0), json!([])));
    assert_eq!(last(&bob, room).await, Some((5, "5".into())));
    // My own never counted.
    let own = say(&bob, room, &["mine"]).await;
    delete(&bob, room, [own]).await;
    assert_eq!(told(&bob, room).await, (json!(0), json!([])));
    assert_eq!(told(&ada, room).await, (json!(0), json!([7])));
    assert_eq!(last(&ada, room).await, Some((5, "5".into())));
}

/// In a direct room, of who is away, then reads on two devices.
async fn two_devices_read_what_is_left(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let (_, direct) = ada
        .post("/api/chat/direct", json!({"user_id": bob.id}))
        .await;
    let room = direct["id"].as_u64().unwrap();
    let mut plain = bob.connect().await;
    let mut live = bob.connect().await;
    live.join(room).await;
    say(&ada, room, &["1", "2 @bob", "3", "4", "5"]).await;
    delete(&ada, room, [2, 4]).await;
    assert_eq!(told(&bob, room).await, (json!(3), json!([2, 4])));
    let (_, synced) = bob.connect().await.join_from(room, 0).await;
    assert_eq!(
        (&synced["unread"], &synced["deleted"]),
        (&json!(3), &json!([2, 4]))
    );
    for (seq, left) in [(1, 2), (2, 2), (3, 1), (4, 1), (5, 0), (5, 0)] {
        let asked = json!({"type": "read", "room_id": room, "seq": seq});
        let (mut seen, ack) = live.ask_through(asked).await;
        assert_eq!(
            (&ack["last_read_seq"], &ack["unread"]),
            (&json!(seq), &json!(left))
        );
        seen.retain(|frame| frame["type"] == "read");
        if seen.is_empty() {
            seen.push(live.expect("read").await);
        }
        let expected = json!({"type": "read", "room_id": room, "user_id": bob.id, "seq": seq,
            "last_seq": 5, "unread": left, "unread_mentions": 0});
        assert_eq!(seen, std::slice::from_ref(&expected));
        assert_eq!(next_of(&mut plain, room).await, expected);
    }
    delete(&ada, room, [5]).await;
    assert_eq!(told(&bob, room).await, (json!(0), json!([])));
    assert_eq!(last(&bob, room).await, Some((3, "3".into())));
}

/// The newest hundred are told by seq, all are counted; and a last message is looked for among as many.
async fn more_than_a_hundred_are_counted(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    ada.post_many(room, 107).await;
    delete(&ada, room, (2..=105).rev()).await;
    let newest: Vec<u64> = (6..=105).collect();
    assert_eq!(told(&bob, room).await, (json!(3), json!(newest)));
    delete(&ada, room, [107]).await;
    assert_eq!(last(&bob, room).await.map(|(seq, _)| seq), Some(106));
    delete(&ada, room, [106]).await;
    let newest: Vec<u64> = (8..=107).collect();
    assert_eq!(told(&bob, room).await, (json!(1), json!(newest)));
    assert_eq!(last(&bob, room).await, None, "the first is too far back");
    let mut socket: Socket = bob.connect().await;
    let read = json!({"type": "read", "room_id": room, "seq": 3});
    assert_eq!(socket.ask(read).await["unread"], 0);
    assert_eq!(told(&bob, room).await, (json!(0), json!(newest)));
    say(&ada, room, &["more"]).await;
    assert_eq!(last(&bob, room).await, Some((108, "more".into())));
    assert_eq!(told(&bob, room).await, (json!(1), json!(newest)));
}

each_database!(
    three_that_were_sent_and_deleted_leave_nothing,
    whatever_is_deleted_is_not_unread,
    two_devices_read_what_is_left,
    more_than_a_hundred_are_counted,
);

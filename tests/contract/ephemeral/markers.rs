//! Others' read markers: told in small rooms, joined into few frames, and only where the room is live.

use serde_json::{Value, json};

use super::presence::connect;
use crate::support::{Account, Db, Moment, Server, each_database};

async fn read(account: &Account, room: u64, seq: u64) {
    let path = format!("/api/chat/rooms/{room}/read");
    let (status, answer) = account.post(&path, json!({"seq": seq})).await;
    assert_eq!(
        (status, &answer["last_read_seq"]),
        (200, &json!(seq)),
        "{answer}"
    );
}

/// The markers of others among frames.
fn others(frames: &[Value]) -> Vec<(u64, u64)> {
    let others = frames
        .iter()
        .filter(|frame| frame["type"] == "read" && frame.get("unread_mentions").is_none());
    others
        .map(|frame| {
            (
                frame["user_id"].as_u64().unwrap(),
                frame["seq"].as_u64().unwrap(),
            )
        })
        .collect()
}

async fn markers_of_others_come_joined(db: Db) {
    let server = Server::start(db).await;
    let [ada, bob] = [server.register("ada").await, server.register("bob").await];
    let carol = server.register("carol").await;
    let room = ada.create_room("hall", &[&bob, &carol]).await;
    ada.post_many(room, 40).await;
    let mut witness = connect(&ada).await;
    let mut bobs = connect(&bob).await;
    let mut carols = connect(&carol).await;
    for socket in [&mut witness, &mut bobs, &mut carols] {
        socket.join(room).await;
    }
    let mut quiet = connect(&ada).await;
    let began = Moment::now();
    for seq in 1..=40 {
        read(&bob, room, seq).await;
        read(&carol, room, 40).await;
    }
    let mut told = Vec::new();
    while !(told.contains(&(bob.id, 40)) && told.contains(&(carol.id, 40))) {
        let frame = witness.expect("read").await;
        assert_eq!(frame.as_object().unwrap().len(), 4, "{frame}");
        told.extend(others(&[frame]));
    }
    assert!(told.iter().filter(|(id, _)| *id == bob.id).is_sorted());
    // One for each of them in half a second, and not one for each message.
    let most = began.elapsed().as_millis() as usize / 500 + 2;
    for user in [bob.id, carol.id] {
        let count = told.iter().filter(|(id, _)| *id == user).count();
        assert!(count <= most, "{count} of {most}: {told:?}");
    }
    // Nobody is told of themselves as of another.
    for (socket, other) in [(&mut bobs, &carol), (&mut carols, &bob)] {
        let mut told = Vec::new();
        while told.last() != Some(&(other.id, 40)) {
            told.extend(others(&[socket.expect("read").await]));
        }
        assert!(told.iter().all(|(id, _)| *id == other.id), "{told:?}");
    }
    assert_eq!(others(&quiet.fence().await), [], "it isn't live there");
}

each_database!(markers_of_others_come_joined);

/// With 101 members nobody is told of others' markers; with 100 again all are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn above_a_hundred_members_markers_are_ones_own() {
    let server = Server::start(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let mut guests: Vec<Account> = Vec::new();
    for number in 0..100 {
        guests.push(server.register(&format!("guest{number}")).await);
    }
    let members: Vec<&Account> = guests.iter().collect();
    let room = ada.create_room("hall", &members).await;
    ada.post_many(room, 3).await;
    let mut witness = connect(&ada).await;
    witness.join(room).await;
    read(&guests[0], room, 1).await;
    assert_eq!(
        guests[99]
            .act(&format!("/api/chat/rooms/{room}/leave"))
            .await
            .0,
        204
    );
    // Were both told, then in this order.
    read(&guests[1], room, 3).await;
    let frame = witness.expect("read").await;
    assert_eq!(others(&[frame]), [(guests[1].id, 3)]);
    assert_eq!(others(&witness.fence().await), []);
}

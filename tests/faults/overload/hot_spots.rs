//! Everyone changes the same thing at the same moment: how many frames and bytes each subscriber's socket carries.

use futures_util::{StreamExt, future::join_all, stream};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{Account, Chain, Db, PATIENCE, Raw, Server, each_database};

const PEOPLE: usize = 1_000;
const LISTENERS: usize = 20;
/// Requests on their way at once.
const AT_ONCE: usize = 200;

async fn people(server: &Server, count: usize) -> Vec<Account> {
    let registered = stream::iter(0..count)
        .map(|number| async move { server.register(&format!("person{number}")).await });
    registered.buffer_unordered(16).collect().await
}

/// What a subscriber's socket carried.
#[derive(Clone, Copy, Debug)]
struct Carried {
    frames: usize,
    bytes: usize,
}

/// A live socket of the room, from this `rev` on.
async fn listen(server: &Server, account: &Account, room: u64) -> (Raw, u64) {
    let mut raw = Raw::socket(server, account).await;
    raw.json().await;
    raw.text(&json!({"type": "join", "room_id": room}).to_string())
        .await;
    let mut synced = raw.json().await;
    while synced["type"] != "synced" {
        synced = raw.json().await;
    }
    (raw, synced["rev"].as_u64().unwrap())
}

/// Follows the room to this `rev`, without a gap, and hands over each frame.
async fn follow(raw: &mut Raw, from: u64, to: u64, mut take: impl FnMut(&Value)) -> Carried {
    let mut chain = Chain(from);
    let mut carried = Carried {
        frames: 0,
        bytes: 0,
    };
    while chain.0 < to {
        let (_, text) = raw
            .next_frame(PATIENCE)
            .await
            .expect("the connection lives");
        let frame: Value = serde_json::from_slice(&text).unwrap();
        if frame["rev"].is_null() {
            // Presence, which is ephemeral.
            continue;
        }
        chain.take(&frame);
        take(&frame);
        carried.frames += 1;
        carried.bytes += text.len() + if text.len() < 126 { 2 } else { 4 };
    }
    carried
}

fn print(what: &str, db: Db, all: &[Carried]) -> Carried {
    let most = |of: fn(&Carried) -> usize| all.iter().map(of).max().unwrap();
    let most = Carried {
        frames: most(|one| one.frames),
        bytes: most(|one| one.bytes),
    };
    println!(
        "{what} on {db:?}: at most {} frames and {} bytes for a listener",
        most.frames, most.bytes
    );
    most
}

async fn a_thousand_react_to_one_message(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let path = format!("/api/chat/rooms/{room}");
    let people = people(&server, PEOPLE).await;
    let (join, members) = (&format!("{path}/join"), &people);
    let joining = stream::iter(members).map(|person| async move { person.act(join).await.0 });
    let joined: Vec<u16> = joining.buffer_unordered(AT_ONCE).collect().await;
    assert!(joined.iter().all(|status| *status == 200));
    ada.connect().await.say(room, &"𝄞".repeat(8_000)).await;
    let mut listeners = Vec::new();
    for person in &people[..LISTENERS] {
        listeners.push(listen(&server, person, room).await);
    }
    let from = listeners[0].1;
    let target = from + PEOPLE as u64;
    let (path, emoji) = (&path, ["%F0%9F%91%8D", "%F0%9F%8E%89", "x"]);
    let mut reacting = Vec::new();
    for _ in members {
        reacting.push(Raw::connect(server.address()).await);
    }
    // All wait for the server when it goes on: how many are joined doesn't depend on how fast they come.
    server.signal(Signal::SIGSTOP);
    for (number, (person, raw)) in members.iter().zip(&mut reacting).enumerate() {
        let request = format!(
            "PUT {path}/messages/1/reactions/{} HTTP/1.1\r\nHost: hearth\r\nAuthorization: Bearer {}\r\n\r\n",
            emoji[number % 3],
            person.token
        );
        raw.write(request.as_bytes()).await;
    }
    server.signal(Signal::SIGCONT);
    let reacting = join_all(members.iter().zip(&mut reacting).enumerate().map(
        |(number, (person, raw))| async move {
            let mut status = raw.answer().await.0;
            // On a busy machine some wait longer than an append may, and ask again as clients do.
            while status == 503 {
                let path = format!("{path}/messages/1/reactions/{}", emoji[number % 3]);
                status = person.request("PUT", &path, None).await.0;
            }
            status
        },
    ));
    let listening = join_all(listeners.iter_mut().map(|(raw, from)| async move {
        let mut counts = std::collections::BTreeMap::new();
        let carried = follow(raw, *from, target, |frame| {
            assert_eq!(
                (&frame["type"], &frame["seq"]),
                (&json!("message_updated"), &json!(1))
            );
            for reaction in frame["reactions"].as_array().unwrap() {
                let emoji = reaction["emoji"].as_str().unwrap().to_owned();
                counts.insert(emoji, reaction["count"].as_u64().unwrap());
            }
            assert_eq!(
                frame.get("by").is_none(),
                frame["prev"].is_u64(),
                "joined: {frame}"
            );
        });
        (carried.await, counts)
    }));
    let (statuses, heard) = tokio::join!(reacting, listening);
    assert!(statuses.iter().all(|status| *status == 200));
    for (_, counts) in &heard {
        let counts: Vec<_> = counts
            .iter()
            .map(|(emoji, count)| (emoji.as_str(), *count))
            .collect();
        assert_eq!(counts, [("x", 333), ("🎉", 333), ("👍", 334)]);
    }
    let carried: Vec<Carried> = heard.iter().map(|(carried, _)| *carried).collect();
    let most = print(
        "1,000 reactions to one message of 32,000 bytes",
        db,
        &carried,
    );
    assert!(most.frames <= PEOPLE / 4, "they are joined: {most:?}");
    assert!(most.bytes <= 100 * PEOPLE, "{most:?}");
    let (_, page) = ada.get(&format!("{path}/messages")).await;
    assert_eq!(page["items"][0]["rev"], target);
}

async fn five_hundred_are_added(db: Db) {
    const ADDED: usize = 500;
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let people = people(&server, LISTENERS + ADDED).await;
    let (members, added) = people.split_at(LISTENERS);
    let room = ada
        .create_room("hall", &members.iter().collect::<Vec<_>>())
        .await;
    let mut listeners = Vec::new();
    for person in members {
        listeners.push(listen(&server, person, room).await);
    }
    let target = listeners[0].1 + ADDED as u64;
    let (path, ada) = (&format!("/api/chat/rooms/{room}/members"), &ada);
    let adding = stream::iter(added)
        .map(|person| async move { ada.post(path, json!({"user_id": person.id})).await.0 });
    let adding = adding.buffer_unordered(AT_ONCE).collect::<Vec<u16>>();
    let listening = join_all(listeners.iter_mut().map(|(raw, from)| async move {
        let mut count = 0;
        let carried = follow(raw, *from, target, |frame| {
            count = frame["member_count"].as_u64().unwrap()
        });
        (carried.await, count)
    }));
    let (statuses, heard) = tokio::join!(adding, listening);
    assert!(statuses.iter().all(|status| *status == 201));
    assert!(
        heard
            .iter()
            .all(|(_, count)| *count == (1 + LISTENERS + ADDED) as u64)
    );
    let carried: Vec<Carried> = heard.iter().map(|(carried, _)| *carried).collect();
    let most = print("500 added", db, &carried);
    assert!(
        most.frames <= ADDED && most.bytes <= 250 * ADDED,
        "{most:?}"
    );
}

each_database!(a_thousand_react_to_one_message, five_hundred_are_added);

//! The loss of a role, a membership or a room races with changes of messages and rooms: whoever lost the right has done
//! nothing at a later `rev`, and nothing of the room reaches them.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Account, Chain, Db, Server, Socket, Tables, each_database};

const ROUNDS: u64 = 150;

/// Up to some changes happen meanwhile.
async fn a_moment() {
    tokio::time::sleep(Duration::from_micros(rand::random_range(0..8_000))).await;
}

/// The answers to repeated attempts: the revs of what was done, and how often it was refused.
#[derive(Default)]
struct Tried {
    revs: Vec<u64>,
    refused: u64,
}

impl Tried {
    fn take(&mut self, answer: &Value) {
        match answer["rev"].as_u64() {
            Some(rev) => self.revs.push(rev),
            None => {
                let code = answer["code"].as_str().unwrap();
                assert!(["forbidden", "not_found"].contains(&code), "{answer}");
                self.refused += 1;
            }
        }
    }
}

/// Edits and reacts to the account's own message, over a socket, until told to stop.
async fn edit_on(account: &Account, room: u64, seq: u64, stop: &AtomicBool) -> Tried {
    let mut socket = account.connect().await;
    let mut tried = Tried::default();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let mut frame = json!({"room_id": room, "seq": seq});
        match number % 3 {
            0 => {
                frame["type"] = json!("edit");
                frame["content"] = json!(format!("edit {number}"));
            }
            on => {
                frame["type"] = json!("react");
                frame["emoji"] = json!("👍");
                frame["on"] = json!(on == 1);
            }
        }
        tried.take(&socket.ask(frame).await);
    }
    tried
}

/// Pins a message, takes the pin away and renames the room, by REST, until told to stop.
async fn rule_on(account: &Account, room: u64, seq: u64, stop: &AtomicBool) -> Tried {
    let path = format!("/api/chat/rooms/{room}");
    let pin = format!("{path}/messages/{seq}/pin");
    let mut tried = Tried::default();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let name = json!({"name": format!("{} {number}", account.name)});
        let (method, path, body) = match number % 3 {
            0 => ("PUT", &pin, None),
            1 => ("DELETE", &pin, None),
            _ => ("PATCH", &path, Some(&name)),
        };
        let (_, answer) = account.request(method, path, body).await;
        tried.take(&answer);
    }
    tried
}

/// Follows the room from `rev` on until it is archived.
async fn witness(mut socket: Socket, room: u64, rev: u64) -> Vec<Value> {
    let mut chain = Chain(rev);
    let mut all = Vec::new();
    loop {
        let frame = socket.frame().await;
        if frame["type"] == "read" {
            continue;
        }
        assert_eq!(frame["room_id"], room, "{frame}");
        chain.take(&frame);
        let done = !frame["room"]["archived_at"].is_null();
        all.push(frame);
        if done {
            return all;
        }
    }
}

/// The spans of `rev` in which a right was held, by the frames that gave and took it.
fn spans(events: &[Value], user_id: u64, gives: impl Fn(&Value) -> bool) -> Vec<(u64, u64)> {
    let mut spans = Vec::new();
    let mut since = None;
    for event in events.iter().filter(|event| event["user"]["id"] == user_id) {
        let rev = event["rev"].as_u64().unwrap();
        match (gives(event), since) {
            (true, None) => since = Some(rev),
            (false, Some(from)) => {
                spans.push((from, rev));
                since = None;
            }
            _ => {}
        }
    }
    assert_eq!(since, None, "the right was taken in the end");
    spans
}

/// All changes, as the witness saw them, lie in a span; of a joined frame all the changes that it joins.
fn assert_within(events: &[&Value], spans: &[(u64, u64)]) {
    for event in events {
        let rev = event["rev"].as_u64().unwrap();
        let first = event["prev"].as_u64().unwrap_or(rev - 1) + 1;
        let within = spans.iter().any(|(from, to)| *from < first && rev < *to);
        assert!(within, "done without the right: {event}");
    }
    assert!(
        events.len() as u64 > ROUNDS / 10,
        "the race was one: {} changes",
        events.len()
    );
}

/// Bob edits and reacts while he is removed and added again.
async fn nothing_is_edited_after_a_removal(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let carol = server.register("carol").await;
    let room = ada.create_room("hall", &[&bob, &carol]).await;
    let path = format!("/api/chat/rooms/{room}");
    // Bob's own message, which nobody else changes.
    let seq = bob.connect().await.say(room, "bob's").await["seq"]
        .as_u64()
        .unwrap();
    let hers = carol.connect().await.say(room, "carol's").await["seq"]
        .as_u64()
        .unwrap();
    let mut socket = carol.connect().await;
    let from = socket.join(room).await["rev"].as_u64().unwrap();
    let mut follower = bob.connect().await;
    assert_eq!(
        follower.ask(json!({"type": "sync"})).await["type"],
        "synced"
    );
    let stop = AtomicBool::new(false);
    let rounds = async {
        let mut stays = 0;
        for _ in 0..ROUNDS {
            a_moment().await;
            let (status, _) = ada.delete(&format!("{path}/members/{}", bob.id)).await;
            assert_eq!(status, 204);
            // The fence is answered after all that had happened before it: the room's last frame is `removed`. A
            // membership that ended before the connection could tell of it isn't told.
            let told = follower.fence().await;
            if let Some((last, before)) = told.split_last() {
                assert_eq!(
                    (&last["type"], &last["room_id"]),
                    (&json!("removed"), &json!(room))
                );
                let end = last["rev"].as_u64().expect("it has its rev");
                let twice = before.iter().any(|frame| frame["type"] == "removed");
                assert!(!twice, "{told:?}");
                let beyond = before
                    .iter()
                    .find(|frame| frame["rev"].as_u64() >= Some(end));
                assert_eq!(beyond, None, "told to whom it ended for at {end}");
                stays += 1;
            }
            a_moment().await;
            assert_eq!(
                follower.fence().await,
                [] as [Value; 0],
                "after the removal"
            );
            let body = json!({"user_id": bob.id});
            assert_eq!(ada.post(&format!("{path}/members"), body).await.0, 201);
        }
        assert!(stays > ROUNDS / 2, "most memberships are told of: {stays}");
        ada.delete(&format!("{path}/members/{}", bob.id)).await;
        stop.store(true, Ordering::Relaxed);
        let archived = json!({"archived": true});
        ada.request("PATCH", &path, Some(&archived)).await
    };
    let (events, tried, ..) = tokio::join!(
        witness(socket, room, from),
        edit_on(&bob, room, seq, &stop),
        edit_on(&carol, room, hers, &stop),
        rounds,
    );
    let mut stays = vec![json!({"user": {"id": bob.id}, "role": "member", "rev": 0})];
    stays.extend(events.iter().cloned());
    let spans = spans(&stays, bob.id, |event| !event["role"].is_null());
    assert_eq!(spans.len() as u64, ROUNDS + 1);
    let his = |event: &&Value| event["type"] == "message_updated" && event["seq"] == seq;
    assert_within(&events.iter().filter(his).collect::<Vec<_>>(), &spans);
    assert!(tried.refused > 0, "bob tried while away");
    for rev in tried.revs {
        let within = spans.iter().any(|(from, to)| (from..to).contains(&&rev));
        assert!(within, "acknowledged at {rev}, while bob was away");
    }
}

/// Bob pins and renames while he is made an admin and a member again.
async fn nobody_acts_after_losing_a_role(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let carol = server.register("carol").await;
    let room = ada.create_room("hall", &[&bob, &carol]).await;
    let path = format!("/api/chat/rooms/{room}");
    let seq = carol.connect().await.say(room, "hers").await["seq"]
        .as_u64()
        .unwrap();
    let mut socket = carol.connect().await;
    let from = socket.join(room).await["rev"].as_u64().unwrap();
    let stop = AtomicBool::new(false);
    let rounds = async {
        for _ in 0..ROUNDS {
            for role in ["admin", "member"] {
                let member = format!("{path}/members/{}", bob.id);
                let role = json!({"role": role});
                let (status, answer) = ada.request("PATCH", &member, Some(&role)).await;
                assert_eq!(status, 200, "{answer}");
                a_moment().await;
            }
        }
        stop.store(true, Ordering::Relaxed);
        let archived = json!({"archived": true});
        ada.request("PATCH", &path, Some(&archived)).await
    };
    let (events, tried, _) = tokio::join!(
        witness(socket, room, from),
        rule_on(&bob, room, seq, &stop),
        rounds,
    );
    let spans = spans(&events, bob.id, |event| event["role"] == "admin");
    assert_eq!(spans.len() as u64, ROUNDS);
    // Only Bob pins, and the last change of the settings is Ada's.
    let (_, his) = events.split_last().unwrap();
    let his = his.iter().filter(|event| event["type"] != "member");
    assert_within(&his.collect::<Vec<_>>(), &spans);
    assert!(tried.refused > 0, "bob tried while a member");
}

/// All who are in a room change it while it is deleted: whatever comes later is refused, nothing is
/// stored, and each of them hears of the end once and of nothing after it.
async fn nothing_happens_in_a_room_after_its_end(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let carol = server.register("carol").await;
    let tables = Tables::of(&server);
    let mut done: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let mut followers = Vec::new();
    for account in [&ada, &bob, &carol] {
        let mut socket = account.connect().await;
        assert_eq!(socket.ask(json!({"type": "sync"})).await["type"], "ack");
        followers.push(socket);
    }
    for _ in 0..ROUNDS / 10 {
        let room = ada.create_room("hall", &[&bob, &carol]).await;
        let mut chains = Vec::new();
        for follower in &mut followers {
            let told = follower.fence().await;
            let [added] = &told[..] else {
                panic!("{told:?}")
            };
            assert_eq!(added["type"], "added");
            chains.push(Chain(added["room"]["rev"].as_u64().unwrap()));
        }
        let path = format!("/api/chat/rooms/{room}");
        let role = json!({"role": "admin"});
        let member = format!("{path}/members/{}", carol.id);
        assert_eq!(ada.request("PATCH", &member, Some(&role)).await.0, 200);
        let seq = bob.connect().await.say(room, "bob's").await["seq"]
            .as_u64()
            .unwrap();
        let stop = AtomicBool::new(false);
        let end = async {
            a_moment().await;
            a_moment().await;
            let (status, _) = ada.delete(&path).await;
            a_moment().await;
            stop.store(true, Ordering::Relaxed);
            status
        };
        let (edits, reign, status) = tokio::join!(
            edit_on(&bob, room, seq, &stop),
            rule_on(&carol, room, seq, &stop),
            end,
        );
        assert_eq!(status, 204);
        let fences = join_all(followers.iter_mut().map(Socket::fence)).await;
        for (told, mut chain) in fences.iter().zip(chains) {
            for (index, frame) in told.iter().enumerate() {
                match frame["type"].as_str().unwrap() {
                    "removed" => {
                        assert!(frame["rev"].is_u64(), "{frame}");
                        assert_eq!(index + 1, told.len(), "after its end: {told:?}");
                    }
                    "read" => {}
                    _ => chain.take(frame),
                }
            }
            let last = told.last().expect("they are told");
            assert_eq!(
                (&last["type"], &last["room_id"]),
                (&json!("removed"), &json!(room))
            );
        }
        let revs = done.entry(room).or_default();
        revs.extend(edits.revs);
        // A name's answer gives the room's rev.
        revs.extend(reign.revs);
    }
    let rooms = tables.read().await;
    let mut raced = 0;
    for (id, room) in &rooms {
        room.check(*id);
        assert!(room.deleted);
        let rows = room.messages.values().map(|row| row.rev);
        let members = room.members.values().map(|member| member.rev);
        let settings = [room.settings_rev];
        let mut all = rows
            .chain(members)
            .chain(settings)
            .chain(done[id].iter().copied());
        let late = all.find(|rev| *rev >= room.rev);
        assert_eq!(late, None, "room {id} ended at {}", room.rev);
        raced += done[id].len() as u64;
    }
    assert!(raced > ROUNDS / 10, "the race was one: {raced} changes");
    for socket in &mut followers {
        assert_eq!(socket.fence().await, [] as [Value; 0]);
    }
}

each_database!(
    nothing_is_edited_after_a_removal,
    nobody_acts_after_losing_a_role,
    nothing_happens_in_a_room_after_its_end,
);

//! Removals race with sending and delivery: no message of a removed member is stored after the removal's rev, and nothing
//! of the room reaches them after it. And concurrent joins and leaves keep every number right.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use rand::{Rng, SeedableRng, rngs::SmallRng};
use serde_json::{Value, json};

use crate::support::{Account, Chain, Db, Server, each_database, soak_each_database, uuid};

/// Ends of a membership in `make test`, and in `make soak`.
const ROUNDS: u64 = 500;
const ROUNDS_SOAK: u64 = 2_500;

/// Keeps posting until told to stop; the ids that were acknowledged, with their revs. A refusal is no
/// fault: the member is away then.
async fn post_on(
    account: &Account,
    room: u64,
    by_rest: bool,
    stop: &AtomicBool,
) -> HashMap<String, u64> {
    let mut socket = account.connect().await;
    let path = format!("/api/chat/rooms/{room}/messages");
    let mut taken = HashMap::new();
    while !stop.load(Ordering::Relaxed) {
        let id = uuid();
        let answer = if by_rest {
            account
                .post(&path, json!({"id": id, "content": "by REST"}))
                .await
                .1
        } else {
            socket
                .ask(json!({"type": "message", "room_id": room, "id": id, "content": "by socket"}))
                .await
        };
        match answer["rev"].as_u64() {
            Some(rev) => drop(taken.insert(id, rev)),
            None => assert_eq!(answer["code"], "forbidden", "{answer}"),
        }
    }
    taken
}

/// What a synced socket was told of one membership: the revs of `added` and `removed`. Live events come in order of
/// `rev` and none from beyond the end. `None`: it was over before the connection could tell of it.
///
/// On MariaDB a plain read may show a room's new head beside a membership that had ended before it: then
/// `added` is as new as the end, nothing comes between, and `removed` has no rev, for against that of
/// `added` its own wouldn't win (PROTOCOL.md section 3.4).
fn one_stay(frames: &[Value], room: u64) -> Option<(u64, Option<u64>)> {
    let (added, frames) = frames.split_first()?;
    assert_eq!(
        added["type"], "added",
        "nothing of the room comes before: {added}"
    );
    let added = added["room"]["rev"].as_u64().unwrap();
    let (removed, frames) = frames.split_last().expect("`removed` follows");
    assert_eq!(
        (&removed["type"], &removed["room_id"]),
        (&json!("removed"), &json!(room))
    );
    let Some(removed) = removed["rev"].as_u64() else {
        assert_eq!(frames, [] as [Value; 0], "it had ended by {added}");
        return Some((added, None));
    };
    let mut chain = Chain(added);
    frames.iter().for_each(|frame| chain.take(frame));
    assert!(chain.0 < removed, "at {}, beyond {removed}", chain.0);
    Some((added, Some(removed)))
}

async fn what_ends_a_membership_ends_all_of_it(db: Db) {
    end_memberships(db, ROUNDS).await;
}

async fn many_ends_of_a_membership_end_all_of_it(db: Db) {
    end_memberships(db, ROUNDS_SOAK).await;
}

/// Bob is added and removed, or leaves, again and again while he and others post and listen.
async fn end_memberships(db: Db, count: u64) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let carol = server.register("carol").await;
    let room = ada.create_room("hall", &[&carol]).await;
    let path = format!("/api/chat/rooms/{room}");
    let seed: u64 = rand::rng().random();
    println!("seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);

    let mut witness = carol.connect().await;
    witness.join(room).await;
    let mut followers = Vec::new();
    for _ in 0..2 {
        let mut socket = bob.connect().await;
        assert_eq!(socket.ask(json!({"type": "sync"})).await["type"], "ack");
        followers.push(socket);
    }
    let mut bystander = bob.connect().await;
    let stop = AtomicBool::new(false);
    let rounds = async {
        let (mut told, mut aside) = (Vec::new(), Vec::new());
        for round in 0..count {
            let body = json!({"user_id": bob.id});
            let (status, member) = ada.post(&format!("{path}/members"), body).await;
            assert_eq!(status, 201, "{member}");
            // A random moment, in which anything from nothing to some messages happens.
            tokio::time::sleep(Duration::from_micros(random.random_range(0..4_000))).await;
            let (status, _) = match round % 2 {
                0 => ada.delete(&format!("{path}/members/{}", bob.id)).await,
                _ => bob.act(&format!("{path}/leave")).await,
            };
            assert_eq!(status, 204);
            for socket in &mut followers {
                // Answered after all that had happened before it.
                told.extend(one_stay(&socket.fence().await, room));
            }
            // A client that is silent for longer than the heartbeat is disconnected.
            if round % 100 == 99 {
                aside.extend(bystander.fence().await);
            }
        }
        stop.store(true, Ordering::Relaxed);
        (told, aside)
    };
    // Carol follows everything: what she sees is what happened.
    let witnessing = async {
        let mut chain = Chain(3);
        let mut all = Vec::new();
        loop {
            let frame = witness.frame().await;
            chain.take(&frame);
            let done = frame["content"] == "the end";
            all.push(frame);
            if done {
                return all;
            }
        }
    };
    let acting = async {
        let (rounds, by_socket, by_rest, ..) = tokio::join!(
            rounds,
            post_on(&bob, room, false, &stop),
            post_on(&bob, room, true, &stop),
            post_on(&carol, room, false, &stop),
            post_on(&ada, room, true, &stop),
        );
        ada.connect().await.say(room, "the end").await;
        (rounds, by_socket, by_rest)
    };
    let (((told, aside), by_socket, by_rest), events) = tokio::join!(acting, witnessing);

    let comings: Vec<_> = events
        .iter()
        .filter(|event| event["user"]["id"] == bob.id)
        .collect();
    let revs: Vec<u64> = comings
        .iter()
        .map(|event| event["rev"].as_u64().unwrap())
        .collect();
    let (stays, []) = revs.as_chunks::<2>() else {
        panic!("comings and goings are pairs: {revs:?}")
    };
    assert_eq!(stays.len() as u64, count);
    let during_a_stay = |rev: u64| {
        stays
            .iter()
            .any(|[added, removed]| *added < rev && rev < *removed)
    };
    let mut his = HashMap::new();
    for event in events
        .iter()
        .filter(|event| event["sender"]["id"] == bob.id)
    {
        let rev = event["rev"].as_u64().unwrap();
        assert!(during_a_stay(rev), "stored while bob was away: {event}");
        his.insert(event["id"].as_str().unwrap().to_owned(), rev);
    }
    assert!(
        his.len() as u64 > count / 10,
        "the race was one: {} messages of bob's",
        his.len()
    );
    let acknowledged: HashMap<String, u64> = by_socket.into_iter().chain(by_rest).collect();
    assert_eq!(his, acknowledged, "acknowledged and stored are the same");
    let was_told = |(added, removed): (u64, Option<u64>)| match removed {
        Some(removed) => stays
            .iter()
            .any(|[start, end]| (*start..*end).contains(&added) && *end == removed),
        None => db == Db::MariaDb && stays.iter().any(|[_, end]| *end <= added),
    };
    for stay in &told {
        assert!(was_told(*stay), "{stay:?} is none of {stays:?}");
    }
    assert!(
        told.len() as u64 > count,
        "most memberships were told of: {} of {}",
        told.len(),
        2 * count
    );
    // The room has long gone on: nothing comes after the last `removed`.
    for socket in &mut followers {
        assert_eq!(socket.fence().await, [] as [Value; 0]);
    }
    // Without live delivery it is told of memberships all the same, and of nothing else.
    assert_eq!(bystander.fence().await, [] as [Value; 0]);
    assert!(aside.len() as u64 > count, "most memberships were told of");
    for frames in aside.chunks(2) {
        let stay = one_stay(frames, room).unwrap();
        assert!(was_told(stay), "{stay:?} is none of {stays:?}");
    }
}

/// Many come and go at once: each change takes one rev, and the count is that of those who are in.
async fn storms_of_comings_and_goings_keep_the_numbers_right(db: Db) {
    const PEOPLE: usize = 20;
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let path = format!("/api/chat/rooms/{room}");
    let mut people = Vec::new();
    for number in 0..PEOPLE {
        people.push(server.register(&format!("person{number}")).await);
    }
    let mut witness = ada.connect().await;
    witness.join(room).await;
    // Each an odd number of changes: all are in at the end, but for the last three, who change once more.
    let changes = |person: usize| if person + 3 < PEOPLE { 15 } else { 16 };
    let total: u64 = (0..PEOPLE).map(changes).sum();
    let storm = join_all(people.iter().enumerate().map(|(number, person)| {
        let path = &path;
        async move {
            for change in 0..changes(number) {
                let (status, answer) = match change % 2 {
                    0 => person.act(&format!("{path}/join")).await,
                    _ => person.act(&format!("{path}/leave")).await,
                };
                assert_eq!(status, if change % 2 == 0 { 200 } else { 204 }, "{answer}");
            }
        }
    }));
    let watch = async {
        let mut chain = Chain(2);
        let mut count = 1;
        while chain.0 < 2 + total {
            let frame = witness.frame().await;
            chain.take(&frame);
            if frame.get("prev").is_none() {
                count = if frame["role"].is_null() {
                    count - 1
                } else {
                    count + 1
                };
                assert_eq!(frame["member_count"], count, "{frame}");
            } else {
                // Read from the log: some changes in one, the count is the present one.
                count = frame["member_count"].as_i64().unwrap();
            }
        }
    };
    tokio::join!(storm, watch);
    let (_, now) = ada.get(&path).await;
    assert_eq!(
        (&now["rev"], &now["member_count"]),
        (&json!(2 + total), &json!(PEOPLE - 3 + 1))
    );
    let (_, page) = ada.get(&format!("{path}/members?limit=200")).await;
    let members = page["items"].as_array().unwrap();
    assert_eq!(
        (members.len(), &page["rev"]),
        (PEOPLE - 3 + 1, &json!(2 + total))
    );
    let expected = people[..PEOPLE - 3]
        .iter()
        .map(|person| person.id)
        .chain([ada.id]);
    let mut expected: Vec<u64> = expected.collect();
    expected.sort_unstable();
    let ids: Vec<u64> = members
        .iter()
        .map(|member| member["user"]["id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids, expected);
}

each_database!(
    what_ends_a_membership_ends_all_of_it,
    storms_of_comings_and_goings_keep_the_numbers_right,
);

soak_each_database!(many_ends_of_a_membership_end_all_of_it);

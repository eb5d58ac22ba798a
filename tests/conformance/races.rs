//! Many at once: numbers without gaps, one outcome each, and rights that hold at the change's `rev`.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use hearth::{
    limits,
    protocol::{Rev, Seq, UserId, rest::RoomKind},
    store::{Error, Event, EventBody, Outcome, Refused},
};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    node::{Place, refused, send},
    state::State,
};

pub async fn many_senders_leave_no_hole(place: Place) {
    const ROOMS: usize = 7;
    const SENDERS: usize = 40;
    const SENDS: usize = 25;
    let node = Arc::new(place.node().await);
    let users = node.users(SENDERS).await;
    let mut rooms = Vec::new();
    for n in 0..ROOMS {
        rooms.push(node.room(RoomKind::Public, &users[n], &users).await);
    }
    let mut tasks = JoinSet::new();
    for (n, user) in users.iter().cloned().enumerate() {
        let (node, rooms) = (node.clone(), rooms.clone());
        tasks.spawn(async move {
            let mut acks = Vec::new();
            for i in 0..SENDS {
                let room = rooms[(n + i) % ROOMS];
                let (seq, rev) = node.send(room, &user).await;
                acks.push((room, seq, rev));
                if i % 5 == 0 {
                    node.read(room, user.id, seq).await;
                }
            }
            acks
        });
    }
    let acks = tasks.join_all().await.concat();
    assert_eq!(acks.len(), SENDERS * SENDS);
    for room in &rooms {
        let of_room = acks.iter().filter(|(of, ..)| of == room);
        let (seqs, revs): (Vec<Seq>, Vec<Rev>) = of_room.map(|(_, seq, rev)| (*seq, *rev)).unzip();
        let numbers: BTreeSet<Seq> = seqs.iter().copied().collect();
        assert_eq!(
            numbers.len(),
            seqs.len(),
            "each acknowledged number is one message's"
        );
        assert!(numbers.into_iter().eq(1..=seqs.len() as Seq));
        let revs: BTreeSet<Rev> = revs.into_iter().collect();
        let first = SENDERS as Rev + 2;
        assert!(revs.into_iter().eq(first..first + seqs.len() as Rev));
        node.check_told(*room).await;
        node.check_room(*room).await;
    }
    node.store.close().await;
}

pub async fn the_same_id_a_hundred_times_at_once(place: Place) {
    let node = Arc::new(place.node().await);
    // Two nodes, where the database has room for two.
    let other = Arc::new(place.node().await);
    let user = node.user().await;
    let room = node.room(RoomKind::Public, &user, &[]).await;
    for round in 1..=3 {
        let id = Uuid::new_v4();
        let mut tasks = JoinSet::new();
        for n in 0..100 {
            let (node, user) = (
                if n % 2 == 0 { &node } else { &other }.clone(),
                user.clone(),
            );
            tasks.spawn(async move { node.send_id(room, &user, id).await });
        }
        let mut first = 0;
        for outcome in tasks.join_all().await {
            let Outcome::Sent { seq, duplicate, .. } = outcome else {
                panic!("{outcome:?}");
            };
            assert_eq!(seq, round);
            first += usize::from(!duplicate);
        }
        assert_eq!(first, 1, "one of them was the first");
    }
    node.check_room(room).await;
}

pub async fn nothing_is_sent_after_a_removal(place: Place) {
    let node = Arc::new(place.node().await);
    // Every other round another node removes: then only the database's locks keep the order.
    let other = Arc::new(place.node().await);
    let users = node.users(6).await;
    for round in 0..16 {
        let remover = if round % 2 == 0 { &node } else { &other };
        let room = node.room(RoomKind::Public, &users[0], &users[1..]).await;
        let mut senders = JoinSet::new();
        for user in users[1..].iter().cloned() {
            let node = node.clone();
            senders.spawn(async move {
                let mut revs = Vec::new();
                loop {
                    match node.send_id(room, &user, Uuid::new_v4()).await {
                        Outcome::Sent { rev, .. } => revs.push(rev),
                        Outcome::Refused(Refused::NotMember) => return (user.id, revs),
                        other => panic!("{other:?}"),
                    }
                }
            });
        }
        tokio::time::sleep(Duration::from_millis(round)).await;
        for user in &users[1..] {
            let Outcome::Left { rev: removal } = remover.remove(room, users[0].id, user).await
            else {
                panic!("not removed");
            };
            let told = remover.told_of(room);
            assert!(
                told.iter().any(|event| event.rev == removal),
                "told before answered"
            );
        }
        let sent = senders.join_all().await;
        let told = remover.told_of(room);
        for (user, revs) in sent {
            let removal = told.iter().find_map(|event| match &event.body {
                EventBody::Member(member) if member.role.is_none() && member.user.id == user => {
                    Some(event.rev)
                }
                _ => None,
            });
            assert!(revs.iter().all(|rev| *rev < removal.unwrap()));
        }
        if round % 2 == 0 {
            node.check_told(room).await;
        }
        node.check_room(room).await;
        let room = node.store.room(room, users[0].id).await.unwrap().unwrap();
        assert_eq!(room.member_count, 1);
    }
}

pub async fn joins_race_for_the_last_place(place: Place) {
    let node = Arc::new(place.node().await);
    let users = node.users(2).await;
    let free = 3;
    let rows: Vec<String> = (1..=limits::ROOMS_PER_USER_MAX as u64 - free)
        .map(|n| {
            format!(
                "({}, {}, 'member', 0, 0, 1, 0, 1)",
                1_000_000 + n,
                users[1].id
            )
        })
        .collect();
    place
        .meddle(&format!(
            "INSERT INTO room_members (room_id, user_id, role, joined_at, joined_seq, joined_rev, last_read_seq, rev) \
             VALUES {}",
            rows.join(",")
        ))
        .await;
    let mut tasks = JoinSet::new();
    for _ in 0..12 {
        let room = node.room(RoomKind::Public, &users[0], &[]).await;
        let (node, user) = (node.clone(), users[1].clone());
        tasks.spawn(async move { node.join(room, &user).await });
    }
    let outcomes = tasks.join_all().await;
    let full = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Outcome::Refused(_)))
        .inspect(|outcome| assert_eq!(refused(outcome), Refused::TooManyRooms))
        .count();
    assert_eq!(full as u64, 12 - free);
}

pub async fn a_full_queue_answers_at_once(place: Place) {
    let node = Arc::new(place.node().await);
    let user = node.user().await;
    let room = node.room(RoomKind::Public, &user, &[]).await;
    let mut tasks = JoinSet::new();
    for _ in 0..limits::APPEND_QUEUE_MAX * 2 {
        let (node, user) = (node.clone(), user.clone());
        tasks.spawn(async move { node.store.append(send(room, &user, Uuid::new_v4())).await });
    }
    let (mut sent, mut busy) = (0, 0);
    for answer in tasks.join_all().await {
        match answer {
            Ok(Outcome::Sent { .. }) => sent += 1,
            Err(Error::Unavailable(_)) => busy += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(sent + busy, limits::APPEND_QUEUE_MAX * 2);
    assert!(sent > 0);
    // Refused changes were not stored.
    let room = node.store.room(room, user.id).await.unwrap().unwrap();
    assert_eq!(room.last_seq, sent as Seq);
    node.check_told(room.id).await;
}

pub async fn a_faulty_room_fails_alone(place: Place) {
    let node = Arc::new(place.node().await);
    let user = node.user().await;
    let mut rooms = Vec::new();
    for _ in 0..6 {
        rooms.push(node.room(RoomKind::Public, &user, &[]).await);
    }
    // A row that no program of ours wrote stands where the next message must go.
    let broken = rooms[0];
    place
        .meddle(&format!(
            "INSERT INTO messages (room_id, seq, rev, id, sender_id, kind, content, created_at) \
             VALUES ({broken}, 1, 900, x'00112233445566778899aabbccddeeff', 1, 'text', 'x', 1)"
        ))
        .await;
    let mut tasks = JoinSet::new();
    for n in 0..120 {
        let (node, user, room) = (node.clone(), user.clone(), rooms[n % 6]);
        tasks.spawn(async move {
            let answer = node.store.append(send(room, &user, Uuid::new_v4())).await;
            (room, answer)
        });
    }
    for (room, answer) in tasks.join_all().await {
        match answer {
            Ok(Outcome::Sent { .. }) => assert_ne!(room, broken),
            Err(Error::Broken(_)) => assert_eq!(room, broken),
            other => panic!("{other:?}"),
        }
    }
    for room in &rooms[1..] {
        node.check_told(*room).await;
        node.check_room(*room).await;
    }
    assert_eq!(node.head(broken).await, 2, "nothing of it was written");
}

pub async fn nothing_is_told_before_a_beginning(place: Place) {
    const ROOMS: u64 = 60;
    // Long enough for a guest to come in between, if that were possible.
    let pause = |events: &[Event]| {
        if let EventBody::Room(_) = events[0].body {
            std::thread::park_timeout(Duration::from_millis(10));
        }
    };
    let node = Arc::new(place.node_that_hears(pause).await);
    let users = node.users(4).await;
    let mut guests = JoinSet::new();
    for guest in &users[1..] {
        let (node, guest) = (node.clone(), guest.clone());
        // Joins each room the moment it is there, not when its maker has heard of it.
        guests.spawn(async move {
            for room in (1..=ROOMS).map(hearth::protocol::RoomId) {
                while node.join(room, &guest).await == Outcome::Refused(Refused::NoRoom) {}
            }
        });
    }
    for _ in 0..ROOMS {
        node.room(RoomKind::Public, &users[0], &[]).await;
    }
    guests.join_all().await;
    for room in (1..=ROOMS).map(hearth::protocol::RoomId) {
        node.check_told(room).await;
    }
}

pub async fn closing_drains_what_waits(place: Place) {
    let node = Arc::new(place.node().await);
    let user = node.user().await;
    let room = node.room(RoomKind::Public, &user, &[]).await;
    let mut tasks = JoinSet::new();
    for _ in 0..2_000 {
        let (node, user) = (node.clone(), user.clone());
        tasks.spawn(async move { node.store.append(send(room, &user, Uuid::new_v4())).await });
    }
    tokio::time::sleep(Duration::from_millis(5)).await;
    node.store.close().await;
    let mut sent = 0;
    for answer in tasks.join_all().await {
        match answer {
            Ok(Outcome::Sent { .. }) => sent += 1,
            Err(Error::Unavailable(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    let reopened = place.node().await;
    let room = reopened.store.room(room, user.id).await.unwrap().unwrap();
    assert_eq!(
        room.last_seq, sent,
        "what was acknowledged, and nothing else"
    );
}

pub async fn three_hundred_react_at_once(place: Place) {
    const PEOPLE: usize = 300;
    let node = Arc::new(place.node().await);
    let users = node.users(PEOPLE).await;
    let room = node.room(RoomKind::Public, &users[0], &users[1..]).await;
    let (seq, sent) = node.send(room, &users[0]).await;
    let mut tasks = JoinSet::new();
    for (n, user) in users.iter().enumerate() {
        let (node, user_id) = (node.clone(), user.id);
        tasks.spawn(async move {
            let emoji = if n % 3 == 0 { "👎" } else { "👍" };
            match node.react(room, user_id, seq, emoji, true).await {
                Outcome::Updated {
                    rev, changed: true, ..
                } => rev,
                other => panic!("{other:?}"),
            }
        });
    }
    let revs: BTreeSet<_> = tasks.join_all().await.into_iter().collect();
    assert!(
        revs.into_iter().eq(sent + 1..=sent + PEOPLE as u64),
        "dense"
    );
    node.check_told(room).await;
    let sql = format!(
        "SELECT user_id FROM reactions WHERE room_id = {room} AND LOWER(HEX(emoji)) = 'HEX' ORDER BY rev, user_id"
    );
    let page = node.store.changes(room, sent).await.unwrap().unwrap();
    let EventBody::Message(paged) = &page.events[0].body else {
        panic!("{page:?}");
    };
    let stored = node.message(room, seq).await;
    assert_eq!((page.events.len(), &stored), (1, &**paged), "compacted");
    assert_eq!(stored.rev, sent + PEOPLE as u64);
    assert_eq!(stored.reactions.len(), 2);
    for reaction in &stored.reactions {
        let (hex, count) = match &*reaction.emoji {
            "👎" => ("f09f918e", 100),
            _ => ("f09f918d", 200),
        };
        assert_eq!(reaction.count, count);
        let of = place
            .numbers(&sql.replace("'HEX'", &format!("'{hex}'")))
            .await
            .concat();
        let first = of[..limits::REACTION_USERS_MAX].iter().copied();
        assert!(
            first.eq(reaction.user_ids.iter().map(|id| id.0)),
            "the first to react"
        );
    }
    let mut listed = 0;
    let mut after = (String::new(), UserId(0));
    loop {
        let page = node
            .store
            .reactions(room, seq, (&after.0, after.1), 64)
            .await
            .unwrap();
        listed += page.len();
        let Some(last) = page.last() else { break };
        after = (last.emoji.clone(), last.user.id);
    }
    assert_eq!(listed, PEOPLE);
    // And back.
    let mut tasks = JoinSet::new();
    for (n, user) in users.iter().enumerate() {
        let (node, user_id) = (node.clone(), user.id);
        let emoji = if n % 3 == 0 { "👎" } else { "👍" };
        tasks.spawn(async move { node.react(room, user_id, seq, emoji, false).await });
    }
    tasks.join_all().await;
    assert!(node.message(room, seq).await.reactions.is_empty());
    node.check_told(room).await;
    let state = State::told(&node, room);
    state.check_tables(&place, room).await;
}

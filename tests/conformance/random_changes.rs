//! Random changes by several people at once: what was told, what is stored and what is read agree.

use std::{collections::BTreeSet, sync::Arc};

use hearth::{
    limits,
    protocol::{
        RoomId, UserId,
        rest::{Role, RoomKind, UserSummary},
    },
    store::{Change, EVERYONE, Range, RoomFilter},
};
use rand::{Rng, SeedableRng, rngs::SmallRng, seq::IndexedRandom};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    node::{Node, Place},
    state::{Row, State},
};

const PEOPLE: usize = 6;
const CHANGES: usize = 70;
/// What identifies each event.
const KINDS: [&str; 11] = [
    "Message(",
    "Edited {",
    "what: Deleted {",
    "on: true",
    "on: false",
    "Pinned { at: Some",
    "Pinned { at: None",
    "role: None",
    "Room(",
    "Read {",
    "body: Deleted",
];
const EMOJI: [&str; 6] = ["👍", "👎", "e", "é", "E", "👍🏽"];

pub async fn what_is_told_is_what_is_stored(place: Place) {
    let node = Arc::new(place.node().await);
    for seed in [1, 2, 3] {
        eprintln!("seed {seed}");
        let users = node.users(PEOPLE).await;
        let mut rooms = Vec::new();
        for kind in [RoomKind::Public, RoomKind::Private, RoomKind::Public] {
            rooms.push(node.room(kind, &users[0], &users[1..4]).await);
        }
        let direct = node.store.direct_room(users[0].clone(), users[1].clone());
        rooms.push(direct.await.unwrap().unwrap().room_id);
        for room in &rooms[..3] {
            node.set_role(*room, &users[0], &users[1], Role::Admin)
                .await;
        }
        let mut tasks = JoinSet::new();
        for n in 0..PEOPLE {
            let mut random = SmallRng::seed_from_u64(seed * 1_000 + n as u64);
            let (node, users, rooms) = (node.clone(), users.clone(), rooms.clone());
            tasks.spawn(async move {
                for _ in 0..CHANGES {
                    // Several at once of each, so that they share batches.
                    let changes: Vec<_> = (0..random.random_range(1..4))
                        .map(|_| change(&mut random, &rooms, &users, n))
                        .collect();
                    let appends = changes.into_iter().map(|change| node.append(change));
                    futures_util::future::join_all(appends).await;
                }
            });
        }
        tasks.join_all().await;
        // The last room ends in some of the storms by itself, here at the latest.
        let owners = State::told(&node, rooms[2]).members.into_iter();
        for (user, stay) in owners {
            if stay.role == Some(Role::Owner) {
                node.archive(rooms[2], user, false).await;
                node.delete_room(rooms[2], user).await;
            }
        }
        for room in rooms {
            let state = State::told(&node, room);
            state.check_tables(&place, room).await;
            if !state.ended {
                state.check_pages(&node, room).await;
            }
            check_reads(&node, &state, room, &users).await;
        }
        assert!(
            node.store.heads(&[]).await.unwrap().is_empty(),
            "nothing is asked for nothing"
        );
    }
    let told = node.told.lock().unwrap().clone();
    for kind in KINDS {
        let of = told
            .iter()
            .filter(|event| format!("{event:?}").contains(kind));
        assert!(of.count() > 0, "{kind}: a storm without");
    }
    node.store.close().await;
}

fn change(random: &mut SmallRng, rooms: &[RoomId], users: &[UserSummary], n: usize) -> Change {
    let room_id = *rooms.choose(random).unwrap();
    let (me, other) = (&users[n], users.choose(random).unwrap().clone());
    let (user_id, seq) = (me.id, random.random_range(1..12));
    let on = random.random_bool(0.6);
    let content = format!("text {}", random.random_range(0..3));
    let all = random.random_bool(0.15).then_some(EVERYONE);
    let named = users.iter().filter(|_| random.random_bool(0.3));
    let named = named.map(|user| user.id).chain(all);
    let named = named.map(|user_id| vec![user_id]).collect();
    match random.random_range(0..100) {
        0..24 => Change::Send {
            room_id,
            sender: me.clone(),
            id: Uuid::new_v4(),
            content,
            reply_to: None,
            named,
        },
        24..38 => Change::Edit {
            room_id,
            user_id,
            seq,
            content,
            named,
        },
        38..42 => Change::Delete {
            room_id,
            user_id,
            seq,
        },
        42..58 => Change::React {
            room_id,
            user_id,
            seq,
            emoji: (*EMOJI.choose(random).unwrap()).to_owned(),
            on,
        },
        58..70 => Change::Pin {
            room_id,
            user_id,
            seq,
            on,
        },
        70..74 => Change::Join {
            room_id,
            user: me.clone(),
        },
        74..77 => Change::Leave {
            room_id,
            user: me.clone(),
            heir: None,
        },
        77..83 => Change::Add {
            room_id,
            by: user_id,
            user: other,
            back: true,
        },
        83..85 => Change::Remove {
            room_id,
            by: user_id,
            user: other,
        },
        85..89 => Change::SetRole {
            room_id,
            by: me.clone(),
            user: other,
            role: *[Role::Owner, Role::Admin, Role::Admin, Role::Member]
                .choose(random)
                .unwrap(),
        },
        89..93 => Change::Settings {
            room_id,
            by: user_id,
            name: on.then_some(content),
            topic: None,
            archived: [None, Some(false), Some(false), Some(true)]
                .choose(random)
                .copied()
                .flatten(),
        },
        _ => Change::Read {
            room_id,
            user_id,
            seq,
        },
    }
}

/// Every way of reading the room shows this state.
async fn check_reads(node: &Node, state: &State, room_id: RoomId, users: &[UserSummary]) {
    let store = &node.store;
    let head = store.heads(&[room_id]).await.unwrap();
    assert_eq!(head, [(room_id, state.rev, state.ended)]);
    for user in users {
        let stay = state.members.get(&user.id).filter(|_| !state.ended);
        let role = stay.and_then(|stay| stay.role);
        check_standing(node, state, room_id, user.id, role).await;
    }
    let page = store
        .history(room_id, Range::Latest, limits::LIST_ITEMS_MAX)
        .await
        .unwrap();
    let pins = store.pins(room_id, 0, 3).await.unwrap();
    let members = store.members(room_id, "", UserId(0), 100).await.unwrap();
    if state.ended {
        assert!(page.is_none() && pins.is_none() && members.is_none());
        assert!(store.changes(room_id, 0).await.unwrap().is_none());
        return;
    }
    let page = page.unwrap();
    assert_eq!(page.rev, state.rev);
    assert!(
        page.messages
            .iter()
            .map(|message| message.seq)
            .eq(state.messages.keys().copied())
    );
    for message in &page.messages {
        assert_eq!(Row::of(message), state.messages[&message.seq]);
        assert_eq!(*message, node.message(room_id, message.seq).await);
    }
    let (rev, members) = members.unwrap();
    assert_eq!(rev, state.rev);
    let members = members.into_iter().map(|member| {
        (
            member.user.id,
            member.role,
            member.rev,
            member.last_read_seq.unwrap(),
        )
    });
    let present = state
        .members
        .iter()
        .filter_map(|(user, stay)| Some((*user, stay.role?, stay.rev, state.markers[user])));
    assert!(members.eq(present));

    let (mut pinned, mut after) = (Vec::new(), 0);
    while let Some(last) = store
        .pins(room_id, after, 2)
        .await
        .unwrap()
        .unwrap()
        .1
        .last()
    {
        after = last.seq;
        pinned.push(after);
    }
    let of = state
        .messages
        .iter()
        .filter(|(_, row)| row.pinned_at.is_some());
    let of: Vec<_> = of.map(|(seq, _)| *seq).collect();
    let lasts = of.chunks(2).map(|chunk| chunk[chunk.len() - 1]);
    assert!(pinned.into_iter().eq(lasts), "by twos: {of:?}");

    let seqs: Vec<_> = state.messages.keys().copied().collect();
    let mut of_users = BTreeSet::new();
    for user in users {
        let of = store.reactions_of(user.id, room_id, &seqs).await.unwrap();
        of_users.extend(of.into_iter().map(|(seq, emoji)| (seq, emoji, user.id)));
    }
    let mut listed = BTreeSet::new();
    for seq in &seqs {
        let mut after = (String::new(), UserId(0));
        loop {
            let page = store
                .reactions(room_id, *seq, (&after.0, after.1), 2)
                .await
                .unwrap();
            let Some(last) = page.last() else { break };
            after = (last.emoji.clone(), last.user.id);
            for of in page {
                assert!(listed.insert((*seq, of.emoji, of.user.id)), "listed once");
            }
        }
    }
    let expected = state.messages.iter().flat_map(|(seq, row)| {
        let of = row.reactions.iter();
        of.flat_map(|(emoji, users)| users.iter().map(|user| (*seq, emoji.clone(), *user)))
    });
    let expected: BTreeSet<_> = expected.collect();
    assert_eq!(listed, expected);
    assert_eq!(of_users, expected);
}

/// Where one user stands, by every list of rooms.
async fn check_standing(
    node: &Node,
    state: &State,
    room_id: RoomId,
    user_id: UserId,
    role: Option<Role>,
) {
    let standings = node
        .store
        .standings(user_id, Some(&[room_id]))
        .await
        .unwrap();
    let filter = RoomFilter {
        user_id,
        mine: true,
        public: false,
        query: String::new(),
    };
    let listed = node
        .store
        .rooms(filter, RoomId(room_id.0 - 1), 1)
        .await
        .unwrap();
    let listed = listed.into_iter().find(|room| room.id == room_id);
    let room = node.store.room(room_id, user_id).await.unwrap();
    assert_eq!(room.is_none(), state.ended);
    let Some(role) = role else {
        assert!(standings.is_empty() && listed.is_none());
        assert!(room.is_none_or(|room| room.mine.is_none()));
        return;
    };
    let unread = state.unread_mentions(user_id);
    let [standing] = &standings[..] else {
        panic!("{standings:?}");
    };
    assert_eq!((standing.role, standing.rev), (role, state.rev));
    assert_eq!(standing.last_seq, state.last_seq());
    assert_eq!(standing.last_read_seq, state.markers[&user_id]);
    assert_eq!(standing.unread_mentions, unread.len() as u64);
    assert_eq!(standing.mentioned, unread);
    let deleted = state.unread_deletions(user_id);
    let above = state.last_seq() - state.markers[&user_id] - deleted.len() as u64;
    assert_eq!((standing.unread(), &standing.deleted), (above, &deleted));
    for room in [room, listed] {
        let room = room.unwrap();
        assert_eq!((room.rev, room.last_seq), (state.rev, state.last_seq()));
        assert_eq!(room.member_count, state.member_count());
        let (_, name, topic, archived) = &state.settings;
        assert_eq!(
            (&room.name, &room.topic, room.archived_at),
            (name, topic, *archived)
        );
        let mine = room.mine.unwrap();
        assert_eq!(
            (mine.role, mine.last_read_seq),
            (role, state.markers[&user_id])
        );
        assert_eq!(
            (mine.unread_mentions, &mine.mentioned),
            (unread.len() as u64, &unread)
        );
        assert_eq!((mine.unread, &mine.deleted), (above, &deleted));
        let last = mine.last_message.map(|last| (last.seq, last.snippet));
        let expected = state.shown();
        let expected = expected.map(|(seq, row)| (seq, row.content.clone().unwrap_or_default()));
        assert_eq!(last, expected);
        let peer = state.members.keys().find(|id| **id != user_id);
        let peer = peer.filter(|_| room.kind == RoomKind::Direct);
        assert_eq!(mine.peer.map(|peer| peer.id).as_ref(), peer);
    }
}

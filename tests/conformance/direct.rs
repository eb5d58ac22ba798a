//! Direct rooms, and how many rooms a user may be in.

use std::sync::Arc;

use hearth::{
    limits,
    protocol::rest::{Role, RoomKind, UserSummary},
    store::{Direct, NewRoom, Outcome, Refused},
};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    node::{Place, refused, rooms_of, rooms_seen},
    state::State,
};

pub async fn a_direct_room_is_one(place: Place) {
    let node = Arc::new(place.node().await);
    let other = Arc::new(place.node().await);
    for _ in 0..50 {
        let users = node.users(2).await;
        let mut tasks = JoinSet::new();
        for n in 0..4 {
            let node = if n / 2 == 0 { &node } else { &other }.clone();
            let (by, with) = (users[n % 2].clone(), users[1 - n % 2].clone());
            tasks.spawn(async move { node.store.direct_room(by, with).await.unwrap().unwrap() });
        }
        let rooms = tasks.join_all().await;
        let room = rooms[0].room_id;
        assert!(
            rooms.iter().all(|direct| direct.room_id == room),
            "{rooms:?}"
        );
        assert_eq!(rooms.iter().filter(|direct| direct.new).count(), 1);
        for (user, peer) in [(0, 1), (1, 0)] {
            let shown = node
                .store
                .room(room, users[user].id)
                .await
                .unwrap()
                .unwrap();
            assert_eq!(
                (shown.kind, shown.member_count, shown.rev),
                (RoomKind::Direct, 2, 3)
            );
            let mine = shown.mine.unwrap();
            assert_eq!(
                (mine.role, mine.peer.as_ref()),
                (Role::Member, Some(&users[peer]))
            );
            assert_eq!(rooms_seen(&node, users[user].id).await, [room]);
        }
        // One of the two told its beginning.
        let told = [&node, &other].map(|node| node.told_of(room).len());
        assert_eq!(told.iter().sum::<usize>(), 3, "{told:?}");
    }
}

pub async fn direct_rooms_have_rules_of_their_own(place: Place) {
    let node = place.node().await;
    let users = node.users(3).await;
    let [ada, bob, stranger] = &users[..] else {
        unreachable!();
    };
    let direct = async |by: &UserSummary, with: &UserSummary| {
        let made = node.store.direct_room(by.clone(), with.clone());
        made.await.unwrap().unwrap()
    };
    let Direct { room_id: room, new } = direct(ada, bob).await;
    assert!(
        new && direct(bob, ada).await
            == Direct {
                room_id: room,
                new: false
            }
    );
    let (seq, _) = node.send(room, bob).await;
    node.pin(room, ada.id, seq, true).await;
    for outcome in [
        node.leave(room, ada).await,
        node.add(room, ada.id, stranger).await,
        node.remove(room, ada.id, bob).await,
        node.set_role(room, ada, bob, Role::Owner).await,
        node.archive(room, ada.id, true).await,
        node.delete_room(room, ada.id).await,
    ] {
        assert_eq!(refused(&outcome), Refused::Direct);
    }
    assert_eq!(
        refused(&node.delete(room, ada.id, seq).await),
        Refused::NotAuthor
    );
    for outcome in [
        node.join(room, stranger).await,
        node.send_id(room, stranger, Uuid::new_v4()).await,
        node.react(room, stranger.id, seq, "e", true).await,
        node.read(room, stranger.id, seq).await,
    ] {
        assert_eq!(refused(&outcome), Refused::NoRoom);
    }
    assert!(rooms_seen(&node, stranger.id).await.is_empty());
    // With oneself.
    let own = direct(ada, ada).await;
    assert!(own.new && direct(ada, ada).await.room_id == own.room_id);
    let shown = node.store.room(own.room_id, ada.id).await.unwrap().unwrap();
    assert_eq!(shown.member_count, 1);
    assert_eq!(shown.mine.unwrap().peer.as_ref(), Some(ada));
    assert_eq!(rooms_of(&node, ada.id).await, [room, own.room_id]);
    for room in [room, own.room_id] {
        let state = State::told(&node, room);
        state.check_tables(&place, room).await;
        state.check_pages(&node, room).await;
    }
}

/// A room that was deleted is none of those that one may be in, and neither is one that was left.
pub async fn a_deleted_room_leaves_a_place(place: Place) {
    let node = Arc::new(place.node().await);
    let users = node.users(3).await;
    let [owner, full, peer] = &users[..] else {
        unreachable!();
    };
    let rooms = limits::ROOMS_PER_USER_MAX as u64;
    let first = node.room(RoomKind::Public, owner, &users[1..2]).await;
    place.in_other_rooms(full.id, rooms - 1).await;
    let second = node.room(RoomKind::Public, owner, &[]).await;
    let third = node.room(RoomKind::Public, owner, &[]).await;
    let full_up = async || {
        assert_eq!(
            refused(&node.join(third, full).await),
            Refused::TooManyRooms
        );
        assert_eq!(
            refused(&node.add(third, owner.id, full).await),
            Refused::TooManyRooms
        );
        let direct = node
            .store
            .direct_room(peer.clone(), full.clone())
            .await
            .unwrap();
        assert_eq!(direct, Err(Refused::TooManyRooms));
        let made = node.store.create_room(NewRoom {
            kind: RoomKind::Private,
            name: "x".into(),
            topic: String::new(),
            owner: peer.clone(),
            members: vec![full.clone()],
        });
        assert_eq!(made.await.unwrap(), Err(Refused::TooManyRooms));
    };
    full_up().await;
    node.delete_room(first, owner.id).await;
    let joined = node.join(second, full).await;
    assert!(
        matches!(joined, Outcome::Joined { changed: true, .. }),
        "{joined:?}"
    );
    full_up().await;
    node.delete_room(second, owner.id).await;
    // One place, and two who want it.
    let direct = node.store.direct_room(full.clone(), peer.clone());
    let (joined, direct) = tokio::join!(node.join(third, full), direct);
    let joined = matches!(joined, Outcome::Joined { .. });
    assert!(joined != direct.unwrap().is_ok(), "one of them");
    let sql = format!(
        "SELECT COUNT(*) FROM room_members WHERE user_id = {} AND left_at IS NULL",
        full.id
    );
    assert_eq!(place.numbers(&sql).await, [[rooms]]);
}

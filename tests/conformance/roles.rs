//! Roles, settings, the archive and the deletion of a room.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use hearth::{
    protocol::{
        RoomId, UserId,
        rest::{Notify, Role, RoomKind, UserSummary},
    },
    store::{Change, EventBody, Outcome, Range, Refused, RoomFilter},
};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    node::{Place, refused, rooms_of, rooms_seen},
    state::State,
};

fn owners(state: &State) -> Vec<UserId> {
    let owners = state.members.iter();
    let owners = owners.filter(|(_, stay)| stay.role == Some(Role::Owner));
    owners.map(|(user, _)| *user).collect()
}

pub async fn roles_are_given_and_handed_over(place: Place) {
    let node = place.node().await;
    let users = node.users(4).await;
    let [owner, ada, bob, stranger] = &users[..] else {
        unreachable!();
    };
    let room = node.room(RoomKind::Private, owner, &users[1..3]).await;
    for (by, user, role, why) in [
        (ada, bob, Role::Admin, Refused::NotOwner),
        (ada, ada, Role::Owner, Refused::NotOwner),
        (stranger, bob, Role::Admin, Refused::NoRoom),
        (owner, stranger, Role::Admin, Refused::NoSuchMember),
        (owner, owner, Role::Member, Refused::OwnerStays),
    ] {
        assert_eq!(refused(&node.set_role(room, by, user, role).await), why);
    }
    assert_eq!(refused(&node.leave(room, owner).await), Refused::NoHeir);
    let head = node.head(room).await;
    let role = |outcome: Outcome| match outcome {
        Outcome::Joined {
            rev,
            role,
            changed,
            last_read_seq: 0,
            ..
        } => (rev, role, changed),
        other => panic!("{other:?}"),
    };
    let admin = node.set_role(room, owner, bob, Role::Admin).await;
    assert_eq!(role(admin), (head + 1, Role::Admin, true));
    let again = node.set_role(room, owner, bob, Role::Admin).await;
    assert_eq!(role(again), (head + 1, Role::Admin, false));
    let handed = node.set_role(room, owner, ada, Role::Owner).await;
    assert_eq!(role(handed), (head + 2, Role::Owner, true));
    assert_eq!(
        node.head(room).await,
        head + 3,
        "the old owner's row is one, too"
    );
    // The old owner came first.
    let left = node.leave(room, ada).await;
    assert_eq!(left, Outcome::Left { rev: head + 4 });
    assert_eq!(owners(&State::told(&node, room)), [owner.id]);
    let told = node.told_of(room);
    let EventBody::Member(heir) = &told.last().unwrap().body else {
        panic!("{told:?}");
    };
    assert_eq!(
        (heir.user.id, heir.role, heir.by),
        (owner.id, Some(Role::Owner), Some(ada.id))
    );
    assert_eq!(heir.user.username, owner.username);
    // Admins remove members only.
    node.add(room, owner.id, ada).await;
    node.set_role(room, owner, ada, Role::Admin).await;
    node.add(room, ada.id, stranger).await;
    assert_eq!(
        refused(&node.remove(room, ada.id, owner).await),
        Refused::OwnerStays
    );
    assert_eq!(
        refused(&node.remove(room, ada.id, bob).await),
        Refused::NotOwner
    );
    assert!(matches!(
        node.remove(room, ada.id, stranger).await,
        Outcome::Left { .. }
    ));
    assert!(matches!(
        node.remove(room, owner.id, bob).await,
        Outcome::Left { .. }
    ));
    // A user who comes back is a member.
    node.add(room, owner.id, bob).await;
    let state = State::told(&node, room);
    assert_eq!(state.members[&bob.id].role, Some(Role::Member));
    state.check_tables(&place, room).await;
    state.check_pages(&node, room).await;
}

pub async fn one_owner_whoever_races(place: Place) {
    let node = Arc::new(place.node().await);
    let users = node.users(5).await;
    for round in 0..20 {
        let room = node.room(RoomKind::Public, &users[0], &users[1..]).await;
        for heir in &users[1..3] {
            node.set_role(room, &users[0], heir, Role::Admin).await;
        }
        let mut tasks = JoinSet::new();
        let mut spawn = |change: Change| {
            let node = node.clone();
            tasks.spawn(async move {
                tokio::time::sleep(Duration::from_micros(round * 100)).await;
                node.append(change).await
            });
        };
        let [by, one, two] = [0, 1, 2].map(|n| users[n].clone());
        let hand = |user: &UserSummary| Change::SetRole {
            room_id: room,
            by: by.clone(),
            user: user.clone(),
            role: Role::Owner,
        };
        let leave = |user: &UserSummary| Change::Leave {
            room_id: room,
            user: user.clone(),
            heir: None,
        };
        if round % 2 == 0 {
            spawn(hand(&one));
            spawn(hand(&two));
        } else {
            spawn(leave(&by));
            spawn(leave(&one));
            spawn(leave(&two));
        }
        let outcomes = tasks.join_all().await;
        let refused = outcomes.iter().filter(|o| matches!(o, Outcome::Refused(_)));
        assert_eq!(refused.count(), 1, "the last one stays: {outcomes:?}");
        let state = State::told(&node, room);
        assert_eq!(owners(&state).len(), 1);
        let sql =
            format!("SELECT COUNT(*) FROM room_members WHERE room_id = {room} AND role = 'owner'");
        assert_eq!(place.numbers(&sql).await, [[1]]);
        state.check_tables(&place, room).await;
        state.check_pages(&node, room).await;
    }
}

pub async fn settings_and_the_archive(place: Place) {
    let node = place.node().await;
    let users = node.users(3).await;
    let [owner, member, guest] = &users[..] else {
        unreachable!();
    };
    let room = node.room(RoomKind::Public, owner, &users[1..2]).await;
    let (seq, _) = node.send(room, member).await;
    let set = async |by: UserId, name: &str, topic: &str| {
        let change = Change::Settings {
            room_id: room,
            by,
            name: Some(name.into()),
            topic: Some(topic.into()),
            archived: None,
        };
        node.append(change).await
    };
    assert_eq!(refused(&set(member.id, "x", "").await), Refused::NotAdmin);
    assert_eq!(refused(&set(guest.id, "x", "").await), Refused::NotMember);
    let head = node.head(room).await;
    assert_eq!(set(owner.id, "Straße", "a topic").await, Outcome::Set);
    assert_eq!(set(owner.id, "Straße", "a topic").await, Outcome::Set);
    assert_eq!(set(owner.id, "STRASSE", "a topic").await, Outcome::Set);
    assert_eq!(node.head(room).await, head + 2);
    let found = RoomFilter {
        user_id: member.id,
        mine: true,
        public: false,
        query: "strasse".into(),
    };
    let found = node.store.rooms(found, RoomId(0), 9).await.unwrap();
    assert_eq!(
        (found.len(), &*found[0].name),
        (1, "STRASSE"),
        "found by its new name"
    );
    // A marker, a leaving and the way back; all else is refused.
    assert_eq!(node.archive(room, owner.id, true).await, Outcome::Set);
    let id = Uuid::new_v4();
    for outcome in [
        node.send_id(room, member, id).await,
        node.edit(room, member.id, seq, "x", Default::default())
            .await,
        node.delete(room, member.id, seq).await,
        node.react(room, member.id, seq, "e", true).await,
        node.pin(room, owner.id, seq, true).await,
        node.join(room, guest).await,
        node.add(room, member.id, guest).await,
        node.remove(room, owner.id, member).await,
        node.set_role(room, owner, member, Role::Admin).await,
        set(owner.id, "y", "").await,
        node.delete_room(room, owner.id).await,
    ] {
        assert_eq!(refused(&outcome), Refused::Archived);
    }
    for room in node
        .store
        .rooms(
            RoomFilter {
                user_id: guest.id,
                mine: true,
                public: true,
                query: String::new(),
            },
            RoomId(0),
            9,
        )
        .await
        .unwrap()
    {
        assert!(room.archived_at.is_some(), "listed as what it is");
    }
    assert_eq!(
        node.read(room, owner.id, seq).await,
        Outcome::Read { last_read_seq: seq }
    );
    assert!(matches!(
        node.leave(room, member).await,
        Outcome::Left { .. }
    ));
    assert_eq!(node.archive(room, owner.id, false).await, Outcome::Set);
    assert_eq!(node.archive(room, owner.id, false).await, Outcome::Set);
    let state = State::told(&node, room);
    assert!(state.settings.3.is_none());
    state.check_tables(&place, room).await;
    state.check_pages(&node, room).await;
    // What a member wants to be told of takes no rev, and stays with them.
    let head = node.head(room).await;
    assert!(
        node.store
            .set_notify(room, owner.id, Notify::Mentions)
            .await
            .unwrap()
    );
    assert!(
        !node
            .store
            .set_notify(room, member.id, Notify::None)
            .await
            .unwrap()
    );
    let mine = node
        .store
        .room(room, owner.id)
        .await
        .unwrap()
        .unwrap()
        .mine
        .unwrap();
    assert_eq!(
        (mine.notify, node.head(room).await),
        (Notify::Mentions, head)
    );
}

pub async fn a_deleted_room_is_gone_everywhere(place: Place) {
    let node = place.node().await;
    let users = node.users(3).await;
    let [owner, member, guest] = &users[..] else {
        unreachable!();
    };
    let room = node.room(RoomKind::Public, owner, &users[1..2]).await;
    let other = node.room(RoomKind::Public, owner, &users[1..2]).await;
    let id = Uuid::new_v4();
    node.send_id(room, owner, id).await;
    node.pin(room, owner.id, 1, true).await;
    assert_eq!(
        refused(&node.delete_room(room, member.id).await),
        Refused::NotOwner
    );
    assert_eq!(
        refused(&node.delete_room(room, guest.id).await),
        Refused::NotMember
    );
    let head = node.head(room).await;
    assert_eq!(node.delete_room(room, owner.id).await, Outcome::RoomDeleted);
    for outcome in [
        node.delete_room(room, owner.id).await,
        node.join(room, guest).await,
        node.leave(room, member).await,
        node.read(room, member.id, 1).await,
        node.archive(room, owner.id, false).await,
        node.send_id(room, owner, Uuid::new_v4()).await,
    ] {
        assert_eq!(refused(&outcome), Refused::NoRoom);
    }
    let again = node.send_id(room, owner, id).await;
    assert!(
        matches!(
            again,
            Outcome::Sent {
                duplicate: true,
                ..
            }
        ),
        "for ever: {again:?}"
    );
    let heads = node.store.heads(&[room, other]).await.unwrap();
    assert_eq!(heads, [(room, head + 1, true), (other, 3, false)]);
    for user in &users {
        let mine = if user.id == guest.id {
            vec![]
        } else {
            vec![other]
        };
        assert_eq!(rooms_of(&node, user.id).await, mine);
        assert_eq!(rooms_seen(&node, user.id).await, [other]);
        let standings = node.store.standings(user.id, None).await.unwrap();
        assert!(standings.iter().map(|s| s.room_id).eq(mine));
        assert!(node.store.room(room, user.id).await.unwrap().is_none());
        assert!(
            !node
                .store
                .set_notify(room, user.id, Notify::None)
                .await
                .unwrap()
        );
    }
    assert!(
        node.store
            .history(room, Range::Latest, 9)
            .await
            .unwrap()
            .is_none()
    );
    assert!(node.store.changes(room, 0).await.unwrap().is_none());
    assert!(node.store.pins(room, 0, 9).await.unwrap().is_none());
    assert!(
        node.store
            .members(room, "", UserId(0), 9)
            .await
            .unwrap()
            .is_none()
    );
    let state = State::told(&node, room);
    assert!(state.ended);
    state.check_tables(&place, room).await;
}

pub async fn nothing_comes_after_the_end(place: Place) {
    let node = Arc::new(place.node().await);
    // Every other round another node deletes: then only the database's locks keep the order.
    let other = Arc::new(place.node().await);
    let users = node.users(6).await;
    for round in 0..16 {
        let deleter = if round % 2 == 0 { &node } else { &other };
        let room = node.room(RoomKind::Public, &users[0], &users[1..4]).await;
        let mut tasks = JoinSet::new();
        for (n, user) in users.iter().cloned().enumerate() {
            let node = node.clone();
            tasks.spawn(async move {
                let mut revs = Vec::new();
                loop {
                    let outcome = match n {
                        0..4 => node.send_id(room, &user, Uuid::new_v4()).await,
                        _ if revs.len() % 2 == 0 => node.join(room, &user).await,
                        _ => node.leave(room, &user).await,
                    };
                    match outcome {
                        Outcome::Sent { rev, .. }
                        | Outcome::Joined { rev, .. }
                        | Outcome::Left { rev } => revs.push(rev),
                        Outcome::Refused(Refused::NoRoom) => return revs,
                        other => panic!("{other:?}"),
                    }
                }
            });
        }
        tokio::time::sleep(Duration::from_millis(round)).await;
        let ended = deleter.delete_room(room, users[0].id).await;
        assert_eq!(ended, Outcome::RoomDeleted);
        let told = deleter.told_of(room);
        assert!(
            matches!(told.last().unwrap().body, EventBody::Deleted { .. }),
            "told before answered"
        );
        let revs = tasks.join_all().await.concat();
        let head = node.head(room).await;
        assert!(revs.iter().all(|rev| *rev < head));
        let unique: BTreeSet<_> = revs.iter().collect();
        assert_eq!(unique.len(), revs.len());
        let sql =
            format!("SELECT COUNT(*) FROM room_members WHERE room_id = {room} AND left_at IS NULL");
        assert_eq!(place.numbers(&sql).await, [[0]]);
        let newest = format!("SELECT MAX(rev) FROM messages WHERE room_id = {room}");
        if let [Some(newest)] = &place.select(&newest).await[0][..] {
            assert!(newest.parse::<u64>().unwrap() < head);
        }
        if round % 2 == 0 {
            let state = State::told(&node, room);
            state.check_tables(&place, room).await;
        }
    }
}

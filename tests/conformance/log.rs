//! One change after another: its outcome, and the events that it tells.

use hearth::{
    limits,
    protocol::rest::{Role, RoomKind},
    store::{Change, EventBody, NewRoom, Outcome, Refused},
};
use uuid::Uuid;

use crate::node::{Place, refused, send};

pub async fn sends_are_numbered_and_told(place: Place) {
    let node = place.node().await;
    let users = node.users(2).await;
    let room = node.room(RoomKind::Public, &users[0], &users[1..]).await;
    assert_eq!(node.head(room).await, 3, "two members: n + 1");
    for n in 1..=5 {
        let sender = &users[n as usize % 2];
        assert_eq!(node.send(room, sender).await, (n, 3 + n));
        let told = node.told_of(room);
        let last = told.last().unwrap();
        assert_eq!(
            (last.prev, last.rev),
            (2 + n, 3 + n),
            "told before it is answered"
        );
        let EventBody::Message(message) = &last.body else {
            panic!("{last:?}");
        };
        let stored = node.store.message(room, n).await.unwrap().unwrap();
        assert_eq!(**message, stored, "what is told is what is stored");
    }
    assert_eq!(node.store.message(room, 6).await.unwrap(), None);
    node.check_told(room).await;
    node.check_room(room).await;
    node.store.close().await;
    let after = node.store.append(send(room, &users[0], Uuid::new_v4()));
    assert!(after.await.is_err(), "a closed log takes nothing");
}

pub async fn an_id_is_stored_once(place: Place) {
    let node = place.node().await;
    let users = node.users(2).await;
    let rooms = [
        node.room(RoomKind::Public, &users[0], &users[1..]).await,
        node.room(RoomKind::Public, &users[0], &users[1..]).await,
    ];
    let id = Uuid::new_v4();
    let first = node.send_id(rooms[0], &users[0], id).await;
    let Outcome::Sent {
        seq: 1,
        rev: 4,
        created_at,
        duplicate: false,
    } = first
    else {
        panic!("{first:?}");
    };
    node.send(rooms[0], &users[1]).await;
    let again = Outcome::Sent {
        seq: 1,
        rev: 4,
        created_at,
        duplicate: true,
    };
    let other_text = Change::Send {
        room_id: rooms[0],
        sender: users[0].clone(),
        id,
        content: "another text".into(),
        reply_to: Some(99),
        named: Default::default(),
    };
    assert_eq!(node.append(other_text).await, again);
    for (room, sender) in [(rooms[0], &users[1]), (rooms[1], &users[0])] {
        let other = node.send_id(room, sender, id).await;
        let new = matches!(
            other,
            Outcome::Sent {
                duplicate: false,
                ..
            }
        );
        assert!(new, "another author's, another room's: {other:?}");
    }
    node.check_told(rooms[0]).await;
    node.check_room(rooms[0]).await;
}

pub async fn an_id_is_known_for_ever(place: Place) {
    let node = place.node().await;
    let users = node.users(2).await;
    let room = node.room(RoomKind::Private, &users[0], &users[1..]).await;
    let (id, refused_id) = (Uuid::new_v4(), Uuid::new_v4());
    node.send_id(room, &users[1], id).await;
    node.remove(room, users[0].id, &users[1]).await;
    let again = node.send_id(room, &users[1], id).await;
    assert!(
        matches!(
            again,
            Outcome::Sent {
                seq: 1,
                duplicate: true,
                ..
            }
        ),
        "{again:?}"
    );
    let new = node.send_id(room, &users[1], refused_id).await;
    assert_eq!(refused(&new), Refused::NoRoom);
    node.add(room, users[0].id, &users[1]).await;
    let new = node.send_id(room, &users[1], refused_id).await;
    assert!(
        matches!(
            new,
            Outcome::Sent {
                seq: 2,
                duplicate: false,
                ..
            }
        ),
        "what was refused was never stored: {new:?}"
    );
    // On another node, after a restart of this one.
    node.store.close().await;
    let node = place.node().await;
    let again = node.send_id(room, &users[1], id).await;
    assert!(
        matches!(
            again,
            Outcome::Sent {
                seq: 1,
                duplicate: true,
                ..
            }
        ),
        "{again:?}"
    );
}

pub async fn joining_and_leaving(place: Place) {
    let node = place.node().await;
    let users = node.users(2).await;
    let (owner, guest) = (&users[0], &users[1]);
    let room = node.room(RoomKind::Public, owner, &[]).await;
    node.send(room, owner).await;
    assert_eq!(refused(&node.leave(room, guest).await), Refused::NotMember);
    assert_eq!(refused(&node.leave(room, owner).await), Refused::NoHeir);
    let joined = node.join(room, guest).await;
    let Outcome::Joined {
        rev: 4,
        role: Role::Member,
        last_read_seq: 1,
        changed: true,
        joined_at,
    } = joined
    else {
        panic!("{joined:?}");
    };
    let again = node.join(room, guest).await;
    assert_eq!(
        again,
        Outcome::Joined {
            rev: 4,
            role: Role::Member,
            last_read_seq: 1,
            changed: false,
            joined_at
        }
    );
    node.send(room, guest).await;
    let left = node.leave(room, guest).await;
    assert_eq!(left, Outcome::Left { rev: 6 });
    assert_eq!(refused(&node.leave(room, guest).await), Refused::NotMember);
    let nobody = node.send_id(room, guest, Uuid::new_v4()).await;
    assert_eq!(refused(&nobody), Refused::NotMember);
    node.send(room, owner).await;
    let back = node.join(room, guest).await;
    assert!(
        matches!(
            back,
            Outcome::Joined {
                rev: 8,
                last_read_seq: 3,
                changed: true,
                ..
            }
        ),
        "{back:?}"
    );
    let members: Vec<(Option<Role>, u64)> = node
        .told_of(room)
        .iter()
        .filter_map(|event| match &event.body {
            EventBody::Member(member) => {
                let who = if member.role == Some(Role::Owner) {
                    owner.id
                } else {
                    guest.id
                };
                assert_eq!(member.user.id, who);
                assert_eq!(member.by, Some(who));
                assert!(member.at.is_some());
                Some((member.role, member.member_count))
            }
            _ => None,
        })
        .collect();
    let member = Some(Role::Member);
    let expected = [(Some(Role::Owner), 1), (member, 2), (None, 1), (member, 2)];
    assert_eq!(members, expected);
    node.check_told(room).await;
    node.check_room(room).await;
}

pub async fn adding_and_removing(place: Place) {
    let node = place.node().await;
    let users = node.users(4).await;
    let (owner, member, guest) = (&users[0], &users[1], &users[2]);
    let room = node.room(RoomKind::Public, owner, &users[1..2]).await;
    let stranger = users[3].id;
    let table = [
        (node.add(room, stranger, guest).await, Refused::NotMember),
        (
            node.remove(room, stranger, member).await,
            Refused::NotMember,
        ),
        (node.remove(room, member.id, owner).await, Refused::NotAdmin),
        (
            node.remove(room, member.id, member).await,
            Refused::NotAdmin,
        ),
        (
            node.remove(room, owner.id, owner).await,
            Refused::OwnerStays,
        ),
        (
            node.remove(room, owner.id, guest).await,
            Refused::NoSuchMember,
        ),
    ];
    for (outcome, why) in &table {
        assert_eq!(refused(outcome), *why);
    }
    let added = node.add(room, member.id, guest).await;
    assert!(
        matches!(
            added,
            Outcome::Joined {
                rev: 4,
                changed: true,
                ..
            }
        ),
        "{added:?}"
    );
    let again = node.add(room, owner.id, guest).await;
    assert!(
        matches!(
            again,
            Outcome::Joined {
                rev: 4,
                changed: false,
                ..
            }
        ),
        "{again:?}"
    );
    let removed = node.remove(room, owner.id, guest).await;
    assert_eq!(removed, Outcome::Left { rev: 5 });
    let told = node.told_of(room);
    let EventBody::Member(last) = &told.last().unwrap().body else {
        panic!();
    };
    assert_eq!(
        (last.role, last.by, last.user.id),
        (None, Some(owner.id), guest.id)
    );
    node.check_told(room).await;
}

pub async fn private_rooms_hide(place: Place) {
    let node = place.node().await;
    let users = node.users(3).await;
    let room = node.room(RoomKind::Private, &users[0], &users[1..2]).await;
    let missing = hearth::protocol::RoomId(room.0 + 1_000);
    let stranger = &users[2];
    for room in [room, missing] {
        for outcome in [
            node.join(room, stranger).await,
            node.leave(room, stranger).await,
            node.add(room, stranger.id, &users[1]).await,
            node.remove(room, stranger.id, &users[1]).await,
            node.read(room, stranger.id, 1).await,
            node.send_id(room, stranger, Uuid::new_v4()).await,
        ] {
            assert_eq!(refused(&outcome), Refused::NoRoom);
        }
    }
    let present = node.join(room, &users[1]).await;
    assert!(
        matches!(present, Outcome::Joined { changed: false, .. }),
        "{present:?}"
    );
    node.leave(room, &users[1]).await;
    assert_eq!(refused(&node.join(room, &users[1]).await), Refused::NoRoom);
    assert_eq!(node.head(room).await, 4);
    assert!(node.store.changes(missing, 0).await.unwrap().is_none());
    assert!(
        node.store
            .room(missing, stranger.id)
            .await
            .unwrap()
            .is_none()
    );
}

pub async fn markers_only_rise(place: Place) {
    let node = place.node().await;
    let users = node.users(2).await;
    let room = node.room(RoomKind::Public, &users[0], &users[1..]).await;
    for _ in 0..3 {
        node.send(room, &users[0]).await;
    }
    let marker = async |user: usize| {
        let standings = node.store.standings(users[user].id, Some(&[room])).await;
        standings.unwrap()[0].last_read_seq
    };
    assert_eq!(
        (marker(0).await, marker(1).await),
        (3, 0),
        "sending moves it"
    );
    for (asked, stands) in [(2, 2), (1, 2), (0, 2), (99, 3)] {
        let outcome = node.read(room, users[1].id, asked).await;
        assert_eq!(
            outcome,
            Outcome::Read {
                last_read_seq: stands
            }
        );
        assert_eq!(marker(1).await, stands);
    }
    assert_eq!(node.head(room).await, 6, "reading takes no rev");
    node.check_told(room).await;
}

pub async fn replies_name_messages(place: Place) {
    let node = place.node().await;
    let user = node.user().await;
    let room = node.room(RoomKind::Public, &user, &[]).await;
    let reply = |reply_to| Change::Send {
        room_id: room,
        sender: user.clone(),
        id: Uuid::new_v4(),
        content: "yes".into(),
        reply_to: Some(reply_to),
        named: Default::default(),
    };
    assert_eq!(
        refused(&node.append(reply(1)).await),
        Refused::NoSuchMessage
    );
    node.send(room, &user).await;
    assert_eq!(
        refused(&node.append(reply(0)).await),
        Refused::NoSuchMessage
    );
    assert_eq!(
        refused(&node.append(reply(2)).await),
        Refused::NoSuchMessage
    );
    assert!(matches!(
        node.append(reply(1)).await,
        Outcome::Sent { seq: 2, .. }
    ));
    let stored = node.store.message(room, 2).await.unwrap().unwrap();
    assert_eq!(stored.reply_to, Some(1));
    place.meddle("UPDATE rooms SET first_seq = 2").await;
    assert_eq!(
        refused(&node.append(reply(1)).await),
        Refused::NoSuchMessage
    );
}

pub async fn a_room_begins_with_its_members(place: Place) {
    let node = place.node().await;
    let users = node.users(4).await;
    let room = NewRoom {
        kind: RoomKind::Private,
        name: "Späße 👍".into(),
        topic: "a topic".into(),
        owner: users[0].clone(),
        members: vec![
            users[3].clone(),
            users[1].clone(),
            users[0].clone(),
            users[2].clone(),
            users[1].clone(),
        ],
    };
    let room = node.store.create_room(room).await.unwrap().unwrap();
    let told = node.told_of(room);
    assert_eq!(told.len(), 5, "settings, owner, three members");
    let EventBody::Room(settings) = &told[0].body else {
        panic!("{told:?}");
    };
    assert_eq!((settings.rev, settings.name.as_str()), (1, "Späße 👍"));
    for (n, event) in (1..).zip(&told[1..]) {
        let EventBody::Member(member) = &event.body else {
            panic!("{event:?}");
        };
        assert_eq!(member.user, users[n as usize - 1]);
        assert_eq!((member.by, member.member_count), (Some(users[0].id), n));
        let role = if n == 1 { Role::Owner } else { Role::Member };
        assert_eq!(member.role, Some(role));
    }
    node.check_told(room).await;
    let (events, page) = node.catch_up(room, 0).await;
    assert_eq!((events.len(), page.head), (5, 5));
    let seen = node.store.room(room, users[2].id).await.unwrap().unwrap();
    assert_eq!((seen.rev, seen.member_count, seen.last_seq), (5, 4, 0));
    assert_eq!(seen.mine.unwrap().role, Role::Member);
}

pub async fn a_user_is_in_so_many_rooms(place: Place) {
    let node = place.node().await;
    let users = node.users(2).await;
    let last = node.room(RoomKind::Public, &users[0], &[]).await;
    let max = limits::ROOMS_PER_USER_MAX as u64;
    // Rooms that nobody made, to save the test's time.
    let rows: Vec<String> = (1..=max)
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
    assert_eq!(
        refused(&node.join(last, &users[1]).await),
        Refused::TooManyRooms
    );
    let added = node.add(last, users[0].id, &users[1]).await;
    assert_eq!(refused(&added), Refused::TooManyRooms);
    let new = |owner: usize, member: usize| NewRoom {
        kind: RoomKind::Public,
        name: "one too many".into(),
        topic: String::new(),
        owner: users[owner].clone(),
        members: vec![users[member].clone()],
    };
    for (owner, member) in [(0, 1), (1, 0)] {
        let made = node.store.create_room(new(owner, member)).await.unwrap();
        assert_eq!(made, Err(Refused::TooManyRooms));
    }
    assert_eq!(node.head(last).await, 2, "a refusal takes no rev");
    place
        .meddle("UPDATE room_members SET left_at = 1 WHERE room_id = 1000001")
        .await;
    assert!(matches!(
        node.join(last, &users[1]).await,
        Outcome::Joined { .. }
    ));
}

//! Accounts, sessions, lists of rooms.

use hearth::{
    limits,
    limits::SESSIONS_PER_USER_MAX,
    protocol::{
        RoomId, SessionId, Time, UserId,
        fold::plain,
        rest::{RoomKind, UserKind},
    },
    store::{
        Change, Error, NewRoom, NewUser, RoomFilter,
        sessions::{Exchange, Exchanged, NewSession},
    },
};
use uuid::Uuid;

use crate::node::{Place, in_an_hour};

fn new(username: &str, email: &str) -> NewUser {
    NewUser {
        username: username.into(),
        email: email.into(),
        full_name: Some("A Name".into()),
        password_hash: "$argon2id$".into(),
    }
}

pub async fn names_are_taken_once(place: Place) {
    let node = place.node().await;
    let store = &node.store;
    let ada = store
        .create_user(new("Ada", "Ada@example.org"))
        .await
        .unwrap();
    assert_eq!(ada.user.kind, UserKind::Person);
    for (username, email, field) in [
        ("ada", "other@example.org", "username"),
        ("ＡＤＡ", "other@example.org", "username"),
        ("ADA", "ADA@example.org", "username"),
        ("other", "ADA@EXAMPLE.ORG", "email"),
        // A value that looks like an index's name.
        ("other", "ada@example.org", "email"),
    ] {
        let taken = store.create_user(new(username, email)).await;
        assert!(
            matches!(taken, Err(Error::Taken(f)) if f == field),
            "{taken:?}"
        );
    }
    store
        .create_user(new("users_email", "users_username@example.org"))
        .await
        .unwrap();
    for (username, email, field) in [
        ("users_email", "b@example.org", "username"),
        ("c", "users_username@example.org", "email"),
    ] {
        let taken = store.create_user(new(username, email)).await;
        assert!(
            matches!(taken, Err(Error::Taken(f)) if f == field),
            "{taken:?}"
        );
    }
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..20 {
        let store = store.clone();
        let user = new("race", &format!("race{n}@example.org"));
        tasks.spawn(async move { store.create_user(user).await });
    }
    let won = tasks
        .join_all()
        .await
        .iter()
        .filter(|made| made.is_ok())
        .count();
    assert_eq!(won, 1);
}

pub async fn keys_are_compared_by_bytes(place: Place) {
    let node = place.node().await;
    let store = &node.store;
    // Folding decides what is one name; the database adds no opinion of its own.
    for name in [
        "strasse",
        "ａlpha",
        "a\u{308}gypten2",
        "👍",
        "👎",
        "space",
        "space ",
        "ö",
        "o",
    ] {
        let made = store
            .create_user(new(name, &format!("{name}@example.org")))
            .await;
        made.unwrap_or_else(|error| panic!("{name:?}: {error}"));
    }
    let taken = store.create_user(new("straße", "x@example.org")).await;
    assert!(matches!(taken, Err(Error::Taken("username"))), "{taken:?}");
    let found = async |key: &str| {
        let found = store.user_by_name(key).await.unwrap();
        found.map(|row| row.user.username)
    };
    assert_eq!(found("👍").await.as_deref(), Some("👍"));
    assert_eq!(found("👎").await.as_deref(), Some("👎"));
    assert_eq!(found("space ").await.as_deref(), Some("space "));
    assert_eq!(found("SPACE").await, None, "keys are folded by who asks");
    assert_eq!(found("space  ").await, None);
    // A name whose folded form is longer than any index takes.
    let long = "\u{fdfa}".repeat(254);
    store.create_user(new("long", &long)).await.unwrap();
    let taken = store.create_user(new("long2", &long)).await;
    assert!(matches!(taken, Err(Error::Taken("email"))), "{taken:?}");
    store
        .create_user(new(&"\u{fdfa}".repeat(32), "l@example.org"))
        .await
        .unwrap();
    // Texts come back as they were, whatever their bytes.
    let user = node.named("texts").await;
    let room = node.room(RoomKind::Public, &user, &[]).await;
    for content in [
        "trailing  ",
        "👍",
        "a",
        "A",
        "e\u{301}",
        "é",
        "line\r\nline\t",
        "'\\\"; --",
        "{}",
    ] {
        let change = Change::Send {
            room_id: room,
            sender: user.clone(),
            id: Uuid::new_v4(),
            content: content.into(),
            reply_to: None,
            named: Default::default(),
        };
        node.append(change).await;
        let last = node
            .store
            .room(room, user.id)
            .await
            .unwrap()
            .unwrap()
            .last_seq;
        let stored = node.store.message(room, last).await.unwrap().unwrap();
        assert_eq!(stored.content.as_deref(), Some(content));
    }
}

pub async fn users_are_found(place: Place) {
    let node = place.node().await;
    let store = &node.store;
    let mut ids = Vec::new();
    for name in ["anna", "Anton", "berta", "ANNE", "a.b", "a%b"] {
        ids.push(node.named(name).await.id);
    }
    let search = async |prefix: &str, after: UserId, limit: usize| {
        let users = store.users(&plain(prefix), after, limit).await.unwrap();
        users
            .into_iter()
            .map(|user| user.username)
            .collect::<Vec<_>>()
    };
    let all = ["anna", "Anton", "berta", "ANNE", "a.b", "a%b"];
    assert_eq!(search("", UserId(0), 99).await, all);
    assert_eq!(search("AN", UserId(0), 99).await, ["anna", "Anton", "ANNE"]);
    assert_eq!(search("an", ids[0], 1).await, ["Anton"]);
    assert_eq!(search("a%", UserId(0), 9).await, ["a%b"]);
    assert_eq!(search("a_", UserId(0), 9).await, [] as [&str; 0]);
    place
        .meddle("UPDATE users SET is_active = 0 WHERE username = 'anna'")
        .await;
    assert_eq!(search("AN", UserId(0), 99).await, ["Anton", "ANNE"]);
    let many: Vec<UserId> = (0..2_500).map(UserId).collect();
    let found = store.users_by_ids(&many).await.unwrap();
    assert_eq!(found.iter().map(|user| user.id).collect::<Vec<_>>(), ids);
    assert!(store.users_by_ids(&[]).await.unwrap().is_empty());
    let row = store.user(ids[1]).await.unwrap().unwrap();
    assert_eq!(row.user.email.as_deref(), Some("Anton@example.org"));
    assert_eq!(row.password_hash.as_deref(), Some("$argon2id$"));
    assert!(store.user(UserId(999)).await.unwrap().is_none());
}

pub async fn sessions_end(place: Place) {
    let node = place.node().await;
    let user = node.user().await;
    let open = async |id: u64, expires_at: Time| {
        let session = NewSession {
            id: SessionId(id),
            user_id: user.id,
            verified: None,
            refresh_hash: [id as u8; 32],
            user_agent: "a browser".into(),
            expires_at,
        };
        node.store.create_session(session).await.unwrap();
    };
    open((1 << 53) - 1, in_an_hour()).await;
    open(2, Time(Time::now().0 - 1)).await;
    open(3, in_an_hour()).await;
    place
        .meddle("UPDATE auth_sessions SET revoked_at = 1 WHERE id = 3")
        .await;
    let found = async |id: u64| node.store.session_user(SessionId(id)).await.unwrap();
    assert_eq!(found((1 << 53) - 1).await.unwrap().user.id, user.id);
    for id in [2, 3, 4] {
        assert!(found(id).await.is_none(), "{id}");
    }
    assert!(node.store.ping().await.is_ok());
}

pub async fn lists_of_rooms(place: Place) {
    let node = place.node().await;
    let users = node.users(3).await;
    let mut rooms: Vec<RoomId> = Vec::new();
    for (kind, name, members) in [
        (RoomKind::Public, "General", 1),
        (RoomKind::Private, "SECRET Straße", 1),
        (RoomKind::Public, "100% off", 0),
        (RoomKind::Private, "his own", 0),
    ] {
        let room = NewRoom {
            kind,
            name: name.into(),
            topic: "about".into(),
            owner: users[0].clone(),
            members: users[1..=members].to_vec(),
        };
        rooms.push(node.store.create_room(room).await.unwrap().unwrap());
    }
    let list =
        async |user: usize, mine: bool, public: bool, query: &str, after: RoomId, limit: usize| {
            let filter = RoomFilter {
                user_id: users[user].id,
                mine,
                public,
                query: query.into(),
            };
            let found = node.store.rooms(filter, after, limit).await.unwrap();
            found
                .into_iter()
                .map(|room| {
                    let at = rooms.iter().position(|id| *id == room.id).unwrap();
                    (at, room.mine.is_some())
                })
                .collect::<Vec<_>>()
        };
    let none = RoomId(0);
    assert_eq!(
        list(1, true, false, "", none, 9).await,
        [(0, true), (1, true)]
    );
    assert_eq!(
        list(1, true, true, "", none, 9).await,
        [(0, true), (1, true), (2, false)]
    );
    assert_eq!(list(1, false, true, "", none, 9).await, [(2, false)]);
    assert_eq!(list(1, false, false, "", none, 9).await, []);
    assert_eq!(
        list(2, true, true, "", none, 9).await,
        [(0, false), (2, false)]
    );
    assert_eq!(
        list(0, true, false, "", rooms[0], 2).await,
        [(1, true), (2, true)]
    );
    assert_eq!(list(1, true, true, "strasse", none, 9).await, [(1, true)]);
    assert_eq!(list(2, true, true, "STRASSE", none, 9).await, []);
    assert_eq!(list(0, true, true, "% O", none, 9).await, [(2, true)]);
    assert_eq!(list(0, true, true, "_", none, 9).await, []);
    let text = "é".repeat(limits::SNIPPET_CHARS + 5);
    let change = Change::Send {
        room_id: rooms[0],
        sender: users[0].clone(),
        id: Uuid::new_v4(),
        content: text,
        reply_to: None,
        named: Default::default(),
    };
    node.append(change).await;
    let room = node
        .store
        .room(rooms[0], users[1].id)
        .await
        .unwrap()
        .unwrap();
    let mine = room.mine.unwrap();
    let last = mine.last_message.unwrap();
    assert_eq!((room.last_seq, mine.last_read_seq, last.seq), (1, 0, 1));
    assert_eq!(last.snippet, "é".repeat(limits::SNIPPET_CHARS));
    assert_eq!(last.sender, users[0]);
    let seen = node
        .store
        .room(rooms[0], users[2].id)
        .await
        .unwrap()
        .unwrap();
    assert!(seen.mine.is_none());
    node.remove(rooms[0], users[0].id, &users[1]).await;
    assert_eq!(list(1, true, false, "", none, 9).await, [(1, true)]);
}

pub async fn standings_by_room(place: Place) {
    let node = place.node().await;
    let users = node.users(2).await;
    let mut rooms = Vec::new();
    for n in 0..9 {
        let members = if n % 3 == 0 {
            &users[1..1]
        } else {
            &users[1..]
        };
        rooms.push(node.room(RoomKind::Public, &users[0], members).await);
    }
    node.send(rooms[1], &users[0]).await;
    node.leave(rooms[2], &users[1]).await;
    let all = node.store.standings(users[1].id, None).await.unwrap();
    let ids: Vec<RoomId> = all.iter().map(|standing| standing.room_id).collect();
    assert_eq!(ids, [rooms[1], rooms[4], rooms[5], rooms[7], rooms[8]]);
    assert_eq!(
        (all[0].rev, all[0].last_seq, all[0].last_read_seq),
        (4, 1, 0)
    );
    let mut asked: Vec<RoomId> = (1..1_500).rev().map(RoomId).collect();
    asked.push(rooms[1]);
    let some = node
        .store
        .standings(users[1].id, Some(&asked))
        .await
        .unwrap();
    assert_eq!(some, all, "unknown rooms and repeats are left out");
    let one = node
        .store
        .standings(users[1].id, Some(&rooms[2..5]))
        .await
        .unwrap();
    assert_eq!(one, all[1..2]);
    assert!(
        node.store
            .standings(users[1].id, Some(&[]))
            .await
            .unwrap()
            .is_empty()
    );
    let heads = node.store.heads(&asked).await.unwrap();
    assert_eq!(heads.len(), 9);
    assert!(heads.contains(&(rooms[1], 4, false)) && heads.contains(&(rooms[2], 4, false)));
}

/// 500 races on each database of two who exchange the same token at the same moment, from one device and from
/// two: one successor lives, or none.
pub async fn refresh_tokens_are_exchanged_once(place: Place) {
    let node = place.node().await;
    let user = node.user().await;
    let hash = |race: u64, step: u8| {
        let mut hash = [step; 32];
        hash[..8].copy_from_slice(&race.to_be_bytes());
        hash
    };
    for race in 1..=500 {
        let session = NewSession {
            id: SessionId(race),
            user_id: user.id,
            verified: None,
            refresh_hash: hash(race, 0),
            user_agent: "a browser".into(),
            expires_at: in_an_hour(),
        };
        node.store.create_session(session).await.unwrap();
        let exchange = async |from: u8, to: u8, user_agent: &str| {
            let exchange = Exchange {
                shown: hash(race, from),
                successor: hash(race, to),
                user_agent: user_agent.into(),
                reuse_ends: true,
                ago: None,
                expires_at: in_an_hour(),
            };
            node.store.exchange(exchange).await.unwrap()
        };
        let other = if race % 2 == 0 {
            "a browser"
        } else {
            "a thief"
        };
        let both = tokio::join!(exchange(0, 1, "a browser"), exchange(0, 1, other));
        let given = |exchanged: &Exchanged| {
            matches!(exchanged, Exchanged::Successor(..) | Exchanged::Again(..))
        };
        match (&both.0, &both.1) {
            (a, b) if other == "a browser" => {
                assert!(given(a) && given(b), "{race}: {both:?}");
                assert!(given(&exchange(1, 2, "a browser").await), "{race}");
                // Its successor was used: beside other tokens it is one that was left over,
                let left_over = Exchange {
                    shown: hash(race, 0),
                    successor: hash(race, 1),
                    user_agent: "a browser".into(),
                    reuse_ends: false,
                    ago: None,
                    expires_at: in_an_hour(),
                };
                let beside = node.store.exchange(left_over).await.unwrap();
                assert!(matches!(beside, Exchanged::Ended), "{race}: {beside:?}");
                // and alone: whoever shows the first one now has stolen one of them.
                let again = exchange(0, 1, "a browser").await;
                assert!(matches!(again, Exchanged::Reused(..)), "{race}: {again:?}");
                let last = exchange(2, 3, "a browser").await;
                assert!(matches!(last, Exchanged::Ended), "{race}: {last:?}");
            }
            (Exchanged::Successor(..), Exchanged::Reused(..))
            | (Exchanged::Reused(..), Exchanged::Successor(..)) => {
                let next = exchange(1, 2, "a browser").await;
                assert!(matches!(next, Exchanged::Ended), "{race}: {next:?}");
            }
            _ => panic!("{race}: {both:?}"),
        }
    }
    let unknown = Exchange {
        shown: [255; 32],
        successor: [254; 32],
        user_agent: "a browser".into(),
        reuse_ends: true,
        ago: None,
        expires_at: in_an_hour(),
    };
    let exchanged = node.store.exchange(unknown).await.unwrap();
    assert!(matches!(exchanged, Exchanged::Unknown), "{exchanged:?}");
}

pub async fn so_many_log_ins_live(place: Place) {
    let node = place.node().await;
    let user = node.user().await;
    let other = node.user().await;
    for id in 1..=SESSIONS_PER_USER_MAX as u64 + 5 {
        let session = NewSession {
            id: SessionId(id),
            user_id: if id == 3 { other.id } else { user.id },
            verified: None,
            refresh_hash: [id as u8; 32],
            user_agent: String::new(),
            expires_at: in_an_hour(),
        };
        node.store.create_session(session).await.unwrap();
    }
    // A password that was changed since it was verified begins no session, and takes no place.
    for (id, verified, begun) in [(1_000, "$argon2id$", true), (1_001, "$2b$", false)] {
        let session = NewSession {
            id: SessionId(id),
            user_id: other.id,
            verified: Some(verified.into()),
            refresh_hash: [(id % 251) as u8; 32],
            user_agent: String::new(),
            expires_at: in_an_hour(),
        };
        let made = node.store.create_session(session).await.unwrap();
        assert_eq!(made.is_some(), begun);
    }
    assert_eq!(
        node.store.sessions(user.id).await.unwrap().len(),
        SESSIONS_PER_USER_MAX
    );
    assert_eq!(node.store.sessions(other.id).await.unwrap().len(), 2);
    let ended = node.store.revocations_after(0).await.unwrap();
    assert_eq!(ended.len(), 4);
}

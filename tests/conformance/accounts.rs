//! Invites, password reset links and admins, with many at once and on several nodes.

use std::sync::Arc;

use hearth::{
    limits::{CLOCK_MARGIN, DELETED_AT_ONCE, INVITES_PER_USER_MAX, REVOCATIONS_KEPT},
    protocol::{
        SessionId, Time, UserId,
        rest::{RoomKind, SiteRole, UserSummary},
    },
    store::{
        Error, NewUser,
        admin::{AccountChange, Unchanged},
        invites::NewInvite,
        pending_jobs::Task,
        sessions::NewSession,
        users::Undeleted,
    },
};
use tokio::task::JoinSet;

use crate::node::{Node, Place, in_an_hour};

fn new(name: &str) -> NewUser {
    NewUser {
        username: name.into(),
        email: format!("{name}@example.org"),
        full_name: None,
        password_hash: "$argon2id$".into(),
    }
}

async fn admin(node: &Node, name: &str) -> UserSummary {
    let made = node.store.create_account(new(name), SiteRole::Admin);
    made.await.unwrap().user.summary()
}

fn invite(by: UserId, code: u8, max_uses: u64) -> NewInvite {
    NewInvite {
        code_hash: [code; 32],
        room_id: None,
        created_by: by,
        max_uses,
        expires_at: in_an_hour(),
    }
}

fn change(by: Option<&UserSummary>, whom: &UserSummary) -> AccountChange {
    AccountChange {
        user_id: whom.id,
        by: by.map(|by| by.id),
        is_active: None,
        role: None,
    }
}

pub async fn an_invite_makes_exactly_so_many_accounts(place: Place) {
    const USES: u64 = 9;
    let nodes = [Arc::new(place.node().await), Arc::new(place.node().await)];
    let ada = admin(&nodes[0], "ada").await;
    nodes[0]
        .store
        .create_invite(invite(ada.id, 1, USES))
        .await
        .unwrap()
        .unwrap();
    let mut tasks = JoinSet::new();
    for n in 0..100 {
        let node = nodes[n % 2].clone();
        tasks.spawn(async move {
            // Every third asks for a name that is taken.
            let name = if n % 3 == 0 {
                "ADA".into()
            } else {
                format!("guest{n}")
            };
            node.store.create_invited_user(new(&name), [1; 32]).await
        });
    }
    let (mut made, mut taken) = (0, 0);
    for answer in tasks.join_all().await {
        match answer {
            Ok(Some((row, joining))) => {
                assert_eq!(row.user.role, SiteRole::User);
                assert_eq!(joining, None);
                made += 1;
            }
            Ok(None) => {}
            Err(Error::Taken("username")) => taken += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(made, USES, "{taken} gave their use back");
    let uses = place.numbers("SELECT uses, max_uses FROM invites").await;
    assert_eq!(uses, [[USES, USES]]);
    assert_eq!(
        place.numbers("SELECT COUNT(*) FROM users").await,
        [[USES + 1]]
    );
}

pub async fn a_taken_name_gives_the_use_back(place: Place) {
    let node = place.node().await;
    let store = &node.store;
    let ada = admin(&node, "ada").await;
    let made = store
        .create_invite(invite(ada.id, 1, 1))
        .await
        .unwrap()
        .unwrap();
    for (user, field) in [
        (new("ADA"), "username"),
        (
            NewUser {
                email: "ADA@example.org".into(),
                ..new("eve")
            },
            "email",
        ),
    ] {
        let taken = store.create_invited_user(user, [1; 32]).await;
        assert!(
            matches!(taken, Err(Error::Taken(of)) if of == field),
            "{taken:?}"
        );
    }
    let listed = store.invites(Some(ada.id), 0, 10).await.unwrap();
    assert_eq!(listed, [made], "it is as it was");
    assert!(
        store
            .create_invited_user(new("bob"), [1; 32])
            .await
            .unwrap()
            .is_some()
    );
    assert!(!store.invite_is_valid([1; 32]).await.unwrap());
    assert!(
        store
            .create_invited_user(new("eve"), [1; 32])
            .await
            .unwrap()
            .is_none()
    );
}

pub async fn an_invite_is_worth_what_its_maker_is(place: Place) {
    let node = place.node().await;
    let store = &node.store;
    let ada = admin(&node, "ada").await;
    let room = node.room(RoomKind::Private, &ada, &[]).await;
    store
        .create_invite(invite(ada.id, 1, 9))
        .await
        .unwrap()
        .unwrap();
    let into = NewInvite {
        room_id: Some(room),
        ..invite(ada.id, 2, 9)
    };
    store.create_invite(into).await.unwrap().unwrap();
    let works = async |code: u8, name: &str| {
        let made = store
            .create_invited_user(new(name), [code; 32])
            .await
            .unwrap();
        made.map(|(_, joining)| joining.map(|job| job.task))
    };
    assert_eq!(works(1, "b1").await, Some(None));
    assert_eq!(works(2, "b2").await, Some(Some(Task::Join(room, ada.id))));
    let role = |role| AccountChange {
        role: Some(role),
        ..change(None, &ada)
    };
    store
        .change_account(role(SiteRole::User))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        works(1, "c1").await,
        None,
        "only admins invite without a room"
    );
    assert_eq!(works(2, "c2").await, Some(Some(Task::Join(room, ada.id))));
    store
        .change_account(role(SiteRole::Admin))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(works(1, "d1").await, Some(None));
    let active = |is_active| AccountChange {
        is_active: Some(is_active),
        ..change(None, &ada)
    };
    store.change_account(active(false)).await.unwrap().unwrap();
    assert_eq!(works(1, "e1").await, None);
    assert_eq!(works(2, "e2").await, None);
    store.change_account(active(true)).await.unwrap().unwrap();
    assert_eq!(works(2, "e2").await, Some(Some(Task::Join(room, ada.id))));
    // Checked again when it is used, whatever was asked before.
    place
        .meddle("UPDATE invites SET expires_at = 1 WHERE room_id IS NULL")
        .await;
    assert_eq!(works(1, "f1").await, None);
    assert_eq!(works(2, "f2").await, Some(Some(Task::Join(room, ada.id))));
}

pub async fn the_last_place_for_an_invite_goes_to_one(place: Place) {
    let nodes = [Arc::new(place.node().await), Arc::new(place.node().await)];
    let ada = admin(&nodes[0], "ada").await;
    for code in 1..INVITES_PER_USER_MAX as u8 {
        nodes[0]
            .store
            .create_invite(invite(ada.id, code, 1))
            .await
            .unwrap()
            .unwrap();
    }
    let mut tasks = JoinSet::new();
    for code in 200..220 {
        let node = nodes[code as usize % 2].clone();
        tasks.spawn(async move {
            node.store
                .create_invite(invite(ada.id, code, 1))
                .await
                .unwrap()
        });
    }
    let made = tasks.join_all().await.into_iter().flatten().count();
    assert_eq!(made, 1);
    let used = nodes[0]
        .store
        .create_invited_user(new("bob"), [1; 32])
        .await;
    assert!(used.unwrap().is_some());
    let another = nodes[0].store.create_invite(invite(ada.id, 250, 1)).await;
    assert!(another.unwrap().is_some(), "living ones count");
}

pub async fn a_reset_code_is_used_once(place: Place) {
    let nodes = [Arc::new(place.node().await), Arc::new(place.node().await)];
    let ada = nodes[0].user().await;
    for round in 1..=3 {
        let code = [round; 32];
        nodes[0]
            .store
            .allow_reset(ada.id, code, in_an_hour())
            .await
            .unwrap();
        let mut tasks = JoinSet::new();
        for n in 0..100 {
            let node = nodes[n % 2].clone();
            tasks.spawn(async move {
                node.store
                    .reset_password(code, format!("hash{n}"))
                    .await
                    .unwrap()
                    .map(|_| n)
            });
        }
        let won: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
        let [winner] = won[..] else {
            panic!("{won:?}");
        };
        let row = nodes[0].store.user(ada.id).await.unwrap().unwrap();
        assert_eq!(row.password_hash, Some(format!("hash{winner}")));
        assert_eq!(
            place.numbers("SELECT COUNT(*) FROM revocations").await,
            [[u64::from(round)]]
        );
    }
    let past = Time(Time::now().0 - 1);
    nodes[0]
        .store
        .allow_reset(ada.id, [9; 32], past)
        .await
        .unwrap();
    assert!(!nodes[0].store.reset_is_valid([9; 32]).await.unwrap());
    assert!(
        nodes[0]
            .store
            .reset_password([9; 32], "late".into())
            .await
            .unwrap()
            .is_none()
    );
}

/// Admins of two nodes who take each other's role, and their own, at the same moment: one is always left.
pub async fn an_admin_is_left_whoever_races(place: Place) {
    let nodes = [Arc::new(place.node().await), Arc::new(place.node().await)];
    let mut admins = Vec::new();
    for name in ["ada", "bob", "carol"] {
        admins.push(admin(&nodes[0], name).await);
    }
    for _ in 0..20 {
        let mut tasks = JoinSet::new();
        for n in 0..9 {
            let (by, whom) = (&admins[n / 3], &admins[n % 3]);
            let role = Some(SiteRole::User);
            let change = AccountChange {
                role,
                ..change(Some(by), whom)
            };
            let node = nodes[n % 2].clone();
            tasks.spawn(async move { node.store.change_account(change).await.unwrap() });
        }
        let answers = tasks.join_all().await;
        let done = answers.iter().filter(|answer| answer.is_ok()).count();
        assert!(done >= 2, "{answers:?}");
        let known = [Unchanged::NotAdmin, Unchanged::LastAdmin];
        assert!(
            answers
                .iter()
                .all(|a| a.as_ref().map_or_else(|why| known.contains(why), |_| true))
        );
        let left =
            place.numbers("SELECT COUNT(*) FROM users WHERE role = 'admin' AND is_active = 1");
        assert_eq!(left.await, [[1]], "{answers:?}");
        for who in &admins {
            let back = AccountChange {
                role: Some(SiteRole::Admin),
                ..change(None, who)
            };
            nodes[0].store.change_account(back).await.unwrap().unwrap();
        }
    }
}

/// The transaction checks the caller's right, whatever was checked before it.
pub async fn an_account_is_changed_by_active_admins_alone(place: Place) {
    let node = place.node().await;
    let store = &node.store;
    let (ada, eve) = (admin(&node, "ada").await, admin(&node, "eve").await);
    let bob = node.user().await;
    let disable = |by: &UserSummary, whom: &UserSummary| AccountChange {
        is_active: Some(false),
        ..change(Some(by), whom)
    };
    let refused = store.change_account(disable(&bob, &ada)).await.unwrap();
    assert_eq!(refused.unwrap_err(), Unchanged::NotAdmin);
    store
        .change_account(disable(&ada, &eve))
        .await
        .unwrap()
        .unwrap();
    let refused = store.change_account(disable(&eve, &bob)).await.unwrap();
    assert_eq!(refused.unwrap_err(), Unchanged::NotAdmin);
    assert!(store.user(bob.id).await.unwrap().unwrap().user.is_active);
}

/// A deletion by a password that isn't the user's any more does nothing; else their invites end with them.
pub async fn an_account_is_deleted_by_its_password(place: Place) {
    let node = place.node().await;
    let store = &node.store;
    let (ada, _) = (admin(&node, "ada").await, admin(&node, "eve").await);
    store
        .create_invite(invite(ada.id, 1, 1))
        .await
        .unwrap()
        .unwrap();
    store
        .allow_reset(ada.id, [1; 32], in_an_hour())
        .await
        .unwrap();
    let deleted = store.delete_user(ada.id, "$2b$".into()).await.unwrap();
    assert_eq!(deleted, Err(Undeleted::WrongPassword));
    assert!(store.reset_is_valid([1; 32]).await.unwrap());
    let deleted = store
        .delete_user(ada.id, "$argon2id$".into())
        .await
        .unwrap();
    assert_eq!(deleted.unwrap().task, Task::LeaveAll);
    assert!(!store.reset_is_valid([1; 32]).await.unwrap());
    assert!(store.invites(None, 0, 10).await.unwrap().is_empty());
    // It has no password by now, and nobody deletes it again.
    let again = store
        .delete_user(ada.id, "$argon2id$".into())
        .await
        .unwrap();
    assert_eq!(again, Err(Undeleted::WrongPassword));
}

/// Expired rows are removed, however many there are; live ones stay.
pub async fn what_is_over_is_forgotten(place: Place) {
    let node = place.node().await;
    let ada = admin(&node, "ada").await;
    let store = &node.store;
    let now = Time::now();
    // A clock that is wrong by an hour, or by ten, forgets nothing that lives.
    let (hour, margin) = (3_600_000, CLOCK_MARGIN.as_millis() as i64);
    let (ago, later) = (Time(now.0 - margin - hour), Time(now.0 + hour));
    let just_over = Time(now.0 - 10 * hour);
    for id in 1..=3 {
        let session = NewSession {
            id: SessionId(id),
            user_id: ada.id,
            verified: None,
            refresh_hash: [id as u8; 32],
            user_agent: String::new(),
            expires_at: later,
        };
        store.create_session(session).await.unwrap().unwrap();
        let code = invite(ada.id, id as u8, 1);
        store.create_invite(code).await.unwrap().unwrap();
    }
    let bob = node.user().await;
    let cleo = node.user().await;
    store
        .allow_reset(cleo.id, [3; 32], just_over)
        .await
        .unwrap();
    store.allow_reset(ada.id, [1; 32], later).await.unwrap();
    store.allow_reset(bob.id, [2; 32], ago).await.unwrap();
    store.end_sessions(bob.id, None).await.unwrap();
    for (table, at) in [("auth_sessions", "expires_at"), ("invites", "expires_at")] {
        for (id, over) in [(2, ago), (3, just_over)] {
            let sql = format!("UPDATE {table} SET {at} = {} WHERE id = {id}", over.0);
            place.meddle(&sql).await;
        }
    }
    // More than goes in one statement.
    for at in 0..DELETED_AT_ONCE + 10 {
        let read = now.0 - REVOCATIONS_KEPT.as_millis() as i64 - 1 - at as i64;
        place
            .meddle(&format!(
                "INSERT INTO revocations (user_id, revoked_at) VALUES (1, {read})"
            ))
            .await;
    }
    store.delete_ended(ago).await.unwrap();
    let rows = async |table: &str, key: &str| {
        place
            .numbers(&format!("SELECT {key} FROM {table} ORDER BY {key}"))
            .await
    };
    assert_eq!(rows("auth_sessions", "id").await, [[1], [3]]);
    assert_eq!(rows("invites", "id").await, [[1], [3]]);
    let resets = rows("password_resets", "user_id").await;
    assert_eq!(resets, [[ada.id.0], [cleo.id.0]]);
    assert_eq!(rows("revocations", "id").await.len(), 1);
}

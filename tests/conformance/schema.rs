//! The schema: made once, by whichever node comes first, and never downgraded.

use hearth::{
    protocol::{
        Seq, UserId,
        rest::{RoomKind, UserSummary},
    },
    store::{Error, Location, Store, migrate, pending_jobs::PendingJob},
};
use tokio::task::JoinSet;

use crate::{
    node::{Node, Place},
    state::State,
};

fn no_hook() -> hearth::store::CommitHook {
    std::sync::Arc::new(|_| {})
}

/// Of each database's migrations.
fn files() -> usize {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite");
    std::fs::read_dir(dir).unwrap().count()
}

pub async fn migrations_run_once(place: Place) {
    let options = place.options();
    assert_eq!(migrate::schema_version(&options).await.unwrap(), None);
    let first = migrate::migrate(&options).await.unwrap();
    assert_eq!(first.version, migrate::newest());
    assert_eq!(first.applied.len(), files());
    let second = migrate::migrate(&options).await.unwrap();
    assert!(second.applied.is_empty());
    assert_eq!(second.epoch, first.epoch, "an epoch is made once");
    let version = migrate::schema_version(&options).await.unwrap();
    assert_eq!(version, Some(migrate::newest()));
}

pub async fn several_nodes_migrate_at_once(place: Place) {
    let mut nodes = JoinSet::new();
    for _ in 0..6 {
        let options = place.options();
        nodes.spawn(async move {
            let store = Store::open(&options, no_hook()).await.unwrap();
            store.ping().await.unwrap();
            let epoch = store.epoch();
            store.close().await;
            epoch
        });
    }
    let epochs = nodes.join_all().await;
    assert!(epochs.iter().all(|epoch| *epoch == epochs[0]), "{epochs:?}");
}

pub async fn a_newer_schema_is_refused(place: Place) {
    let options = place.options();
    migrate::migrate(&options).await.unwrap();
    let newer = migrate::newest() + 1;
    place
        .meddle(&format!(
            "INSERT INTO schema_history (version, name, applied_on, checksum) \
             VALUES ({newer}, 'from_the_future', '2030-01-01T00:00:00Z', '1')"
        ))
        .await;
    for refused in [
        migrate::migrate(&options).await.map(drop),
        Store::open(&options, no_hook()).await.map(drop),
    ] {
        let Err(Error::Schema(why)) = refused else {
            panic!("{refused:?}");
        };
        assert!(
            why.contains("newer") && why.contains(&newer.to_string()),
            "{why}"
        );
    }
    assert_eq!(
        migrate::schema_version(&options).await.unwrap(),
        Some(newer)
    );
}

pub async fn a_reset_leaves_nothing(place: Place) {
    let options = place.options();
    let store = Store::open(&options, no_hook()).await.unwrap();
    let before = store.epoch();
    store.close().await;
    place.meddle("CREATE TABLE somebody_elses (id INT)").await;
    migrate::reset(&options).await.unwrap();
    assert_eq!(migrate::schema_version(&options).await.unwrap(), None);
    place.meddle("INSERT INTO somebody_elses VALUES (1)").await;
    let store = Store::open(&options, no_hook()).await.unwrap();
    assert_ne!(store.epoch(), before, "another log, another epoch");
    store.close().await;
}

/// Rows of an older program: reactions in several forms, keys by older rules.
pub async fn what_is_derived_is_made_anew(place: Place) {
    let node = place.node().await;
    let users = [
        node.named("İstanbul").await,
        node.named("bob").await,
        node.named("carol").await,
    ];
    let room = node.room(RoomKind::Public, &users[0], &users[1..]).await;
    let (seq, _) = node.send(room, &users[0]).await;
    let (plain, _) = node.send(room, &users[0]).await;
    for (user, emoji) in [
        (&users[0], "🎉"),
        (&users[1], "❤"),
        (&users[1], "❤\u{fe0f}"),
        (&users[1], "❤\u{fe0e}"),
        (&users[2], "❤\u{fe0f}"),
        (&users[2], "👍\u{fe0f}"),
        (&users[0], "👍"),
    ] {
        node.react(room, user.id, seq, emoji, true).await;
    }
    node.react(room, users[0].id, plain, "👍", true).await;
    let rev = node.head(room).await;
    let before = node.store.epoch();
    node.store.close().await;
    // The heart that came first is one that bob gave in an older form.
    place
        .meddle("UPDATE reactions SET rev = user_id + 10")
        .await;
    place
        .meddle("UPDATE reactions SET rev = 1 WHERE emoji = '❤'")
        .await;
    for sql in [
        "DELETE FROM meta WHERE name = 'derived'",
        "DELETE FROM user_names",
        "UPDATE rooms SET name_key = 'x'",
        "UPDATE users SET username = 'deleted-3' WHERE username = 'carol'",
        "INSERT INTO user_names (name, user_id) SELECT 'deleted-3', id FROM users WHERE username = 'deleted-3'",
    ] {
        place.meddle(sql).await;
    }
    // One that composing makes longer than may be stored.
    let longer = format!("a{}", "\u{344}".repeat(31));
    place
        .meddle(&format!(
            "INSERT INTO reactions (room_id, seq, emoji, user_id, rev) VALUES ({room}, {plain}, '{longer}', 1, 99)"
        ))
        .await;

    let node = place.node().await;
    assert_ne!(node.store.epoch(), before, "rows changed without a rev");
    let reactions = node.message(room, seq).await.reactions.into_iter();
    let reactions: Vec<_> = reactions
        .map(|one| (one.emoji, one.count, one.user_ids))
        .collect();
    let [first, second, third] = [0, 1, 2].map(|index: usize| users[index].id);
    assert_eq!(
        reactions,
        [
            ("❤\u{fe0f}".to_owned(), 2, vec![second, third]),
            ("🎉".to_owned(), 1, vec![first]),
            ("👍".to_owned(), 2, vec![first, third]),
        ]
    );
    let extra = place
        .select("SELECT extra FROM messages ORDER BY seq")
        .await;
    assert_eq!(extra[0][0].as_deref(), Some(r#"{"reactions":5}"#));
    assert_eq!(extra[1][0].as_deref(), Some(r#"{"reactions":1}"#));
    let stays = node.message(room, plain).await.reactions;
    assert_eq!(stays[1].emoji, longer);
    assert_eq!(node.head(room).await, rev);
    let found = node.store.users("istan", UserId(0), 9).await.unwrap();
    assert_eq!(found.len(), 1);
    let found = node.store.users("deleted", UserId(0), 9).await.unwrap();
    assert!(found.is_empty(), "{found:?}");
    let stale = "SELECT COUNT(*) FROM rooms WHERE name_key = 'x'";
    assert_eq!(place.select(stale).await[0][0].as_deref(), Some("0"));
    let after = node.store.epoch();
    node.store.close().await;

    // Done once more, it changes nothing, and clients need not read anything anew.
    place
        .meddle("DELETE FROM meta WHERE name = 'derived'")
        .await;
    let node = place.node().await;
    assert_eq!(node.store.epoch(), after);
    node.store.close().await;
}

/// In the log of a program that didn't note them.
pub async fn older_deletions_are_noted(place: Place) {
    let node = place.node().await;
    let users = node.users(2).await;
    let mut states = Vec::new();
    // None; one in the middle; the last ones; all; all among which a last message is looked for; an empty room.
    for (messages, deleted) in [
        (2, 0..0),
        (3, 2..3),
        (4, 3..5),
        (3, 1..4),
        (103, 2..104),
        (0, 0..0),
    ] {
        let room = node.room(RoomKind::Public, &users[0], &users[1..]).await;
        for _ in 0..messages {
            node.send(room, &users[0]).await;
        }
        for seq in deleted {
            node.delete(room, users[0].id, seq).await;
        }
        states.push((room, State::told(&node, room)));
    }
    node.store.close().await;
    let text = match place.location {
        Location::Sqlite(_) => "TEXT",
        Location::Mysql(_) => "VARBINARY(1200)",
    };
    for sql in [
        "DROP TABLE deletions",
        "ALTER TABLE rooms DROP COLUMN shown_seq",
        "ALTER TABLE rooms DROP COLUMN deleted_seq",
        "ALTER TABLE reactions RENAME COLUMN rev TO created_at",
        "ALTER TABLE pending_jobs RENAME TO chores",
        "DROP TABLE user_names",
        &format!("ALTER TABLE users ADD COLUMN search_key {text} NOT NULL DEFAULT ''"),
        "CREATE INDEX users_search ON users (search_key)",
        "DELETE FROM schema_history WHERE version >= 9",
    ] {
        place.meddle(sql).await;
    }
    let node = place.node().await;
    for (room, state) in states {
        state.check_tables(&place, room).await;
    }
    node.store.close().await;
}

/// The table of pending jobs had another name.
pub async fn pending_jobs_survive_an_upgrade(place: Place) {
    let node = place.node().await;
    let [user, other] = [node.user().await, node.user().await];
    let job = delete_account(&node, &user).await;
    node.store.close().await;
    for sql in [
        "ALTER TABLE pending_jobs RENAME TO chores",
        "DELETE FROM schema_history WHERE version >= 12",
    ] {
        place.meddle(sql).await;
    }
    let node = place.node().await;
    assert_eq!(node.store.pending_jobs(0).await.unwrap(), [job]);
    // A number is used once, whichever name the table had when it was given.
    node.store.delete_pending_job(&job).await.unwrap();
    let next = delete_account(&node, &other).await;
    assert!(next.id > job.id, "{next:?}");
    node.store.close().await;
    // MySQL commits each statement by itself. An older program may write to the table that a repeated version 6 has made.
    if let Location::Mysql(_) = place.location {
        for sql in [
            "CREATE TABLE chores LIKE pending_jobs",
            "INSERT INTO chores (id, user_id, created_at) SELECT 1, user_id, created_at FROM pending_jobs",
            "DELETE FROM schema_history WHERE version >= 12",
        ] {
            place.meddle(sql).await;
        }
        let node = place.node().await;
        let [kept, moved] = &node.store.pending_jobs(0).await.unwrap()[..] else {
            panic!("both jobs are pending");
        };
        assert_eq!(*kept, next);
        assert!(
            moved.id > next.id && moved.user_id == next.user_id,
            "{moved:?}"
        );
        node.store.close().await;
    }
}

async fn delete_account(node: &Node, user: &UserSummary) -> PendingJob {
    let deleted = node.store.delete_user(user.id, "$argon2id$".into()).await;
    deleted.unwrap().unwrap()
}

/// Steps are bounded by rows: the reactions to one message are joined in several, and several messages' in one.
pub async fn many_reactions_are_joined_in_steps(place: Place) {
    let node = place.node().await;
    let users = node.users(2).await;
    let room = node.room(RoomKind::Public, &users[0], &users[1..]).await;
    let mut seqs = Vec::new();
    for _ in 0..6 {
        seqs.push(node.send(room, &users[0]).await.0);
    }
    node.store.close().await;
    let [crowded, few @ ..] = &seqs[..] else {
        unreachable!();
    };
    let old = async |seq: &Seq, emoji: &str, upto: u64, at: &str| {
        // MariaDB counts to 1,000 that way.
        let numbers =
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 49)";
        place
            .meddle(&format!(
                "INSERT INTO reactions (room_id, seq, emoji, user_id, rev) {numbers}
                 SELECT {room}, {seq}, '{emoji}', 50 * a.i + b.i + 1, {at} FROM n a, n b WHERE 50 * a.i + b.i < {upto}"
            ))
            .await;
        place
            .meddle(&format!(
                "UPDATE messages SET extra = '{{\"reactions\":2800}}' WHERE room_id = {room} AND seq = {seq}"
            ))
            .await;
    };
    // The user's number is when they reacted in the old form; in the form that stays the first hundred did at 50.
    old(crowded, "❤", 2_500, "50 * a.i + b.i + 1").await;
    old(crowded, "❤\u{fe0f}", 100, "50").await;
    old(crowded, "👍\u{fe0f}", 200, "1").await;
    for seq in few {
        old(seq, "❤", 300, "50 * a.i + b.i + 1").await;
        old(seq, "❤\u{fe0e}", 200, "50").await;
    }
    place
        .meddle("DELETE FROM meta WHERE name = 'derived'")
        .await;
    let node = place.node().await;
    let stored = async |seq: &Seq| {
        let sql = format!(
            "SELECT emoji, COUNT(*), SUM(rev) FROM reactions WHERE seq = {seq} GROUP BY emoji ORDER BY emoji"
        );
        place
            .select(&sql)
            .await
            .concat()
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" ")
    };
    // Of 1 to 50 the old one is the earlier.
    let sum = |upto: u64, both: u64| {
        (1..=upto).sum::<u64>() - (51..=both).sum::<u64>() + 50 * (both - 50)
    };
    let expected = format!("❤\u{fe0f} 2500 {} 👍 200 200", sum(2_500, 100));
    assert_eq!(stored(crowded).await, expected);
    for seq in few {
        assert_eq!(
            stored(seq).await,
            format!("❤\u{fe0f} 300 {}", sum(300, 200))
        );
    }
    let extra = place
        .select("SELECT extra FROM messages ORDER BY seq")
        .await
        .concat();
    let of = |count: u64| Some(format!("{{\"reactions\":{count}}}"));
    assert_eq!(extra, [2_700, 2_600, 2_600, 2_600, 2_600, 2_600].map(of));
    node.store.close().await;
}

pub async fn an_epoch_stays(place: Place) {
    let mut epochs = Vec::new();
    for _ in 0..2 {
        let store = Store::open(&place.options(), no_hook()).await.unwrap();
        epochs.push(store.epoch());
        store.close().await;
    }
    assert_eq!(epochs[0], epochs[1]);
    place
        .meddle("UPDATE meta SET value = 'after a restore' WHERE name = 'log_epoch'")
        .await;
    let store = Store::open(&place.options(), no_hook()).await.unwrap();
    assert_eq!(&*store.epoch(), "after a restore");
    store.close().await;
    // A half-done migration is repeated: MySQL commits each statement by itself.
    if let Location::Mysql(_) = place.location {
        place.meddle("DROP TABLE messages").await;
        place.meddle("DELETE FROM schema_history").await;
        let report = migrate::migrate(&place.options()).await.unwrap();
        assert_eq!(report.epoch, "after a restore");
        assert_eq!(report.applied.len(), files());
    }
}

//! Query plans in a room of a million messages: everything that is asked for or changed is found by an index.
//!
//! MariaDB's general log, and on SQLite a trace, show the statements that the store really sends; the database is then
//! asked to explain each of them.

#![expect(
    unsafe_code,
    reason = "what SQLite runs is told by its C interface alone"
)]

use std::{
    collections::BTreeSet,
    ffi::{CStr, c_char, c_int, c_uint, c_void},
    sync::Mutex,
};

use hearth::{
    limits::SYNC_PAGE_ROWS,
    protocol::{
        RoomId, UserId,
        rest::{Role, RoomKind, SiteRole, UserSummary},
    },
    store::{Location, Outcome, Range, admin::AccountChange, users::Undeleted},
};
use mysql_async::{Conn, Row, prelude::Queryable};
use rusqlite::ffi;
use uuid::Uuid;

use crate::{
    million,
    node::{Node, Place, everyone, mentions},
};

const MESSAGES: u64 = 1_000_000;
/// A number that no other test's statements hold.
const ROOM: u64 = 918_273_645;
/// A part of every statement that looks for admins.
const ADMINS: &str = "role = 'admin' AND";

/// Everything that reads a room's log, at every place of it.
async fn read(node: &Node, room: RoomId, user: UserId) {
    let store = &node.store;
    let middle = MESSAGES / 2;
    for range in [
        Range::Latest,
        Range::Before(middle),
        Range::After(middle),
        Range::Around(middle),
    ] {
        let page = store.history(room, range, 50).await.unwrap().unwrap();
        assert_eq!(page.messages.len(), 50);
    }
    let head = million::head(store, room).await;
    for behind in [10, SYNC_PAGE_ROWS as u64, 100_000, head] {
        let page = store.changes(room, head - behind).await.unwrap().unwrap();
        assert!(!page.events.is_empty());
    }
    assert!(store.message(room, middle).await.unwrap().is_some());
    let sent = store.sent(room, user, Uuid::new_v4()).await.unwrap();
    assert!(sent.is_none());
    let (_, pins, _) = store.pins(room, middle, 50).await.unwrap().unwrap();
    assert_eq!(pins.len(), 50);
    let pinned = pins[0].seq;
    let reactions = store.reactions(room, pinned, ("", UserId(0)), 50);
    assert_eq!(reactions.await.unwrap().len(), 2);
    store.reactions_of(user, room, &[pinned]).await.unwrap();
    let standings = store.standings(user, Some(&[room])).await.unwrap();
    assert_eq!(standings[0].mentioned.len(), 100);
    assert_eq!(standings[0].deleted.len(), 100);
    assert!(store.room(room, user).await.unwrap().is_some());
}

/// Everything that changes it: each statement of an append that looks for rows.
async fn change(node: &Node, room: RoomId, members: &[UserSummary]) {
    let [owner, ada, bob, ..] = members else {
        unreachable!("there are ten");
    };
    // In turn they are the authors; this one is pinned and has reactions.
    let seq = MESSAGES / 2;
    let author = members[seq as usize % members.len()].id;
    let named = mentions(&[ada, bob]);
    node.mention(room, ada, "@bob", named.clone()).await;
    node.edit(room, author, seq, "other", named).await;
    node.edit(room, author, seq, "another", everyone()).await;
    node.set_role(room, owner, ada, Role::Admin).await;
    for on in [true, false] {
        node.react(room, bob.id, seq, "👎", on).await;
        node.pin(room, ada.id, seq + 1, on).await;
    }
    node.read(room, bob.id, seq).await;
    node.delete(room, ada.id, seq).await;
    let left = node.message(room, seq).await;
    assert!(left.content.is_none() && left.reactions.is_empty());
    node.leave(room, bob).await;
    node.join(room, bob).await;
    assert!(matches!(
        node.leave(room, owner).await,
        Outcome::Left { .. }
    ));
    node.archive(room, ada.id, true).await;
    node.archive(room, ada.id, false).await;
    assert_eq!(node.delete_room(room, ada.id).await, Outcome::RoomDeleted);
}

pub async fn a_room_of_a_million_messages_is_found_by_index(place: Place) {
    let node = place.node().await;
    let members = node.users(10).await;
    let first = node
        .room(RoomKind::Public, &members[0], &members[1..])
        .await;
    // The next room gets the number that is looked for.
    place
        .meddle(&format!("UPDATE rooms SET id = {ROOM} WHERE id = {first}"))
        .await;
    place
        .meddle(&format!("UPDATE room_members SET room_id = {ROOM}"))
        .await;
    let room = RoomId(ROOM);
    place.in_other_rooms(members[2].id, 900).await;
    place.in_other_rooms(members[3].id, 900).await;
    million::fill(&place.location, room, &members, MESSAGES).await;
    let deeds = async |node: Node| {
        read(&node, room, members[1].id).await;
        change(&node, room, &members).await;
    };
    // Another test may have begun to trace before: what prepares this one isn't one of the store's statements.
    let number = ROOM.to_string();
    TRACED.lock().unwrap().retain(|sql| !sql.contains(&number));
    let statements = statements(&place, &number, deeds).await;
    assert!(statements.len() >= 40, "{statements:#?}");
    for sql in statements {
        match &place.location {
            Location::Sqlite(path) => explain_sqlite(path, &sql),
            Location::Mysql(url) => explain_mysql(url, &sql).await,
        }
    }
}

pub async fn admins_are_found_by_index_among_many(place: Place) {
    let node = place.node().await;
    let admins = node.users(3).await;
    let change = |who: &UserSummary, role: SiteRole| AccountChange {
        user_id: who.id,
        by: None,
        is_active: None,
        role: Some(role),
    };
    for admin in &admins {
        let changed = node.store.change_account(change(admin, SiteRole::Admin));
        changed.await.unwrap().unwrap();
    }
    place
        .meddle(
            "INSERT INTO users (username, username_key, email, email_key, kind, role, is_active, created_at, updated_at)
             WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99)
             SELECT CONCAT('u', a.i * 100 + b.i), CONCAT('u', a.i * 100 + b.i), CONCAT('u', a.i * 100 + b.i),
                 CONCAT('u', a.i * 100 + b.i), 'person', 'user', 1, 0, 0
             FROM n a, n b",
        )
        .await;
    if let Location::Mysql(_) = place.location {
        place.meddle("ANALYZE TABLE users").await;
    }
    let deeds = async |node: Node| {
        let store = &node.store;
        assert!(store.has_admin().await.unwrap());
        let demoted = store.change_account(change(&admins[0], SiteRole::User));
        demoted.await.unwrap().unwrap();
        let delete = async |of: &UserSummary| {
            let deleted = store.delete_user(of.id, "$argon2id$".into()).await;
            deleted.unwrap().err()
        };
        assert_eq!(delete(&admins[1]).await, None);
        assert_eq!(delete(&admins[2]).await, Some(Undeleted::LastAdmin));
    };
    let mut statements = statements(&place, ADMINS, deeds).await;
    // The other test's are about admins of rooms.
    statements.retain(|sql| sql.contains("FROM users"));
    assert!(statements.len() >= 3, "{statements:#?}");
    for sql in statements {
        let (steps, sorted) = match &place.location {
            Location::Sqlite(path) => (steps_sqlite(path, &sql), "TEMP B-TREE"),
            Location::Mysql(url) => {
                let steps = steps_mysql(url, &sql).await;
                let step = |row: &Row| {
                    let column = |name: &str| row.get::<Option<String>, _>(name).flatten();
                    let parts =
                        ["type", "key", "Extra"].map(|name| column(name).unwrap_or_default());
                    assert!(["ref", "range"].contains(&&*parts[0]), "{sql}\n{row:?}");
                    parts.join(" ")
                };
                (steps.iter().map(step).collect(), "filesort")
            }
        };
        let found = steps.iter().all(|step| step.contains("users_admins"));
        assert!(found, "{sql}\n{steps:#?}");
        assert!(
            !steps.iter().any(|step| step.contains(sorted)),
            "{sql}\n{steps:#?}"
        );
    }
}

/// The statements with this text in them that look for rows and that these deeds, done by a node of their own,
/// send to the database.
async fn statements(
    place: &Place,
    marker: &str,
    deeds: impl AsyncFnOnce(Node),
) -> BTreeSet<String> {
    match &place.location {
        Location::Sqlite(_) => {
            trace_new_connections();
            // Its connections are new.
            deeds(place.node().await).await;
            let traced = TRACED.lock().unwrap();
            let marked = traced.iter().filter(|sql| sql.contains(marker));
            marked.cloned().collect()
        }
        Location::Mysql(url) => {
            // The log is the whole server's.
            static LOGGED: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
            let _alone = LOGGED.lock().await;
            let mut conn = Conn::from_url(url).await.unwrap();
            let log = "SET GLOBAL log_output = 'TABLE', GLOBAL general_log = ";
            conn.query_drop(format!("{log} ON")).await.unwrap();
            deeds(place.node().await).await;
            conn.query_drop(format!("{log} OFF")).await.unwrap();
            let marker = marker.replace('\'', "''");
            let sql = format!(
                "SELECT DISTINCT CONVERT(argument USING utf8mb4) FROM mysql.general_log
                 WHERE command_type = 'Execute' AND argument LIKE '%{marker}%'
                     AND (argument LIKE 'SELECT%' OR argument LIKE 'UPDATE%' OR argument LIKE 'DELETE%')"
            );
            let statements = conn.query::<String, _>(sql).await.unwrap();
            conn.disconnect().await.unwrap();
            statements.into_iter().collect()
        }
    }
}

/// Whether a statement's name for a table means one that holds a room's log or its members.
fn of_log(sql: &str, table: &str) -> bool {
    const NAMES: [&str; 8] = [
        "m",
        "messages",
        "reactions",
        "mentions",
        "x",
        "pins",
        "p",
        "room_members",
    ];
    NAMES.contains(&table) || (table == "r" && sql.contains("reactions r "))
}

fn steps_sqlite(path: &std::path::Path, sql: &str) -> Vec<String> {
    let conn = rusqlite::Connection::open(path).unwrap();
    let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let steps = statement.query_map([], |row| row.get::<_, String>(3));
    steps.unwrap().map(Result::unwrap).collect()
}

async fn steps_mysql(url: &str, sql: &str) -> Vec<Row> {
    let mut conn = Conn::from_url(url).await.unwrap();
    let steps = conn.query(format!("EXPLAIN {sql}")).await.unwrap();
    conn.disconnect().await.unwrap();
    steps
}

fn explain_sqlite(path: &std::path::Path, sql: &str) {
    let steps = steps_sqlite(path, sql);
    let scanned = steps.iter().any(|step| {
        let mut words = step.split(' ');
        words.next() == Some("SCAN") && words.next().is_some_and(|table| of_log(sql, table))
    });
    assert!(!scanned, "{sql}\n{steps:#?}");
    let sorted = steps
        .iter()
        .any(|step| step.contains("TEMP B-TREE FOR ORDER BY"));
    assert!(!sorted || sql.contains(" OVER "), "{sql}\n{steps:#?}");
}

async fn explain_mysql(url: &str, sql: &str) {
    let steps = steps_mysql(url, sql).await;
    for step in &steps {
        let column = |name: &str| step.get::<Option<String>, _>(name).flatten();
        let table = column("table").unwrap_or_default();
        let extra = column("Extra").unwrap_or_default();
        if of_log(sql, &table) {
            let access = column("type").unwrap_or_default();
            let by_key = ["const", "eq_ref", "ref", "range"].contains(&&*access);
            assert!(by_key, "{sql}\n{steps:#?}");
            let sorted = extra.contains("filesort");
            assert!(!sorted || sql.contains(" OVER "), "{sql}\n{steps:#?}");
        }
    }
}

/// What SQLite ran since [`trace_new_connections`] about the room and about admins, with its parameters.
static TRACED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Has every connection that this process opens from now on tell its statements
/// (<https://sqlite.org/c3ref/auto_extension.html>, <https://sqlite.org/c3ref/trace_v2.html>).
fn trace_new_connections() {
    unsafe extern "C" fn opened(
        db: *mut ffi::sqlite3,
        _: *mut *mut c_char,
        _: *const ffi::sqlite3_api_routines,
    ) -> c_int {
        let when = ffi::SQLITE_TRACE_STMT as c_uint;
        unsafe { ffi::sqlite3_trace_v2(db, when, Some(ran), std::ptr::null_mut()) }
    }
    unsafe extern "C" fn ran(
        _: c_uint,
        _: *mut c_void,
        stmt: *mut c_void,
        _: *mut c_void,
    ) -> c_int {
        // Ours to free; null when memory is short.
        let sql = unsafe { ffi::sqlite3_expanded_sql(stmt.cast()) };
        if !sql.is_null() {
            let text = unsafe { CStr::from_ptr(sql) }
                .to_string_lossy()
                .into_owned();
            unsafe { ffi::sqlite3_free(sql.cast()) };
            let looks = ["SELECT", "UPDATE", "DELETE"]
                .iter()
                .any(|verb| text.starts_with(verb));
            let markers = [&*ROOM.to_string(), ADMINS];
            if looks && markers.iter().any(|marker| text.contains(marker)) {
                TRACED.lock().unwrap().insert(text);
            }
        }
        0
    }
    let registered = unsafe { ffi::sqlite3_auto_extension(Some(opened)) };
    assert_eq!(registered, ffi::SQLITE_OK);
}

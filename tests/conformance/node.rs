//! A test's own database, a node on it with all that its store told, and the people and rooms of the test.

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hearth::{
    auth::tokens::sha256,
    protocol::{
        Rev, RoomId, Seq, Time, UserId,
        rest::{Mentions, Message, Role, RoomKind, UserSummary},
    },
    search::{Feed, Search},
    store::{
        Change, CommitHook, EVERYONE, Event, EventBody, Location, Named, NewRoom, NewUser, Options,
        Outcome, Page, Refused, RoomFilter, Store,
    },
};
use mysql_async::prelude::Queryable;
use rusqlite::types::ValueRef;
use tempfile::TempDir;
use uuid::Uuid;

/// Where a test's database is; dropped when the test ends, however it ends.
#[derive(Clone)]
pub struct Place {
    pub location: Location,
}

impl Place {
    pub fn options(&self) -> Options {
        Options::new(self.location.clone(), 8, sha256)
    }

    /// Another node on the same database.
    pub async fn node(&self) -> Node {
        self.node_that_hears(|_| {}).await
    }

    /// A node whose commit hook does `first` before it notes what it is told.
    pub async fn node_that_hears(&self, first: fn(&[Event])) -> Node {
        let told = Arc::new(Mutex::new(Vec::new()));
        let ears = told.clone();
        let hook: CommitHook = Arc::new(move |events| {
            first(&events);
            ears.lock().unwrap().extend(events);
        });
        let store = Store::open(&self.options(), hook).await.unwrap();
        Node {
            store,
            told,
            search: OnceLock::new(),
        }
    }

    /// A statement of the test's own, directly on the database.
    pub async fn meddle(&self, sql: &str) {
        match &self.location {
            Location::Sqlite(path) => {
                let conn = rusqlite::Connection::open(path).unwrap();
                conn.busy_timeout(Duration::from_secs(5)).unwrap();
                conn.execute_batch(sql).unwrap();
            }
            Location::Mysql(url) => {
                let mut conn = mysql_async::Conn::from_url(url).await.unwrap();
                conn.query_drop(sql).await.unwrap();
                conn.disconnect().await.unwrap();
            }
        }
    }
}

/// A text that names each of these by an `@` that can mean nobody else.
fn each(named: &Mentions) -> Named {
    let all = named.all.then_some(EVERYONE);
    let users = named.users.iter().copied().chain(all);
    users.map(|user_id| vec![user_id]).collect()
}

impl Place {
    /// Reads directly from the database; every value as text.
    pub async fn select(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        match &self.location {
            Location::Sqlite(path) => {
                let conn = rusqlite::Connection::open(path).unwrap();
                conn.busy_timeout(Duration::from_secs(5)).unwrap();
                let mut statement = conn.prepare(sql).unwrap();
                let columns = statement.column_count();
                let rows = statement.query_map([], |row| {
                    (0..columns)
                        .map(|column| {
                            Ok(match row.get_ref(column)? {
                                ValueRef::Null => None,
                                ValueRef::Integer(int) => Some(int.to_string()),
                                ValueRef::Real(real) => Some(real.to_string()),
                                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                                    Some(String::from_utf8_lossy(bytes).into_owned())
                                }
                            })
                        })
                        .collect()
                });
                rows.unwrap().map(Result::unwrap).collect()
            }
            Location::Mysql(url) => {
                let mut conn = mysql_async::Conn::from_url(url).await.unwrap();
                let rows: Vec<mysql_async::Row> = conn.query(sql).await.unwrap();
                conn.disconnect().await.unwrap();
                let text = |value| match value {
                    mysql_async::Value::NULL => None,
                    mysql_async::Value::Bytes(bytes) => {
                        Some(String::from_utf8_lossy(&bytes).into_owned())
                    }
                    other => Some(other.as_sql(true)),
                };
                rows.into_iter()
                    .map(|row| row.unwrap().into_iter().map(text).collect())
                    .collect()
            }
        }
    }

    /// Makes the user a member of rooms that nothing else is known of.
    pub async fn in_other_rooms(&self, user_id: UserId, count: u64) {
        let numbers = format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
        );
        self.meddle(&format!(
            "INSERT INTO room_members (room_id, user_id, role, joined_at, joined_seq, joined_rev, last_read_seq, rev)
             {numbers} SELECT 1000000 + i, {user_id}, 'member', 0, 0, 2, 0, 2 + {user_id} FROM n"
        ))
        .await;
    }

    /// As [`Place::select`], of numbers.
    pub async fn numbers(&self, sql: &str) -> Vec<Vec<u64>> {
        let number = |value: Option<String>| value.unwrap().parse().unwrap();
        let rows = self.select(sql).await.into_iter();
        rows.map(|row| row.into_iter().map(number).collect())
            .collect()
    }
}

pub async fn on_sqlite<T: Future<Output = ()>>(_name: &str, test: impl FnOnce(Place) -> T) {
    let directory = tempfile::tempdir().unwrap();
    let location = Location::Sqlite(directory.path().join("data/hearth.db"));
    test(Place { location }).await;
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by the environment"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

pub async fn on_mysql<T: Future<Output = ()> + Send + 'static>(
    name: &str,
    test: impl FnOnce(Place) -> T + Send + 'static,
) {
    let Some(server) = variable("HEARTH_TEST_MYSQL") else {
        let required = ["CI", "HEARTH_TEST_REQUIRE_MYSQL"];
        assert!(
            required.iter().all(|name| variable(name).is_none()),
            "HEARTH_TEST_MYSQL is not set: run this by scripts/with-mariadb"
        );
        eprintln!("SKIPPED on MySQL: HEARTH_TEST_MYSQL is not set (scripts/with-mariadb sets it)");
        return;
    };
    let server = server.trim_end_matches('/').to_owned();
    let short: String = name.chars().take(30).collect();
    let database = format!("t_{short}_{}", &Uuid::new_v4().simple().to_string()[..12]);
    let statement = async |sql: String| {
        let mut conn = mysql_async::Conn::from_url(&server).await.unwrap();
        conn.query_drop(sql).await.unwrap();
        conn.disconnect().await.unwrap();
    };
    statement(format!("CREATE DATABASE {database}")).await;
    let location = Location::Mysql(format!("{server}/{database}"));
    let ended = tokio::spawn(async move { test(Place { location }).await }).await;
    statement(format!("DROP DATABASE {database}")).await;
    if let Err(error) = ended {
        std::panic::resume_unwind(error.into_panic());
    }
}

/// A node: its store, and all that it told, in order.
pub struct Node {
    pub store: Store,
    pub told: Arc<Mutex<Vec<Event>>>,
    search: OnceLock<Searching>,
}

/// An index that reads the log: no commit is told to it.
struct Searching {
    search: Search,
    _directory: TempDir,
}

static PEOPLE: AtomicU64 = AtomicU64::new(1);

impl Node {
    /// The node's index, which is made when it is asked for.
    pub fn search(&self) -> &Search {
        let searching = self.search.get_or_init(|| {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("search");
            let day = Duration::from_secs(86_400);
            Searching {
                search: Search::start(self.store.clone(), Feed::default(), path, day),
                _directory: directory,
            }
        });
        &searching.search
    }

    /// Indexes all that is committed.
    pub async fn index(&self) {
        self.search().flush().await;
    }

    pub async fn user(&self) -> UserSummary {
        let n = PEOPLE.fetch_add(1, Ordering::Relaxed);
        self.named(&format!("user{n}")).await
    }

    pub async fn named(&self, username: &str) -> UserSummary {
        let user = NewUser {
            username: username.to_owned(),
            email: format!("{username}@example.org"),
            full_name: None,
            password_hash: "$argon2id$".into(),
        };
        self.store.create_user(user).await.unwrap().user.summary()
    }

    pub async fn users(&self, count: usize) -> Vec<UserSummary> {
        let mut users = Vec::new();
        for _ in 0..count {
            users.push(self.user().await);
        }
        users
    }

    pub async fn room(
        &self,
        kind: RoomKind,
        owner: &UserSummary,
        members: &[UserSummary],
    ) -> RoomId {
        let room = NewRoom {
            kind,
            name: "a room".into(),
            topic: String::new(),
            owner: owner.clone(),
            members: members.to_vec(),
        };
        self.store.create_room(room).await.unwrap().unwrap()
    }

    pub async fn append(&self, change: Change) -> Outcome {
        self.store.append(change).await.unwrap()
    }

    pub async fn send_id(&self, room_id: RoomId, sender: &UserSummary, id: Uuid) -> Outcome {
        self.append(send(room_id, sender, id)).await
    }

    /// Sends a new message: its seq and rev.
    pub async fn send(&self, room_id: RoomId, sender: &UserSummary) -> (Seq, Rev) {
        match self.send_id(room_id, sender, Uuid::new_v4()).await {
            Outcome::Sent {
                seq,
                rev,
                duplicate: false,
                ..
            } => (seq, rev),
            other => panic!("{other:?}"),
        }
    }

    pub async fn join(&self, room_id: RoomId, user: &UserSummary) -> Outcome {
        let user = user.clone();
        self.append(Change::Join { room_id, user }).await
    }

    pub async fn leave(&self, room_id: RoomId, user: &UserSummary) -> Outcome {
        let user = user.clone();
        self.append(Change::Leave {
            room_id,
            user,
            heir: None,
        })
        .await
    }

    pub async fn add(&self, room_id: RoomId, by: UserId, user: &UserSummary) -> Outcome {
        let user = user.clone();
        let back = true;
        let change = Change::Add {
            room_id,
            by,
            user,
            back,
        };
        self.append(change).await
    }

    pub async fn remove(&self, room_id: RoomId, by: UserId, user: &UserSummary) -> Outcome {
        let user = user.clone();
        self.append(Change::Remove { room_id, by, user }).await
    }

    /// Sends a text that names these users: its seq.
    pub async fn mention(
        &self,
        room_id: RoomId,
        sender: &UserSummary,
        content: &str,
        named: Mentions,
    ) -> Seq {
        let change = Change::Send {
            room_id,
            sender: sender.clone(),
            id: Uuid::new_v4(),
            content: content.into(),
            reply_to: None,
            named: each(&named),
        };
        match self.append(change).await {
            Outcome::Sent { seq, .. } => seq,
            other => panic!("{other:?}"),
        }
    }

    pub async fn edit(
        &self,
        room_id: RoomId,
        user_id: UserId,
        seq: Seq,
        content: &str,
        named: Mentions,
    ) -> Outcome {
        self.append(Change::Edit {
            room_id,
            user_id,
            seq,
            content: content.into(),
            named: each(&named),
        })
        .await
    }

    pub async fn delete(&self, room_id: RoomId, user_id: UserId, seq: Seq) -> Outcome {
        self.append(Change::Delete {
            room_id,
            user_id,
            seq,
        })
        .await
    }

    pub async fn react(
        &self,
        room_id: RoomId,
        user_id: UserId,
        seq: Seq,
        emoji: &str,
        on: bool,
    ) -> Outcome {
        self.append(Change::React {
            room_id,
            user_id,
            seq,
            emoji: emoji.into(),
            on,
        })
        .await
    }

    pub async fn pin(&self, room_id: RoomId, user_id: UserId, seq: Seq, on: bool) -> Outcome {
        self.append(Change::Pin {
            room_id,
            user_id,
            seq,
            on,
        })
        .await
    }

    pub async fn set_role(
        &self,
        room_id: RoomId,
        by: &UserSummary,
        user: &UserSummary,
        role: Role,
    ) -> Outcome {
        let (by, user) = (by.clone(), user.clone());
        self.append(Change::SetRole {
            room_id,
            by,
            user,
            role,
        })
        .await
    }

    pub async fn archive(&self, room_id: RoomId, by: UserId, archived: bool) -> Outcome {
        self.append(Change::Settings {
            room_id,
            by,
            name: None,
            topic: None,
            archived: Some(archived),
        })
        .await
    }

    pub async fn delete_room(&self, room_id: RoomId, by: UserId) -> Outcome {
        self.append(Change::DeleteRoom { room_id, by }).await
    }

    pub async fn message(&self, room_id: RoomId, seq: Seq) -> Message {
        self.store.message(room_id, seq).await.unwrap().unwrap()
    }

    pub async fn read(&self, room_id: RoomId, user_id: UserId, seq: Seq) -> Outcome {
        self.append(Change::Read {
            room_id,
            user_id,
            seq,
        })
        .await
    }

    pub async fn head(&self, room_id: RoomId) -> Rev {
        self.store.heads(&[room_id]).await.unwrap()[0].1
    }

    /// Everything that changed after `after`, page by page, each checked.
    pub async fn catch_up(&self, room_id: RoomId, after: Rev) -> (Vec<Event>, Page) {
        let (mut at, mut events) = (after, Vec::new());
        loop {
            let page = self.store.changes(room_id, at).await.unwrap().unwrap();
            check_page(&page, at);
            events.extend(page.events.iter().cloned());
            at = page.upto;
            if page.last {
                return (events, page);
            }
        }
    }

    /// What was told of one room.
    pub fn told_of(&self, room_id: RoomId) -> Vec<Event> {
        let told = self.told.lock().unwrap();
        told.iter()
            .filter(|event| event.room_id == room_id)
            .cloned()
            .collect()
    }

    /// The commit hook was told every rev of the room once, in order, up to its head; markers take none.
    pub async fn check_told(&self, room_id: RoomId) {
        let told = self.told_of(room_id);
        let numbered = told.iter().filter(|event| event.prev < event.rev);
        let revs: Vec<Rev> = numbered.map(|event| event.rev).collect();
        let head = self.head(room_id).await;
        assert_eq!(revs, (1..=head).collect::<Vec<_>>(), "room {room_id}");
    }

    /// The table's seqs and revs have no hole and agree with the room's row.
    pub async fn check_room(&self, room_id: RoomId) {
        let (events, page) = self.catch_up(room_id, 0).await;
        let mut messages: Vec<(Seq, Rev)> = Vec::new();
        for event in &events {
            if let EventBody::Message(message) = &event.body {
                assert_eq!(message.rev, event.rev);
                messages.push((message.seq, message.rev));
            }
        }
        assert!(
            messages.iter().map(|(seq, _)| *seq).eq(1..=page.last_seq),
            "in a room without edits messages come by seq, without a hole"
        );
        assert_eq!(page.head, self.head(room_id).await);
    }
}

/// Checks what holds of every page, whoever writes meanwhile.
pub fn check_page(page: &Page, after: Rev) {
    let mut at = after;
    for event in &page.events {
        assert_eq!(event.prev, at, "each event continues the one before");
        assert!(event.rev > at);
        at = event.rev;
        if let EventBody::Member(member) = &event.body {
            assert!(member.by.is_none() && member.at.is_none());
        }
    }
    assert_eq!(page.upto, at, "the page ends with its last event");
    assert_eq!(page.last, page.upto == page.head);
}

/// Ids of the rooms that a user is a member of, and of those that they may join.
pub async fn rooms_seen(node: &Node, user_id: UserId) -> Vec<RoomId> {
    listed(node, user_id, true).await
}

/// Ids of the rooms that a user is a member of.
pub async fn rooms_of(node: &Node, user_id: UserId) -> Vec<RoomId> {
    listed(node, user_id, false).await
}

async fn listed(node: &Node, user_id: UserId, public: bool) -> Vec<RoomId> {
    let filter = RoomFilter {
        user_id,
        mine: true,
        public,
        query: String::new(),
    };
    let rooms = node.store.rooms(filter, RoomId(0), 200).await.unwrap();
    rooms.into_iter().map(|room| room.id).collect()
}

pub fn send(room_id: RoomId, sender: &UserSummary, id: Uuid) -> Change {
    Change::Send {
        room_id,
        sender: sender.clone(),
        id,
        content: format!("hello from {}", sender.username),
        reply_to: None,
        named: Default::default(),
    }
}

pub fn mentions(users: &[&UserSummary]) -> Mentions {
    let mut users: Vec<UserId> = users.iter().map(|user| user.id).collect();
    users.sort_unstable();
    Mentions { users, all: false }
}

/// `@all`.
pub fn everyone() -> Mentions {
    Mentions {
        users: Vec::new(),
        all: true,
    }
}

pub fn refused(outcome: &Outcome) -> Refused {
    match outcome {
        Outcome::Refused(refused) => *refused,
        other => panic!("not refused: {other:?}"),
    }
}

pub fn in_an_hour() -> Time {
    Time(Time::now().0 + 3_600_000)
}

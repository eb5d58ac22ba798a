//! A COMMIT that fails: SQLite checks deferred foreign keys there, so a job can make one fail at will.

use std::sync::{Arc, Mutex};

use uuid::Uuid;

use super::{super::jobs::job, *};
use crate::{
    protocol::rest::RoomKind,
    store::{
        Location, NewRoom, NewUser, Options, Store, connection::script, database::Database,
        queue::Ticket, values::params,
    },
};

struct World {
    store: Store,
    told: Arc<Mutex<Vec<Event>>>,
    _directory: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let ears = told.clone();
        let location = Location::Sqlite(directory.path().join("hearth.db"));
        let options = Options::new(location, 2, crate::auth::tokens::sha256);
        let hook: CommitHook = Arc::new(move |events| ears.lock().unwrap().extend(events));
        let store = Store::open(&options, hook).await.unwrap();
        Self {
            store,
            told,
            _directory: directory,
        }
    }

    fn writer(&self) -> &mpsc::Sender<Command> {
        match self.store.db() {
            Database::Sqlite(db) => &db.writer,
            Database::Mysql(_) => unreachable!(),
        }
    }

    /// Keeps the writer busy, so that what comes meanwhile shares the next transaction.
    async fn busy(&self) -> Ticket<std::result::Result<(), SqlError>> {
        let (job, ticket) = job(script(|_| {
            sleep(Duration::from_millis(100));
            Box::pin(async { Ok(((), Vec::new())) })
        }));
        assert!(self.writer().send(Command::Write(job)).await.is_ok());
        tokio::time::sleep(Duration::from_millis(20)).await;
        ticket
    }
}

#[tokio::test]
async fn a_commit_that_fails_is_unknown_to_all_in_it_and_told_to_nobody() {
    let world = World::new().await;
    let user = NewUser {
        username: "ada".into(),
        email: "ada@example.org".into(),
        full_name: None,
        password_hash: "hash".into(),
    };
    let owner = world.store.create_user(user).await.unwrap().user.summary();
    let room = NewRoom {
        kind: RoomKind::Public,
        name: "room".into(),
        topic: String::new(),
        owner: owner.clone(),
        members: Vec::new(),
    };
    let room_id = world.store.create_room(room).await.unwrap().unwrap();
    let id = Uuid::new_v4();
    let send = |id| Change::Send {
        room_id,
        sender: owner.clone(),
        id,
        content: "text".into(),
        reply_to: None,
        named: Default::default(),
    };

    let busy = world.busy().await;
    let (poison, poisoned) = job(script(|mut conn| {
        Box::pin(async move {
            conn.execute("PRAGMA defer_foreign_keys = ON", params![])
                .await?;
            conn.execute(
                "INSERT INTO auth_sessions VALUES (1, 999, x'00', '', 0, 0, 0, NULL)",
                params![],
            )
            .await?;
            Ok(((), Vec::new()))
        })
    }));
    assert!(world.writer().send(Command::Write(poison)).await.is_ok());
    let store = world.store.clone();
    let (unknown, poisoned) = tokio::join!(store.append(send(id)), poisoned.wait());
    assert!(busy.wait().await.is_ok());
    assert!(matches!(unknown, Err(Error::Unknown(_))), "{unknown:?}");
    assert!(matches!(poisoned, Err(Error::Unknown(_))), "{poisoned:?}");

    let again = world.store.append(send(id)).await.unwrap();
    assert!(
        matches!(
            again,
            Outcome::Sent {
                seq: 1,
                rev: 3,
                duplicate: false,
                ..
            }
        ),
        "it was rolled back, and the log goes on: {again:?}"
    );
    let told: Vec<Rev> = world.told.lock().unwrap().iter().map(|e| e.rev).collect();
    assert_eq!(told, [1, 2, 3]);
}

#[tokio::test]
async fn a_job_that_is_refused_fails_nobody_else() {
    let world = World::new().await;
    let busy = world.busy().await;
    let user = |name: &str| NewUser {
        username: name.into(),
        email: format!("{name}@example.org"),
        full_name: None,
        password_hash: "hash".into(),
    };
    let (first, second, other) = tokio::join!(
        world.store.create_user(user("ada")),
        world.store.create_user(user("ADA")),
        world.store.create_user(user("eve")),
    );
    assert!(busy.wait().await.is_ok());
    assert!(first.is_ok() && other.is_ok());
    assert!(
        matches!(second, Err(Error::Taken("username"))),
        "{second:?}"
    );
}

/// Whether or not a job wrote before it in the same transaction.
#[tokio::test]
async fn a_change_that_the_tables_refuse_fails_nobody_else() {
    let world = World::new().await;
    let user = |name: &str| NewUser {
        username: name.into(),
        email: format!("{name}@example.org"),
        full_name: None,
        password_hash: "hash".into(),
    };
    let owner = world.store.create_user(user("ada")).await.unwrap();
    let owner = owner.user.summary();
    let room = NewRoom {
        kind: RoomKind::Public,
        name: "room".into(),
        topic: String::new(),
        owner: owner.clone(),
        members: Vec::new(),
    };
    let room_id = world.store.create_room(room).await.unwrap().unwrap();
    let (trap, set) = job(script(|mut conn| {
        Box::pin(async move {
            let sql = "CREATE TRIGGER trap AFTER INSERT ON messages WHEN NEW.content = 'faulty'
                       BEGIN SELECT RAISE(ABORT, 'a trap'); END";
            conn.execute(sql, params![]).await?;
            Ok(((), Vec::new()))
        })
    }));
    assert!(world.writer().send(Command::Write(trap)).await.is_ok());
    set.wait().await.unwrap().unwrap();

    let send = |content: &str| {
        world.store.append(Change::Send {
            room_id,
            sender: owner.clone(),
            id: Uuid::new_v4(),
            content: content.into(),
            reply_to: None,
            named: Default::default(),
        })
    };
    let seq = |outcome| match outcome {
        Ok(Outcome::Sent { seq, .. }) => seq,
        other => panic!("{other:?}"),
    };
    let busy = world.busy().await;
    let (first, faulty, second) = tokio::join!(send("a"), send("faulty"), send("b"));
    assert!(busy.wait().await.is_ok());
    assert!(matches!(faulty, Err(Error::Broken(_))), "{faulty:?}");
    assert_eq!((seq(first), seq(second)), (1, 2));

    let busy = world.busy().await;
    let (eve, first, faulty, second) = tokio::join!(
        world.store.create_user(user("eve")),
        send("c"),
        send("faulty"),
        send("d"),
    );
    assert!(busy.wait().await.is_ok());
    assert!(eve.is_ok(), "{eve:?}");
    assert!(matches!(faulty, Err(Error::Broken(_))), "{faulty:?}");
    assert_eq!((seq(first), seq(second)), (3, 4));
    assert!(world.store.user_by_name("eve").await.unwrap().is_some());
}

#[tokio::test]
async fn durability_is_asserted() {
    let world = World::new().await;
    let (job, ticket) = job(script(|mut conn| {
        Box::pin(async move {
            let row = conn.query("PRAGMA synchronous", params![]).await?;
            Ok((row[0].i64(0)?, Vec::new()))
        })
    }));
    assert!(world.writer().send(Command::Write(job)).await.is_ok());
    let synchronous = ticket.wait().await.unwrap().unwrap();
    assert_eq!(synchronous, 2, "FULL");
    let reader = world.store.db().query("PRAGMA query_only", params![]).await;
    assert_eq!(reader.unwrap()[0].i64(0).unwrap(), 1, "readers only read");
}

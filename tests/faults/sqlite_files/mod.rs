//! The files of an SQLite database are removed, renamed, replaced or overwritten while the server has them open. A file
//! without a name still accepts writes, and is gone with the process: nothing may be acknowledged then.

mod backup;
mod disk;

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime},
};

use futures_util::{StreamExt, future::join_all, stream};
use nix::{
    fcntl::{FcntlArg, fcntl},
    libc,
};
use serde_json::{Value, json};

use crate::support::{Account, Db, PATIENCE, Server, Socket, timeout, uuid};

/// Within this nothing is acknowledged any more.
const SOON: Duration = Duration::from_secs(2);

/// What happens to the files.
struct Deed {
    name: &'static str,
    act: fn(&Path),
    /// How it is undone, where it can be.
    undo: Option<fn(&Path)>,
    /// What the server's log says of it.
    says: &'static str,
    /// Where all that was acknowledged is found then, whatever becomes of the process.
    kept: Option<fn(&Path) -> PathBuf>,
}

fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn rename(from: PathBuf, to: PathBuf) {
    fs::rename(from, to).unwrap();
}

/// Another server's database, or one of another day.
fn another(database: &Path) -> PathBuf {
    let other = beside(database, ".other");
    let conn = rusqlite::Connection::open(&other).unwrap();
    conn.execute_batch(
        "CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('not Hearth''s');",
    )
    .unwrap();
    other
}

const DEEDS: [Deed; 11] = [
    Deed {
        name: "the database is removed",
        act: |database| fs::remove_file(database).unwrap(),
        undo: None,
        says: "hearth.db isn't there any more",
        kept: None,
    },
    Deed {
        name: "the database is renamed",
        act: |database| rename(database.into(), beside(database, ".old")),
        undo: Some(|database| rename(beside(database, ".old"), database.into())),
        says: "hearth.db isn't there any more",
        kept: Some(|database| beside(database, ".old")),
    },
    Deed {
        name: "another database takes its name",
        act: |database| rename(another(database), database.into()),
        undo: None,
        says: "hearth.db isn't the file that was opened",
        kept: None,
    },
    Deed {
        name: "it is renamed, and a copy takes its name",
        act: |database| {
            rename(database.into(), beside(database, ".old"));
            fs::copy(beside(database, ".old"), database).unwrap();
        },
        undo: Some(|database| rename(beside(database, ".old"), database.into())),
        says: "hearth.db isn't the file that was opened",
        kept: Some(|database| beside(database, ".old")),
    },
    Deed {
        name: "the directory is removed",
        act: |database| {
            let directory = database.parent().unwrap();
            // The search index may make a file meanwhile.
            while directory.exists() {
                let _ = fs::remove_dir_all(directory);
            }
        },
        undo: None,
        says: "hearth.db isn't there any more",
        kept: None,
    },
    Deed {
        name: "the directory is renamed",
        act: |database| {
            rename(
                database.parent().unwrap().into(),
                database.parent().unwrap().with_file_name("moved"),
            )
        },
        undo: Some(|database| {
            rename(
                database.parent().unwrap().with_file_name("moved"),
                database.parent().unwrap().into(),
            )
        }),
        says: "hearth.db isn't there any more",
        kept: Some(|database| {
            database
                .parent()
                .unwrap()
                .with_file_name("moved")
                .join("hearth.db")
        }),
    },
    Deed {
        name: "the write-ahead log is removed",
        act: |database| fs::remove_file(beside(database, "-wal")).unwrap(),
        undo: None,
        says: "hearth.db-wal isn't there any more",
        kept: Some(|database| database.into()),
    },
    Deed {
        name: "another write-ahead log takes its place",
        act: |database| {
            fs::remove_file(beside(database, "-wal")).unwrap();
            File::create(beside(database, "-wal")).unwrap();
        },
        undo: None,
        says: "hearth.db-wal isn't the file that was opened",
        kept: Some(|database| database.into()),
    },
    Deed {
        name: "the shared memory is removed",
        act: |database| fs::remove_file(beside(database, "-shm")).unwrap(),
        undo: None,
        says: "hearth.db-shm isn't there any more",
        kept: Some(|database| database.into()),
    },
    Deed {
        name: "another database is copied onto it",
        act: |database| {
            fs::copy(another(database), database).unwrap();
        },
        undo: None,
        says: "another program has written into the database's file",
        kept: None,
    },
    Deed {
        name: "it is cut to nothing",
        act: |database| {
            File::options()
                .write(true)
                .open(database)
                .unwrap()
                .set_len(0)
                .unwrap()
        },
        undo: None,
        says: "another program has written into the database's file",
        kept: None,
    },
];

/// Some at once: most of the time something is waited for.
async fn for_each_deed(try_out: impl AsyncFn(&Deed)) {
    const AT_ONCE: usize = 4;
    stream::iter(&DEEDS)
        .map(|deed| try_out(deed))
        .buffer_unordered(AT_ONCE)
        .collect::<()>()
        .await;
}

fn database(server: &Server) -> PathBuf {
    server.dir().join("data/hearth.db")
}

/// One message: whether it was acknowledged. Anything but an ack is `unavailable`.
async fn is_acknowledged(socket: &mut Socket, room: u64) -> bool {
    let id = uuid();
    socket
        .send(json!({"type": "message", "room_id": room, "id": id, "content": id}))
        .await;
    loop {
        let answer = socket.frame().await;
        match answer["type"].as_str() {
            Some("ack") => return true,
            Some("error") => {
                assert_eq!(
                    (&answer["code"], &answer["retryable"]),
                    (&json!("unavailable"), &json!(true)),
                    "{answer}"
                );
                return false;
            }
            _ => {}
        }
    }
}

async fn readiness(server: &Server) -> (u16, Value) {
    let (status, body) = server.request("GET", "/readyz", None, None).await;
    (status, body["code"].clone())
}

/// How many lines of the log say that files were changed, and that they are back.
fn told(server: &Server) -> (usize, usize) {
    let log = server.log();
    let count = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    (
        count("files were changed under the server"),
        count("the server goes on"),
    )
}

/// A server with an open room, and its owner.
async fn begin() -> (Server, Account, u64, Socket) {
    let server = Server::start(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let socket = ada.connect().await;
    (server, ada, room, socket)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_acknowledged_that_the_files_do_not_keep() {
    for_each_deed(async |deed| {
        let name = deed.name;
        let (mut server, ada, room, mut socket) = begin().await;
        let database = database(&server);
        for number in 1..=20 {
            socket.say(room, &format!("message {number}")).await;
        }
        (deed.act)(&database);
        let refused = async { while is_acknowledged(&mut socket, room).await {} };
        timeout(SOON, refused)
            .await
            .unwrap_or_else(|_| panic!("{name}: it is still acknowledged"));
        for _ in 0..3 {
            assert!(
                !is_acknowledged(&mut socket, room).await,
                "{name}: acknowledged again"
            );
        }
        let messages = format!("/api/chat/rooms/{room}/messages");
        let (status, problem) = ada.post(&messages, json!({"content": "by REST"})).await;
        assert_eq!(
            (status, &problem["code"]),
            (503, &json!("unavailable")),
            "{name}: {problem}"
        );
        assert_eq!(
            readiness(&server).await,
            (503, json!("unavailable")),
            "{name}"
        );
        // What was acknowledged can be read for as long as the process lives, and no other file is read instead.
        let written_over = deed.says.contains("another program");
        let expected = if written_over { 503 } else { 200 };
        // Several at once, each on a connection of its own.
        for (status, page) in join_all((0..6).map(|_| ada.get(&messages))).await {
            assert_eq!(status, expected, "{name}: {page}");
        }
        assert_eq!(told(&server), (1, 0), "{name}: {}", server.log());
        let line = server.log();
        let line = line
            .lines()
            .find(|line| line.contains("files were changed"));
        assert!(
            line.is_some_and(|line| line.contains(deed.says)),
            "{name}: {line:?}"
        );

        if let Some(undo) = deed.undo {
            if name.contains("a copy") {
                fs::remove_file(&database).unwrap();
            }
            undo(&database);
            let back = async {
                while !is_acknowledged(&mut socket, room).await {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            timeout(PATIENCE, back)
                .await
                .unwrap_or_else(|_| panic!("{name}: it doesn't go on"));
            assert_eq!(readiness(&server).await.0, 200, "{name}");
            assert_eq!(told(&server), (1, 1), "{name}: {}", server.log());
            (deed.act)(&database);
            while is_acknowledged(&mut socket, room).await {}
        }
        // Nothing is lost when the process is killed and can't tidy up.
        server.kill().await;
        if let Some(kept) = deed.kept {
            let kept = kept(&database);
            // Without the write-ahead log beside it, which may belong to another file.
            let alone = server.dir().join("kept.db");
            fs::copy(&kept, &alone).unwrap();
            let conn = rusqlite::Connection::open(&alone).unwrap();
            let stored: i64 = conn
                .query_row(
                    "SELECT COUNT(*) FROM messages WHERE content LIKE 'message %'",
                    [],
                    |row| row.get(0),
                )
                .unwrap_or_else(|error| panic!("{name}: {}: {error}", kept.display()));
            assert_eq!(stored, 20, "{name}");
        }
    })
    .await;
}

/// It is noticed without any write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_server_looks_at_its_files() {
    for_each_deed(async |deed| {
        let name = deed.name;
        let (server, _, _, _) = begin().await;
        assert_eq!(readiness(&server).await.0, 200, "{name}");
        (deed.act)(&database(&server));
        let noticed = async {
            while told(&server).0 == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(SOON, noticed)
            .await
            .unwrap_or_else(|_| panic!("{name}: it isn't noticed: {}", server.log()));
        assert_eq!(
            readiness(&server).await,
            (503, json!("unavailable")),
            "{name}"
        );
        assert_eq!(
            server.request("GET", "/healthz", None, None).await.0,
            200,
            "{name}"
        );
    })
    .await;
}

/// After an orderly end and another start all is there that was acknowledged, whatever happened to what SQLite keeps
/// beside the database; and what took the database's name is left as it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orderly_end_leaves_whole_databases() {
    for_each_deed(async |deed| {
        let name = deed.name;
        let (mut server, ada, room, mut socket) = begin().await;
        let database = database(&server);
        for number in 1..=20 {
            socket.say(room, &format!("message {number}")).await;
        }
        (deed.act)(&database);
        // Before anything was noticed, too: the end looks by itself. It would wait for who doesn't read.
        drop(socket);
        assert!(server.stop().await.success(), "{name}");
        if deed.kept.is_some_and(|kept| kept(&database) == database) {
            server.restart().await;
            let (_, page) = server
                .here(&ada)
                .get(&format!("/api/chat/rooms/{room}"))
                .await;
            assert_eq!(page["last_seq"], 20, "{name}: {page}");
        } else if name.starts_with("another database") {
            let (code, notes) = notes(&database);
            assert_eq!((code, &*notes), (true, "not Hearth's"), "{name}");
        }
    })
    .await;
}

/// Whether the other database is whole, and what is in it.
fn notes(database: &Path) -> (bool, String) {
    // As it would be without a log that isn't its own, and with one that is empty.
    let wal = beside(database, "-wal");
    if fs::metadata(&wal).is_ok_and(|wal| wal.len() > 0) {
        fs::remove_file(&wal).unwrap();
    }
    let conn = rusqlite::Connection::open(database).unwrap();
    let whole: String = conn
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    let text = conn
        .query_row("SELECT text FROM notes", [], |row| row.get(0))
        .unwrap();
    (whole == "ok", text)
}

/// A checkpoint of another process is none of these: sqlite3 and commands write beside the server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_by_another_process_is_no_fault() {
    let (server, _, room, mut socket) = begin().await;
    for round in 0..3 {
        for number in 0..20 {
            socket.say(room, &format!("message {round} {number}")).await;
        }
        let before = fs::metadata(database(&server)).unwrap().modified().unwrap();
        server
            .sql("PRAGMA wal_checkpoint(TRUNCATE); UPDATE users SET full_name = 'Ada L.' WHERE username = 'ada'; PRAGMA wal_checkpoint(PASSIVE)")
            .await;
        let after = fs::metadata(database(&server)).unwrap().modified().unwrap();
        assert_ne!(before, after, "pages were moved");
        all_goes_on(&server, &mut socket, room).await;
        assert_eq!(readiness(&server).await.0, 200);
    }
}

/// At any moment between the server's own writes, from its start on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkpoints_by_another_process_meet_a_busy_server() {
    let (server, ada, room, mut socket) = begin().await;
    let stop = AtomicBool::new(false);
    let sends = async {
        while !stop.load(Ordering::Relaxed) {
            assert!(is_acknowledged(&mut socket, room).await, "{}", server.log());
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    };
    let checkpoints = async {
        for how in [
            "PASSIVE", "PASSIVE", "FULL", "RESTART", "TRUNCATE", "PASSIVE",
        ] {
            server.sql(&format!("PRAGMA wal_checkpoint({how})")).await;
            // Longer than it doubts.
            tokio::time::sleep(SOON).await;
        }
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(sends, checkpoints);
    assert_eq!(told(&server), (0, 0), "{}", server.log());
    let (status, _) = ada.get(&format!("/api/chat/rooms/{room}/messages")).await;
    assert_eq!(status, 200);
}

/// One that takes longer than the server doubts holds the lock of checkpoints all the while: this test takes it in its
/// place, and changes the file's time as moved pages do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_checkpoint_by_another_process_is_no_fault() {
    const WAL_CKPT_LOCK: libc::off_t = 121;
    let (server, _, room, mut socket) = begin().await;
    let shared = File::options()
        .write(true)
        .open(beside(&database(&server), "-shm"))
        .unwrap();
    let lock = libc::flock {
        l_type: libc::F_WRLCK as _,
        l_whence: libc::SEEK_SET as _,
        l_start: WAL_CKPT_LOCK,
        l_len: 1,
        l_pid: 0,
    };
    fcntl(&shared, FcntlArg::F_SETLKW(&lock)).unwrap();
    is_changed(&server, 60);
    all_goes_on(&server, &mut socket, room).await;
    // It is interrupted, and has said of nothing that it was moved.
    drop(shared);
    all_goes_on(&server, &mut socket, room).await;
}

/// One that is interrupted has written, and only says what it was to move. This test does both in its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_checkpoint_by_another_process_is_no_fault() {
    const BACKFILL_ATTEMPTED: u64 = 128;
    let (server, _, room, mut socket) = begin().await;
    for number in 0..20 {
        socket.say(room, &format!("message {number}")).await;
    }
    let shared = File::options()
        .write(true)
        .open(beside(&database(&server), "-shm"))
        .unwrap();
    let pages = 10_u32.to_ne_bytes();
    shared.write_all_at(&pages, BACKFILL_ATTEMPTED).unwrap();
    is_changed(&server, 60);
    all_goes_on(&server, &mut socket, room).await;
    // Nothing is tried again, and something is written.
    is_changed(&server, 120);
    let refused = async { while is_acknowledged(&mut socket, room).await {} };
    timeout(SOON, refused).await.expect("it is doubted now");
    assert_eq!(told(&server), (1, 0), "{}", server.log());
}

/// As if something had been written into the database's file.
fn is_changed(server: &Server, seconds: u64) {
    let own = File::options().write(true).open(database(server));
    let then = SystemTime::now() + Duration::from_secs(seconds);
    own.unwrap().set_modified(then).unwrap();
}

/// For longer than the server doubts.
async fn all_goes_on(server: &Server, socket: &mut Socket, room: u64) {
    let until = tokio::time::Instant::now() + SOON;
    while tokio::time::Instant::now() < until {
        assert!(is_acknowledged(socket, room).await, "{}", server.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(told(server), (0, 0), "{}", server.log());
}

/// A change that was committed just when the files were away is stored when they are back, and its subscribers are told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_meanwhile_is_told_when_the_files_are_back() {
    let (server, ada, _, _) = begin().await;
    let bob = server.register("bob").await;
    let mut socket = bob.connect().await;
    let (own, away) = (database(&server), beside(&database(&server), ".away"));
    let new = json!({"name": "new", "kind": "private", "members": [bob.id]});
    let made = async {
        loop {
            rename(own.clone(), away.clone());
            let (status, problem) = ada.post("/api/chat/rooms", new.clone()).await;
            assert_eq!(status, 503, "{problem}");
            rename(away.clone(), own.clone());
            // Not committed, where the server had noticed before.
            let (_, rooms) = bob.get("/api/chat/rooms").await;
            if !rooms["items"].as_array().unwrap().is_empty() {
                return;
            }
            while readiness(&server).await.0 != 200 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    timeout(PATIENCE, made).await.expect("one is committed");
    assert_eq!(socket.expect("added").await["room"]["name"], "new");
}

//! A disk that accepts no writes, a file system without locks, and no room for the server's own log.

use std::{
    fs::{self, File},
    net::TcpListener,
    time::Duration,
};

use serde_json::json;
use tempfile::TempDir;

use super::is_acknowledged;
use crate::support::{Account, Db, Disk, PATIENCE, Server, SmallDisk, disk, timeout};

/// Sends a message by REST: its status.
async fn send(account: &Account, room: u64, content: &str) -> u16 {
    let path = format!("/api/chat/rooms/{room}/messages");
    account.post(&path, json!({"content": content})).await.0
}

async fn until_it_takes(account: &Account, room: u64, content: &str) {
    let taken = async {
        while send(account, room, content).await != 201 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, taken)
        .await
        .expect("it serves again by itself");
}

/// Lines of the log that a warning or an error takes.
fn complaints(server: &Server) -> Vec<String> {
    let log = server.log();
    let lines = log
        .lines()
        .filter(|line| line.contains("\"WARN\"") || line.contains("\"ERROR\""));
    lines.map(str::to_owned).collect()
}

fn count(lines: &[String], text: &str) -> usize {
    lines.iter().filter(|line| line.contains(text)).count()
}

/// The errors of a disk that accepts no writes: no space, no quota, an I/O error, no permission.
const ERRORS: [&str; 4] = ["28", "122", "5", "30"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_takes_nothing_refuses_changes_alone() {
    for error in ERRORS {
        let home = TempDir::new().unwrap();
        let trigger = home.path().join("refuses");
        let (_disk, mut server) = Disk::start(&[("DISK_REFUSES", trigger.to_str().unwrap())]).await;
        let ada = server.register("ada").await;
        let room = ada.create_room("hall", &[]).await;
        let mut socket = ada.connect().await;
        assert_eq!(send(&ada, room, "before").await, 201);
        let before = complaints(&server);

        fs::write(&trigger, error).unwrap();
        for number in 0..50 {
            assert_eq!(
                send(&ada, room, &format!("lost {number}")).await,
                503,
                "{error}"
            );
        }
        assert!(!is_acknowledged(&mut socket, room).await, "{error}");
        let body =
            json!({"username": "eve", "email": "eve@example.org", "password": "correct horse eve"});
        let (status, _) = server
            .request("POST", "/api/register", None, Some(&body))
            .await;
        assert_eq!(status, 503, "{error}");
        // What is stored can be read, and the process is alive.
        let (status, page) = ada.get(&format!("/api/chat/rooms/{room}/messages")).await;
        assert_eq!(
            (status, &page["items"][0]["content"]),
            (200, &json!("before")),
            "{error}"
        );
        assert_eq!(server.request("GET", "/healthz", None, None).await.0, 200);

        fs::remove_file(&trigger).unwrap();
        until_it_takes(&ada, room, "after").await;
        let new = &complaints(&server)[before.len()..];
        assert_eq!(count(new, "the disk takes nothing"), 1, "{error}: {new:#?}");
        assert_eq!(
            count(new, &format!("(os error {error})")),
            1,
            "{error}: {new:#?}"
        );
        assert_eq!(
            count(new, "the disk takes changes again"),
            1,
            "{error}: {new:#?}"
        );
        assert!(new.len() <= 3, "a flood: {new:#?}");

        server.kill().await;
        server.restart().await;
        let ada = server.here(&ada);
        let (_, page) = ada.get(&format!("/api/chat/rooms/{room}/messages")).await;
        let texts: Vec<_> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| &item["content"])
            .collect();
        assert_eq!(
            (texts[0], texts[texts.len() - 1]),
            (&json!("before"), &json!("after")),
            "{error}"
        );
    }
}

/// Filled by messages while a reader is open, so that the write-ahead log can't be used anew, then by a file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_waited_for() {
    let Some(disk) = SmallDisk::mount(16) else {
        return;
    };
    let database = disk.path().join("hearth.db");
    let url = format!("sqlite://{}", database.display());
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![1; 6 << 20]).unwrap();
    let mut server = Server::start_with(Db::Sqlite, &[("HEARTH_DATABASE_URL", &url)]).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let reader = rusqlite::Connection::open(&database).unwrap();
    reader
        .execute_batch("BEGIN; SELECT COUNT(*) FROM messages")
        .unwrap();
    let mut acknowledged = 0;
    while send(&ada, room, &"long ".repeat(1_600)).await == 201 {
        acknowledged += 1;
    }
    assert!(acknowledged > 100, "{acknowledged}");
    disk.fill();
    // A small one may still find room that the log was given before.
    let mut refused = 0;
    while refused < 20 {
        match send(&ada, room, "small").await {
            201 => (acknowledged, refused) = (acknowledged + 1, 0),
            503 => refused += 1,
            other => panic!("{other}"),
        }
        let path = format!("/api/chat/rooms/{room}/messages");
        let (status, page) = ada.get(&path).await;
        let last = page["items"].as_array().and_then(|items| items.last());
        let last = last.map_or(0, |last| last["seq"].as_u64().unwrap());
        assert_eq!((status, last), (200, acknowledged), "{page}");
    }
    let check = server.command(&["check"], "").await;
    assert_eq!(check.code, Some(1), "{check:?}");
    assert!(
        check.out.contains("FAULT  disk of") && check.out.contains(": full"),
        "{check:?}"
    );
    let told = complaints(&server);
    assert_eq!(count(&told, "the disk takes nothing"), 1, "{told:#?}");
    assert_eq!(count(&told, "No space left on device"), 1, "{told:#?}");

    drop(reader);
    disk.empty();
    fs::remove_file(&ballast).unwrap();
    until_it_takes(&ada, room, "after").await;
    assert!(server.stop().await.success());
    server.restart().await;
    let ada = server.here(&ada);
    let (_, page) = ada.get(&format!("/api/chat/rooms/{room}")).await;
    assert_eq!(page["last_seq"], acknowledged + 1, "{page}");
    assert_eq!(send(&ada, room, "on").await, 201);
}

/// By name, not as a database that is locked: at the start, in `hearth check`, and by every command.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_system_without_locks_is_called_that() {
    let mut server = Server::start(Db::Sqlite).await;
    server.register("ada").await;
    assert!(server.stop().await.success());
    let library = disk::library(server.dir()).await;
    server.set("LD_PRELOAD", library.to_str().unwrap());
    server.set("HEARTH_LISTEN", "127.0.0.1:0");
    // Both kinds of locks, and those alone that SQLite takes.
    for kind in ["1", "posix"] {
        server.set("DISK_LOCKLESS", kind);
        let commands = [
            &["serve"][..],
            &["check"],
            &["migrate"],
            &["reset", "--yes"],
            &["user", "list"],
            &["epoch", "renew"],
        ];
        for command in commands {
            let ran = server.command(command, "").await;
            assert_eq!(ran.code, Some(1), "{kind}, {command:?}: {ran:?}");
            let said = [&*ran.out, &ran.err].concat();
            assert!(
                said.contains("has no locks (") && said.contains("local disk"),
                "{kind}, {command:?}: {said}"
            );
            assert!(
                !said.contains("another server") && !said.contains("a server uses"),
                "{said}"
            );
        }
        let left: Vec<_> = fs::read_dir(server.dir().join("data"))
            .unwrap()
            .map(|file| file.unwrap().file_name())
            .collect();
        assert!(
            !left
                .iter()
                .any(|name| name.to_str().unwrap().contains("tried")),
            "{left:?}"
        );
    }
}

/// Standard error on a full disk: lines are lost, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_cannot_be_written_ends_nothing() {
    let home = TempDir::new().unwrap();
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_hearth"))
        .arg("serve")
        .env_clear()
        .env("HEARTH_LISTEN", address.to_string())
        .env("HEARTH_LOG", "debug")
        .current_dir(home.path())
        .stderr(full)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let url = format!("http://{address}/readyz");
    let ready = async {
        while !reqwest::get(&url)
            .await
            .is_ok_and(|answer| answer.status() == 200)
        {
            assert_eq!(child.try_wait().unwrap(), None, "the process has ended");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, ready).await.expect("it serves");
    let pid = nix::unistd::Pid::from_raw(child.id().unwrap() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let ended = timeout(PATIENCE, child.wait())
        .await
        .expect("it ends")
        .unwrap();
    assert!(ended.success(), "{ended}");
}

//! `hearth backup`, `hearth restore`, `hearth epoch renew`: what they make, what they refuse, and what is left when they are
//! killed. `model::sockets` shows that clients end with the restored log's state.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
};

use serde_json::json;
use tempfile::TempDir;

use super::{beside, database};
use crate::support::{Account, Backup, Db, Server, disk, each_database};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Names in a directory.
fn names(directory: &Path) -> BTreeSet<String> {
    let files = fs::read_dir(directory).unwrap();
    files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect()
}

async fn say(account: &Account, room: u64, content: &str) {
    let path = format!("/api/chat/rooms/{room}/messages");
    let (status, message) = account.post(&path, json!({"content": content})).await;
    assert_eq!(status, 201, "{message}");
}

async fn last_seq(account: &Account, room: u64) -> u64 {
    let (_, page) = account.get(&format!("/api/chat/rooms/{room}")).await;
    page["last_seq"]
        .as_u64()
        .unwrap_or_else(|| panic!("{page}"))
}

fn epoch(database: &Path) -> String {
    let conn = rusqlite::Connection::open(database).unwrap();
    conn.query_row(
        "SELECT value FROM meta WHERE name = 'log_epoch'",
        [],
        |row| row.get(0),
    )
    .unwrap()
}

/// Of a database that nobody uses, with its write-ahead log.
fn messages(database: &Path) -> i64 {
    let conn = rusqlite::Connection::open(database).unwrap();
    let sound: String = conn
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(sound, "ok", "{}", database.display());
    conn.query_row("SELECT COUNT(*) FROM messages", [], |row| row.get(0))
        .unwrap()
}

/// A server with so many messages in a room, of which most are in the write-ahead log.
async fn filled(count: u64) -> (Server, Account, u64) {
    let server = Server::start(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    for number in 1..=count {
        say(&ada, room, &format!("message {number}")).await;
    }
    (server, ada, room)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_one_whole_private_file() {
    let (mut server, ada, room) = filled(20).await;
    let home = TempDir::new().unwrap();
    let backup = home.path().join("of today.db");
    let said = server.done(&["backup", text(&backup)]).await;
    assert!(
        said.contains("a backup of") && said.contains("MiB"),
        "{said}"
    );
    assert_eq!(names(home.path()), BTreeSet::from(["of today.db".into()]));
    assert_eq!(
        fs::metadata(&backup).unwrap().permissions().mode() & 0o777,
        0o600
    );
    // It needs no other file, and nothing is made beside it where nothing can be.
    let url = format!("file:{}?immutable=1", text(&backup).replace(' ', "%20"));
    let conn = rusqlite::Connection::open_with_flags(
        url,
        rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_URI,
    )
    .unwrap();
    let count: i64 = conn
        .query_row("SELECT COUNT(*) FROM messages", [], |row| row.get(0))
        .unwrap();
    assert_eq!(count, 20);
    let mode: String = conn
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "delete");
    drop(conn);

    // The server took no harm, and a backup of a stopped one is the same.
    say(&ada, room, "more").await;
    assert!(server.stop().await.success());
    let stopped = home.path().join("stopped.db");
    server.done(&["backup", text(&stopped)]).await;
    assert_eq!((messages(&backup), messages(&stopped)), (20, 21));
    let data = names(&server.dir().join("data"));
    assert!(
        !data.iter().any(|name| name.contains("partial")),
        "{data:?}"
    );
    server.restart().await;
    assert_eq!(last_seq(&server.here(&ada), room).await, 21);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_where_no_backup_can_be_is_refused() {
    let (mut server, _, _) = filled(1).await;
    let home = TempDir::new().unwrap();
    let taken = home.path().join("taken");
    fs::write(&taken, "something").unwrap();
    let dangling = home.path().join("dangling");
    symlink("/nowhere/at/all", &dangling).unwrap();
    let own = database(&server);
    let table: Vec<(PathBuf, &str)> = vec![
        (home.path().into(), "a directory"),
        (taken.clone(), "is there already"),
        (dangling.clone(), "is there already"),
        (
            home.path().join("no/such/place"),
            "No such file or directory",
        ),
        (taken.join("below a file"), "Not a directory"),
        ("/proc/hearth.db".into(), "/proc/hearth.db"),
        ("/dev/full".into(), "is there already"),
        ("..".into(), "a directory"),
        (own.clone(), "is there already"),
        (beside(&own, "-journal"), "of the database's own files"),
        (beside(&own, "-restored"), "of the database's own files"),
    ];
    for (path, rule) in &table {
        let ran = server.command(&["backup", text(path)], "").await;
        assert_eq!(ran.code, Some(1), "{path:?}: {ran:?}");
        assert!(
            ran.err.starts_with("hearth: ") && ran.err.contains(rule),
            "{path:?}: {ran:?}"
        );
        assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
    }
    assert_eq!(
        names(home.path()),
        BTreeSet::from(["dangling".into(), "taken".into()])
    );
    assert_eq!(fs::read_to_string(&taken).unwrap(), "something");
    for arguments in [&["backup"][..], &["backup", ""]] {
        assert_eq!(server.command(arguments, "").await.code, Some(64));
    }

    // Nor is one made of what isn't there, or isn't Hearth's, or isn't a file.
    assert!(server.stop().await.success());
    let to = home.path().join("backup");
    let other = home.path().join("other.db");
    rusqlite::Connection::open(&other)
        .unwrap()
        .execute_batch("CREATE TABLE notes (text TEXT)")
        .unwrap();
    for (url, rule) in [
        (
            format!("sqlite://{}", home.path().join("absent.db").display()),
            "no database",
        ),
        (format!("sqlite://{}", other.display()), "isn't Hearth's"),
        (
            format!("sqlite://{}", taken.display()),
            "file is not a database",
        ),
        (
            "mysql://ada:hunter2hunter2@127.0.0.1:1/hearth".into(),
            "README.md has the steps",
        ),
    ] {
        server.set("HEARTH_DATABASE_URL", &url);
        let ran = server.command(&["backup", text(&to)], "").await;
        assert_eq!(ran.code, Some(1), "{url}: {ran:?}");
        assert!(
            ran.err.contains(rule) && !ran.err.contains("hunter2"),
            "{url}: {ran:?}"
        );
        assert!(
            !to.exists() && !home.path().join("absent.db").exists(),
            "{url}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_backup_is_not_restored() {
    let (mut server, ada, room) = filled(300).await;
    let home = TempDir::new().unwrap();
    let at = |name: &str| home.path().join(name);
    server.done(&["backup", text(&at("good"))]).await;
    // Beside a server nothing is replaced.
    let ran = server.command(&["restore", text(&at("good"))], "").await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("stop it first"), "{ran:?}");
    say(&ada, room, "goes on").await;
    assert!(server.stop().await.success());

    let good = fs::read(at("good")).unwrap();
    fs::write(at("text"), "Dear diary").unwrap();
    fs::write(at("empty"), "").unwrap();
    fs::write(at("cut"), &good[..good.len() / 2]).unwrap();
    let mut damaged = good.clone();
    let middle = damaged.len() / 4096 / 2 * 4096;
    damaged[middle..middle + 3 * 4096].fill(0xa5);
    fs::write(at("spoilt"), damaged).unwrap();
    // One page, of an index.
    let mut spoilt = good.clone();
    let root: u32 = rusqlite::Connection::open(at("good"))
        .unwrap()
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'messages'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let end = root as usize * 4096;
    spoilt[end - 4096..end].fill(0xa5);
    fs::write(at("index"), spoilt).unwrap();
    let alter = |name: &str, sql: &str| {
        fs::write(at(name), &good).unwrap();
        rusqlite::Connection::open(at(name))
            .unwrap()
            .execute_batch(sql)
            .unwrap();
    };
    alter(
        "newer",
        "INSERT INTO schema_history (version, name, applied_on, checksum) VALUES (9999, 'x', '2030-01-01T00:00:00Z', '1')",
    );
    alter("another's", "DROP TABLE schema_history");
    let own = database(&server);
    let before = (names(own.parent().unwrap()), fs::read(&own).unwrap());
    for (from, rule) in [
        (at("absent"), "No such file"),
        (home.path().into(), "no file"),
        ("/dev/null".into(), "no file"),
        (at("text"), "not a database"),
        (at("empty"), "no tables"),
        (at("cut"), "malformed"),
        (at("spoilt"), "can't be restored"),
        (at("index"), "the database is damaged"),
        (at("newer"), "version 9999, newer"),
        (at("another's"), "tables that Hearth didn't make"),
        (own.clone(), "the database itself"),
    ] {
        let ran = server.command(&["restore", text(&from)], "").await;
        assert_eq!(ran.code, Some(1), "{from:?}: {ran:?}");
        let told = ran.err.contains(rule)
            || (rule == "damaged" && ran.err.contains("malformed"))
            || (rule == "malformed" && ran.err.contains("damaged"));
        assert!(told && ran.err.contains(text(&from)), "{from:?}: {ran:?}");
        assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
        let after = (names(own.parent().unwrap()), fs::read(&own).unwrap());
        assert!(before == after, "{from:?} changed something: {:?}", after.0);
    }
    server.set(
        "HEARTH_DATABASE_URL",
        "mysql://ada:hunter2hunter2@127.0.0.1:1/hearth",
    );
    let ran = server.command(&["restore", text(&at("good"))], "").await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("README.md has the steps"), "{ran:?}");
    let link = at("link.db");
    symlink(&own, &link).unwrap();
    server.set(
        "HEARTH_DATABASE_URL",
        &format!("sqlite://{}", link.display()),
    );
    let ran = server.command(&["restore", text(&at("good"))], "").await;
    assert!(
        ran.code == Some(1) && ran.err.contains("a symbolic link"),
        "{ran:?}"
    );
    server.set("HEARTH_DATABASE_URL", "");
    server.restart().await;
    assert_eq!(last_seq(&server.here(&ada), room).await, 301);
}

/// The replaced database is kept with its write-ahead log, and can be restored in its turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_restore_replaces_is_kept() {
    let (mut server, ada, room) = filled(10).await;
    let backup = Backup::take(&server).await;
    let bob = server.register("bob").await;
    for number in 0..10 {
        say(&ada, room, &format!("later {number}")).await;
    }
    // No orderly end: the log stays beside the database.
    server.kill().await;
    let own = database(&server);
    let data = own.parent().unwrap();
    assert!(fs::metadata(beside(&own, "-wal")).unwrap().len() > 0);
    let first = epoch(&backup.path);
    // A restore may run as another user than the server, if that user may give files away.
    let owner = if nix::unistd::geteuid().is_root() {
        65_534
    } else {
        nix::unistd::geteuid().as_raw()
    };
    chown(&own, Some(owner), None).unwrap();
    let locks = ["-server", "-served", "-migrate"].map(|suffix| beside(&own, suffix));
    for lock in &locks {
        fs::remove_file(lock).unwrap();
    }
    let said = server.done(&["restore", text(&backup.path)]).await;
    for file in locks.iter().chain([&own]) {
        assert_eq!(fs::metadata(file).unwrap().uid(), owner, "{file:?}");
    }
    let kept: Vec<String> = names(data)
        .into_iter()
        .filter(|name| name.contains("-replaced-"))
        .collect();
    assert_eq!(kept.len(), 2, "the database and its log: {kept:?}");
    assert!(said.contains(&kept[0]), "{said}");
    assert!(
        !beside(&own, "-wal").exists() && !beside(&own, "-shm").exists(),
        "{:?}",
        names(data)
    );
    let second = epoch(&own);
    assert_ne!(first, second);
    server.restart().await;
    let here = server.here(&ada);
    assert_eq!(last_seq(&here, room).await, 10);
    assert_eq!(here.connect().await.ready["epoch"], second);
    say(&here, room, "another eleventh").await;
    // A user who came after the backup is unknown, and is not the one who gets their number now.
    let eve = server.register("eve").await;
    assert_eq!(eve.id, bob.id);
    assert_eq!(server.here(&bob).get("/api/me").await.0, 401);
    assert!(server.stop().await.success());

    server.done(&["restore", text(&data.join(&kept[0]))]).await;
    server.restart().await;
    let here = server.here(&ada);
    assert_eq!(
        last_seq(&here, room).await,
        20,
        "all that was acknowledged before"
    );
    let third = here.connect().await.ready["epoch"].clone();
    assert!(third != json!(first) && third != json!(second), "{third}");
    // The database is moved away and its log isn't: that holds what came last.
    say(&here, room, "the twenty-first").await;
    server.kill().await;
    let away = data.join("away.db");
    fs::rename(&own, &away).unwrap();
    let said = server.done(&["restore", text(&backup.path)]).await;
    let left = names(data).into_iter().find(|name| name.contains("-left-"));
    let left = left.expect("the log is kept");
    assert!(said.contains(&left), "{said}");
    server.restart().await;
    assert_eq!(last_seq(&server.here(&ada), room).await, 10);
    assert!(server.stop().await.success());
    fs::rename(data.join(left), beside(&away, "-wal")).unwrap();
    server.done(&["restore", text(&away)]).await;
    server.restart().await;
    assert_eq!(last_seq(&server.here(&ada), room).await, 21);
    assert!(server.stop().await.success());
    // And into a place where nothing is.
    let elsewhere = server.dir().join("elsewhere");
    server.set(
        "HEARTH_DATABASE_URL",
        &format!("sqlite://{}", elsewhere.join("new.db").display()),
    );
    server.done(&["restore", text(&backup.path)]).await;
    server.restart().await;
    assert_eq!(last_seq(&server.here(&ada), room).await, 10);
}

/// Killed before each name that it takes or gives: what was there is whole, or nothing is opened until the restore was
/// run again, and then what was restored is whole and what was there is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_may_be_killed_at_each_step() {
    let (mut server, ada, room) = filled(5).await;
    let library = disk::library(server.dir()).await;
    let backup = Backup::take(&server).await;
    for number in 0..5 {
        say(&ada, room, &format!("later {number}")).await;
    }
    server.kill().await;
    let own = database(&server);
    let data = own.parent().unwrap().to_owned();
    let as_it_was = server.dir().join("as it was");
    copy_all(&data, &as_it_was);
    let mut seen = BTreeSet::new();
    for step in 1.. {
        fs::remove_dir_all(&data).unwrap();
        copy_all(&as_it_was, &data);
        server.set("LD_PRELOAD", text(&library));
        server.set("DISK_KILLS", &step.to_string());
        let ran = server.command(&["restore", text(&backup.path)], "").await;
        server.set("LD_PRELOAD", "");
        server.set("DISK_KILLS", "");
        let done = ran.code == Some(0);
        assert!(done || ran.code.is_none(), "step {step}: {ran:?}");
        let check = server.command(&["migrate"], "").await;
        let open = check.code == Some(0);
        if open {
            let count = messages(&own);
            assert!(count == 10 && !done || count == 5, "step {step}: {count}");
            seen.insert(count.to_string());
        } else {
            assert!(
                check.err.contains("run `hearth restore` again"),
                "step {step}: {check:?}"
            );
            for command in [
                &["serve"][..],
                &["check"],
                &["user", "list"],
                &["backup", "new"],
                &["epoch", "renew"],
            ] {
                let ran = server.command(command, "").await;
                assert_eq!(ran.code, Some(1), "step {step}, {command:?}: {ran:?}");
                let said = [&*ran.out, &ran.err].concat();
                assert!(
                    said.contains("run `hearth restore` again"),
                    "step {step}, {command:?}: {said}"
                );
            }
            seen.insert("refused".into());
        }
        if !done {
            server.done(&["restore", text(&backup.path)]).await;
        }
        assert_eq!(messages(&own), 5, "step {step}");
        let kept = names(&data).into_iter().filter(|name| {
            name.contains("-replaced-") && !name.ends_with("-wal") && !name.ends_with("-shm")
        });
        let kept: Vec<i64> = kept.map(|name| messages(&data.join(name))).collect();
        assert!(
            kept.contains(&10),
            "step {step}: {kept:?} of {:?}",
            names(&data)
        );
        if done {
            break;
        }
    }
    assert_eq!(
        seen,
        BTreeSet::from(["10".into(), "5".into(), "refused".into()])
    );
}

/// Copies the files, and not what is in directories: the search index.
fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        if file.path().is_file() {
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
}

async fn a_renewed_epoch_lets_clients_start_over(db: Db) {
    let mut server = Server::start(db).await;
    let ada = server.register("ada").await;
    let before = ada.connect().await.ready["epoch"].clone();
    if db == Db::Sqlite {
        let ran = server.command(&["epoch", "renew"], "").await;
        assert!(
            ran.code == Some(1) && ran.err.contains("stop it first"),
            "{ran:?}"
        );
    }
    assert!(server.stop().await.success());
    let said = server.done(&["epoch", "renew"]).await;
    assert!(said.contains("new epoch"), "{said}");
    server.restart().await;
    assert_ne!(server.here(&ada).connect().await.ready["epoch"], before);
    assert_eq!(server.command(&["epoch"], "").await.code, Some(64));
    // Where there is no log there is no epoch.
    assert!(server.stop().await.success());
    server.done(&["reset", "--yes"]).await;
    if db == Db::Sqlite {
        fs::remove_file(database(&server)).unwrap();
        let ran = server.command(&["epoch", "renew"], "").await;
        assert!(
            ran.code == Some(1) && ran.err.contains("no database of Hearth's"),
            "{ran:?}"
        );
        assert!(!database(&server).exists());
    }
}

each_database!(a_renewed_epoch_lets_clients_start_over);

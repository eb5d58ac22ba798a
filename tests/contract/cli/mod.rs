//! The program's commands, their exit codes and settings: `check`, `migrate`, `reset`, `user`, `health`, the key that the
//! first start makes, and two servers on one database.

mod accounts;
mod check;
mod health;
mod keys;
mod password_prompt;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Db, MariaDb, Schema, Server, each_database};

/// Runs the program to its end: its exit code, and what it printed.
fn hearth(dir: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> (Option<i32>, String) {
    hearth_reads(dir, arguments, settings, Stdio::null())
}

fn hearth_reads(
    dir: &Path,
    arguments: &[&str],
    settings: &[(&str, &str)],
    input: impl Into<Stdio>,
) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_hearth"))
        .args(arguments)
        .env_clear()
        .envs(settings.iter().copied())
        .current_dir(dir)
        .stdin(input)
        .output()
        .unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(printed).unwrap())
}

/// The settings that lead to a server's database, and a start to a port of its own.
fn database(server: &Server) -> Vec<(&'static str, String)> {
    let url = match server.database_url() {
        Some(url) => url.to_owned(),
        None => format!("sqlite://{}", server.dir().join("data/hearth.db").display()),
    };
    vec![
        ("HEARTH_DATABASE_URL", url),
        ("HEARTH_LISTEN", "127.0.0.1:0".into()),
    ]
}

fn run_beside(server: &Server, arguments: &[&str]) -> (Option<i32>, String) {
    let settings = database(server);
    let settings: Vec<(&str, &str)> = settings
        .iter()
        .map(|(name, value)| (*name, &**value))
        .collect();
    hearth(server.dir(), arguments, &settings)
}

#[test]
fn every_faulty_setting_is_told_at_once() {
    let dir = TempDir::new().unwrap();
    let faulty = [
        ("HEARTH_LISTEN", "nowhere"),
        ("HEARTH_LISTEN_METRICS", "127.0.0.1"),
        (
            "HEARTH_DATABASE_URL",
            "postgres://ada:hunter2hunter2@localhost/hearth",
        ),
        ("HEARTH_DATABASE_POOL", "0"),
        ("HEARTH_JWT_SECRET", "a-short-secret"),
        ("HEARTH_ACCESS_TTL", "soon"),
        ("HEARTH_REFRESH_TTL", "-1d"),
        ("HEARTH_PUBLIC_URL", "https://*.example.org"),
        ("HEARTH_CORS_ORIGINS", "https://*.example.org"),
        ("HEARTH_REGISTRATION", "perhaps"),
        ("HEARTH_LOG_FORMAT", "xml"),
        ("HEARTH_RATE_LIMITS", "perhaps"),
    ];
    for command in [
        &["serve"][..],
        &["check"],
        &["migrate"],
        &["reset", "--yes"],
        &["user", "list"],
    ] {
        let (code, printed) = hearth(dir.path(), command, &faulty);
        assert_eq!(code, Some(64), "{command:?}: {printed}");
        for (name, _) in faulty {
            assert_eq!(
                printed.matches(&format!("  {name}: ")).count(),
                1,
                "{command:?}: {printed}"
            );
        }
        assert!(
            !printed.contains("hunter2") && !printed.contains("a-short-secret"),
            "{printed}"
        );
    }
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        0,
        "nothing was made"
    );
    for arguments in [&["dance"][..], &["serve", "--colour=red"], &[]] {
        assert_eq!(
            hearth(dir.path(), arguments, &[]).0,
            Some(64),
            "{arguments:?}"
        );
    }
    assert_eq!(hearth(dir.path(), &["--version"], &[]).0, Some(0));
}

#[test]
fn dot_env_is_read_and_the_environment_wins() {
    let dir = TempDir::new().unwrap();
    fs::write(
        dir.path().join(".env"),
        "HEARTH_ACCESS_TTL=7m\nHEARTH_DATABASE_POOL=3\n",
    )
    .unwrap();
    let (code, printed) = hearth(dir.path(), &["check"], &[("HEARTH_DATABASE_POOL", "5")]);
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains("HEARTH_ACCESS_TTL=7m"), "{printed}");
    assert!(printed.contains("HEARTH_DATABASE_POOL=5"), "{printed}");
    let (_, printed) = hearth(
        dir.path(),
        &["--database-pool=6", "check"],
        &[("HEARTH_DATABASE_POOL", "5")],
    );
    assert!(
        printed.contains("HEARTH_DATABASE_POOL=6"),
        "a flag wins over both: {printed}"
    );
}

/// A `.env` above the working directory isn't Hearth's: it is ignored, whatever it says, and also if it can't be read.
#[test]
fn dot_env_is_read_from_the_working_directory_alone() {
    let dir = TempDir::new().unwrap();
    let below = dir.path().join("project/hearth");
    fs::create_dir_all(&below).unwrap();
    let pool = |of: &str| {
        let (code, printed) = hearth(&below, &["check"], &[]);
        assert_eq!(code, Some(0), "{of}: {printed}");
        let pool = printed
            .lines()
            .find_map(|line| line.split_once("DATABASE_POOL="));
        pool.expect("it is shown").1.to_owned()
    };
    for above in [dir.path(), &dir.path().join("project")] {
        for text in [
            "HEARTH_DATABASE_POOL=3\n",
            "HEARTH_DATABASE_POOL=none\n",
            "HEARTH_DATABASE_POL=3\n",
            "not a line of one\n",
        ] {
            fs::write(above.join(".env"), text).unwrap();
            assert_eq!(pool(text), "8");
        }
        // A directory can't be read as a file.
        fs::remove_file(above.join(".env")).unwrap();
        fs::create_dir(above.join(".env")).unwrap();
        assert_eq!(pool("a directory"), "8");
    }
    fs::write(below.join(".env"), "HEARTH_DATABASE_POOL=5\n").unwrap();
    assert_eq!(pool("its own"), "5");
    for text in ["not a line of one\n", "HEARTH_DATABASE_POOL=none\n"] {
        fs::write(below.join(".env"), text).unwrap();
        assert_eq!(hearth(&below, &["check"], &[]).0, Some(64), "{text}");
    }
    // As Docker makes one where a file that isn't there is mounted.
    fs::remove_file(below.join(".env")).unwrap();
    fs::create_dir(below.join(".env")).unwrap();
    let (code, printed) = hearth(&below, &["check"], &[]);
    assert_eq!(code, Some(64), "{printed}");
    assert!(
        printed.contains(".env") && printed.contains("directory"),
        "{printed}"
    );
}

/// As a copy of .env.example has it when a value was taken away, and as Compose files hand on what isn't set.
#[test]
fn an_empty_value_means_the_default() {
    let dir = TempDir::new().unwrap();
    let settings = |environment: &[(&str, &str)]| {
        let (code, printed) = hearth(dir.path(), &["check"], environment);
        assert_eq!(code, Some(0), "{printed}");
        let settings = printed.split_once("findings");
        settings.expect("they come first").0.to_owned()
    };
    let defaults = settings(&[]);
    let example = include_str!("../../../.env.example").lines();
    let names = example.filter_map(|line| line.strip_prefix('#')?.split_once('='));
    let names: Vec<&str> = names
        .map(|(name, _)| name)
        .filter(|name| name.starts_with("HEARTH_"))
        .collect();
    assert!(names.len() > 15, "{names:?}");
    let empty: Vec<_> = names.iter().map(|name| (*name, "")).collect();
    assert_eq!(settings(&empty), defaults);
    let lines = names.iter().map(|name| format!("{name}=\n"));
    fs::write(dir.path().join(".env"), lines.collect::<String>()).unwrap();
    assert_eq!(settings(&[]), defaults);
}

async fn check_tells_what_is_wrong_and_what_to_do(db: Db) {
    let server = Server::start(db).await;
    let (code, printed) = run_beside(&server, &["check"]);
    assert_eq!(code, Some(0), "{printed}");
    assert!(
        printed.contains("HEARTH_JWT_SECRET=") && printed.contains("schema"),
        "{printed}"
    );
    assert!(
        !printed.contains(":hearth@"),
        "the password is hidden: {printed}"
    );
    let key = server.dir().join("data/jwt-secret");
    let secret = fs::read_to_string(&key).unwrap();
    assert!(!printed.contains(secret.trim()), "{printed}");

    // A site without an admin is worth a note, and no error.
    let without = |printed: &str| {
        let note = printed.lines().find(|line| line.contains("admin"));
        note.is_some_and(|note| note.contains("note") && note.contains("hearth user promote NAME"))
    };
    assert!(without(&printed), "{printed}");
    server.admin("ada").await;
    let (code, printed) = run_beside(&server, &["check"]);
    assert_eq!(code, Some(0), "{printed}");
    assert!(!without(&printed), "{printed}");
    server.done(&["user", "disable", "ada"]).await;
    assert!(without(&run_beside(&server, &["check"]).1));

    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let (code, printed) = run_beside(&server, &["check"]);
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("chmod 600"), "{printed}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();

    let nobody = [(
        "HEARTH_DATABASE_URL",
        "mysql://ada:hunter2hunter2@127.0.0.1:1/hearth",
    )];
    let (code, printed) = hearth(server.dir(), &["check"], &nobody);
    assert_eq!(code, Some(1), "{printed}");
    assert!(
        printed.contains("HEARTH_DATABASE_URL") && !printed.contains("hunter2"),
        "{printed}"
    );
}

async fn migrating_twice_and_resetting(db: Db) {
    let mut server = Server::start(db).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let epoch = ada.connect().await.ready["epoch"].clone();
    assert!(server.stop().await.success());
    for _ in 0..2 {
        let (code, printed) = run_beside(&server, &["migrate"]);
        assert_eq!(code, Some(0), "{printed}");
    }
    let (code, printed) = run_beside(&server, &["reset"]);
    assert_eq!(code, Some(64), "{printed}");
    assert!(printed.contains("--yes"), "{printed}");
    server.restart().await;
    assert_eq!(
        ada.get(&format!("/api/chat/rooms/{room}")).await.0,
        200,
        "all is there"
    );
    assert_eq!(ada.connect().await.ready["epoch"], epoch);

    assert!(server.stop().await.success());
    let (code, printed) = run_beside(&server, &["reset", "--yes"]);
    assert_eq!(code, Some(0), "{printed}");
    server.restart().await;
    assert_eq!(ada.get("/api/me").await.0, 401, "the session is gone");
    let eve = server.register("eve").await;
    assert_ne!(
        eve.connect().await.ready["epoch"],
        epoch,
        "another log: clients start over"
    );
}

async fn a_newer_schema_is_left_alone(db: Db) {
    let mut server = Server::start(db).await;
    let ada = server.register("ada").await;
    assert!(server.stop().await.success());
    let history = "schema_history";
    server
        .sql(&format!(
            "INSERT INTO {history} (version, name, applied_on, checksum) \
             VALUES (9999, 'from_the_future', '2030-01-01T00:00:00Z', '1')"
        ))
        .await;
    for command in [&["serve"][..], &["migrate"], &["check"]] {
        let (code, printed) = run_beside(&server, command);
        assert_eq!(code, Some(1), "{command:?}: {printed}");
        assert!(
            printed.contains("9999") && printed.contains("newer"),
            "{command:?}: {printed}"
        );
    }
    server
        .sql(&format!("DELETE FROM {history} WHERE version = 9999"))
        .await;
    server.restart().await;
    assert_eq!(ada.get("/api/me").await.0, 200, "nothing was changed");
}

/// Tables of Hearth's names, without its history.
async fn what_another_program_made_is_left_alone(db: Db) {
    let mut server = Server::start(db).await;
    let ada = server.register("ada").await;
    assert!(server.stop().await.success());
    let rename = "ALTER TABLE schema_history RENAME TO theirs";
    server.sql(rename).await;
    let commands = [
        &["serve"][..],
        &["migrate"],
        &["check"],
        &["reset", "--yes"],
        &["user", "list"],
    ];
    for command in commands {
        let (code, printed) = run_beside(&server, command);
        assert_eq!(code, Some(1), "{command:?}: {printed}");
        assert!(
            printed.contains("tables that Hearth didn't make (") && printed.contains(" users"),
            "{command:?}: {printed}"
        );
    }
    server
        .sql("ALTER TABLE theirs RENAME TO schema_history")
        .await;
    server.restart().await;
    assert_eq!(ada.get("/api/me").await.0, 200, "nothing was changed");
}

async fn the_key_is_made_once_and_kept(db: Db) {
    let mut server = Server::start(db).await;
    let path = server.dir().join("data/jwt-secret");
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let key = fs::read(&path).unwrap();
    let ada = server.register("ada").await;
    server.kill().await;
    server.restart().await;
    assert_eq!(fs::read(&path).unwrap(), key);
    assert_eq!(
        ada.get("/api/me").await.0,
        200,
        "tokens outlive the process"
    );
}

/// The commands of `hearth user` but `add`, each about one who may be there.
const LOOK_AFTER_ADA: [&[&str]; 6] = [
    &["list"],
    &["promote", "ada"],
    &["demote", "ada"],
    &["disable", "ada"],
    &["enable", "ada"],
    &["reset", "ada"],
];

async fn only_a_new_account_makes_a_database(db: Db) {
    let dir = TempDir::new().unwrap();
    let schema = match db {
        Db::Sqlite => None,
        Db::MariaDb => Some(Schema::create().await),
    };
    let (url, place) = match &schema {
        None => {
            let place = dir.path().join("there/hearth.db").display().to_string();
            (String::from("sqlite://./there/hearth.db"), place)
        }
        Some(schema) => (
            schema.url.clone(),
            schema.url.replace(":hearth@", ":(hidden)@"),
        ),
    };
    let settings = [
        ("HEARTH_DATABASE_URL", &*url),
        ("HEARTH_ARGON2", "m=64,t=1,p=1"),
    ];
    let made = || fs::read_dir(dir.path()).unwrap().count();
    // Nor does one that breaks a rule.
    let wrong: &[&str] = &["add", "a b", "--email", "ada@example.org"];
    for arguments in LOOK_AFTER_ADA.into_iter().chain([wrong]) {
        let arguments = [&["user"], arguments].concat();
        let (code, printed) = hearth(dir.path(), &arguments, &settings);
        assert_eq!(code, Some(1), "{arguments:?}: {printed}");
        let told = printed.contains("no database") && printed.contains(&place);
        assert_eq!(told, arguments[1] != "add", "{arguments:?}: {printed}");
        assert!(!printed.contains(":hearth@"), "{printed}");
        assert_eq!(made(), 0, "{arguments:?} made something");
    }
    let add = |name: &'static str| {
        let email = format!("{name}@example.org");
        let input = dir.path().join("password");
        fs::write(&input, "correct horse battery").unwrap();
        let input = fs::File::open(input).unwrap();
        hearth_reads(
            dir.path(),
            &["user", "add", name, "--email", &email],
            &settings,
            input,
        )
    };
    for (name, new) in [("ada", true), ("bob", false)] {
        let (code, printed) = add(name);
        assert_eq!(code, Some(0), "{printed}");
        let told = printed.contains("new database") && printed.contains(&place);
        assert_eq!(told, new, "{printed}");
        assert!(!printed.contains(":hearth@"), "{printed}");
    }
    let (code, printed) = hearth(dir.path(), &["user", "list"], &settings);
    assert_eq!((code, printed.lines().count()), (Some(0), 2), "{printed}");
}

each_database!(
    only_a_new_account_makes_a_database,
    check_tells_what_is_wrong_and_what_to_do,
    migrating_twice_and_resetting,
    a_newer_schema_is_left_alone,
    what_another_program_made_is_left_alone,
    the_key_is_made_once_and_kept,
);

/// Two that find an empty database at the same moment: one migrates, the other waits; both serve.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_start_on_one_database() {
    let schema = Schema::create().await;
    let secret = [(
        "HEARTH_JWT_SECRET",
        "one secret for the two of them, 32 bytes",
    )];
    let (one, two) = tokio::join!(
        Server::start_on_url(&schema.url, &secret),
        Server::start_on_url(&schema.url, &secret),
    );
    let ada = one.register("ada").await;
    let (status, me) = two.request("GET", "/api/me", Some(&ada.token), None).await;
    assert_eq!((status, &me["id"]), (200, &json!(ada.id)));
    let epochs = [ada.connect().await.ready["epoch"].clone(), {
        let url = format!("ws://{}/ws?token={}", two.address(), ada.token);
        crate::support::Socket::open(&url)
            .await
            .expect("ready")
            .await["epoch"]
            .clone()
    }];
    assert_eq!(epochs[0], epochs[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_has_one_server() {
    let mut server = Server::start(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let ran = server
        .command(&["serve", "--listen", "127.0.0.1:0"], "")
        .await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("another server uses this file"), "{ran:?}");
    // By whatever name.
    let link = server.dir().join("link.db");
    std::os::unix::fs::symlink(server.dir().join("data/hearth.db"), &link).unwrap();
    let link = format!("sqlite://{}", link.display());
    for command in [
        &["serve", "--listen", "127.0.0.1:0", "--database-url", &link][..],
        &["reset", "--yes", "--database-url", &link],
        &["epoch", "renew", "--database-url", &link],
    ] {
        let ran = server.command(command, "").await;
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.err.contains("server"), "{ran:?}");
    }
    // Commands work beside it, and it has taken no harm.
    server.done(&["user", "promote", "ada"]).await;
    assert_eq!(ada.get("/api/me").await.0, 200);
    server.kill().await;
    server.restart().await;
    assert_eq!(server.here(&ada).get("/api/me").await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_follows_the_database() {
    let mariadb = MariaDb::start().await;
    let server = Server::start_on_url(&mariadb.url(), &[]).await;
    let health = |path: &'static str| {
        let server = &server;
        async move { server.request("GET", path, None, None).await }
    };
    assert_eq!(health("/healthz").await, (200, json!({"status": "ok"})));
    assert_eq!(health("/readyz").await, (200, json!({"status": "ready"})));
    mariadb.freeze().await;
    let (status, problem): (u16, Value) = health("/readyz").await;
    assert_eq!((status, &problem["code"]), (503, &json!("unavailable")));
    assert_eq!(health("/healthz").await.0, 200, "the process lives");
    mariadb.thaw();
    let ready = async {
        while health("/readyz").await.0 != 200 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    crate::support::timeout(crate::support::PATIENCE, ready)
        .await
        .expect("it is ready again");
    server.register("ada").await;

    let text = server.metrics().await;
    for name in [
        "http_requests_total",
        "hub_connections",
        "hub_live_rooms",
        "http_request_duration_seconds_bucket",
    ] {
        assert!(text.contains(name), "{name}: {text}");
    }
    assert!(
        !text.contains("eyJ") && !text.contains("/api/me?"),
        "{text}"
    );
}

//! The example in Python, which was written from PROTOCOL.md alone, through an outage of the server.

use std::{path::Path, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::Command,
    time::Duration,
};

use crate::support::{Db, Server, each_database, timeout};

/// The longest that the script waits for anything, with a margin.
const LONG: Duration = Duration::from_secs(120);

async fn a_client_written_from_the_page_alone_keeps_every_message(db: Db) {
    let mut server = Server::start(db).await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut script = Command::new(root.join("target/python/bin/python3"))
        .arg(root.join("examples/python/conversation.py"))
        .arg(server.url(""))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("Python's packages are installed: `make setup`");
    let mut lines = BufReader::new(script.stdout.take().unwrap()).lines();
    let mut heard = Vec::new();
    loop {
        match timeout(LONG, lines.next_line())
            .await
            .expect("it goes on")
            .unwrap()
        {
            Some(line) if line == "kill" => break,
            Some(line) => heard.push(line),
            None => break,
        }
    }
    server.kill().await;
    server.restart().await;
    let mut input = script.stdin.take().unwrap();
    // It may have ended of a fault, which is told below.
    let _ = input.write_all(b"it is back\n").await;
    while let Some(line) = timeout(LONG, lines.next_line())
        .await
        .expect("it goes on")
        .unwrap()
    {
        heard.push(line);
    }
    let output = timeout(LONG, script.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{heard:?} {errors}");
    assert_eq!(
        heard.last().map(String::as_str),
        Some("three clients hold the same 105 messages")
    );
}

each_database!(a_client_written_from_the_page_alone_keeps_every_message);

#[test]
fn the_examples_say_how_they_are_used() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for script in ["client.py", "conversation.py"] {
        let ran = std::process::Command::new(root.join("target/python/bin/python3"))
            .arg(root.join("examples/python").join(script))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .output()
            .expect("Python's packages are installed: `make setup`");
        let said = String::from_utf8_lossy(&ran.stderr);
        let usage = format!("python3 {script} http://127.0.0.1:8000");
        assert_eq!(ran.status.code(), Some(1), "{said}");
        assert!(
            said.contains(&usage) && !said.contains("Traceback"),
            "{said}"
        );
    }
}

#[test]
fn the_client_is_short() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let client = std::fs::read_to_string(root.join("examples/python/client.py")).unwrap();
    let lines = client.lines().count();
    assert!(lines <= 200, "README promises 200 lines: {lines}");
}

//! The machine's clock steps back by seconds, forward and back by an hour. Nobody is logged out by it, and messages keep
//! their order. libfaketime moves the server's clock; the database's stays.

use std::{path::PathBuf, time::Duration};

use hearth::limits::SESSIONS_PER_USER_MAX;
use serde_json::{Value, json};

use crate::support::{Account, Db, MariaDb, PATIENCE, Server, Socket, each_database, timeout};

const HOUR: i64 = 3_600;
/// Seconds by which the clock is wrong, one after another.
const STEPS: [i64; 7] = [0, -5, 0, HOUR, -HOUR, 7, 0];

/// The clock of one server.
struct Clock {
    file: PathBuf,
    _dir: tempfile::TempDir,
}

impl Clock {
    /// A clock that is right, and the settings of the server that is to look at it.
    fn new() -> (Self, Vec<(&'static str, String)>) {
        let library = glob("/usr/lib", "faketime/libfaketimeMT.so.1");
        let dir = tempfile::TempDir::new().unwrap();
        let clock = Self {
            file: dir.path().join("offset"),
            _dir: dir,
        };
        clock.set(0);
        let settings = vec![
            ("LD_PRELOAD", library.to_str().unwrap().to_owned()),
            (
                "FAKETIME_TIMESTAMP_FILE",
                clock.file.to_str().unwrap().to_owned(),
            ),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
        (clock, settings)
    }

    /// Makes it wrong by so many seconds.
    fn set(&self, seconds: i64) {
        // In one step: it is read at any moment.
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{seconds:+}\n")).unwrap();
        std::fs::rename(&new, &self.file).unwrap();
    }
}

/// The first file of this name in a directory below `root`, which each architecture calls otherwise.
fn glob(root: &str, name: &str) -> PathBuf {
    let places = std::fs::read_dir(root).unwrap();
    let files = places.map(|place| place.unwrap().path().join(name));
    let mut there = files.filter(|file| file.exists());
    there
        .next()
        .expect("libfaketime is installed: `make setup`")
}

async fn start(db: Db) -> (Server, Clock) {
    let (clock, settings) = Clock::new();
    let settings: Vec<(&str, &str)> = settings
        .iter()
        .map(|(name, value)| (*name, &**value))
        .collect();
    (Server::start_with(db, &settings).await, clock)
}

async fn refresh(server: &Server, refresh_token: &str) -> Value {
    let body = json!({"refresh_token": refresh_token});
    let (status, tokens) = server
        .request("POST", "/api/refresh", None, Some(&body))
        .await;
    assert_eq!(status, 200, "{tokens}");
    tokens
}

/// Asks as clients do: when the token has expired, it is refreshed.
async fn ask(server: &Server, account: &mut Account) {
    let (status, answer) = account.get("/api/me").await;
    if status == 200 {
        return;
    }
    assert_eq!((status, &answer["code"]), (401, &json!("token_expired")));
    *account = server.account(&refresh(server, &account.refresh_token).await);
    assert_eq!(account.get("/api/me").await.0, 200);
}

/// The server's clock, in seconds, by a message that it stores.
async fn say(socket: &mut Socket, room: u64, text: &str) -> i64 {
    let ack = socket.say(room, text).await;
    let at: jiff::Timestamp = ack["created_at"].as_str().unwrap().parse().unwrap();
    at.as_second()
}

async fn a_clock_that_steps_logs_nobody_out(db: Db) {
    let (server, clock) = start(db).await;
    let mut ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let mut lasting = server.log_in("ada").await.connect().await;
    lasting.join(room).await;
    for from in STEPS {
        for to in STEPS {
            clock.set(from);
            let before = say(&mut lasting, room, "before").await;
            let fresh = server.log_in("ada").await;
            let exchanged = refresh(&server, &ada.refresh_token).await;
            let old = ada.refresh_token.clone();
            ada = server.account(&exchanged);
            clock.set(to);
            let after = say(&mut lasting, room, "after").await;
            // As long as the machine took to come here.
            let stepped = after - before - (to - from);
            assert!((0..600).contains(&stepped), "the clock steps: {stepped}");
            // A session of this moment, and one whose last answer was lost.
            let mut fresh = fresh;
            ask(&server, &mut fresh).await;
            let again = refresh(&server, &old).await;
            assert_eq!(again["refresh_token"], ada.refresh_token, "{from} to {to}");
            ask(&server, &mut ada).await;
            let mut socket = ada.connect().await;
            socket.join(room).await;
            assert_eq!(ada.post("/api/logout", json!({})).await.0, 204);
            assert_eq!(socket.closed().await, 4501, "{from} to {to}");
            ada = fresh;
        }
    }
    assert_eq!(lasting.ask(json!({"type": "ping"})).await["type"], "pong");
}

async fn a_log_in_made_while_the_clock_is_behind_is_not_the_least_used(db: Db) {
    let (server, clock) = start(db).await;
    server.register("ada").await;
    for _ in 1..SESSIONS_PER_USER_MAX {
        server.log_in("ada").await;
    }
    clock.set(-HOUR);
    let mut behind = server.log_in("ada").await;
    let mut last = server.log_in("ada").await;
    for account in [&mut behind, &mut last] {
        ask(&server, account).await;
    }
}

async fn a_clock_that_steps_breaks_no_order(db: Db) {
    let (server, clock) = start(db).await;
    let ada = server.register("ada").await;
    let mut bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let path = format!("/api/chat/rooms/{room}");
    let mut writer = ada.connect().await;
    let mut reader = bob.connect().await;
    reader.join(room).await;
    let mut last = 0;
    for step in STEPS {
        clock.set(step);
        for _ in 0..2 {
            last += 1;
            let text = format!("number {last}");
            say(&mut writer, room, &text).await;
            let frame = reader.expect("message").await;
            assert_eq!(
                (&frame["seq"], &frame["content"]),
                (&json!(last), &json!(text))
            );
        }
    }
    ask(&server, &mut bob).await;
    let numbers = |items: &Value| -> Vec<u64> {
        let items = items.as_array().unwrap().iter();
        items.map(|item| item["seq"].as_u64().unwrap()).collect()
    };
    let all: Vec<u64> = (1..=last).collect();
    let (_, page) = bob.get(&format!("{path}/messages")).await;
    assert_eq!(numbers(&page["items"]), all);
    let (frames, synced) = bob.connect().await.join_from(room, 0).await;
    let messages = frames.iter().filter(|frame| frame["type"] == "message");
    let seqs: Vec<u64> = messages
        .map(|frame| frame["seq"].as_u64().unwrap())
        .collect();
    assert_eq!((seqs, &synced["unread"]), (all.clone(), &json!(last)));
    let (_, shown) = bob.get(&path).await;
    assert_eq!(
        (&shown["last_message"]["seq"], &shown["unread"]),
        (&json!(last), &json!(last))
    );
    // The second one is given at a moment that the clock calls an earlier one; by their bytes they stand otherwise, too.
    for (step, emoji) in [(HOUR, "👍"), (-HOUR, "❤\u{fe0f}")] {
        clock.set(step);
        let react = json!({"type": "react", "room_id": room, "seq": 1, "emoji": emoji, "on": true});
        assert_eq!(writer.ask(react).await["type"], "ack");
        reader.expect("message_updated").await;
    }
    let (_, first) = bob.get(&format!("{path}/messages?after=0&limit=1")).await;
    let reactions = first["items"][0]["reactions"].as_array().unwrap().iter();
    let emoji: Vec<&str> = reactions
        .map(|one| one["emoji"].as_str().unwrap())
        .collect();
    assert_eq!(
        emoji,
        ["👍", "❤\u{fe0f}"],
        "in the order in which they were given"
    );
    // An edit, a deletion and a marker of a moment that the clock calls an earlier one.
    clock.set(-HOUR);
    let body = json!({"content": "edited"});
    let edited = format!("{path}/messages/{last}");
    assert_eq!(ada.request("PATCH", &edited, Some(&body)).await.0, 200);
    assert_eq!(reader.expect("message_updated").await["content"], "edited");
    assert_eq!(ada.delete(&format!("{path}/messages/1")).await.0, 200);
    let (_, read) = bob.post(&format!("{path}/read"), json!({"seq": 2})).await;
    assert_eq!(
        (&read["last_read_seq"], &read["unread"]),
        (&json!(2), &json!(last - 2))
    );
    // Each is found once, the newest by the clock first.
    let found = async {
        loop {
            let (mut seqs, mut cursor, mut times) = (Vec::new(), String::new(), Vec::new());
            loop {
                let (_, page) = bob
                    .get(&format!("/api/chat/search?q=number&limit=3{cursor}"))
                    .await;
                for item in page["items"].as_array().unwrap() {
                    seqs.push(item["message"]["seq"].as_u64().unwrap());
                    times.push(item["message"]["created_at"].as_str().unwrap().to_owned());
                }
                match page["next"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            if seqs.len() as u64 >= last - 2 {
                break (seqs, times);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let found = timeout(PATIENCE, found).await;
    let (mut seqs, times) = found.expect("all is indexed");
    assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
    seqs.sort_unstable();
    assert_eq!(seqs, (2..last).collect::<Vec<u64>>());
}

/// Invites, whose ends are of the clock, live again once it is right.
async fn what_lives_is_not_forgotten(db: Db) {
    let (server, clock) = start(db).await;
    let mut ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(30);
    let body = json!({"room_id": room, "max_uses": 1, "expires_at": end.to_string()});
    let (status, invite) = ada.post("/api/invites", body).await;
    assert_eq!(status, 201, "{invite}");
    let come = async |name: &str| {
        let body = json!({"username": name, "email": format!("{name}@example.org"),
            "password": format!("correct horse {name}"), "invite": invite["code"]});
        let (status, answer) = server
            .request("POST", "/api/register", None, Some(&body))
            .await;
        (status, answer)
    };
    clock.set(HOUR);
    let (status, problem) = come("bob").await;
    assert_eq!(
        (status, &problem["errors"][0]["field"]),
        (400, &json!("invite"))
    );
    ask(&server, &mut ada).await;
    clock.set(0);
    assert_eq!(come("bob").await.0, 201);
    let (_, shown) = ada.get(&format!("/api/chat/rooms/{room}")).await;
    assert_eq!(shown["member_count"], 2);
}

/// A session that ends on a node whose clock is wrong ends on the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_in_ends_on_every_node_whatever_their_clocks_say() {
    let database = MariaDb::start().await;
    let (clock, settings) = Clock::new();
    let settings: Vec<(&str, &str)> = settings
        .iter()
        .map(|(name, value)| (*name, &**value))
        .collect();
    let both = [
        (
            "HEARTH_JWT_SECRET",
            "one secret of two nodes, 32 bytes or more",
        ),
        // Tokens that are in time on both.
        ("HEARTH_ACCESS_TTL", "12h"),
    ];
    let right = Server::start_on_url(&database.url(), &both).await;
    let wrong = Server::start_on_url(&database.url(), &[&settings[..], &both].concat()).await;
    let ada = right.register("ada").await;
    for step in STEPS {
        clock.set(step);
        let account = wrong.log_in("ada").await;
        let there = right.here(&account);
        let mut socket = there.connect().await;
        assert_eq!(account.post("/api/logout", json!({})).await.0, 204);
        assert_eq!(socket.closed().await, 4501, "{step}");
    }
    assert_eq!(ada.get("/api/me").await.0, 200);
}

each_database!(
    a_clock_that_steps_logs_nobody_out,
    a_log_in_made_while_the_clock_is_behind_is_not_the_least_used,
    a_clock_that_steps_breaks_no_order,
    what_lives_is_not_forgotten,
);

//! Many changes at once, to a MariaDB that is far away or accepts little at a time: a batch is a few statements, whatever it
//! holds, and one that is too much for the database is retried in halves.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{
    Account, Db, MariaDb, PATIENCE, Proxy, Schema, Server, Silence, timeout, uuid,
};

const FAR: Duration = Duration::from_millis(20);
const MANY: usize = 256;

/// A server behind a proxy, and a room.
struct Far {
    proxy: Proxy,
    server: Server,
    ada: Account,
    room: u64,
    _schema: Schema,
}

impl Far {
    async fn new() -> Self {
        let schema = Schema::create().await;
        let proxy = Proxy::start(&schema.url).await;
        // So that it isn't the reads before a change that wait.
        let pool = [("HEARTH_DATABASE_POOL", "64")];
        let server = Server::start_on_url(&proxy.url(&schema.url), &pool).await;
        let ada = server.register("ada").await;
        let room = ada.create_room("hall", &[]).await;
        Self {
            proxy,
            server,
            ada,
            room,
            _schema: schema,
        }
    }

    fn messages(&self) -> String {
        format!("/api/chat/rooms/{}/messages", self.room)
    }

    /// Each of these requests is answered with one of these; how many statements that write it took.
    async fn ask(&self, requests: Vec<(&str, String, Value)>, expected: [u16; 3]) -> usize {
        let before = self.proxy.writes();
        let answers = requests.iter().map(|(method, path, body)| {
            let body = (!body.is_null()).then_some(body);
            self.ada.served(method, path, body)
        });
        for (status, answer) in join_all(answers).await {
            assert!(expected.contains(&status), "{status}: {answer}");
        }
        self.proxy.writes() - before
    }
}

/// Row by row each batch of these would take 5 s and more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_batch_holds_it_takes_few_round_trips() {
    let far = Far::new().await;
    let bob = far.server.register("bob").await;
    let mut rooms = Vec::new();
    for number in 0..MANY {
        rooms.push(bob.create_room(&format!("room {number}"), &[]).await);
    }
    let messages = far.messages();
    let message = |seq: usize| format!("{messages}/{seq}");
    let path = |room: &u64, what: &str| format!("/api/chat/rooms/{room}{what}");
    far.proxy.delay(FAR);
    type Requests<'a> = Vec<(&'a str, String, Value)>;
    let one_by_one: Vec<(&str, Requests<'_>)> = vec![
        (
            "messages",
            (0..2 * MANY)
                .map(|_| {
                    (
                        "POST",
                        messages.clone(),
                        json!({"id": uuid(), "content": "hello @ada"}),
                    )
                })
                .collect(),
        ),
        (
            "edits",
            (1..=MANY)
                .map(|seq| ("PATCH", message(seq), json!({"content": "hello @all"})))
                .collect(),
        ),
        (
            "pins",
            (1..=MANY)
                .map(|seq| ("PUT", format!("{}/pin", message(seq)), Value::Null))
                .collect(),
        ),
        (
            "unpinned",
            (1..=MANY)
                .map(|seq| ("DELETE", format!("{}/pin", message(seq)), Value::Null))
                .collect(),
        ),
        (
            "reactions",
            (1..=MANY)
                .map(|seq| {
                    (
                        "PUT",
                        format!("{}/reactions/%F0%9F%91%8D", message(seq)),
                        Value::Null,
                    )
                })
                .collect(),
        ),
        (
            "taken back",
            (1..=MANY)
                .map(|seq| {
                    (
                        "DELETE",
                        format!("{}/reactions/%F0%9F%91%8D", message(seq)),
                        Value::Null,
                    )
                })
                .collect(),
        ),
        (
            "deletions",
            (1..=MANY)
                .map(|seq| ("DELETE", message(seq), Value::Null))
                .collect(),
        ),
        (
            "joins",
            rooms
                .iter()
                .map(|room| ("POST", path(room, "/join"), Value::Null))
                .collect(),
        ),
        (
            "messages, one in each room",
            rooms
                .iter()
                .map(|room| {
                    let body = json!({"id": uuid(), "content": "hello"});
                    ("POST", path(room, "/messages"), body)
                })
                .collect(),
        ),
        (
            "deletions of the last one in each",
            rooms
                .iter()
                .map(|room| ("DELETE", path(room, "/messages/1"), Value::Null))
                .collect(),
        ),
        (
            "leaves",
            rooms
                .iter()
                .map(|room| ("POST", path(room, "/leave"), Value::Null))
                .collect(),
        ),
    ];
    for (what, requests) in one_by_one {
        let changes = requests.len();
        let writes = far.ask(requests, [200, 201, 204]).await;
        println!("{changes} {what}: {writes} statements");
        assert!(writes < changes, "{changes} {what}: {writes} statements");
    }
    let settings = rooms.iter().map(|room| {
        let bob = bob.clone();
        async move {
            let body = json!({"name": "Küche 🫖", "topic": "\"𠀀\" 👍"});
            bob.served("PATCH", &format!("/api/chat/rooms/{room}"), Some(&body))
                .await
        }
    });
    let before = far.proxy.writes();
    for (status, answer) in join_all(settings).await {
        assert_eq!(status, 200, "{answer}");
        assert_eq!(
            (&answer["name"], &answer["topic"]),
            (&json!("Küche 🫖"), &json!("\"𠀀\" 👍"))
        );
    }
    assert!(far.proxy.writes() - before < rooms.len());
    let ended = rooms.iter().map(|room| {
        let bob = bob.clone();
        let path = format!("/api/chat/rooms/{room}");
        async move { bob.served("DELETE", &path, None).await }
    });
    let before = far.proxy.writes();
    for (status, answer) in join_all(ended).await {
        // 404: it was done when the answer was lost.
        assert!(matches!(status, 204 | 404), "{status}: {answer}");
    }
    assert!(far.proxy.writes() - before < rooms.len());
}

/// A batch that isn't done in time is split: its parts succeed, and nothing is stored twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_is_too_much_is_tried_again_in_halves() {
    const TEXT: usize = 1_000;
    let far = Far::new().await;
    // About forty of these are taken at once.
    let silence = Silence {
        at: "INSERT INTO messages",
        above: 40 * TEXT,
    };
    far.proxy.delay(FAR);
    far.proxy.fall_silent(Some(silence));
    let path = far.messages();
    let sends = (0..64).map(|_| {
        let body = json!({"id": uuid(), "content": "x".repeat(TEXT)});
        let (ada, path) = (&far.ada, &path);
        async move {
            loop {
                match ada.post(path, body.clone()).await {
                    (201 | 200, message) => return message["seq"].as_u64().unwrap(),
                    (status, problem) => assert_eq!(status, 503, "{problem}"),
                }
            }
        }
    });
    let sent = timeout(PATIENCE, join_all(sends)).await;
    let mut seqs = sent.expect("all are acknowledged in time");
    assert!(far.proxy.silences() > 0, "none was too much");
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=64).collect::<Vec<u64>>());
}

/// One that is too much by itself fails to its sender, and holds nobody up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_is_too_much_by_itself_is_refused_once() {
    let far = Far::new().await;
    let path = far.messages();
    for at in ["INSERT INTO messages", "FORCE INDEX (messages_id)"] {
        let before = far.proxy.silences();
        let body = json!({"id": uuid(), "content": "hello"});
        far.proxy.fall_silent(Some(Silence { at, above: 0 }));
        let (status, problem) = far.ada.post(&path, body.clone()).await;
        assert_eq!(
            (status, &problem["code"]),
            (503, &json!("unavailable")),
            "{problem}"
        );
        far.proxy.fall_silent(None);
        assert_eq!(far.proxy.silences() - before, 1, "it was tried again");
        let answered = async {
            loop {
                match far.ada.post(&path, body.clone()).await {
                    (503, _) => {}
                    (status, _) => return status,
                }
            }
        };
        let status = timeout(PATIENCE, answered)
            .await
            .expect("it is taken in time");
        assert_eq!(status, 201);
    }
}

/// A hundred of the longest texts at once, where a packet holds thirty.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_are_cut_by_the_packet_that_the_server_takes() {
    let database = MariaDb::start().await;
    database
        .run("SET GLOBAL max_allowed_packet = 1048576")
        .await;
    let server = Server::start_on_url(&database.url(), &[]).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let path = format!("/api/chat/rooms/{room}/messages");
    let text = "𠀀".repeat(8_000);
    let body = json!({"content": text});
    let sends = (0..100).map(|_| ada.post(&path, body.clone()));
    for (status, answer) in join_all(sends).await {
        assert_eq!(status, 201, "{}", answer["message"]);
    }
    let other = json!({"content": "\u{1}\"\\𠀁".repeat(2_000)});
    let edits = (1..=100).map(|seq| {
        let (ada, path, other) = (&ada, format!("{path}/{seq}"), &other);
        async move { ada.request("PATCH", &path, Some(other)).await }
    });
    for (status, answer) in join_all(edits).await {
        assert_eq!(status, 200, "{}", answer["message"]);
    }
    let (_, page) = ada.get(&format!("{path}?limit=200")).await;
    let items = page["items"].as_array().unwrap();
    assert!(items.iter().all(|item| item["content"] == other["content"]));
    // Their words are found, too: on several pages.
    let found = async {
        loop {
            let (mut seqs, mut cursor) = (Vec::new(), String::new());
            loop {
                let search = format!("/api/chat/search?q=%F0%A0%80%81&limit=200{cursor}");
                let (status, page) = ada.get(&search).await;
                assert_eq!(status, 200, "{page}");
                let items = page["items"].as_array().unwrap();
                seqs.extend(items.iter().map(|item| item["message"]["seq"].as_u64()));
                match page["next"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            if seqs.len() == 100 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(PATIENCE, found)
        .await
        .expect("all are found in time");
    assert!(
        !server.log().contains("max_allowed_packet"),
        "{}",
        server.log()
    );
}

/// Every character travels through the lists as it is: those that JSON escapes, and those of four bytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_character_is_stored_as_it_was_sent() {
    let server = Server::start(Db::MariaDb).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let path = format!("/api/chat/rooms/{room}/messages");
    let all: Vec<char> = ('\u{1}'..=char::MAX).collect();
    for some in all.chunks(4_000) {
        let text = format!("a{}z", some.iter().collect::<String>());
        let body = json!({"content": text});
        let (status, message) = match some[0] {
            // The first ones by an edit, too.
            '\u{1}' => {
                ada.post(&path, json!({"content": "first"})).await;
                ada.request("PATCH", &format!("{path}/1"), Some(&body))
                    .await
            }
            _ => ada.post(&path, body).await,
        };
        assert!([200, 201].contains(&status), "{message}");
        let seq = message["seq"].as_u64().unwrap();
        let (_, page) = ada.get(&format!("{path}?around={seq}&limit=1")).await;
        let stored = page["items"][0]["content"].as_str();
        assert!(
            stored == Some(&*text),
            "not as it was sent: from {:?} on",
            some[0]
        );
    }
}

//! A COMMIT that was sent and not answered: only the log knows whether it was written. The sender gets a retryable error,
//! never a false ack. The room accepts nothing else of that socket until the same id comes again, so that order holds, and
//! the resend gets the true answer. Subscribers are told of what was written without any other traffic. A proxy cuts the
//! connection to MariaDB around the COMMIT.

mod changes;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Account, Fault, Moment, Proxy, Schema, Server, Socket, timeout, uuid};

/// How soon the log must be looked at. The heads of live rooms are compared every five seconds anyway:
/// what comes as late as that may have come that way.
const SOON: Duration = Duration::from_millis(2_500);

/// A server whose cable to MariaDB can be cut, and a room of three.
struct House {
    ada: Account,
    bob: Account,
    cyd: Account,
    room: u64,
    proxy: Proxy,
    server: Server,
    schema: Schema,
}

impl House {
    async fn new() -> Self {
        let schema = Schema::create().await;
        let proxy = Proxy::start(&schema.url).await;
        let server = Server::start_on_url(&proxy.url(&schema.url), &[]).await;
        let ada = server.register("ada").await;
        let bob = server.register("bob").await;
        let cyd = server.register("cyd").await;
        let room = ada.create_room("hall", &[&bob, &cyd]).await;
        Self {
            ada,
            bob,
            cyd,
            room,
            proxy,
            server,
            schema,
        }
    }

    fn message(&self, id: &str, content: &str) -> Value {
        json!({"type": "message", "ref": content, "room_id": self.room, "id": id, "content": content})
    }

    /// The room's history: the text of each message, which must be numbered 1, 2, 3, …
    async fn history(&self) -> Vec<String> {
        let path = format!("/api/chat/rooms/{}/messages?limit=200", self.room);
        let (status, page) = self.ada.get(&path).await;
        assert_eq!(status, 200, "{page}");
        let items = page["items"].as_array().unwrap().iter().enumerate();
        let text = |(index, item): (usize, &Value)| {
            assert_eq!(item["seq"], index as u64 + 1, "{page}");
            item["content"].as_str().unwrap().to_owned()
        };
        items.map(text).collect()
    }
}

/// A socket that listens to all rooms.
async fn listener(account: &Account) -> Socket {
    let mut socket = account.connect().await;
    socket
        .send(json!({"type": "sync", "rooms": {}, "ref": "sync"}))
        .await;
    socket.expect("synced").await;
    socket
}

async fn expect_soon(socket: &mut Socket, kind: &str) -> Value {
    timeout(SOON, socket.expect(kind))
        .await
        .unwrap_or_else(|_| panic!("no `{kind}` within {SOON:?}"))
}

/// Sends and reads the answer, whatever live events come before.
async fn ask(socket: &mut Socket, frame: Value) -> Value {
    let reference = frame["ref"].clone();
    socket.send(frame).await;
    loop {
        let frame = socket.frame().await;
        if frame["ref"] == reference {
            return frame;
        }
    }
}

fn assert_open(answer: &Value) {
    assert_eq!(
        (&answer["type"], &answer["retryable"]),
        (&json!("error"), &json!(true)),
        "the outcome is open: {answer}"
    );
}

/// The whole promise, for a message whose COMMIT was written although its answer was lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_whose_commit_was_not_answered_is_told_and_kept_once() {
    let house = House::new().await;
    let mut listening = listener(&house.bob).await;
    let mut a = house.ada.connect().await;
    // Several times: once or twice the heads' own interval might have told it.
    for round in 0..6 {
        let (id, first) = (uuid(), format!("first {round}"));
        house.proxy.at_next_commit(Fault::LoseAnswer);
        assert_open(&ask(&mut a, house.message(&id, &first)).await);
        assert!(house.proxy.struck().await, "MariaDB committed");
        let told = expect_soon(&mut listening, "message").await;
        assert_eq!((&told["id"], &told["content"]), (&json!(id), &json!(first)));
        // Another message of that socket would take the place of one that may not be there.
        let (next_id, next) = (uuid(), format!("next {round}"));
        assert_open(&ask(&mut a, house.message(&next_id, &next)).await);
        let ack = ask(&mut a, house.message(&id, &first)).await;
        assert_eq!(
            (&ack["type"], &ack["duplicate"]),
            (&json!("ack"), &json!(true)),
            "{ack}"
        );
        for field in ["seq", "rev", "created_at"] {
            assert_eq!(ack[field], told[field], "{ack} {told}");
        }
        let ack = ask(&mut a, house.message(&next_id, &next)).await;
        assert_eq!(ack["seq"], told["seq"].as_u64().unwrap() + 1, "{ack}");
        assert_eq!(ack["duplicate"], Value::Null, "{ack}");
        assert_eq!(expect_soon(&mut listening, "message").await["id"], next_id);
    }
    let texts = (0..6).flat_map(|round| [format!("first {round}"), format!("next {round}")]);
    assert_eq!(house.history().await, texts.collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_whose_commit_was_lost_is_stored_when_it_comes_again() {
    let house = House::new().await;
    let mut listening = listener(&house.bob).await;
    let mut a = house.ada.connect().await;
    let id = uuid();
    house.proxy.at_next_commit(Fault::LoseCommit);
    assert_open(&ask(&mut a, house.message(&id, "first")).await);
    assert!(!house.proxy.struck().await, "MariaDB never saw the COMMIT");
    // Another socket isn't held: its message takes the number.
    let ack = house.cyd.connect().await.say(house.room, "from cyd").await;
    assert_eq!(ack["seq"], 1, "{ack}");
    let told = expect_soon(&mut listening, "message").await;
    assert_eq!(told["content"], "from cyd", "told first: {told}");
    let ack = ask(&mut a, house.message(&id, "first")).await;
    assert_eq!(
        (&ack["seq"], &ack["duplicate"]),
        (&json!(2), &Value::Null),
        "{ack}"
    );
    assert_eq!(expect_soon(&mut listening, "message").await["id"], id);
    assert_eq!(house.history().await, ["from cyd", "first"]);
}

/// Pipelined messages keep their order, whatever becomes of the first one's COMMIT, and a client that
/// goes on from another socket finds the truth too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_messages_keep_their_order() {
    let house = House::new().await;
    let mut expected = Vec::new();
    for (round, fault) in [Fault::LoseAnswer, Fault::LoseCommit]
        .into_iter()
        .enumerate()
    {
        let mut a = house.ada.connect().await;
        let texts = ["one", "two", "three"].map(|text| format!("{text} {round}"));
        let frames = texts.clone().map(|text| house.message(&uuid(), &text));
        house.proxy.at_next_commit(fault);
        for frame in &frames {
            a.send(frame.clone()).await;
        }
        for frame in &frames {
            let error = a.expect("error").await;
            assert_eq!(error["ref"], frame["ref"]);
            assert_open(&error);
        }
        house.proxy.struck().await;
        let mut a = house.ada.connect().await;
        for frame in &frames {
            a.send(frame.clone()).await;
        }
        for frame in &frames {
            expected.push(frame["content"].as_str().unwrap().to_owned());
            let ack = a.expect("ack").await;
            assert_eq!(
                (&ack["ref"], &ack["seq"]),
                (&frame["ref"], &json!(expected.len())),
                "{ack}"
            );
        }
    }
    assert_eq!(house.history().await, expected);
}

/// The COMMIT comes to MariaDB after the server gave its connection up: the look at the log, and the resend,
/// wait for the locks that the lost transaction holds, and see what became of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_comes_late_is_neither_missed_nor_doubled() {
    let house = House::new().await;
    let mut listening = listener(&house.bob).await;
    let mut a = house.ada.connect().await;
    let mut stored = 0;
    // Shorter than a wait for a lock, longer than that, longer than the deadline of a statement.
    for late in [500, 3_000, 7_000].map(Duration::from_millis) {
        let (id, text) = (uuid(), format!("late by {late:?}"));
        house.proxy.at_next_commit(Fault::LateCommit(late));
        let began = Moment::now();
        assert_open(&ask(&mut a, house.message(&id, &text)).await);
        assert!(
            began.quiet_elapsed() < Duration::from_secs(2),
            "told at once, not when the locks are free"
        );
        let ack = loop {
            let answer = ask(&mut a, house.message(&id, &text)).await;
            if answer["type"] == "ack" {
                break answer;
            }
            assert_open(&answer);
        };
        let committed = house.proxy.struck().await;
        stored += 1;
        assert_eq!(ack["seq"], stored, "{ack}");
        assert_eq!(
            ack["duplicate"] == true,
            committed,
            "late by {late:?}: {ack}"
        );
        let told = expect_soon(&mut listening, "message").await;
        assert_eq!(
            (&told["id"], &told["seq"], &told["rev"]),
            (&json!(id), &ack["seq"], &ack["rev"])
        );
    }
    let ack = a.say(house.room, "last").await;
    assert_eq!(ack["seq"], stored + 1, "{ack}");
    assert_eq!(
        expect_soon(&mut listening, "message").await["content"],
        "last"
    );
    assert_eq!(house.history().await.len(), 4);
}

/// A COMMIT that takes its time is waited for up to the statement's deadline: no ack before its answer, and
/// an open outcome after the deadline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_comes_late_is_waited_for_or_given_up() {
    let house = House::new().await;
    let mut a = house.ada.connect().await;
    let late = Duration::from_secs(2);
    house.proxy.at_next_commit(Fault::LateAnswer(late));
    let began = Instant::now();
    let ack = ask(&mut a, house.message(&uuid(), "slow")).await;
    assert_eq!(
        (&ack["type"], &ack["seq"]),
        (&json!("ack"), &json!(1)),
        "{ack}"
    );
    assert!(
        began.elapsed() >= late,
        "acknowledged before the commit was"
    );
    house.proxy.struck().await;

    let id = uuid();
    house
        .proxy
        .at_next_commit(Fault::LateAnswer(Duration::from_secs(8)));
    assert_open(&ask(&mut a, house.message(&id, "slower")).await);
    let ack = ask(&mut a, house.message(&id, "slower")).await;
    assert_eq!(
        (&ack["duplicate"], &ack["seq"]),
        (&json!(true), &json!(2)),
        "{ack}"
    );
    assert_eq!(house.history().await, ["slow", "slower"]);
}

/// By REST: 503 with Retry-After, then the message as it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_rest_an_open_outcome_is_503_and_the_repetition_finds_the_message() {
    let house = House::new().await;
    let path = format!("/api/chat/rooms/{}/messages", house.room);
    let body = json!({"id": uuid(), "content": "once"});
    house.proxy.at_next_commit(Fault::LoseAnswer);
    let (status, problem) = house.ada.post(&path, body.clone()).await;
    assert_eq!(
        (status, &problem["code"]),
        (503, &json!("unavailable")),
        "{problem}"
    );
    let (status, message) = house.ada.post(&path, body.clone()).await;
    assert_eq!(
        (status, &message["seq"], &message["id"]),
        (200, &json!(1), &body["id"]),
        "{message}"
    );
    assert_eq!(house.history().await, ["once"]);
}

/// Memberships and rooms: who asked hears 503, and all whom it concerns hear what happened by themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_membership_whose_commit_was_not_answered_reaches_its_user() {
    let house = House::new().await;
    let mut bobs = listener(&house.bob).await;
    // Not even live: `added` and `removed` come all the same.
    let mut cyds = house.cyd.connect().await;
    let members = format!("/api/chat/rooms/{}/members", house.room);
    let cyd = format!("{members}/{}", house.cyd.id);
    for _ in 0..3 {
        house.proxy.at_next_commit(Fault::LoseAnswer);
        let (status, problem) = house.ada.delete(&cyd).await;
        assert_eq!(
            (status, &problem["code"]),
            (503, &json!("unavailable")),
            "{problem}"
        );
        let removed = expect_soon(&mut cyds, "removed").await;
        let member = expect_soon(&mut bobs, "member").await;
        assert_eq!(
            (&member["user"]["username"], &member["role"]),
            (&json!("cyd"), &Value::Null)
        );
        assert_eq!(
            (&removed["room_id"], &removed["rev"]),
            (&json!(house.room), &member["rev"])
        );
        assert_eq!(house.ada.delete(&cyd).await.0, 404, "cyd is gone already");

        house.proxy.at_next_commit(Fault::LoseAnswer);
        let body = json!({"user_id": house.cyd.id});
        let (status, problem) = house.ada.post(&members, body.clone()).await;
        assert_eq!(
            (status, &problem["code"]),
            (503, &json!("unavailable")),
            "{problem}"
        );
        let added = expect_soon(&mut cyds, "added").await;
        let member = expect_soon(&mut bobs, "member").await;
        assert_eq!(
            (&member["user"]["username"], &member["role"]),
            (&json!("cyd"), &json!("member"))
        );
        assert_eq!(
            (&added["room"]["id"], &added["room"]["rev"]),
            (&json!(house.room), &member["rev"])
        );
        assert_eq!(
            house.ada.post(&members, body).await.0,
            200,
            "cyd is there already"
        );
    }
    house.proxy.at_next_commit(Fault::LoseAnswer);
    let body =
        json!({"name": "cellar", "kind": "private", "members": [house.bob.id, house.cyd.id]});
    let (status, problem) = house.ada.post("/api/chat/rooms", body).await;
    assert_eq!(
        (status, &problem["code"]),
        (503, &json!("unavailable")),
        "{problem}"
    );
    for socket in [&mut bobs, &mut cyds] {
        let added = expect_soon(socket, "added").await;
        assert_eq!(
            (&added["room"]["name"], &added["room"]["rev"]),
            (&json!("cellar"), &json!(4))
        );
    }
    assert!(!house.server.log().contains("panicked"));
}

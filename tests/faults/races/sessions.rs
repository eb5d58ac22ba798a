//! The end of a session races with sending and delivery: what is sent after the end was answered is not stored, and what
//! happens after it reaches no socket of the session.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures_util::future::join_all;
use rand::Rng;
use serde_json::{Value, json};

use crate::support::{
    Account, Db, Incoming, PATIENCE, Server, Socket, each_database, soak_each_database, timeout,
    uuid,
};

/// People side by side, and how often each of them is logged out or disabled in `make test`. `make soak` does 4,000 log-outs
/// and 1,008 disablings on the two databases together.
const PEOPLE: usize = 8;
const LOG_OUTS: usize = 50;
const LOG_OUTS_SOAK: usize = 250;
const DISABLINGS: usize = 16;
const DISABLINGS_SOAK: usize = 63;
/// Disabled at once behind the server's back, so many times: 128 on the two databases together.
const CROWD: usize = 16;
const CROWDS: usize = 4;

/// Reads a socket to its end; the texts of the messages that came, and the close code.
async fn read_out(mut socket: Socket) -> (Vec<String>, Option<u16>) {
    let mut texts = Vec::new();
    loop {
        match socket.next().await {
            Incoming::Frame(frame) => {
                if frame["type"] == "message" {
                    texts.push(frame["content"].as_str().unwrap_or_default().to_owned());
                }
            }
            Incoming::Closed(code, _) => return (texts, Some(code)),
            Incoming::Broken => return (texts, None),
        }
    }
}

/// Sends by REST until it is refused; the ids that were sent when the end had been answered already.
async fn send_on(account: Account, room: u64, ended: Arc<AtomicBool>) -> Vec<String> {
    let path = format!("/api/chat/rooms/{room}/messages");
    let mut late = Vec::new();
    loop {
        let id = uuid();
        if ended.load(Ordering::SeqCst) {
            late.push(id.clone());
        }
        let (status, answer) = account
            .post(&path, json!({"id": id, "content": "still me"}))
            .await;
        match status {
            201 => {}
            401 | 403 => return late,
            _ => panic!("{status} {answer}"),
        }
    }
}

/// Writes messages to a socket without reading it, so that it doesn't hear of its end; their ids.
async fn blurt(socket: &mut Socket, room: u64) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..2 {
        let id = uuid();
        let frame = json!({"type": "message", "room_id": room, "id": id, "content": "still me"});
        // The server may have hung up already.
        if socket.try_send(frame).await.is_ok() {
            ids.push(id);
        }
    }
    ids
}

/// One end: by `end`, which answers when it has come; the ids that must not be stored.
async fn round(
    witness: &Account,
    account: Account,
    room: u64,
    close: u16,
    end: impl AsyncFnOnce(),
) -> Vec<String> {
    let mut socket = account.connect().await;
    socket.join(room).await;
    let mut deaf = account.connect().await;
    let ended = Arc::new(AtomicBool::new(false));
    let sending = tokio::spawn(send_on(account.clone(), room, ended.clone()));
    let reading = tokio::spawn(read_out(socket));
    let pause = rand::rng().random_range(0..1_500);
    tokio::time::sleep(std::time::Duration::from_micros(pause)).await;
    blurt(&mut deaf, room).await;
    end().await;
    ended.store(true, Ordering::SeqCst);
    let mut late = blurt(&mut deaf, room).await;
    let secret = format!("after the end {}", uuid());
    let path = format!("/api/chat/rooms/{room}/messages");
    let (status, answer) = witness.post(&path, json!({"content": secret})).await;
    assert_eq!(status, 201, "{answer}");
    let (texts, code) = reading.await.unwrap();
    assert!(
        !texts.contains(&secret),
        "what happened after the end was delivered"
    );
    assert_eq!(code, Some(close));
    assert_eq!(read_out(deaf).await.1, Some(close));
    late.extend(sending.await.unwrap());
    late
}

async fn stored(witness: &Account, room: u64) -> Vec<String> {
    let mut ids = Vec::new();
    let mut after = 0;
    loop {
        let path = format!("/api/chat/rooms/{room}/messages?after={after}&limit=200");
        let (status, page) = witness.get(&path).await;
        assert_eq!(status, 200, "{page}");
        let items = page["items"].as_array().unwrap();
        let Some(last) = items.last() else { return ids };
        after = last["seq"].as_u64().unwrap();
        ids.extend(
            items
                .iter()
                .map(|item| item["id"].as_str().unwrap().to_owned()),
        );
    }
}

/// Of each room the ids that were sent there after an end.
async fn assert_none_stored(witness: &Account, late: Vec<(u64, Vec<String>)>) {
    for (room, late) in late {
        assert!(!late.is_empty(), "nobody tried");
        let stored = stored(witness, room).await;
        assert!(
            late.iter().all(|id| !stored.contains(id)),
            "sent after the end, and stored"
        );
    }
}

async fn nothing_follows_a_log_out(db: Db) {
    log_out(db, LOG_OUTS).await;
}

async fn nothing_follows_many_log_outs(db: Db) {
    log_out(db, LOG_OUTS_SOAK).await;
}

async fn log_out(db: Db, times: usize) {
    let server = Server::start(db).await;
    let witness = server.register("witness").await;
    let people = join_all((0..PEOPLE).map(async |at| {
        let name = format!("person{at}");
        let account = server.register(&name).await;
        let room = witness.create_room(&name, &[&account]).await;
        let mut late = Vec::new();
        for _ in 0..times {
            let account = server.log_in(&name).await;
            let end = async || assert_eq!(account.act("/api/logout").await.0, 204);
            late.extend(round(&witness, account.clone(), room, 4501, end).await);
        }
        (room, late)
    }))
    .await;
    assert_none_stored(&witness, people).await;
}

async fn nothing_follows_a_disabling(db: Db) {
    disable(db, DISABLINGS).await;
}

async fn nothing_follows_many_disablings(db: Db) {
    disable(db, DISABLINGS_SOAK).await;
}

async fn disable(db: Db, times: usize) {
    let server = Server::start(db).await;
    server.register("root").await;
    server.sql("UPDATE users SET role = 'admin'").await;
    let witness = server.log_in("root").await;
    let people = join_all((0..PEOPLE).map(async |at| {
        let name = format!("person{at}");
        let account = server.register(&name).await;
        let room = witness.create_room(&name, &[&account]).await;
        let path = format!("/api/users/{}", account.id);
        let set = async |active: bool| {
            let body: Value = json!({"is_active": active});
            let (status, answer) = witness.request("PATCH", &path, Some(&body)).await;
            assert_eq!(status, 200, "{answer}");
        };
        let mut late = Vec::new();
        for _ in 0..times {
            let account = server.log_in(&name).await;
            let end = async || set(false).await;
            late.extend(round(&witness, account, room, 4502, end).await);
            set(true).await;
        }
        (room, late)
    }))
    .await;
    assert_none_stored(&witness, people).await;
}

/// Disabled by SQL, as a command or another node does it: dead here as soon as the news is read.
async fn nothing_follows_a_disabling_behind_the_server(db: Db) {
    let server = Server::start(db).await;
    let witness = server.register("witness").await;
    for crowd in 0..CROWDS {
        let name = |at| format!("person{crowd}x{at}");
        let people = (0..CROWD).map(async |at| server.register(&name(at)).await);
        let people = join_all(people).await;
        let members: Vec<&Account> = people.iter().collect();
        let room = witness.create_room("hall", &members).await;
        let sockets = people.iter().map(async |account| {
            let mut socket = account.connect().await;
            socket.join(room).await;
            socket
        });
        let sockets = join_all(sockets).await;
        let ends: Vec<_> = people
            .iter()
            .zip(sockets)
            .map(|(account, socket)| tokio::spawn(dies(account.clone(), socket, room)))
            .collect();
        let ids: Vec<String> = people
            .iter()
            .map(|account| account.id.to_string())
            .collect();
        let ids = ids.join(", ");
        for statement in [
            format!("UPDATE users SET is_active = 0 WHERE id IN ({ids})"),
            format!(
                "INSERT INTO revocations (user_id, revoked_at) SELECT id, 1 FROM users WHERE id IN ({ids})"
            ),
        ] {
            server.sql(&statement).await;
        }
        let late = join_all(ends).await.into_iter().flat_map(Result::unwrap);
        let stored = stored(&witness, room).await;
        assert!(!stored.is_empty(), "they sent until then");
        for id in late {
            assert!(!stored.contains(&id), "sent after the end, and stored");
        }
    }
}

/// Sends and listens until its socket hears that the account is disabled; the ids that were sent after that.
async fn dies(account: Account, socket: Socket, room: u64) -> Vec<String> {
    let ended = Arc::new(AtomicBool::new(false));
    let sending = tokio::spawn(send_on(account.clone(), room, ended.clone()));
    let closed = timeout(PATIENCE, read_out(socket)).await;
    assert_eq!(closed.expect("it hears of it in time").1, Some(4502));
    ended.store(true, Ordering::SeqCst);
    let id = uuid();
    let body = json!({"id": id, "content": "still me"});
    let (status, answer) = account
        .post(&format!("/api/chat/rooms/{room}/messages"), body)
        .await;
    assert_eq!(status, 403, "{answer}");
    let mut late = sending.await.unwrap();
    late.push(id);
    late
}

each_database!(
    nothing_follows_a_log_out,
    nothing_follows_a_disabling,
    nothing_follows_a_disabling_behind_the_server,
);

soak_each_database!(
    nothing_follows_many_log_outs,
    nothing_follows_many_disablings,
);

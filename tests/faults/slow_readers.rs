//! A slow reader costs only itself. Some of a room's 1,000 members stop reading: all others get every message, edit and
//! reaction in order, the server's memory has a limit, and whoever reads again learns where delivery stopped and has the
//! whole history in the end. Only `make soak` prints times.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, future::join_all, stream};
use nix::sys::socket::{setsockopt, sockopt::TcpMaxSeg};
use serde_json::json;
use tokio::net::TcpSocket;

use crate::support::{
    Account, Chain, Db, Moment, PATIENCE, Raw, Server, masked, resident_kib, timeout,
};

const MEMBERS: usize = 1_000;
/// Messages in one burst, and the length of each: more than a mailbox and small kernel buffers hold.
const BURST: u64 = 100;
const LENGTH: usize = 5_000;
/// Messages that any reader may be behind: well within a mailbox.
const STEP: u64 = 10;
/// Every so many of them one is edited, and so many react to it at the same time.
const TOUCHED: u64 = 5;
const REACTIONS: u64 = 3;
/// A pong that nobody asked for (RFC 6455 section 5.5.3): a byte from who doesn't read, so that no heartbeat is missed
/// before the deadline of who takes nothing has passed.
const PONG: u8 = 0x8A;
/// How many `rev` of the room a step takes.
const STEP_REVS: u64 = STEP + STEP / TOUCHED * (1 + REACTIONS);
const BURST_REVS: u64 = BURST / STEP * STEP_REVS;
/// For 1,000 sockets' buffers and allocators under load; 100 mailboxes of 128 KiB are 13 MiB of it.
const GROWTH_KIB: u64 = 64 * 1024;

/// A socket whose kernel buffers are small, so that the server soon sees that nobody reads.
async fn narrow(server: &Server, account: &Account) -> Raw {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    setsockopt(&socket, TcpMaxSeg, &536).unwrap();
    let stream = socket.connect(server.address()).await.unwrap();
    let mut raw = Raw::on(stream);
    raw.handshake(&format!("/ws?token={}", account.token)).await;
    assert_eq!(raw.json().await["type"], "ready");
    raw
}

async fn join(raw: &mut Raw, room: u64, rev: Option<u64>) {
    let mut join = json!({"type": "join", "room_id": room, "ref": "join"});
    if let Some(rev) = rev {
        join["rev"] = json!(rev);
    }
    raw.write(&masked(0x81, join.to_string().as_bytes())).await;
}

/// A number of a frame's text, without reading the rest of it.
fn find(text: &[u8], name: &str) -> Option<u64> {
    let name = format!("\"{name}\":");
    let mut windows = text.windows(name.len());
    let at = windows.position(|window| window == name.as_bytes())?;
    let digits = text[at + name.len()..].iter();
    let digits = digits.take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |n, byte| n * 10 + u64::from(byte - b'0')))
}

/// Reads changes up to this rev: each follows on those before, by PROTOCOL.md section 3.1. How many held more than one.
async fn follow(raw: &mut Raw, from: u64, to: u64) -> u64 {
    let (mut at, mut joined) = (from, 0);
    while at < to {
        let (first, text) = raw
            .next_frame(PATIENCE)
            .await
            .expect("the connection lives");
        if first == 0x89 {
            // On a busy machine it takes longer than a heartbeat.
            raw.write(&masked(PONG, &text)).await;
            continue;
        }
        let frame = || String::from_utf8_lossy(&text);
        assert_eq!(first, 0x81, "at {at}: {}", frame());
        let rev = find(&text, "rev").unwrap_or_else(|| panic!("no rev in {}", frame()));
        if rev != at + 1 {
            let prev = find(&text, "prev").unwrap_or(rev - 1);
            assert!(prev <= at && at < rev, "at {at}: {}", frame());
            joined += 1;
        }
        at = rev;
    }
    joined
}

/// Writes a burst that these sockets follow from `rev` on, with edits, and reactions of some others. The writer
/// waits for them now and then, so that none of them is slow. How many joined frames they got.
async fn burst(
    writer: &Account,
    others: &[Account],
    room: u64,
    reading: &mut [Raw],
    rev: u64,
) -> u64 {
    let mut socket = writer.connect().await;
    let text = "x".repeat(LENGTH);
    let mut joined = 0;
    for step in 0..BURST / STEP {
        let writing = async {
            for number in 1..=STEP {
                let ack = socket.say(room, &text).await;
                if number % TOUCHED != 0 {
                    continue;
                }
                let edit =
                    json!({"type": "edit", "room_id": room, "seq": ack["seq"], "content": "y"});
                assert_eq!(socket.ask(edit).await["type"], "ack");
                let path = format!("/api/chat/rooms/{room}/messages/{}", ack["seq"]);
                let path = format!("{path}/reactions/%F0%9F%91%8D");
                let reacting = others.iter().take(REACTIONS as usize);
                let answers = reacting.map(|other| other.request("PUT", &path, None));
                for (status, answer) in join_all(answers).await {
                    assert_eq!(status, 200, "{answer}");
                }
            }
        };
        let at = rev + step * STEP_REVS;
        let follow = |raw| follow(raw, at, at + STEP_REVS);
        let (_, frames) = tokio::join!(writing, join_all(reading.iter_mut().map(follow)));
        joined += frames.iter().sum::<u64>();
    }
    joined
}

/// Reads again after a stall: what came before, in order; `lagged`; from there by `join` the rest, without
/// a gap. The seq that it had reached when it lagged.
async fn recover(raw: &mut Raw, room: u64, rev: u64, head: u64) -> u64 {
    let mut chain = Chain(rev);
    loop {
        let frame = raw.json().await;
        if frame["type"] == "lagged" {
            assert_eq!(
                (&frame["room_id"], &frame["rev"]),
                (&json!(room), &json!(chain.0)),
                "it stopped there"
            );
            break;
        }
        chain.take(&frame);
        assert!(chain.0 < head, "it never lagged");
    }
    let lagged = chain.0;
    join(raw, room, Some(chain.0)).await;
    while chain.0 < head {
        chain.take(&raw.json().await);
    }
    let synced = raw.json().await;
    assert_eq!(
        (&synced["type"], &synced["ref"]),
        (&json!("synced"), &json!("join")),
        "{synced}"
    );
    chain.take(&synced);
    assert_eq!(chain.0, head);
    lagged
}

async fn metric_reaches(server: &Server, name: &str, value: u64, patience: Duration) {
    let reached = async {
        while server.metric(name).await < value {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(patience, reached)
        .await
        .unwrap_or_else(|_| panic!("{name} never reaches {value}"));
}

/// A server with a room of 1,000 members, each with a live socket.
async fn crowd() -> (Server, Account, u64, Vec<Account>, Vec<Raw>) {
    let server = Server::start(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let path = format!("/api/chat/rooms/{room}/join");
    let accounts: Vec<Account> = stream::iter(0..MEMBERS)
        .map(|number| {
            let (server, path) = (&server, &path);
            async move {
                let account = server.register(&format!("member{number}")).await;
                assert_eq!(account.act(path).await.0, 200);
                account
            }
        })
        .buffer_unordered(16)
        .collect()
        .await;
    let mut sockets = Vec::new();
    for account in &accounts {
        let mut raw = Raw::socket(&server, account).await;
        assert_eq!(raw.json().await["type"], "ready");
        join(&mut raw, room, None).await;
        assert_eq!(raw.json().await["type"], "synced");
        sockets.push(raw);
    }
    (server, ada, room, accounts, sockets)
}

async fn a_crowd_with_slow_readers(print: bool) {
    let (server, ada, room, accounts, mut sockets) = crowd().await;
    let start = MEMBERS as u64 + 2;
    let before = resident_kib(server.pid());
    let (mut lagged_in_all, mut joined) = (0, 0);
    for (round, slow) in [1, 100].into_iter().enumerate() {
        let rev = start + round as u64 * BURST_REVS;
        // Fresh sockets, for a socket's buffers grow while it is read from.
        for (socket, account) in sockets.iter_mut().zip(&accounts).take(slow) {
            *socket = narrow(&server, account).await;
            join(socket, room, None).await;
            assert_eq!(socket.json().await["type"], "synced");
        }
        let began = Instant::now();
        let (stalled, reading) = sockets.split_at_mut(slow);
        joined += burst(&ada, &accounts, room, reading, rev).await;
        let took = began.elapsed();
        lagged_in_all += slow as u64;
        metric_reaches(&server, "hub_lagged_total", lagged_in_all, PATIENCE).await;
        let grown = resident_kib(server.pid()).saturating_sub(before);
        assert!(
            grown < GROWTH_KIB,
            "{grown} KiB more while {slow} don't read"
        );
        let recovering = stalled
            .iter_mut()
            .map(|raw| recover(raw, room, rev, rev + BURST_REVS));
        let lagged = join_all(recovering).await;
        if print {
            let (first, last) = (lagged.iter().min().unwrap(), lagged.iter().max().unwrap());
            println!(
                "{slow} slow of {MEMBERS}: {BURST} messages reached the others in {took:?}; {grown} KiB more; \
                 they lagged at rev {first} to {last}"
            );
        }
    }
    assert_eq!(
        server.metric("hub_lagged_total").await,
        lagged_in_all,
        "nobody else lagged"
    );
    assert!(joined > 0, "no reactions were joined");
}

/// Takes no byte from some point on: closed with 4001 after the deadline, and not before.
async fn who_takes_nothing_is_closed() {
    let server = Server::start(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let mut stuck = narrow(&server, &bob).await;
    join(&mut stuck, room, None).await;
    assert_eq!(stuck.json().await["type"], "synced");
    let mut reader = bob.connect().await;
    reader.join(room).await;
    let began = Moment::now();
    let mut writer = ada.connect().await;
    let text = "x".repeat(LENGTH);
    while server.metric("hub_lagged_total").await == 0 {
        stuck.frame(PONG, b"").await;
        writer.say(room, &text).await;
        reader.expect("message").await;
    }
    let stalled = Moment::now();
    metric_reaches(&server, "ws_closed_total{code=\"4001\"}", 1, PATIENCE).await;
    assert!(
        began.elapsed() > Duration::from_secs(29)
            && stalled.quiet_elapsed() < Duration::from_secs(40),
        "{:?}, {:?}",
        began.elapsed(),
        stalled.quiet_elapsed()
    );
    // A client that reads at last still finds the close code behind the frames that were in flight.
    assert_eq!(stuck.closed().await, 4001);
    writer.say(room, "and on").await;
    reader.expect("message").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_cost_only_themselves() {
    tokio::join!(
        a_crowd_with_slow_readers(false),
        who_takes_nothing_is_closed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints times: for `make soak`"]
async fn soak_slow_readers() {
    a_crowd_with_slow_readers(true).await;
}

//! What others notice while one user floods a server: twenty sockets that sync a thousand rooms or join a long one from its
//! beginning, over and over, and as many HTTP connections that search the rooms. Sends and reads of ten other users,
//! quiet and flooded, with the limits by user lifted and with them. On MariaDB too when `HEARTH_TEST_MYSQL` names one.

#[path = "../tests/support/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "a benchmark needs few of the tests' helpers"
)]
mod house;
#[path = "probe/report.rs"]
#[allow(dead_code, reason = "the probe prints it otherwise")]
mod report;
mod support;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, future::join_all, stream};
use house::{Account, Db, Server, uuid};
use report::{Report, Times};
use serde_json::json;
use support::wire::{self, Socket, is};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Builder,
};

const ROOMS: usize = 1_000;
/// Messages of the room that is joined from its beginning.
const LONG: u64 = 5_000;
const SOCKETS: usize = 20;
const CONNECTIONS: usize = 20;
const OTHERS: usize = 10;
/// Each of the others sends and reads so often.
const PAUSE: Duration = Duration::from_millis(100);
const WARM_UP: Duration = Duration::from_secs(3);
const MEASURED: Duration = Duration::from_secs(20);

fn main() {
    // `cargo bench` tells who takes options of criterion's.
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for db in [Db::Sqlite, Db::MariaDb] {
            if matches!(db, Db::Sqlite) || support::mariadb_is_there() {
                flood(db).await;
            }
        }
    });
}

async fn flood(db: Db) {
    let mut server = Server::start(db).await;
    let mallory = server.register("mallory").await;
    let rooms: Vec<u64> = stream::iter(0..ROOMS)
        .map(|number| {
            let mallory = &mallory;
            async move { mallory.create_room(&format!("room {number}"), &[]).await }
        })
        .buffer_unordered(16)
        .collect()
        .await;
    mallory.post_many(rooms[0], LONG).await;
    let mut others = Vec::new();
    for number in 0..OTHERS {
        let account = server.register(&format!("other{number}")).await;
        let room = account.create_room("hall", &[]).await;
        account.post_many(room, 100).await;
        others.push((account, room));
    }
    for limits in ["off", "on"] {
        server.set("HEARTH_RATE_LIMITS", limits);
        server.kill().await;
        server.restart().await;
        let title = format!("one user floods, {db:?}, limits by user {limits}");
        let mut report = Report::new("flood", title);
        report.field("limits", limits);
        let mut quiet = measure(server.address(), &others).await;
        let flood = Flood::start(server.address(), &mallory, rooms.clone());
        let mut flooded = measure(server.address(), &others).await;
        let (served, refused) = flood.stop();
        for (what, quiet, flooded) in [
            ("send", &mut quiet.sends, &mut flooded.sends),
            ("read", &mut quiet.reads, &mut flooded.reads),
        ] {
            report.latency(&format!("{what}, quiet"), &format!("{what}_quiet"), quiet);
            report.latency(
                &format!("{what}, flooded"),
                &format!("{what}_flooded"),
                flooded,
            );
            let ratio = f64::from(flooded.percentile(99.0)) / f64::from(quiet.percentile(99.0));
            let name = format!("{what}, p99 flooded to quiet");
            report.row(
                &name,
                format!("{ratio:.2}"),
                &format!("{what}_ratio"),
                ratio,
            );
        }
        report.row(
            "others' requests that failed",
            flooded.failed,
            "failed",
            flooded.failed,
        );
        report.row("the flood's requests, served", served, "served", served);
        report.row("the flood's requests, refused", refused, "refused", refused);
        report.print();
    }
}

/// What the others met.
#[derive(Default)]
struct Met {
    sends: Times,
    reads: Times,
    failed: u64,
}

async fn measure(address: SocketAddr, others: &[(Account, u64)]) -> Met {
    let begin = Instant::now() + WARM_UP;
    let users = others
        .iter()
        .enumerate()
        .map(async |(number, (account, room))| {
            // Not all at the same moment.
            tokio::time::sleep(PAUSE * number as u32 / OTHERS as u32).await;
            let (sends, reads) = tokio::join!(
                sends(address, account, *room, begin),
                reads(address, account, *room, begin)
            );
            (sends, reads)
        });
    let mut met = Met::default();
    for ((mut sends, failed), (mut reads, unread)) in join_all(users).await {
        met.sends.take_from(&mut sends);
        met.reads.take_from(&mut reads);
        met.failed += failed + unread;
    }
    met
}

async fn sends(address: SocketAddr, account: &Account, room: u64, begin: Instant) -> (Times, u64) {
    let mut socket = Socket::open(address, &account.token).await.unwrap();
    socket.wait_for("ready").await;
    let (mut times, mut failed) = (Times::default(), 0);
    while begin.elapsed() < MEASURED {
        let frame = json!({"type": "message", "room_id": room, "id": uuid(), "content": "hello"});
        let sent = Instant::now();
        socket.send(&wire::text(&frame.to_string()));
        let mut answer = None;
        while answer.is_none() {
            let read = socket.read(|_, frame| {
                if is(frame, "ack") || is(frame, "error") {
                    answer = Some(is(frame, "ack"));
                }
            });
            read.await.unwrap();
        }
        failed += u64::from(answer == Some(false));
        if Instant::now() > begin {
            times.push(sent.elapsed().as_micros() as u64);
        }
        tokio::time::sleep(PAUSE.saturating_sub(sent.elapsed())).await;
    }
    (times, failed)
}

async fn reads(address: SocketAddr, account: &Account, room: u64, begin: Instant) -> (Times, u64) {
    let mut http = Http::connect(address).await;
    let path = format!("/api/chat/rooms/{room}/messages?limit=50");
    let (mut times, mut failed) = (Times::default(), 0);
    while begin.elapsed() < MEASURED {
        let asked = Instant::now();
        failed += u64::from(http.get(&path, &account.token).await != 200);
        if Instant::now() > begin {
            times.push(asked.elapsed().as_micros() as u64);
        }
        tokio::time::sleep(PAUSE.saturating_sub(asked.elapsed())).await;
    }
    (times, failed)
}

/// A kept connection that costs its client little.
struct Http {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Http {
    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// The answer's status; its body is read and thrown away.
    async fn get(&mut self, path: &str, token: &str) -> u16 {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await.unwrap();
        self.buffer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await.unwrap();
            assert!(read > 0, "the connection is kept");
            let end = self
                .buffer
                .windows(4)
                .position(|window| window == b"\r\n\r\n");
            let Some(end) = end else { continue };
            let head = String::from_utf8_lossy(&self.buffer[..end]).to_lowercase();
            let (_, length) = head.split_once("content-length: ").expect("a length");
            let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
            let status = head[9..12].parse().unwrap();
            let mut left = (end + 4 + length).saturating_sub(self.buffer.len());
            self.buffer.resize(64 * 1024, 0);
            while left > 0 {
                let read = self.stream.read(&mut self.buffer).await.unwrap();
                assert!(read > 0, "the whole body comes");
                left = left.saturating_sub(read);
            }
            return status;
        }
    }
}

/// One user who asks as fast as they are answered, in a thread of their own.
struct Flood {
    told: Arc<Told>,
    thread: thread::JoinHandle<()>,
}

#[derive(Default)]
struct Told {
    stop: AtomicBool,
    served: AtomicU64,
    refused: AtomicU64,
}

impl Flood {
    fn start(address: SocketAddr, mallory: &Account, rooms: Vec<u64>) -> Self {
        let told = Arc::new(Told::default());
        let (of, token) = (told.clone(), mallory.token.clone());
        let thread = thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let sockets = (0..SOCKETS).map(|_| catch_up(address, &token, &rooms, &of));
                let connections = (0..CONNECTIONS).map(|_| look(address, &token, &of));
                tokio::join!(join_all(sockets), join_all(connections));
            });
        });
        Self { told, thread }
    }

    /// How many requests were served, and how many refused.
    fn stop(self) -> (u64, u64) {
        self.told.stop.store(true, Relaxed);
        self.thread.join().unwrap();
        (
            self.told.served.load(Relaxed),
            self.told.refused.load(Relaxed),
        )
    }
}

async fn catch_up(address: SocketAddr, token: &str, rooms: &[u64], told: &Told) {
    let mut socket = Socket::open(address, token).await.unwrap();
    socket.wait_for("ready").await;
    // From where they stand; their makers are in them, and nothing else has happened.
    let named: serde_json::Map<_, _> = rooms[1..]
        .iter()
        .map(|room| (room.to_string(), json!(2)))
        .collect();
    let sync = wire::text(&json!({"type": "sync", "rooms": named}).to_string());
    let join = json!({"type": "join", "room_id": rooms[0], "rev": 0}).to_string();
    let join = wire::text(&join);
    let mut syncs = true;
    while !told.stop.load(Relaxed) {
        let (frame, mut open) = if syncs {
            (&sync, rooms.len() as i64 - 1)
        } else {
            (&join, 1)
        };
        syncs = !syncs;
        socket.send(frame);
        let mut refused = false;
        while open > 0 && !refused {
            let read = socket.read(|_, frame| {
                open -=
                    i64::from(is(frame, "synced") || is(frame, "reset") || is(frame, "removed"));
                refused |= is(frame, "error");
            });
            read.await.unwrap();
        }
        let count = if refused { &told.refused } else { &told.served };
        count.fetch_add(1, Relaxed);
    }
}

async fn look(address: SocketAddr, token: &str, told: &Told) {
    let mut http = Http::connect(address).await;
    while !told.stop.load(Relaxed) {
        let count = match http.get("/api/chat/rooms?q=room&limit=200", token).await {
            200 => &told.served,
            _ => &told.refused,
        };
        count.fetch_add(1, Relaxed);
    }
}

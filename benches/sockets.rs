//! A message from one socket to others, through a real server process on SQLite: sent, stored, and read by
//! every member of its room. The readers are a process of their own.

#[path = "../tests/support/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "a benchmark needs few of the tests' helpers"
)]
mod house;
mod support;

use std::time::Instant;

use criterion::{Criterion, Throughput};
use futures_util::{StreamExt, stream};
use house::{Db, Server, uuid};
use serde_json::json;
use support::{
    ascii,
    readers::Readers,
    wire::{self, Socket},
};

struct Stage {
    _server: Server,
    room_id: u64,
    sender: Socket,
    readers: Readers,
    members: u64,
    sent: u64,
}

impl Stage {
    async fn set_up(members: u64) -> Self {
        let server = Server::start(Db::Sqlite).await;
        let owner = server.register("owner").await;
        let room_id = owner.create_room("hall", &[]).await;
        let tokens: Vec<String> = stream::iter(0..members)
            .map(async |number| {
                let account = server.register(&format!("member{number}")).await;
                let join = format!("/api/chat/rooms/{room_id}/join");
                let (status, room) = account.request("POST", &join, None).await;
                assert_eq!(status, 200, "{room}");
                account.token
            })
            .buffer_unordered(8)
            .collect()
            .await;
        let mut sender = Socket::open(server.address(), &owner.token).await.unwrap();
        sender.wait_for("ready").await;
        let readers = Readers::members(server.address(), room_id, &tokens).await;
        Self {
            _server: server,
            room_id,
            sender,
            readers,
            members,
            sent: 0,
        }
    }

    async fn send(&mut self, content: &str) {
        let frame =
            json!({"type": "message", "room_id": self.room_id, "id": uuid(), "content": content});
        self.sender.send(&wire::text(&frame.to_string()));
        self.sent += 1;
        self.readers.delivered(self.sent * self.members).await;
        self.sender.wait_for("ack").await;
    }
}

fn socket_to_socket(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let content = ascii(128);
    let mut group = criterion.benchmark_group("socket to socket");
    for members in [1, 1_000] {
        let mut stage = None;
        group.sample_size(if members == 1 { 100 } else { 20 });
        group.throughput(Throughput::Elements(members));
        group.bench_function(format!("{members} members"), |bencher| {
            bencher.iter_custom(|times| {
                runtime.block_on(async {
                    if stage.is_none() {
                        stage = Some(Stage::set_up(members).await);
                    }
                    let stage = stage.as_mut().unwrap();
                    let start = Instant::now();
                    for _ in 0..times {
                        stage.send(&content).await;
                    }
                    start.elapsed()
                })
            });
        });
        runtime.block_on(async { drop(stage) });
    }
    group.finish();
}

fn main() {
    support::readers::serve_if_asked();
    let mut criterion = Criterion::default().configure_from_args();
    socket_to_socket(&mut criterion);
    criterion.final_summary();
}

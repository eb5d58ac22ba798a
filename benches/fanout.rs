//! One room's event to its members' mailboxes, through the real hub and real sockets, until the last
//! reader has read it. The readers are a process of their own; the hub has one thread.

mod support;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use criterion::{Criterion, Throughput};
use hearth::{
    hub::{Attached, Hub, Lease, Mailbox, Subscriber, Wire},
    protocol::{RoomId, UserId},
    store::{Location, Options, Store},
    ws::frame,
};
use support::{ascii, message, readers::Readers};
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime};

const ROOM: RoomId = RoomId(1);
/// Events that come while the room is busy go out in one write.
const BURST: u64 = 64;

/// A live room with readers.
struct Stage {
    hub: Arc<Hub>,
    readers: Readers,
    members: u64,
    /// Kept for the room: dropped, it would end.
    _leases: Vec<Lease>,
    mailboxes: Vec<Arc<Mailbox>>,
    rev: u64,
    _dir: TempDir,
}

impl Stage {
    async fn set_up(members: u64) -> Self {
        let dir = TempDir::new().unwrap();
        let hub = Hub::new(frame::header);
        let location = Location::Sqlite(dir.path().join("hearth.db"));
        let options = Options::new(location, 1, hearth::auth::tokens::sha256);
        hub.start(Store::open(&options, hub.commit_hook()).await.unwrap());

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = async {
            let mut mailboxes = Vec::new();
            for _ in 0..members {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                mailboxes.push(Arc::new(Mailbox::new(stream, Wire::WebSocket)));
            }
            mailboxes
        };
        let (readers, mailboxes) =
            tokio::join!(Readers::plain(address, members as usize), accepting);
        let mut leases = Vec::new();
        for (user_id, mailbox) in (1..).zip(&mailboxes) {
            let lease = hub.lease(ROOM, mailbox);
            let subscriber = Subscriber {
                mailbox: mailbox.clone(),
                user_id: UserId(user_id),
                at: 0,
                verified: 0,
            };
            let attached = lease.attach(subscriber, Bytes::new()).await.unwrap();
            assert_eq!(attached, Attached::Live);
            leases.push(lease);
            tokio::spawn(drain(mailbox.clone()));
        }
        Self {
            hub,
            readers,
            members,
            _leases: leases,
            mailboxes,
            rev: 0,
            _dir: dir,
        }
    }

    /// Publishes `times` bursts, each after the one before has been read by all.
    async fn deliver(&mut self, times: u64, burst: u64) -> Duration {
        let content = ascii(128);
        let start = Instant::now();
        for _ in 0..times {
            for _ in 0..burst {
                self.rev += 1;
                self.hub.publish(message(ROOM, self.rev, &content));
            }
            self.readers.delivered(self.rev * self.members).await;
        }
        let took = start.elapsed();
        for mailbox in &self.mailboxes {
            assert!(mailbox.take_lags().is_empty(), "no reader is too slow");
        }
        took
    }
}

/// What a connection does for its mailbox.
async fn drain(mailbox: Arc<Mailbox>) {
    loop {
        mailbox.woken().await;
        while mailbox.backlog().bytes > 0 {
            mailbox.writable().await;
            mailbox.drain();
        }
        if mailbox.backlog().close.is_some() {
            return;
        }
    }
}

fn fan_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fan-out");
    group.sample_size(10);
    for members in [10, 1_000, 10_000] {
        // One by one each event is a write; in a burst the events share one.
        for (name, burst) in [("one by one", 1), ("bursts of 64", BURST)] {
            let runtime = runtime();
            let mut stage = None;
            group.throughput(Throughput::Elements(members * burst));
            group.bench_function(format!("{members} members, {name}"), |bencher| {
                bencher.iter_custom(|times| {
                    runtime.block_on(async {
                        if stage.is_none() {
                            stage = Some(Stage::set_up(members).await);
                        }
                        stage.as_mut().unwrap().deliver(times, burst).await
                    })
                });
            });
            runtime.block_on(async { drop(stage) });
        }
    }
    group.finish();
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn main() {
    support::readers::serve_if_asked();
    let mut criterion = Criterion::default().configure_from_args();
    fan_out(&mut criterion);
    criterion.final_summary();
}

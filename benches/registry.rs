//! Publishing through the registry, quietly and while connections and rooms come and go beside it.

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use criterion::Criterion;
use hearth::{
    hub::{Hub, Lease, Mailbox, Registration, Subscriber, Wire},
    protocol::{RoomId, SessionId, UserId, rest::Role},
    store::{Event, EventBody, MemberEvent},
    ws::frame,
};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use support::{message, user};
use tokio::net::{TcpListener, TcpStream};

const USERS: u64 = 2_000;
const ROOMS: u64 = 2_000;
/// No user may have more.
const CONNECTIONS_MAX: usize = 20;

struct Stage {
    hub: Arc<Hub>,
    mailboxes: Vec<Arc<Mailbox>>,
    _registrations: Vec<Registration>,
    _leases: Vec<Lease>,
    _clients: Vec<TcpStream>,
}

/// A connection for each user, and a listener for each room, who has read ahead: what is published to
/// the rooms costs their tasks next to nothing.
async fn set_up() -> Stage {
    let hub = Hub::new(frame::header);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (mut mailboxes, mut registrations) = (Vec::new(), Vec::new());
    let (mut leases, mut clients) = (Vec::new(), Vec::new());
    for id in 1..=USERS {
        clients.push(TcpStream::connect(address).await.unwrap());
        let (stream, _) = listener.accept().await.unwrap();
        let mailbox = Arc::new(Mailbox::new(stream, Wire::WebSocket));
        registrations.push(
            hub.connect(UserId(id), SessionId(id), mailbox.clone(), CONNECTIONS_MAX)
                .unwrap(),
        );
        mailboxes.push(mailbox);
    }
    for room in 1..=ROOMS {
        let mailbox = &mailboxes[(room % USERS) as usize];
        let lease = hub.lease(RoomId(room), mailbox);
        let subscriber = Subscriber {
            mailbox: mailbox.clone(),
            user_id: UserId(room),
            at: 1_000_000,
            verified: 1_000_000,
        };
        lease.attach(subscriber, Bytes::new()).await.unwrap();
        leases.push(lease);
    }
    Stage {
        hub,
        mailboxes,
        _registrations: registrations,
        _leases: leases,
        _clients: clients,
    }
}

fn joined(room_id: RoomId, user_id: u64) -> Event {
    Event {
        room_id,
        prev: 1,
        rev: 2,
        body: EventBody::Member(MemberEvent {
            user: user(user_id),
            role: Some(Role::Member),
            joined_rev: 2,
            by: None,
            at: None,
            member_count: 10,
        }),
    }
}

/// Connects, leases, and ends both again, until told to stop. Answers how often.
fn churn(hub: &Arc<Hub>, mailbox: &Arc<Mailbox>, stop: &AtomicBool) -> u64 {
    let mut rng = SmallRng::seed_from_u64(7);
    let mut times = 0;
    while !stop.load(Ordering::Relaxed) {
        let user_id = UserId(rng.random_range(1..=2 * USERS));
        let registration = hub.connect(user_id, SessionId(1), mailbox.clone(), CONNECTIONS_MAX);
        let lease = hub.lease(RoomId(rng.random_range(1..=ROOMS)), mailbox);
        drop((registration, lease));
        times += 1;
    }
    times
}

fn registry(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let stage = runtime.block_on(set_up());
    let text = message(RoomId(1), 1, &support::ascii(128));
    let mut rng = SmallRng::seed_from_u64(1);
    let mut group = criterion.benchmark_group("registry");
    for churning in [false, true] {
        let stop = AtomicBool::new(false);
        let state = if churning { "churn" } else { "quiet" };
        std::thread::scope(|threads| {
            let churner = churning.then(|| {
                threads.spawn(|| {
                    // Leases start rooms, which are tasks.
                    let _entered = runtime.enter();
                    let started = Instant::now();
                    let times = churn(&stage.hub, &stage.mailboxes[0], &stop);
                    times as f64 / started.elapsed().as_secs_f64()
                })
            });
            group.bench_function(
                format!("message to a room that nobody hears, {state}"),
                |b| {
                    b.iter_batched(
                        || Event {
                            room_id: RoomId(ROOMS + rng.random_range(1..=ROOMS)),
                            ..text.clone()
                        },
                        |event| stage.hub.publish(event),
                        criterion::BatchSize::SmallInput,
                    );
                },
            );
            group.bench_function(format!("message to a live room, {state}"), |b| {
                b.iter_batched(
                    || Event {
                        room_id: RoomId(rng.random_range(1..=ROOMS)),
                        ..text.clone()
                    },
                    |event| stage.hub.publish(event),
                    criterion::BatchSize::SmallInput,
                );
            });
            group.bench_function(format!("notice to a user, {state}"), |b| {
                b.iter_batched(
                    || {
                        let user_id = rng.random_range(1..=USERS);
                        (joined(RoomId(ROOMS + 1), user_id), user_id as usize - 1)
                    },
                    |(event, user)| {
                        stage.hub.publish(event);
                        stage.mailboxes[user].take_notice()
                    },
                    criterion::BatchSize::SmallInput,
                );
            });
            stop.store(true, Ordering::Relaxed);
            if let Some(churner) = churner {
                let rate = churner.join().expect("churning ends when told to");
                println!("beside it {rate:.0} connections and leases came and went a second");
            }
        });
    }
    group.finish();
}

fn main() {
    support::raise_file_limit();
    let mut criterion = Criterion::default().configure_from_args();
    registry(&mut criterion);
    criterion.final_summary();
}

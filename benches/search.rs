//! Searching a room of 100,000 messages, and indexing new ones. On MariaDB too when `HEARTH_TEST_MYSQL`
//! names one.

#[path = "../tests/support/database.rs"]
#[allow(unused_imports, reason = "its macro is the tests'")]
mod database;
#[path = "../tests/support/million.rs"]
#[allow(dead_code, reason = "nobody asks for its head")]
mod million;
#[path = "support/place.rs"]
mod place;

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use database::Db;
use futures_util::future::join_all;
use hearth::{
    protocol::{
        RoomId,
        rest::{RoomKind, UserSummary},
    },
    store::{
        Change, NewRoom, Store,
        search::{Indexer, Query, SearchFilter},
    },
};
use tokio::runtime::Runtime;

const MESSAGES: u64 = 100_000;
const PAGE: usize = 50;
/// Messages that are indexed at once.
const NEW: u64 = 256;

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut criterion = Criterion::default().configure_from_args();
    let mut databases = vec![Db::Sqlite];
    if std::env::var_os("HEARTH_TEST_MYSQL").is_some() {
        databases.push(Db::MariaDb);
    }
    for db in databases {
        let placed = runtime.block_on(place::open(db));
        let (room_id, member) = runtime.block_on(async {
            let owner = placed.users(1).await.remove(0);
            let room = NewRoom {
                kind: RoomKind::Private,
                name: "searched".into(),
                topic: String::new(),
                owner: owner.clone(),
                members: Vec::new(),
            };
            let room_id = placed.store.create_room(room).await.unwrap().unwrap();
            let owner_alone = std::slice::from_ref(&owner);
            million::fill(&placed.location, room_id, owner_alone, MESSAGES).await;
            Indexer::default().sweep(&placed.store).await.unwrap();
            (room_id, owner)
        });
        search(&mut criterion, &runtime, db, &placed.store, &member);
        index(
            &mut criterion,
            &runtime,
            db,
            &placed.store,
            room_id,
            &member,
        );
        runtime.block_on(placed.store.close());
    }
    criterion.final_summary();
}

/// A page of 50, or all there are.
fn search(
    criterion: &mut Criterion,
    runtime: &Runtime,
    db: Db,
    store: &Store,
    member: &UserSummary,
) {
    let mut group = criterion.benchmark_group(format!("search in 100,000, {db:?}"));
    group.sample_size(10);
    for (name, text) in [
        ("a word of 10", "rare77"),
        ("a word of 1,667", "common7"),
        ("two words of 10", "common17 rare77"),
        ("a phrase of 10", "\"common17 rare77\""),
        ("a beginning of 110", "rare77*"),
        ("nothing", "absent"),
    ] {
        let query = Query::parse(text).unwrap();
        group.bench_function(name, |bencher| {
            bencher.to_async(runtime).iter(|| async {
                let scope = SearchFilter {
                    user_id: member.id,
                    room_id: None,
                    from: None,
                    after: None,
                };
                store.search(&query, scope, PAGE).await.unwrap()
            });
        });
    }
    group.finish();
}

/// From the commit of 256 messages to their being found: the sends are not counted.
fn index(
    criterion: &mut Criterion,
    runtime: &Runtime,
    db: Db,
    store: &Store,
    room_id: RoomId,
    member: &UserSummary,
) {
    let mut group = criterion.benchmark_group(format!("index, {db:?}"));
    group.sample_size(10);
    group.throughput(Throughput::Elements(NEW));
    group.bench_function("256 messages of 10 words", |bencher| {
        bencher.iter_custom(|times| {
            runtime.block_on(async {
                let mut spent = Duration::ZERO;
                for _ in 0..times {
                    let sends = (0..NEW).map(|_| {
                        store.append(Change::Send {
                            room_id,
                            sender: member.clone(),
                            id: uuid::Uuid::now_v7(),
                            content: "one two three four five six seven eight nine ten".into(),
                            reply_to: None,
                            named: Default::default(),
                        })
                    });
                    for sent in join_all(sends).await {
                        sent.unwrap();
                    }
                    let start = Instant::now();
                    Indexer::default().sweep(store).await.unwrap();
                    spent += start.elapsed();
                }
                spent
            })
        });
    });
    group.finish();
}

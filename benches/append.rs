//! A group commit: so many sends at once, to 1,000 rooms of 10 members, until all are durable. On MariaDB
//! too when `HEARTH_TEST_MYSQL` names one.

#[path = "../tests/support/database.rs"]
#[allow(unused_imports, reason = "its macro is the tests'")]
mod database;
#[path = "support/place.rs"]
mod place;
mod support;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use criterion::{Criterion, Throughput};
use database::Db;
use futures_util::future::join_all;
use hearth::{
    protocol::{
        RoomId,
        rest::{RoomKind, UserSummary},
    },
    search::{Feed, Search},
    store::{Change, NewRoom, Outcome},
};
use place::Placed;
use rand::{Rng, SeedableRng, rngs::SmallRng};
use support::ascii;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const ROOMS: usize = 1_000;
const MEMBERS: usize = 10;
const USERS: usize = 1_000;

struct Stage {
    placed: Placed,
    /// Filled beside the appends, in a directory of its own.
    index: Option<(Search, TempDir)>,
    rooms: Vec<(RoomId, Vec<UserSummary>)>,
}

async fn set_up(db: Db, indexed: bool) -> Stage {
    let feed = Feed::default();
    let notes = feed.clone();
    let placed = place::open_heard(db, Arc::new(move |events| notes.note(&events))).await;
    let index = indexed.then(|| {
        let directory = tempfile::tempdir().unwrap();
        let (path, day) = (directory.path().into(), Duration::from_secs(86_400));
        let search = Search::start(placed.store.clone(), feed, path, day);
        (search, directory)
    });
    let users = placed.users(USERS).await;
    let mut rooms = Vec::new();
    for number in 0..ROOMS {
        // Distinct, for 37 and the number of users have no common divisor.
        let mut members: Vec<UserSummary> = (0..MEMBERS)
            .map(|member| users[(number + 37 * member) % USERS].clone())
            .collect();
        let room = NewRoom {
            kind: RoomKind::Private,
            name: format!("room {number}"),
            topic: String::new(),
            owner: members[0].clone(),
            members: members.split_off(1),
        };
        let everyone = [vec![room.owner.clone()], room.members.clone()].concat();
        let room_id = placed.store.create_room(room).await.unwrap().unwrap();
        rooms.push((room_id, everyone));
    }
    Stage {
        placed,
        index,
        rooms,
    }
}

async fn append(stage: &Stage, sends: u64, rng: &mut SmallRng) {
    let content = ascii(128);
    let appends = (0..sends).map(|_| {
        let (room_id, members) = &stage.rooms[rng.random_range(0..ROOMS)];
        stage.placed.store.append(Change::Send {
            room_id: *room_id,
            sender: members[rng.random_range(0..MEMBERS)].clone(),
            id: uuid::Uuid::now_v7(),
            content: content.clone(),
            reply_to: None,
            named: Default::default(),
        })
    });
    for outcome in join_all(appends).await {
        let outcome = outcome.expect("the database answers");
        assert!(matches!(outcome, Outcome::Sent { .. }), "{outcome:?}");
    }
}

fn group_commit(
    criterion: &mut Criterion,
    runtime: &Runtime,
    db: Db,
    indexed: bool,
    sizes: &[u64],
) {
    let beside = if indexed { ", indexed" } else { "" };
    let name = format!("group commit, {db:?}{beside}");
    let mut stage = None;
    let mut rng = SmallRng::seed_from_u64(1);
    let mut group = criterion.benchmark_group(name);
    for &sends in sizes {
        group.throughput(Throughput::Elements(sends));
        group.bench_function(format!("{sends} sends at once"), |bencher| {
            bencher.iter_custom(|times| {
                runtime.block_on(async {
                    if stage.is_none() {
                        stage = Some(set_up(db, indexed).await);
                    }
                    let stage = stage.as_ref().unwrap();
                    let start = Instant::now();
                    for _ in 0..times {
                        append(stage, sends, &mut rng).await;
                    }
                    start.elapsed()
                })
            });
        });
    }
    group.finish();
    if let Some(stage) = stage {
        if let Some((search, _)) = &stage.index {
            runtime.block_on(search.close());
        }
        runtime.block_on(stage.placed.store.close());
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut databases = vec![Db::Sqlite];
    if support::mariadb_is_there() {
        databases.push(Db::MariaDb);
    }
    for db in databases {
        group_commit(&mut criterion, &runtime, db, false, &[1, 16, 64, 256]);
        group_commit(&mut criterion, &runtime, db, true, &[256]);
    }
    criterion.final_summary();
}

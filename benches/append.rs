//! A group commit: so many sends at once, to 1,000 rooms of 10 members, until all are durable. On MariaDB
//! too when `HEARTH_TEST_MYSQL` names one.

#[path = "../tests/support/database.rs"]
#[allow(unused_imports, reason = "its macro is the tests'")]
mod database;
mod support;

use std::{sync::Arc, time::Instant};

use criterion::{Criterion, Throughput};
use database::{Db, Schema};
use futures_util::future::join_all;
use hearth::{
    protocol::{
        RoomId,
        rest::{RoomKind, UserSummary},
    },
    store::{Change, Location, NewRoom, NewUser, Options, Outcome, Store},
};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use support::ascii;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const ROOMS: usize = 1_000;
const MEMBERS: usize = 10;
const USERS: usize = 1_000;

/// Where the rows go; removed with the value.
#[allow(dead_code, reason = "held to be dropped")]
enum Place {
    Sqlite(TempDir),
    MariaDb(Schema),
}

struct Stage {
    store: Store,
    rooms: Vec<(RoomId, Vec<UserSummary>)>,
    _place: Place,
}

async fn set_up(db: Db) -> Stage {
    let (place, location) = match db {
        Db::Sqlite => {
            let dir = TempDir::new().unwrap();
            let location = Location::Sqlite(dir.path().join("hearth.db"));
            (Place::Sqlite(dir), location)
        }
        Db::MariaDb => {
            let schema = Schema::create().await;
            let location = Location::Mysql(schema.url.clone());
            (Place::MariaDb(schema), location)
        }
    };
    let options = Options { location, pool: 4 };
    let store = Store::open(&options, Arc::new(|_| {})).await.unwrap();
    let mut users = Vec::new();
    for number in 0..USERS {
        let row = store
            .create_user(NewUser {
                username: format!("member{number}"),
                email: format!("member{number}@example.org"),
                full_name: None,
                password_hash: String::new(),
            })
            .await
            .unwrap();
        users.push(UserSummary {
            id: row.user.id,
            username: row.user.username,
            full_name: None,
        });
    }
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
        let room_id = store.create_room(room).await.unwrap().unwrap();
        rooms.push((room_id, everyone));
    }
    Stage {
        store,
        rooms,
        _place: place,
    }
}

async fn append(stage: &Stage, sends: u64, rng: &mut SmallRng) {
    let content = ascii(128);
    let appends = (0..sends).map(|_| {
        let (room_id, members) = &stage.rooms[rng.random_range(0..ROOMS)];
        stage.store.append(Change::Send {
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

fn group_commit(criterion: &mut Criterion, runtime: &Runtime, db: Db) {
    let name = match db {
        Db::Sqlite => "group commit, SQLite",
        Db::MariaDb => "group commit, MariaDB",
    };
    let mut stage = None;
    let mut rng = SmallRng::seed_from_u64(1);
    let mut group = criterion.benchmark_group(name);
    for sends in [1, 16, 64, 256] {
        group.throughput(Throughput::Elements(sends));
        group.bench_function(format!("{sends} sends at once"), |bencher| {
            bencher.iter_custom(|times| {
                runtime.block_on(async {
                    if stage.is_none() {
                        stage = Some(set_up(db).await);
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
        runtime.block_on(stage.store.close());
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    group_commit(&mut criterion, &runtime, Db::Sqlite);
    if support::mariadb_is_there() {
        group_commit(&mut criterion, &runtime, Db::MariaDb);
    }
    criterion.final_summary();
}

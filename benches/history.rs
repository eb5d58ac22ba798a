//! Reading a room of a million messages: pages of history at any place, catching up from near and from far,
//! and where a member stands. On MariaDB too when `HEARTH_TEST_MYSQL` names one.

#[path = "../tests/support/database.rs"]
#[allow(unused_imports, reason = "its macro is the tests'")]
mod database;
#[path = "../tests/support/million.rs"]
mod million;
#[path = "support/place.rs"]
mod place;

use criterion::Criterion;
use database::Db;
use hearth::{
    protocol::{
        RoomId, UserId,
        rest::{RoomKind, UserSummary},
    },
    store::{NewRoom, Range, Store},
};
use place::Placed;
use tokio::runtime::Runtime;

const MESSAGES: u64 = 1_000_000;
const MEMBERS: usize = 10;
/// Messages of a page.
const PAGE: usize = 50;
const CROWD: usize = 10_000;

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut criterion = Criterion::default().configure_from_args();
    let mut databases = vec![Db::Sqlite];
    if std::env::var_os("HEARTH_TEST_MYSQL").is_some() {
        databases.push(Db::MariaDb);
    }
    for db in databases {
        let placed = runtime.block_on(place::open(db));
        let users = runtime.block_on(placed.users(CROWD));
        let (room_id, members) = runtime.block_on(async {
            let mut members = users[..MEMBERS].to_vec();
            let room = NewRoom {
                kind: RoomKind::Private,
                name: "a long history".into(),
                topic: String::new(),
                owner: members[0].clone(),
                members: members.split_off(1),
            };
            let everyone = [vec![room.owner.clone()], room.members.clone()].concat();
            let room_id = placed.store.create_room(room).await.unwrap().unwrap();
            million::fill(&placed.location, room_id, &everyone, MESSAGES).await;
            (room_id, everyone)
        });
        history(&mut criterion, &runtime, db, &placed.store, room_id);
        changes(&mut criterion, &runtime, db, &placed.store, room_id);
        standings(
            &mut criterion,
            &runtime,
            db,
            &placed.store,
            room_id,
            &members,
        );
        let room_id = runtime.block_on(crowded(&placed, users));
        people(&mut criterion, &runtime, db, &placed.store, room_id);
        runtime.block_on(placed.store.close());
    }
    criterion.final_summary();
}

/// A page of 50 of them.
fn history(criterion: &mut Criterion, runtime: &Runtime, db: Db, store: &Store, room_id: RoomId) {
    let mut group = criterion.benchmark_group(format!("page of a million, {db:?}"));
    for (place, range) in [
        ("newest", Range::Latest),
        ("before the middle", Range::Before(MESSAGES / 2)),
        ("around the middle", Range::Around(MESSAGES / 2)),
        ("oldest", Range::After(0)),
    ] {
        group.bench_function(place, |bencher| {
            bencher.to_async(runtime).iter(|| async {
                let page = store.history(room_id, range, PAGE).await.unwrap().unwrap();
                assert_eq!(page.messages.len(), PAGE);
            });
        });
    }
    group.finish();
}

/// One page of catching up.
fn changes(criterion: &mut Criterion, runtime: &Runtime, db: Db, store: &Store, room_id: RoomId) {
    let mut group = criterion.benchmark_group(format!("sync in a million, {db:?}"));
    let head = runtime.block_on(million::head(store, room_id));
    for behind in [1, 50, 500, 100_000] {
        group.bench_function(format!("{behind} behind"), |bencher| {
            bencher.to_async(runtime).iter(|| async {
                let page = store
                    .changes(room_id, head - behind)
                    .await
                    .unwrap()
                    .unwrap();
                assert!(!page.events.is_empty());
            });
        });
    }
    group.finish();
}

/// What a `sync` of an unchanged room reads: with a hundred unread mentions at hand.
fn standings(
    criterion: &mut Criterion,
    runtime: &Runtime,
    db: Db,
    store: &Store,
    room_id: RoomId,
    members: &[UserSummary],
) {
    let mut group = criterion.benchmark_group(format!("standing in a million, {db:?}"));
    group.bench_function("100 unread mentions", |bencher| {
        bencher.to_async(runtime).iter(|| async {
            let standings = store.standings(members[1].id, Some(&[room_id])).await;
            assert_eq!(standings.unwrap()[0].mentioned.len(), 100);
        });
    });
    group.finish();
}

/// A room of [`CROWD`] members.
async fn crowded(placed: &Placed, mut members: Vec<UserSummary>) -> RoomId {
    let room = NewRoom {
        kind: RoomKind::Private,
        name: "a crowd".into(),
        topic: String::new(),
        owner: members[0].clone(),
        members: members.split_off(1),
    };
    placed.store.create_room(room).await.unwrap().unwrap()
}

/// A page of 200 of its members, and those whose name begins so.
fn people(criterion: &mut Criterion, runtime: &Runtime, db: Db, store: &Store, room_id: RoomId) {
    let mut group = criterion.benchmark_group(format!("members of {CROWD}, {db:?}"));
    let middle = UserId(CROWD as u64 / 2);
    for (what, prefix, after, found) in [
        ("a page", "", middle, 200),
        ("one by name", "member4321", UserId(0), 1),
        ("a page of all by name", "member", UserId(0), 200),
    ] {
        group.bench_function(what, |bencher| {
            bencher.to_async(runtime).iter(|| async {
                let members = store.members(room_id, prefix, after, 200).await;
                let (_, members) = members.unwrap().unwrap();
                assert_eq!(members.len(), found);
            });
        });
    }
    group.finish();
}

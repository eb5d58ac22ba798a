//! Encoding an event as the WebSocket frame that all members of its room get.

mod support;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hearth::{
    hub::encode::{PrevField, encode},
    limits::CONTENT_CHARS_MAX,
    protocol::{RoomId, Time, UserId, rest::Role},
    store::{Event, EventBody, MemberEvent},
    ws::frame,
};
use support::{ascii, message, prose, user};

fn encoding(criterion: &mut Criterion) {
    let room_id = RoomId(12);
    let member = Event {
        room_id,
        prev: 1_056,
        rev: 1_057,
        body: EventBody::Member(MemberEvent {
            user: user(3),
            role: Some(Role::Member),
            joined_rev: 2,
            by: Some(UserId(1)),
            at: Some(Time::now()),
            member_count: 10,
        }),
    };
    let events = [
        ("member", member),
        ("message of 128 bytes", message(room_id, 1_057, &ascii(128))),
        (
            "message of 8000 characters",
            message(room_id, 1_057, &ascii(CONTENT_CHARS_MAX)),
        ),
        (
            "message of 8000 characters beyond ASCII",
            message(room_id, 1_057, &prose(CONTENT_CHARS_MAX)),
        ),
    ];
    let mut group = criterion.benchmark_group("encode");
    for (name, event) in events {
        let bytes = encode(&event, frame::header, PrevField::WhereSkipped)
            .bytes
            .len();
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| encode(black_box(&event), frame::header, PrevField::WhereSkipped));
        });
    }
    group.finish();
}

criterion_group!(benches, encoding);
criterion_main!(benches);

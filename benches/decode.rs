//! Decoding a client's frame: every type, and messages from a line to the longest text.

mod support;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hearth::{limits::CONTENT_CHARS_MAX, protocol::client::Frame};
use serde_json::{Value, json};
use support::{ascii, prose};

fn message(content: &str) -> Value {
    json!({
        "type": "message", "ref": 7, "room_id": 12,
        "id": "0193446f-76b0-7b2c-9d5e-3a1f0c9b8e7d", "content": content,
    })
}

fn sync(rooms: u64) -> Value {
    let rooms: serde_json::Map<String, Value> = (1..=rooms)
        .map(|room| (room.to_string(), json!(room * 1_000)))
        .collect();
    json!({"type": "sync", "ref": 1, "epoch": "0193446f76b07b2c", "rooms": rooms})
}

fn decode(criterion: &mut Criterion) {
    let frames = [
        ("ping", json!({"type": "ping"})),
        ("auth", json!({"type": "auth", "token": "x".repeat(400)})),
        (
            "join",
            json!({"type": "join", "ref": "a", "room_id": 12, "rev": 1_057, "epoch": "0193446f76b07b2c"}),
        ),
        ("leave", json!({"type": "leave", "ref": "a", "room_id": 12})),
        ("read", json!({"type": "read", "room_id": 12, "seq": 1_060})),
        ("sync of 10 rooms", sync(10)),
        ("sync of 1000 rooms", sync(1_000)),
        ("message of 128 bytes", message(&ascii(128))),
        (
            "message of 8000 characters",
            message(&ascii(CONTENT_CHARS_MAX)),
        ),
        (
            "message of 8000 characters beyond ASCII",
            message(&prose(CONTENT_CHARS_MAX)),
        ),
    ];
    let mut group = criterion.benchmark_group("decode");
    for (name, frame) in frames {
        let text = frame.to_string();
        Frame::decode(&text).expect("the frame is good");
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| Frame::decode(black_box(&text)));
        });
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);

//! One client of a [`super::Crowd`]: it connects, syncs, sends its outbox and writes new messages, again and
//! again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::time::{sleep, sleep_until};
use uuid::Uuid;

use super::{
    Socket,
    crowd::{Person, Phase, STALL, Shared, State},
    socket::Incoming,
};

/// Messages that a writer has in flight: they are pipelined.
const WINDOW: usize = 4;

/// A client: connects, again and again.
pub async fn live(person: Arc<Person>, shared: Arc<Shared>) {
    let mut phase = shared.phase.subscribe();
    while *phase.borrow_and_update() != Phase::End {
        let Ok(socket) = person.account.try_open("/ws").await else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        person.state().outbox.connected();
        tokio::select! {
            () = session(&person, &shared, socket) => {}
            _ = phase.wait_for(|phase| *phase == Phase::End) => {}
        }
        sleep(Duration::from_millis(rand::random_range(0..20))).await;
    }
}

/// One connection, until it breaks.
async fn session(person: &Person, shared: &Shared, mut socket: Socket) {
    let mut phase = shared.phase.subscribe();
    let mut ready = false;
    let mut ask_again = None;
    loop {
        let (frames, mut next) = {
            let mut state = person.state();
            if ready && person.writes && shared.phase() == Phase::Write {
                write(person, &mut state, shared);
            }
            if ready {
                state.outbox.due(Instant::now())
            } else {
                (Vec::new(), None)
            }
        };
        for frame in frames {
            if socket.try_send(frame).await.is_err() {
                return;
            }
        }
        if let Some(again) = ask_again {
            if again <= Instant::now() {
                ask_again = None;
                let sync = person.state().follower.ask_again();
                if socket.try_send(sync).await.is_err() {
                    return;
                }
            } else {
                next = Some(next.map_or(again, |next: Instant| next.min(again)));
            }
        }
        let later = next.unwrap_or_else(|| Instant::now() + STALL);
        let frame = tokio::select! {
            incoming = socket.wait() => match incoming {
                Incoming::Frame(frame) => frame,
                Incoming::Closed(code, reason) => {
                    assert!((4000..4500).contains(&code), "{}: closed with {code} {reason}", person.account.name);
                    return;
                }
                Incoming::Broken => return,
            },
            () = sleep_until(later.into()) => continue,
            _ = phase.changed() => continue,
        };
        let answer = match frame["ref"] {
            Value::Number(_) => {
                answered(person, shared, &frame);
                None
            }
            _ if frame["type"] == "error" => {
                // A sync or a join that the database had no answer for.
                assert_eq!(frame["retryable"], true, "{frame}");
                ask_again = Some(Instant::now() + Duration::from_millis(200));
                None
            }
            _ => person.state().follower.take(&frame),
        };
        ready |= frame["type"] == "ready";
        if let Some(answer) = answer
            && socket.try_send(answer).await.is_err()
        {
            return;
        }
    }
}

fn answered(person: &Person, shared: &Shared, frame: &Value) {
    let mut state = person.state();
    state
        .outbox
        .answered(frame, Instant::now(), shared.moment());
    drop(state);
    if frame["type"] == "ack" {
        shared.acks.send_modify(|acks| *acks += 1);
    } else if frame["retryable"] != true {
        let code = frame["code"].as_str().unwrap();
        let expected = person.wanders && ["forbidden", "not_found"].contains(&code);
        assert!(expected, "{}: {frame}", person.account.name);
    }
}

/// Writes new messages as long as the window is open, now here, now there.
fn write(person: &Person, state: &mut State, shared: &Shared) {
    let rooms: Vec<u64> = state.follower.rooms.keys().copied().collect();
    for _ in state.outbox.in_flight..WINDOW {
        if rooms.is_empty() {
            return;
        }
        let room_id = rooms[rand::random_range(0..rooms.len())];
        if state.outbox.flows(room_id) {
            let number = state.outbox.sent.len();
            let mut content = format!("{} says {number} 👍 e\u{301}", person.account.name);
            if rand::random_range(0..50) == 0 {
                content.push_str(&" long".repeat(rand::random_range(1..1_000)));
            }
            state
                .outbox
                .write(room_id, Uuid::now_v7(), content, shared.moment());
        }
    }
}

//! One client of a [`super::Crowd`]: it connects, syncs, sends its outbox and writes new messages, again and
//! again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::{
    task::JoinSet,
    time::{interval, sleep},
};
use uuid::Uuid;

use super::{
    Effect, LoadId, Socket,
    crowd::{Person, Phase, Shared, State},
    outbox::Outbox,
    socket::Incoming,
};

/// Messages that a writer has in flight.
const WINDOW: usize = 4;
/// After about so many frames a reader's connection breaks.
const FRAMES: u32 = 40;
/// How often is asked again for what met a retryable error.
const RETRY: Duration = Duration::from_millis(100);

/// Pages on their way; they outlive a connection.
type Loads = JoinSet<(LoadId, Option<Value>)>;

/// A client: connects, again and again.
pub async fn live(person: Arc<Person>, shared: Arc<Shared>) {
    let mut phase = shared.phase.subscribe();
    let mut loads = Loads::new();
    while *phase.borrow_and_update() != Phase::End {
        if let Ok(socket) = person.account.try_open("/ws").await {
            {
                let mut state = person.state();
                state.connections += 1;
                state.client.connected();
                state.outbox.connected();
            }
            tokio::select! {
                () = session(&person, &shared, socket, &mut loads) => {}
                _ = phase.wait_for(|phase| *phase == Phase::End) => return,
            }
            person.state().client.disconnected();
        }
        sleep(Duration::from_millis(rand::random_range(0..30))).await;
    }
}

/// One connection, until it breaks.
async fn session(person: &Person, shared: &Shared, mut socket: Socket, loads: &mut Loads) {
    let mut phase = shared.phase.subscribe();
    let mut retry = interval(RETRY);
    loop {
        let (effects, messages) = next(person, shared);
        let mut frames = Vec::new();
        for effect in effects {
            match effect.path() {
                Some((load, path)) => {
                    let account = person.account.clone();
                    loads.spawn(async move {
                        match account.try_request("GET", &path, None).await {
                            Ok((200, body)) => (load, Some(body)),
                            _ => (load, None),
                        }
                    });
                }
                None => frames.extend(match effect {
                    Effect::Send(frame) => Some(frame),
                    _ => None,
                }),
            }
        }
        frames.extend(messages);
        for frame in frames {
            if socket.try_send(frame).await.is_err() {
                return;
            }
        }
        tokio::select! {
            incoming = socket.wait() => match incoming {
                Incoming::Frame(frame) => {
                    take(person, shared, &frame);
                    // Those who only read lose their connection often, to catch up while others write.
                    if !person.writes && shared.phase() == Phase::Write && rand::random_range(0..FRAMES) == 0 {
                        return;
                    }
                }
                Incoming::Closed(code, reason) => {
                    let again = (4000..4500).contains(&code);
                    assert!(again, "{}: closed with {code} {reason}", person.account.name);
                    return;
                }
                Incoming::Broken => return,
            },
            Some(loaded) = loads.join_next() => match loaded.unwrap() {
                (load, Some(body)) => person.state().client.loaded(load, &body),
                (load, None) => person.state().client.load_failed(load),
            },
            _ = retry.tick() => ask_again(person),
            _ = phase.changed() => {}
        }
    }
}

/// What is to be done now.
fn next(person: &Person, shared: &Shared) -> (Vec<Effect>, Vec<Value>) {
    let mut state = person.state();
    let mut messages = Vec::new();
    if state.client.is_up() {
        if person.writes && shared.phase() == Phase::Write {
            write(person, &mut state, shared);
        }
        messages = state.outbox.due(Instant::now());
    }
    (state.client.take_effects(), messages)
}

fn ask_again(person: &Person) {
    let client = &mut person.state().client;
    client.retry();
    if !person.writes {
        let rooms: Vec<u64> = client.rooms.keys().copied().collect();
        for room_id in rooms {
            client.load_older(room_id);
        }
    }
}

fn take(person: &Person, shared: &Shared, frame: &Value) {
    let name = &person.account.name;
    if Outbox::is_answer(frame) {
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
            assert!(expected, "{name}: {frame}");
        }
        return;
    }
    // A client is reset when it knows what the log doesn't.
    assert_ne!(frame["type"], "reset", "{name}: {frame}");
    let mut state = person.state();
    state.lags += u64::from(frame["type"] == "lagged");
    state.client.receive(frame);
}

/// Writes new messages as long as the window is open, now here, now there.
fn write(person: &Person, state: &mut State, shared: &Shared) {
    let rooms: Vec<u64> = state.client.rooms.keys().copied().collect();
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

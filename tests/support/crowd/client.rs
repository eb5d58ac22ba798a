//! One client of a [`super::Crowd`]: it connects, syncs, sends what is open, writes new messages, edits, reacts and marks,
//! again and again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{interval, sleep},
};
use uuid::Uuid;

use super::{
    super::{Effect, Incoming, LoadId, Socket},
    Person, Phase, Shared, State,
    outbox::{self, Outbox, Sent},
    pending::Pending,
    record::{Outcome, Thing},
};

/// Messages that a writer has in flight.
const WINDOW: usize = 4;
/// Edits, deletions and reactions that anybody has open.
const PENDING: usize = 3;
/// Every so many messages there is one to which all react.
const HOT: u64 = 20;
const EMOJI: [&str; 5] = ["👍", "❤️", "🎉", "👩‍👩‍👧", "🏳️‍🌈"];
/// After about so many frames a reader's connection breaks.
const FRAMES: u32 = 40;
/// How often is asked again for what met a retryable error.
const RETRY: Duration = Duration::from_millis(100);

/// Pages on their way; they outlive a connection.
type Loads = JoinSet<(LoadId, Option<Value>)>;

/// A client: connects, again and again.
pub async fn run(person: Arc<Person>, shared: Arc<Shared>) {
    let mut phase = shared.phase.subscribe();
    let mut loads = Loads::new();
    while *phase.borrow_and_update() != Phase::End {
        if let Ok(socket) = person.account.try_open("/ws").await {
            {
                let mut state = person.state();
                state.connections += 1;
                state.client.connected();
                state.outbox.connected();
                state.pending.connected(&mut shared.record());
            }
            tokio::select! {
                () = converse(&person, &shared, socket, &mut loads) => {}
                _ = phase.wait_for(|phase| *phase == Phase::End) => return,
            }
            person.state().client.disconnected();
        }
        sleep(Duration::from_millis(rand::random_range(0..30))).await;
    }
}

/// One connection, until it breaks.
async fn converse(person: &Person, shared: &Shared, mut socket: Socket, loads: &mut Loads) {
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
                    // Readers lose their connection often, so that they catch up while others write.
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
        if shared.phase() == Phase::Write {
            if person.writes {
                write(person, &mut state, shared);
            }
            act(person, &mut state, shared);
        }
        messages = state.outbox.due(Instant::now());
        messages.extend(state.pending.due(Instant::now()));
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
    if Outbox::is_answer(frame) || Pending::is_answer(frame) {
        answered(person, shared, frame);
        return;
    }
    // A client is reset when it knows what the log doesn't.
    assert_ne!(frame["type"], "reset", "{name}: {frame}");
    let mut state = person.state();
    state.lags += u64::from(frame["type"] == "lagged");
    let joined = frame["type"] == "message_updated" && frame["by"].is_null();
    state.joined += u64::from(joined);
    state.client.receive(frame);
}

fn answered(person: &Person, shared: &Shared, frame: &Value) {
    let (now, heard) = (Instant::now(), shared.moment());
    let mut state = person.state();
    let room_id = if Outbox::is_answer(frame) {
        Some(state.outbox.answered(frame, now, heard))
    } else {
        let mut record = shared.record();
        let thing = state.pending.answered(frame, now, heard, &mut record);
        // Whether a refusing message was deleted is checked at the end.
        thing.and_then(|thing| {
            let outcome = &record.get(&thing)?.all.last()?.outcome;
            let gone = *outcome == Outcome::Refused("not_found".to_owned());
            (!gone).then_some(thing.room_id())
        })
    };
    if frame["type"] == "ack" {
        shared.acknowledged();
    } else if let (Some(room_id), false) = (room_id, frame["retryable"] == true) {
        let code = frame["code"].as_str().unwrap();
        let away = person.wanders && ["forbidden", "not_found"].contains(&code);
        let archived = room_id == shared.archivable && code == "forbidden";
        assert!(away || archived, "{}: {frame}", person.account.name);
    }
}

/// One of the rooms that the client holds; one that it knows to be archived now and then.
fn a_room(state: &State) -> Option<u64> {
    let rooms = &state.client.rooms;
    let index = rand::random_range(0..rooms.len().max(1));
    let (room_id, room) = rooms.iter().nth(index)?;
    let archived = !room.settings["archived_at"].is_null();
    (!archived || rand::random_range(0..10) == 0).then_some(*room_id)
}

/// A new text, which names a user now and then.
fn text(person: &Person, shared: &Shared, number: u64) -> String {
    let mut text = format!("{} says {number} 👍 e\u{301}", person.account.name);
    match rand::random_range(0..200) {
        0..20 => {
            let someone = rand::random_range(0..shared.names.len());
            text.push_str(&format!(" @{}", shared.names[someone].0));
        }
        20 => text.push_str(" @all"),
        21..25 => text.push_str(&" long".repeat(rand::random_range(1..1_000))),
        _ => {}
    }
    text
}

/// Writes new messages as long as the window is open, now here, now there.
fn write(person: &Person, state: &mut State, shared: &Shared) {
    for _ in state.outbox.in_flight..WINDOW {
        let Some(room_id) = a_room(state) else {
            continue;
        };
        if state.outbox.flows(room_id) {
            // Perhaps one that is deleted by now.
            let last = state.client.rooms[&room_id].last_seq;
            let replies = last > 0 && rand::random_range(0..4) == 0;
            state.outbox.write(Sent {
                room_id,
                id: Uuid::now_v7(),
                content: text(person, shared, shared.moment()),
                reply_to: replies.then(|| rand::random_range(1..=last)),
                written: shared.moment(),
                outcome: outbox::Outcome::Open,
            });
        }
    }
}

/// Does something with messages that are there.
fn act(person: &Person, state: &mut State, shared: &Shared) {
    let Some(room_id) = a_room(state) else {
        return;
    };
    let room = &state.client.rooms[&room_id];
    let (last, marker) = (room.last_seq, room.last_read_seq);
    if last == 0 {
        return;
    }
    let chance = rand::random_range(0..100);
    if chance < 5 && marker < last {
        let seq = rand::random_range(marker + 1..=last);
        state.client.read(room_id, seq);
    }
    if state.pending.len() >= PENDING {
        return;
    }
    let request = if person.writes && chance < 35 {
        amend(person, state, shared)
    } else {
        let hot = last - last % HOT;
        let seq = match chance % 4 {
            0 => rand::random_range(1..=last),
            _ => hot.max(1),
        };
        let emoji = EMOJI[rand::random_range(0..EMOJI.len())].to_owned();
        let thing = Thing::Reaction(room_id, seq, emoji, person.account.id);
        let on = shared.record().known(&thing, json!(false));
        on.map(|on| (thing, on.clone(), json!(on == false)))
    };
    if let Some((thing, first, value)) = request {
        state.pending.begin(thing.clone(), &value);
        shared.record().request(thing, first, value);
    }
}

/// Edits one of the person's messages, or deletes it: which, its text at first, and what it is to be.
fn amend(person: &Person, state: &State, shared: &Shared) -> Option<(Thing, Value, Value)> {
    let acked = &state.outbox.acked;
    let index = rand::random_range(0..acked.len().max(1));
    let sent = &state.outbox.sent[*acked.get(index)?];
    if !state.client.rooms.contains_key(&sent.room_id) {
        return None;
    }
    let thing = Thing::Text(sent.room_id, sent.seq()?);
    let first = json!(sent.content);
    let known = shared.record().known(&thing, first.clone())?;
    let value = match rand::random_range(0..8) {
        _ if known.is_null() => return None,
        0 => Value::Null,
        _ => json!(text(person, shared, shared.moment())),
    };
    Some((thing, first, value))
}

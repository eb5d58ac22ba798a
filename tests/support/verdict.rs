//! What must be true of a crowd, its server and its tables, whatever faults there were.

use std::collections::{BTreeMap, HashMap};

use serde_json::json;

use super::{
    Crowd, Server,
    crowd::Person,
    outbox::{Fate, Sent},
    truth::{Room, Row, Tables, number},
};

/// What of the crowd was checked before, by person: so many acks.
#[derive(Default)]
pub struct Checked(HashMap<u64, usize>);

impl Checked {
    /// While the crowd goes on: what was acknowledged since the last look is stored as it was said,
    /// and what is around it has no hole. Answers how many acks it looked at.
    pub async fn look(&mut self, crowd: &Crowd, tables: &Tables) -> usize {
        let mut news = Vec::new();
        let mut above = BTreeMap::new();
        for person in &crowd.people {
            let state = person.state();
            let from = self.0.entry(person.account.id).or_default();
            for &index in &state.outbox.acked[*from..] {
                let sent = state.outbox.sent[index].clone();
                if let Fate::Acked { seq, .. } = sent.fate {
                    let above = above.entry(sent.room_id).or_insert(seq - 1);
                    *above = (seq - 1).min(*above);
                }
                news.push((person.account.id, sent));
            }
            *from = state.outbox.acked.len();
        }
        let truth = tables.read(&above).await;
        // Rooms without news are read whole, but there is little in them to look at.
        for (id, room) in &truth {
            room.check(*id, above.get(id).copied().unwrap_or(0));
        }
        for (sender, sent) in &news {
            assert_stored(*sender, sent, &truth);
        }
        news.len()
    }
}

/// After [`Crowd::settle`]: everything, against the tables and against REST. Ends the crowd.
pub async fn judge(mut crowd: Crowd, server: &Server) {
    let tables = Tables::of(server);
    let truth = tables.read(&BTreeMap::new()).await;
    let heads = truth.iter().map(|(id, room)| (*id, room.rev)).collect();
    crowd.caught_up(&heads).await;
    crowd.end().await;
    let settled = tables.read(&BTreeMap::new()).await;
    for (id, room) in &truth {
        assert_eq!(
            settled[id].rev, room.rev,
            "nobody changes room {id} any more"
        );
        room.check(*id, 0);
        assert_numbered(&crowd, *id, room);
        assert_same_by_rest(&crowd, *id, room).await;
        assert_same_by_sync(&crowd, *id, room).await;
    }
    assert_outboxes(&crowd, &truth);
    assert_real_time_order(&crowd, &truth);
    for person in &crowd.people {
        assert_followed(person, &truth);
    }
}

/// An acknowledged message is there, with the numbers, the time and the text that were acknowledged.
fn assert_stored(sender: u64, sent: &Sent, truth: &BTreeMap<u64, Room>) {
    let Fate::Acked {
        seq,
        rev,
        created_at,
        ..
    } = sent.fate
    else {
        panic!("{sent:?} isn't acknowledged");
    };
    let acknowledged = Row {
        rev,
        id: sent.id,
        sender,
        created_at,
        content: sent.content.clone(),
    };
    let stored = truth
        .get(&sent.room_id)
        .and_then(|room| room.messages.get(&seq));
    assert_eq!(
        stored,
        Some(&acknowledged),
        "acknowledged as message {seq} of room {}, but this is stored there",
        sent.room_id
    );
}

/// One change, one `rev`: what it takes to make the room, one for each message and each change of
/// membership.
fn assert_numbered(crowd: &Crowd, id: u64, room: &Room) {
    let changed = crowd
        .shared
        .changed
        .lock()
        .unwrap()
        .get(&id)
        .copied()
        .unwrap_or(0);
    // A room whose making was not answered is whole or not there.
    let made = crowd.shared.made.lock().unwrap().get(&id).copied();
    let made = made.unwrap_or(1 + room.members.len() as u64);
    assert_eq!(
        room.rev,
        made + room.last_seq + changed,
        "room {id}: made with rev {made}, then {} messages and {changed} changes of membership",
        room.last_seq
    );
}

/// Somebody who is in the room.
fn member<'a>(crowd: &'a Crowd, room: &Room) -> &'a Person {
    let present = |person: &Person| {
        let member = room.members.get(&person.account.id);
        member.is_some_and(|member| member.present)
    };
    let found = crowd.people.iter().find(|person| present(person));
    found.expect("a room has its owner")
}

async fn assert_same_by_rest(crowd: &Crowd, id: u64, room: &Room) {
    let account = &member(crowd, room).account;
    let mut left = room.messages.iter().rev();
    let mut before = String::new();
    loop {
        let path = format!("/api/chat/rooms/{id}/messages?limit=200{before}");
        let (status, page) = account.get(&path).await;
        assert_eq!(status, 200, "{page}");
        assert_eq!(page["rev"], room.rev, "{path}");
        let items = page["items"].as_array().unwrap();
        for item in items.iter().rev() {
            let (seq, row) = left.next().expect("REST shows no more than is stored");
            assert_eq!(
                (number(item, "seq"), &Row::read(item)),
                (*seq, row),
                "{path}"
            );
        }
        match page["next"].as_str() {
            Some(next) => before = format!("&before={next}"),
            None => break,
        }
    }
    assert_eq!(left.next(), None, "REST shows all of room {id}");
}

/// Who catches up from any point gets what changed since, each row once, in the order of `rev`.
async fn assert_same_by_sync(crowd: &Crowd, id: u64, room: &Room) {
    let mut socket = member(crowd, room).account.connect().await;
    for from in [0, rand::random_range(0..=room.rev)] {
        socket
            .send(json!({"type": "join", "room_id": id, "rev": from}))
            .await;
        let (mut at, mut rows) = (from, BTreeMap::new());
        loop {
            let frame = socket.frame().await;
            assert_eq!(frame["prev"], at, "room {id} from {from}: {frame}");
            at = number(&frame, "rev");
            match frame["type"].as_str().unwrap() {
                "synced" => break,
                "message" => {
                    assert_eq!(rows.insert(number(&frame, "seq"), Row::read(&frame)), None)
                }
                _ => {}
            }
        }
        assert_eq!(at, room.rev, "room {id} from {from}");
        let since = room.messages.iter().filter(|(_, row)| row.rev > from);
        assert!(
            rows.iter().eq(since),
            "room {id} from {from} gives other messages than are stored"
        );
    }
}

/// What was written is stored once, in the order of each writer, or was refused and is not stored.
fn assert_outboxes(crowd: &Crowd, truth: &BTreeMap<u64, Room>) {
    let mut seqs = HashMap::new();
    let mut stored = 0;
    for (id, room) in truth {
        for (seq, row) in &room.messages {
            stored += 1;
            let twice = seqs.insert((*id, row.sender, row.id), *seq);
            assert_eq!(
                twice, None,
                "room {id} holds {} of {} twice",
                row.id, row.sender
            );
        }
    }
    let mut acknowledged = 0;
    for person in &crowd.people {
        let mut last = BTreeMap::new();
        for sent in &person.state().outbox.sent {
            let seq = seqs
                .get(&(sent.room_id, person.account.id, sent.id))
                .copied();
            match &sent.fate {
                Fate::Acked { seq: said, .. } => {
                    assert_stored(person.account.id, sent, truth);
                    assert_eq!(seq, Some(*said));
                    acknowledged += 1;
                    let before = last.insert(sent.room_id, *said).unwrap_or(0);
                    assert!(
                        before < *said,
                        "{}: what was written next in room {} has {said} after {before}",
                        person.account.name,
                        sent.room_id
                    );
                }
                Fate::Refused(code) => {
                    assert_eq!(seq, None, "refused with {code}, yet stored: {sent:?}")
                }
                Fate::Open => panic!("{} never heard of {sent:?}", person.account.name),
            }
        }
    }
    assert_eq!(
        acknowledged, stored,
        "messages that nobody wrote are stored"
    );
}

/// What was acknowledged before another message was written comes before it.
fn assert_real_time_order(crowd: &Crowd, truth: &BTreeMap<u64, Room>) {
    let mut moments = HashMap::new();
    for person in &crowd.people {
        for sent in &person.state().outbox.sent {
            if let Fate::Acked { seq, heard, .. } = sent.fate {
                moments.insert((sent.room_id, seq), (sent.written, heard));
            }
        }
    }
    for (id, room) in truth {
        let mut first_heard = u64::MAX;
        for seq in room.messages.keys().rev() {
            let (written, heard) = moments[&(*id, *seq)];
            assert!(
                written < first_heard,
                "room {id}: message {seq} was written after a later one was acknowledged"
            );
            first_heard = first_heard.min(heard);
        }
    }
}

/// A client holds the rooms that he is in, each as the tables do.
fn assert_followed(person: &Person, truth: &BTreeMap<u64, Room>) {
    let name = &person.account.name;
    let client = &person.state().client;
    assert_eq!(client.complaints, [""; 0], "{name} complains");
    let mine = truth.iter().filter_map(|(id, room)| {
        let member = room.members.get(&person.account.id)?;
        member.present.then_some((*id, (room, member)))
    });
    let mine: BTreeMap<u64, _> = mine.collect();
    assert!(
        client.rooms.keys().eq(mine.keys()),
        "{name} is in {:?} and holds {:?}",
        mine.keys(),
        client.rooms.keys()
    );
    for (id, held) in &client.rooms {
        let (room, member) = mine[id];
        let position = (
            held.position,
            held.last_seq,
            held.last_read_seq,
            held.member_count,
        );
        let expected = (
            room.rev,
            room.last_seq,
            member.last_read_seq,
            room.member_count,
        );
        assert_eq!(
            position, expected,
            "{name} in room {id}: rev, last_seq, last_read_seq, member_count"
        );
        let messages: BTreeMap<u64, Row> = held
            .messages
            .iter()
            .map(|(seq, message)| (*seq, Row::read(message)))
            .collect();
        let from = held.complete_from.expect("the room is loaded").max(1);
        let (held_since, stored_since) = (messages.range(from..), room.messages.range(from..));
        assert!(
            held_since.eq(stored_since.clone()),
            "{name} holds other messages of room {id} from {from} than are stored; he lacks {:?}",
            stored_since
                .filter(|(seq, row)| messages.get(seq) != Some(row))
                .take(3)
                .collect::<Vec<_>>()
        );
        let present = held
            .present()
            .map(|(id, member)| (id, member.role.clone().unwrap()));
        assert_eq!(
            present.collect::<BTreeMap<_, _>>(),
            members(room),
            "{name}: members of room {id}"
        );
    }
}

/// Who is in the room, and his role.
fn members(room: &Room) -> BTreeMap<u64, String> {
    let present = room.members.iter().filter(|(_, member)| member.present);
    present
        .map(|(id, member)| (*id, member.role.clone()))
        .collect()
}

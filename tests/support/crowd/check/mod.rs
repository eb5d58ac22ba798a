//! What must be true of a crowd, its server and its tables, whatever failed meanwhile.

mod asked;
mod held;
mod shown;

use std::collections::{BTreeMap, HashMap};

use super::{
    super::{
        Server,
        tables::{Room, Rooms, Tables},
    },
    Crowd,
    outbox::{Outcome, Sent},
};

/// Checks a crowd while it goes on. It remembers everyone's markers at the last check, by room and user.
#[derive(Default)]
pub struct Progress(BTreeMap<(u64, u64), u64>);

impl Progress {
    /// What was acknowledged up to now is stored as it was said, or as it was asked to be since; the numbers have no
    /// gap; and no marker went back.
    pub async fn check(&mut self, crowd: &Crowd, tables: &Tables) {
        let moment = crowd.shared.moment();
        for person in &crowd.people {
            let user_id = person.account.id;
            for (room_id, held) in &person.state().client.rooms {
                let marker = self.0.entry((*room_id, user_id)).or_default();
                *marker = held.last_read_seq.max(*marker);
            }
        }
        let rooms = tables.read().await;
        for (id, room) in &rooms {
            room.check(*id);
            for (user_id, member) in &room.members {
                let marker = self.0.entry((*id, *user_id)).or_default();
                assert!(
                    member.last_read_seq >= *marker,
                    "room {id}: the marker of {user_id} fell from {marker} to {}",
                    member.last_read_seq
                );
                *marker = member.last_read_seq;
            }
        }
        for person in &crowd.people {
            let state = person.state();
            for sent in state
                .outbox
                .acked
                .iter()
                .map(|index| &state.outbox.sent[*index])
            {
                if matches!(sent.outcome, Outcome::Acked { heard, .. } if heard < moment) {
                    assert_stored(person.account.id, sent, &rooms);
                }
            }
        }
        asked::check(crowd, &rooms, moment);
    }
}

impl Crowd {
    /// After [`Crowd::drain`]: everything, against the tables and against REST. Ends the crowd.
    pub async fn check(mut self, server: &Server) {
        let tables = Tables::of(server);
        let before = tables.read().await;
        let heads = before.iter().map(|(id, room)| (*id, room.rev)).collect();
        self.caught_up(&heads).await;
        self.end().await;
        let rooms = tables.read().await;
        for (id, room) in &before {
            assert_eq!(rooms[id].rev, room.rev, "room {id} still changes");
        }
        for (id, room) in &rooms {
            room.check(*id);
            assert_numbered(&self, *id, room);
            shown::check(&self, *id, room).await;
        }
        assert_outboxes(&self, &rooms);
        assert_real_time_order(&self, &rooms);
        asked::check(&self, &rooms, self.shared.moment());
        asked::check_refused(&self, &rooms);
        asked::check_texts(&self, &rooms);
        for person in &self.people {
            held::check(person, &rooms);
        }
    }
}

/// An acknowledged message is there, with the number and the time that were acknowledged. Its text is the one that
/// was sent, unless its author asked for another ([`asked::check`]).
fn assert_stored(sender: u64, sent: &Sent, rooms: &Rooms) {
    let Outcome::Acked {
        seq,
        rev,
        created_at,
        ..
    } = sent.outcome
    else {
        panic!("{sent:?} isn't acknowledged");
    };
    let room = rooms.get(&sent.room_id);
    let stored = room.and_then(|room| room.messages.get(&seq));
    let said = stored.filter(|row| {
        let same = (row.id, row.sender, row.created_at) == (sent.id, sender, created_at);
        let touched = row.edited_at.is_some() || row.deleted_at.is_some();
        same && row.reply_to == sent.reply_to
            && row.rev >= rev
            && (touched || row.content.as_deref() == Some(&*sent.content))
    });
    assert!(
        said.is_some(),
        "acknowledged as message {seq} of room {}, rev {rev}: {sent:?}, but this is stored there: {stored:?}",
        sent.room_id
    );
}

/// One change, one `rev`: what it takes to make the room, one for each message, each change of membership,
/// and each row that was changed since. What a refusal left open may have been done.
fn assert_numbered(crowd: &Crowd, id: u64, room: &Room) {
    let changed = crowd.shared.changed.lock().unwrap().get(&id).copied();
    // A room whose making was not answered is whole or not there.
    let made = crowd.shared.made.lock().unwrap().get(&id).copied();
    let made = made.unwrap_or(1 + room.members.len() as u64);
    let told = made + room.last_seq + changed.unwrap_or(0);
    let is_deleted = |seq: u64| room.messages[&seq].deleted_at.is_some();
    let (least, most) = crowd.shared.record().revs(id, is_deleted);
    assert!(
        (told + least..=told + most).contains(&room.rev),
        "room {id} is at rev {}: made with rev {made}, then {} messages, {changed:?} changes of membership, and \
         {least} to {most} other changes",
        room.rev,
        room.last_seq
    );
}

/// What was written is stored once, in the order of each writer, or was refused and is not stored.
fn assert_outboxes(crowd: &Crowd, rooms: &Rooms) {
    let mut seqs = HashMap::new();
    let mut stored = 0;
    for (id, room) in rooms {
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
            match &sent.outcome {
                Outcome::Acked { seq: said, .. } => {
                    assert_stored(person.account.id, sent, rooms);
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
                Outcome::Refused(code) => {
                    assert_eq!(seq, None, "refused with {code}, yet stored: {sent:?}")
                }
                Outcome::Open => panic!("{} never heard of {sent:?}", person.account.name),
            }
        }
    }
    assert_eq!(
        acknowledged, stored,
        "messages that nobody wrote are stored"
    );
}

/// What was acknowledged before another message was written comes before it; and `rev` rises with `seq`, as far as
/// a message's first one is known.
fn assert_real_time_order(crowd: &Crowd, rooms: &Rooms) {
    let mut moments = HashMap::new();
    let mut firsts: BTreeMap<u64, BTreeMap<u64, u64>> = BTreeMap::new();
    for person in &crowd.people {
        for sent in &person.state().outbox.sent {
            if let Outcome::Acked {
                seq,
                rev,
                duplicate,
                heard,
                ..
            } = sent.outcome
            {
                moments.insert((sent.room_id, seq), (sent.written, heard));
                if !duplicate {
                    firsts.entry(sent.room_id).or_default().insert(seq, rev);
                }
            }
        }
    }
    for (id, room) in rooms {
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
    for (id, revs) in firsts {
        let rising = revs.values().is_sorted_by(|one, next| one < next);
        assert!(rising, "room {id}: `rev` doesn't rise with `seq`: {revs:?}");
    }
}

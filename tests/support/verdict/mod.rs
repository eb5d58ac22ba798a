//! What must be true of a crowd, its server and its tables, whatever faults there were.

mod asked;
mod held;
mod shown;

use std::collections::{BTreeMap, HashMap};

use super::{
    Crowd, Server,
    outbox::{Fate, Sent},
    truth::{Room, Rooms, Tables},
};

/// How far everybody's markers had come at the last look, by room and user.
#[derive(Default)]
pub struct Checked(BTreeMap<(u64, u64), u64>);

impl Checked {
    /// While the crowd goes on: what was acknowledged up to now is stored as it was said, or as it was asked
    /// to be since; what is around it has no hole; and no marker fell.
    pub async fn look(&mut self, crowd: &Crowd, tables: &Tables) {
        let moment = crowd.shared.moment();
        for person in &crowd.people {
            let user_id = person.account.id;
            for (room_id, held) in &person.state().client.rooms {
                let marker = self.0.entry((*room_id, user_id)).or_default();
                *marker = held.last_read_seq.max(*marker);
            }
        }
        let truth = tables.read().await;
        for (id, room) in &truth {
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
                if matches!(sent.fate, Fate::Acked { heard, .. } if heard < moment) {
                    assert_stored(person.account.id, sent, &truth);
                }
            }
        }
        asked::check(crowd, &truth, moment);
    }
}

/// After [`Crowd::settle`]: everything, against the tables and against REST. Ends the crowd.
pub async fn judge(mut crowd: Crowd, server: &Server) {
    let tables = Tables::of(server);
    let truth = tables.read().await;
    let heads = truth.iter().map(|(id, room)| (*id, room.rev)).collect();
    crowd.caught_up(&heads).await;
    crowd.end().await;
    let settled = tables.read().await;
    for (id, room) in &truth {
        assert_eq!(
            settled[id].rev, room.rev,
            "nobody changes room {id} any more"
        );
    }
    let truth = settled;
    for (id, room) in &truth {
        room.check(*id);
        assert_numbered(&crowd, *id, room);
        shown::check(&crowd, *id, room).await;
    }
    assert_outboxes(&crowd, &truth);
    assert_real_time_order(&crowd, &truth);
    asked::check(&crowd, &truth, crowd.shared.moment());
    asked::check_refused(&crowd, &truth);
    asked::check_texts(&crowd, &truth);
    for person in &crowd.people {
        held::check(person, &truth);
    }
}

/// An acknowledged message is there, with the number and the time that were acknowledged. Its text is the one that
/// was sent, unless its author asked for another ([`asked::check`]).
fn assert_stored(sender: u64, sent: &Sent, truth: &Rooms) {
    let Fate::Acked {
        seq,
        rev,
        created_at,
        ..
    } = sent.fate
    else {
        panic!("{sent:?} isn't acknowledged");
    };
    let room = truth.get(&sent.room_id);
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
    let (least, most) = crowd.shared.ledger().revs(id, is_deleted);
    assert!(
        (told + least..=told + most).contains(&room.rev),
        "room {id} is at rev {}: made with rev {made}, then {} messages, {changed:?} changes of membership, and \
         {least} to {most} other changes",
        room.rev,
        room.last_seq
    );
}

/// What was written is stored once, in the order of each writer, or was refused and is not stored.
fn assert_outboxes(crowd: &Crowd, truth: &Rooms) {
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

/// What was acknowledged before another message was written comes before it; and `rev` rises with `seq`, as far as
/// a message's first one is known.
fn assert_real_time_order(crowd: &Crowd, truth: &Rooms) {
    let mut moments = HashMap::new();
    let mut firsts: BTreeMap<u64, BTreeMap<u64, u64>> = BTreeMap::new();
    for person in &crowd.people {
        for sent in &person.state().outbox.sent {
            if let Fate::Acked {
                seq,
                rev,
                duplicate,
                heard,
                ..
            } = sent.fate
            {
                moments.insert((sent.room_id, seq), (sent.written, heard));
                if !duplicate {
                    firsts.entry(sent.room_id).or_default().insert(seq, rev);
                }
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
    for (id, revs) in firsts {
        let rising = revs.values().is_sorted_by(|one, next| one < next);
        assert!(rising, "room {id}: `rev` doesn't rise with `seq`: {revs:?}");
    }
}

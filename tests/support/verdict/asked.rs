//! What the [`Ledger`] says, against the tables: what was answered is there, what was refused is not.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{
    Crowd,
    ledger::{Fate, Ledger, Thing, Wishes},
    truth::{Room, Rooms, Row},
};

/// Each thing is as it was last answered before `moment`, or as somebody asked it to be since; and nothing is there
/// that nobody asked for.
pub fn check(crowd: &Crowd, truth: &Rooms, moment: u64) {
    let ledger = crowd.shared.ledger();
    for (thing, wishes) in ledger.iter() {
        let room = truth.get(&thing.room_id());
        let there = room.filter(|room| {
            let seq = thing.seq();
            seq.is_none_or(|seq| room.messages.contains_key(&seq))
        });
        match there {
            Some(room) => check_thing(thing, wishes, room, moment),
            // The tables were read before it was.
            None => assert!(
                !wishes.are_answered(moment),
                "{thing:?} is gone: {wishes:?}"
            ),
        }
    }
    for (id, room) in truth {
        for (seq, reactors) in &room.reactions {
            for (emoji, users) in reactors {
                for user_id in users {
                    let thing = Thing::Reaction(*id, *seq, emoji.clone(), *user_id);
                    assert_asked(&ledger, &thing);
                }
            }
        }
        for seq in &room.pins {
            assert_asked(&ledger, &Thing::Pin(*id, *seq));
        }
        let touched = |row: &Row| row.edited_at.is_some() || row.deleted_at.is_some();
        for (seq, _) in room.messages.iter().filter(|(_, row)| touched(row)) {
            assert_asked(&ledger, &Thing::Text(*id, *seq));
        }
        let archived = !room.archived || ledger.get(&Thing::Archived(*id)).is_some();
        assert!(archived, "nobody archived room {id}");
    }
}

fn assert_asked(ledger: &Ledger, thing: &Thing) {
    let asked = ledger.get(thing);
    assert!(asked.is_some(), "nobody asked for this: {thing:?}");
}

fn check_thing(thing: &Thing, wishes: &Wishes, room: &Room, moment: u64) {
    let state = room.state(thing);
    let row = thing.seq().map(|seq| &room.messages[&seq]);
    let deleted = row.is_some_and(|row| row.deleted_at.is_some());
    // A deletion takes reactions and the pin along.
    let taken = deleted && state == false;
    let possible = wishes.possible(moment);
    assert!(
        taken || possible.contains(&&state),
        "{thing:?} is {state}, and should be {possible:?}; asked: {:?}",
        wishes.all
    );
    if let Some(row) = row {
        let answered = wishes.rev(moment);
        assert!(
            row.rev >= answered,
            "{thing:?} was answered at rev {answered}, and is at {}",
            row.rev
        );
    }
}

/// When all has settled: a message that refused something as not found was deleted.
pub fn check_refused(crowd: &Crowd, truth: &Rooms) {
    for (thing, wishes) in crowd.shared.ledger().iter() {
        let Some(seq) = thing.seq() else { continue };
        let is_gone = |fate: &Fate| *fate == Fate::Refused("not_found".to_owned());
        let gone = wishes.all.iter().find(|wish| is_gone(&wish.fate));
        let row = &truth[&thing.room_id()].messages[&seq];
        assert!(
            gone.is_none() || row.deleted_at.is_some(),
            "{thing:?} isn't deleted, but was refused: {gone:?}"
        );
    }
}

/// When all has settled: whom each text mentions. Of those who come and go nobody knows whether they were
/// in when it was stored.
pub fn check_texts(crowd: &Crowd, truth: &Rooms) {
    let people = &crowd.shared.names;
    let people: BTreeMap<&str, (u64, bool)> = people
        .iter()
        .map(|(name, id, wanders)| (name.as_str(), (*id, *wanders)))
        .collect();
    for (id, room) in truth {
        for (seq, row) in &room.messages {
            let text = row.content.as_deref().unwrap_or_default();
            let words = text.split(' ').filter_map(|word| word.strip_prefix('@'));
            let named = words.clone().filter_map(|name| people.get(name));
            let in_room = named.filter(|(user_id, _)| room.members.contains_key(user_id));
            let may: BTreeSet<u64> = in_room.clone().map(|(user_id, _)| *user_id).collect();
            let stays = in_room.filter(|(_, wanders)| !wanders);
            let must: BTreeSet<u64> = stays.map(|(user_id, _)| *user_id).collect();
            let all = words.clone().any(|word| word == "all");
            assert!(
                row.mention_all == all
                    && row.mentions.is_subset(&may)
                    && row.mentions.is_superset(&must),
                "room {id}: message {seq} mentions {must:?} of {may:?}, all: {all}; stored: {row:?}"
            );
        }
    }
}

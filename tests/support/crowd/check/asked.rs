//! The [`Record`] against the tables: what was done is stored, and what was refused is not.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::{
    super::tables::{Room, Rooms, Row},
    Crowd,
    record::{Outcome, Record, Requests, Thing},
};

/// Each thing is as it was last answered before `moment`, or as it was asked to be since; and nothing is there
/// that nobody asked for.
pub fn check(crowd: &Crowd, rooms: &Rooms, moment: u64) {
    let record = crowd.shared.record();
    for (thing, requests) in record.iter() {
        let room = rooms.get(&thing.room_id());
        let there = room.filter(|room| {
            let seq = thing.seq();
            seq.is_none_or(|seq| room.messages.contains_key(&seq))
        });
        match there {
            Some(room) => check_thing(thing, requests, room, moment),
            // The tables were read before it was.
            None => assert!(
                !requests.are_answered(moment),
                "{thing:?} is gone: {requests:?}"
            ),
        }
    }
    for (id, room) in rooms {
        for (seq, reactors) in &room.reactions {
            for (emoji, users) in reactors {
                for user_id in users {
                    let thing = Thing::Reaction(*id, *seq, emoji.clone(), *user_id);
                    assert_asked(&record, &thing);
                }
            }
        }
        for seq in &room.pins {
            assert_asked(&record, &Thing::Pin(*id, *seq));
        }
        let touched = |row: &Row| row.edited_at.is_some() || row.deleted_at.is_some();
        for (seq, _) in room.messages.iter().filter(|(_, row)| touched(row)) {
            assert_asked(&record, &Thing::Text(*id, *seq));
        }
        let archived = !room.archived || record.get(&Thing::Archived(*id)).is_some();
        assert!(archived, "nobody archived room {id}");
    }
}

fn assert_asked(record: &Record, thing: &Thing) {
    let asked = record.get(thing);
    assert!(asked.is_some(), "nobody asked for this: {thing:?}");
}

/// The thing's value in the tables.
fn state(room: &Room, thing: &Thing) -> Value {
    match thing {
        Thing::Text(_, seq) => json!(room.messages[seq].content),
        Thing::Reaction(_, seq, emoji, user_id) => {
            let reactors = room.reactions.get(seq).and_then(|all| all.get(emoji));
            json!(reactors.is_some_and(|users| users.contains(user_id)))
        }
        Thing::Pin(_, seq) => json!(room.pins.contains(seq)),
        Thing::Role(_, user_id) => json!(room.members[user_id].role),
        Thing::Owner(_) => json!(room.owner()),
        Thing::Name(_) => json!(room.name),
        Thing::Archived(_) => json!(room.archived),
    }
}

fn check_thing(thing: &Thing, requests: &Requests, room: &Room, moment: u64) {
    let state = state(room, thing);
    let row = thing.seq().map(|seq| &room.messages[&seq]);
    let deleted = row.is_some_and(|row| row.deleted_at.is_some());
    // A deletion takes reactions and the pin along.
    let taken = deleted && state == false;
    let possible = requests.possible(moment);
    assert!(
        taken || possible.contains(&&state),
        "{thing:?} is {state}, and should be {possible:?}; asked: {:?}",
        requests.all
    );
    if let Some(row) = row {
        let answered = requests.rev(moment);
        assert!(
            row.rev >= answered,
            "{thing:?} was answered at rev {answered}, and is at {}",
            row.rev
        );
    }
}

/// At the end: a message that refused a change as not found was deleted.
pub fn check_refused(crowd: &Crowd, rooms: &Rooms) {
    for (thing, requests) in crowd.shared.record().iter() {
        let Some(seq) = thing.seq() else { continue };
        let is_gone = |outcome: &Outcome| *outcome == Outcome::Refused("not_found".to_owned());
        let gone = requests
            .all
            .iter()
            .find(|request| is_gone(&request.outcome));
        let row = &rooms[&thing.room_id()].messages[&seq];
        assert!(
            gone.is_none() || row.deleted_at.is_some(),
            "{thing:?} isn't deleted, but was refused: {gone:?}"
        );
    }
}

/// At the end: whom each text mentions. Of those who come and go it isn't known whether they were
/// in when it was stored.
pub fn check_texts(crowd: &Crowd, rooms: &Rooms) {
    let people = &crowd.shared.names;
    let people: BTreeMap<&str, (u64, bool)> = people
        .iter()
        .map(|(name, id, wanders)| (name.as_str(), (*id, *wanders)))
        .collect();
    for (id, room) in rooms {
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

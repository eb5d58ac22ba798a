//! What clients hold, against the tables.

use std::collections::BTreeMap;

use super::super::{
    super::{
        Room as Held,
        tables::{Room, Rooms, Row},
    },
    Person,
};

/// A client holds the rooms that its user is in, each as the tables do.
pub fn check(person: &Person, rooms: &Rooms) {
    let (name, user_id) = (&person.account.name, person.account.id);
    let client = &person.state().client;
    assert_eq!(client.complaints, [""; 0], "{name} complains");
    let is_in = |room: &Room| room.roles().contains_key(&user_id);
    let mine = rooms.iter().filter(|(_, room)| is_in(room));
    let mine: Vec<u64> = mine.map(|(id, _)| *id).collect();
    assert!(
        client.rooms.keys().eq(&mine),
        "{name} is in {mine:?} and holds {:?}",
        client.rooms.keys()
    );
    for (id, held) in &client.rooms {
        let who = format!("{name} in room {id}");
        check_standing(&who, user_id, held, &rooms[id]);
        check_messages(&who, held, &rooms[id]);
    }
}

fn check_standing(who: &str, user_id: u64, held: &Held, room: &Room) {
    let member = &room.members[&user_id];
    let standing = (
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
        standing, expected,
        "{who}: rev, last_seq, last_read_seq, member_count"
    );
    let settings = &held.settings;
    assert_eq!(
        (
            settings["name"].as_str(),
            !settings["archived_at"].is_null()
        ),
        (Some(&*room.name), room.archived),
        "{who}: name and archived"
    );
    assert_eq!(
        held.mentioned,
        room.mentioned(user_id),
        "{who}: unread mentions"
    );
    assert_eq!(held.unread(), room.unread(user_id), "{who}: unread");
    let roles = held
        .present()
        .map(|(id, member)| (id, member.role.clone().unwrap()));
    assert_eq!(
        roles.collect::<BTreeMap<_, _>>(),
        room.roles(),
        "{who}: members"
    );
    // Ephemeral: late, or never told.
    let ahead = held.markers.iter().find(|(user_id, seq)| {
        let member = room.members.get(user_id);
        member.is_none_or(|member| member.last_read_seq < **seq)
    });
    assert_eq!(ahead, None, "{who}: another's marker beyond where it is");
}

fn check_messages(who: &str, held: &Held, room: &Room) {
    let messages = held.messages.iter();
    let messages: BTreeMap<u64, Row> = messages
        .map(|(seq, message)| (*seq, Row::read(message)))
        .collect();
    let from = held.complete_from.expect("the room is loaded").max(1);
    let (held, mut stored) = (messages.range(from..), room.messages.range(from..));
    assert!(
        held.eq(stored.clone()),
        "{who} holds other messages from {from} than are stored; the first is {:?}",
        stored
            .find(|(seq, row)| messages.get(seq) != Some(row))
            .map(|(seq, row)| (seq, row, messages.get(seq)))
    );
}

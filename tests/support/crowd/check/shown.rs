//! What the server shows, by REST and by catch-up, against the tables.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::{
    super::{
        Account,
        tables::{Room, Row, number, reactors},
    },
    Crowd,
};

pub async fn check(crowd: &Crowd, id: u64, room: &Room) {
    let accounts = crowd.people.iter().map(|person| &person.account);
    let members: Vec<&Account> = accounts
        .filter(|account| room.roles().contains_key(&account.id))
        .collect();
    let someone = members.first().expect("a room has its owner");
    check_history(someone, id, room).await;
    check_pins(someone, id, room).await;
    check_catch_up(someone, id, room).await;
    for account in &members {
        check_standing(account, id, room).await;
    }
}

/// A page's message, also in who reacted. A page says which are the reader's own.
fn check_message(reader: Option<u64>, message: &Value, room: &Room) {
    let seq = number(message, "seq");
    assert_eq!(
        Some(&Row::read(message)),
        room.messages.get(&seq),
        "{message}"
    );
    let stored = room.reactions.get(&seq).cloned().unwrap_or_default();
    assert_eq!(reactors(message), stored, "{message}");
    for reaction in message["reactions"].as_array().into_iter().flatten() {
        let users = &stored[reaction["emoji"].as_str().unwrap()];
        let mine = reader.is_some_and(|reader| users.contains(&reader));
        assert_eq!(reaction["me"] == true, mine, "{reader:?} reads {message}");
    }
}

async fn check_history(reader: &Account, id: u64, room: &Room) {
    let mut left = room.messages.keys().rev();
    let mut before = String::new();
    loop {
        let path = format!("/api/chat/rooms/{id}/messages?limit=200{before}");
        let (status, page) = reader.get(&path).await;
        assert_eq!(status, 200, "{page}");
        assert_eq!(page["rev"], room.rev, "{path}");
        for item in page["items"].as_array().unwrap().iter().rev() {
            let seq = left.next().expect("REST shows no more than is stored");
            assert_eq!(number(item, "seq"), *seq, "{path}");
            check_message(Some(reader.id), item, room);
        }
        match page["next"].as_str() {
            Some(next) => before = format!("&before={next}"),
            None => break,
        }
    }
    assert_eq!(left.next(), None, "REST shows all of room {id}");
}

async fn check_pins(reader: &Account, id: u64, room: &Room) {
    let (mut pins, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let path = format!("/api/chat/rooms/{id}/pins?limit=200{cursor}");
        let (status, page) = reader.get(&path).await;
        assert_eq!((status, &page["rev"]), (200, &json!(room.rev)), "{page}");
        for item in page["items"].as_array().unwrap() {
            check_message(Some(reader.id), item, room);
            pins.insert(number(item, "seq"));
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(pins, room.pins, "pins of room {id}");
}

/// Catch-up from any point brings what changed since, each row once, in the order of `rev`.
async fn check_catch_up(reader: &Account, id: u64, room: &Room) {
    let mut socket = reader.connect().await;
    for from in [0, rand::random_range(0..=room.rev)] {
        socket
            .send(json!({"type": "join", "room_id": id, "rev": from}))
            .await;
        let (mut at, mut rows) = (from, BTreeMap::new());
        loop {
            let frame = socket.frame().await;
            // An ephemeral frame about an earlier read.
            if frame["type"] == "read" {
                continue;
            }
            assert_eq!(frame["prev"], at, "room {id} from {from}: {frame}");
            at = number(&frame, "rev");
            match frame["type"].as_str().unwrap() {
                "synced" => {
                    assert_standing(&frame, reader.id, room);
                    break;
                }
                "message" => {
                    check_message(None, &frame, room);
                    assert_eq!(rows.insert(number(&frame, "seq"), at), None, "{frame}");
                }
                _ => {}
            }
        }
        assert_eq!(at, room.rev, "room {id} from {from}");
        let since = room.messages.iter().filter(|(_, row)| row.rev > from);
        let since: BTreeMap<u64, u64> = since.map(|(seq, row)| (*seq, row.rev)).collect();
        assert_eq!(
            rows, since,
            "room {id} from {from}: messages and their revs"
        );
    }
}

async fn check_standing(reader: &Account, id: u64, room: &Room) {
    let (status, shown) = reader.get(&format!("/api/chat/rooms/{id}")).await;
    assert_eq!(status, 200, "{shown}");
    assert_standing(&shown, reader.id, room);
    assert_eq!(
        (&shown["name"], !shown["archived_at"].is_null()),
        (&json!(room.name), room.archived),
        "{shown}"
    );
    assert_eq!(shown["role"], room.roles()[&reader.id], "{shown}");
}

/// Where a member stands, with the numbers that SQL gives.
fn assert_standing(shown: &Value, user_id: u64, room: &Room) {
    let mentioned = room.mentioned(user_id);
    assert_eq!(
        (&shown["last_seq"], &shown["last_read_seq"]),
        (
            &json!(room.last_seq),
            &json!(room.members[&user_id].last_read_seq)
        ),
        "{shown}"
    );
    assert_eq!(
        (&shown["unread_mentions"], &shown["mentioned"]),
        (&json!(mentioned.len()), &json!(mentioned)),
        "{user_id} in {shown}"
    );
    assert_eq!(
        shown["unread"],
        room.unread(user_id),
        "{user_id} in {shown}"
    );
}

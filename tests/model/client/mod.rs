//! The reference client, rule by rule, without a server.

mod changes;

use serde_json::{Value, json};

use crate::support::{Client, Effect, LoadId};

const ME: u64 = 1;
const ROOM: u64 = 12;

fn room(rev: u64, last_seq: u64) -> Value {
    json!({"id": ROOM, "kind": "public", "name": "hall", "topic": "", "rev": rev, "last_seq": last_seq,
        "member_count": 2, "role": "member", "last_read_seq": 0, "unread_mentions": 0})
}

fn ready(epoch: &str, rooms: Vec<Value>) -> Value {
    json!({"type": "ready", "epoch": epoch, "rooms": rooms})
}

fn message(seq: u64, rev: u64, content: &str) -> Value {
    json!({"room_id": ROOM, "seq": seq, "rev": rev, "id": format!("id {seq}"), "kind": "text",
        "sender": {"id": 2, "username": "bob"}, "content": content, "created_at": "…"})
}

/// A live `message` frame, or one of catch-up when `prev` is given.
fn live(prev: Option<u64>, seq: u64, rev: u64, content: &str) -> Value {
    let mut frame = message(seq, rev, content);
    frame["type"] = json!("message");
    if let Some(prev) = prev {
        frame["prev"] = json!(prev);
    }
    frame
}

fn member(prev: u64, rev: u64, user_id: u64, role: Option<&str>) -> Value {
    json!({"type": "member", "room_id": ROOM, "prev": prev, "rev": rev,
        "user": {"id": user_id, "username": format!("user {user_id}")}, "role": role, "member_count": 2})
}

fn synced(reference: u64, at: u64) -> Value {
    json!({"type": "synced", "ref": reference, "room_id": ROOM, "prev": at, "rev": at, "last_seq": 0,
        "last_read_seq": 0, "unread_mentions": 0})
}

/// What the client did since the last look: its frames, and its REST requests.
fn drain(client: &mut Client) -> (Vec<Value>, Vec<Effect>) {
    let mut frames = Vec::new();
    let mut loads = Vec::new();
    for effect in client.take_effects() {
        match effect {
            Effect::Send(frame) => frames.push(frame),
            load => loads.push(load),
        }
    }
    (frames, loads)
}

fn page_load(loads: &[Effect]) -> LoadId {
    let mut pages = loads.iter().filter_map(|load| match load {
        Effect::LoadPage { load, .. } => Some(*load),
        _ => None,
    });
    pages.next().expect("a page is asked for")
}

/// A client that holds the room at rev 10 with message 1, live.
fn held() -> Client {
    let mut client = Client::new(ME);
    client.connected();
    client.receive(&ready("e", vec![room(10, 1)]));
    let (frames, loads) = drain(&mut client);
    assert_eq!(frames.len(), 1, "{frames:?}");
    assert_eq!(frames[0]["rooms"], json!({ROOM.to_string(): 10}));
    client.receive(&synced(frames[0]["ref"].as_u64().unwrap(), 10));
    for load in &loads {
        let (id, _) = load.path().unwrap();
        match load {
            Effect::LoadPage { .. } => client.loaded(
                id,
                &json!({"items": [message(1, 9, "one")], "next": null, "rev": 10}),
            ),
            _ => client.loaded(id, &json!({"items": [], "next": null, "rev": 10})),
        }
    }
    assert!(client.is_settled(), "{client:?}");
    client
}

fn contents(client: &Client) -> Vec<(u64, String)> {
    let messages = &client.rooms[&ROOM].messages;
    messages
        .iter()
        .map(|(seq, row)| (*seq, row["content"].as_str().unwrap().to_owned()))
        .collect()
}

/// prev, rev, where the client at 10 is then, and whether it joins again.
#[test]
fn rule_1_applies_ignores_or_drops() {
    for (prev, rev, position, joins) in [
        (None, 11, 11, false),
        (Some(10), 11, 11, false),
        (Some(10), 15, 15, false),
        (Some(7), 15, 15, false),
        (None, 10, 10, false),
        (Some(3), 10, 10, false),
        (Some(3), 5, 10, false),
        (None, 12, 10, true),
        (Some(11), 12, 10, true),
        (Some(11), 20, 10, true),
    ] {
        let mut client = held();
        client.receive(&live(prev, 2, rev, "two"));
        let case = format!("({prev:?}, {rev}]");
        assert_eq!(client.rooms[&ROOM].position, position, "{case}");
        let applied = position > 10;
        assert_eq!(
            client.rooms[&ROOM].messages.contains_key(&2),
            applied,
            "{case}"
        );
        let (frames, _) = drain(&mut client);
        assert_eq!(frames.len(), usize::from(joins), "{case}: {frames:?}");
        if joins {
            assert_eq!(
                (&frames[0]["type"], &frames[0]["rev"], &frames[0]["epoch"]),
                (&json!("join"), &json!(10), &json!("e")),
                "{case}"
            );
        }
    }
}

#[test]
fn one_join_at_a_time_and_none_while_a_sync_is_unanswered() {
    let mut client = held();
    client.receive(&live(None, 5, 15, "five"));
    client.receive(&live(None, 6, 16, "six"));
    let (frames, _) = drain(&mut client);
    assert_eq!(frames.len(), 1, "{frames:?}");
    // Live frames that come late, in the middle of the catch-up, don't pass for it.
    client.receive(&live(Some(10), 2, 12, "two"));
    client.receive(&live(None, 6, 16, "six"));
    client.receive(&live(Some(12), 5, 15, "five"));
    client.receive(&live(Some(15), 6, 16, "six"));
    client.receive(&synced(frames[0]["ref"].as_u64().unwrap(), 16));
    assert_eq!(client.rooms[&ROOM].position, 16);
    assert!(drain(&mut client).0.is_empty());

    client.sync_all();
    drain(&mut client);
    client.receive(&live(None, 9, 30, "nine"));
    assert!(
        drain(&mut client).0.is_empty(),
        "the sync's answer is to come"
    );
}

/// A frame of the catch-up is lost: `synced` shows it, though nothing else may ever come.
#[test]
fn synced_beyond_the_position_joins_again() {
    let mut client = held();
    client.receive(&live(None, 5, 15, "five"));
    let (frames, _) = drain(&mut client);
    client.receive(&synced(frames[0]["ref"].as_u64().unwrap(), 15));
    let (frames, _) = drain(&mut client);
    assert_eq!(
        (client.rooms[&ROOM].position, &frames[0]["rev"]),
        (10, &json!(10))
    );
}

#[test]
fn lagged_joins_from_the_position() {
    let mut client = held();
    client.receive(&json!({"type": "lagged", "room_id": ROOM, "rev": 10}));
    let (frames, _) = drain(&mut client);
    assert_eq!(
        (&frames[0]["type"], &frames[0]["rev"]),
        (&json!("join"), &json!(10))
    );
}

#[test]
fn a_frame_of_an_unknown_type_moves_the_position() {
    let mut client = held();
    client.receive(&json!({"type": "poll", "room_id": ROOM, "rev": 11}));
    assert_eq!(client.rooms[&ROOM].position, 11);
    client.receive(&json!({"type": "weather", "room_id": ROOM, "forecast": "rain"}));
    assert_eq!(client.rooms[&ROOM].position, 11);
}

/// Updates to rows that aren't held wait for the page, and win over it when they are newer.
#[test]
fn updates_apply_over_a_page_that_comes_later() {
    let mut client = Client::new(ME);
    client.connected();
    client.receive(&ready("e", vec![room(10, 3)]));
    let (frames, loads) = drain(&mut client);
    client.receive(&synced(frames[0]["ref"].as_u64().unwrap(), 10));
    client.receive(&live(None, 1, 11, "one, edited"));
    client.receive(
        &json!({"type": "message_updated", "room_id": ROOM, "seq": 2, "rev": 12, "pinned_at": "…",
            "by": {"user_id": 2, "action": "pin"}}),
    );
    client.receive(
        &json!({"type": "message_updated", "room_id": ROOM, "seq": 3, "rev": 13,
            "content": "three, edited", "by": {"user_id": 2, "action": "edit"}}),
    );
    client.loaded(
        page_load(&loads),
        &json!({"rev": 10, "next": null, "items": [message(1, 4, "one"), message(2, 5, "two"),
            message(3, 14, "three, edited twice")]}),
    );
    assert_eq!(
        contents(&client),
        [
            (1, "one, edited".to_owned()),
            (2, "two".to_owned()),
            (3, "three, edited twice".to_owned())
        ]
    );
    assert_eq!(client.rooms[&ROOM].messages[&2]["pinned_at"], "…");
    assert_eq!(client.rooms[&ROOM].messages[&2]["rev"], 12);
}

#[test]
fn a_reset_forgets_the_room_and_goes_on_from_there() {
    let mut client = held();
    client.sync_all();
    let (frames, _) = drain(&mut client);
    let reference = frames[0]["ref"].as_u64().unwrap();
    client.receive(
        &json!({"type": "reset", "ref": reference, "room_id": ROOM, "rev": 900, "reason": "too_far"}),
    );
    assert!(client.rooms[&ROOM].messages.is_empty());
    let (frames, loads) = drain(&mut client);
    assert!(frames.is_empty(), "no new join is needed: {frames:?}");
    // Page, members, and the room itself, whose settings no frame tells.
    assert_eq!(loads.len(), 3, "{loads:?}");
    client.receive(&live(None, 81, 901, "live"));
    // A page from before the reset is read again.
    let early = json!({"rev": 899, "next": "older", "items": [message(79, 880, "stale")]});
    client.loaded(page_load(&loads), &early);
    assert_eq!(contents(&client), [(81, "live".to_owned())]);
    let (_, loads) = drain(&mut client);
    let page = json!({"rev": 901, "next": "older",
        "items": [message(80, 900, "eighty"), message(81, 901, "live")]});
    client.loaded(page_load(&loads), &page);
    assert_eq!(
        contents(&client),
        [(80, "eighty".to_owned()), (81, "live".to_owned())]
    );
    assert_eq!(client.rooms[&ROOM].complete_from, Some(80));
}

/// Rooms that didn't fit into `ready` follow it at once, and what is held of them stays.
#[test]
fn rooms_that_follow_ready_belong_to_it() {
    let mut client = held();
    let before = client.rooms[&ROOM].clone();
    client.connected();
    client.receive(
        &json!({"type": "ready", "epoch": "e", "rooms": [], "more_rooms": 2, "online": []}),
    );
    assert!(!client.is_up() && client.rooms.contains_key(&ROOM));
    let mut other = room(4, 0);
    other["id"] = json!(ROOM + 1);
    client.receive(&json!({"type": "added", "room_id": ROOM + 1, "room": other}));
    client.receive(&json!({"type": "added", "room_id": ROOM, "room": room(10, 1)}));
    assert!(client.is_up());
    assert_eq!(
        Vec::from_iter(client.rooms.keys().copied()),
        [ROOM, ROOM + 1]
    );
    let after = &client.rooms[&ROOM];
    assert_eq!(
        (&after.messages, after.position),
        (&before.messages, before.position)
    );
}

/// Of `added` and `removed` the higher `rev` wins, in whatever order they come.
#[test]
fn added_and_removed_are_compared() {
    let removed = |rev: u64| json!({"type": "removed", "room_id": ROOM, "rev": rev});
    let added = |rev: u64| json!({"type": "added", "room_id": ROOM, "room": room(rev, 1)});
    for (frames, is_in) in [
        (vec![removed(11)], false),
        (vec![removed(10)], true),
        (vec![removed(11), added(13)], true),
        (vec![added(13), removed(11)], true),
        (vec![added(13), removed(14), added(12)], false),
        (vec![removed(14), added(13), removed(12)], false),
        (vec![removed(14), removed(16), added(15)], false),
    ] {
        let mut client = held();
        frames.iter().for_each(|frame| client.receive(frame));
        assert_eq!(client.rooms.contains_key(&ROOM), is_in, "{frames:?}");
    }
}

/// Without `rev`, `removed` answers a request: it holds unless `added` came since.
#[test]
fn removed_without_rev_holds_unless_added_came_since() {
    for added_after in [false, true] {
        let mut client = held();
        client.join(ROOM);
        let (frames, _) = drain(&mut client);
        if added_after {
            client.receive(&json!({"type": "added", "room_id": ROOM, "room": room(13, 1)}));
        }
        client.receive(&json!({"type": "removed", "ref": frames[0]["ref"], "room_id": ROOM}));
        assert_eq!(client.rooms.contains_key(&ROOM), added_after);
    }
}

/// Late live frames of a membership that ended bring nothing back, and who has left stays away when
/// an older page of members comes.
#[test]
fn what_is_gone_stays_gone() {
    let mut client = held();
    client.receive(&member(10, 11, 2, Some("member")));
    client.receive(&member(11, 12, 2, None));
    client.receive(&member(10, 11, 2, Some("member")));
    assert_eq!(client.rooms[&ROOM].present().count(), 0);
    client.receive(&json!({"type": "removed", "room_id": ROOM, "rev": 13}));
    client.receive(&live(None, 2, 13, "late"));
    assert!(client.rooms.is_empty());
    assert!(drain(&mut client).0.is_empty());
}

#[test]
fn a_new_epoch_forgets_all_rooms_and_keeps_the_outbox() {
    let mut client = held();
    client.say(ROOM, "a".into(), "first".into(), None);
    drain(&mut client);
    client.connected();
    client.receive(&ready("another", vec![room(4, 0)]));
    let held = &client.rooms[&ROOM];
    assert_eq!((held.position, held.messages.len()), (4, 0));
    let (frames, loads) = drain(&mut client);
    assert_eq!(frames[0]["rooms"], json!({ROOM.to_string(): 4}));
    assert_eq!(
        (&frames[1]["type"], &frames[1]["id"]),
        (&json!("message"), &json!("a"))
    );
    assert_eq!(loads.len(), 2, "{loads:?}");
}

/// One message of a room is on its way at a time; each is sent again, the same, until it is answered.
#[test]
fn the_outbox_sends_in_order_and_again() {
    let mut client = held();
    let ids = |frames: &[Value]| -> Vec<String> {
        let sends = frames.iter().filter(|frame| frame["type"] == "message");
        sends
            .map(|frame| frame["id"].as_str().unwrap().to_owned())
            .collect()
    };
    for id in ["a", "b", "c"] {
        client.say(ROOM, id.into(), id.into(), None);
    }
    client.say(15, "x".into(), "elsewhere".into(), None);
    let (frames, _) = drain(&mut client);
    assert_eq!(ids(&frames), ["a", "x"]);

    client.connected();
    client.receive(&ready("e", vec![room(10, 1)]));
    let (frames, _) = drain(&mut client);
    assert_eq!(ids(&frames), ["a", "x"], "both are open again");
    let reference = |id: &str, frames: &[Value]| {
        frames
            .iter()
            .find(|frame| frame["id"] == id)
            .map(|frame| frame["ref"].clone())
    };

    let ack = |id: &str, reference| json!({"type": "ack", "ref": reference, "room_id": ROOM, "id": id, "seq": 2, "rev": 11});
    client.receive(&ack("a", reference("a", &frames)));
    let open = json!({"type": "error", "ref": reference("x", &frames), "code": "unavailable", "retryable": true});
    client.receive(&open);
    let (frames, _) = drain(&mut client);
    assert_eq!(ids(&frames), ["b"]);
    client.retry();
    let again = drain(&mut client).0;
    assert_eq!(ids(&again), ["x"]);
    let refused = json!({"type": "error", "ref": reference("b", &frames), "code": "forbidden", "retryable": false});
    client.receive(&refused);
    assert_eq!(ids(&drain(&mut client).0), ["c"]);
    assert_eq!((client.acks.len(), client.refused.len()), (1, 1));
    let left: Vec<&str> = client
        .outbox
        .iter()
        .filter_map(|pending| pending.id())
        .collect();
    assert_eq!(left, ["c", "x"]);
}

/// `removed` overtakes an `added` of a room that isn't held.
#[test]
fn removed_is_remembered_of_rooms_that_were_never_held() {
    let mut client = Client::new(ME);
    client.connected();
    client.receive(&ready("e", vec![]));
    client.receive(&json!({"type": "removed", "room_id": ROOM, "rev": 14}));
    client.receive(&json!({"type": "added", "room_id": ROOM, "room": room(13, 1)}));
    assert!(client.rooms.is_empty());
    client.receive(&json!({"type": "added", "room_id": ROOM, "room": room(15, 1)}));
    assert!(client.rooms.contains_key(&ROOM));
}

/// All rooms that a sync named have answered; the error that follows is about one that was added when
/// the sync was on its way.
#[test]
fn an_error_after_a_sync_s_answers_repeats_it_for_the_others() {
    let mut client = held();
    client.sync_all();
    let (frames, _) = drain(&mut client);
    let reference = frames[0]["ref"].as_u64().unwrap();
    client.receive(&synced(reference, 10));
    client.receive(
        &json!({"type": "error", "ref": reference, "code": "unavailable", "retryable": true}),
    );
    assert!(!client.is_settled());
    client.retry();
    let (frames, _) = drain(&mut client);
    assert_eq!(
        (&frames[0]["type"], &frames[0]["rooms"]),
        (&json!("sync"), &json!({}))
    );
}

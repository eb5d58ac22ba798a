//! The reference client on edits, reactions, mentions, markers, roles and ephemeral frames.

use serde_json::{Value, json};

use super::{ME, ROOM, contents, drain, held, live, member, ready, room, synced};
use crate::support::{Change, Client, Effect};

/// A live `message_updated` by user 2, with what changed of a message.
fn updated(rev: u64, seq: u64, action: &str, changed: Value) -> Value {
    let mut frame = changed;
    frame["type"] = json!("message_updated");
    frame["room_id"] = json!(ROOM);
    frame["seq"] = json!(seq);
    frame["rev"] = json!(rev);
    frame["by"] = json!({"user_id": 2, "action": action});
    frame
}

fn row(client: &Client, seq: u64) -> &Value {
    &client.rooms[&ROOM].messages[&seq]
}

#[test]
fn small_changes_amend_the_row() {
    let mut client = held();
    let mentions = json!({"content": "@ann", "edited_at": "…", "mentions": [ME]});
    client.receive(&updated(11, 1, "edit", mentions));
    client.receive(&updated(12, 1, "pin", json!({"pinned_at": "…"})));
    client.receive(&updated(
        13,
        1,
        "react",
        json!({"reactions": [{"emoji": "👍", "count": 1}]}),
    ));
    client.receive(&updated(
        14,
        1,
        "react",
        json!({"reactions": [{"emoji": "🎉", "count": 1}]}),
    ));
    client.receive(&updated(
        15,
        1,
        "react",
        json!({"reactions": [{"emoji": "👍", "count": 2}]}),
    ));
    let held = row(&client, 1);
    assert_eq!(
        held["reactions"],
        json!([{"emoji": "👍", "count": 2}, {"emoji": "🎉", "count": 1}])
    );
    assert_eq!(
        (
            &held["content"],
            &held["mentions"],
            &held["pinned_at"],
            &held["rev"]
        ),
        (&json!("@ann"), &json!([ME]), &json!("…"), &json!(15))
    );
    // Fields that an edit leaves out are gone; so is a pin that is null, and a reaction without users.
    client.receive(&updated(
        16,
        1,
        "edit",
        json!({"content": "nobody", "edited_at": "…"}),
    ));
    client.receive(&updated(17, 1, "unpin", json!({"pinned_at": null})));
    client.receive(&updated(
        18,
        1,
        "unreact",
        json!({"reactions": [{"emoji": "👍", "count": 0}]}),
    ));
    let held = row(&client, 1);
    assert_eq!(held["reactions"], json!([{"emoji": "🎉", "count": 1}]));
    assert!(
        held.get("mentions").is_none() && held.get("pinned_at").is_none(),
        "{held}"
    );
    client.receive(&updated(19, 1, "delete", json!({"deleted_at": "…"})));
    let held = row(&client, 1);
    assert!(
        held.get("content").is_none() && held.get("reactions").is_none(),
        "{held}"
    );
    assert_eq!(
        (&held["deleted_at"], &held["sender"]["id"]),
        (&json!("…"), &json!(2))
    );
}

/// Joined: `prev` instead of `by`. Of who reacted only my own is known, and only when it isn't joined.
#[test]
fn joined_changes_span_several_revs() {
    let mut client = held();
    let mut mine = updated(
        11,
        1,
        "react",
        json!({"reactions": [{"emoji": "👍", "count": 1}]}),
    );
    mine["by"]["user_id"] = json!(ME);
    client.receive(&mine);
    client.receive(&updated(
        12,
        1,
        "react",
        json!({"reactions": [{"emoji": "👍", "count": 2}]}),
    ));
    assert_eq!(
        row(&client, 1)["reactions"],
        json!([{"emoji": "👍", "count": 2, "me": true}])
    );
    let joined = json!({"type": "message_updated", "room_id": ROOM, "seq": 1, "prev": 11, "rev": 16,
        "pinned_at": "…", "reactions": [{"emoji": "👍", "count": 3}, {"emoji": "🎉", "count": 1}]});
    client.receive(&joined);
    assert_eq!(client.rooms[&ROOM].position, 16);
    assert_eq!(
        row(&client, 1)["reactions"],
        json!([{"emoji": "👍", "count": 3}, {"emoji": "🎉", "count": 1}])
    );
    let mut beyond = joined.clone();
    beyond["prev"] = json!(17);
    beyond["rev"] = json!(19);
    client.receive(&beyond);
    assert_eq!(
        (client.rooms[&ROOM].position, drain(&mut client).0.len()),
        (16, 1)
    );
}

/// A small change that comes before the catch-up which was asked for never stands in for it.
#[test]
fn small_changes_wait_for_the_catch_up() {
    let mut client = held();
    client.join(ROOM);
    let (frames, _) = drain(&mut client);
    client.receive(&updated(11, 1, "pin", json!({"pinned_at": "…"})));
    assert_eq!(client.rooms[&ROOM].position, 10);
    let mut whole = live(Some(10), 1, 11, "edited and pinned");
    whole["pinned_at"] = json!("…");
    client.receive(&whole);
    client.receive(&synced(frames[0]["ref"].as_u64().unwrap(), 11));
    client.receive(&updated(12, 1, "unpin", json!({"pinned_at": null})));
    assert_eq!(contents(&client), [(1, "edited and pinned".to_owned())]);
    assert_eq!(
        (
            client.rooms[&ROOM].position,
            row(&client, 1).get("pinned_at")
        ),
        (12, None)
    );
}

fn mentioned(client: &Client) -> Vec<u64> {
    client.rooms[&ROOM].mentioned.iter().copied().collect()
}

/// PROTOCOL.md section 5.4: whatever is said, and how often, the set holds what is so.
#[test]
fn unread_mentions_are_a_set() {
    let mut client = held();
    let mention = |prev: u64, seq: u64, rev: u64| {
        let mut frame = live(Some(prev), seq, rev, "@ann");
        frame["mentions"] = json!([ME]);
        frame
    };
    for (seq, rev) in [(2, 11), (3, 12), (4, 13), (5, 14)] {
        client.receive(&mention(rev - 1, seq, rev));
    }
    client.sync_all();
    let (frames, _) = drain(&mut client);
    let mut answer = synced(frames[0]["ref"].as_u64().unwrap(), 14);
    // Read when message 6 was there: its own frame is yet to come.
    answer["mentioned"] = json!([2, 3, 4, 5, 6]);
    answer["unread_mentions"] = json!(5);
    client.receive(&answer);
    client.receive(&mention(14, 6, 15));
    assert_eq!(mentioned(&client), [2, 3, 4, 5, 6]);
    // Taken out by an edit and put in again, by one of a message that isn't held too.
    client.receive(&updated(
        16,
        3,
        "edit",
        json!({"content": "nobody", "edited_at": "…"}),
    ));
    assert_eq!(mentioned(&client), [2, 4, 5, 6]);
    let all = json!({"content": "@all", "edited_at": "…", "mention_all": true});
    client.receive(&updated(17, 3, "edit", all));
    client.receive(&updated(18, 5, "delete", json!({"deleted_at": "…"})));
    client.receive(&updated(
        19,
        4,
        "react",
        json!({"reactions": [{"emoji": "👍", "count": 1}]}),
    ));
    assert_eq!(mentioned(&client), [2, 3, 4, 6]);
    // Read on another device of mine, late and twice; and by another.
    let read =
        |user: u64, seq: u64| json!({"type": "read", "room_id": ROOM, "user_id": user, "seq": seq});
    for (user, seq) in [(ME, 3), (ME, 2), (ME, 3), (2, 6)] {
        client.receive(&read(user, seq));
    }
    let room = &client.rooms[&ROOM];
    assert_eq!(
        (room.last_read_seq, room.unread(), room.markers[&2]),
        (3, 2, 6),
        "5 is deleted"
    );
    assert_eq!(mentioned(&client), [4, 6]);
    // Below the marker nothing is put in any more; what I say is read.
    let all = json!({"content": "@all again", "edited_at": "…", "mention_all": true});
    client.receive(&updated(20, 2, "edit", all));
    assert_eq!(mentioned(&client), [4, 6]);
    let mut own = live(Some(20), 7, 21, "@all");
    own["sender"]["id"] = json!(ME);
    own["mention_all"] = json!(true);
    client.receive(&own);
    assert_eq!(
        (mentioned(&client), client.rooms[&ROOM].unread()),
        (vec![], 0)
    );
}

/// After a reset REST says what mentions me; what was said since wins.
#[test]
fn mentions_said_since_a_reset_win_over_the_room_that_is_read() {
    let mut client = held();
    client.sync_all();
    let (frames, _) = drain(&mut client);
    client.receive(
        &json!({"type": "reset", "ref": frames[0]["ref"], "room_id": ROOM, "rev": 900,
        "reason": "too_far"}),
    );
    let (_, loads) = drain(&mut client);
    let mut mention = live(None, 81, 901, "@ann");
    mention["mentions"] = json!([ME]);
    client.receive(&mention);
    client.receive(&updated(902, 60, "delete", json!({"deleted_at": "…"})));
    let read = loads
        .iter()
        .find(|load| matches!(load, Effect::LoadRoom { .. }));
    let mut answer = room(900, 80);
    answer["mentioned"] = json!([60, 70]);
    client.loaded(read.unwrap().path().unwrap().0, &answer);
    assert_eq!(mentioned(&client), [70, 81]);
    let held = &client.rooms[&ROOM];
    assert_eq!((held.last_seq, held.unread()), (81, 80), "60 is deleted");
}

/// Edits, deletions and reactions wait for each other and are sent again like messages.
#[test]
fn changes_of_mine_go_through_the_outbox() {
    let mut client = held();
    let kinds = |frames: &[Value]| -> Vec<String> {
        let kinds = frames.iter().filter(|frame| frame["type"] != "sync");
        kinds
            .map(|frame| frame["type"].as_str().unwrap().to_owned())
            .collect()
    };
    let content = "better".to_owned();
    client.put(ROOM, Change::Edit { seq: 1, content });
    let (emoji, on) = ("👍".to_owned(), true);
    client.put(ROOM, Change::React { seq: 1, emoji, on });
    client.put(ROOM, Change::Delete { seq: 1 });
    assert_eq!(kinds(&drain(&mut client).0), ["edit"]);
    client.connected();
    client.receive(&ready("e", vec![room(10, 1)]));
    let (frames, _) = drain(&mut client);
    assert_eq!(kinds(&frames), ["edit"], "it is open again");
    let edit = frames.iter().find(|frame| frame["type"] == "edit").unwrap();
    client
        .receive(&json!({"type": "ack", "ref": edit["ref"], "room_id": ROOM, "seq": 1, "rev": 11}));
    let (frames, _) = drain(&mut client);
    assert_eq!(
        (&frames[0]["type"], &frames[0]["emoji"], &frames[0]["on"]),
        (&json!("react"), &json!("👍"), &json!(true))
    );
    client.receive(&json!({"type": "error", "ref": frames[0]["ref"], "code": "rate_limited", "retryable": true}));
    assert!(drain(&mut client).0.is_empty());
    client.retry();
    let (frames, _) = drain(&mut client);
    client.receive(
        &json!({"type": "error", "ref": frames[0]["ref"], "code": "forbidden", "retryable": false}),
    );
    let (frames, _) = drain(&mut client);
    assert_eq!(kinds(&frames), ["delete"]);
    client.receive(
        &json!({"type": "ack", "ref": frames[0]["ref"], "room_id": ROOM, "seq": 1, "rev": 12}),
    );
    assert_eq!(
        (client.outbox.len(), client.refused.len(), client.acks.len()),
        (0, 1, 0)
    );
    assert!(client.complaints.is_empty(), "{:?}", client.complaints);
}

#[test]
fn settings_roles_and_a_deleted_room() {
    let mut client = held();
    let mut archived = room(11, 1);
    archived["archived_at"] = json!("…");
    client.receive(&json!({"type": "room", "room_id": ROOM, "rev": 11, "room": archived}));
    assert_eq!(client.rooms[&ROOM].settings["archived_at"], "…");
    // Handed over: two rows.
    client.receive(&member(11, 12, 2, Some("owner")));
    client.receive(&member(12, 13, ME, Some("admin")));
    let roles: Vec<Option<&str>> = client.rooms[&ROOM]
        .present()
        .map(|(_, member)| member.role.as_deref())
        .collect();
    assert_eq!(roles, [Some("admin"), Some("owner")]);
    client.receive(&json!({"type": "removed", "room_id": ROOM}));
    assert!(client.rooms.is_empty());
}

#[test]
fn presence_and_typing_are_ephemeral() {
    let mut client = held();
    client.receive(&json!({"type": "presence", "online": [2, 3], "offline": []}));
    client.receive(&json!({"type": "presence", "online": [4], "offline": [3]}));
    assert_eq!(Vec::from_iter(client.online.iter().copied()), [2, 4]);
    client.receive(&json!({"type": "typing", "room_id": ROOM, "user_id": 2}));
    assert!(client.typing.contains(&(ROOM, 2)));
    client.receive(&live(None, 2, 11, "there"));
    assert!(client.typing.is_empty());
    client.type_in(ROOM);
    let (frames, _) = drain(&mut client);
    assert_eq!(frames, [json!({"type": "typing", "room_id": ROOM})]);
    assert!(client.is_settled(), "it has no answer");
}

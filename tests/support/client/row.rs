//! A message as a row, and what a `message_updated` does to it.

use serde_json::{Map, Value, json};

use super::{Rev, UserId};

pub fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or(0)
}

/// All that changed in (`prev`, `rev`] is in a frame.
pub fn prev(frame: &Value) -> Rev {
    frame["prev"]
        .as_u64()
        .unwrap_or_else(|| number(frame, "rev").saturating_sub(1))
}

/// What the frame is about, without what only frames have.
pub fn bare(frame: &Value) -> Value {
    let mut object = frame.as_object().cloned().unwrap_or_default();
    for key in ["type", "prev", "replay", "by"] {
        object.remove(key);
    }
    Value::Object(object)
}

/// Whether a message or an edit mentions me; `None`: the change is about something else.
pub fn mentions(change: &Value, me: UserId) -> Option<bool> {
    if !change["deleted_at"].is_null() {
        return Some(false);
    }
    change["content"].as_str()?;
    let mut named = change["mentions"].as_array().into_iter().flatten();
    Some(change["mention_all"] == true || named.any(|user| *user == me))
}

/// Applies a `message_updated` to a whole message, if it is newer.
pub fn amend(row: &mut Value, patch: &Value, me: UserId) {
    if number(patch, "rev") <= number(row, "rev") {
        return;
    }
    let Some(row) = row.as_object_mut() else {
        return;
    };
    if !patch["content"].is_null() {
        // An edit leaves out what it doesn't have any more.
        row.remove("mentions");
        row.remove("mention_all");
    }
    for (key, value) in bare(patch).as_object().unwrap_or(&Map::new()) {
        match (key.as_str(), value) {
            ("reactions", Value::Array(touched)) => react(row, touched, &patch["by"], me),
            (_, Value::Null) => {
                row.remove(key);
            }
            _ => {
                row.insert(key.clone(), value.clone());
            }
        }
    }
    if row.contains_key("deleted_at") {
        for gone in [
            "content",
            "mentions",
            "mention_all",
            "reactions",
            "pinned_at",
        ] {
            row.remove(gone);
        }
    }
}

/// Only the kinds touched are listed, without ids; count 0: gone. Whether I am among them shows by who
/// touched it; of a joined frame that is unknown.
fn react(row: &mut Map<String, Value>, touched: &[Value], by: &Value, me: UserId) {
    let mut reactions = match row.remove("reactions") {
        Some(Value::Array(reactions)) => reactions,
        _ => Vec::new(),
    };
    for touch in touched {
        let held = reactions
            .iter()
            .position(|reaction| reaction["emoji"] == touch["emoji"]);
        if number(touch, "count") == 0 {
            held.map(|at| reactions.remove(at));
            continue;
        }
        let mut reaction = json!({"emoji": touch["emoji"], "count": touch["count"]});
        let mine = match by["user_id"].as_u64() {
            None => false,
            Some(user) if user == me => by["action"] == "react",
            Some(_) => held.is_some_and(|at| reactions[at]["me"] == true),
        };
        if mine {
            reaction["me"] = json!(true);
        }
        match held {
            Some(at) => reactions[at] = reaction,
            None => reactions.push(reaction),
        }
    }
    if !reactions.is_empty() {
        row.insert("reactions".to_owned(), Value::Array(reactions));
    }
}

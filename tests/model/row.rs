//! Compares a message that a client holds with the message in the log.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::number;

/// The whole of it: of reactions each emoji and its count, and who reacted where that is known, for a
/// small change tells no ids. `whole` is what REST shows to me.
pub fn same(held: &Value, whole: &Value) -> Result<(), String> {
    let what = format!("message {}", whole["seq"]);
    let (mut held_rest, mut expected) = (held.clone(), whole.clone());
    for row in [&mut held_rest, &mut expected] {
        row.as_object_mut().unwrap().remove("reactions");
    }
    equal(&what, &held_rest, &expected)?;
    let expected = reactions(whole);
    for (emoji, reaction) in &reactions(held) {
        let Some(expected) = expected.get(emoji) else {
            continue;
        };
        if !reaction["user_ids"].is_null() {
            let who = format!("{what}: {emoji} of");
            equal(&who, &reaction["user_ids"], &expected["user_ids"])?;
        }
        if reaction["me"] == true && expected["me"] != true {
            return Err(format!("{what}: {emoji} isn't mine"));
        }
    }
    let counts = |row| -> BTreeMap<&str, u64> {
        let reactions = reactions(row).into_iter();
        reactions
            .map(|(emoji, reaction)| (emoji, number(reaction, "count")))
            .collect()
    };
    equal(&format!("{what}: reactions"), &counts(held), &counts(whole))
}

/// By emoji.
fn reactions(row: &Value) -> BTreeMap<&str, &Value> {
    let reactions = row["reactions"].as_array().into_iter().flatten();
    reactions
        .map(|reaction| (reaction["emoji"].as_str().unwrap(), reaction))
        .collect()
}

pub fn equal<T: PartialEq + std::fmt::Debug>(
    what: &str,
    held: &T,
    expected: &T,
) -> Result<(), String> {
    if held == expected {
        Ok(())
    } else {
        Err(format!("{what}: {held:?} instead of {expected:?}"))
    }
}

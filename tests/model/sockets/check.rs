//! Compares what a device holds with what REST shows.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Device, Outcome};
use crate::{
    model::row::{self, equal as same},
    support::Account,
};

/// All items of a list by its cursor.
async fn all(account: &Account, path: &str, scope: &str) -> Result<Vec<Value>, String> {
    let mut items = Vec::new();
    let mut query = format!("limit=200{scope}");
    loop {
        let path = format!("{path}?{query}");
        let (status, mut page) = account.get(&path).await;
        if status != 200 {
            return Err(format!("{path}: {status} {page}"));
        }
        items.append(page["items"].as_array_mut().unwrap());
        let Some(next) = page["next"].as_str() else {
            return Ok(items);
        };
        query = format!("limit=200{scope}&cursor={next}");
    }
}

/// A room's whole history, page by page.
async fn history(account: &Account, room_id: u64) -> Result<Vec<Value>, String> {
    let mut messages: Vec<Value> = Vec::new();
    loop {
        let after = messages
            .last()
            .map_or(0, |last| last["seq"].as_u64().unwrap());
        let path = format!("/api/chat/rooms/{room_id}/messages?limit=200&after={after}");
        let (status, mut page) = account.get(&path).await;
        if status != 200 {
            return Err(format!("{path}: {status} {page}"));
        }
        messages.append(page["items"].as_array_mut().unwrap());
        if page["next"].is_null() {
            return Ok(messages);
        }
    }
}

pub(super) async fn check_device(
    device: &Device,
    stored: &mut BTreeMap<u64, BTreeMap<String, Vec<u64>>>,
) -> Outcome {
    let (account, client) = (&device.account, &device.client);
    let mine = all(account, "/api/chat/rooms", "&scope=mine").await?;
    let ids: BTreeSet<u64> = mine
        .iter()
        .map(|room| room["id"].as_u64().unwrap())
        .collect();
    same("rooms", &client.rooms().into_keys().collect(), &ids)?;
    for room_id in ids {
        let held = client.held(room_id);
        let path = format!("/api/chat/rooms/{room_id}");
        let (_, room) = account.get(&path).await;
        let context = |what: &str| format!("room {room_id}: {what}");
        let messages = history(account, room_id).await?;
        let ids = messages.iter().map(|message| {
            (
                message["id"].as_str().unwrap(),
                message["seq"].as_u64().unwrap(),
            )
        });
        stored.entry(room_id).or_insert_with(|| {
            let mut stored: BTreeMap<String, Vec<u64>> = BTreeMap::new();
            for (id, seq) in ids {
                stored.entry(id.to_owned()).or_default().push(seq);
            }
            stored
        });
        for (seq, message) in (1..).zip(&messages) {
            let held = held.messages.get(&seq);
            let held = held.ok_or_else(|| context(&format!("message {seq} is missing")))?;
            row::same(held, message).map_err(|difference| context(&difference))?;
        }
        let number = held.messages.len();
        same(&context("number of messages"), &number, &messages.len())?;
        let members = all(account, &format!("{path}/members"), "").await?;
        let members: Vec<Value> = members
            .iter()
            .map(|member| json!([member["role"], member["rev"], member["user"]]))
            .collect();
        same(&context("members"), &held.members, &members)?;
        let settings = json!({"kind": room["kind"], "name": room["name"], "topic": room["topic"],
            "archived_at": room["archived_at"]});
        same(&context("settings"), &held.settings, &settings)?;
        same(&context("number of pending messages"), &held.pending, &0)?;
        for (what, held) in [
            ("rev", held.position),
            ("last_seq", held.last_seq),
            ("member_count", held.member_count),
        ] {
            same(&context(what), &json!(held), &room[what])?;
        }
    }
    Ok(())
}

/// Whatever was acked is stored once, with the ack's numbers and in the order of saying.
pub(super) fn check_outbox(
    device: &Device,
    stored: &BTreeMap<u64, BTreeMap<String, Vec<u64>>>,
) -> Outcome {
    let client = &device.client;
    let mut last: BTreeMap<u64, u64> = BTreeMap::new();
    for (room_id, id) in &device.said {
        let ack = client.acks().iter().position(|ack| ack["id"] == *id);
        let Some(ack) = ack else {
            if client.is_refused(id) {
                continue;
            }
            return Err(format!("{id}: neither acked nor refused"));
        };
        // A room that nobody here may read any more.
        let Some(stored) = stored.get(room_id) else {
            continue;
        };
        let seq = client.acks()[ack]["seq"].as_u64().unwrap();
        match stored.get(id).map(|seqs| seqs[0]) {
            None if ack < device.acked_before => {}
            Some(stored) if stored == seq => {
                if last.insert(*room_id, seq) > Some(seq) {
                    return Err(format!("{id}: it overtook another"));
                }
            }
            found => return Err(format!("{id}: acked as {seq}, stored as {found:?}")),
        }
    }
    Ok(())
}

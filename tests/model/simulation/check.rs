//! What must hold at any time, and at the end.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Device, Outcome, Simulation};
use crate::{
    model::{
        log::{self, Message, RoomLog},
        row::{self, equal as same},
    },
    support::Room,
};

impl Simulation {
    /// At any time, in the midst of it: whatever the log holds up to a device's position, it holds too.
    pub(super) fn check_invariant(&self) -> Outcome {
        for (index, device) in self.devices.iter().enumerate() {
            if device.client.epoch != Some(self.server.epoch()) {
                continue;
            }
            for (room_id, held) in &device.client.rooms {
                let room = self.server.log.rooms.get(room_id);
                let Some(room) = room.filter(|room| !room.deleted) else {
                    continue;
                };
                let fault = |what: String| {
                    let position = held.position;
                    Err(format!(
                        "device {index}, room {room_id} at {position}: {what}"
                    ))
                };
                if held.position > room.rev {
                    return fault(format!("the log is at {}", room.rev));
                }
                let old = |rev: u64| rev <= held.position;
                let from = held.complete_from.unwrap_or(u64::MAX);
                for row in &room.messages {
                    if row.seq >= from
                        && old(row.rev)
                        && let Err(difference) = same_message(device.user, held, row)
                    {
                        return fault(difference);
                    }
                }
                for (user, row) in &room.members {
                    let rev = held.members.get(user).map(|held| held.rev);
                    if held.members_complete
                        && old(row.rev)
                        && rev != Some(row.rev)
                        && (rev.is_some() || row.role.is_some())
                    {
                        return fault(format!("member {user} of rev {}", row.rev));
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn check(&self) -> Outcome {
        for (index, device) in self.devices.iter().enumerate() {
            self.check_device(device).map_err(|difference| {
                format!("device {index} of user {}: {difference}", device.user)
            })?;
        }
        self.check_outboxes()
    }

    fn check_device(&self, device: &Device) -> Outcome {
        let client = &device.client;
        if !client.is_settled() {
            return Err(format!("something is still awaited: {client:?}"));
        }
        let mine: BTreeMap<u64, &RoomLog> = self
            .server
            .log
            .rooms_of(device.user)
            .map(|room| (room.id, room))
            .collect();
        same(
            "rooms",
            &Vec::from_iter(client.rooms.keys()),
            &Vec::from_iter(mine.keys()),
        )?;
        for (room_id, room) in mine {
            let held = &client.rooms[&room_id];
            let context = |what: &str| format!("room {room_id}: {what}");
            for row in &room.messages {
                same_message(device.user, held, row).map_err(|difference| context(&difference))?;
            }
            same(
                &context("number of messages"),
                &held.messages.len(),
                &room.messages.len(),
            )?;
            let members: Vec<Value> = held
                .present()
                .map(|(user, member)| json!([user, member.role, member.rev, member.user]))
                .collect();
            let expected: Vec<Value> = room
                .members
                .iter()
                .filter(|(_, row)| row.role.is_some())
                .map(|(user, row)| json!([user, row.role, row.rev, log::user(*user)]))
                .collect();
            same(&context("members"), &members, &expected)?;
            let settings = json!({"kind": "public", "name": room.name, "topic": room.topic,
                "archived_at": room.settings()["archived_at"]});
            same(&context("settings"), &held.settings, &settings)?;
            same(&context("position"), &held.position, &room.rev)?;
            same(&context("last_seq"), &held.last_seq, &room.last_seq())?;
            same(
                &context("member_count"),
                &held.member_count,
                &room.member_count(),
            )?;
            check_reading(device, held, room).map_err(|difference| context(&difference))?;
        }
        same("epoch", &client.epoch, &Some(self.server.epoch()))
    }

    /// Whatever was acked is stored once, with the ack's numbers and in the order of saying; whatever
    /// was refused at most once.
    fn check_outboxes(&self) -> Outcome {
        let mut stored: BTreeMap<Uuid, Vec<u64>> = BTreeMap::new();
        for room in self.server.log.rooms.values() {
            for message in &room.messages {
                stored.entry(message.id).or_default().push(message.seq);
            }
        }
        if let Some((id, seqs)) = stored.iter().find(|(_, seqs)| seqs.len() > 1) {
            return Err(format!("{id} is stored more than once: {seqs:?}"));
        }
        if let Some(id) = stored.keys().find(|id| !self.given.contains(id)) {
            return Err(format!("{id} is stored, and nobody said it"));
        }
        for (index, device) in self.devices.iter().enumerate() {
            let mut last: BTreeMap<u64, u64> = BTreeMap::new();
            for (room_id, id) in &device.said {
                let text = id.to_string();
                let ack = device.client.acks.iter().find(|ack| ack["id"] == text);
                let refused = device
                    .client
                    .refused
                    .iter()
                    .any(|(pending, _)| pending.id() == Some(&text));
                let seqs = stored.get(id).map_or(&[][..], Vec::as_slice);
                let said = format!("device {index} said {id}");
                match ack {
                    None if refused => {}
                    None => return Err(format!("{said}: neither acked nor refused")),
                    Some(_) if self.lost.contains(id) => {}
                    Some(ack) => {
                        if seqs != [ack["seq"].as_u64().unwrap()] {
                            return Err(format!("{said}: stored as {seqs:?}, acked as {ack}"));
                        }
                        let before = last.insert(*room_id, seqs[0]);
                        if before > Some(seqs[0]) {
                            return Err(format!("{said}: it overtook another"));
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

fn same_message(me: u64, held: &Room, row: &Message) -> Outcome {
    match held.messages.get(&row.seq) {
        Some(held) => row::same(held, &row.whole(Some(me))),
        None => Err(format!("message {} of rev {} is missing", row.seq, row.rev)),
    }
}

/// Unread is above the marker, and of it the mentions that are one now.
fn check_reading(device: &Device, held: &Room, room: &RoomLog) -> Outcome {
    let marker = room.members[&device.user].last_read_seq;
    same("marker", &held.last_read_seq, &marker)?;
    let deleted = room.deleted(device.user);
    let unread = room.last_seq() - marker - deleted.len() as u64;
    same("unread", &device.habit.unread(room.id, held), &unread)?;
    let deleted = deleted.into_iter().collect();
    same("what is deleted above the marker", &held.deleted, &deleted)?;
    let mentioned = room.mentioned(device.user);
    let count = device.habit.unread_mentions(room.id, held);
    same("unread mentions", &count, &(mentioned.len() as u64))?;
    let mentioned = mentioned.into_iter().collect();
    same("what mentions me", &held.mentioned, &mentioned)?;
    for (user, seq) in &held.markers {
        let row = room.members.get(user);
        if row.is_none_or(|row| *seq > row.last_read_seq) {
            return Err(format!("the marker of user {user} is {seq}"));
        }
    }
    Ok(())
}

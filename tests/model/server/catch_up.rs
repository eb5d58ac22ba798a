//! From any point of a room to live delivery (PROTOCOL.md section 3.2), step by step.

use rand::Rng;
use serde_json::{Value, json};

use super::{
    ConnectionId, Defect, Outgoing, Server, UNAVAILABLE, Work,
    live::{Attached, encode, outgoing},
};
use crate::model::log::{Page, Rev, Seq, Standing};

/// Rooms of one connection that catch up at the same time.
const PARALLEL: usize = 2;
/// Changes beyond which a client reloads.
const TOO_FAR: Rev = 25;

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Start {
    Now,
    After { rev: Rev, same_epoch: bool },
    Added { rev: Rev },
}

/// One room on its way to live delivery.
pub(super) struct Catching {
    room_id: u64,
    start: Start,
    reference: Option<Value>,
    stage: Stage,
    standing: Option<Standing>,
    position: Option<Rev>,
    reset: Option<&'static str>,
    last_seq: Seq,
    /// The first that was read.
    early: Option<Standing>,
}

enum Stage {
    /// Read where the user stands.
    Standing,
    /// Read a page, if there is one to read.
    Page,
    /// Look at the membership again before the page is sent.
    Verify(Page),
    Attach,
    Live,
    Removed,
    Failed,
}

impl Server {
    /// Takes up the way to live delivery of these rooms.
    pub(super) fn begin(
        &mut self,
        id: ConnectionId,
        starts: Vec<(u64, Start)>,
        reference: Option<Value>,
    ) {
        let mut rooms = Vec::new();
        for (room_id, start) in starts {
            let connection = self.connections.get_mut(&id).unwrap();
            if !connection.known.contains_key(&room_id) {
                let removed = json!({"type": "removed", "room_id": room_id});
                connection.answer(reference.as_ref(), removed);
                continue;
            }
            connection.live.remove(&room_id);
            connection.lags.retain(|(lagged, _)| *lagged != room_id);
            self.release(id, room_id);
            self.lease(id, room_id);
            rooms.push(Catching {
                room_id,
                start,
                reference: reference.clone(),
                stage: Stage::Standing,
                standing: None,
                position: None,
                reset: None,
                last_seq: 0,
                early: None,
            });
        }
        self.connections.get_mut(&id).unwrap().work = Some(Work::CatchUp(rooms));
    }

    /// One step of one of the rooms; at the end all are done.
    pub(super) fn catch_up(&mut self, id: ConnectionId, mut rooms: Vec<Catching>) {
        let ended = |stage: &Stage| matches!(stage, Stage::Live | Stage::Removed | Stage::Failed);
        let open: Vec<usize> = (0..rooms.len())
            .filter(|index| !ended(&rooms[*index].stage))
            .take(PARALLEL)
            .collect();
        if let Some(count) = std::num::NonZero::new(open.len()) {
            let room = &mut rooms[open[self.rng.random_range(0..count.get())]];
            self.step_room(id, room);
            self.connections.get_mut(&id).unwrap().work = Some(Work::CatchUp(rooms));
            return;
        }
        let mut failed = None;
        for room in rooms {
            let connection = self.connections.get_mut(&id).unwrap();
            match room.stage {
                Stage::Live => {
                    connection.live.insert(room.room_id);
                }
                Stage::Removed => {
                    let removed = json!({"type": "removed", "room_id": room.room_id});
                    connection.answer(room.reference.as_ref(), removed);
                    self.release(id, room.room_id);
                }
                _ => {
                    failed = Some(room.reference);
                    self.release(id, room.room_id);
                }
            }
        }
        let connection = self.connections.get_mut(&id).unwrap();
        match failed {
            Some(Some(reference)) => connection.refuse(Some(&reference), UNAVAILABLE),
            // No request to answer: the socket closes.
            Some(None) => connection.say(json!({"type": "going_away", "reconnect_after_ms": 0})),
            None => {}
        }
    }

    fn step_room(&mut self, id: ConnectionId, room: &mut Catching) {
        let user = self.connections[&id].user;
        if self.faulty && self.rng.random_bool(0.02) {
            room.stage = Stage::Failed;
            return;
        }
        let log = &self.log.rooms[&room.room_id];
        room.stage = match std::mem::replace(&mut room.stage, Stage::Page) {
            Stage::Standing => match log.standing(user) {
                None => Stage::Removed,
                Some(standing) => {
                    if room.standing.is_none() {
                        room.choose_start(&standing);
                    }
                    room.last_seq = standing.last_seq;
                    room.standing = Some(standing);
                    Stage::Page
                }
            },
            Stage::Page => {
                let standing = room.standing.as_ref().expect("read first");
                match room.position.filter(|position| *position < standing.rev) {
                    Some(after) => Stage::Verify(log.changes(after)),
                    None => Stage::Attach,
                }
            }
            Stage::Verify(page) => match log.standing(user) {
                None => Stage::Removed,
                Some(standing) => {
                    room.standing = Some(standing);
                    room.position = Some(page.upto);
                    room.last_seq = page.last_seq;
                    self.send_page(id, &page);
                    if page.last {
                        Stage::Attach
                    } else {
                        Stage::Page
                    }
                }
            },
            Stage::Attach => self.go_live(id, room),
            ended => ended,
        };
    }

    fn send_page(&mut self, id: ConnectionId, page: &Page) {
        let connection = self.connections.get_mut(&id).unwrap();
        for event in &page.events {
            let Outgoing(mut frame) = outgoing(&encode(event, true));
            if self.defect == Some(Defect::CatchUpWithoutPrev) {
                let frame = std::sync::Arc::make_mut(&mut frame);
                frame.as_object_mut().unwrap().remove("prev");
            }
            connection.outbox.push_back(Outgoing(frame));
        }
    }

    fn go_live(&mut self, id: ConnectionId, room: &mut Catching) -> Stage {
        let standing = room.standing.clone().expect("read first");
        let at = room.position.unwrap_or(standing.rev);
        let room_id = room.room_id;
        let reset = room
            .reset
            .filter(|_| self.defect != Some(Defect::SilentReset));
        let greeting = match (room.start, reset) {
            (Start::Added { .. }, _) => None,
            (_, Some(reason)) => {
                Some(json!({"type": "reset", "room_id": room_id, "rev": at, "reason": reason}))
            }
            (_, None) => {
                let prev = if room.reset.is_some() { 0 } else { at };
                let mut synced =
                    json!({"type": "synced", "room_id": room_id, "prev": prev, "rev": at});
                let standing = self.read_standing(id, room);
                standing.up_to(room.last_seq).write(&mut synced);
                Some(synced)
            }
        };
        // The greeting comes before what the room replays.
        let connection = self.connections.get_mut(&id).unwrap();
        let said = connection.outbox.len();
        if let Some(greeting) = greeting {
            connection.answer(room.reference.as_ref(), greeting);
        }
        match self.attach(id, room_id, at, &standing) {
            Attached::Live => Stage::Live,
            otherwise => {
                self.connections.get_mut(&id).unwrap().outbox.truncate(said);
                match otherwise {
                    Attached::Behind => Stage::Standing,
                    _ => Stage::Removed,
                }
            }
        }
    }

    /// Markers and mentions for `synced`: often of a later moment than the `rev` that it gives.
    fn read_standing(&mut self, id: ConnectionId, room: &Catching) -> Standing {
        let standing = room.standing.clone().expect("read first");
        if self.defect == Some(Defect::MentionsReadEarly) {
            let early = room.early.clone().expect("read first");
            return Standing {
                mentioned: early.mentioned,
                ..standing
            };
        }
        let user = self.connections[&id].user;
        let later = self.log.rooms[&room.room_id].standing(user);
        later
            .filter(|_| self.rng.random_bool(0.5))
            .unwrap_or(standing)
    }
}

impl Catching {
    /// Whether the client goes on from where it stands.
    fn choose_start(&mut self, standing: &Standing) {
        self.early = Some(standing.clone());
        self.reset = match self.start {
            Start::After { rev, same_epoch } if !same_epoch || rev > standing.rev => Some("epoch"),
            Start::After { rev, .. } if standing.rev - rev > TOO_FAR => Some("too_far"),
            _ => None,
        };
        self.position = match self.start {
            Start::After { rev, .. } if self.reset.is_none() => Some(rev),
            Start::Added { rev } => Some(rev),
            _ => None,
        };
    }
}

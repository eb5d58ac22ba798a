//! Changes that the user wants: kept until the server has answered them for good, and sent again, the same, after every
//! reconnect and every retryable error. Only the first of each room is in flight, so that they happen in the user's order.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Asked, Client, Link, RoomId, Seq, row::number};

/// Names one of them for as long as it is in the outbox.
pub(super) type Ticket = u64;

#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    pub room_id: RoomId,
    pub change: Change,
    ticket: Ticket,
    state: Sending,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    Message {
        /// A fresh UUID.
        id: String,
        content: String,
        reply_to: Option<Seq>,
    },
    Edit {
        seq: Seq,
        content: String,
    },
    Delete {
        seq: Seq,
    },
    React {
        seq: Seq,
        emoji: String,
        on: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Sending {
    Waiting,
    /// Written to this connection, not yet answered.
    Sent,
    /// Answered by a retryable error: its outcome is open.
    Open,
}

impl Pending {
    /// A message's id.
    pub fn id(&self) -> Option<&str> {
        match &self.change {
            Change::Message { id, .. } => Some(id),
            _ => None,
        }
    }

    fn frame(&self) -> Value {
        let room_id = self.room_id;
        match &self.change {
            Change::Message {
                id,
                content,
                reply_to,
            } => {
                let mut frame =
                    json!({"type": "message", "room_id": room_id, "id": id, "content": content});
                if let Some(seq) = reply_to {
                    frame["reply_to"] = json!(seq);
                }
                frame
            }
            Change::Edit { seq, content } => {
                json!({"type": "edit", "room_id": room_id, "seq": seq, "content": content})
            }
            Change::Delete { seq } => json!({"type": "delete", "room_id": room_id, "seq": seq}),
            Change::React { seq, emoji, on } => {
                json!({"type": "react", "room_id": room_id, "seq": seq, "emoji": emoji, "on": on})
            }
        }
    }

    /// What is wrong with its ack.
    fn fault(&self, ack: &Value) -> Option<&'static str> {
        let fits = match &self.change {
            Change::Message { id, .. } => ack["id"] == **id,
            Change::Edit { seq, .. } | Change::Delete { seq } | Change::React { seq, .. } => {
                number(ack, "seq") == *seq
            }
        };
        match () {
            () if !fits || ack["room_id"] != self.room_id => Some("another's ack"),
            () if number(ack, "rev") == 0 || number(ack, "seq") == 0 => {
                Some("an ack without numbers")
            }
            () => None,
        }
    }
}

impl Client {
    /// Puts a message into the outbox.
    pub fn say(&mut self, room_id: RoomId, id: String, content: String, reply_to: Option<Seq>) {
        let change = Change::Message {
            id,
            content,
            reply_to,
        };
        self.put(room_id, change);
    }

    /// Puts any change into the outbox.
    pub fn put(&mut self, room_id: RoomId, change: Change) {
        self.outbox.push_back(Pending {
            room_id,
            change,
            ticket: self.next_ticket,
            state: Sending::Waiting,
        });
        self.next_ticket += 1;
        self.flush();
    }

    /// The socket is gone: whatever wasn't answered is to be sent again.
    pub(super) fn reopen_outbox(&mut self) {
        for pending in &mut self.outbox {
            pending.state = Sending::Waiting;
        }
    }

    /// What a retryable error had answered is to be sent again.
    pub(super) fn retry_outbox(&mut self) {
        for pending in &mut self.outbox {
            if pending.state == Sending::Open {
                pending.state = Sending::Waiting;
            }
        }
    }

    /// Sends the first of each room, unless it is on its way or its outcome is open.
    pub(super) fn flush(&mut self) {
        if self.link != Link::Up {
            return;
        }
        let mut seen = BTreeSet::new();
        let mut frames = Vec::new();
        for pending in &mut self.outbox {
            if !seen.insert(pending.room_id) || pending.state != Sending::Waiting {
                continue;
            }
            pending.state = Sending::Sent;
            frames.push((pending.frame(), pending.ticket));
        }
        for (frame, ticket) in frames {
            self.ask(frame, Asked::Change { ticket });
        }
    }

    pub(super) fn change_acked(&mut self, ticket: Ticket, ack: &Value) {
        let Some(pending) = self.take_pending(ticket) else {
            return;
        };
        if let Some(fault) = pending.fault(ack) {
            self.complaints.push(format!("{fault}: {ack}"));
        }
        if pending.id().is_some() {
            self.acks.push(ack.clone());
        }
        self.flush();
    }

    pub(super) fn change_failed(&mut self, ticket: Ticket, error: &Value) {
        if error["retryable"] == true {
            let open = self
                .outbox
                .iter_mut()
                .find(|pending| pending.ticket == ticket);
            open.into_iter()
                .for_each(|pending| pending.state = Sending::Open);
        } else if let Some(pending) = self.take_pending(ticket) {
            self.refused.push((pending, error.clone()));
        }
        self.flush();
    }

    fn take_pending(&mut self, ticket: Ticket) -> Option<Pending> {
        let at = self
            .outbox
            .iter()
            .position(|pending| pending.ticket == ticket)?;
        self.outbox.remove(at)
    }
}

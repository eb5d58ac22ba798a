//! Events as the bytes that travel: once per room, whatever the number of its members and whatever
//! they speak: a text is a line, and a WebSocket frame ends with its text, so that both are one
//! allocation.

use std::{ops::Deref, sync::Arc};

use bytes::Bytes;

use super::touch::{self, Touch};
use crate::{
    protocol::{
        Rev, UserId,
        server::{Frame, Live, MemberChange, RoomChange},
    },
    store::{Event, EventBody},
};

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wire {
    WebSocket,
    /// JSON lines over plain TCP.
    Lines,
}

impl Wire {
    pub const COUNT: usize = 2;
}

/// Appends one text to a buffer as a WebSocket frame, which ends with it. The hub knows no framing of
/// its own.
pub type Framing = fn(&mut Vec<u8>, &[u8]);

/// A WebSocket frame that knows where the line begins in it.
#[derive(Clone, Debug, Default)]
pub struct Framed {
    frame: Bytes,
    line: usize,
}

impl Framed {
    /// What travels over this wire, shared.
    pub fn over(&self, wire: Wire) -> Bytes {
        match wire {
            Wire::WebSocket => self.frame.clone(),
            Wire::Lines => self.frame.slice(self.line..),
        }
    }
}

impl Deref for Framed {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        &self.frame
    }
}

/// A framed event, and what of it the fan-out must know.
#[derive(Clone, Debug)]
pub struct Encoded {
    pub prev: Rev,
    pub rev: Rev,
    pub bytes: Framed,
    /// Whose membership ended with it.
    pub left: Option<UserId>,
    /// The room ended with it.
    pub ends: bool,
    /// What it touched of a message, if it may be joined with others.
    pub touch: Option<Arc<Touch>>,
}

/// Encodes an event. `chained`: `prev` is written even when it is `rev` - 1, as catch-up does.
pub fn encode(event: &Event, framing: Framing, chained: bool) -> Encoded {
    let prev = (chained || event.prev + 1 != event.rev).then_some(event.prev);
    let text = match &event.body {
        EventBody::Message(message) => Frame::Message(Live {
            change: &**message,
            prev,
            replay: false,
        })
        .to_json(),
        EventBody::Updated(update) => Frame::MessageUpdated(Live {
            change: touch::updated(event, update),
            prev,
            replay: false,
        })
        .to_json(),
        // Told by the sessions, not by the room.
        EventBody::Deleted { .. } | EventBody::Read { .. } => Vec::new(),
        EventBody::Member(member) => Frame::Member(Live {
            change: MemberChange {
                room_id: event.room_id,
                rev: event.rev,
                user: &member.user,
                role: member.role,
                by: member.by,
                at: member.at,
                member_count: member.member_count,
            },
            prev,
            replay: false,
        })
        .to_json(),
        EventBody::Room(room) => Frame::Room(Live {
            change: RoomChange {
                room_id: event.room_id,
                rev: event.rev,
                room,
            },
            prev,
            replay: false,
        })
        .to_json(),
    };
    let left = match &event.body {
        EventBody::Member(member) if member.role.is_none() => Some(member.user.id),
        _ => None,
    };
    let touch = match &event.body {
        EventBody::Updated(update) => Touch::of(update),
        _ => None,
    };
    Encoded {
        prev: event.prev,
        rev: event.rev,
        bytes: framed(&text, framing),
        left,
        ends: matches!(event.body, EventBody::Deleted { .. }),
        touch,
    }
}

/// Frames a text that was encoded for a room. What isn't told has no frame.
pub fn framed(text: &[u8], framing: Framing) -> Framed {
    if text.is_empty() {
        return Framed::default();
    }
    let mut bytes = Vec::with_capacity(text.len() + 10);
    framing(&mut bytes, text);
    Framed {
        line: bytes.len() - text.len(),
        frame: bytes.into(),
    }
}

/// Events as the bytes of one write. One alone is shared; more are copied into one.
pub fn gather<'a>(events: impl Iterator<Item = &'a Encoded> + Clone, wire: Wire) -> Bytes {
    let mut few = events.clone();
    if let (Some(only), None) = (few.next(), few.next()) {
        return only.bytes.over(wire);
    }
    let length = events.clone().map(|event| event.bytes.len()).sum();
    let mut bytes = Vec::with_capacity(length);
    for event in events {
        bytes.extend_from_slice(&event.bytes.over(wire));
    }
    bytes.into()
}

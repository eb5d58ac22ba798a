//! Events as frames: each is encoded once per room, whatever the number of its members and whatever they speak.

use std::sync::Arc;

use bytes::Bytes;

use super::wire::{Framed, Framing, Wire};
use crate::{
    protocol::{
        Rev, Seq, Time, UserId,
        server::{
            Action, Frame, Live, MemberChange, MessageUpdate, ReactionCount, RoomChange, UpdatedBy,
        },
    },
    store::{Event, EventBody, Update, What},
};

/// A text that isn't a message's is about this long.
const TEXT_BYTES: usize = 256;

/// Whether a frame says after which `rev` it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrevField {
    /// Only where that isn't `rev` - 1: in live delivery.
    WhereSkipped,
    /// In catch-up.
    Always,
}

/// An encoded event, and what delivery has to know of it.
#[derive(Clone, Debug)]
pub struct Encoded {
    pub prev: Rev,
    pub rev: Rev,
    pub bytes: Framed,
    /// Whose membership ended with it.
    pub left: Option<UserId>,
    /// The room ended with it.
    pub ends: bool,
    /// What changed, if several such changes of one message can be told as one.
    pub joinable: Option<Arc<Joinable>>,
}

/// A change of a message's reactions or pin. A later one of the same message supersedes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Joinable {
    pub seq: Seq,
    pub reactions: Vec<ReactionCount>,
    pub pinned_at: Option<Option<Time>>,
}

impl Joinable {
    fn of(update: &Update) -> Option<Arc<Self>> {
        let (reactions, pinned_at) = match &update.what {
            What::Reacted { emoji, count, .. } => {
                let (emoji, count) = (emoji.clone(), *count);
                (vec![ReactionCount { emoji, count }], None)
            }
            What::Pinned { at } => (Vec::new(), Some(*at)),
            What::Edited { .. } | What::Deleted { .. } => return None,
        };
        Some(Arc::new(Self {
            seq: update.seq,
            reactions,
            pinned_at,
        }))
    }
}

pub fn encode(event: &Event, framing: Framing, prev_field: PrevField) -> Encoded {
    let left = match &event.body {
        EventBody::Member(member) if member.role.is_none() => Some(member.user.id),
        _ => None,
    };
    let joinable = match &event.body {
        EventBody::Updated(update) => Joinable::of(update),
        _ => None,
    };
    let text_bytes = event.bytes().max(TEXT_BYTES);
    let bytes = frame_of(event, prev_field).map(|frame| Framed::new(&frame, framing, text_bytes));
    Encoded {
        prev: event.prev,
        rev: event.rev,
        bytes: bytes.unwrap_or_default(),
        left,
        ends: matches!(event.body, EventBody::Deleted { .. }),
        joinable,
    }
}

/// The frame by which a room tells an event; `None` for what the connections tell by themselves.
pub fn frame_of(event: &Event, prev_field: PrevField) -> Option<Frame<'_>> {
    let is_needed = prev_field == PrevField::Always || event.prev + 1 != event.rev;
    let prev = is_needed.then_some(event.prev);
    match &event.body {
        EventBody::Message(message) => Some(Frame::Message(Live::new(&**message, prev))),
        EventBody::Updated(update) => Some(Frame::MessageUpdated(Live::new(
            updated(event, update),
            prev,
        ))),
        EventBody::Member(member) => {
            let change = MemberChange {
                room_id: event.room_id,
                rev: event.rev,
                user: &member.user,
                role: member.role,
                by: member.by,
                at: member.at,
                member_count: member.member_count,
            };
            Some(Frame::Member(Live::new(change, prev)))
        }
        EventBody::Room(room) => {
            let change = RoomChange {
                room_id: event.room_id,
                rev: event.rev,
                room,
            };
            Some(Frame::Room(Live::new(change, prev)))
        }
        EventBody::Deleted { .. } | EventBody::Read { .. } => None,
    }
}

/// What a change of a message is told as.
fn updated<'a>(event: &Event, update: &'a Update) -> MessageUpdate<'a> {
    let emoji = match &update.what {
        What::Reacted { emoji, .. } => Some(emoji.as_str()),
        _ => None,
    };
    let by = UpdatedBy {
        user_id: update.by,
        action: action(&update.what),
        emoji,
    };
    let mut frame = MessageUpdate {
        room_id: event.room_id,
        seq: update.seq,
        rev: event.rev,
        by: Some(by),
        content: None,
        edited_at: None,
        mentions: None,
        deleted_at: None,
        pinned_at: None,
        reactions: Vec::new(),
    };
    match &update.what {
        What::Edited {
            content,
            at,
            mentions,
        } => {
            frame.content = Some(content);
            frame.edited_at = Some(*at);
            frame.mentions = Some(mentions);
        }
        What::Deleted { at } => frame.deleted_at = Some(*at),
        What::Reacted { emoji, count, .. } => frame.reactions.push(ReactionCount {
            emoji: emoji.clone(),
            count: *count,
        }),
        What::Pinned { at } => frame.pinned_at = Some(*at),
    }
    frame
}

fn action(what: &What) -> Action {
    match what {
        What::Edited { .. } => Action::Edit,
        What::Deleted { .. } => Action::Delete,
        What::Reacted { on: true, .. } => Action::React,
        What::Reacted { on: false, .. } => Action::Unreact,
        What::Pinned { at: Some(_) } => Action::Pin,
        What::Pinned { at: None } => Action::Unpin,
    }
}

/// Events as the bytes of one write. A single event is shared; several are copied together.
pub fn gather<'a>(events: impl Iterator<Item = &'a Encoded> + Clone, wire: Wire) -> Bytes {
    let mut first_two = events.clone();
    if let (Some(only), None) = (first_two.next(), first_two.next()) {
        return only.bytes.over(wire);
    }
    let length = events.clone().map(|event| event.bytes.len()).sum();
    let mut bytes = Vec::with_capacity(length);
    for event in events {
        bytes.extend_from_slice(event.bytes.slice(wire));
    }
    bytes.into()
}

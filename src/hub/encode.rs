//! Events as the bytes that travel: once per room, whatever the number of its members.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    protocol::{
        Rev, RoomId, Seq, Time, UserId,
        server::{Frame, Live, MemberChange, MessageUpdate, ReactionCount, UpdatedBy},
    },
    store::{Event, EventBody, Update, What},
};

/// Appends one text to a buffer as the transport frames it. The hub knows no framing of its own.
pub type Framing = fn(&mut Vec<u8>, &[u8]);

/// A framed event, and what of it the fan-out must know.
#[derive(Clone, Debug)]
pub struct Encoded {
    pub prev: Rev,
    pub rev: Rev,
    pub bytes: Bytes,
    /// Whose membership ended with it.
    pub left: Option<UserId>,
    /// The room ended with it.
    pub ends: bool,
    /// What it touched of a message, if it may be joined with others.
    pub touch: Option<Arc<Touch>>,
}

/// Reactions and a pin of one message: the last of several says it all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touch {
    pub seq: Seq,
    pub reactions: Vec<ReactionCount>,
    pub pinned_at: Option<Option<Time>>,
}

impl Touch {
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

    /// Takes a later one in.
    fn add(&mut self, later: &Touch) {
        for reaction in &later.reactions {
            let known = self.reactions.iter_mut();
            match known
                .into_iter()
                .find(|known| known.emoji == reaction.emoji)
            {
                Some(known) => known.count = reaction.count,
                None => self.reactions.push(reaction.clone()),
            }
        }
        self.pinned_at = later.pinned_at.or(self.pinned_at);
    }
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
            change: updated(event, update),
            prev,
            replay: false,
        })
        .to_json(),
        // Told by the sessions, not by the room.
        EventBody::Deleted | EventBody::Read { .. } => Vec::new(),
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
            change: &**room,
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
        ends: matches!(event.body, EventBody::Deleted),
        touch,
    }
}

fn framed(text: &[u8], framing: Framing) -> Bytes {
    if text.is_empty() {
        return Bytes::new();
    }
    let mut bytes = Vec::with_capacity(text.len() + 10);
    framing(&mut bytes, text);
    bytes.into()
}

fn updated<'a>(event: &Event, update: &'a Update) -> MessageUpdate<'a> {
    let emoji = match &update.what {
        What::Reacted { emoji, .. } => Some(emoji.as_str()),
        _ => None,
    };
    let by = UpdatedBy {
        user_id: update.by,
        action: update.what.action(),
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

/// Joins what touched one message several times in a row: one frame, without who did it.
pub fn join(room_id: RoomId, events: Vec<Encoded>, framing: Framing) -> Vec<Encoded> {
    let mut joined: Vec<Encoded> = Vec::with_capacity(events.len());
    let mut runs: Vec<(Touch, usize)> = Vec::new();
    for event in events {
        let last = joined.last().zip(runs.last_mut());
        if let (Some(touch), Some((_, (run, times)))) = (&event.touch, last)
            && run.seq == touch.seq
            && *times > 0
        {
            run.add(touch);
            *times += 1;
            let last = joined.last_mut().expect("the run has a first event");
            last.rev = event.rev;
            continue;
        }
        let run = match &event.touch {
            Some(touch) => (Touch::clone(touch), 1),
            None => (Touch::default(), 0),
        };
        runs.push(run);
        joined.push(event);
    }
    for (event, (run, times)) in joined.iter_mut().zip(runs) {
        if times > 1 {
            let frame = Frame::MessageUpdated(Live {
                change: MessageUpdate {
                    room_id,
                    seq: run.seq,
                    rev: event.rev,
                    by: None,
                    content: None,
                    edited_at: None,
                    mentions: None,
                    deleted_at: None,
                    pinned_at: run.pinned_at,
                    reactions: run.reactions,
                },
                prev: Some(event.prev),
                replay: false,
            });
            event.bytes = framed(&frame.to_json(), framing);
        }
    }
    joined
}

//! Changes of one message as frames: one by one, and several in a row as one (PROTOCOL.md section 5.2).

use std::sync::Arc;

use super::encode::{Encoded, Framing, framed};
use crate::{
    protocol::{
        RoomId, Seq, Time,
        server::{Action, Frame, Live, MessageUpdate, ReactionCount, UpdatedBy},
    },
    store::{Event, Update, What},
};

/// Reactions and a pin of one message: the last of several says it all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touch {
    pub seq: Seq,
    pub reactions: Vec<ReactionCount>,
    pub pinned_at: Option<Option<Time>>,
}

impl Touch {
    pub fn of(update: &Update) -> Option<Arc<Self>> {
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

/// What a change of a message is told as.
pub fn updated<'a>(event: &Event, update: &'a Update) -> MessageUpdate<'a> {
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

/// Joins what touched one message several times in a row: one frame, without who did it.
pub fn join_touches(room_id: RoomId, events: Vec<Encoded>, framing: Framing) -> Vec<Encoded> {
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
            let text = frame.to_json();
            event.bytes = framed(&text, framing);
        }
    }
    joined
}

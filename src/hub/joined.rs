//! Several changes of one message in a row, told as one frame (PROTOCOL.md section 5.2).

use super::{
    encode::{Encoded, Joinable},
    wire::{Framed, Framing},
};
use crate::protocol::{
    RoomId,
    server::{Frame, Live, MessageUpdate},
};

/// A joined frame is about this long.
const TEXT_BYTES: usize = 256;

impl Joinable {
    /// Takes a later change of the same message in.
    fn add(&mut self, later: &Joinable) {
        for reaction in &later.reactions {
            let mut known = self.reactions.iter_mut();
            match known.find(|known| known.emoji == reaction.emoji) {
                Some(known) => known.count = reaction.count,
                None => self.reactions.push(reaction.clone()),
            }
        }
        self.pinned_at = later.pinned_at.or(self.pinned_at);
    }
}

/// Joins runs of reactions and pins of one message: one frame for each run, which doesn't say whose they were.
pub fn join(room_id: RoomId, events: Vec<Encoded>, framing: Framing) -> Vec<Encoded> {
    let mut joined: Vec<Encoded> = Vec::with_capacity(events.len());
    // For each event of `joined`: what it changes, and of how many events it consists; 0 where it can't be joined.
    let mut runs: Vec<(Joinable, usize)> = Vec::new();
    for event in events {
        let last = joined.last_mut().zip(runs.last_mut());
        if let (Some(change), Some((last, (run, count)))) = (&event.joinable, last)
            && run.seq == change.seq
            && *count > 0
        {
            run.add(change);
            *count += 1;
            last.rev = event.rev;
            continue;
        }
        let run = match &event.joinable {
            Some(change) => (Joinable::clone(change), 1),
            None => (Joinable::default(), 0),
        };
        runs.push(run);
        joined.push(event);
    }
    for (event, (run, count)) in joined.iter_mut().zip(runs) {
        if count > 1 {
            let change = MessageUpdate {
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
            };
            let frame = Frame::MessageUpdated(Live::new(change, Some(event.prev)));
            event.bytes = Framed::new(&frame, framing, TEXT_BYTES);
        }
    }
    joined
}

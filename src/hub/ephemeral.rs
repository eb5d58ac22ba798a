//! What a room tells its subscribers once and never stores: who types, and others' read markers. A subscriber for whom
//! something else waits is not told.

use std::{collections::BTreeMap, time::Instant};

use bytes::Bytes;

use super::{
    handle::Subscriber,
    wire::{Framed, Wire},
};
use crate::{
    limits::{
        FANOUT_CHUNK, MARKERS_INTERVAL, MARKERS_ROOM_MAX, TYPING_INTERVAL, TYPING_SUBSCRIBERS_MAX,
    },
    protocol::{Seq, UserId},
};

/// What is to be told, and what was told recently.
#[derive(Default)]
pub(super) struct Ephemeral {
    /// Who was said to type, and when.
    typists: Vec<(UserId, Instant)>,
    /// The markers to be told: the highest of each reader.
    markers: BTreeMap<UserId, Seq>,
    /// When they are told.
    due: Option<Instant>,
}

impl Ephemeral {
    /// Whether others are to be told that this user types: once in an interval.
    pub(super) fn starts_typing(&mut self, user_id: UserId, now: Instant) -> bool {
        self.typists
            .retain(|(_, at)| now.duration_since(*at) < TYPING_INTERVAL);
        let is_told = self.typists.iter().any(|(typist, _)| *typist == user_id);
        let is_new = !is_told && self.typists.len() < TYPING_SUBSCRIBERS_MAX;
        if is_new {
            self.typists.push((user_id, now));
        }
        is_new
    }

    pub(super) fn mark(&mut self, user_id: UserId, seq: Seq, now: Instant) {
        if self.markers.len() >= MARKERS_ROOM_MAX as usize && !self.markers.contains_key(&user_id) {
            return;
        }
        let marker = self.markers.entry(user_id).or_default();
        *marker = seq.max(*marker);
        self.due.get_or_insert(now + MARKERS_INTERVAL);
    }

    pub(super) fn has_markers(&self) -> bool {
        self.due.is_some()
    }

    /// Waits until the markers are to be told.
    pub(super) async fn markers_due(&self) {
        match self.due {
            Some(due) => tokio::time::sleep_until(due.into()).await,
            None => std::future::pending().await,
        }
    }

    pub(super) fn take_markers(&mut self) -> BTreeMap<UserId, Seq> {
        self.due = None;
        std::mem::take(&mut self.markers)
    }
}

/// Writes the frames to each subscriber at once, without the subscriber's own. Returns how many subscribers were told.
pub(super) async fn tell(subscribers: &[Subscriber], frames: &[(UserId, Framed)]) -> u64 {
    let mut all = [const { None::<Bytes> }; Wire::COUNT];
    let mut told = 0;
    for (index, subscriber) in subscribers.iter().enumerate() {
        let (user_id, wire) = (subscriber.user_id, subscriber.mailbox.wire());
        let bytes = if frames.iter().any(|(whose, _)| *whose == user_id) {
            join(frames, Some(user_id), wire)
        } else {
            all[wire as usize]
                .get_or_insert_with(|| join(frames, None, wire))
                .clone()
        };
        if !bytes.is_empty() && subscriber.mailbox.deliver_ephemeral(&bytes) {
            told += 1;
        }
        if index % FANOUT_CHUNK == FANOUT_CHUNK - 1 {
            tokio::task::yield_now().await;
        }
    }
    told
}

/// The frames as the bytes of one write, without those of one user.
fn join(frames: &[(UserId, Framed)], without: Option<UserId>, wire: Wire) -> Bytes {
    let mut bytes = Vec::new();
    for (user_id, frame) in frames {
        if Some(*user_id) != without {
            bytes.extend_from_slice(frame.slice(wire));
        }
    }
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_said_to_type_once_in_an_interval() {
        let (mut ephemeral, start) = (Ephemeral::default(), Instant::now());
        assert!(ephemeral.starts_typing(UserId(1), start));
        assert!(ephemeral.starts_typing(UserId(2), start + TYPING_INTERVAL / 2));
        assert!(!ephemeral.starts_typing(UserId(1), start + TYPING_INTERVAL / 2));
        assert!(ephemeral.starts_typing(UserId(1), start + TYPING_INTERVAL));
        assert!(!ephemeral.starts_typing(UserId(2), start + TYPING_INTERVAL));
        for id in 0..1_000 {
            ephemeral.starts_typing(UserId(id), start + TYPING_INTERVAL);
        }
        assert_eq!(ephemeral.typists.len(), TYPING_SUBSCRIBERS_MAX);
    }

    #[test]
    fn of_each_reader_the_highest_marker_waits_for_the_interval_of_the_first() {
        let (mut ephemeral, start) = (Ephemeral::default(), Instant::now());
        assert!(!ephemeral.has_markers());
        for (user_id, seq) in [(1, 4), (2, 9), (1, 7), (1, 5)] {
            ephemeral.mark(UserId(user_id), seq, start + MARKERS_INTERVAL / 2);
        }
        assert_eq!(
            ephemeral.due,
            Some(start + MARKERS_INTERVAL / 2 + MARKERS_INTERVAL)
        );
        let markers = Vec::from_iter(ephemeral.take_markers());
        assert_eq!(markers, [(UserId(1), 7), (UserId(2), 9)]);
        assert!(!ephemeral.has_markers() && ephemeral.take_markers().is_empty());
        for id in 0..1_000 {
            ephemeral.mark(UserId(id), 1, start);
        }
        assert_eq!(ephemeral.markers.len() as u64, MARKERS_ROOM_MAX);
    }
}

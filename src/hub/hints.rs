//! What a room tells its listeners and may drop: who types, and others' markers. A listener for whom
//! something waits hears nothing of it.

use std::{collections::BTreeMap, time::Instant};

use bytes::Bytes;

use super::{
    encode::{Framed, Wire, framed},
    mailbox::ConnectionId,
    room::Room,
};
use crate::{
    limits::{
        FANOUT_CHUNK, MARKERS_INTERVAL, MARKERS_ROOM_MAX, TYPING_INTERVAL, TYPING_LISTENERS_MAX,
    },
    protocol::{Seq, UserId, server::Frame},
};

/// What of it waits or was told of late.
#[derive(Default)]
pub(super) struct Hints {
    /// Who was said to type, and when.
    typists: Vec<(UserId, Instant)>,
    /// Markers to be told: of each reader the highest.
    markers: BTreeMap<UserId, Seq>,
    /// When they are told.
    due: Option<Instant>,
}

impl Hints {
    /// Whether it is to be told that somebody types.
    fn types(&mut self, user_id: UserId, now: Instant) -> bool {
        self.typists
            .retain(|(_, at)| now.duration_since(*at) < TYPING_INTERVAL);
        let told = self.typists.iter().any(|(typist, _)| *typist == user_id);
        let fits = self.typists.len() < TYPING_LISTENERS_MAX;
        if fits && !told {
            self.typists.push((user_id, now));
        }
        fits && !told
    }

    pub(super) fn mark(&mut self, user_id: UserId, seq: Seq, now: Instant) {
        if self.markers.len() >= MARKERS_ROOM_MAX as usize && !self.markers.contains_key(&user_id) {
            return;
        }
        let marker = self.markers.entry(user_id).or_default();
        *marker = seq.max(*marker);
        self.due.get_or_insert(now + MARKERS_INTERVAL);
    }

    pub(super) fn are_waiting(&self) -> bool {
        self.due.is_some()
    }

    /// Waits until markers are to be told.
    pub(super) async fn ripe(&self) {
        match self.due {
            Some(due) => tokio::time::sleep_until(due.into()).await,
            None => std::future::pending().await,
        }
    }

    fn take_markers(&mut self) -> BTreeMap<UserId, Seq> {
        self.due = None;
        std::mem::take(&mut self.markers)
    }
}

impl Room {
    /// Tells all others that somebody types, on a connection to which the room is live.
    pub(super) async fn tell_typing(&mut self, id: ConnectionId) {
        if self.listeners.0.len() > TYPING_LISTENERS_MAX || self.is_behind() {
            return;
        }
        let mut listeners = self.listeners.0.iter();
        let typist = listeners.find(|listener| listener.mailbox.id() == id);
        let Some(user_id) = typist.map(|listener| listener.user_id) else {
            return;
        };
        if !self.hints.types(user_id, Instant::now()) {
            return;
        }
        let room_id = self.handle.room_id;
        let frame = Frame::Typing { room_id, user_id };
        let bytes = framed(&frame.to_json(), self.hub.framing);
        let told = self.tell(&[(user_id, bytes)]).await;
        self.hub.metrics.typing.increment(told);
    }

    /// Tells all others how far somebody has read.
    pub(super) async fn tell_markers(&mut self) {
        let room_id = self.handle.room_id;
        let markers = self.hints.take_markers().into_iter();
        if self.is_behind() {
            return;
        }
        let frames: Vec<_> = markers
            .map(|(user_id, seq)| {
                let frame = Frame::Read {
                    room_id,
                    user_id,
                    seq,
                    last_seq: None,
                    unread: None,
                    unread_mentions: None,
                };
                (user_id, framed(&frame.to_json(), self.hub.framing))
            })
            .collect();
        let told = self.tell(&frames).await;
        self.hub.metrics.markers.increment(told);
    }

    /// One write for each listener: the frames, but for his own. How many were told.
    async fn tell(&mut self, frames: &[(UserId, Framed)]) -> u64 {
        let mut all = [const { None::<Bytes> }; Wire::COUNT];
        let mut told = 0;
        for (index, listener) in self.listeners.0.iter().enumerate() {
            let (user_id, wire) = (listener.user_id, listener.mailbox.wire());
            let bytes = match frames.iter().any(|(whose, _)| *whose == user_id) {
                true => join(frames, Some(user_id), wire),
                false => all[wire as usize]
                    .get_or_insert_with(|| join(frames, None, wire))
                    .clone(),
            };
            if !bytes.is_empty() && listener.mailbox.hint(&bytes) {
                told += 1;
            }
            if index % FANOUT_CHUNK == FANOUT_CHUNK - 1 {
                tokio::task::yield_now().await;
            }
        }
        told
    }
}

/// The frames of all but one as the bytes of one write.
fn join(frames: &[(UserId, Framed)], but: Option<UserId>, wire: Wire) -> Bytes {
    let mut bytes = Vec::new();
    for (user_id, frame) in frames {
        if Some(*user_id) != but {
            bytes.extend_from_slice(&frame.over(wire));
        }
    }
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_said_to_type_once_in_an_interval() {
        let (mut hints, start) = (Hints::default(), Instant::now());
        assert!(hints.types(UserId(1), start));
        assert!(hints.types(UserId(2), start + TYPING_INTERVAL / 2));
        assert!(!hints.types(UserId(1), start + TYPING_INTERVAL / 2));
        assert!(hints.types(UserId(1), start + TYPING_INTERVAL));
        assert!(!hints.types(UserId(2), start + TYPING_INTERVAL));
        for id in 0..1_000 {
            hints.types(UserId(id), start + TYPING_INTERVAL);
        }
        assert_eq!(hints.typists.len(), TYPING_LISTENERS_MAX);
    }

    #[test]
    fn of_each_reader_the_highest_marker_waits_for_the_interval_of_the_first() {
        let (mut hints, start) = (Hints::default(), Instant::now());
        assert!(!hints.are_waiting());
        for (user_id, seq) in [(1, 4), (2, 9), (1, 7), (1, 5)] {
            hints.mark(UserId(user_id), seq, start + MARKERS_INTERVAL / 2);
        }
        assert_eq!(
            hints.due,
            Some(start + MARKERS_INTERVAL / 2 + MARKERS_INTERVAL)
        );
        let markers = Vec::from_iter(hints.take_markers());
        assert_eq!(markers, [(UserId(1), 7), (UserId(2), 9)]);
        assert!(!hints.are_waiting() && hints.take_markers().is_empty());
        for id in 0..1_000 {
            hints.mark(UserId(id), 1, start);
        }
        assert_eq!(hints.markers.len() as u64, MARKERS_ROOM_MAX);
    }
}

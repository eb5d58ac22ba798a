//! What the follower's thread and those who use it share: what waits for the thread, and what it shows.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::index::View;
use crate::{
    limits::{INDEX_EVENTS_BYTES_MAX, INDEX_EVENTS_MAX},
    protocol::{Rev, RoomId, Seq, rest::Message},
    store::{Event, EventBody, What},
};

/// How far the index is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Whether everything that was committed a few seconds ago is found.
    pub complete: bool,
    /// The indexed share of all changes, from 0 to 1.
    pub share: f64,
}

/// What the follower's thread and its users share.
#[derive(Default)]
pub struct Shared {
    pub waiting: Mutex<Waiting>,
    pub woken: Condvar,
    pub view: Mutex<Option<View>>,
    pub progress: Mutex<Option<Progress>>,
}

/// What waits for the thread.
#[derive(Default)]
pub struct Waiting {
    pub notes: Vec<Note>,
    /// About what the notes take.
    pub bytes: usize,
    /// Events were dropped: any room may be behind.
    pub all: bool,
    /// A search failed: the files are to be examined.
    pub suspect: bool,
    pub flushes: Vec<oneshot::Sender<()>>,
    pub stops: Vec<oneshot::Sender<()>>,
}

impl Waiting {
    /// Whether somebody waits for the thread.
    pub fn is_urgent(&self) -> bool {
        self.suspect || !self.flushes.is_empty() || !self.stops.is_empty()
    }

    pub fn is_empty(&self) -> bool {
        self.notes.is_empty() && !self.all && !self.is_urgent()
    }
}

/// A committed change, as far as the index needs it.
pub struct Note {
    pub room_id: RoomId,
    pub prev: Rev,
    pub rev: Rev,
    pub what: Noted,
}

pub enum Noted {
    Sent(Arc<Message>),
    Erased(Seq),
    /// Its text has changed: it is read from the log.
    Edited,
    /// No text has changed.
    Other,
    RoomDeleted,
}

impl Note {
    fn of(event: &Event) -> Option<Self> {
        let what = match &event.body {
            EventBody::Message(message) => Noted::Sent(message.clone()),
            EventBody::Updated(update) => match update.what {
                What::Edited { .. } => Noted::Edited,
                What::Deleted { .. } => Noted::Erased(update.seq),
                What::Reacted { .. } | What::Pinned { .. } => Noted::Other,
            },
            EventBody::Member(_) | EventBody::Room(_) => Noted::Other,
            EventBody::Deleted { .. } => Noted::RoomDeleted,
            // It takes no `rev`.
            EventBody::Read { .. } => return None,
        };
        Some(Self {
            room_id: event.room_id,
            prev: event.prev,
            rev: event.rev,
            what,
        })
    }
}

impl Shared {
    /// Notes committed events. Doesn't wait.
    pub fn note(&self, events: &[Event]) {
        let mut waiting = lock(&self.waiting);
        for event in events {
            let bytes = event.bytes();
            if waiting.notes.len() >= INDEX_EVENTS_MAX
                || waiting.bytes + bytes > INDEX_EVENTS_BYTES_MAX
            {
                waiting.all = true;
                break;
            }
            if let Some(note) = Note::of(event) {
                waiting.notes.push(note);
                waiting.bytes += bytes;
            }
        }
        drop(waiting);
        self.woken.notify_one();
    }

    /// The newest commit of the index, if there is one.
    pub fn view(&self) -> Option<View> {
        lock(&self.view).clone()
    }

    pub fn progress(&self) -> Progress {
        lock(&self.progress).unwrap_or(Progress {
            complete: false,
            share: 0.0,
        })
    }

    /// A search failed: the thread examines the files.
    pub fn suspect(&self) {
        lock(&self.waiting).suspect = true;
        self.woken.notify_one();
    }

    /// Returns when all that was committed before is found.
    pub async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        lock(&self.waiting).flushes.push(done);
        self.woken.notify_one();
        let _ = flushed.await;
    }

    /// Ends the thread, after it has stored what it has.
    pub async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        lock(&self.waiting).stops.push(done);
        self.woken.notify_one();
        let _ = stopped.await;
    }
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who asked may be gone.
pub fn answer(asker: oneshot::Sender<()>) {
    let _ = asker.send(());
}

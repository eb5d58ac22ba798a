//! A mailbox: the way out to one connection, with a bound.
//!
//! Two write to a socket: the tasks of its rooms (live events) and its own session (answers,
//! catch-up). Both go through the mailbox, whose short lock keeps them in order and frames whole.
//! While nothing waits, the writer's bytes go straight to the socket with one non-blocking write;
//! what the socket doesn't take is queued, and the session drains the queue as the socket allows.
//!
//! Invariants: nobody waits for a mailbox; live events that wait are at most
//! [`MAILBOX_BYTES_MAX`] and [`MAILBOX_FRAMES_MAX`], and what finds no place is refused whole, so
//! that the room can tell the member where it stopped; answers aren't counted, their bound is that
//! the session stops reading requests; a closed mailbox takes nothing, whoever says it, but the
//! session's last word ([`Mailbox::last_word`]). Lock tier 2: taken with no other lock held but a
//! registry shard's, never across an await.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::pin,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use bytes::{Buf, Bytes};
use tokio::{net::TcpStream, sync::Notify};

use super::encode::Wire;
use crate::{
    limits::{MAILBOX_BYTES_MAX, MAILBOX_FRAMES_MAX, NOTICES_MAX},
    protocol::{Rev, RoomId, Seq, close::Close},
};

/// Slices per vectored write while draining.
const SLICES: usize = 32;

/// A connection's number, unique in this process.
pub type ConnectionId = u64;

/// What the hub has to tell a session about its user's memberships, in commit order for each room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    Joined {
        room_id: RoomId,
        rev: Rev,
    },
    Left {
        room_id: RoomId,
        rev: Rev,
    },
    /// The user has read up to here, perhaps on another device.
    Read {
        room_id: RoomId,
        seq: Seq,
    },
}

/// Whether there may be news of who is online, and who looks next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stir {
    /// There is none; what comes wakes the session.
    Quiet,
    /// There is none; the session looks again by itself, and isn't woken before.
    Resting,
    /// There may be some.
    Waiting,
}

/// What became of live bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Written or queued: they will reach the socket unless it breaks.
    Taken,
    /// No place: none of the bytes was taken.
    Full,
    /// The connection is closing or closed.
    Closed,
}

/// See the module's documentation.
pub struct Mailbox {
    id: ConnectionId,
    stream: TcpStream,
    wire: Wire,
    out: Mutex<Out>,
    /// The session has something to do: bytes to drain, a notice, a lag, a close.
    wake: Notify,
    /// The queue became empty.
    drained: Notify,
}

struct Out {
    queue: VecDeque<Chunk>,
    live_bytes: usize,
    live_frames: usize,
    answer_bytes: usize,
    notices: VecDeque<Notice>,
    /// Rooms that stopped delivering, with the last `rev` that was taken.
    lags: Vec<(RoomId, Rev)>,
    stir: Stir,
    /// Closed, and why.
    close: Option<Close>,
    /// The server goes away.
    leaving: bool,
    /// When the socket last took a byte, or when the queue last became non-empty.
    progress: Instant,
}

struct Chunk {
    bytes: Bytes,
    /// Frames in it that count against the mailbox's bound; 0 for answers.
    live_frames: usize,
}

/// What a session finds when it wakes.
#[derive(Clone, Copy, Debug)]
pub struct Backlog {
    /// Bytes that wait for the socket, and since when it has taken none.
    pub bytes: usize,
    pub answer_bytes: usize,
    pub stalled_since: Instant,
    pub stir: Stir,
    pub close: Option<Close>,
    /// The session is to end when its request is answered.
    pub leaving: bool,
}

impl Backlog {
    /// Why the connection closes, or will before long: nothing that takes long is worth beginning.
    pub fn closing(&self) -> Option<Close> {
        let going_away = self.leaving.then_some(Close::GoingAway);
        self.close.or(going_away)
    }
}

impl Mailbox {
    pub fn new(stream: TcpStream, wire: Wire) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            stream,
            wire,
            out: Mutex::new(Out {
                queue: VecDeque::new(),
                live_bytes: 0,
                live_frames: 0,
                answer_bytes: 0,
                notices: VecDeque::new(),
                lags: Vec::new(),
                stir: Stir::Quiet,
                close: None,
                leaving: false,
                progress: Instant::now(),
            }),
            wake: Notify::new(),
            drained: Notify::new(),
        }
    }

    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// What is to be written to it: bytes for this wire.
    pub fn wire(&self) -> Wire {
        self.wire
    }

    /// The socket, for reading; nobody but the mailbox writes to it.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    fn lock(&self) -> MutexGuard<'_, Out> {
        self.out
            .lock()
            .expect("no panic happens under a mailbox's lock")
    }

    /// Takes whole frames of live events, or none of them.
    pub fn deliver(&self, bytes: &Bytes, frames: usize) -> Delivery {
        let mut out = self.lock();
        if out.close.is_some() {
            return Delivery::Closed;
        }
        let Ok(written) = self.write_through(&mut out, bytes) else {
            return Delivery::Closed;
        };
        if written == bytes.len() {
            return Delivery::Taken;
        }
        // The rest of a frame that has begun must be kept: the socket was empty before it.
        let fits = out.live_bytes + bytes.len() <= MAILBOX_BYTES_MAX
            && out.live_frames + frames <= MAILBOX_FRAMES_MAX;
        if written == 0 && !fits {
            return Delivery::Full;
        }
        self.enqueue(&mut out, bytes.slice(written..), frames);
        Delivery::Taken
    }

    /// Takes what the session itself has to say, for as long as the mailbox isn't closed. The session
    /// bounds it by waiting for [`Mailbox::drained`] or by not reading requests.
    pub fn answer(&self, bytes: Bytes) {
        let mut out = self.lock();
        if out.close.is_none() {
            self.put(&mut out, bytes);
        }
    }

    /// Takes what a client hears last: after the close, and behind all that was taken before it.
    pub fn last_word(&self, bytes: Bytes) {
        let mut out = self.lock();
        debug_assert!(out.close.is_some(), "others have their say until the close");
        self.put(&mut out, bytes);
    }

    fn put(&self, out: &mut Out, bytes: Bytes) {
        if let Ok(written) = self.write_through(out, &bytes) {
            self.keep(out, bytes.slice(written..));
        }
    }

    /// Queues what the socket didn't take of an answer.
    fn keep(&self, out: &mut Out, rest: Bytes) {
        if !rest.is_empty() {
            out.answer_bytes += rest.len();
            self.enqueue(out, rest, 0);
        }
    }

    /// Writes a hint if nothing waits and the socket takes it, or at least the beginning of it; else it
    /// is dropped.
    pub fn hint(&self, bytes: &Bytes) -> bool {
        let mut out = self.lock();
        if out.close.is_some() || !out.queue.is_empty() {
            return false;
        }
        match self.write_through(&mut out, bytes) {
            Ok(0) | Err(_) => false,
            Ok(written) => {
                self.keep(&mut out, bytes.slice(written..));
                true
            }
        }
    }

    /// One non-blocking write if nothing waits; how many bytes the socket took.
    fn write_through(&self, out: &mut Out, bytes: &[u8]) -> io::Result<usize> {
        if !out.queue.is_empty() {
            return Ok(0);
        }
        match self.stream.try_write(bytes) {
            Ok(written) => Ok(written),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(error) => {
                self.fail(out, Close::Gone);
                Err(error)
            }
        }
    }

    fn enqueue(&self, out: &mut Out, bytes: Bytes, live_frames: usize) {
        if out.queue.is_empty() {
            out.progress = Instant::now();
            self.wake.notify_one();
        }
        if live_frames > 0 {
            out.live_bytes += bytes.len();
            out.live_frames += live_frames;
        }
        out.queue.push_back(Chunk { bytes, live_frames });
    }

    /// Writes what waits until the socket takes no more.
    pub fn drain(&self) {
        let mut out = self.lock();
        while !out.queue.is_empty() {
            let slices: Vec<IoSlice> = out
                .queue
                .iter()
                .take(SLICES)
                .map(|chunk| IoSlice::new(&chunk.bytes))
                .collect();
            match self.stream.try_write_vectored(&slices) {
                Ok(written) => {
                    out.progress = Instant::now();
                    out.advance(written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    out.forget();
                    self.fail(&mut out, Close::Gone);
                    return;
                }
            }
        }
        out.queue = VecDeque::new();
        self.drained.notify_waiters();
    }

    /// Waits until the socket can take bytes again.
    pub async fn writable(&self) {
        // An error shows at the next write.
        let _ = self.stream.writable().await;
    }

    /// Writes all that waits, until the socket breaks.
    pub async fn flush(&self) {
        while self.backlog().bytes > 0 {
            self.writable().await;
            self.drain();
        }
    }

    /// Waits until nothing waits for the socket any more, or the connection is closing.
    pub async fn drained(&self) {
        loop {
            let mut drained = pin!(self.drained.notified());
            // From here on no notification is missed, and the queue is looked at after.
            drained.as_mut().enable();
            {
                let out = self.lock();
                if out.queue.is_empty() || out.close.is_some() || out.leaving {
                    return;
                }
            }
            drained.await;
        }
    }

    /// Waits for something for the session to do.
    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    pub fn backlog(&self) -> Backlog {
        let out = self.lock();
        Backlog {
            bytes: out.live_bytes + out.answer_bytes,
            answer_bytes: out.answer_bytes,
            stalled_since: out.progress,
            stir: out.stir,
            close: out.close,
            leaving: out.leaving,
        }
    }

    /// Leaves a notice for the session; without a place the connection closes as too slow, for
    /// notices are never dropped.
    pub fn notice(&self, notice: Notice) {
        let mut out = self.lock();
        if let Notice::Read { room_id, .. } = notice {
            // The last one says it all.
            let waiting = out.notices.iter_mut().find(
                |waiting| matches!(waiting, Notice::Read { room_id: room, .. } if *room == room_id),
            );
            if let Some(waiting) = waiting {
                *waiting = notice;
                return;
            }
        }
        if out.notices.len() >= NOTICES_MAX {
            self.fail(&mut out, Close::TooSlow);
            return;
        }
        out.notices.push_back(notice);
        self.wake.notify_one();
    }

    pub fn take_notice(&self) -> Option<Notice> {
        self.lock().notices.pop_front()
    }

    /// Notes that a room stopped delivering after `rev`. Told when the queue has drained.
    pub fn lag(&self, room_id: RoomId, rev: Rev) {
        let mut out = self.lock();
        out.lags.push((room_id, rev));
        self.wake.notify_one();
    }

    /// The lags to tell now: none while anything waits that comes before them.
    pub fn take_lags(&self) -> Vec<(RoomId, Rev)> {
        let mut out = self.lock();
        if out.queue.is_empty() {
            std::mem::take(&mut out.lags)
        } else {
            Vec::new()
        }
    }

    /// Drops a lag that is no longer true: the session subscribes to the room anew, or leaves it.
    pub fn forget_lag(&self, room_id: RoomId) {
        self.lock().lags.retain(|(lagged, _)| *lagged != room_id);
    }

    /// There may be news of who is online. Wakes the session once, and not while it rests.
    pub fn stir(&self) {
        let mut out = self.lock();
        if out.stir == Stir::Quiet {
            self.wake.notify_one();
        }
        out.stir = Stir::Waiting;
    }

    /// Whether to look for news now; if so, what comes from here on waits until the next look.
    pub fn look(&self) -> bool {
        let mut out = self.lock();
        let waiting = out.stir == Stir::Waiting;
        out.stir = match waiting {
            true => Stir::Resting,
            false => Stir::Quiet,
        };
        waiting
    }

    /// Closes: from here on nothing is taken but the last word. The first reason stands, and is answered.
    pub fn close(&self, close: Close) -> Close {
        let mut out = self.lock();
        self.fail(&mut out, close)
    }

    /// Asks the session to end because the server does: what it is at may still be answered.
    pub fn leave(&self) {
        self.lock().leaving = true;
        self.wake.notify_one();
        self.drained.notify_waiters();
    }

    fn fail(&self, out: &mut Out, close: Close) -> Close {
        self.wake.notify_one();
        self.drained.notify_waiters();
        *out.close.get_or_insert(close)
    }
}

impl Out {
    /// Nobody will read it: what waits for a socket that broke, or whoever drains it would never end.
    fn forget(&mut self) {
        self.queue = VecDeque::new();
        (self.live_bytes, self.live_frames, self.answer_bytes) = (0, 0, 0);
    }

    fn advance(&mut self, mut written: usize) {
        while let Some(chunk) = self.queue.front_mut() {
            let taken = written.min(chunk.bytes.len());
            chunk.bytes.advance(taken);
            written -= taken;
            if chunk.live_frames > 0 {
                self.live_bytes -= taken;
            } else {
                self.answer_bytes -= taken;
            }
            if !chunk.bytes.is_empty() {
                return;
            }
            self.live_frames -= chunk.live_frames;
            self.queue.pop_front();
        }
    }
}

#[cfg(test)]
mod tests;

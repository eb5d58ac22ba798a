//! A mailbox: the bounded outbound queue of one connection.
//!
//! Two kinds of tasks write to a socket: those of its rooms (live events) and the connection's own (answers, catch-up).
//! Both go through the mailbox, whose short lock keeps frames in order and whole. While nothing waits, bytes go straight
//! to the socket with one non-blocking write. What the socket doesn't take is queued, and the connection drains the queue
//! as the socket allows.
//!
//! Invariants: nobody waits for a mailbox. Live events that wait are at most [`MAILBOX_BYTES_MAX`] and
//! [`MAILBOX_FRAMES_MAX`], and those that don't fit are refused whole, so that the room can tell the member where it
//! stopped. Answers aren't counted: the connection bounds them by not reading requests. A closed mailbox accepts nothing
//! but the connection's last word ([`Mailbox::last_word`]). Lock tier 2: taken with no other lock held but a registry
//! shard's, and never across an await.

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

use super::wire::Wire;
use crate::{
    limits::{MAILBOX_BYTES_MAX, MAILBOX_CHUNKS_PER_WRITE, MAILBOX_FRAMES_MAX, NOTICES_MAX},
    protocol::{Rev, RoomId, Seq, close::Close},
};

/// A connection's number, unique in this process.
pub type ConnectionId = u64;

/// Tells a user's connections that the user's membership changed, in commit order for each room.
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

/// Whether there may be news of who is online, and how the connection learns of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresenceNews {
    /// There is none. The next change wakes the connection.
    None,
    /// There is none. The connection looks again by itself and isn't woken before.
    Resting,
    /// There may be some.
    Waiting,
}

/// What became of live bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Written or queued: they reach the socket unless it breaks.
    Accepted,
    /// They didn't fit, and none of them was accepted.
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
    /// The connection has something to do: bytes to drain, a notice, a lag, a close.
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
    /// Rooms that stopped delivering, with the last `rev` that was accepted.
    lags: Vec<(RoomId, Rev)>,
    presence: PresenceNews,
    /// Why the mailbox is closed.
    close: Option<Close>,
    /// The server stops.
    leaving: bool,
    /// When the socket last took a byte, or when the queue last became non-empty.
    progress: Instant,
}

struct Chunk {
    bytes: Bytes,
    /// Frames in it that count against the mailbox's bound; 0 for answers.
    live_frames: usize,
}

/// What a connection finds when it is woken.
#[derive(Clone, Copy, Debug)]
pub struct Backlog {
    /// Bytes that wait for the socket, and since when it has taken none.
    pub bytes: usize,
    pub answer_bytes: usize,
    pub stalled_since: Instant,
    pub presence: PresenceNews,
    pub close: Option<Close>,
    /// The connection is to end when its request is answered.
    pub leaving: bool,
}

impl Backlog {
    /// Why the connection closes, now or soon: nothing that takes long should be begun.
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
                presence: PresenceNews::None,
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

    /// The wire for which bytes must be encoded.
    pub fn wire(&self) -> Wire {
        self.wire
    }

    /// The socket, for reading. Only the mailbox writes to it.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    fn lock(&self) -> MutexGuard<'_, Out> {
        self.out
            .lock()
            .expect("no panic happens under a mailbox's lock")
    }

    /// Accepts whole frames of live events, or none of them.
    pub fn deliver(&self, bytes: &Bytes, frames: usize) -> Delivery {
        let mut out = self.lock();
        if out.close.is_some() {
            return Delivery::Closed;
        }
        let Ok(written) = self.write_through(&mut out, bytes) else {
            return Delivery::Closed;
        };
        if written == bytes.len() {
            return Delivery::Accepted;
        }
        // The rest of a frame whose beginning was written must be kept. Nothing else waits then.
        let fits = out.live_bytes + bytes.len() <= MAILBOX_BYTES_MAX
            && out.live_frames + frames <= MAILBOX_FRAMES_MAX;
        if written == 0 && !fits {
            return Delivery::Full;
        }
        self.enqueue(&mut out, bytes.slice(written..), frames);
        Delivery::Accepted
    }

    /// Accepts what the connection itself has to say, unless the mailbox is closed. The connection bounds it by waiting
    /// for [`Mailbox::drained`] or by not reading requests.
    pub fn answer(&self, bytes: Bytes) {
        let mut out = self.lock();
        if out.close.is_none() {
            self.put(&mut out, bytes);
        }
    }

    /// Accepts what the client reads last: after the close, and behind all that was accepted before.
    pub fn last_word(&self, bytes: Bytes) {
        let mut out = self.lock();
        debug_assert!(out.close.is_some(), "it follows the close");
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

    /// Writes ephemeral frames if nothing waits and the socket takes them, or at least their beginning; otherwise drops
    /// them. Returns whether they were written.
    pub fn deliver_ephemeral(&self, bytes: &Bytes) -> bool {
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

    /// One non-blocking write, if nothing waits. Returns how many bytes the socket took.
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
                .take(MAILBOX_CHUNKS_PER_WRITE)
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

    /// Waits until the queue is empty or the connection is closing.
    pub async fn drained(&self) {
        loop {
            let mut drained = pin!(self.drained.notified());
            // From here on no notification is missed. So the queue is examined after this.
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

    /// Waits until the connection has something to do.
    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    pub fn backlog(&self) -> Backlog {
        let out = self.lock();
        Backlog {
            bytes: out.live_bytes + out.answer_bytes,
            answer_bytes: out.answer_bytes,
            stalled_since: out.progress,
            presence: out.presence,
            close: out.close,
            leaving: out.leaving,
        }
    }

    /// Leaves a notice for the connection. Notices are never dropped: if there is no place, the connection closes as too
    /// slow.
    pub fn notice(&self, notice: Notice) {
        let mut out = self.lock();
        if let Notice::Read { room_id, .. } = notice {
            // The last one supersedes the others.
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

    /// Notes that a room stopped delivering after `rev`. The client is told when the queue is empty.
    pub fn lag(&self, room_id: RoomId, rev: Rev) {
        let mut out = self.lock();
        out.lags.push((room_id, rev));
        self.wake.notify_one();
    }

    /// The lags to tell now: none while anything waits that precedes them.
    pub fn take_lags(&self) -> Vec<(RoomId, Rev)> {
        let mut out = self.lock();
        if out.queue.is_empty() {
            std::mem::take(&mut out.lags)
        } else {
            Vec::new()
        }
    }

    /// Drops a lag that is no longer true: the connection subscribes to the room anew, or leaves it.
    pub fn forget_lag(&self, room_id: RoomId) {
        self.lock().lags.retain(|(lagged, _)| *lagged != room_id);
    }

    /// There may be news of who is online. Wakes the connection once, and not while it rests.
    pub fn presence_changed(&self) {
        let mut out = self.lock();
        if out.presence == PresenceNews::None {
            self.wake.notify_one();
        }
        out.presence = PresenceNews::Waiting;
    }

    /// Whether to look for news of presence now. If so, later changes wait for the next look.
    pub fn take_presence_news(&self) -> bool {
        let mut out = self.lock();
        let is_waiting = out.presence == PresenceNews::Waiting;
        out.presence = if is_waiting {
            PresenceNews::Resting
        } else {
            PresenceNews::None
        };
        is_waiting
    }

    /// Closes the mailbox: from here on it accepts only the last word. The first reason stands, and is returned.
    pub fn close(&self, close: Close) -> Close {
        let mut out = self.lock();
        self.fail(&mut out, close)
    }

    /// Asks the connection to end because the server stops. A request that is under way may still be answered.
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
    /// Drops all data queued for a broken socket; otherwise [`Mailbox::flush`] would loop forever.
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

//! Open-loop traffic: messages at a fixed rate whatever becomes of them, and readers who check that each
//! comes once, in order, and note when. The same for Hearth and for the floor.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};

use crate::{
    report::Times,
    support::wire::{self, Socket},
};

/// Bytes of a message's text.
const CONTENT_BYTES: usize = 128;
/// How long the last deliveries may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Somebody in a room, with a socket that is live there.
pub struct Seat {
    pub room: usize,
    pub socket: Socket,
}

/// What is written to send a text to a room: the frame, whole.
pub type Compose = Box<dyn Fn(usize, &str) -> Vec<u8>>;

/// What goes on in the rooms.
struct Shared {
    started: Instant,
    delivered: Cell<u64>,
    acked: Cell<u64>,
    /// Frames that break the order, or that should never come.
    faults: RefCell<Vec<String>>,
    latencies: RefCell<Times>,
}

impl Shared {
    fn now(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }

    fn fault(&self, fault: String) {
        let mut faults = self.faults.borrow_mut();
        if faults.len() < 10 {
            faults.push(fault);
        }
    }

    /// A frame came to somebody who stands at `position`.
    fn frame(&self, position: &mut Option<u64>, frame: &[u8]) {
        if wire::is(frame, "ack") {
            return self.acked.set(self.acked.get() + 1);
        }
        let rev = wire::number(frame, "rev");
        let sent = wire::string(frame, "content")
            .and_then(|text| std::str::from_utf8(text.get(..16)?).ok()?.parse().ok());
        let (Some(rev), Some(sent), true) = (rev, sent, wire::is(frame, "message")) else {
            return self.fault(String::from_utf8_lossy(frame).into_owned());
        };
        if position.is_some_and(|position| rev != position + 1) {
            self.fault(format!("rev {rev} after {position:?}"));
        }
        *position = Some(rev);
        self.delivered.set(self.delivered.get() + 1);
        let now: u64 = self.now();
        self.latencies.borrow_mut().push(now.saturating_sub(sent));
    }
}

/// Rooms full of people who read, and a way to make them talk.
pub struct Traffic {
    shared: Rc<Shared>,
    talk: Vec<tokio::sync::mpsc::Sender<Vec<u8>>>,
    seats: Vec<usize>,
    members: u64,
    compose: Compose,
    next: Cell<usize>,
    acks: bool,
}

/// What one turn of traffic showed.
pub struct Turn {
    pub delivered: u64,
    /// Deliveries that never came.
    pub lost: u64,
    pub unacked: u64,
    pub faults: Vec<String>,
    pub latencies: Times,
    /// How far the sender fell behind its own plan.
    pub late: Times,
}

impl Traffic {
    /// `members`: seats in each room. `acks`: each message gets one.
    pub fn new(seats: Vec<Seat>, members: usize, acks: bool, compose: Compose) -> Self {
        let shared = Rc::new(Shared {
            started: Instant::now(),
            delivered: Cell::new(0),
            acked: Cell::new(0),
            faults: RefCell::default(),
            latencies: RefCell::default(),
        });
        let rooms = seats.iter().map(|seat| seat.room).collect();
        let mut talk = Vec::new();
        for Seat { mut socket, .. } in seats {
            let shared = shared.clone();
            let (say, mut heard) = tokio::sync::mpsc::channel::<Vec<u8>>(64);
            talk.push(say);
            tokio::task::spawn_local(async move {
                let mut position = None;
                loop {
                    let read = socket.read(|_, frame| shared.frame(&mut position, frame));
                    tokio::select! {
                        read = read => if let Err(error) = read {
                            return shared.fault(format!("a socket ended: {error}"));
                        },
                        frame = heard.recv() => match frame {
                            Some(frame) => socket.send(&frame),
                            None => return,
                        },
                    }
                }
            });
        }
        Self {
            shared,
            talk,
            seats: rooms,
            members: members as u64,
            compose,
            next: Cell::new(0),
            acks,
        }
    }

    /// Sends `rate` messages a second, each by the next seat in turn, and waits until all are delivered.
    pub async fn turn(&self, rate: u32, length: Duration) -> Turn {
        let shared = &self.shared;
        let (delivered_before, acked_before) = (shared.delivered.get(), shared.acked.get());
        shared.latencies.borrow_mut().clear();
        let mut late = Times::default();
        let interval = Duration::from_secs(1) / rate;
        let total = u64::from(rate) * length.as_secs();
        let start = Instant::now();
        for number in 0..total {
            let due = start + interval * number as u32;
            if Instant::now() < due {
                tokio::time::sleep_until(due.into()).await;
            }
            late.push(due.elapsed().as_micros() as u64);
            self.say();
            // Readers get their turn also when the sender is late.
            tokio::task::yield_now().await;
        }
        let expected = total * self.members;
        let acks = if self.acks { total } else { 0 };
        let end = Instant::now();
        let (mut delivered, mut acked) = (0, 0);
        while end.elapsed() < PATIENCE {
            delivered = shared.delivered.get() - delivered_before;
            acked = shared.acked.get() - acked_before;
            if delivered >= expected && acked >= acks {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Turn {
            delivered,
            lost: expected.saturating_sub(delivered),
            unacked: acks.saturating_sub(acked),
            faults: shared.faults.take(),
            latencies: shared.latencies.take(),
            late,
        }
    }

    fn say(&self) {
        // From room to room, and in each room from seat to seat.
        let rooms = self.talk.len() / self.members as usize;
        let number = self.next.get();
        self.next.set(number + 1);
        let seat =
            (number % rooms) * self.members as usize + (number / rooms) % self.members as usize;
        let mut content = format!("{:016}", self.shared.now());
        content.extend(std::iter::repeat_n('x', CONTENT_BYTES - content.len()));
        let frame = (self.compose)(self.seats[seat], &content);
        self.talk[seat]
            .try_send(frame)
            .expect("a client sends what it has to say");
    }
}

//! How long a test waits for what must come. A deadline ends a test that would wait for ever; it measures nothing.
//!
//! Deadlines run on a clock of their own, which slows down as the machine gets busy: while n tasks want each core, one of
//! its seconds takes n seconds. So a test waits as long on a busy machine as its work takes there, and a server's own
//! deadlines can be told from much later ones on any machine.
//!
//! The source is the fourth field of `/proc/loadavg` (proc(5)): the tasks that can run at this moment. Where it can't be
//! read, the clock runs as the wall clock does.

use std::{
    fs,
    future::Future,
    ops::Range,
    pin::pin,
    sync::{Mutex, Once},
    thread,
    time::{Duration, Instant},
};

/// How long what must come may take on a quiet machine: far beyond what it takes.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How often the machine is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// The weight of a look against those before it: busyness is that of about the last second.
const WEIGHT: f64 = 0.05;
/// No machine that anybody tests on is busier.
const CROWDING_MAX: f64 = 32.0;

/// Nothing came in time.
#[derive(Debug)]
pub struct TooLate;

/// A point in time, for deadlines and for what must not take longer than some time.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    wall: Instant,
    quiet: Duration,
}

impl Moment {
    pub fn now() -> Self {
        static WATCH: Once = Once::new();
        WATCH.call_once(|| {
            thread::spawn(watch);
        });
        Self {
            wall: Instant::now(),
            quiet: CLOCK.lock().unwrap().now(),
        }
    }

    /// How long ago it was, as the clock on the wall says: for lower bounds.
    pub fn elapsed(self) -> Duration {
        self.wall.elapsed()
    }

    /// How long ago it was on the clock of deadlines, which is never ahead of the wall's: for upper bounds.
    pub fn quiet_elapsed(self) -> Duration {
        Self::now().quiet - self.quiet
    }

    /// Asserts that what began then took its time, and ended soon enough.
    #[track_caller]
    pub fn assert_took(self, seconds: Range<u64>) {
        let (wall, quiet) = (self.elapsed(), self.quiet_elapsed());
        assert!(
            wall >= Duration::from_secs(seconds.start) && quiet < Duration::from_secs(seconds.end),
            "it took {wall:?}, {quiet:?} on a quiet machine, and not {seconds:?} s"
        );
    }
}

/// As [`tokio::time::timeout`], on the clock of deadlines.
pub async fn timeout<T>(patience: Duration, future: impl Future<Output = T>) -> Result<T, TooLate> {
    let began = Moment::now();
    let mut future = pin!(future);
    let mut left = patience;
    loop {
        if let Ok(output) = tokio::time::timeout(left, future.as_mut()).await {
            return Ok(output);
        }
        left = patience.saturating_sub(began.quiet_elapsed());
        if left.is_zero() {
            return Err(TooLate);
        }
        left = left.max(LOOK);
    }
}

static CLOCK: Mutex<Clock> = Mutex::new(Clock {
    shown: Duration::ZERO,
    moved: None,
    crowding: 1.0,
});

struct Clock {
    shown: Duration,
    moved: Option<Instant>,
    /// Tasks that want each core.
    crowding: f64,
}

impl Clock {
    fn now(&mut self) -> Duration {
        let now = Instant::now();
        let passed = now - *self.moved.get_or_insert(now);
        self.moved = Some(now);
        self.shown += passed.div_f64(self.crowding);
        self.shown
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a thread of its own, which nothing waits for"
)]
fn watch() {
    let cores = thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
    while let Some(running) = running() {
        {
            let mut clock = CLOCK.lock().unwrap();
            clock.now();
            let crowding = (running / cores).clamp(1.0, CROWDING_MAX);
            clock.crowding += WEIGHT * (crowding - clock.crowding);
        }
        thread::sleep(LOOK);
    }
}

fn running() -> Option<f64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    let (running, _) = text.split(' ').nth(3)?.split_once('/')?;
    running.parse().ok()
}

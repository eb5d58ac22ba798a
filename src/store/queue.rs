//! What waits for a transaction, and how its caller hears the outcome.
//!
//! Invariant: a caller hears one answer, and `Unavailable` only when the change will never be executed. The caller's deadline and
//! the writer's start of the change meet in one atomic: the first decides.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::Instant,
};

use super::{
    change::{Change, Outcome},
    error::{Error, Result},
};
use crate::limits;

const WAITING: u8 = 0;
/// In a transaction that may commit.
const STARTED: u8 = 1;
/// Its caller has heard `Unavailable`: it must not be executed.
const ABANDONED: u8 = 2;

/// The writer's half of a change or a job.
#[derive(Debug)]
pub struct Claim<T> {
    state: Arc<AtomicU8>,
    deadline: Instant,
    answer: oneshot::Sender<Result<T>>,
}

/// The caller's half.
#[derive(Debug)]
pub struct Ticket<T> {
    state: Arc<AtomicU8>,
    deadline: Instant,
    answer: oneshot::Receiver<Result<T>>,
}

/// Both halves. The deadline is `after` from now.
pub fn ticket<T>(after: Duration) -> (Claim<T>, Ticket<T>) {
    let state = Arc::new(AtomicU8::new(WAITING));
    let deadline = Instant::now() + after;
    let (sender, receiver) = oneshot::channel();
    let claim = Claim {
        state: state.clone(),
        deadline,
        answer: sender,
    };
    let ticket = Ticket {
        state,
        deadline,
        answer: receiver,
    };
    (claim, ticket)
}

impl<T> Claim<T> {
    /// Before a transaction: whether it may still be executed. If not, its caller has heard so or hears it now, and the claim is to be
    /// dropped ([`Claim::refuse`]).
    pub fn start(&self) -> bool {
        if Instant::now() >= self.deadline {
            return false;
        }
        self.state
            .compare_exchange(WAITING, STARTED, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// After a transaction that wrote nothing: it waits again.
    pub fn release(&self) {
        self.state.store(WAITING, Ordering::Release);
    }

    pub fn answer(self, answer: Result<T>) {
        // A caller that is gone has heard `Unknown`, or hears nothing at all.
        let _ = self.answer.send(answer);
    }

    /// Answers what could not be started.
    pub fn refuse(self) {
        self.answer(Err(late()));
    }
}

impl<T> Ticket<T> {
    /// The answer; at the deadline what is known without it.
    pub async fn wait(self) -> Result<T> {
        match tokio::time::timeout_at(self.deadline, self.answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Error::Unknown("the log has ended".into())),
            Err(_) => {
                let abandoned = self.state.compare_exchange(
                    WAITING,
                    ABANDONED,
                    Ordering::AcqRel,
                    Ordering::Acquire,
                );
                match abandoned {
                    Ok(_) => Err(late()),
                    Err(_) => Err(Error::Unknown("a commit takes too long".into())),
                }
            }
        }
    }
}

fn late() -> Error {
    Error::Unavailable("no transaction before the deadline".into())
}

/// A change that waits for its transaction.
#[derive(Debug)]
pub struct Op {
    pub change: Change,
    pub claim: Claim<Outcome>,
    /// Its share of [`Memory`], which is given back when it is dropped.
    _bytes: OwnedSemaphorePermit,
}

/// The memory that changes may take while they wait or run. The queues bound their number.
#[derive(Clone, Debug)]
pub struct Memory(Arc<Semaphore>);

impl Memory {
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(limits::APPEND_QUEUE_BYTES_MAX)))
    }

    /// A change ready to be queued, or `Unavailable`.
    pub fn op(&self, change: Change) -> Result<(Op, Ticket<Outcome>)> {
        let bytes = size_of::<Op>() + change.text_bytes();
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let permit = self.0.clone().try_acquire_many_owned(bytes);
        let full = |_| Error::Unavailable("too much text waits for the log".into());
        let (claim, ticket) = ticket(limits::APPEND_DEADLINE);
        let op = Op {
            change,
            claim,
            _bytes: permit.map_err(full)?,
        };
        Ok((op, ticket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn unavailable_is_never_executed_and_started_is_unknown() {
        let (claim, waiting) = ticket::<()>(SHORT);
        assert!(matches!(waiting.wait().await, Err(Error::Unavailable(_))));
        assert!(!claim.start());

        let (claim, started) = ticket::<()>(SHORT);
        assert!(claim.start());
        assert!(matches!(started.wait().await, Err(Error::Unknown(_))));

        let (claim, released) = ticket::<()>(limits::APPEND_DEADLINE);
        assert!(claim.start());
        claim.release();
        assert!(claim.start(), "a released change may be started again");
        claim.answer(Ok(()));
        assert!(released.wait().await.is_ok());

        let (claim, late) = ticket::<()>(SHORT);
        tokio::time::sleep(2 * SHORT).await;
        assert!(!claim.start(), "nothing is begun after the deadline");
        claim.refuse();
        assert!(matches!(late.wait().await, Err(Error::Unavailable(_))));
    }

    #[test]
    fn waiting_texts_are_bounded_by_their_bytes() {
        let memory = Memory::new();
        let send = |bytes| Change::Send {
            room_id: crate::protocol::RoomId(1),
            sender: crate::protocol::rest::UserSummary {
                id: crate::protocol::UserId(1),
                username: "ada".into(),
                full_name: None,
            },
            id: uuid::Uuid::nil(),
            content: "x".repeat(bytes),
            reply_to: None,
            named: Default::default(),
        };
        let most = limits::APPEND_QUEUE_BYTES_MAX - 2 * size_of::<Op>();
        let held = memory.op(send(most)).unwrap();
        let full = memory.op(send(size_of::<Op>()));
        assert!(matches!(full, Err(Error::Unavailable(_))));
        drop(held);
        assert!(memory.op(send(most)).is_ok());
    }
}

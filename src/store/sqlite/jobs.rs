//! What shares a transaction of the writer: changes of the log, and scripts that write.

use rusqlite::Connection;

use crate::{
    limits,
    store::{
        connection::{Script, run},
        error::{Error, Result, SqlError},
        event::Event,
        queue::{Claim, Op, Ticket, ticket},
    },
};

/// A script that writes, whatever the type of its answer.
pub trait Job: Send {
    fn start(&self) -> bool;
    fn release(&self);
    fn refuse(self: Box<Self>);
    /// Runs the script. Its answer waits for the commit.
    fn run(&mut self, conn: &mut Connection) -> Result<Vec<Event>, SqlError>;
    /// Answers what [`Job::run`] gave, or the error that it was undone for.
    fn answer(self: Box<Self>, fate: Result<(), Error>);
}

struct Write<T, S> {
    script: S,
    value: Option<T>,
    claim: Claim<Result<T, SqlError>>,
    error: Option<SqlError>,
}

/// Makes a job of a script, which gives its answer and the events that its commit makes true.
pub fn job<T, S>(script: S) -> (Box<dyn Job>, Ticket<Result<T, SqlError>>)
where
    T: Send + 'static,
    S: Script<(T, Vec<Event>)>,
{
    let (claim, ticket) = ticket(limits::APPEND_DEADLINE);
    let job = Write {
        script,
        value: None,
        claim,
        error: None,
    };
    (Box::new(job), ticket)
}

impl<T: Send, S: Script<(T, Vec<Event>)>> Job for Write<T, S> {
    fn start(&self) -> bool {
        self.claim.start()
    }
    fn release(&self) {
        self.claim.release();
    }
    fn refuse(self: Box<Self>) {
        self.claim.refuse();
    }
    fn run(&mut self, conn: &mut Connection) -> Result<Vec<Event>, SqlError> {
        (self.value, self.error) = (None, None);
        match run(&self.script, conn) {
            Ok((value, events)) => {
                self.value = Some(value);
                Ok(events)
            }
            Err(error) if error.is_retryable() => Err(error),
            Err(refused) => {
                // The asker hears this error; the writer only needs to know that the job is undone.
                self.error = Some(refused);
                Err(SqlError::Refused(String::new()))
            }
        }
    }
    fn answer(self: Box<Self>, fate: Result<(), Error>) {
        let answer = match (fate, self.error, self.value) {
            (_, Some(error), _) => Ok(Err(error)),
            (Err(error), None, _) => Err(error),
            (Ok(()), None, Some(value)) => Ok(Ok(value)),
            (Ok(()), None, None) => Err(Error::Broken("a job without an answer".into())),
        };
        self.claim.answer(answer);
    }
}

/// The changes and jobs of one transaction.
#[derive(Default)]
pub struct Batch {
    pub ops: Vec<Op>,
    pub jobs: Vec<Box<dyn Job>>,
}

impl Batch {
    pub fn len(&self) -> usize {
        self.ops.len() + self.jobs.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keeps what may still be executed, and answers the rest.
    pub fn start(&mut self) {
        for op in std::mem::take(&mut self.ops) {
            if op.claim.start() {
                self.ops.push(op);
            } else {
                op.claim.refuse();
            }
        }
        for job in std::mem::take(&mut self.jobs) {
            if job.start() {
                self.jobs.push(job);
            } else {
                job.refuse();
            }
        }
    }

    /// Answers everything with this error.
    pub fn fail(self, error: impl Fn() -> Error) {
        for job in self.jobs {
            job.answer(Err(error()));
        }
        for op in self.ops {
            op.claim.answer(Err(error()));
        }
    }

    /// After a transaction that wrote nothing: everything waits again.
    pub fn release(&self) {
        self.ops.iter().for_each(|op| op.claim.release());
        self.jobs.iter().for_each(|job| job.release());
    }
}

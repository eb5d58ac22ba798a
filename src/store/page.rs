//! Pages of a room's log and of its history.

use super::event::Event;
use crate::protocol::{Rev, Seq, rest::Message};

/// One page of what changed in a room after some `rev`: the present state of each changed row, in the order of `rev`. Each
/// event's `prev` is the `rev` of the event before.
#[derive(Clone, Debug)]
pub struct Page {
    /// The page is complete up to here. Where it is the `last`: the head.
    pub upto: Rev,
    pub last: bool,
    /// The head and the last message of the room when the page was read.
    pub head: Rev,
    pub last_seq: Seq,
    pub events: Vec<Event>,
}

/// Which page of a room's history. Its messages rise by `seq` in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// The newest messages.
    Latest,
    Before(Seq),
    After(Seq),
    /// Half of the page below, the message itself, the rest above.
    Around(Seq),
}

/// A page of history, without a gap in `seq`. It is complete up to the room's `rev`.
#[derive(Clone, Debug)]
pub struct History {
    pub rev: Rev,
    pub messages: Vec<Message>,
    /// Whether there are older and newer messages than the page's.
    pub older: bool,
    pub newer: bool,
}

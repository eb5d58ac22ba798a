//! Frames that the server sends.

use std::io;

use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::{
    error::{Code, FieldError, Refusal},
    reference::Ref,
    rest::{Limits, Mentions, Message, Role, Room, User, UserSummary},
    types::{Rev, RoomId, Seq, SessionId, Time, UserId},
};
use crate::limits::FRAME_BYTES_MAX;

#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schemars(rename = "ServerFrame")]
pub enum Frame<'a> {
    Ready(Box<Ready<'a>>),
    Ack(Ack<'a>),
    Message(Live<&'a Message>),
    MessageUpdated(Live<MessageUpdate<'a>>),
    Member(Live<MemberChange<'a>>),
    Room(Live<RoomChange<'a>>),
    Added {
        room_id: RoomId,
        room: &'a Room,
    },
    Removed {
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<&'a Ref>,
        room_id: RoomId,
        #[serde(skip_serializing_if = "Option::is_none")]
        rev: Option<Rev>,
    },
    Synced(Synced<'a>),
    Reset {
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<&'a Ref>,
        room_id: RoomId,
        rev: Rev,
        reason: ResetReason,
    },
    Lagged {
        room_id: RoomId,
        rev: Rev,
    },
    Presence {
        online: &'a [UserId],
        offline: &'a [UserId],
    },
    Typing {
        room_id: RoomId,
        user_id: UserId,
    },
    Read {
        room_id: RoomId,
        user_id: UserId,
        seq: Seq,
        /// Only to the reader's own sockets, like the next two fields.
        #[serde(skip_serializing_if = "Option::is_none")]
        last_seq: Option<Seq>,
        #[serde(skip_serializing_if = "Option::is_none")]
        unread: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        unread_mentions: Option<u64>,
    },
    /// The last line over TCP, where there are no close codes.
    Close {
        code: u16,
        reason: &'a str,
    },
    Error(ErrorFrame<'a>),
    Pong {
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<&'a Ref>,
    },
    GoingAway {
        reconnect_after_ms: u64,
    },
}

impl Frame<'_> {
    /// Appends the frame's text to a buffer: one line of JSON, with its end. JSON may be followed by white space, so it
    /// is a WebSocket's text, too.
    pub fn write_json(&self, buffer: &mut Vec<u8>) {
        let start = buffer.len();
        serde_json::to_writer(&mut *buffer, self)
            .expect("frames have string keys and no fallible fields");
        buffer.push(b'\n');
        let length = buffer.len() - start;
        debug_assert!(length <= FRAME_BYTES_MAX, "{length} bytes");
    }
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Ready<'a> {
    pub protocol: u32,
    pub user: &'a User,
    pub session_id: SessionId,
    pub expires_at: Time,
    pub epoch: &'a str,
    /// As many as fit into the frame.
    pub rooms: &'a [Room],
    /// How many rooms follow at once, each in an `added`.
    pub more_rooms: usize,
    pub online: &'a [UserId],
    pub online_truncated: bool,
    pub heartbeat_s: u64,
    pub limits: Limits,
}

impl<'a> Ready<'a> {
    /// Fills in as many of these rooms as the frame holds, and returns the others.
    pub fn fill(&mut self, rooms: &'a [Room]) -> &'a [Room] {
        // The longest number of rooms to follow is shorter than the name of its field.
        let mut bytes = length(&Frame::Ready(Box::new(self.clone()))) + 20;
        let fits = |room: &&Room| {
            bytes += length(room) + 1;
            bytes <= FRAME_BYTES_MAX
        };
        let count = rooms.iter().take_while(fits).count();
        let (now, later) = rooms.split_at(count);
        (self.rooms, self.more_rooms) = (now, later.len());
        later
    }
}

/// Bytes of a value's JSON.
fn length(value: &impl Serialize) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).expect("it has string keys and no fallible fields");
    count.0
}

/// A frame about a stored change. It has everything that changed in (`prev`, `rev`]; an absent `prev` is `rev` - 1.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Live{T}")]
pub struct Live<T> {
    #[serde(flatten)]
    pub change: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev: Option<Rev>,
    /// Messages played back on a room socket: they don't move the position.
    #[serde(skip_serializing_if = "is_false")]
    replay: bool,
}

impl<T> Live<T> {
    pub fn new(change: T, prev: Option<Rev>) -> Self {
        Self {
            change,
            prev,
            replay: false,
        }
    }

    /// Of history that is played back on a room socket.
    pub fn replayed(change: T) -> Self {
        Self {
            change,
            prev: None,
            replay: true,
        }
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

/// What changed of one message. Absent fields did not change.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MessageUpdate<'a> {
    pub room_id: RoomId,
    pub seq: Seq,
    pub rev: Rev,
    /// Absent when several changes were joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<UpdatedBy<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<Time>,
    /// With an edit: those that the new text mentions.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub mentions: Option<&'a Mentions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Time>,
    /// `null`: not pinned any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::schema::time_or_null")]
    pub pinned_at: Option<Option<Time>>,
    /// The reactions that changed, without the users' ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<ReactionCount>,
}

/// Who changed a message, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UpdatedBy<'a> {
    pub user_id: UserId,
    pub action: Action,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emoji: Option<&'a str>,
}

/// What was done to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Edit,
    Delete,
    React,
    Unreact,
    Pin,
    Unpin,
}

/// How many users have reacted with an emoji; 0: none any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReactionCount {
    pub emoji: String,
    pub count: u64,
}

/// A room's settings as they are since `rev`, without what differs by member.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RoomChange<'a> {
    pub room_id: RoomId,
    pub rev: Rev,
    pub room: &'a Room,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct MemberChange<'a> {
    pub room_id: RoomId,
    pub rev: Rev,
    pub user: &'a UserSummary,
    /// `null`: has left.
    pub role: Option<Role>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    pub member_count: u64,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Ack<'a> {
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<&'a Ref>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_id: Option<RoomId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rev: Option<Rev>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<Seq>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Time>,
    #[serde(skip_serializing_if = "is_false")]
    pub duplicate: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_read_seq: Option<Seq>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seq: Option<Seq>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unread: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unread_mentions: Option<u64>,
    /// When the socket's present token expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Synced<'a> {
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<&'a Ref>,
    pub room_id: RoomId,
    pub prev: Rev,
    pub rev: Rev,
    pub last_seq: Seq,
    pub last_read_seq: Seq,
    /// Of the messages up to `last_seq`.
    pub unread: u64,
    pub unread_mentions: u64,
    /// Their seqs: the newest [`crate::limits::MENTIONED_MAX`].
    pub mentioned: &'a [Seq],
    /// The seqs of deleted messages above the marker: the newest [`crate::limits::MENTIONED_MAX`].
    pub deleted: &'a [Seq],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResetReason {
    TooFar,
    Epoch,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct ErrorFrame<'a> {
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<&'a Ref>,
    pub code: Code,
    pub message: &'a str,
    pub retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub errors: &'a [FieldError],
}

impl<'a> ErrorFrame<'a> {
    pub fn new(reference: Option<&'a Ref>, refusal: &'a Refusal) -> Self {
        Self {
            reference,
            code: refusal.code,
            message: &refusal.message,
            retryable: refusal.code.retryable(),
            retry_after_ms: refusal.retry_after.map(|after| after.as_millis() as u64),
            errors: &refusal.errors,
        }
    }
}

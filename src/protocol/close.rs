//! Close codes. They are part of the contract: 4000 to 4499 invite a reconnect, 4500 to 4999 do not.

use crate::limits::{AUTH_BYTES_MAX, REQUEST_BYTES_MAX};

/// Why the server closes a socket (RFC 6455 section 7.4 for the codes below 4000).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Close {
    /// The client closed, or its connection broke: it is told nothing.
    Gone,
    /// 1002: the frames break RFC 6455.
    ProtocolError,
    /// 1003: binary frames are not accepted.
    Unsupported,
    /// 1007: text that isn't UTF-8.
    InvalidText,
    /// 1009: larger than a frame may be.
    TooLarge,
    GoingAway,
    TooSlow,
    HeartbeatMissed,
    RoomFailed,
    TokenExpired,
    RateLimited,
    Unauthenticated,
    Revoked,
    Disabled,
    TooManyConnections,
    Violation,
    NotAMember,
}

impl Close {
    /// Code and reason of the close frame. A reason has at most 123 bytes (RFC 6455 section 5.5).
    pub const fn code_and_reason(self) -> (u16, &'static str) {
        match self {
            Close::Gone => (1000, ""),
            Close::ProtocolError => (1002, "protocol error"),
            Close::Unsupported => (1003, "only text frames are spoken here"),
            Close::InvalidText => (1007, "text must be UTF-8"),
            Close::TooLarge => (1009, "a frame above 128 KiB, or 8 KiB before the token"),
            Close::GoingAway => (4000, "going away"),
            Close::TooSlow => (4001, "too slow"),
            Close::HeartbeatMissed => (4002, "heartbeat missed"),
            Close::RoomFailed => (4003, "room failed"),
            Close::TokenExpired => (4004, "token expired"),
            Close::RateLimited => (4008, "rate limited"),
            Close::Unauthenticated => (4500, "not authenticated"),
            Close::Revoked => (4501, "revoked"),
            Close::Disabled => (4502, "disabled"),
            Close::TooManyConnections => (4503, "too many connections"),
            Close::Violation => (4504, "protocol violated"),
            Close::NotAMember => (4505, "not a member"),
        }
    }
}

/// The reason of 1009 names these numbers.
const _: () = assert!(REQUEST_BYTES_MAX == 128 * 1024 && AUTH_BYTES_MAX == 8 * 1024);

//! Close codes are part of the contract: 4000-4499 invite a reconnect, 4500-4999 do not.

/// Why the server ends a socket: code and reason as they stand in the WebSocket close frame
/// (RFC 6455 section 7.4 for the codes below 4000).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Close {
    /// The client closed, or its connection broke: nothing is left to say.
    Gone,
    /// 1002: the frames break RFC 6455.
    ProtocolError,
    /// 1003: binary frames are not spoken here.
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
    /// The code and the reason that travel; at most 123 bytes of reason (RFC 6455 section 5.5).
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

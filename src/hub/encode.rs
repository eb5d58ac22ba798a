//! Events as the bytes that travel: once per room, whatever the number of its members.

use bytes::Bytes;

use crate::{
    protocol::{
        Rev, UserId,
        server::{Frame, Live, MemberChange},
    },
    store::{Event, EventBody},
};

/// Appends one text to a buffer as the transport frames it. The hub knows no framing of its own.
pub type Framing = fn(&mut Vec<u8>, &[u8]);

/// A framed event, and what of it the fan-out must know.
#[derive(Clone, Debug)]
pub struct Encoded {
    pub prev: Rev,
    pub rev: Rev,
    pub bytes: Bytes,
    /// Whose membership ended with it.
    pub left: Option<UserId>,
}

/// Encodes an event. `chained`: `prev` is written even when it is `rev` - 1, as catch-up does.
pub fn encode(event: &Event, framing: Framing, chained: bool) -> Encoded {
    let prev = (chained || event.prev + 1 != event.rev).then_some(event.prev);
    let text = match &event.body {
        EventBody::Message(message) => Frame::Message(Live {
            change: &**message,
            prev,
            replay: false,
        })
        .to_json(),
        EventBody::Member(member) => Frame::Member(Live {
            change: MemberChange {
                room_id: event.room_id,
                rev: event.rev,
                user: &member.user,
                role: member.role,
                by: member.by,
                at: member.at,
                member_count: member.member_count,
            },
            prev,
            replay: false,
        })
        .to_json(),
        EventBody::Room(room) => Frame::Room(Live {
            change: &**room,
            prev,
            replay: false,
        })
        .to_json(),
    };
    let mut bytes = Vec::with_capacity(text.len() + 10);
    framing(&mut bytes, &text);
    let left = match &event.body {
        EventBody::Member(member) if member.role.is_none() => Some(member.user.id),
        _ => None,
    };
    Encoded {
        prev: event.prev,
        rev: event.rev,
        bytes: bytes.into(),
        left,
    }
}

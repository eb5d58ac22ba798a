//! Places in the order of results, and the cursors that hold them.

use std::{fmt, str::FromStr};

use crate::{
    limits,
    protocol::{RoomId, Seq, Time, rest::Message},
};

/// A message's place in the order of results: the newest first; at the same moment by falling room and seq. It never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub created_at: Time,
    pub room_id: RoomId,
    pub seq: Seq,
}

impl Place {
    pub fn of(message: &Message) -> Self {
        Self {
            created_at: message.created_at,
            room_id: message.room_id,
            seq: message.seq,
        }
    }
}

/// Where a page of results ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The fingerprint of the query and its filter ([`fingerprint`]): another query's places mean nothing.
    pub of: u64,
    pub phase: Phase,
    /// The place of the last message that was examined.
    pub place: Place,
}

/// Messages with the words themselves come first, then those with words that are only near them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Exact,
    Near,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place {
            created_at,
            room_id,
            seq,
        } = self.place;
        let phase = match self.phase {
            Phase::Exact => 'e',
            Phase::Near => 'n',
        };
        write!(
            f,
            "{phase}{:016x}.{}.{room_id}.{seq}",
            self.of, created_at.0
        )
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (head, place) = text.split_once('.').ok_or(())?;
        let phase = match head.as_bytes().first() {
            Some(b'e') => Phase::Exact,
            Some(b'n') => Phase::Near,
            _ => return Err(()),
        };
        let of = u64::from_str_radix(&head[1..], 16).map_err(drop)?;
        let mut numbers = place.split('.').map(|number| {
            let number = number.parse::<u64>().map_err(drop)?;
            (number <= limits::ID_MAX).then_some(number).ok_or(())
        });
        let mut next = || numbers.next().ok_or(())?;
        let place = Place {
            created_at: Time(next()?.cast_signed()),
            room_id: RoomId(next()?),
            seq: next()?,
        };
        let cursor = Self { of, phase, place };
        // Only the canonical form is accepted.
        (cursor.to_string() == text).then_some(cursor).ok_or(())
    }
}

/// FNV-1a of some bytes.
pub fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_have_one_form() {
        let cursor = Cursor {
            of: 0xab,
            phase: Phase::Near,
            place: Place {
                created_at: Time(1_700_000_000_000),
                room_id: RoomId(7),
                seq: 42,
            },
        };
        let text = "n00000000000000ab.1700000000000.7.42";
        assert_eq!(cursor.to_string(), text);
        assert_eq!(text.parse(), Ok(cursor));
        for text in [
            "",
            "1.2.3",
            "é.1.2.3",
            "n00000000000000ab.1.2",
            "n00000000000000ab.1.2.3.4",
            "n00000000000000ab.1.2.03",
            "n00000000000000AB.1.2.3",
            "x00000000000000ab.1.2.3",
            "n+0000000000000ab.1.2.3",
            "nab.1.2.3",
            "n00000000000000ab.1.2.9007199254740992",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(()), "{text}");
        }
    }
}

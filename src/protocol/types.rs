//! Ids, numbers and times, as they stand in JSON.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, Unexpected, Visitor},
};
use uuid::Uuid;

use crate::limits::ID_MAX;

/// A message's number within its room: 1, 2, 3, … without a hole.
pub type Seq = u64;
/// A change's number within its room: 1, 2, 3, … without a hole; 0 is "nothing yet".
pub type Rev = u64;

/// A whole number from 0 to [`ID_MAX`] that a client sends, in any spelling: `1`, `1.0` and `10e-1` are the same number
/// (RFC 8259 section 6; JSON Schema Core 2020-12, section 4.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole(pub u64);

impl From<Whole> for u64 {
    fn from(Whole(number): Whole) -> Self {
        number
    }
}

/// The whole number that JSON spelled with a fraction, with an exponent or as -0, if it is whole and at most [`ID_MAX`] in
/// size.
pub fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() <= ID_MAX as f64).then_some(number as i64)
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number from 0 to {ID_MAX}")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Whole, E> {
                if number <= ID_MAX {
                    Ok(Whole(number))
                } else {
                    Err(E::invalid_value(Unexpected::Unsigned(number), &self))
                }
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Whole, E> {
                whole(number)
                    .and_then(|number| u64::try_from(number).ok())
                    .map(Whole)
                    .ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))
            }
        }
        deserializer.deserialize_u64(Number)
    }
}

impl JsonSchema for Whole {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Whole".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": 0, "maximum": ID_MAX})
    }
}

/// A message's id as a client sends it: a UUID with its four hyphens, in any case (RFC 9562 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageId(pub Uuid);

impl From<MessageId> for Uuid {
    fn from(MessageId(id): MessageId) -> Self {
        id
    }
}

impl<'de> Deserialize<'de> for MessageId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = MessageId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a UUID with hyphens")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<MessageId, E> {
                /// Without hyphens it is shorter; in braces, or as a URN, longer.
                const CHARS: usize = 36;
                let id = Uuid::try_parse(text).ok();
                id.filter(|_| text.len() == CHARS)
                    .map(MessageId)
                    .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl JsonSchema for MessageId {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Uuid::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Uuid::json_schema(generator)
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
        #[serde(transparent)]
        #[schemars(example = 1)]
        pub struct $name(#[schemars(range(max = ID_MAX))] pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Whole::deserialize(deserializer).map(|Whole(id)| Self(id))
            }
        }
    };
}

id!(
    /// A user's id: given by the database, never reused.
    UserId
);
id!(
    /// A room's id: given by the database, never reused.
    RoomId
);
id!(
    /// A session's id (`sid` in its tokens): random, below 2^53.
    SessionId
);

/// A time: milliseconds since 1970 in the tables, RFC 3339 in UTC with milliseconds in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub i64);

impl Time {
    /// The present time by the wall clock.
    pub fn now() -> Self {
        Self(jiff::Timestamp::now().as_millisecond())
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::MAX);
        write!(f, "{time:.3}")
    }
}

impl Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Time {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time", "examples": [Time(1_764_000_000_007)]})
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let time = jiff::Timestamp::deserialize(deserializer)?;
        Ok(Self(time.as_millisecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_taken_in_every_spelling() {
        for (text, number) in [
            ("0", Some(0)),
            ("1", Some(1)),
            ("1.0", Some(1)),
            ("1.000", Some(1)),
            ("1e3", Some(1_000)),
            ("1E+3", Some(1_000)),
            ("10E-1", Some(1)),
            ("1.5e1", Some(15)),
            ("0.0", Some(0)),
            ("-0", Some(0)),
            ("-0.0", Some(0)),
            ("0e9", Some(0)),
            ("9007199254740991", Some(ID_MAX)),
            ("9007199254740991.0", Some(ID_MAX)),
            ("9.007199254740991e15", Some(ID_MAX)),
            ("9007199254740992", None),
            ("9007199254740992.0", None),
            ("9007199254740993.0", None),
            ("18446744073709551616", None),
            ("1e16", None),
            ("1e300", None),
            ("1e400", None),
            ("1.5", None),
            ("1e-1", None),
            ("-1", None),
            ("-1.0", None),
            ("01", None),
            ("1.", None),
            ("+1", None),
            ("\"1\"", None),
            ("true", None),
            ("[1]", None),
        ] {
            let read = serde_json::from_str::<Whole>(text).ok();
            assert_eq!(read.map(u64::from), number, "{text}");
            let id = serde_json::from_str::<RoomId>(text).ok();
            assert_eq!(id.map(|id| id.0), number, "{text}");
        }
    }

    #[test]
    fn ids_of_messages_are_uuids_with_hyphens() {
        let lower = "01a21000-0000-7000-8000-00000000abcd";
        let read = |text: &str| {
            let id = serde_json::from_value::<MessageId>(text.into());
            id.ok().map(|MessageId(id)| id.to_string())
        };
        for text in [
            lower,
            "01A21000-0000-7000-8000-00000000ABCD",
            "01a21000-0000-7000-8000-00000000aBcD",
        ] {
            assert_eq!(read(text).as_deref(), Some(lower), "{text}");
        }
        for text in [
            "01a2100000007000800000000000abcd",
            "{01a21000-0000-7000-8000-00000000abcd}",
            "urn:uuid:01a21000-0000-7000-8000-00000000abcd",
            "URN:UUID:01A21000-0000-7000-8000-00000000ABCD",
            " 01a21000-0000-7000-8000-00000000abcd",
            "01a210000-000-7000-8000-00000000abcd",
            "01a21000-0000-7000-8000-00000000abcg",
            "01a21000-0000-7000-8000-0000000abcd",
            "",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn times_are_rfc_3339_in_utc_with_milliseconds() {
        for (millis, text) in [
            (0, "\"1970-01-01T00:00:00.000Z\""),
            (1_764_000_000_007, "\"2025-11-24T16:00:00.007Z\""),
        ] {
            assert_eq!(serde_json::to_string(&Time(millis)).unwrap(), text);
            assert_eq!(serde_json::from_str::<Time>(text).unwrap(), Time(millis));
        }
    }
}

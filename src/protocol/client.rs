//! Frames that a client sends, decoded strictly: one JSON object, known fields only, each of its type.

use std::{borrow::Cow, collections::HashMap, fmt};

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, MapAccess, Unexpected, Visitor},
};
use uuid::Uuid;

use super::{MessageId, Rev, RoomId, Seq, Whole, types::whole};
use crate::limits::{CONTENT_CHARS_MAX, EMOJI_BYTES_MAX, ID_MAX, REF_BYTES_MAX, SYNC_ROOMS_MAX};

/// The lowest number that a `ref` may be: every JSON reader holds it exactly, as it does [`ID_MAX`].
const REF_MIN: i64 = -(ID_MAX as i64);

/// What a client may attach to a frame; its answer repeats it, a number without fraction and exponent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Ref {
    Number(#[schemars(range(min = REF_MIN, max = ID_MAX))] i64),
    Text(#[schemars(length(max = REF_BYTES_MAX))] Box<str>),
}

impl Ref {
    fn is_too_long(&self) -> bool {
        matches!(self, Ref::Text(text) if text.len() > REF_BYTES_MAX)
    }
}

impl<'de> Deserialize<'de> for Ref {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrText;
        impl Visitor<'_> for NumberOrText {
            type Value = Ref;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number from {REF_MIN} to {ID_MAX}, or text")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Ref, E> {
                match number.unsigned_abs() <= ID_MAX {
                    true => Ok(Ref::Number(number)),
                    false => Err(E::invalid_value(Unexpected::Signed(number), &self)),
                }
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Ref, E> {
                match i64::try_from(number) {
                    Ok(number) => self.visit_i64(number),
                    Err(_) => Err(E::invalid_value(Unexpected::Unsigned(number), &self)),
                }
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Ref, E> {
                whole(number)
                    .map(Ref::Number)
                    .ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Ref, E> {
                Ok(Ref::Text(text.into()))
            }
        }
        deserializer.deserialize_any(NumberOrText)
    }
}

/// A request over the socket.
#[derive(Debug, PartialEq, JsonSchema)]
#[schemars(
    rename = "ClientFrame",
    tag = "type",
    rename_all = "snake_case",
    transform = super::schema::with_ref
)]
pub enum Request {
    Auth {
        token: String,
    },
    Ping,
    Sync {
        epoch: Option<String>,
        #[schemars(default, with = "HashMap<RoomId, Whole>", extend("maxProperties" = SYNC_ROOMS_MAX))]
        rooms: HashMap<RoomId, Rev>,
    },
    Join {
        room_id: RoomId,
        #[schemars(range(max = ID_MAX))]
        rev: Option<Rev>,
        epoch: Option<String>,
    },
    /// Ends live delivery, not membership.
    Leave {
        room_id: RoomId,
    },
    Message {
        room_id: RoomId,
        id: Uuid,
        #[schemars(length(min = 1, max = CONTENT_CHARS_MAX))]
        content: String,
        #[schemars(range(max = ID_MAX))]
        reply_to: Option<Seq>,
    },
    Edit {
        room_id: RoomId,
        #[schemars(range(max = ID_MAX))]
        seq: Seq,
        #[schemars(length(min = 1, max = CONTENT_CHARS_MAX))]
        content: String,
    },
    Delete {
        room_id: RoomId,
        #[schemars(range(max = ID_MAX))]
        seq: Seq,
    },
    React {
        room_id: RoomId,
        #[schemars(range(max = ID_MAX))]
        seq: Seq,
        #[schemars(length(min = 1, max = EMOJI_BYTES_MAX))]
        emoji: String,
        on: bool,
    },
    Read {
        room_id: RoomId,
        #[schemars(range(max = ID_MAX))]
        seq: Seq,
    },
    /// A hint, without an answer.
    Typing {
        room_id: RoomId,
    },
}

impl Request {
    /// The one room that it is about.
    pub fn room_id(&self) -> Option<RoomId> {
        match self {
            Request::Auth { .. } | Request::Ping | Request::Sync { .. } => None,
            Request::Join { room_id, .. }
            | Request::Leave { room_id }
            | Request::Message { room_id, .. }
            | Request::Edit { room_id, .. }
            | Request::Delete { room_id, .. }
            | Request::React { room_id, .. }
            | Request::Read { room_id, .. }
            | Request::Typing { room_id } => Some(*room_id),
        }
    }
}

/// A decoded frame.
#[derive(Debug, PartialEq)]
pub struct Frame {
    pub reference: Option<Ref>,
    pub request: Request,
}

/// A frame that can't be decoded (PROTOCOL.md section 6.3). `reference` is there when it was readable.
#[derive(Debug, PartialEq)]
pub struct BadFrame {
    pub reference: Option<Ref>,
    pub field: Cow<'static, str>,
    pub code: &'static str,
    pub message: Cow<'static, str>,
}

/// Every field that any frame may have; which of them belong together is decided by `type`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(rename = "ref")]
    reference: Option<Ref>,
    token: Option<String>,
    epoch: Option<String>,
    rooms: Option<Positions>,
    room_id: Option<RoomId>,
    rev: Option<Whole>,
    id: Option<MessageId>,
    content: Option<String>,
    reply_to: Option<Whole>,
    seq: Option<Whole>,
    emoji: Option<String>,
    on: Option<bool>,
}

/// The `rooms` of a `sync`, each once. Its names are texts, so that an id has its one decimal form there.
#[derive(Default)]
struct Positions(HashMap<RoomId, Rev>);

impl<'de> Deserialize<'de> for Positions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Positions;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Positions, A::Error> {
                let mut rooms = HashMap::new();
                while let Some((Name(room), Whole(rev))) = map.next_entry()? {
                    if rooms.insert(room, rev).is_some() {
                        // As serde says it of a struct's fields.
                        return Err(A::Error::custom(format_args!("duplicate field `{room}`")));
                    }
                }
                Ok(Positions(rooms))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// A room's id as the name of a field.
struct Name(RoomId);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digits;
        impl Visitor<'_> for Digits {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a room's id in decimal digits")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Name, E> {
                let digits = text.bytes().all(|byte| byte.is_ascii_digit());
                let plain = digits && (text == "0" || !text.starts_with('0'));
                let id = text.parse().ok().filter(|id| plain && *id <= ID_MAX);
                id.map(|id| Name(RoomId(id)))
                    .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Digits)
    }
}

impl Frame {
    /// Decodes one frame's text. Sizes are bounded before: by the transport.
    pub fn decode(text: &str) -> Result<Self, BadFrame> {
        if !super::check::is_object(text) {
            return Err(BadFrame {
                reference: None,
                field: "".into(),
                code: "type",
                message: "a JSON object is expected".into(),
            });
        }
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let mut fields: Fields = serde_path_to_error::deserialize(&mut deserializer)
            .map_err(|error| bad_json(text, &error.path().to_string(), error.inner()))?;
        if let Err(error) = deserializer.end() {
            return Err(bad_json(text, ".", &error));
        }
        let reference = fields.reference.take();
        if reference.as_ref().is_some_and(Ref::is_too_long) {
            return Err(BadFrame {
                reference: None,
                field: "ref".into(),
                code: "length",
                message: format!("at most {REF_BYTES_MAX} bytes").into(),
            });
        }
        match fields.request() {
            Ok(request) => Ok(Self { reference, request }),
            Err((field, code, message)) => Err(BadFrame {
                reference,
                field,
                code,
                message,
            }),
        }
    }
}

type Fault = (Cow<'static, str>, &'static str, Cow<'static, str>);

fn missing<T>(field: &'static str, value: Option<T>) -> Result<T, Fault> {
    value.ok_or((field.into(), "missing", "this field is required".into()))
}

impl Fields<'_> {
    fn request(mut self) -> Result<Request, Fault> {
        let kind = std::mem::take(&mut self.kind);
        let request = match &*kind {
            "auth" => Request::Auth {
                token: missing("token", self.token.take())?,
            },
            "ping" => Request::Ping,
            "sync" => Request::Sync {
                epoch: self.epoch.take(),
                rooms: self.rooms.take().unwrap_or_default().0,
            },
            "join" => Request::Join {
                room_id: missing("room_id", self.room_id.take())?,
                rev: self.rev.take().map(u64::from),
                epoch: self.epoch.take(),
            },
            "leave" => Request::Leave {
                room_id: missing("room_id", self.room_id.take())?,
            },
            "message" => Request::Message {
                room_id: missing("room_id", self.room_id.take())?,
                id: missing("id", self.id.take())?.into(),
                content: missing("content", self.content.take())?,
                reply_to: self.reply_to.take().map(u64::from),
            },
            "edit" => Request::Edit {
                room_id: missing("room_id", self.room_id.take())?,
                seq: missing("seq", self.seq.take())?.into(),
                content: missing("content", self.content.take())?,
            },
            "delete" => Request::Delete {
                room_id: missing("room_id", self.room_id.take())?,
                seq: missing("seq", self.seq.take())?.into(),
            },
            "react" => Request::React {
                room_id: missing("room_id", self.room_id.take())?,
                seq: missing("seq", self.seq.take())?.into(),
                emoji: missing("emoji", self.emoji.take())?,
                on: missing("on", self.on.take())?,
            },
            "typing" => Request::Typing {
                room_id: missing("room_id", self.room_id.take())?,
            },
            "read" => Request::Read {
                room_id: missing("room_id", self.room_id.take())?,
                seq: missing("seq", self.seq.take())?.into(),
            },
            _ => {
                return Err((
                    "type".into(),
                    "unknown",
                    "there is no such type of frame".into(),
                ));
            }
        };
        match self.left_over() {
            Some(field) => Err((
                field.into(),
                "unknown",
                "this type of frame has no such field".into(),
            )),
            None => Ok(request),
        }
    }

    /// A field that was given and that the frame's type didn't take.
    fn left_over(&self) -> Option<&'static str> {
        [
            (self.token.is_some(), "token"),
            (self.epoch.is_some(), "epoch"),
            (self.rooms.is_some(), "rooms"),
            (self.room_id.is_some(), "room_id"),
            (self.rev.is_some(), "rev"),
            (self.id.is_some(), "id"),
            (self.content.is_some(), "content"),
            (self.reply_to.is_some(), "reply_to"),
            (self.seq.is_some(), "seq"),
            (self.emoji.is_some(), "emoji"),
            (self.on.is_some(), "on"),
        ]
        .into_iter()
        .find_map(|(given, field)| given.then_some(field))
    }
}

/// Names the field and the rule that serde's error is about, and reads `ref` if that can be read.
fn bad_json(text: &str, path: &str, error: &serde_json::Error) -> BadFrame {
    #[derive(Deserialize)]
    struct OnlyRef {
        #[serde(rename = "ref")]
        reference: Option<Ref>,
    }
    let reference = serde_json::from_str::<OnlyRef>(text)
        .ok()
        .and_then(|only| only.reference)
        .filter(|reference| !reference.is_too_long());
    let (field, code, message) = super::check::json_fault(path, error);
    BadFrame {
        reference,
        field,
        code,
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_decoded() {
        let frame =
            Frame::decode(r#"{"type":"sync","ref":7,"epoch":"e","rooms":{"12":1057,"15":0}}"#)
                .unwrap();
        assert_eq!(frame.reference, Some(Ref::Number(7)));
        let rooms = HashMap::from([(RoomId(12), 1057), (RoomId(15), 0)]);
        assert_eq!(
            frame.request,
            Request::Sync {
                epoch: Some("e".into()),
                rooms
            }
        );
        assert_eq!(
            Frame::decode(r#"{"type":"ping"}"#).unwrap().request,
            Request::Ping
        );
    }

    #[test]
    fn numbers_are_read_in_every_spelling_and_names_in_one() {
        let id = Uuid::from_u128(0xABCD);
        for (text, request) in [
            (
                r#"{"type":"join","room_id":12.0,"rev":1e3}"#,
                Request::Join {
                    room_id: RoomId(12),
                    rev: Some(1_000),
                    epoch: None,
                },
            ),
            (
                r#"{"type":"sync","rooms":{"12":1.0e1,"15":-0}}"#,
                Request::Sync {
                    epoch: None,
                    rooms: HashMap::from([(RoomId(12), 10), (RoomId(15), 0)]),
                },
            ),
            (
                r#"{"type":"message","room_id":1,"id":"00000000-0000-0000-0000-00000000ABCD","content":"x","reply_to":20E-1}"#,
                Request::Message {
                    room_id: RoomId(1),
                    id,
                    content: "x".into(),
                    reply_to: Some(2),
                },
            ),
        ] {
            assert_eq!(Frame::decode(text).unwrap().request, request, "{text}");
        }
        for (reference, number) in [
            ("7.0", 7),
            ("-7", -7),
            ("-7e0", -7),
            ("-0", 0),
            ("9007199254740991", 9_007_199_254_740_991),
            ("-9007199254740991.0", -9_007_199_254_740_991),
        ] {
            let text = format!(r#"{{"type":"ping","ref":{reference}}}"#);
            let reference = Frame::decode(&text).unwrap().reference;
            assert_eq!(reference, Some(Ref::Number(number)), "{text}");
        }
        for (text, field, code) in [
            (r#"{"type":"sync","rooms":{"1.0":2}}"#, "rooms", "type"),
            (r#"{"type":"sync","rooms":{"1e1":2}}"#, "rooms", "type"),
            (r#"{"type":"sync","rooms":{"-0":2}}"#, "rooms", "type"),
            (r#"{"type":"sync","rooms":{"01":2}}"#, "rooms", "type"),
            (r#"{"type":"sync","rooms":{"":2}}"#, "rooms", "type"),
            (r#"{"type":"sync","rooms":{"x":2}}"#, "rooms", "type"),
            (
                r#"{"type":"sync","rooms":{"9007199254740992":2}}"#,
                "rooms",
                "type",
            ),
            (r#"{"type":"sync","rooms":{"1":2.5}}"#, "rooms.1", "type"),
            (r#"{"type":"sync","rooms":{"1":2,"1":3}}"#, "1", "duplicate"),
            (
                r#"{"type":"join","room_id":9007199254740992}"#,
                "room_id",
                "type",
            ),
            (r#"{"type":"join","room_id":1,"rev":1e16}"#, "rev", "type"),
            (r#"{"type":"read","room_id":1,"seq":1.5}"#, "seq", "type"),
            (r#"{"type":"ping","ref":1.5}"#, "ref", "type"),
            (r#"{"type":"ping","ref":9007199254740992}"#, "ref", "type"),
            (r#"{"type":"ping","ref":-9007199254740992}"#, "ref", "type"),
            (r#"{"type":"ping","ref":1e300}"#, "ref", "type"),
            (r#"{"type":"ping","ref":true}"#, "ref", "type"),
        ] {
            let bad = Frame::decode(text).unwrap_err();
            assert!(
                bad.field.starts_with(field) && bad.code == code,
                "{text}: {bad:?}"
            );
            assert_eq!(bad.reference, None, "{text}");
        }
    }

    #[test]
    fn bad_frames_name_the_field_and_keep_the_ref() {
        for (text, field, code) in [
            (r#"{"type":"join","ref":"a"}"#, "room_id", "missing"),
            (
                r#"{"type":"join","ref":"a","room_id":"12"}"#,
                "room_id",
                "type",
            ),
            (
                r#"{"type":"join","ref":"a","room_id":-1}"#,
                "room_id",
                "type",
            ),
            (
                r#"{"type":"join","ref":"a","room_id":1,"seq":4}"#,
                "seq",
                "unknown",
            ),
            (
                r#"{"type":"join","ref":"a","room_id":1,"colour":4}"#,
                "colour",
                "unknown",
            ),
            (
                r#"{"type":"join","ref":"a","room_id":1,"room_id":1}"#,
                "room_id",
                "duplicate",
            ),
            (r#"{"type":"dance","ref":"a"}"#, "type", "unknown"),
            (r#"{"ref":"a"}"#, "type", "missing"),
            (
                r#"{"type":"read","ref":"a","room_id":1,"seq":1e400}"#,
                "seq",
                "type",
            ),
        ] {
            let bad = Frame::decode(text).unwrap_err();
            assert_eq!((&*bad.field, bad.code), (field, code), "{text}: {bad:?}");
            assert!(
                bad.reference == Some(Ref::Text("a".into()))
                    || code == "duplicate"
                    || text.contains("1e400"),
                "{text}: {bad:?}"
            );
        }
        let long = format!(
            r#"{{"type":"dance","colour":4,"ref":"{}"}}"#,
            "a".repeat(65)
        );
        assert_eq!(Frame::decode(&long).unwrap_err().reference, None);
        for text in [
            "",
            "[]",
            "null",
            "7",
            "{",
            "{}{}",
            "\"\\ud800\"",
            "{\"type\":\"ping\"} x",
        ] {
            assert!(Frame::decode(text).is_err(), "{text}");
        }
    }
}

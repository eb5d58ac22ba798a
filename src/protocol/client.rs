//! Frames that a client sends, decoded strictly: one JSON object, known fields only, each of its type.

use std::{borrow::Cow, collections::HashMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Rev, RoomId, Seq};
use crate::limits::{CONTENT_CHARS_MAX, EMOJI_BYTES_MAX, REF_BYTES_MAX, SYNC_ROOMS_MAX};

/// What a client may attach to a frame; its answer repeats it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Ref {
    Number(i64),
    Text(#[schemars(length(max = REF_BYTES_MAX))] Box<str>),
}

impl Ref {
    fn is_too_long(&self) -> bool {
        matches!(self, Ref::Text(text) if text.len() > REF_BYTES_MAX)
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
        #[schemars(default, extend("maxProperties" = SYNC_ROOMS_MAX))]
        rooms: HashMap<RoomId, Rev>,
    },
    Join {
        room_id: RoomId,
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
        reply_to: Option<Seq>,
    },
    Edit {
        room_id: RoomId,
        seq: Seq,
        #[schemars(length(min = 1, max = CONTENT_CHARS_MAX))]
        content: String,
    },
    Delete {
        room_id: RoomId,
        seq: Seq,
    },
    React {
        room_id: RoomId,
        seq: Seq,
        #[schemars(length(min = 1, max = EMOJI_BYTES_MAX))]
        emoji: String,
        on: bool,
    },
    Read {
        room_id: RoomId,
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

/// A frame that can't be decoded: rule 11. `reference` is there when it was readable.
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
    rooms: Option<HashMap<RoomId, Rev>>,
    room_id: Option<RoomId>,
    rev: Option<Rev>,
    id: Option<Uuid>,
    content: Option<String>,
    reply_to: Option<Seq>,
    seq: Option<Seq>,
    emoji: Option<String>,
    on: Option<bool>,
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
                rooms: self.rooms.take().unwrap_or_default(),
            },
            "join" => Request::Join {
                room_id: missing("room_id", self.room_id.take())?,
                rev: self.rev.take(),
                epoch: self.epoch.take(),
            },
            "leave" => Request::Leave {
                room_id: missing("room_id", self.room_id.take())?,
            },
            "message" => Request::Message {
                room_id: missing("room_id", self.room_id.take())?,
                id: missing("id", self.id.take())?,
                content: missing("content", self.content.take())?,
                reply_to: self.reply_to.take(),
            },
            "edit" => Request::Edit {
                room_id: missing("room_id", self.room_id.take())?,
                seq: missing("seq", self.seq.take())?,
                content: missing("content", self.content.take())?,
            },
            "delete" => Request::Delete {
                room_id: missing("room_id", self.room_id.take())?,
                seq: missing("seq", self.seq.take())?,
            },
            "react" => Request::React {
                room_id: missing("room_id", self.room_id.take())?,
                seq: missing("seq", self.seq.take())?,
                emoji: missing("emoji", self.emoji.take())?,
                on: missing("on", self.on.take())?,
            },
            "typing" => Request::Typing {
                room_id: missing("room_id", self.room_id.take())?,
            },
            "read" => Request::Read {
                room_id: missing("room_id", self.room_id.take())?,
                seq: missing("seq", self.seq.take())?,
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

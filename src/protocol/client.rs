//! Frames that a client sends. They are decoded strictly: one JSON object, known fields only, each of its type.

use std::{borrow::Cow, collections::HashMap, fmt};

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Unexpected, Visitor},
};
use uuid::Uuid;

use super::{
    check::{is_object, json_error},
    error::FieldError,
    reference::Ref,
    types::{MessageId, Rev, RoomId, Seq, Whole},
};
use crate::limits::{CONTENT_CHARS_MAX, EMOJI_BYTES_MAX, ID_MAX, REF_BYTES_MAX, SYNC_ROOMS_MAX};

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
    /// Ephemeral: it has no answer.
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

/// A frame that can't be decoded (PROTOCOL.md section 6.3).
#[derive(Debug, PartialEq)]
pub struct BadFrame {
    /// If it could be read.
    pub reference: Option<Ref>,
    pub error: FieldError,
}

/// Every field that any frame may have. `type` decides which of them belong together.
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

/// The `rooms` of a `sync`, each once. The names of JSON fields are texts, so an id has only its decimal form there.
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
    /// Decodes one frame's text, whose size the transport has bounded.
    pub fn decode(text: &str) -> Result<Self, BadFrame> {
        if !is_object(text) {
            return Err(BadFrame {
                reference: None,
                error: FieldError::new("", "type", "a JSON object is expected"),
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
            let rule = format!("at most {REF_BYTES_MAX} bytes");
            return Err(BadFrame {
                reference: None,
                error: FieldError::new("ref", "length", rule),
            });
        }
        match fields.request() {
            Ok(request) => Ok(Self { reference, request }),
            Err(error) => Err(BadFrame { reference, error }),
        }
    }
}

fn required<T>(field: &'static str, value: Option<T>) -> Result<T, FieldError> {
    value.ok_or_else(|| FieldError::new(field, "missing", "this field is required"))
}

impl Fields<'_> {
    fn request(mut self) -> Result<Request, FieldError> {
        let kind = std::mem::take(&mut self.kind);
        let request = match &*kind {
            "auth" => Request::Auth {
                token: required("token", self.token.take())?,
            },
            "ping" => Request::Ping,
            "sync" => Request::Sync {
                epoch: self.epoch.take(),
                rooms: self.rooms.take().unwrap_or_default().0,
            },
            kind => self.request_about_a_room(kind)?,
        };
        match self.left_over() {
            Some(field) => {
                let rule = "this type of frame has no such field";
                Err(FieldError::new(field, "unknown", rule))
            }
            None => Ok(request),
        }
    }

    fn request_about_a_room(&mut self, kind: &str) -> Result<Request, FieldError> {
        Ok(match kind {
            "join" => Request::Join {
                room_id: required("room_id", self.room_id.take())?,
                rev: self.rev.take().map(u64::from),
                epoch: self.epoch.take(),
            },
            "leave" => Request::Leave {
                room_id: required("room_id", self.room_id.take())?,
            },
            "message" => Request::Message {
                room_id: required("room_id", self.room_id.take())?,
                id: required("id", self.id.take())?.into(),
                content: required("content", self.content.take())?,
                reply_to: self.reply_to.take().map(u64::from),
            },
            "edit" => Request::Edit {
                room_id: required("room_id", self.room_id.take())?,
                seq: required("seq", self.seq.take())?.into(),
                content: required("content", self.content.take())?,
            },
            "delete" => Request::Delete {
                room_id: required("room_id", self.room_id.take())?,
                seq: required("seq", self.seq.take())?.into(),
            },
            "react" => Request::React {
                room_id: required("room_id", self.room_id.take())?,
                seq: required("seq", self.seq.take())?.into(),
                emoji: required("emoji", self.emoji.take())?,
                on: required("on", self.on.take())?,
            },
            "typing" => Request::Typing {
                room_id: required("room_id", self.room_id.take())?,
            },
            "read" => Request::Read {
                room_id: required("room_id", self.room_id.take())?,
                seq: required("seq", self.seq.take())?.into(),
            },
            _ => {
                let rule = "there is no such type of frame";
                return Err(FieldError::new("type", "unknown", rule));
            }
        })
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

/// Names the field and the rule of serde's error, with the frame's `ref` if that can be read.
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
    BadFrame {
        reference,
        error: json_error(path, error),
    }
}

#[cfg(test)]
mod tests;

//! REST bodies, and the objects that REST and socket share.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Rev, RoomId, Seq, Time, UserId,
    schema::{EMAIL, LINE, PASSWORD_CHARS_MIN, USERNAME},
};
use crate::limits;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserKind {
    Person,
    Bot,
}

/// A user's role on the whole site, not in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SiteRole {
    Admin,
    User,
}

/// A user; `email` is there only for oneself.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct User {
    pub id: UserId,
    pub username: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    pub kind: UserKind,
    pub role: SiteRole,
    pub is_active: bool,
    pub created_at: Time,
}

impl User {
    pub fn summary(&self) -> UserSummary {
        UserSummary {
            id: self.id,
            username: self.username.clone(),
            full_name: self.full_name.clone(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UserSummary {
    pub id: UserId,
    pub username: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_name: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoomKind {
    Public,
    Private,
    /// Between two users, or with oneself.
    Direct,
}

/// A member's role in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Owner,
    Admin,
    Member,
}

/// What a member wants to be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Notify {
    All,
    Mentions,
    None,
}

/// A room; what differs by member is there where it is meant for one.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Room {
    pub id: RoomId,
    pub kind: RoomKind,
    pub name: String,
    pub topic: String,
    pub created_by: UserId,
    pub created_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archived_at: Option<Time>,
    pub rev: Rev,
    pub last_seq: Seq,
    pub member_count: u64,
    #[serde(flatten)]
    pub mine: Option<Mine>,
}

/// What of a room differs by member.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Mine {
    pub role: Role,
    pub notify: Notify,
    pub last_read_seq: Seq,
    pub unread_mentions: u64,
    /// Their seqs, rising: the newest [`limits::MENTIONED_MAX`].
    pub mentioned: Vec<Seq>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_message: Option<LastMessage>,
    /// The other one of a direct room; oneself in one's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<UserSummary>,
}

/// The newest message in short: [`limits::SNIPPET_CHARS`] of its text.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LastMessage {
    pub seq: Seq,
    pub sender: UserSummary,
    pub snippet: String,
    pub created_at: Time,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Member {
    pub user: UserSummary,
    pub role: Role,
    pub joined_at: Time,
    pub rev: Rev,
    /// In rooms of at most [`limits::MARKERS_ROOM_MAX`] members.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_read_seq: Option<Seq>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    Text,
}

/// A message as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    pub room_id: RoomId,
    pub seq: Seq,
    pub rev: Rev,
    /// Made by the author, unique per room and author.
    pub id: Uuid,
    pub kind: MessageKind,
    pub sender: UserSummary,
    /// Absent: deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    pub created_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Seq>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned_at: Option<Time>,
    #[serde(flatten)]
    pub mentions: Mentions,
    /// By the moment at which each emoji came first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<Reaction>,
}

/// Whom a text meant when it was stored or last edited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mentions {
    /// Rising.
    #[serde(rename = "mentions", default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<UserId>,
    /// `@all`.
    #[serde(
        rename = "mention_all",
        default,
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub all: bool,
}

/// One emoji under a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reaction {
    pub emoji: String,
    pub count: u64,
    /// The first [`limits::REACTION_USERS_MAX`] to react.
    pub user_ids: Vec<UserId>,
    /// The reader is among them, listed or not; in REST pages only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub me: bool,
}

/// One person's reaction, in the list of all.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ReactionOf {
    pub emoji: String,
    pub user: UserSummary,
}

/// A message that a search found.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Found {
    pub message: Message,
    pub room: FoundRoom,
    /// The text around the first hit, in order.
    pub snippet: Vec<Piece>,
}

/// Where it was found.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FoundRoom {
    pub id: RoomId,
    pub kind: RoomKind,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<UserSummary>,
}

/// A piece of a snippet; `hit`: it was searched for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Piece {
    pub text: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hit: bool,
}

/// A list; `next` is the cursor of the next page.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}List")]
pub struct List<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
    /// Pages of messages and members: the room's `rev` that they are complete to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rev: Option<Rev>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Tokens {
    pub user: User,
    pub access_token: String,
    pub refresh_token: String,
    pub token_type: &'static str,
    /// Seconds until the access token expires.
    pub expires_in: u64,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Info {
    pub name: &'static str,
    pub version: &'static str,
    pub registration: &'static str,
    pub limits: Limits,
}

/// What health checks hear.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Status {
    pub status: &'static str,
}

/// The limits that clients can see.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Limits {
    pub username_chars_min: usize,
    pub username_chars_max: usize,
    pub email_chars_max: usize,
    pub password_bytes_min: usize,
    pub password_bytes_max: usize,
    pub full_name_chars_max: usize,
    pub room_name_chars_max: usize,
    pub topic_chars_max: usize,
    pub content_chars_max: usize,
    pub ref_bytes_max: usize,
    pub request_bytes_max: usize,
    pub ids_per_request_max: usize,
    pub sync_rooms_max: usize,
    pub rooms_per_user_max: usize,
    pub list_items_max: usize,
    pub replay_max: usize,
    pub emoji_bytes_max: usize,
    pub reaction_kinds_max: usize,
    pub mentions_max: usize,
    pub search_chars_max: usize,
    pub connections_per_user_max: usize,
}

impl Limits {
    pub const CURRENT: Limits = Limits {
        username_chars_min: limits::USERNAME_CHARS_MIN,
        username_chars_max: limits::USERNAME_CHARS_MAX,
        email_chars_max: limits::EMAIL_CHARS_MAX,
        password_bytes_min: limits::PASSWORD_BYTES_MIN,
        password_bytes_max: limits::PASSWORD_BYTES_MAX,
        full_name_chars_max: limits::FULL_NAME_CHARS_MAX,
        room_name_chars_max: limits::ROOM_NAME_CHARS_MAX,
        topic_chars_max: limits::TOPIC_CHARS_MAX,
        content_chars_max: limits::CONTENT_CHARS_MAX,
        ref_bytes_max: limits::REF_BYTES_MAX,
        request_bytes_max: limits::REQUEST_BYTES_MAX,
        ids_per_request_max: limits::IDS_PER_REQUEST_MAX,
        sync_rooms_max: limits::SYNC_ROOMS_MAX,
        rooms_per_user_max: limits::ROOMS_PER_USER_MAX,
        list_items_max: limits::LIST_ITEMS_MAX,
        replay_max: limits::REPLAY_MAX,
        emoji_bytes_max: limits::EMOJI_BYTES_MAX,
        reaction_kinds_max: limits::REACTION_KINDS_MAX,
        mentions_max: limits::MENTIONS_MAX,
        search_chars_max: limits::SEARCH_CHARS_MAX,
        connections_per_user_max: limits::CONNECTIONS_PER_USER_MAX,
    };
}

/// A field of a request's body: never fails to be read, so that all broken fields of a body can be
/// named at once. [`super::check::Checks`] turns it into a value or an error.
#[derive(Debug, Default)]
pub enum Field<T> {
    #[default]
    Missing,
    /// Of another JSON type than it should be.
    IllTyped,
    Given(T),
}

impl<'de, T: serde::de::DeserializeOwned> Deserialize<'de> for Field<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        Ok(match value {
            serde_json::Value::Null => Field::Missing,
            value => serde_json::from_value(value).map_or(Field::IllTyped, Field::Given),
        })
    }
}

/// In the documents it is its plain type: [`super::schema`] takes `null` away from what is required.
impl<T: JsonSchema> JsonSchema for Field<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Option::<T>::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Option::<T>::json_schema(generator)
    }
}

/// The names of a body's fields that don't exist: collected rather than refused at the first, so that
/// all broken fields are named at once. As many as a person would look at, and not longer.
#[derive(Debug, Default)]
pub struct Unknown(pub Vec<String>);

impl Unknown {
    const NAMES_MAX: usize = 16;
    const NAME_CHARS_MAX: usize = 64;
}

impl<'de> Deserialize<'de> for Unknown {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> serde::de::Visitor<'de> for Names {
            type Value = Unknown;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Unknown, A::Error> {
                let mut names = Vec::new();
                while let Some((name, _)) = map.next_entry::<String, serde::de::IgnoredAny>()? {
                    if names.len() < Unknown::NAMES_MAX {
                        names.push(name.chars().take(Unknown::NAME_CHARS_MAX).collect());
                    }
                }
                Ok(Unknown(names))
            }
        }
        deserializer.deserialize_map(Names)
    }
}

/// [`super::schema`] says of every body that it takes no other fields.
impl JsonSchema for Unknown {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Unknown".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({})
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("required" = ["username", "email", "password"]))]
pub struct RegisterBody {
    #[serde(default)]
    #[schemars(length(min = limits::USERNAME_CHARS_MIN, max = limits::USERNAME_CHARS_MAX), regex(pattern = USERNAME))]
    pub username: Field<String>,
    #[serde(default)]
    #[schemars(length(max = limits::EMAIL_CHARS_MAX), regex(pattern = EMAIL))]
    pub email: Field<String>,
    #[serde(default)]
    #[schemars(length(min = PASSWORD_CHARS_MIN, max = limits::PASSWORD_BYTES_MAX))]
    pub password: Field<String>,
    #[serde(default)]
    #[schemars(length(max = limits::FULL_NAME_CHARS_MAX), regex(pattern = LINE))]
    pub full_name: Field<String>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// JSON, or the OAuth2 password form (RFC 6749 section 4.3.2), whose other fields are ignored.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("required" = ["username", "password"]))]
pub struct LoginBody {
    #[serde(default)]
    pub username: Field<String>,
    #[serde(default)]
    #[schemars(length(max = limits::PASSWORD_BYTES_MAX))]
    pub password: Field<String>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("required" = ["name", "kind"]))]
pub struct CreateRoomBody {
    #[serde(default)]
    #[schemars(length(min = 1, max = limits::ROOM_NAME_CHARS_MAX), regex(pattern = LINE))]
    pub name: Field<String>,
    #[serde(default)]
    #[schemars(extend("enum" = ["public", "private"]))]
    pub kind: Field<RoomKind>,
    #[serde(default)]
    #[schemars(length(max = limits::TOPIC_CHARS_MAX), regex(pattern = LINE))]
    pub topic: Field<String>,
    #[serde(default)]
    #[schemars(length(max = limits::IDS_PER_REQUEST_MAX))]
    pub members: Field<Vec<UserId>>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// One of the two.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AddMemberBody {
    #[serde(default)]
    pub user_id: Field<UserId>,
    #[serde(default)]
    pub username: Field<String>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("required" = ["content"]))]
pub struct SendBody {
    /// Made by the server when it is absent: such a request can't be repeated safely.
    #[serde(default)]
    pub id: Field<Uuid>,
    #[serde(default)]
    #[schemars(length(min = 1, max = limits::CONTENT_CHARS_MAX))]
    pub content: Field<String>,
    #[serde(default)]
    pub reply_to: Field<Seq>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("required" = ["content"]))]
pub struct EditBody {
    #[serde(default)]
    #[schemars(length(min = 1, max = limits::CONTENT_CHARS_MAX))]
    pub content: Field<String>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// What of a room's settings is to change.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct PatchRoomBody {
    #[serde(default)]
    #[schemars(length(min = 1, max = limits::ROOM_NAME_CHARS_MAX), regex(pattern = LINE))]
    pub name: Field<String>,
    #[serde(default)]
    #[schemars(length(max = limits::TOPIC_CHARS_MAX), regex(pattern = LINE))]
    pub topic: Field<String>,
    #[serde(default)]
    pub archived: Field<bool>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("required" = ["role"]))]
pub struct PatchMemberBody {
    #[serde(default)]
    pub role: Field<Role>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// What of one's own membership is to change.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct PatchMineBody {
    #[serde(default)]
    pub notify: Field<Notify>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("required" = ["user_id"]))]
pub struct DirectBody {
    #[serde(default)]
    pub user_id: Field<UserId>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("required" = ["seq"]))]
pub struct ReadBody {
    #[serde(default)]
    pub seq: Field<Seq>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ReadAnswer {
    pub last_read_seq: Seq,
    pub unread_mentions: u64,
}

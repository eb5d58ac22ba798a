//! The answers of REST, and the objects that REST and the socket share. The bodies of requests are in [`bodies`].

mod bodies;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::bodies::*;
use super::{Rev, RoomId, Seq, SessionId, Time, UserId};
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

/// Who may register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    Open,
    /// Only with an invite.
    Invite,
    Closed,
}

/// A user. Only they themselves and site admins get `email`.
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
    /// Between two users, or of one user alone.
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

/// What a member wants to be notified of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Notify {
    All,
    Mentions,
    None,
}

/// A room. The fields that differ by member are present for members.
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

/// The fields of a room that differ by member.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Mine {
    pub role: Role,
    pub notify: Notify,
    pub last_read_seq: Seq,
    /// Messages above my read marker that aren't deleted.
    pub unread: u64,
    pub unread_mentions: u64,
    /// Their seqs, rising; only the newest [`limits::MENTIONED_MAX`].
    pub mentioned: Vec<Seq>,
    /// The seqs of deleted messages above my read marker, rising; only the newest [`limits::MENTIONED_MAX`].
    pub deleted: Vec<Seq>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_message: Option<LastMessage>,
    /// The other user of a direct room; in a direct room of one user, that user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<UserSummary>,
}

/// The newest of the last [`limits::LAST_MESSAGE_REACH`] messages that isn't deleted, with the first
/// [`limits::SNIPPET_CHARS`] characters of its text.
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
    /// Present in rooms of at most [`limits::MARKERS_ROOM_MAX`] members.
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
    #[schemars(example = 1)]
    pub seq: Seq,
    #[schemars(example = 1)]
    pub rev: Rev,
    /// Chosen by the author's client, unique per room and author.
    pub id: Uuid,
    pub kind: MessageKind,
    pub sender: UserSummary,
    /// Absent if the message is deleted.
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
    /// In the order in which each emoji was first used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<Reaction>,
}

/// Whom a text mentioned when it was stored or last edited.
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

/// One emoji of a message's reactions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reaction {
    pub emoji: String,
    pub count: u64,
    /// The first [`limits::REACTION_USERS_MAX`] users who reacted.
    pub user_ids: Vec<UserId>,
    /// Whether the reader reacted, listed or not. Only in pages by REST.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub me: bool,
}

/// The reaction of one user.
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
    /// The text around the first hit, in pieces.
    pub snippet: Vec<Piece>,
    /// Whether a word of the message is only near one of the query's: misspelt here or there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub near: bool,
}

/// A page of what a search found. `next` is the cursor of the next page.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FoundList {
    pub items: Vec<Found>,
    pub next: Option<String>,
    /// False while the index is being built, after a first start or a failure: older messages may be missing.
    pub complete: bool,
    /// The share of the log that is indexed, from 0 to 1, where `complete` is false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<f64>,
}

/// The room of a message that was found.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FoundRoom {
    pub id: RoomId,
    pub kind: RoomKind,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<UserSummary>,
}

/// A piece of a snippet. `hit`: whether it was searched for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Piece {
    pub text: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hit: bool,
}

/// A page of a list. `next` is the cursor of the next page.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}List")]
pub struct List<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
    /// In pages of messages and members: the room's `rev` up to which the page is complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rev: Option<Rev>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Tokens {
    pub user: User,
    pub access_token: String,
    /// Absent if it was set as a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    pub token_type: &'static str,
    /// Seconds until the access token expires.
    pub expires_in: u64,
}

/// A session of the asker.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Session {
    pub id: SessionId,
    pub user_agent: String,
    pub created_at: Time,
    pub last_used_at: Time,
    /// Whether it is the session that asks.
    pub current: bool,
}

/// An invite as its creator sees it. Its code is shown only once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Invite {
    #[schemars(example = 1)]
    pub id: u64,
    /// The room that new users join by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_id: Option<RoomId>,
    pub created_by: UserId,
    pub max_uses: u64,
    pub uses: u64,
    pub created_at: Time,
    pub expires_at: Time,
}

/// An invite that was just created.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct InviteMade {
    #[serde(flatten)]
    pub invite: Invite,
    pub code: String,
    /// The link for those who are invited. It is only a path if the server doesn't know its own URL.
    pub link: String,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Info {
    pub name: &'static str,
    pub version: &'static str,
    pub registration: Registration,
    pub limits: Limits,
}

/// The answer to health checks.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Status {
    pub status: &'static str,
}

/// The limits that concern clients.
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
    /// The size of a frame from the server.
    pub frame_bytes_max: usize,
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
        frame_bytes_max: limits::FRAME_BYTES_MAX,
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

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ReadAnswer {
    pub last_read_seq: Seq,
    pub last_seq: Seq,
    /// Counts the messages up to `last_seq`.
    pub unread: u64,
    pub unread_mentions: u64,
}

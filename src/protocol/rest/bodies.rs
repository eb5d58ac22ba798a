//! The bodies of REST's requests. Each has an example, with which the documentation page fills its forms. Where possible, it can
//! be sent unchanged by the user who registered with the example; a test does so.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::json;

use super::{Notify, Role, RoomKind, SiteRole};
use crate::{
    limits,
    protocol::{
        MessageId, RoomId, Time, UserId, Whole,
        schema::{EMAIL, LINE, PASSWORD_CHARS_MIN, USERNAME},
    },
};

const PASSWORD: &str = "correct horse battery staple";
const NEW_PASSWORD: &str = "a stapler for the correct horse";

/// An example of an invite's expiry: half as far away as allowed, because the document may be read some time later.
fn example_expiry() -> Time {
    let half = limits::INVITE_TTL_MAX / 2;
    Time(Time::now().0 + half.as_millis() as i64)
}

/// A field of a request's body. Reading it never fails, so that one answer can name all broken fields of a body:
/// [`Checks`](crate::protocol::check::Checks) turns it into a value or an error.
#[derive(Debug, Default)]
pub enum Field<T> {
    #[default]
    Missing,
    /// Of the wrong JSON type, or a value that isn't known.
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

/// The documents show the plain type: [`schema`](crate::protocol::schema) removes `null` from required fields.
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

/// The names of a body's unknown fields. They are collected, so that one answer can name all broken fields. Their number and
/// length are bounded.
#[derive(Debug, Default)]
pub struct Unknown(pub Vec<String>);

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
                    if names.len() < limits::UNKNOWN_FIELDS_MAX {
                        names.push(name.chars().take(limits::FIELD_NAME_CHARS_MAX).collect());
                    }
                }
                Ok(Unknown(names))
            }
        }
        deserializer.deserialize_map(Names)
    }
}

/// [`schema`](crate::protocol::schema) forbids unknown fields in all bodies.
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
#[schemars(example = json!({
    "username": "ada",
    "email": "ada@example.org",
    "password": PASSWORD,
    "full_name": "Ada Lovelace",
}))]
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
    /// Whether the refresh token is to be set as a cookie.
    #[serde(default)]
    pub cookie: Field<bool>,
    #[serde(default)]
    pub invite: Field<String>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("required" = ["max_uses", "expires_at"]))]
#[schemars(example = json!({"room_id": 1, "max_uses": 10, "expires_at": example_expiry()}))]
pub struct CreateInviteBody {
    #[serde(default)]
    pub room_id: Field<RoomId>,
    #[serde(default)]
    #[schemars(range(min = 1, max = limits::INVITE_USES_MAX))]
    pub max_uses: Field<Whole>,
    #[serde(default)]
    pub expires_at: Field<Time>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("required" = ["code", "new_password"]))]
#[schemars(example = json!({"code": "the code of the link", "new_password": NEW_PASSWORD}))]
pub struct ResetBody {
    #[serde(default)]
    pub code: Field<String>,
    #[serde(default)]
    #[schemars(length(min = PASSWORD_CHARS_MIN, max = limits::PASSWORD_BYTES_MAX))]
    pub new_password: Field<String>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// Changes of a user's account by a site admin.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(example = json!({"is_active": true}))]
pub struct PatchUserBody {
    #[serde(default)]
    pub is_active: Field<bool>,
    #[serde(default)]
    pub role: Field<SiteRole>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// JSON, or the OAuth2 password form (RFC 6749 section 4.3.2), whose unknown fields are ignored.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("required" = ["username", "password"]))]
#[schemars(example = json!({"username": "ada", "password": PASSWORD}))]
pub struct LoginBody {
    #[serde(default)]
    pub username: Field<String>,
    #[serde(default)]
    #[schemars(length(max = limits::PASSWORD_BYTES_MAX))]
    pub password: Field<String>,
    /// Whether the refresh token is to be set as a cookie.
    #[serde(default)]
    pub cookie: Field<bool>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// Empty if the token is in the cookie.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(example = json!({"refresh_token": "the session's refresh token"}))]
pub struct RefreshBody {
    #[serde(default)]
    pub refresh_token: Field<String>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// Changes of one's own account.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(example = json!({"full_name": "Ada King", "email": "ada.king@example.org"}))]
pub struct PatchMeBody {
    #[serde(default)]
    #[schemars(length(max = limits::FULL_NAME_CHARS_MAX), regex(pattern = LINE))]
    pub full_name: Field<String>,
    #[serde(default)]
    #[schemars(length(max = limits::EMAIL_CHARS_MAX), regex(pattern = EMAIL))]
    pub email: Field<String>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("required" = ["current_password"]))]
#[schemars(example = json!({"current_password": PASSWORD}))]
pub struct DeleteMeBody {
    #[serde(default)]
    #[schemars(length(max = limits::PASSWORD_BYTES_MAX))]
    pub current_password: Field<String>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("required" = ["current_password", "new_password"]))]
#[schemars(example = json!({"current_password": PASSWORD, "new_password": NEW_PASSWORD}))]
pub struct PasswordBody {
    #[serde(default)]
    #[schemars(length(max = limits::PASSWORD_BYTES_MAX))]
    pub current_password: Field<String>,
    #[serde(default)]
    #[schemars(length(min = PASSWORD_CHARS_MIN, max = limits::PASSWORD_BYTES_MAX))]
    pub new_password: Field<String>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("required" = ["name", "kind"]))]
#[schemars(example = json!({"name": "Reading room", "kind": "public", "topic": "What we read"}))]
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

/// One of the two fields.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(example = json!({"username": "ada"}))]
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
#[schemars(example = json!({"content": "Hello, everybody!"}))]
pub struct SendBody {
    /// If it is absent, the server chooses one, and the request can't be repeated safely.
    #[serde(default)]
    pub id: Field<MessageId>,
    #[serde(default)]
    #[schemars(length(min = 1, max = limits::CONTENT_CHARS_MAX))]
    pub content: Field<String>,
    #[serde(default)]
    pub reply_to: Field<Whole>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("required" = ["content"]))]
#[schemars(example = json!({"content": "Hello, all of you!"}))]
pub struct EditBody {
    #[serde(default)]
    #[schemars(length(min = 1, max = limits::CONTENT_CHARS_MAX))]
    pub content: Field<String>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// Changes of a room's settings.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(example = json!({"name": "Library", "topic": "What we read, and have read"}))]
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
#[schemars(example = json!({"role": "admin"}))]
pub struct PatchMemberBody {
    #[serde(default)]
    pub role: Field<Role>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// Changes of one's own membership.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(example = json!({"notify": "mentions"}))]
pub struct PatchMineBody {
    #[serde(default)]
    pub notify: Field<Notify>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("required" = ["user_id"]))]
#[schemars(example = json!({"user_id": 1}))]
pub struct DirectBody {
    #[serde(default)]
    pub user_id: Field<UserId>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("required" = ["seq"]))]
#[schemars(example = json!({"seq": 1}))]
pub struct ReadBody {
    #[serde(default)]
    pub seq: Field<Whole>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

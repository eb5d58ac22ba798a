//! The forms of names by which users are found.

use super::{connection::Conn, error::SqlError};
use crate::protocol::{fold::name_forms, rest::UserSummary};

/// Inserts the forms ([`name_forms`]) of the usernames and full names of users that have none yet.
pub async fn insert_names(conn: &mut Conn<'_>, users: &[UserSummary]) -> Result<(), SqlError> {
    let mut rows = Vec::new();
    for user in users {
        let forms = name_forms(&user.username, user.full_name.as_deref());
        rows.extend(forms.into_iter().map(|form| [form.into(), user.id.into()]));
    }
    conn.insert("user_names (name, user_id)", &rows).await
}

/// Names that begin with `prefix` are at least the first and below the second, byte by byte.
pub fn prefix_range(prefix: &str) -> (String, String) {
    (prefix.to_owned(), format!("{prefix}\u{10FFFF}"))
}

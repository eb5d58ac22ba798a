//! Accounts, as they are passed to and from the store.

use crate::protocol::rest::User;

/// A user's row, with what must never leave the server.
#[derive(Clone, Debug)]
pub struct UserRow {
    pub user: User,
    pub password_hash: Option<String>,
}

impl UserRow {
    /// Whether the account was deleted: it has no address any more.
    pub fn is_deleted(&self) -> bool {
        self.user.email.as_deref() == Some("")
    }
}

/// A user to be created.
#[derive(Clone, Debug)]
pub struct NewUser {
    pub username: String,
    pub email: String,
    pub full_name: Option<String>,
    pub password_hash: String,
}

/// What a user says of themselves. What is `None` stays; an empty full name is removed.
#[derive(Clone, Debug)]
pub struct Profile {
    pub full_name: Option<String>,
    pub email: Option<String>,
}

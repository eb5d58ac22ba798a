//! REST, by PROTOCOL.md sections 6.1 and 7: one file for each subject.

mod accounts;
mod bodies;
mod http;
mod imported_passwords;
mod invites;
mod login_timing;
mod messages;
mod other_origins;
mod rooms;
mod search;
mod secrets;
mod spellings;
mod users;
mod web_client;

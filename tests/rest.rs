//! REST, by PROTOCOL.md sections 6.1 and 7: a file for each subject.

mod accounts;
mod bodies;
mod browser;
mod guessing;
mod http;
mod invites;
mod messages;
mod page;
mod passwords;
mod rooms;
mod search;
mod secrets;
mod spellings;
mod users;

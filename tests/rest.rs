//! REST, by PROTOCOL.md sections 1 and 2: a file for each subject.

mod accounts;
mod bodies;
mod browser;
mod guessing;
mod http;
mod messages;
mod rooms;
mod search;
mod secrets;

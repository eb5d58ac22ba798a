//! What PROTOCOL.md and README.md promise to clients and operators, while nothing fails.

mod cli;
mod deadlines;
mod documents;
mod ephemeral;
mod first_message;
mod lines;
mod messages;
mod metrics;
mod python_example;
mod read_markers;
mod repeated_sends;
mod rest;
mod rights;
mod rooms;
mod sessions;
mod socket;

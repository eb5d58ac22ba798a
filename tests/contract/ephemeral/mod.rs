//! Ephemeral frames (PROTOCOL.md section 5.3): presence, typing, others' read markers. Each reaches those who may know, no
//! more often than promised, and nobody else.

mod markers;
mod online;
mod presence;
mod typing;

//! PROTOCOL.md section 5.3: who is online, who types, how far others have read. Each reaches those who may know, no more
//! often than promised, and nobody else.

mod markers;
mod online;
mod presence;
mod typing;

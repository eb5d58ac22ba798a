//! Who is connected, and who subscribes to which room: the registry of connections and live rooms.
//!
//! A sharded registry finds a user's connections and a room's task ([`registry`]). One task per live room delivers its
//! events ([`room`], reached by [`handle`]). A bounded mailbox stands before each socket ([`mailbox`]). Events come from
//! the log after each commit ([`Hub::commit_hook`]). They are only a prompt: a room that misses one reads it from the log.
//!
//! Deliberately absent: HTTP, the framing of either wire (it is given: [`Framing`]), SQL.
//!
//! Lock tiers: a registry shard is tier 1, a mailbox tier 2. They are taken in that order, and neither is held across an
//! await. The lock of [`presence`] is taken alone.

pub mod encode;
mod ephemeral;
mod handle;
mod joined;
pub mod mailbox;
pub mod order;
mod pages;
mod presence;
mod registry;
mod room;
mod rooms;
pub mod wire;

pub use self::{
    handle::{Attached, Lease, RoomFailed, Subscriber},
    mailbox::{Mailbox, Notice, PresenceNews},
    pages::CatchUp,
    presence::state::{News, Online, Stamp},
    registry::{Hub, Registration},
    wire::{Framing, Wire},
};

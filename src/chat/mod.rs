//! What users may do: accounts, rooms, membership, messages. All rules of authority live here and in
//! the log's own judgement, called alike by REST and by the socket.

use std::sync::Arc;

use uuid::Uuid;

use crate::{
    protocol::{
        RoomId, Seq, SessionId, Time,
        error::Refusal,
        rest::{Room, User},
    },
    store::Standing,
};

/// Who asks: the user and the log-in that a valid access token named.
#[derive(Clone, Debug)]
pub struct Identity {
    pub user: Arc<User>,
    pub session_id: SessionId,
    /// When the access token expires.
    pub expires_at: Time,
}

/// A stored message's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    pub id: Uuid,
    pub seq: Seq,
    pub rev: crate::protocol::Rev,
    pub created_at: Time,
    pub duplicate: bool,
}

/// Everything that users may do. One per process, shared.
pub struct Chat {}

impl Chat {
    /// The log's epoch.
    pub fn epoch(&self) -> Arc<str> {
        todo!()
    }
    /// Who the access token names: `token_expired`, `token_revoked` or `unauthorized` otherwise.
    pub async fn authenticate(&self, _token: &str) -> Result<Identity, Refusal> {
        todo!()
    }
    /// Stores a message. `unavailable`: the outcome is open, send the same `id` again.
    pub async fn send(
        &self,
        _who: &Identity,
        _room_id: RoomId,
        _id: Uuid,
        _content: String,
        _reply_to: Option<Seq>,
    ) -> Result<Sent, Refusal> {
        todo!()
    }
    /// Raises the marker; answers where it stands.
    pub async fn read(
        &self,
        _who: &Identity,
        _room_id: RoomId,
        _seq: Seq,
    ) -> Result<crate::protocol::rest::ReadAnswer, Refusal> {
        todo!()
    }
    /// All of the user's rooms, as in `ready`.
    pub async fn my_rooms(&self, _who: &Identity) -> Result<Vec<Room>, Refusal> {
        todo!()
    }
    /// One room as the user sees it; private rooms of others don't exist.
    pub async fn room(&self, _who: &Identity, _room_id: RoomId) -> Result<Room, Refusal> {
        todo!()
    }
    /// Where the user stands in those of these rooms that he is in.
    pub async fn standings(
        &self,
        _who: &Identity,
        _rooms: &[RoomId],
    ) -> Result<Vec<Standing>, Refusal> {
        todo!()
    }
    /// A page of a room's history.
    pub async fn history(
        &self,
        _who: &Identity,
        _room_id: RoomId,
        _range: crate::store::Range,
        _limit: usize,
    ) -> Result<crate::store::History, Refusal> {
        todo!()
    }
    /// Sockets that a user may have open at once.
    pub fn connections_max(&self) -> usize {
        todo!()
    }
    /// Charges a new socket to the user's limit.
    pub fn charge_socket(&self, _who: &Identity) -> Result<(), Refusal> {
        todo!()
    }
}

impl From<crate::store::Error> for Refusal {
    fn from(_: crate::store::Error) -> Self {
        todo!()
    }
}

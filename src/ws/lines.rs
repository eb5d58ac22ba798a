//! Connections that speak lines of JSON over plain TCP.

use bytes::Bytes;
use tokio::net::TcpStream;

use super::{
    connection, frame,
    gateway::{Gateway, Opening},
    socket::Socket,
};
use crate::{
    hub::Wire,
    protocol::{close::Close, server::Frame},
};

impl Gateway {
    /// The last line of a connection that isn't served because its host has enough of them.
    pub fn turned_away() -> Bytes {
        let (code, reason) = Close::RateLimited.code_and_reason();
        frame::framed(&Frame::Close { code, reason }, Wire::Lines)
    }

    /// Serves a connection: a socket for all rooms, whose first line brings the token.
    pub async fn lines(self, stream: TcpStream) {
        let opening = Opening {
            token: None,
            room_id: None,
            history: 0,
        };
        Box::pin(connection::open(self, Socket::lines(stream), opening)).await;
    }
}

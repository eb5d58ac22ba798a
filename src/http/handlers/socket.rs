//! `/ws`, `/ws/{room}`, `/ws/rooms/{room}`: requests that become sockets.

use std::sync::Arc;

use http::Request;
use http_body_util::Full;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time};

use crate::{
    http::{hosts::Seat, pace::Paced, request::Call, response::HandlerResult},
    limits::{AUTH_BYTES_MAX, AUTH_DEADLINE},
    protocol::RoomId,
};

pub async fn all_rooms(call: Call) -> HandlerResult {
    upgrade(call, None).await
}

pub async fn one_room(call: Call) -> HandlerResult {
    let room_id = call.room_id();
    upgrade(call, Some(room_id)).await
}

/// The method is GET, and the query hasn't been read: the gateway decides whether the request may become a socket. The
/// places of its connection and of its client are held as long as the socket lives.
async fn upgrade(call: Call, room_id: Option<RoomId>) -> HandlerResult {
    call.site.origins.check_upgrade(&call.head.headers)?;
    let places = (call.head.extensions.get::<Arc<Seat>>().cloned(), call.place);
    let mut request = Request::from_parts(call.head, call.body);
    let stream = stream(hyper::upgrade::on(&mut request));
    let gateway = &call.site.gateway;
    let response = gateway.upgrade(request, stream, room_id, places)?;
    Ok(response.map(|()| Full::default()))
}

/// The connection after the upgrade, and what hyper had already read from it. It is taken out of hyper, so that nothing of the
/// HTTP connection stays in memory, neither its pace nor its read buffer of 8 KiB.
async fn stream(upgrade: OnUpgrade) -> Option<(TcpStream, Vec<u8>)> {
    let upgraded = time::timeout(AUTH_DEADLINE, upgrade).await.ok()?.ok()?;
    match upgraded.downcast::<TokioIo<Paced<TcpStream>>>() {
        // A client that doesn't wait for the answer may send no more than its authentication.
        Ok(parts) if parts.read_buf.len() > AUTH_BYTES_MAX => None,
        Ok(parts) => Some((parts.io.into_inner().into_inner(), parts.read_buf.to_vec())),
        Err(_) => {
            tracing::error!("an upgraded connection is no TCP stream");
            None
        }
    }
}

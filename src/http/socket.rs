//! `/ws`, `/ws/{room}`, `/ws/rooms/{room}`: where a request becomes a socket.

use std::sync::Arc;

use http::Request;
use http_body_util::Full;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time};

use super::{pace::Paced, request::Call, response::Outcome, server::Seat};
use crate::{
    limits::{AUTH_BYTES_MAX, AUTH_DEADLINE},
    protocol::RoomId,
};

pub async fn all_rooms(call: Call) -> Outcome {
    upgrade(call, None).await
}

pub async fn one_room(call: Call) -> Outcome {
    let room_id = call.room_id();
    upgrade(call, Some(room_id)).await
}

/// The method is GET, the query is unread; whether the request may become a socket is the
/// gateway's to judge. The places of its connection and of its client are kept as long as the socket lives.
async fn upgrade(call: Call, room_id: Option<RoomId>) -> Outcome {
    call.site.origins.check_upgrade(&call.head.headers)?;
    let places = (call.head.extensions.get::<Arc<Seat>>().cloned(), call.place);
    let mut request = Request::from_parts(call.head, call.body);
    let stream = stream(hyper::upgrade::on(&mut request));
    let gateway = &call.site.gateway;
    let response = gateway.upgrade(request, stream, room_id, places)?;
    Ok(response.map(|()| Full::default()))
}

/// The connection once it has been upgraded, and what hyper has read of it too early. It is taken out of hyper, so
/// that nothing of the HTTP connection stays in memory: neither its pace nor its read buffer of 8 KiB.
async fn stream(upgrade: OnUpgrade) -> Option<(TcpStream, Vec<u8>)> {
    let upgraded = time::timeout(AUTH_DEADLINE, upgrade).await.ok()?.ok()?;
    match upgraded.downcast::<TokioIo<Paced<TcpStream>>>() {
        // Who can't wait for the answer has nothing large to say before they are let in.
        Ok(parts) if parts.read_buf.len() > AUTH_BYTES_MAX => None,
        Ok(parts) => Some((parts.io.into_inner().into_inner(), parts.read_buf.to_vec())),
        Err(_) => {
            tracing::error!("an upgraded connection isn't a TCP stream");
            None
        }
    }
}

//! `/ws`, `/ws/{room}`, `/ws/rooms/{room}`: where a request becomes a socket.

use http::Request;
use http_body_util::Full;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time};

use super::{pace::Paced, request::Call, response::Outcome};
use crate::{limits::AUTH_DEADLINE, protocol::RoomId};

pub async fn all_rooms(call: Call) -> Outcome {
    upgrade(call, None).await
}

pub async fn one_room(call: Call) -> Outcome {
    let room_id = call.room_id();
    upgrade(call, Some(room_id)).await
}

/// The method is GET, the query is unread; whether the request may become a socket is the
/// gateway's to judge. Its extensions hold an `Arc<OwnedSemaphorePermit>`: the connection's place under
/// [`crate::limits::CONNECTIONS_MAX`], to be kept as long as the socket lives.
async fn upgrade(call: Call, room_id: Option<RoomId>) -> Outcome {
    call.site.origins.check_upgrade(&call.head.headers)?;
    let mut request = Request::from_parts(call.head, call.body);
    let stream = stream(hyper::upgrade::on(&mut request));
    let response = call.site.gateway.upgrade(request, stream, room_id)?;
    Ok(response.map(|()| Full::default()))
}

/// The connection once it has been upgraded, and what hyper has read of it too early. It is taken out of hyper, so
/// that nothing of the HTTP connection stays in memory: neither its pace nor its read buffer of 8 KiB.
async fn stream(upgrade: OnUpgrade) -> Option<(TcpStream, Vec<u8>)> {
    let upgraded = time::timeout(AUTH_DEADLINE, upgrade).await.ok()?.ok()?;
    match upgraded.downcast::<TokioIo<Paced<TcpStream>>>() {
        Ok(parts) => Some((parts.io.into_inner().into_inner(), parts.read_buf.to_vec())),
        Err(_) => {
            tracing::error!("an upgraded connection isn't a TCP stream");
            None
        }
    }
}

//! `/ws`, `/ws/{room}`, `/ws/rooms/{room}`: where a request becomes a socket.

use http::Request;
use http_body_util::Full;

use super::{request::Call, response::Outcome};
use crate::protocol::RoomId;

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
    let request = Request::from_parts(call.head, call.body);
    let response = call.site.gateway.upgrade(request, room_id)?;
    Ok(response.map(|()| Full::default()))
}

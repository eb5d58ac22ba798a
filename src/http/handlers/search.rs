//! `/api/chat/search`.

use crate::{
    chat::Search,
    http::{
        request::Call,
        response::{self, HandlerResult},
    },
    limits::ID_MAX,
    protocol::{RoomId, UserId, check::Checks},
};

pub async fn search(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    let mut checks = Checks::default();
    let query = &call.query;
    let limit = query.limit(&mut checks);
    let room_id = query.number(&mut checks, "room_id", 1, ID_MAX).map(RoomId);
    let from = query.number(&mut checks, "from", 1, ID_MAX).map(UserId);
    let since = query.time(&mut checks, "since");
    let until = query.time(&mut checks, "until");
    let near = query.text("near").unwrap_or("yes");
    if !["yes", "no"].contains(&near) {
        checks.fail("near", "unknown", "must be yes or no");
    }
    let near = near == "yes";
    let after = query.text("cursor").map(str::parse);
    if after == Some(Err(())) {
        checks.fail("cursor", "format", "must be the `next` of an earlier page");
    }
    let text = query.text("q");
    if text.is_none() {
        checks.fail("q", "missing", "this parameter is required");
    }
    let text = checks.finish(text)?.to_owned();
    // Searches have turns of their own: other reads of the user continue while one runs.
    call.turn = None;
    let search = Search {
        text,
        room_id,
        from,
        since,
        until,
        near,
        after: after.and_then(Result::ok),
        limit,
    };
    response::ok(&call.site.chat.search(&who, search).await?)
}

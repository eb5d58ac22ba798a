//! `/api/chat/search`.

use super::{
    request::Call,
    response::{self, Outcome},
};
use crate::{
    chat::Search,
    limits::ID_MAX,
    protocol::{RoomId, UserId, check::Checks},
};

pub async fn search(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    let mut checks = Checks::default();
    let query = &call.query;
    let limit = query.limit(&mut checks);
    let room_id = query.number(&mut checks, "room_id", 1, ID_MAX).map(RoomId);
    let from = query.number(&mut checks, "from", 1, ID_MAX).map(UserId);
    let after = query.text("cursor").map(str::parse);
    if after == Some(Err(())) {
        checks.fail("cursor", "format", "the `next` of the page before");
    }
    let text = query.text("q");
    if text.is_none() {
        checks.fail("q", "missing", "this parameter is required");
    }
    checks.done()?;
    // Searches have turns of their own: while one runs, other reads go on.
    call.turn = None;
    let search = Search {
        text: text.unwrap_or_default().to_owned(),
        room_id,
        from,
        after: after.and_then(Result::ok),
        limit,
    };
    response::ok(&call.site.chat.search(&who, search).await?)
}

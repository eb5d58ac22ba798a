//! `/api/chat/rooms/{room}/messages`, with reactions and pins, `…/pins` and `…/read`.

use uuid::Uuid;

use crate::{
    chat::Identity,
    http::{
        request::Call,
        response::{self, HandlerResult},
    },
    limits::{EMOJI_BYTES_MAX, ID_MAX},
    protocol::{
        UserId,
        check::Checks,
        rest::{EditBody, ReadBody, SendBody},
    },
    store::Range,
};

pub async fn list(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    let mut checks = Checks::default();
    let limit = call.query.limit(&mut checks);
    let mut ranges = Vec::new();
    for name in ["before", "after", "around"] {
        let Some(seq) = call.query.number(&mut checks, name, 0, ID_MAX) else {
            continue;
        };
        ranges.push(match name {
            "before" => Range::Before(seq),
            "after" => Range::After(seq),
            _ => Range::Around(seq),
        });
        if ranges.len() > 1 {
            let rule = "give only one of before, after and around";
            checks.fail(name, "conflict", rule);
        }
    }
    let range = ranges.pop().unwrap_or(Range::Latest);
    checks.done()?;
    let chat = &call.site.chat;
    response::ok(&chat.history(&who, call.room_id(), range, limit).await?)
}

pub async fn post(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    let body: SendBody = call.json().await?;
    let mut checks = Checks::of(body.unknown);
    let id = checks.optional("id", body.id);
    let content = checks.required("content", body.content);
    let reply_to = checks.optional("reply_to", body.reply_to).map(u64::from);
    let id = id.map_or_else(Uuid::now_v7, Uuid::from);
    let (chat, room_id) = (&call.site.chat, call.room_id());
    let posted = chat.post(&who, room_id, id, content, reply_to, checks);
    response::made(posted.await?)
}

pub async fn edit(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    let body: EditBody = call.json().await?;
    let mut checks = Checks::of(body.unknown);
    let content = checks.required("content", body.content);
    let (room_id, seq) = (call.room_id(), call.seq());
    let chat = &call.site.chat;
    chat.edit(&who, room_id, seq, content, checks).await?;
    message(&call, &who).await
}

pub async fn delete(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    call.no_body().await?;
    let chat = &call.site.chat;
    chat.delete(&who, call.room_id(), call.seq()).await?;
    message(&call, &who).await
}

pub async fn react(call: Call) -> HandlerResult {
    set_reaction(call, true).await
}

pub async fn unreact(call: Call) -> HandlerResult {
    set_reaction(call, false).await
}

async fn set_reaction(mut call: Call, on: bool) -> HandlerResult {
    let who = call.identify().await?;
    call.no_body().await?;
    let (room_id, seq) = (call.room_id(), call.seq());
    let emoji = &call.parameters.emoji;
    let chat = &call.site.chat;
    chat.react(&who, room_id, seq, emoji, on).await?;
    message(&call, &who).await
}

pub async fn pin(call: Call) -> HandlerResult {
    set_pin(call, true).await
}

pub async fn unpin(call: Call) -> HandlerResult {
    set_pin(call, false).await
}

async fn set_pin(mut call: Call, on: bool) -> HandlerResult {
    let who = call.identify().await?;
    call.no_body().await?;
    let chat = &call.site.chat;
    chat.pin(&who, call.room_id(), call.seq(), on).await?;
    message(&call, &who).await
}

/// Answers the message as it is after a change.
async fn message(call: &Call, who: &Identity) -> HandlerResult {
    let chat = &call.site.chat;
    response::ok(&chat.message(who, call.room_id(), call.seq()).await?)
}

pub async fn pins(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    let mut checks = Checks::default();
    let at = call.query.page(&mut checks);
    checks.done()?;
    let chat = &call.site.chat;
    response::ok(&chat.pins(&who, call.room_id(), at).await?)
}

/// Who reacted, by emoji and user. The cursor of a page is its last user and emoji.
pub async fn reactions(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    let mut checks = Checks::default();
    let limit = call.query.limit(&mut checks);
    let after = match call.query.text("cursor") {
        None => Some(("", UserId(0))),
        Some(cursor) => cursor.split_once('-').and_then(|(user, emoji)| {
            let user = user.parse().ok().filter(|user| *user <= ID_MAX)?;
            (emoji.len() <= EMOJI_BYTES_MAX).then_some((emoji, UserId(user)))
        }),
    };
    if after.is_none() {
        checks.fail("cursor", "format", "must be the `next` of an earlier page");
    }
    let after = checks.finish(after)?;
    let (room_id, seq) = (call.room_id(), call.seq());
    let chat = &call.site.chat;
    response::ok(&chat.reactions(&who, room_id, seq, after, limit).await?)
}

pub async fn read(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    let body: ReadBody = call.json().await?;
    let mut checks = Checks::of(body.unknown);
    let seq = checks.required("seq", body.seq).map(u64::from);
    let (chat, room_id) = (&call.site.chat, call.room_id());
    response::ok(&chat.read(&who, room_id, seq, checks).await?)
}

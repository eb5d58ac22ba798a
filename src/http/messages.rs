//! `/api/chat/rooms/{room}/messages`, what people do with them, `…/pins` and `…/read`.

use super::{
    request::Call,
    response::{self, Outcome},
};
use crate::{
    chat::{Identity, Posted},
    limits::{EMOJI_BYTES_MAX, ID_MAX},
    protocol::{
        UserId,
        check::Checks,
        error::Refusal,
        rest::{EditBody, ReadBody},
    },
    store::Range,
};

pub async fn list(mut call: Call) -> Outcome {
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
            checks.fail(name, "conflict", "only one of before, after and around");
        }
    }
    let range = ranges.pop().unwrap_or(Range::Latest);
    checks.done()?;
    let chat = &call.site.chat;
    response::ok(&chat.history(&who, call.room_id(), range, limit).await?)
}

/// 201, or 200 for an id that was sent before.
pub async fn post(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    let body = call.json().await?;
    match call.site.chat.post(&who, call.room_id(), body).await? {
        Posted::New(message) => response::created(&message),
        Posted::Repeated(message) => response::ok(&message),
    }
}

pub async fn edit(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    let body: EditBody = call.json().await?;
    let mut checks = Checks::default();
    checks.unknown(body.unknown);
    let content = checks.required("content", body.content);
    checks.done()?;
    let content = content.ok_or_else(Refusal::internal)?;
    let chat = &call.site.chat;
    chat.edit(&who, call.room_id(), call.seq(), content).await?;
    message(&call, &who).await
}

pub async fn delete(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    call.no_body().await?;
    let chat = &call.site.chat;
    chat.delete(&who, call.room_id(), call.seq()).await?;
    message(&call, &who).await
}

pub async fn react(call: Call) -> Outcome {
    set_reaction(call, true).await
}

pub async fn unreact(call: Call) -> Outcome {
    set_reaction(call, false).await
}

async fn set_reaction(mut call: Call, on: bool) -> Outcome {
    let who = call.identify().await?;
    call.no_body().await?;
    let emoji = call.parameters.emoji.clone();
    let chat = &call.site.chat;
    chat.react(&who, call.room_id(), call.seq(), emoji, on)
        .await?;
    message(&call, &who).await
}

pub async fn pin(call: Call) -> Outcome {
    set_pin(call, true).await
}

pub async fn unpin(call: Call) -> Outcome {
    set_pin(call, false).await
}

async fn set_pin(mut call: Call, on: bool) -> Outcome {
    let who = call.identify().await?;
    call.no_body().await?;
    let chat = &call.site.chat;
    chat.pin(&who, call.room_id(), call.seq(), on).await?;
    message(&call, &who).await
}

/// The message as it is after what was done to it.
async fn message(call: &Call, who: &Identity) -> Outcome {
    let chat = &call.site.chat;
    response::ok(&chat.message(who, call.room_id(), call.seq()).await?)
}

pub async fn pins(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    let mut checks = Checks::default();
    let at = call.query.page(&mut checks);
    checks.done()?;
    let chat = &call.site.chat;
    response::ok(&chat.pins(&who, call.room_id(), at).await?)
}

/// Who reacted, by emoji and user; a page ends with both.
pub async fn reactions(mut call: Call) -> Outcome {
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
        checks.fail("cursor", "format", "what `next` gave");
    }
    checks.done()?;
    let after = after.ok_or_else(Refusal::internal)?;
    let chat = &call.site.chat;
    let list = chat.reactions(&who, call.room_id(), call.seq(), after, limit);
    response::ok(&list.await?)
}

pub async fn read(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    let body: ReadBody = call.json().await?;
    let mut checks = Checks::default();
    checks.unknown(body.unknown);
    let seq = checks.required("seq", body.seq);
    checks.done()?;
    let seq = seq.ok_or_else(Refusal::internal)?.into();
    response::ok(&call.site.chat.read(&who, call.room_id(), seq).await?)
}

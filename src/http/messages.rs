//! `/api/chat/rooms/{room}/messages` and `…/read`.

use serde_json::{Value, to_value};

use super::{
    request::Call,
    response::{self, Outcome},
};
use crate::{
    chat::Posted,
    limits::ID_MAX,
    protocol::{
        check::Checks,
        error::Refusal,
        rest::{Message, ReadBody},
    },
    store::Range,
};

pub async fn list(call: Call) -> Outcome {
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
        Posted::Withheld(message) => response::ok(&without_content(&message)),
    }
}

fn without_content(message: &Message) -> Value {
    let mut value = to_value(message).expect("a message is plain JSON");
    if let Some(fields) = value.as_object_mut() {
        fields.remove("content");
    }
    value
}

pub async fn read(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    let body: ReadBody = call.json().await?;
    let mut checks = Checks::default();
    checks.unknown(body.unknown);
    let seq = checks.required("seq", body.seq);
    checks.done()?;
    let seq = seq.ok_or_else(Refusal::internal)?;
    response::ok(&call.site.chat.read(&who, call.room_id(), seq).await?)
}

//! `/api/chat/rooms`: rooms and their members.

use super::{
    request::Call,
    response::{self, Outcome},
};
use crate::{
    chat::Scope,
    limits::{FULL_NAME_CHARS_MAX, ROOM_NAME_CHARS_MAX},
    protocol::check::Checks,
};

pub async fn list(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    let mut checks = Checks::default();
    let at = call.query.page(&mut checks);
    let query = call.query.search(&mut checks, ROOM_NAME_CHARS_MAX);
    let scope = match call.query.text("scope") {
        None => Scope::Both,
        Some("mine") => Scope::Mine,
        Some("public") => Scope::Public,
        Some(_) => {
            checks.fail("scope", "unknown", "mine or public");
            Scope::Both
        }
    };
    checks.done()?;
    let rooms = call.site.chat.rooms(&who, scope, query.into(), at).await?;
    response::ok(&rooms)
}

pub async fn create(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    let body = call.json().await?;
    response::created(&call.site.chat.create_room(&who, body).await?)
}

pub async fn show(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    response::ok(&call.site.chat.room(&who, call.room_id()).await?)
}

pub async fn patch(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    let body = call.json().await?;
    let chat = &call.site.chat;
    response::ok(&chat.patch_room(&who, call.room_id(), body).await?)
}

pub async fn delete(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    call.no_body().await?;
    call.site.chat.delete_room(&who, call.room_id()).await?;
    response::no_content()
}

/// 201 for a room that was made, 200 for one that was there.
pub async fn direct(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    let body = call.json().await?;
    match call.site.chat.direct(&who, body).await? {
        (room, true) => response::created(&room),
        (room, false) => response::ok(&room),
    }
}

pub async fn patch_mine(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    let body = call.json().await?;
    let chat = &call.site.chat;
    response::ok(&chat.patch_mine(&who, call.room_id(), body).await?)
}

pub async fn patch_member(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    let body = call.json().await?;
    let chat = &call.site.chat;
    let (room_id, user_id) = (call.room_id(), call.user_id());
    response::ok(&chat.patch_member(&who, room_id, user_id, body).await?)
}

pub async fn join(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    call.no_body().await?;
    response::ok(&call.site.chat.join(&who, call.room_id()).await?)
}

pub async fn leave(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    call.no_body().await?;
    call.site.chat.leave(&who, call.room_id()).await?;
    response::no_content()
}

pub async fn members(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    let mut checks = Checks::default();
    let at = call.query.page(&mut checks);
    let prefix = call.query.search(&mut checks, FULL_NAME_CHARS_MAX);
    checks.done()?;
    let chat = &call.site.chat;
    response::ok(&chat.members(&who, call.room_id(), prefix, at).await?)
}

/// 201 for who wasn't in the room, 200 for who was.
pub async fn add_member(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    let body = call.json().await?;
    let chat = &call.site.chat;
    match chat.add_member(&who, call.room_id(), body).await? {
        (member, true) => response::created(&member),
        (member, false) => response::ok(&member),
    }
}

pub async fn remove_member(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    call.no_body().await?;
    let chat = &call.site.chat;
    chat.remove_member(&who, call.room_id(), call.user_id())
        .await?;
    response::no_content()
}

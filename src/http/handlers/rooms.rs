//! `/api/chat/rooms` and `/api/chat/direct`: rooms and their members.

use crate::{
    chat::{MembershipFilter, RoomRequest, RoomSettings},
    http::{
        request::Call,
        response::{self, HandlerResult},
    },
    limits::{FULL_NAME_CHARS_MAX, ROOM_NAME_CHARS_MAX},
    protocol::{
        check::Checks,
        rest::{
            AddMemberBody, CreateRoomBody, DirectBody, PatchMemberBody, PatchMineBody,
            PatchRoomBody,
        },
    },
};

pub async fn list(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    let mut checks = Checks::default();
    let at = call.query.page(&mut checks);
    let query = call.query.search(&mut checks, ROOM_NAME_CHARS_MAX);
    let filter = match call.query.text("scope") {
        None => MembershipFilter::Both,
        Some("mine") => MembershipFilter::Mine,
        Some("public") => MembershipFilter::Public,
        Some(_) => {
            checks.fail("scope", "unknown", "must be mine or public");
            MembershipFilter::Both
        }
    };
    checks.done()?;
    let rooms = call.site.chat.rooms(&who, filter, query.into(), at).await?;
    response::ok(&rooms)
}

pub async fn create(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    let body: CreateRoomBody = call.json().await?;
    let mut checks = Checks::of(body.unknown);
    let request = RoomRequest {
        name: checks.required("name", body.name),
        kind: checks.required("kind", body.kind),
        topic: checks.optional("topic", body.topic),
        members: checks.optional("members", body.members),
    };
    let chat = &call.site.chat;
    response::created(&chat.create_room(&who, request, checks).await?)
}

pub async fn show(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    response::ok(&call.site.chat.room(&who, call.room_id()).await?)
}

pub async fn patch(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    let body: PatchRoomBody = call.json().await?;
    let mut checks = Checks::of(body.unknown);
    let settings = RoomSettings {
        name: checks.optional("name", body.name),
        topic: checks.optional("topic", body.topic),
        archived: checks.optional("archived", body.archived),
    };
    let (chat, room_id) = (&call.site.chat, call.room_id());
    response::ok(&chat.patch_room(&who, room_id, settings, checks).await?)
}

pub async fn delete(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    call.no_body().await?;
    call.site.chat.delete_room(&who, call.room_id()).await?;
    response::no_content()
}

pub async fn direct(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    let body: DirectBody = call.json().await?;
    let mut checks = Checks::of(body.unknown);
    let user_id = checks.required("user_id", body.user_id);
    response::made(call.site.chat.direct(&who, user_id, checks).await?)
}

pub async fn patch_mine(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    let body: PatchMineBody = call.json().await?;
    let mut checks = Checks::of(body.unknown);
    let notify = checks.optional("notify", body.notify);
    let (chat, room_id) = (&call.site.chat, call.room_id());
    response::ok(&chat.patch_mine(&who, room_id, notify, checks).await?)
}

pub async fn patch_member(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    let body: PatchMemberBody = call.json().await?;
    let mut checks = Checks::of(body.unknown);
    let role = checks.required("role", body.role);
    let (room_id, user_id) = (call.room_id(), call.user_id());
    let patched = call
        .site
        .chat
        .patch_member(&who, room_id, user_id, role, checks);
    response::ok(&patched.await?)
}

pub async fn join(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    call.no_body().await?;
    response::ok(&call.site.chat.join(&who, call.room_id()).await?)
}

pub async fn leave(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    call.no_body().await?;
    call.site.chat.leave(&who, call.room_id()).await?;
    response::no_content()
}

pub async fn members(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    let mut checks = Checks::default();
    let at = call.query.page(&mut checks);
    let prefix = call.query.search(&mut checks, FULL_NAME_CHARS_MAX);
    checks.done()?;
    let chat = &call.site.chat;
    response::ok(&chat.members(&who, call.room_id(), prefix, at).await?)
}

pub async fn add_member(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    let body: AddMemberBody = call.json().await?;
    let mut checks = Checks::of(body.unknown);
    let user_id = checks.optional("user_id", body.user_id);
    let username = checks.optional("username", body.username);
    let added = call
        .site
        .chat
        .add_member(&who, call.room_id(), user_id, username, checks);
    response::made(added.await?)
}

pub async fn remove_member(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    call.no_body().await?;
    let (room_id, user_id) = (call.room_id(), call.user_id());
    call.site.chat.remove_member(&who, room_id, user_id).await?;
    response::no_content()
}

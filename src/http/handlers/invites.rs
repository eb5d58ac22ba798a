//! `/api/invites`.

use crate::{
    chat::InviteRequest,
    http::{
        request::Call,
        response::{self, HandlerResult},
    },
    protocol::{check::Checks, rest::CreateInviteBody},
};

pub async fn list(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    let mut checks = Checks::default();
    let at = call.query.page(&mut checks);
    checks.done()?;
    response::ok(&call.site.chat.invites(&who, at).await?)
}

pub async fn create(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    let body: CreateInviteBody = call.json().await?;
    let mut checks = Checks::of(body.unknown);
    let request = InviteRequest {
        room_id: checks.optional("room_id", body.room_id),
        max_uses: checks.required("max_uses", body.max_uses).map(u64::from),
        expires_at: checks.required("expires_at", body.expires_at),
    };
    let chat = &call.site.chat;
    response::created(&chat.create_invite(&who, request, checks).await?)
}

pub async fn delete(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    call.no_body().await?;
    call.site.chat.delete_invite(&who, call.id()).await?;
    response::no_content()
}

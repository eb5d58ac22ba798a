//! `/api/invites`.

use super::{
    request::Call,
    response::{self, Outcome},
};
use crate::protocol::check::Checks;

pub async fn list(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    let mut checks = Checks::default();
    let at = call.query.page(&mut checks);
    checks.done()?;
    response::ok(&call.site.chat.invites(&who, at).await?)
}

pub async fn create(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    let body = call.json().await?;
    response::created(&call.site.chat.create_invite(&who, body).await?)
}

pub async fn delete(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    call.no_body().await?;
    call.site.chat.delete_invite(&who, call.id()).await?;
    response::no_content()
}

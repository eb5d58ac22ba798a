//! `/api/register`, `/api/login`, `/api/password/reset`, `/api/me`, `/api/users`, and those of them who are online.

use super::{
    request::Call,
    response::{self, Outcome},
};
use crate::{
    chat::PageOf,
    limits::USERNAME_CHARS_MAX,
    protocol::{UserId, check::Checks, error::Refusal, rest::RegisterBody},
};

pub async fn register(mut call: Call) -> Outcome {
    let body: RegisterBody = call.json().await?;
    let tokens = call.site.chat.register(body, call.user_agent()).await?;
    response::created(&tokens)
}

pub async fn login(mut call: Call) -> Outcome {
    let body = call.login().await?;
    let tokens = call.site.chat.login(body, call.user_agent()).await?;
    response::ok(&tokens)
}

pub async fn me(call: Call) -> Outcome {
    let who = call.identify().await?;
    response::ok(&*who.user)
}

pub async fn reset_password(mut call: Call) -> Outcome {
    let body = call.json().await?;
    call.site.chat.reset_password(body).await?;
    response::no_content()
}

pub async fn show(call: Call) -> Outcome {
    let who = call.identify().await?;
    response::ok(&call.site.chat.user(&who, UserId(call.id())).await?)
}

pub async fn patch(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    let body = call.json().await?;
    let chat = &call.site.chat;
    response::ok(&chat.patch_user(&who, UserId(call.id()), body).await?)
}

/// By the beginning of their names, or by ids.
pub async fn list(call: Call) -> Outcome {
    call.identify().await?;
    response::ok(&match wanted(&call)? {
        Wanted::Ids(ids) => call.site.chat.users_by_ids(&ids).await?,
        Wanted::Named(prefix, at) => call.site.chat.users(prefix, at).await?,
    })
}

/// As [`list`], of those who are online.
pub async fn online(call: Call) -> Outcome {
    call.identify().await?;
    response::ok(&match wanted(&call)? {
        Wanted::Ids(ids) => call.site.gateway.online_of(ids).await?,
        Wanted::Named(prefix, at) => call.site.gateway.users_online(prefix, at).await?,
    })
}

/// Which users are asked for.
enum Wanted<'a> {
    Ids(Vec<UserId>),
    /// Whose names begin so: a page of them.
    Named(&'a str, PageOf),
}

fn wanted(call: &Call) -> Result<Wanted<'_>, Refusal> {
    let mut checks = Checks::default();
    let at = call.query.page(&mut checks);
    let prefix = call.query.search(&mut checks, USERNAME_CHARS_MAX);
    let ids = call.query.ids(&mut checks);
    if ids.is_some()
        && ["q", "cursor", "limit"]
            .iter()
            .any(|n| call.query.text(n).is_some())
    {
        checks.fail("ids", "conflict", "ids alone, without q, cursor and limit");
    }
    checks.done()?;
    Ok(match ids {
        Some(ids) => Wanted::Ids(ids),
        None => Wanted::Named(prefix, at),
    })
}

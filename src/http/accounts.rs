//! `/api/register`, `/api/login`, `/api/password/reset`, `/api/me`, `/api/users`, and those of them who are online.

use http::StatusCode;

use super::{
    request::Call,
    response::{self, Outcome},
    sessions,
};
use crate::{
    chat::PageOf,
    limits::FULL_NAME_CHARS_MAX,
    protocol::{UserId, check::Checks, error::Refusal, rest::RegisterBody},
};

pub async fn register(mut call: Call) -> Outcome {
    let body: RegisterBody = call.json().await?;
    let granted = call.site.chat.register(body, call.device()).await?;
    sessions::granted(&call, StatusCode::CREATED, granted).await
}

pub async fn login(mut call: Call) -> Outcome {
    let body = call.login().await?;
    let granted = call.site.chat.login(body, call.device()).await?;
    sessions::granted(&call, StatusCode::OK, granted).await
}

pub async fn me(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    response::ok(&*who.user)
}

pub async fn patch_me(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    let body = call.json().await?;
    response::ok(&call.site.chat.patch_me(&who, body).await?)
}

pub async fn delete_me(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    let body = call.json().await?;
    let deleted = call.site.chat.delete_me(&who, body, call.address).await;
    sessions::ended(&call, who.user.id).await;
    deleted?;
    sessions::without_cookie(&call).await
}

pub async fn reset_password(mut call: Call) -> Outcome {
    let body = call.json().await?;
    let user_id = call.site.chat.reset_password(body, call.address).await?;
    sessions::ended(&call, user_id).await;
    response::no_content()
}

pub async fn show(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    response::ok(&call.site.chat.user(&who, UserId(call.id())).await?)
}

pub async fn patch(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    let body = call.json().await?;
    let user_id = UserId(call.id());
    let patched = call.site.chat.patch_user(&who, user_id, body).await;
    sessions::ended(&call, user_id).await;
    response::ok(&patched?)
}

/// By the beginning of one of their names, or by ids.
pub async fn list(mut call: Call) -> Outcome {
    call.identify().await?;
    response::ok(&match wanted(&call)? {
        Wanted::Ids(ids) => call.site.chat.users_by_ids(&ids).await?,
        Wanted::Named(prefix, at) => call.site.chat.users(prefix, at).await?,
    })
}

/// As [`list`], of those who are online.
pub async fn online(mut call: Call) -> Outcome {
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
    let prefix = call.query.search(&mut checks, FULL_NAME_CHARS_MAX);
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

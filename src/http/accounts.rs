//! `/api/register`, `/api/login`, `/api/me`, `/api/users`.

use super::{
    request::Call,
    response::{self, Outcome},
};
use crate::{
    limits::USERNAME_CHARS_MAX,
    protocol::{check::Checks, rest::RegisterBody},
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

/// By the beginning of their names, or by ids.
pub async fn list(call: Call) -> Outcome {
    call.identify().await?;
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
    response::ok(&match ids {
        Some(ids) => call.site.chat.users_by_ids(&ids).await?,
        None => call.site.chat.users(prefix, at).await?,
    })
}

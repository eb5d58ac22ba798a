//! `/api/register`, `/api/login`, `/api/password/reset`, `/api/me`, `/api/users` and `/api/users/online`.

use http::StatusCode;

use super::sessions;
use crate::{
    chat::{NewAccount, PageOf},
    http::{
        request::Call,
        response::{self, HandlerResult},
    },
    limits::FULL_NAME_CHARS_MAX,
    protocol::{
        UserId,
        check::Checks,
        error::Refusal,
        rest::{DeleteMeBody, PatchMeBody, PatchUserBody, RegisterBody, ResetBody},
    },
    store::Profile,
};

pub async fn register(mut call: Call) -> HandlerResult {
    let body: RegisterBody = call.json().await?;
    let mut checks = Checks::of(body.unknown);
    // The answer names broken fields in this order.
    let username = checks.required("username", body.username);
    let email = checks.required("email", body.email);
    let password = checks.required("password", body.password);
    let full_name = checks.optional("full_name", body.full_name);
    let delivery = sessions::delivery(&mut checks, body.cookie);
    let account = NewAccount {
        username,
        email,
        password,
        full_name,
        invite: checks.optional("invite", body.invite),
    };
    let granted = call
        .site
        .chat
        .register(account, delivery, call.device(), checks)
        .await?;
    sessions::granted(&call, StatusCode::CREATED, granted).await
}

pub async fn login(mut call: Call) -> HandlerResult {
    let body = call.login().await?;
    let mut checks = Checks::of(body.unknown);
    let username = checks.required("username", body.username);
    let password = checks.required("password", body.password);
    let delivery = sessions::delivery(&mut checks, body.cookie);
    let granted = call
        .site
        .chat
        .login(username, password, delivery, call.device(), checks)
        .await?;
    sessions::granted(&call, StatusCode::OK, granted).await
}

pub async fn me(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    response::ok(&*who.user)
}

pub async fn patch_me(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    let body: PatchMeBody = call.json().await?;
    let mut checks = Checks::of(body.unknown);
    let profile = Profile {
        full_name: checks.optional("full_name", body.full_name),
        email: checks.optional("email", body.email),
    };
    response::ok(&call.site.chat.patch_me(&who, profile, checks).await?)
}

pub async fn delete_me(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    let body: DeleteMeBody = call.json().await?;
    let mut checks = Checks::of(body.unknown);
    let password = checks.required("current_password", body.current_password);
    let chat = &call.site.chat;
    let deleted = chat.delete_me(&who, password, call.address, checks).await;
    sessions::close_ended(&call, who.user.id).await;
    deleted?;
    sessions::without_cookie(&call).await
}

pub async fn reset_password(mut call: Call) -> HandlerResult {
    let body: ResetBody = call.json().await?;
    let mut checks = Checks::of(body.unknown);
    let code = checks.required("code", body.code);
    let password = checks.required("new_password", body.new_password);
    let user_id = call
        .site
        .chat
        .reset_password(code, password, call.address, checks)
        .await?;
    sessions::close_ended(&call, user_id).await;
    response::no_content()
}

pub async fn show(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    response::ok(&call.site.chat.user(&who, UserId(call.id())).await?)
}

pub async fn patch(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    let body: PatchUserBody = call.json().await?;
    let mut checks = Checks::of(body.unknown);
    let is_active = checks.optional("is_active", body.is_active);
    let role = checks.optional("role", body.role);
    let user_id = UserId(call.id());
    let patched = call
        .site
        .chat
        .patch_user(&who, user_id, is_active, role, checks)
        .await;
    sessions::close_ended(&call, user_id).await;
    response::ok(&patched?)
}

/// Users by the beginning of one of their names, or by ids.
pub async fn list(mut call: Call) -> HandlerResult {
    call.identify().await?;
    let chat = &call.site.chat;
    response::ok(&match asked_for(&call)? {
        Users::Ids(ids) => chat.users_by_ids(&ids).await?,
        Users::Named(prefix, at) => chat.users(prefix, at).await?,
    })
}

/// As [`list`], of users who are online.
pub async fn online(mut call: Call) -> HandlerResult {
    call.identify().await?;
    let (chat, gateway) = (&call.site.chat, &call.site.gateway);
    response::ok(&match asked_for(&call)? {
        Users::Ids(mut ids) => {
            ids.retain(|user_id| gateway.is_online(*user_id));
            chat.users_by_ids(&ids).await?
        }
        Users::Named(prefix, at) => {
            let online = |after, count| gateway.online_after(after, count);
            chat.users_online(prefix, at, online).await?
        }
    })
}

/// Which users are asked for.
enum Users<'a> {
    Ids(Vec<UserId>),
    /// A page of those who have a name that begins with this.
    Named(&'a str, PageOf),
}

fn asked_for(call: &Call) -> Result<Users<'_>, Refusal> {
    let mut checks = Checks::default();
    let at = call.query.page(&mut checks);
    let prefix = call.query.search(&mut checks, FULL_NAME_CHARS_MAX);
    let ids = call.query.ids(&mut checks);
    let mut others = ["q", "cursor", "limit"].iter();
    if ids.is_some() && others.any(|name| call.query.text(name).is_some()) {
        let rule = "give ids without q, cursor and limit";
        checks.fail("ids", "conflict", rule);
    }
    checks.done()?;
    Ok(match ids {
        Some(ids) => Users::Ids(ids),
        None => Users::Named(prefix, at),
    })
}

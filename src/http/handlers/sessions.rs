//! `/api/refresh`, `/api/logout`, `/api/me/password`, `/api/me/sessions`, and the answers that begin and end a session.
//!
//! Invariant: a request that ends a session is answered after the session's connections on this node are closed.

use http::{StatusCode, header::SET_COOKIE};

use crate::{
    chat::{Granted, TokenDelivery},
    http::{
        cookie,
        request::Call,
        response::{self, HandlerResult},
    },
    protocol::{
        UserId,
        check::Checks,
        error::Refusal,
        rest::{Field, PasswordBody, RefreshBody},
    },
};

/// How a client wants to get its refresh token: the body's field `cookie`.
pub fn delivery(checks: &mut Checks, cookie: Field<bool>) -> TokenDelivery {
    if checks.optional("cookie", cookie) == Some(true) {
        TokenDelivery::Cookie
    } else {
        TokenDelivery::Body
    }
}

/// Answers with a session's tokens.
pub async fn granted(call: &Call, status: StatusCode, granted: Granted) -> HandlerResult {
    if granted.ended {
        close_ended(call, granted.tokens.user.id).await;
    }
    let mut answer = response::json(status, &granted.tokens);
    if let Some(token) = granted.cookie {
        let (ttl, secure) = (call.site.chat.refresh_ttl(), call.site.origins.secure());
        let cookie = cookie::keep(&token, ttl, secure);
        answer.headers_mut().insert(SET_COOKIE, cookie);
    }
    Ok(answer)
}

/// 204, and the browser forgets the cookie, unless it holds the token of a session that hasn't ended: a late log-out may come
/// with the cookie of the next session.
pub async fn without_cookie(call: &Call) -> HandlerResult {
    let mut answer = response::no_content()?;
    for token in cookie::tokens(&call.head.headers) {
        if matches!(call.site.chat.may_refresh(token).await, Ok(true)) {
            return Ok(answer);
        }
    }
    answer.headers_mut().insert(SET_COOKIE, cookie::forget());
    Ok(answer)
}

/// Closes the connections of this user's sessions that have ended.
pub async fn close_ended(call: &Call, user_id: UserId) {
    call.site.gateway.enforce_at_once(user_id).await;
}

pub async fn refresh(mut call: Call) -> HandlerResult {
    let body: RefreshBody = call.json().await?;
    let mut checks = Checks::of(body.unknown);
    let given = checks.optional("refresh_token", body.refresh_token);
    checks.done()?;
    let cookies = cookie::tokens(&call.head.headers);
    let (shown, delivery) = match (&given, &cookies[..]) {
        (Some(token), _) => (vec![&**token], TokenDelivery::Body),
        (None, []) => {
            // A browser sends no cookie for a page of another site. Such a page is told so instead.
            call.site.origins.check_upgrade(&call.head.headers)?;
            let rule = "this field is required without a cookie";
            return Err(Refusal::invalid_field("refresh_token", "missing", rule));
        }
        (None, _) => {
            call.site.origins.check_cookie(&call.head.headers)?;
            (cookies, TokenDelivery::Cookie)
        }
    };
    match call
        .site
        .chat
        .refresh(&shown, call.device(), delivery)
        .await
    {
        Ok(tokens) => granted(&call, StatusCode::OK, tokens).await,
        Err(refused) => {
            if let Some(user_id) = refused.ended {
                close_ended(&call, user_id).await;
            }
            Err(refused.refusal)
        }
    }
}

pub async fn log_out(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    call.no_body().await?;
    let done = call.site.chat.log_out(&who).await;
    close_ended(&call, who.user.id).await;
    done?;
    without_cookie(&call).await
}

pub async fn log_out_everywhere(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    call.no_body().await?;
    let done = call.site.chat.log_out_everywhere(&who).await;
    close_ended(&call, who.user.id).await;
    done?;
    without_cookie(&call).await
}

pub async fn change_password(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    let body: PasswordBody = call.json().await?;
    let mut checks = Checks::of(body.unknown);
    let current = checks.required("current_password", body.current_password);
    let new = checks.required("new_password", body.new_password);
    let done = call
        .site
        .chat
        .change_password(&who, current, new, call.address, checks)
        .await;
    close_ended(&call, who.user.id).await;
    done?;
    response::no_content()
}

pub async fn list(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    response::ok(&call.site.chat.sessions(&who).await?)
}

pub async fn end(mut call: Call) -> HandlerResult {
    let who = call.identify().await?;
    call.no_body().await?;
    let done = call.site.chat.end_session(&who, call.session_id()).await;
    close_ended(&call, who.user.id).await;
    done?;
    response::no_content()
}

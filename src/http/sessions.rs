//! `/api/refresh`, `/api/logout`, `/api/me/password`, `/api/me/sessions`, and the cookie that may hold the
//! refresh token.
//!
//! Invariant: what ends a log-in is answered once its connections here are closed.

use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{COOKIE, SET_COOKIE},
};

use super::{
    request::Call,
    response::{self, Outcome},
};
use crate::{
    chat::Granted,
    limits::REFRESH_COOKIES_MAX,
    protocol::{UserId, check::Checks, error::Refusal, rest::RefreshBody},
};

const NAME: &str = "hearth_refresh";

/// Answers with a log-in's tokens.
pub async fn granted(call: &Call, status: StatusCode, granted: Granted) -> Outcome {
    if granted.ended {
        ended(call, granted.tokens.user.id).await;
    }
    let mut answer = response::json(status, &granted.tokens);
    if let Some(token) = granted.cookie {
        let max_age = call.site.chat.refresh_ttl().as_secs();
        let secure = if call.site.origins.secure() {
            "; Secure"
        } else {
            ""
        };
        let cookie = format!(
            "{NAME}={token}; Path=/api; Max-Age={max_age}; HttpOnly; SameSite=Strict{secure}"
        );
        let cookie = HeaderValue::from_str(&cookie).expect("base64url and numbers");
        answer.headers_mut().insert(SET_COOKIE, cookie);
    }
    Ok(answer)
}

/// 204, and the browser forgets the cookie, unless one is a log-in's that lives: a log-out that comes late may find
/// the cookie of the next one.
pub async fn without_cookie(call: &Call) -> Outcome {
    let mut answer = response::no_content()?;
    for token in cookies(&call.head.headers) {
        if matches!(call.site.chat.may_refresh(token).await, Ok(true)) {
            return Ok(answer);
        }
    }
    let gone = HeaderValue::from_static(
        "hearth_refresh=; Path=/api; Max-Age=0; HttpOnly; SameSite=Strict",
    );
    answer.headers_mut().insert(SET_COOKIE, gone);
    Ok(answer)
}

/// Closes the connections of log-ins that have ended.
pub async fn ended(call: &Call, user_id: UserId) {
    call.site.gateway.enforce_at_once(user_id).await;
}

pub async fn refresh(mut call: Call) -> Outcome {
    let body: RefreshBody = call.json().await?;
    let mut checks = Checks::default();
    checks.unknown(body.unknown);
    let given = checks.optional("refresh_token", body.refresh_token);
    checks.done()?;
    let cookies = cookies(&call.head.headers);
    let (shown, cookie) = match (&given, &cookies[..]) {
        (Some(token), _) => (vec![&**token], false),
        (None, []) => {
            // A browser may have kept no cookie for a page elsewhere: that is what it is told.
            call.site.origins.check_upgrade(&call.head.headers)?;
            let rule = "this field is required where no cookie comes";
            return Err(Refusal::invalid_field("refresh_token", "missing", rule));
        }
        (None, _) => {
            call.site.origins.check_cookie(&call.head.headers)?;
            (cookies, true)
        }
    };
    let chat = &call.site.chat;
    match chat.refresh(&shown, call.device(), cookie).await {
        Ok(tokens) => granted(&call, StatusCode::OK, tokens).await,
        Err(refused) => {
            if let Some(user_id) = refused.ended {
                ended(&call, user_id).await;
            }
            Err(refused.refusal)
        }
    }
}

pub async fn log_out(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    call.no_body().await?;
    let done = call.site.chat.log_out(&who).await;
    ended(&call, who.user.id).await;
    done?;
    without_cookie(&call).await
}

pub async fn log_out_everywhere(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    call.no_body().await?;
    let done = call.site.chat.log_out_everywhere(&who).await;
    ended(&call, who.user.id).await;
    done?;
    without_cookie(&call).await
}

pub async fn change_password(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    let body = call.json().await?;
    let done = call
        .site
        .chat
        .change_password(&who, body, call.address)
        .await;
    ended(&call, who.user.id).await;
    done?;
    response::no_content()
}

pub async fn list(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    response::ok(&call.site.chat.log_ins(&who).await?)
}

pub async fn end(mut call: Call) -> Outcome {
    let who = call.identify().await?;
    call.no_body().await?;
    let done = call.site.chat.end_log_in(&who, call.session_id()).await;
    ended(&call, who.user.id).await;
    done?;
    response::no_content()
}

/// The different refresh tokens that cookies of our name hold, in the browser's order: of the nearest path first (RFC
/// 6265 section 5.4). Other sites' cookies may be anything, and hide none of ours.
fn cookies(headers: &HeaderMap) -> Vec<&str> {
    let lines = headers.get_all(COOKIE).into_iter();
    let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let pairs = pairs.filter_map(|pair| std::str::from_utf8(pair).ok());
    let mut tokens = Vec::new();
    for pair in pairs {
        let value = pair.trim().strip_prefix(NAME);
        if let Some(token) = value.and_then(|value| value.strip_prefix('='))
            && !token.is_empty()
            && !tokens.contains(&token)
            && tokens.len() < REFRESH_COOKIES_MAX
        {
            tokens.push(token);
        }
    }
    tokens
}

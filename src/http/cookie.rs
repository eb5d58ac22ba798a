//! The cookie that may hold the refresh token.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, header::COOKIE};

use crate::limits::REFRESH_COOKIES_MAX;

const NAME: &str = "hearth_refresh";

/// A value of `Set-Cookie` that makes the browser keep the token. `secure`: only over TLS.
pub fn keep(token: &str, ttl: Duration, secure: bool) -> HeaderValue {
    let max_age = ttl.as_secs();
    let secure = if secure { "; Secure" } else { "" };
    let cookie =
        format!("{NAME}={token}; Path=/api; Max-Age={max_age}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::from_str(&cookie).expect("base64url and numbers")
}

/// A value of `Set-Cookie` that makes the browser forget the token.
pub fn forget() -> HeaderValue {
    HeaderValue::from_static("hearth_refresh=; Path=/api; Max-Age=0; HttpOnly; SameSite=Strict")
}

/// The different refresh tokens in cookies of our name, in the browser's order: those of the longest path first (RFC 6265
/// section 5.4). Cookies of other sites may hold any bytes, and don't hide ours.
pub fn tokens(headers: &HeaderMap) -> Vec<&str> {
    let lines = headers.get_all(COOKIE).into_iter();
    let pairs = lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
        .filter_map(|pair| std::str::from_utf8(pair).ok());
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

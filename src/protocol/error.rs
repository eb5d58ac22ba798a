//! Refusals: one code, a sentence, and the fields that break their rules.

use std::{borrow::Cow, time::Duration};

use schemars::JsonSchema;
use serde::Serialize;

use crate::limits::UNAVAILABLE_RETRY;

/// The codes of PROTOCOL.md section 6.1. A client treats an unknown code by the class of its HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    Invalid,
    Unauthorized,
    TokenExpired,
    TokenRevoked,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    Taken,
    TooLarge,
    UnsupportedMediaType,
    RateLimited,
    Internal,
    Unavailable,
}

impl Code {
    pub const ALL: [Code; 13] = [
        Code::Invalid,
        Code::Unauthorized,
        Code::TokenExpired,
        Code::TokenRevoked,
        Code::Forbidden,
        Code::NotFound,
        Code::MethodNotAllowed,
        Code::Taken,
        Code::TooLarge,
        Code::UnsupportedMediaType,
        Code::RateLimited,
        Code::Internal,
        Code::Unavailable,
    ];

    /// HTTP status and title of the problem document (RFC 9457).
    pub const fn status_and_title(self) -> (u16, &'static str) {
        match self {
            Code::Invalid => (400, "Invalid request"),
            Code::Unauthorized => (401, "Not authenticated"),
            Code::TokenExpired => (401, "Token expired"),
            Code::TokenRevoked => (401, "Token revoked"),
            Code::Forbidden => (403, "Forbidden"),
            Code::NotFound => (404, "Not found"),
            Code::MethodNotAllowed => (405, "Method not allowed"),
            Code::Taken => (409, "Taken"),
            Code::TooLarge => (413, "Too large"),
            Code::UnsupportedMediaType => (415, "Unsupported media type"),
            Code::RateLimited => (429, "Rate limited"),
            Code::Internal => (500, "Internal error"),
            Code::Unavailable => (503, "Unavailable"),
        }
    }

    /// Whether the same request may succeed later. For a message: whether its outcome is unknown.
    pub const fn retryable(self) -> bool {
        matches!(self, Code::RateLimited | Code::Unavailable)
    }
}

/// One broken field: its name as in the request, a code (`missing`, `unknown`, `type`, `length`,
/// `format`, `common`, `taken`, `range`, …) and the rule in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FieldError {
    pub field: Cow<'static, str>,
    pub code: &'static str,
    pub message: Cow<'static, str>,
}

impl FieldError {
    pub fn new(
        field: impl Into<Cow<'static, str>>,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            field: field.into(),
            code,
            message: message.into(),
        }
    }
}

/// A request that was refused. `http::response` and `ws` alone turn it into what a client sees.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub code: Code,
    /// One sentence for a person. Its wording is no contract.
    pub message: Cow<'static, str>,
    pub errors: Vec<FieldError>,
    pub retry_after: Option<Duration>,
}

impl Refusal {
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            errors: Vec::new(),
            retry_after: None,
        }
    }

    /// For what doesn't exist and for what the user may not know of: both get the same answer.
    pub fn not_found() -> Self {
        Self::new(
            Code::NotFound,
            "There is no such thing here, or it is not yours to see.",
        )
    }

    pub fn forbidden(message: &'static str) -> Self {
        Self::new(Code::Forbidden, message)
    }

    /// The database didn't answer in time. Nothing is known to be lost.
    pub fn unavailable() -> Self {
        Self::unavailable_because("The server can't do this right now. Try again.")
    }

    /// The server can't do this now, for a reason that it tells.
    pub fn unavailable_because(message: &'static str) -> Self {
        let mut refusal = Self::new(Code::Unavailable, message);
        refusal.retry_after = Some(UNAVAILABLE_RETRY);
        refusal
    }

    pub fn internal() -> Self {
        Self::new(
            Code::Internal,
            "Something broke on the server. It has been logged.",
        )
    }

    pub fn rate_limited(retry_after: Duration) -> Self {
        let mut refusal = Self::new(Code::RateLimited, "Too many requests. Wait a moment.");
        refusal.retry_after = Some(retry_after);
        refusal
    }

    /// All fields that break their rules.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let mut refusal = Self::new(Code::Invalid, "Some fields break their rules.");
        refusal.errors = errors;
        refusal
    }

    /// One field that breaks its rule.
    pub fn invalid_field(
        field: impl Into<Cow<'static, str>>,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::invalid(vec![FieldError::new(field, code, message)])
    }
}

/// RFC 9457 `application/problem+json`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Problem<'a> {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub title: &'static str,
    #[schemars(range(min = 400, max = 599))]
    pub status: u16,
    pub detail: &'a str,
    pub code: Code,
    pub request_id: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub errors: &'a [FieldError],
}

impl<'a> Problem<'a> {
    pub fn new(refusal: &'a Refusal, request_id: &'a str) -> Self {
        let (status, title) = refusal.code.status_and_title();
        Self {
            kind: "about:blank",
            title,
            status,
            detail: &refusal.message,
            code: refusal.code,
            request_id,
            errors: &refusal.errors,
        }
    }
}

//! One request as its handler sees it: who asks, and a body that is bounded and of the expected type.

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use http::{
    HeaderMap, Version,
    header::{AUTHORIZATION, EXPECT, USER_AGENT},
    request::Parts,
};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use serde::de::DeserializeOwned;
use tokio::time;
use url::form_urlencoded;

use super::{
    hosts::{Load, Place, Seat, full},
    media_type::{BodyType, body_type, is_encoded},
    pace::Pace,
    path::Parameters,
    query::Query,
    site::Site,
};
use crate::{
    chat::{Device, Identity, Turn},
    limits::{BODY_DEADLINE, BODY_DISCARDED_BYTES_MAX, CLOSE_DEADLINE, REQUEST_BYTES_MAX},
    protocol::{
        RoomId, Seq, SessionId, UserId, check,
        error::{Code, Refusal},
        rest::{Field, LoginBody, Unknown},
    },
};

/// A request whose route was found.
pub struct Call {
    pub site: Arc<Site>,
    pub head: Parts,
    pub body: Incoming,
    /// The client's, behind trusted proxies too.
    pub address: IpAddr,
    pub query: Query,
    pub parameters: Parameters,
    /// Who asks, once [`Call::identify`] has found it.
    pub asker: Arc<OnceLock<Identity>>,
    /// The client's place, if the request came through a proxy.
    pub place: Option<Place>,
    /// Held by a request that only reads: see [`Call::identify`].
    pub turn: Option<Turn>,
}

impl Call {
    /// The path's first id.
    pub fn id(&self) -> u64 {
        self.parameters.ids[0]
    }

    /// The path's first id, if it is a room's.
    pub fn room_id(&self) -> RoomId {
        RoomId(self.id())
    }

    /// The path's first id, if it is a session's.
    pub fn session_id(&self) -> SessionId {
        SessionId(self.id())
    }

    /// The path's second id, if it is a user's.
    pub fn user_id(&self) -> UserId {
        UserId(self.parameters.ids[1])
    }

    /// The path's second id, if it is a message's.
    pub fn seq(&self) -> Seq {
        self.parameters.ids[1]
    }

    /// Who asks, by the header `Authorization`. A request that only reads is charged here, and holds one of the asker's turns
    /// from now on; `chat` charges a request that changes something.
    pub async fn identify(&mut self) -> Result<Identity, Refusal> {
        let token = bearer(&self.head.headers)
            .ok_or_else(|| Refusal::new(Code::Unauthorized, "A valid access token is required."))?;
        let found = self.site.chat.authenticate(token).await?;
        tracing::Span::current().record("user.id", found.user.id.0);
        let who = self.asker.get_or_init(|| found).clone();
        if self.head.method.is_safe() {
            let rows = self.query.rows();
            self.turn = Some(self.site.chat.reading(&who, rows).await?);
        }
        Ok(who)
    }

    pub fn device(&self) -> Device<'_> {
        Device {
            user_agent: self.user_agent(),
            address: self.address,
        }
    }

    fn user_agent(&self) -> &str {
        let agent = self.head.headers.get(USER_AGENT);
        agent.and_then(|agent| agent.to_str().ok()).unwrap_or("")
    }

    /// The body as a JSON object.
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Refusal> {
        match body_type(&self.head.headers) {
            Some(BodyType::Json) => object(&self.bytes().await?),
            _ => Err(unsupported("The body must be application/json in UTF-8.")),
        }
    }

    /// The body of a log-in: JSON, or the form of OAuth2.
    pub async fn login(&mut self) -> Result<LoginBody, Refusal> {
        match body_type(&self.head.headers) {
            Some(BodyType::Json) => object(&self.bytes().await?),
            Some(BodyType::Form) => login_form(&self.bytes().await?),
            None => Err(unsupported(
                "The body must be application/json or application/x-www-form-urlencoded, in UTF-8.",
            )),
        }
    }

    /// Refuses a body, unless it is `{}`, which many clients send with every request.
    pub async fn no_body(&mut self) -> Result<(), Refusal> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Nothing {}
        let bytes = self.bytes().await?;
        if bytes.is_empty() || object::<Nothing>(&bytes).is_ok() {
            Ok(())
        } else {
            let rule = "this request takes no body, or {}";
            Err(Refusal::invalid_field("", "unknown", rule))
        }
    }

    /// The whole body, if it arrives in time and isn't too large. A body whose announced length is too large isn't kept at all.
    async fn bytes(&mut self) -> Result<Bytes, Refusal> {
        if is_encoded(&self.head.headers) {
            return Err(unsupported(
                "The body must not be compressed: Content-Encoding may only be identity, and Transfer-Encoding only chunked.",
            ));
        }
        let too_large = || {
            let rule = format!("The body must not be larger than {REQUEST_BYTES_MAX} bytes.");
            Refusal::new(Code::TooLarge, rule)
        };
        if self.body.size_hint().lower() > REQUEST_BYTES_MAX as u64 {
            if !self.expects_continue() {
                self.discard().await;
            }
            return Err(too_large());
        }
        let extensions = &self.head.extensions;
        let seat = extensions
            .get::<Arc<Seat>>()
            .expect("the accept loop adds it");
        let mut load = Load::new(self.place.as_ref().unwrap_or(&seat.host));
        // In one piece: a list of frames of one byte each would take much more memory than their content.
        let mut bytes = Vec::new();
        let body = &mut self.body;
        let reading = async {
            while let Some(frame) = body.frame().await {
                let rule = "The connection ended before the whole body had arrived.";
                let frame = frame.map_err(|_| Refusal::new(Code::Invalid, rule))?;
                let data = frame.data_ref().map_or(&[][..], |data| &data[..]);
                if bytes.len() + data.len() > REQUEST_BYTES_MAX {
                    return Err(too_large());
                }
                if !load.grow(data.len()) {
                    return Err(full());
                }
                bytes.extend_from_slice(data);
            }
            Ok(())
        };
        match time::timeout(BODY_DEADLINE, reading).await {
            Ok(Ok(())) => {
                if let Some(pace) = self.head.extensions.get::<Pace>() {
                    pace.body_read();
                }
                Ok(bytes.into())
            }
            Ok(Err(refusal)) => {
                if matches!(refusal.code, Code::TooLarge | Code::Unavailable) {
                    drop((bytes, load));
                    self.discard().await;
                }
                Err(refusal)
            }
            Err(_) => Err(Refusal::new(
                Code::Invalid,
                "The body did not arrive in time.",
            )),
        }
    }

    /// Whether the client sends its body only after a 100 (Continue), which hyper sends when the body is first read (RFC 9110
    /// section 10.1.1).
    fn expects_continue(&self) -> bool {
        let expected = self.head.headers.get(EXPECT);
        self.head.version > Version::HTTP_10
            && expected.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
    }

    /// Reads and discards a part of a body that is too large. If the connection were closed with unread bytes, TCP would reset
    /// it, and the client might never see the answer (RFC 9112 section 9.6).
    async fn discard(&mut self) {
        let reading = async {
            let mut bytes = 0;
            while let Some(Ok(frame)) = self.body.frame().await
                && bytes < BODY_DISCARDED_BYTES_MAX
            {
                bytes += frame.data_ref().map_or(0, Bytes::len);
            }
        };
        let _ = time::timeout(CLOSE_DEADLINE, reading).await;
    }
}

/// The token of an `Authorization` header that is the only one.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn unsupported(rule: &'static str) -> Refusal {
    Refusal::new(Code::UnsupportedMediaType, rule)
}

/// Reads a JSON object strictly. An error names the field and the rule.
fn object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Refusal::invalid_field("", "json", "must be UTF-8"))?;
    if !check::is_object(text) {
        return Err(Refusal::invalid_field(
            "",
            "type",
            "a JSON object is expected",
        ));
    }
    let refused = |path: &str, error: &serde_json::Error| {
        Refusal::invalid(vec![check::json_error(path, error)])
    };
    let mut reader = serde_json::Deserializer::from_str(text);
    let body = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| refused(&error.path().to_string(), error.inner()))?;
    reader.end().map_err(|error| refused(".", &error))?;
    Ok(body)
}

/// Reads OAuth2's password form (RFC 6749 section 4.3.2): name and password, each once. Other fields are ignored.
fn login_form(bytes: &[u8]) -> Result<LoginBody, Refusal> {
    let mut body = LoginBody {
        username: Field::Missing,
        password: Field::Missing,
        cookie: Field::Missing,
        unknown: Unknown::default(),
    };
    for (name, value) in form_urlencoded::parse(bytes) {
        let (name, field) = match &*name {
            "username" => ("username", &mut body.username),
            "password" => ("password", &mut body.password),
            _ => continue,
        };
        if !matches!(field, Field::Missing) {
            let rule = "this field is given twice";
            return Err(Refusal::invalid_field(name, "duplicate", rule));
        }
        *field = Field::Given(value.into_owned());
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::protocol::rest::ReadBody;

    #[test]
    fn tokens_are_read_from_one_bearer_header() {
        for (value, expected) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc", Some("abc")),
            ("Basic abc", None),
            ("Bearer", None),
            ("abc", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.append(AUTHORIZATION, HeaderValue::from_static(value));
            assert_eq!(bearer(&headers), expected, "{value}");
            headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer abc"));
            assert_eq!(bearer(&headers), None);
        }
    }

    #[test]
    fn errors_of_a_body_name_field_and_rule() {
        let deep = "[".repeat(10_000);
        for (text, field, code) in [
            ("[1]", "", "type"),
            ("null", "", "type"),
            ("", "", "type"),
            ("{", "", "json"),
            ("{\"seq\":1}x", "", "json"),
            ("{\"seq\":1,\"seq\":2}", "seq", "duplicate"),
            (&format!("{{\"seq\":{deep}"), "", "json"),
        ] {
            let error = &object::<ReadBody>(text.as_bytes()).unwrap_err().errors[0];
            assert_eq!((&*error.field, error.code), (field, code), "{text:.40}");
        }
        assert!(object::<ReadBody>(b"{\"seq\":\"\xff\"}").is_err());
        assert!(object::<ReadBody>(b" {\"seq\": 1}\n").is_ok());
        // Unknown fields are collected, so that they can be named with all other errors.
        let body: ReadBody = object(b"{\"a\":1,\"seq\":1,\"b\":[]}").unwrap();
        assert_eq!(body.unknown.0, ["a", "b"]);
    }
}

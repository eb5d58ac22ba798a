//! From an HTTP request to a socket (RFC 6455 section 4.2), and where the token may stand.

use std::borrow::Cow;

use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode,
    header::{
        CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
        SEC_WEBSOCKET_VERSION, UPGRADE,
    },
};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{
    connection,
    gateway::{Gateway, Opening},
    socket::Socket,
};
use crate::{
    limits::{FIELD_NAME_CHARS_MAX, REPLAY_DEFAULT, REPLAY_MAX},
    protocol::{RoomId, SUBPROTOCOL, error::Refusal},
};

impl Gateway {
    /// Answers 101 and starts a connection, which authenticates the token: a bad one is answered after the upgrade, by a
    /// close code that a browser can see. `stream` resolves once the answer is written, to the TCP stream and what was
    /// read of it already. `places` are kept until the socket's end.
    pub fn upgrade<B>(
        &self,
        request: Request<B>,
        stream: impl Future<Output = Option<(TcpStream, Vec<u8>)>> + Send + 'static,
        room_id: Option<RoomId>,
        places: impl Send + 'static,
    ) -> Result<Response<()>, Refusal> {
        let headers = request.headers();
        if !names(headers, UPGRADE.as_str(), "websocket")
            || !names(headers, CONNECTION.as_str(), "upgrade")
        {
            return Err(Refusal::invalid_field(
                "Upgrade",
                "missing",
                "this address speaks WebSocket only",
            ));
        }
        if headers
            .get(SEC_WEBSOCKET_VERSION)
            .is_none_or(|version| version != "13")
        {
            return Ok(other_version());
        }
        let key = headers.get(SEC_WEBSOCKET_KEY).filter(|key| key.len() == 24);
        let Some(key) = key else {
            return Err(Refusal::invalid_field(
                "Sec-WebSocket-Key",
                "format",
                "16 bytes in base64",
            ));
        };
        let accept = derive_accept_key(key.as_bytes());
        let (subprotocol, bearer) = offered(headers);
        let mut opening = opening(request.uri().query().unwrap_or_default(), room_id)?;
        opening.token = opening.token.or(bearer);

        let gateway = self.clone();
        self.shutdown.tasks.spawn(async move {
            let _places = places;
            if let Some((stream, early)) = stream.await {
                let socket = Socket::websocket(stream, early).await;
                Box::pin(connection::open(gateway, socket, opening)).await;
            }
        });
        Ok(switching(accept, subprotocol))
    }
}

/// Asks for the version of WebSocket that is spoken here.
fn other_version() -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
    response
        .headers_mut()
        .insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    response
}

fn switching(accept: String, subprotocol: Option<&'static str>) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(
        SEC_WEBSOCKET_ACCEPT,
        accept.try_into().expect("base64 is a header value"),
    );
    if let Some(subprotocol) = subprotocol {
        let subprotocol = HeaderValue::from_static(subprotocol);
        headers.insert(SEC_WEBSOCKET_PROTOCOL, subprotocol);
    }
    response
}

/// Whether a header's comma-separated lists name a token, whatever its case.
fn names(headers: &HeaderMap, header: &str, token: &str) -> bool {
    items(headers, header).any(|item| item.eq_ignore_ascii_case(token))
}

fn items<'a>(headers: &'a HeaderMap, header: &str) -> impl Iterator<Item = &'a str> {
    let lists = headers
        .get_all(header)
        .into_iter()
        .filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).map(str::trim)
}

/// The subprotocol, if it is offered, and the token that stands beside it.
fn offered(headers: &HeaderMap) -> (Option<&'static str>, Option<String>) {
    let mut subprotocol = None;
    let mut token = None;
    for item in items(headers, SEC_WEBSOCKET_PROTOCOL.as_str()) {
        if item == SUBPROTOCOL {
            subprotocol = Some(SUBPROTOCOL);
        }
        if let Some(bearer) = item.strip_prefix("bearer.") {
            token.get_or_insert_with(|| bearer.to_owned());
        }
    }
    (subprotocol, token.filter(|_| subprotocol.is_some()))
}

fn opening(query: &str, room_id: Option<RoomId>) -> Result<Opening, Refusal> {
    let mut opening = Opening {
        token: None,
        room_id,
        history: REPLAY_DEFAULT,
    };
    let mut given = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let bad = |code, rule: Cow<'static, str>| {
            let name: String = name.chars().take(FIELD_NAME_CHARS_MAX).collect();
            Refusal::invalid_field(name, code, rule)
        };
        if given.contains(&name) {
            return Err(bad("duplicate", "this parameter is given twice".into()));
        }
        match &*name {
            "token" => opening.token = Some(value.into_owned()),
            "history" if room_id.is_some() => {
                let history = value.parse().ok().filter(|history| *history <= REPLAY_MAX);
                let rule = || format!("a number from 0 to {REPLAY_MAX}");
                opening.history = history.ok_or_else(|| bad("range", rule().into()))?;
            }
            _ => return Err(bad("unknown", "there is no such parameter".into())),
        }
        given.push(name);
    }
    Ok(opening)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_may_stand_beside_the_subprotocol() {
        for (value, expected) in [
            (
                "hearth.v1, bearer.a.b.c",
                (Some(SUBPROTOCOL), Some("a.b.c")),
            ),
            ("bearer.a.b.c,hearth.v1", (Some(SUBPROTOCOL), Some("a.b.c"))),
            ("hearth.v1", (Some(SUBPROTOCOL), None)),
            ("bearer.a.b.c", (None, None)),
            ("chat", (None, None)),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(value));
            assert_eq!(
                offered(&headers),
                (expected.0, expected.1.map(str::to_owned)),
                "{value}"
            );
        }
    }

    #[test]
    fn the_query_is_strict() {
        assert_eq!(
            opening("token=a%2Eb", None).unwrap().token.as_deref(),
            Some("a.b")
        );
        assert_eq!(opening("history=0", Some(RoomId(1))).unwrap().history, 0);
        for query in [
            "history=201",
            "history=-1",
            "history=x",
            "colour=red",
            "token=a&token=b",
        ] {
            assert!(opening(query, Some(RoomId(1))).is_err(), "{query}");
        }
        assert!(opening("history=1", None).is_err());
    }
}

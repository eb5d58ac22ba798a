//! The one route table: method, pattern, the query's parameters, handler. What the API's documents say of
//! each route stands in `docs/routes.rs`.
//!
//! Invariant: every parameter of a path is an id, a number in its one decimal form, from 1 to below
//! 2^53, but for one emoji, which is percent-encoded UTF-8. A path that holds anything else doesn't exist.

use futures_util::future::BoxFuture;
use http::{HeaderValue, Method};
use percent_encoding::percent_decode_str;

use super::{
    accounts, docs, invites, messages, request::Call, response::Outcome, rooms, search, sessions,
    site, socket,
};
use crate::limits::ID_MAX;

/// The parameter that is no id.
const EMOJI: &str = "emoji";

/// Answers one request.
pub type Handler = fn(Call) -> BoxFuture<'static, Outcome>;

/// One method of one path.
#[derive(Clone, Copy)]
pub struct Endpoint {
    /// As in the table: what logs and metrics name instead of the path.
    pub pattern: &'static str,
    /// The query parameters that the endpoint knows.
    pub parameters: &'static [&'static str],
    pub handler: Handler,
}

macro_rules! routes {
    ($($method:ident $pattern:literal [$($parameter:literal)*] => $handler:path;)*) => {
        [$((
            Method::$method,
            Endpoint {
                pattern: $pattern,
                parameters: &[$($parameter),*],
                handler: |call| Box::pin($handler(call)),
            },
        )),*]
    };
}

pub fn table() -> impl IntoIterator<Item = (Method, Endpoint)> {
    routes! {
        GET    "/api/info" [] => site::info;
        POST   "/api/register" [] => accounts::register;
        POST   "/api/login" [] => accounts::login;
        POST   "/api/refresh" [] => sessions::refresh;
        POST   "/api/logout" [] => sessions::log_out;
        POST   "/api/logout/all" [] => sessions::log_out_everywhere;
        POST   "/api/password/reset" [] => accounts::reset_password;
        GET    "/api/me" [] => accounts::me;
        PATCH  "/api/me" [] => accounts::patch_me;
        DELETE "/api/me" [] => accounts::delete_me;
        POST   "/api/me/password" [] => sessions::change_password;
        GET    "/api/me/sessions" [] => sessions::list;
        DELETE "/api/me/sessions/{session}" [] => sessions::end;
        GET    "/api/users" ["q" "ids" "cursor" "limit"] => accounts::list;
        GET    "/api/users/online" ["q" "ids" "cursor" "limit"] => accounts::online;
        GET    "/api/users/{user}" [] => accounts::show;
        PATCH  "/api/users/{user}" [] => accounts::patch;
        GET    "/api/invites" ["cursor" "limit"] => invites::list;
        POST   "/api/invites" [] => invites::create;
        DELETE "/api/invites/{invite}" [] => invites::delete;

        GET    "/api/chat/rooms" ["scope" "q" "cursor" "limit"] => rooms::list;
        POST   "/api/chat/rooms" [] => rooms::create;
        GET    "/api/chat/rooms/{room}" [] => rooms::show;
        PATCH  "/api/chat/rooms/{room}" [] => rooms::patch;
        DELETE "/api/chat/rooms/{room}" [] => rooms::delete;
        PATCH  "/api/chat/rooms/{room}/me" [] => rooms::patch_mine;
        POST   "/api/chat/rooms/{room}/join" [] => rooms::join;
        POST   "/api/chat/rooms/{room}/leave" [] => rooms::leave;
        GET    "/api/chat/rooms/{room}/members" ["q" "cursor" "limit"] => rooms::members;
        POST   "/api/chat/rooms/{room}/members" [] => rooms::add_member;
        PATCH  "/api/chat/rooms/{room}/members/{user}" [] => rooms::patch_member;
        DELETE "/api/chat/rooms/{room}/members/{user}" [] => rooms::remove_member;
        GET    "/api/chat/rooms/{room}/pins" ["cursor" "limit"] => messages::pins;
        GET    "/api/chat/rooms/{room}/messages" ["before" "after" "around" "limit"] => messages::list;
        POST   "/api/chat/rooms/{room}/messages" [] => messages::post;
        PATCH  "/api/chat/rooms/{room}/messages/{seq}" [] => messages::edit;
        DELETE "/api/chat/rooms/{room}/messages/{seq}" [] => messages::delete;
        GET    "/api/chat/rooms/{room}/messages/{seq}/reactions" ["cursor" "limit"] => messages::reactions;
        PUT    "/api/chat/rooms/{room}/messages/{seq}/reactions/{emoji}" [] => messages::react;
        DELETE "/api/chat/rooms/{room}/messages/{seq}/reactions/{emoji}" [] => messages::unreact;
        PUT    "/api/chat/rooms/{room}/messages/{seq}/pin" [] => messages::pin;
        DELETE "/api/chat/rooms/{room}/messages/{seq}/pin" [] => messages::unpin;
        POST   "/api/chat/rooms/{room}/read" [] => messages::read;
        GET    "/api/chat/search" ["q" "room_id" "from" "cursor" "limit"] => search::search;
        POST   "/api/chat/direct" [] => rooms::direct;

        GET    "/api/openapi.json" [] => docs::openapi;
        GET    "/api/protocol.json" [] => docs::protocol;
        GET    "/api/docs" [] => docs::docs;
        GET    "/api/docs/docs.js" [] => docs::asset;
        GET    "/api/docs/docs.css" [] => docs::asset;
        GET    "/api/docs/swagger-ui-bundle.js" [] => docs::asset;
        GET    "/api/docs/swagger-ui.css" [] => docs::asset;
        GET    "/api/redoc" [] => docs::redoc;
        GET    "/api/redoc/redoc.standalone.js" [] => docs::asset;

        GET    "/ws" [] => socket::all_rooms;
        GET    "/ws/{room}" [] => socket::one_room;
        GET    "/ws/rooms/{room}" [] => socket::one_room;

        GET    "/healthz" [] => site::healthz;
        GET    "/readyz" [] => site::readyz;
    }
}

/// The table, ready to be asked.
pub struct Router(matchit::Router<Vec<(Method, Endpoint)>>);

/// What a path holds.
#[derive(Debug, Default)]
pub struct Parameters {
    /// In order.
    pub ids: Vec<u64>,
    /// Decoded; empty where the pattern has none.
    pub emoji: String,
}

/// Where a request leads.
pub enum Found {
    Endpoint(Endpoint, Parameters),
    /// The path exists, the method doesn't.
    OtherMethods {
        pattern: &'static str,
        allow: HeaderValue,
    },
    Nothing,
}

impl Router {
    pub fn new() -> Self {
        let mut paths: Vec<(&str, Vec<_>)> = Vec::new();
        for (method, endpoint) in table() {
            match paths.iter_mut().find(|(path, _)| *path == endpoint.pattern) {
                Some((_, methods)) => methods.push((method, endpoint)),
                None => paths.push((endpoint.pattern, vec![(method, endpoint)])),
            }
        }
        let mut router = matchit::Router::new();
        for (path, methods) in paths {
            router
                .insert(path, methods)
                .expect("the table's patterns are well-formed and don't conflict");
        }
        Self(router)
    }

    /// HEAD leads where GET does, but for sockets: only a GET can become one (RFC 6455 section 4.1).
    pub fn find(&self, method: &Method, path: &str) -> Found {
        let Ok(found) = self.0.at(path) else {
            return Found::Nothing;
        };
        let mut parameters = Parameters::default();
        for (name, value) in found.params.iter() {
            match (name, id(value)) {
                (EMOJI, _) => match percent_decode_str(value).decode_utf8() {
                    Ok(emoji) => parameters.emoji = emoji.into_owned(),
                    Err(_) => return Found::Nothing,
                },
                (_, Some(id)) => parameters.ids.push(id),
                (_, None) => return Found::Nothing,
            }
        }
        let pattern = found.value[0].1.pattern;
        let head = !pattern.starts_with("/ws");
        let wanted = match *method {
            Method::HEAD if head => &Method::GET,
            _ => method,
        };
        match found.value.iter().find(|(method, _)| method == wanted) {
            Some((_, endpoint)) => Found::Endpoint(*endpoint, parameters),
            None => Found::OtherMethods {
                pattern,
                allow: allow(found.value.iter().map(|(method, _)| method), head),
            },
        }
    }
}

/// The Allow header of these methods, with `head` HEAD added where there is GET.
pub fn allow<'a>(methods: impl Iterator<Item = &'a Method>, head: bool) -> HeaderValue {
    let names: Vec<&str> = methods
        .flat_map(|method| match *method {
            Method::GET if head => vec!["GET", "HEAD"],
            _ => vec![method.as_str()],
        })
        .collect();
    HeaderValue::from_str(&names.join(", ")).expect("methods are tokens")
}

/// The id in its one form.
pub fn id(text: &str) -> Option<u64> {
    let id = text.parse().ok().filter(|id| (1..=ID_MAX).contains(id))?;
    (id.to_string() == text).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(method: Method, path: &str) -> String {
        match Router::new().find(&method, path) {
            Found::Endpoint(endpoint, Parameters { ids, emoji }) => {
                format!("{} {ids:?}{emoji}", endpoint.pattern)
            }
            Found::OtherMethods { allow, .. } => format!("allow {}", allow.to_str().unwrap()),
            Found::Nothing => "nothing".into(),
        }
    }

    #[test]
    fn paths_lead_where_the_table_says() {
        let rooms = "/api/chat/rooms";
        for (method, path, expected) in [
            (Method::GET, "/api/info".into(), "/api/info []"),
            (Method::HEAD, "/api/info".into(), "/api/info []"),
            (Method::POST, "/api/info".into(), "allow GET, HEAD"),
            (Method::DELETE, rooms.into(), "allow GET, HEAD, POST"),
            (
                Method::GET,
                format!("{rooms}/12"),
                "/api/chat/rooms/{room} [12]",
            ),
            (
                Method::DELETE,
                format!("{rooms}/12/members/7"),
                "/api/chat/rooms/{room}/members/{user} [12, 7]",
            ),
            (
                Method::PUT,
                format!("{rooms}/12/messages/7/reactions/%F0%9F%91%8D"),
                "/api/chat/rooms/{room}/messages/{seq}/reactions/{emoji} [12, 7]👍",
            ),
            (
                Method::PUT,
                format!("{rooms}/12/messages/7/reactions/%F0%9F%91"),
                "nothing",
            ),
            (
                Method::GET,
                "/api/users/12".into(),
                "/api/users/{user} [12]",
            ),
            (
                Method::GET,
                "/api/users/online".into(),
                "/api/users/online []",
            ),
            (Method::GET, "/ws/12".into(), "/ws/{room} [12]"),
            (Method::HEAD, "/ws".into(), "allow GET"),
            (Method::GET, "/ws/rooms/12".into(), "/ws/rooms/{room} [12]"),
            (Method::GET, "/ws/rooms".into(), "nothing"),
            (Method::GET, "/api/info/".into(), "nothing"),
            (Method::GET, "//api/info".into(), "nothing"),
            (Method::GET, "/api/../api/info".into(), "nothing"),
            (Method::GET, "/API/info".into(), "nothing"),
            (Method::GET, format!("{rooms}/0"), "nothing"),
            (Method::GET, format!("{rooms}/+1"), "nothing"),
            (Method::GET, format!("{rooms}/01"), "nothing"),
            (Method::GET, format!("{rooms}/-1"), "nothing"),
            (Method::GET, format!("{rooms}/1%20"), "nothing"),
            (Method::GET, format!("{rooms}/9007199254740992"), "nothing"),
            (
                Method::GET,
                format!("{rooms}/99999999999999999999"),
                "nothing",
            ),
        ] {
            assert_eq!(find(method, &path), expected, "{path}");
        }
    }
}

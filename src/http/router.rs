//! Finds the route of a request.

use std::sync::LazyLock;

use http::{HeaderValue, Method};

use super::{path::Parameters, route::Route, routes};

/// The methods of a path that has GET alone.
pub const ALLOW_GET: HeaderValue = HeaderValue::from_static("GET, HEAD");

/// The routes of each path.
static PATHS: LazyLock<matchit::Router<Vec<&Route>>> = LazyLock::new(|| {
    let mut paths: Vec<(&str, Vec<&Route>)> = Vec::new();
    for route in routes::TABLE.iter().flat_map(|(_, routes)| routes) {
        match paths.iter_mut().find(|(path, _)| *path == route.pattern) {
            Some((_, routes)) => routes.push(route),
            None => paths.push((route.pattern, vec![route])),
        }
    }
    let mut router = matchit::Router::new();
    for (path, routes) in paths {
        router
            .insert(path, routes)
            .expect("the table's patterns are well-formed and don't conflict");
    }
    router
});

/// Builds the router, unless it was built before. Panics if a pattern of the table is malformed, or conflicts with another.
pub fn build_routes() {
    LazyLock::force(&PATHS);
}

/// Where a request leads.
pub enum Found {
    Route(&'static Route, Parameters),
    /// The path has other methods.
    OtherMethods {
        pattern: &'static str,
        allow: HeaderValue,
    },
    Nothing,
}

/// HEAD leads where GET does, except for sockets: only a GET can become one (RFC 6455 section 4.1).
pub fn find(method: &Method, path: &str) -> Found {
    let Ok(found) = PATHS.at(path) else {
        return Found::Nothing;
    };
    let Some(parameters) = Parameters::read(found.params.iter()) else {
        return Found::Nothing;
    };
    let routes = found.value;
    let pattern = routes[0].pattern;
    let has_head = !pattern.starts_with("/ws");
    let wanted = match *method {
        Method::HEAD if has_head => &Method::GET,
        _ => method,
    };
    match routes.iter().find(|route| route.method == wanted) {
        Some(route) => Found::Route(route, parameters),
        None => {
            let names = routes.iter().flat_map(|route| match route.method {
                Method::GET if has_head => vec!["GET", "HEAD"],
                _ => vec![route.method.as_str()],
            });
            let names: Vec<&str> = names.collect();
            let allow = HeaderValue::from_str(&names.join(", ")).expect("methods are tokens");
            Found::OtherMethods { pattern, allow }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: Method, path: &str) -> String {
        match find(&method, path) {
            Found::Route(route, Parameters { ids, emoji }) => {
                format!("{} {ids:?}{emoji}", route.pattern)
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
            assert_eq!(found(method, &path), expected, "{path}");
        }
    }
}

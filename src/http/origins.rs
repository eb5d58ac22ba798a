//! Which web origins may use this server from a browser (RFC 6454, and CORS as in the Fetch standard).
//!
//! Pages of the allowed origins may read our answers (CORS). Pages of our own origin and of the allowed ones may open a socket
//! and use the cookie. A client that is no browser sends no `Origin`: it may open a socket, but not use the cookie.

use http::{
    HeaderMap, HeaderValue,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS,
        ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
        ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HOST, ORIGIN, VARY,
    },
};
use url::Url;

use crate::protocol::error::Refusal;

/// Our own origin, and those that the operator allows.
pub struct Origins {
    /// That of the public URL. `None`: the host that a request names is our own.
    public: Option<String>,
    allowed: Vec<String>,
    secure: bool,
}

impl Origins {
    /// `allowed` are origins as browsers write them: lower case, without a default port.
    pub fn new(public_url: Option<&Url>, allowed: Vec<String>) -> Self {
        Self {
            public: public_url.map(|url| url.origin().ascii_serialization()),
            secure: public_url.is_some_and(|url| url.scheme() == "https"),
            allowed,
        }
    }

    /// Whether clients reach the server by TLS.
    pub fn secure(&self) -> bool {
        self.secure
    }

    /// Refuses a socket that a page of another site opens.
    pub fn check_upgrade(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        if headers.contains_key(ORIGIN) {
            self.check_cookie(headers)
        } else {
            Ok(())
        }
    }

    /// Refuses the cookie, unless the browser says that a page of ours, or of an allowed origin, sent it.
    pub fn check_cookie(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let known = |origin| self.is_own(origin, headers) || self.is_allowed(origin);
        if origin(headers).is_some_and(known) {
            Ok(())
        } else {
            Err(Refusal::forbidden(
                "The server doesn't allow this page's origin. Ask its operator (HEARTH_PUBLIC_URL, HEARTH_CORS_ORIGINS).",
            ))
        }
    }

    /// The headers that let a page of an allowed origin read the answer to this request.
    pub fn sharing(&self, request: &HeaderMap) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if self.allowed.is_empty() {
            return headers;
        }
        headers.insert(VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = request.get(ORIGIN).filter(|_| self.listed(request)) {
            let yes = HeaderValue::from_static("true");
            let exposed = HeaderValue::from_static("retry-after, x-request-id");
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
        headers
    }

    /// The headers of the answer to a preflight request of such a page.
    pub fn preflight(&self, request: &HeaderMap, methods: &HeaderValue) -> Option<HeaderMap> {
        if !self.listed(request) || !request.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        let headers = HeaderValue::from_static("authorization, content-type");
        Some(HeaderMap::from_iter([
            (ACCESS_CONTROL_ALLOW_METHODS, methods.clone()),
            (ACCESS_CONTROL_ALLOW_HEADERS, headers),
            (ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600")),
        ]))
    }

    fn listed(&self, request: &HeaderMap) -> bool {
        origin(request).is_some_and(|origin| self.is_allowed(origin))
    }

    fn is_allowed(&self, origin: &str) -> bool {
        self.allowed.iter().any(|allowed| allowed == origin)
    }

    fn is_own(&self, origin: &str, headers: &HeaderMap) -> bool {
        match &self.public {
            Some(public) => public == origin,
            None => {
                let host = headers.get(HOST).and_then(|host| host.to_str().ok());
                let http = ["http://", "https://"];
                let page = http.iter().find_map(|scheme| origin.strip_prefix(scheme));
                page.zip(host).is_some_and(|(page, host)| page == host)
            }
        }
    }
}

/// The `Origin` of a request that has exactly one.
fn origin(headers: &HeaderMap) -> Option<&str> {
    let mut origins = headers.get_all(ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (Some(origin), None) => origin.to_str().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(origin: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("chat.example.org"));
        for origin in origin {
            headers.append(ORIGIN, origin.parse().unwrap());
        }
        headers
    }

    fn origins(public_url: Option<&str>) -> Origins {
        let public_url = public_url.map(|url| Url::parse(url).unwrap());
        Origins::new(public_url.as_ref(), vec!["https://friend.example".into()])
    }

    #[test]
    fn only_our_own_origin_and_allowed_ones_are_accepted() {
        // Whether a page may use the cookie, without and with a public URL, and whether it may read answers.
        for (origin, by_host, by_url, reads) in [
            ("https://chat.example.org", true, true, false),
            ("http://chat.example.org", true, false, false),
            ("https://friend.example", true, true, true),
            ("https://chat.example.org:8443", false, false, false),
            ("https://chat.example.org/", false, false, false),
            ("https://Chat.example.org", false, false, false),
            ("https://chat.example.org.evil.example", false, false, false),
            ("https://evil-chat.example.org", false, false, false),
            ("https://evil.example/chat.example.org", false, false, false),
            ("https://friend.example.evil.example", false, false, false),
            ("https://friend.example:443", false, false, false),
            ("https://friend.example/", false, false, false),
            ("http://friend.example", false, false, false),
            ("https://FRIEND.example", false, false, false),
            ("ftp://chat.example.org", false, false, false),
            ("chat.example.org", false, false, false),
            ("null", false, false, false),
            ("*", false, false, false),
            ("", false, false, false),
        ] {
            let request = headers(&[origin]);
            for (origins, own) in [
                (origins(None), by_host),
                (origins(Some("https://chat.example.org")), by_url),
            ] {
                assert_eq!(origins.check_cookie(&request).is_ok(), own, "{origin}");
                assert_eq!(origins.check_upgrade(&request).is_ok(), own, "{origin}");
                let shared = origins.sharing(&request);
                let told = shared.get(ACCESS_CONTROL_ALLOW_ORIGIN);
                assert_eq!(told.is_some_and(|told| told == origin), reads, "{origin}");
                assert_eq!(told.is_some(), reads, "{origin}");
                assert_eq!(shared[VARY], "Origin");
            }
        }
        let origins = origins(None);
        assert!(origins.check_upgrade(&headers(&[])).is_ok(), "no browser");
        assert!(origins.check_cookie(&headers(&[])).is_err());
        let twice = headers(&["https://chat.example.org", "https://evil.example"]);
        assert!(origins.check_upgrade(&twice).is_err());
    }
}

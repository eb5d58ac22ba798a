//! Codes in links, for invites and for new passwords: 128 random bits, of which the database stores only the hash.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use url::Url;

use super::tokens::{hash, random_bytes};

/// What a link is for. It names the code after the `#`, which browsers send to no server.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    Invite,
    Reset,
}

/// A new code, and its hash to be stored.
pub fn new() -> (String, [u8; 32]) {
    let code = URL_SAFE_NO_PAD.encode(random_bytes::<16>());
    let hash = hash(&code);
    (code, hash)
}

/// The link with a code, to the page of this server. Without a configured URL it is a path: the host in a request may lead anywhere.
pub fn link(public_url: Option<&Url>, purpose: Purpose, code: &str) -> String {
    let base = public_url.map_or("", |url| url.as_str().trim_end_matches('/'));
    let name = match purpose {
        Purpose::Invite => "invite",
        Purpose::Reset => "reset",
    };
    format!("{base}/#{name}={code}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_random_and_links_lead_to_this_server() {
        let ((one, kept), (other, _)) = (new(), new());
        assert_eq!((one.len(), kept), (22, hash(&one)));
        assert_ne!(one, other);
        let url = |text: &str| Url::parse(text).unwrap();
        for (public, expected) in [
            (None, "/#invite=abc"),
            (
                Some(url("https://chat.example.org")),
                "https://chat.example.org/#invite=abc",
            ),
            (
                Some(url("http://[::1]:8000/chat/")),
                "http://[::1]:8000/chat/#invite=abc",
            ),
        ] {
            assert_eq!(link(public.as_ref(), Purpose::Invite, "abc"), expected);
        }
        assert_eq!(link(None, Purpose::Reset, "abc"), "/#reset=abc");
    }
}

//! The page's files, embedded in the binary: new ones in `frontend/` need no code.

use std::borrow::Cow;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH},
};
use rust_embed::RustEmbed;

use super::response::Answer;

#[derive(RustEmbed)]
#[folder = "frontend/"]
#[include = "*.html"]
#[include = "*.css"]
#[include = "*.js"]
#[include = "*.svg"]
#[exclude = "node_modules/*"]
#[exclude = "*.test.*"]
struct Files;

/// The file at this path, or 304 for who has it already. Paths are taken literally.
pub fn find(path: &str, headers: &HeaderMap) -> Option<Answer> {
    let name = match path.strip_prefix('/')? {
        "" => "index.html",
        name => name,
    };
    let file = Files::get(name)?;
    let hash = file.metadata.sha256_hash();
    let tag: String = hash[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let tag = HeaderValue::from_str(&format!("\"{tag}\"")).expect("hex digits");
    let mut answer = Answer::default();
    if holds(headers, &tag) {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        *answer.body_mut() = match file.data {
            Cow::Borrowed(data) => Bytes::from_static(data),
            Cow::Owned(data) => Bytes::from(data),
        }
        .into();
        let mime = file.metadata.mimetype();
        let content_type = match mime.starts_with("text/") || mime.ends_with("xml") {
            true => format!("{mime}; charset=utf-8"),
            false => mime.to_owned(),
        };
        let content_type = HeaderValue::from_str(&content_type).expect("a MIME type");
        answer.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    let headers = answer.headers_mut();
    headers.insert(ETAG, tag);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Some(answer)
}

/// Whether the client has this file (RFC 9110 section 13.1.2).
fn holds(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    headers.get_all(IF_NONE_MATCH).iter().any(|value| {
        value.to_str().is_ok_and(|list| {
            list.split(',')
                .map(|known| known.trim().trim_start_matches("W/"))
                .any(|known| known == "*" || known.as_bytes() == tag.as_bytes())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_in_the_binary_and_its_tests_are_not() {
        let found = |path: &str| find(path, &HeaderMap::new()).map(|answer| answer.status());
        assert_eq!(found("/"), Some(StatusCode::OK));
        assert_eq!(found("/app.js"), Some(StatusCode::OK));
        for path in [
            "",
            "/sync.test.mjs",
            "/package.json",
            "/../Cargo.toml",
            "//app.js",
            "/%61pp.js",
        ] {
            assert_eq!(found(path), None, "{path}");
        }
    }

    #[test]
    fn who_has_a_file_is_told_so() {
        let tag = find("/", &HeaderMap::new()).unwrap().headers()[ETAG].clone();
        let weak = format!("\"x\", W/{}", tag.to_str().unwrap());
        for (known, status) in [
            (tag.to_str().unwrap(), StatusCode::NOT_MODIFIED),
            (&weak, StatusCode::NOT_MODIFIED),
            ("*", StatusCode::NOT_MODIFIED),
            ("\"x\"", StatusCode::OK),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, known.parse().unwrap());
            assert_eq!(find("/", &headers).unwrap().status(), status, "{known}");
        }
    }
}

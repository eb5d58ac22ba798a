//! What kind of body a request has: the headers `Content-Type` and `Content-Encoding` (RFC 9110 sections 8.3 and 8.4), and
//! `Transfer-Encoding` (RFC 9112 section 6.1).

use std::borrow::Cow;

use http::{
    HeaderMap, HeaderName,
    header::{CONTENT_ENCODING, CONTENT_TYPE, TRANSFER_ENCODING},
};

/// The types that a body may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyType {
    Json,
    Form,
}

/// The type of the single `Content-Type`, if it is known and in UTF-8. Parameters other than `charset` mean nothing for these
/// types and are skipped, even malformed ones, as browsers do (WHATWG MIME Sniffing section 4.4).
pub fn body_type(headers: &HeaderMap) -> Option<BodyType> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let value = String::from_utf8_lossy(value.as_bytes());
    let (essence, mut rest) = value.split_once(';').unwrap_or((&value, ""));
    while !rest.is_empty() {
        let (name, text, after) = parameter(rest);
        if name.eq_ignore_ascii_case("charset") && !is_utf8(&text) {
            return None;
        }
        rest = after;
    }
    match &*essence.trim().to_ascii_lowercase() {
        "application/json" => Some(BodyType::Json),
        "application/x-www-form-urlencoded" => Some(BodyType::Form),
        _ => None,
    }
}

/// Whether the body is compressed or encoded otherwise: with a `Content-Encoding` other than `identity`, or a
/// `Transfer-Encoding` other than `chunked`, which hyper decodes (RFC 9112 section 7).
pub fn is_encoded(headers: &HeaderMap) -> bool {
    let differs = |name: HeaderName, plain: &str| {
        let mut lines = headers.get_all(name).iter();
        lines.any(|line| {
            let line = String::from_utf8_lossy(line.as_bytes());
            let mut codings = line.split(',').map(str::trim);
            codings.any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(plain))
        })
    };
    differs(CONTENT_ENCODING, "identity") || differs(TRANSFER_ENCODING, "chunked")
}

/// Whether this is one of the names of UTF-8 in common use (WHATWG Encoding section 4.2). Some clients put them in single
/// quotes, which in HTTP are part of the name.
fn is_utf8(charset: &str) -> bool {
    let name = charset.trim_matches('\'');
    name.eq_ignore_ascii_case("utf-8") || name.eq_ignore_ascii_case("utf8")
}

/// The next parameter's name and unquoted value, and what follows its semicolon.
fn parameter(text: &str) -> (&str, Cow<'_, str>, &str) {
    let end = text.find([';', '=']).unwrap_or(text.len());
    let (name, rest) = (text[..end].trim(), &text[end..]);
    let Some(value) = rest.strip_prefix('=') else {
        return (name, "".into(), rest.get(1..).unwrap_or(""));
    };
    let Some(quoted) = value.trim_start().strip_prefix('"') else {
        let (value, after) = value.split_once(';').unwrap_or((value, ""));
        return (name, value.trim().into(), after);
    };
    let mut inner = String::new();
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => inner.extend(chars.next()),
            c => inner.push(c),
        }
    }
    let (_, after) = chars.as_str().split_once(';').unwrap_or_default();
    (name, inner.into(), after)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn bodies_are_json_in_utf8_or_a_form() {
        let (json, form) = (Some(BodyType::Json), Some(BodyType::Form));
        for (value, expected) in [
            ("application/json", json),
            ("Application/JSON", json),
            (" application/json ", json),
            ("application/json;", json),
            ("application/json;;", json),
            ("application/json; charset=utf-8", json),
            ("application/json;charset=UTF-8", json),
            ("application/json; charset=utf8", json),
            ("application/json; CHARSET=Utf8", json),
            ("application/json; charset='utf-8'", json),
            ("application/json; charset=\"UTF-8\"", json),
            ("application/json; charset=\"utf8\"", json),
            ("application/json; charset=\"ut\\f-8\"", json),
            ("application/json ; charset = utf-8 ", json),
            ("application/json; odata=verbose", json),
            (
                "application/json; odata.metadata=minimal; charset=utf-8",
                json,
            ),
            ("application/json; profile=\"a; charset=latin1\"", json),
            ("application/json; profile=\"a\\\"; charset=latin1\"", json),
            ("application/json; profile", json),
            ("application/json; =x", json),
            ("application/json; name=é", json),
            ("application/json; charset=utf-8; charset=utf8", json),
            ("application/x-www-form-urlencoded", form),
            ("application/x-www-form-urlencoded; charset=utf8", form),
            ("application/json; charset=utf-7", None),
            ("application/json; charset=utf-16", None),
            ("application/json; charset=latin1", None),
            ("application/json; charset=iso-8859-1", None),
            ("application/json; charset=", None),
            ("application/json; charset", None),
            ("application/json; charset=\"utf-8 x\"", None),
            ("application/json; charset=utf-8; charset=latin1", None),
            ("application/json; profile=\"a\"; charset=latin1", None),
            ("application/json; profile=\"\\\\\"; charset=latin1", None),
            ("application/json, application/json", None),
            ("application/jsonp", None),
            ("application/json+x", None),
            ("text/plain", None),
            ("text/json", None),
            ("", None),
            (";charset=utf-8", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.append(CONTENT_TYPE, HeaderValue::from_str(value).unwrap());
            assert_eq!(body_type(&headers), expected, "{value}");
            headers.append(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            assert_eq!(body_type(&headers), None, "two of them");
        }
        assert_eq!(body_type(&HeaderMap::new()), None);
    }

    #[test]
    fn whatever_is_not_identity_is_an_encoding() {
        for (lines, expected) in [
            (&[][..], false),
            (&["identity"], false),
            (&["Identity, identity"], false),
            (&[""], false),
            (&["gzip"], true),
            (&["x-gzip"], true),
            (&["br"], true),
            (&["identity, deflate"], true),
            (&["identity", "zstd"], true),
            (&["nonsense"], true),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(CONTENT_ENCODING, HeaderValue::from_static(line));
            }
            assert_eq!(is_encoded(&headers), expected, "{lines:?}");
        }
        for (line, expected) in [
            ("chunked", false),
            ("Chunked", false),
            ("gzip, chunked", true),
            ("deflate", true),
            ("identity, chunked", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.append(TRANSFER_ENCODING, HeaderValue::from_static(line));
            assert_eq!(is_encoded(&headers), expected, "{line}");
        }
    }
}

//! The web client's files, as Vite built them, embedded in the binary: new ones need no code. A debug build reads them from the
//! disk, so that the client can be built again without the server. The client's build has compressed them already: `app.js.br`
//! and `app.js.gz` are forms of `app.js`, and can't be requested by these names.

use std::borrow::Cow;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{
        ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY,
        CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
    },
};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::{path, response::Answer};

#[derive(RustEmbed)]
#[folder = "frontend/dist/"]
struct Files;

/// The client's only page. It shows what its path names.
const SHELL: &str = "index.html";

/// The content codings of the forms, the one with the smallest files first, and the suffixes of the files' names.
const CODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

/// The client may run only scripts that this server serves, and can't turn text into code. In all browsers that the client
/// supports, `connect-src 'self'` includes the socket. Scripts, and so workers, have the policy of every answer.
const SHELL_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; \
     font-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; \
     frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types default",
);
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
/// The client uses none of these.
const NO_PERMISSIONS: HeaderValue = HeaderValue::from_static(
    "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
);

/// Names under `assets/` contain a hash of the content and may be cached for ever. Others are revalidated on each use.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const REVALIDATED: HeaderValue = HeaderValue::from_static("no-cache");

/// The file at this path in the form that the client prefers, or 304 if the client has it. Paths are taken literally.
pub fn find(path: &str, headers: &HeaderMap) -> Option<Answer> {
    let name = if is_page(path) {
        SHELL
    } else {
        path.strip_prefix('/')?
    };
    let is_literal = name.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if !is_literal || CODINGS.iter().any(|(_, end)| name.ends_with(end)) {
        return None;
    }
    let file = Files::get(name)?;
    let mime = file.metadata.mimetype();
    let content_type = if mime.starts_with("text/") || mime.ends_with("xml") {
        format!("{mime}; charset=utf-8")
    } else {
        mime.to_owned()
    };
    let (coding, form) = match form(name, headers) {
        Some((coding, form)) => (Some(coding), form),
        None => (None, file),
    };
    let tag = tag(&form);

    let mut answer = Answer::default();
    let had = holds(headers, &tag);
    let told = answer.headers_mut();
    // A 304 has these, too, because they replace the cached ones (RFC 9111 section 3.2).
    told.insert(ETAG, tag);
    told.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    let caching = if name.starts_with("assets/") {
        IMMUTABLE
    } else {
        REVALIDATED
    };
    told.insert(CACHE_CONTROL, caching);
    if name == SHELL {
        told.insert(CONTENT_SECURITY_POLICY, SHELL_POLICY);
        told.insert(PERMISSIONS_POLICY, NO_PERMISSIONS);
    }
    if had {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        return Some(answer);
    }
    if let Some(coding) = coding {
        told.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    let content_type = HeaderValue::from_str(&content_type).expect("a MIME type");
    told.insert(CONTENT_TYPE, content_type);
    *answer.body_mut() = match form.data {
        Cow::Borrowed(data) => Bytes::from_static(data),
        Cow::Owned(data) => Bytes::from(data),
    }
    .into();
    Some(answer)
}

/// The client's page with status 404, for a browser that opens an unknown path. `None` for other clients, which get the error
/// as JSON.
pub fn missing(path: &str, headers: &HeaderMap) -> Option<Answer> {
    let is_for_programs = ["/api", "/ws"].iter().any(|root| path.starts_with(root));
    let opened_by_browser = headers.get_all(ACCEPT).iter().any(|accepted| {
        accepted
            .to_str()
            .is_ok_and(|text| text.contains("text/html"))
    });
    if is_for_programs || !opened_by_browser {
        return None;
    }
    let mut headers = headers.clone();
    headers.remove(IF_NONE_MATCH); // a 304 would say that the page exists
    let mut answer = find("/", &headers)?;
    *answer.status_mut() = StatusCode::NOT_FOUND;
    Some(answer)
}

/// Whether the client has a page for this path. Its own list of them is `frontend/src/shell/routes.ts`.
fn is_page(path: &str) -> bool {
    let is_id = |text| path::id(text).is_some();
    let parts: Vec<&str> = path.splitn(5, '/').collect();
    match parts[..] {
        ["", "" | "login" | "register" | "rooms" | "search"] => true,
        ["", "settings", ..] => true,
        ["", "room", room] => is_id(room),
        ["", "room", room, seq] => is_id(room) && is_id(seq),
        _ => false,
    }
}

/// The compressed form that the client prefers, with its coding; `None` if there is none, or if the client prefers the file
/// as it is. A client that accepts no form at all gets the file as it is.
fn form(name: &str, headers: &HeaderMap) -> Option<(&'static str, EmbeddedFile)> {
    let mut best = None;
    let mut most = weight(headers, "identity").unwrap_or(0).max(1);
    // From the largest to the smallest, which wins if the client accepts both alike.
    for (coding, end) in CODINGS.iter().rev() {
        let weight = weight(headers, coding).unwrap_or(0);
        if weight >= most
            && let Some(form) = Files::get(&format!("{name}{end}"))
        {
            (best, most) = (Some((*coding, form)), weight);
        }
    }
    best
}

/// The weight that the client gives this coding, by its name or else by `*`, in thousandths (RFC 9110 section 12.5.3). 0 refuses
/// the coding; `None`: the client names no weight.
fn weight(headers: &HeaderMap, coding: &str) -> Option<u16> {
    let of = |wanted: &str| {
        let lists = headers.get_all(ACCEPT_ENCODING).iter();
        lists
            .filter_map(|list| list.to_str().ok())
            .flat_map(|list| list.split(','))
            .map(|item| item.split_once(';').unwrap_or((item, "q=1")))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))
            .map(|(_, weight)| thousandths(weight.trim()).unwrap_or(0))
    };
    of(coding).or_else(|| of("*"))
}

/// The value of `q=0.5`: from 0 to 1, with at most three decimal places.
fn thousandths(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.split_once('=')?;
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    if !name.eq_ignore_ascii_case("q") || !matches!(whole, "0" | "1") || fraction.len() > 3 {
        return None;
    }
    let thousandths: u16 = format!("{whole}{fraction:0<3}").parse().ok()?;
    (thousandths <= 1_000).then_some(thousandths)
}

/// The entity tag of a form. Forms have different bytes, so each has its own.
fn tag(form: &EmbeddedFile) -> HeaderValue {
    let hash = form.metadata.sha256_hash();
    let tag: String = hash[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    HeaderValue::from_str(&format!("\"{tag}\"")).expect("hex digits")
}

/// Whether the client has this form (RFC 9110 section 13.1.2).
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

    fn asking(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    fn status(path: &str) -> Option<StatusCode> {
        find(path, &HeaderMap::new()).map(|answer| answer.status())
    }

    /// A script with both compressed forms.
    fn script() -> String {
        let script = Files::iter()
            .find_map(|name| Some(name.strip_suffix(".js.br")?.to_owned()))
            .expect("the build has compressed a script");
        format!("/{script}.js")
    }

    #[test]
    fn pages_and_files_are_found_and_nothing_else() {
        for path in [
            "/",
            "/login",
            "/register",
            "/room/1",
            "/room/9007199254740991",
            "/room/1/2",
            "/rooms",
            "/search",
            "/settings",
            "/settings/sessions",
            "/settings/a/b/c/d",
            &script(),
        ] {
            assert_eq!(status(path), Some(StatusCode::OK), "{path}");
        }
        let script = script();
        for path in [
            "",
            "*",
            "login",
            "//",
            "/login/",
            "/Login",
            "/%6cogin",
            "/loginx",
            "/settingsx",
            "/room",
            "/room/",
            "/room/x",
            "/room/0",
            "/room/01",
            "/room/+1",
            "/room/-1",
            "/room/9007199254740992",
            "/room/1/",
            "/room/1/x",
            "/room/1/2/",
            "/room/1/2/3",
            "/assets",
            "/assets/",
            "/assets/../index.html",
            "/src/main.tsx",
            "/package.json",
            "/../Cargo.toml",
            "/index.html.br",
            "/index.html.gz",
            &format!("{script}.br"),
            &format!("{script}.gz"),
            &format!("/{script}"),
            &script.replace("/assets", "/%61ssets"),
        ] {
            assert_eq!(status(path), None, "{path}");
        }
    }

    #[test]
    fn a_client_gets_the_form_that_it_prefers() {
        for (accepted, coding) in [
            ("gzip, deflate, br, zstd", "br"),
            ("gzip, deflate, br;q=1.0", "br"),
            ("GZip", "gzip"),
            ("br;q=0.9, gzip", "gzip"),
            ("br ; q=0.001", "br"),
            ("*", "br"),
            ("br;q=0, *", "gzip"),
            ("*;q=0.5, gzip;q=0.7", "gzip"),
            ("gzip;q=0.5, identity;q=0.5", "gzip"),
            ("identity;q=0, gzip;q=0.1", "gzip"),
            ("*;q=0, br", "br"),
            ("", ""),
            ("identity", ""),
            ("deflate, zstd", ""),
            ("gzip;q=0.5, identity", ""),
            ("gzip;q=0.2, *;q=0.5, br;q=0.1", ""),
            ("br;q=0, gzip;q=0.000", ""),
            ("*;q=0", ""),
            ("br;q=2, gzip;q=1.001", ""),
            ("br;q=0.0001, gzip;q=-1", ""),
            ("br;q=, gzip;q", ""),
            ("br;level=1, gzip;;q=1", ""),
            ("brotli, gzi, gzipp", ""),
        ] {
            let answer = find(&script(), &asking(ACCEPT_ENCODING, accepted)).unwrap();
            let told = answer.headers().get(CONTENT_ENCODING);
            let told = told.map_or("", |told| told.to_str().unwrap());
            assert_eq!(told, coding, "{accepted}");
        }
        let mut headers = asking(ACCEPT_ENCODING, "deflate");
        headers.append(ACCEPT_ENCODING, HeaderValue::from_static("br"));
        let answer = find(&script(), &headers).unwrap();
        assert_eq!(answer.headers()[CONTENT_ENCODING], "br", "the second line");
    }

    #[test]
    fn a_client_that_has_a_form_gets_304() {
        const FORMS: [&str; 3] = ["", "gzip", "br"];
        let tags = FORMS.map(|form| {
            let answer = find(&script(), &asking(ACCEPT_ENCODING, form)).unwrap();
            answer.headers()[ETAG].to_str().unwrap().to_owned()
        });
        for (known, tag) in FORMS.iter().zip(&tags) {
            for form in FORMS {
                let mut headers = asking(ACCEPT_ENCODING, form);
                headers.insert(IF_NONE_MATCH, tag.parse().unwrap());
                let answer = find(&script(), &headers).unwrap();
                let had = answer.status() == StatusCode::NOT_MODIFIED;
                assert_eq!(had, *known == form, "who has {known:?} asks for {form:?}");
            }
        }
        let weak = format!("\"x\", W/{}", tags[0]);
        for (known, status) in [
            (&*weak, StatusCode::NOT_MODIFIED),
            ("*", StatusCode::NOT_MODIFIED),
            ("\"x\"", StatusCode::OK),
        ] {
            let answer = find(&script(), &asking(IF_NONE_MATCH, known)).unwrap();
            assert_eq!(answer.status(), status, "{known}");
        }
    }
}

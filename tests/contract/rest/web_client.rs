//! The web client as the server serves it: one page at each of its paths, its files in compressed forms, how long they are
//! cached, and which scripts may run.

use reqwest::{
    Client, Method, Response, StatusCode,
    header::{
        ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH,
        CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, IF_NONE_MATCH, REFERRER_POLICY,
        VARY, X_CONTENT_TYPE_OPTIONS,
    },
};

use crate::support::{Db, Server};

const IMMUTABLE: &str = "public, max-age=31536000, immutable";

async fn ask(server: &Server, method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = Client::new().request(method, server.url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

async fn get(server: &Server, path: &str, accepted: &str) -> Response {
    ask(
        server,
        Method::GET,
        path,
        &[(ACCEPT_ENCODING.as_str(), accepted)],
    )
    .await
}

/// The script that the page loads.
async fn script(server: &Server) -> String {
    let page = get(server, "/", "").await.text().await.unwrap();
    let (_, rest) = page
        .split_once("src=\"/assets/")
        .expect("the page loads a script");
    format!("/assets/{}", rest.split('"').next().unwrap())
}

/// The header of this name, if there is one.
fn told<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_of_the_client_can_be_linked_to() {
    let server = Server::start(Db::Sqlite).await;
    let page = get(&server, "/", "").await.bytes().await.unwrap();
    for path in [
        "/login",
        "/register",
        "/room/1",
        "/room/9007199254740991/1",
        "/room/1/2?from=search",
        "/rooms",
        "/search?q=kettle",
        "/settings",
        "/settings/sessions",
    ] {
        let answer = get(&server, path, "").await;
        assert_eq!(answer.status(), 200, "{path}");
        let headers = answer.headers().clone();
        assert_eq!(told(&headers, "content-type"), "text/html; charset=utf-8");
        assert_eq!(told(&headers, "cache-control"), "no-cache", "{path}");
        assert_eq!(answer.bytes().await.unwrap(), page, "{path}");
        let answer = ask(&server, Method::POST, path, &[]).await;
        assert_eq!(answer.status(), 405, "{path}");
        assert_eq!(answer.headers()[ALLOW], "GET, HEAD", "{path}");
    }
    let script = script(&server).await;
    for path in [
        "/login/",
        "/room",
        "/room/x",
        "/room/0",
        "/room/01",
        "/room/9007199254740992",
        "/room/1/2/3",
        "/nowhere",
        "/assets",
        "/assets/nothing.js",
        "/index.html.br",
        "/src/main.tsx",
        "/package.json",
        &format!("{script}.br"),
        &format!("{script}.gz"),
        &script.replace(".js", ""),
    ] {
        let answer = get(&server, path, "br").await;
        assert_eq!(answer.status(), 404, "{path}");
        assert_eq!(
            answer.headers()[CONTENT_TYPE],
            "application/problem+json",
            "{path}"
        );
        assert_eq!(answer.headers()[CACHE_CONTROL], "no-store", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_nothing_has_shows_the_page_to_people() {
    let server = Server::start(Db::Sqlite).await;
    let page = get(&server, "/", "").await;
    let tag = told(page.headers(), "etag").to_owned();
    let page = page.bytes().await.unwrap();
    let browser = [
        (
            "accept",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        ),
        ("if-none-match", tag.as_str()),
    ];
    for path in ["/room/0", "/rooom/12", "/nowhere/at/all", "/login/"] {
        let answer = ask(&server, Method::GET, path, &browser).await;
        assert_eq!(answer.status(), 404, "{path}");
        assert!(
            answer.headers().contains_key(CONTENT_SECURITY_POLICY),
            "{path}"
        );
        assert_eq!(answer.bytes().await.unwrap(), page, "{path}");
        let answer = ask(&server, Method::POST, path, &browser).await;
        assert_eq!(
            answer.headers()[CONTENT_TYPE],
            "application/problem+json",
            "{path}"
        );
    }
    for path in ["/api/nowhere", "/api/chat/rooms/0", "/ws/nowhere"] {
        let answer = ask(&server, Method::GET, path, &browser).await;
        assert_eq!(
            answer.headers()[CONTENT_TYPE],
            "application/problem+json",
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_travel_in_the_form_that_is_liked_best() {
    let server = Server::start(Db::Sqlite).await;
    let script = script(&server).await;
    let mut forms: Vec<(String, usize)> = Vec::new();
    for (accepted, coding) in [
        ("", ""),
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "br"),
    ] {
        let answer = get(&server, &script, accepted).await;
        assert_eq!(answer.status(), 200);
        let headers = answer.headers().clone();
        assert_eq!(told(&headers, "content-encoding"), coding, "{accepted}");
        assert_eq!(
            headers[CONTENT_TYPE], "text/javascript; charset=utf-8",
            "{accepted}"
        );
        assert_eq!(headers[CACHE_CONTROL], IMMUTABLE);
        assert_eq!(headers[VARY], "Accept-Encoding");
        let body = answer.bytes().await.unwrap();
        assert_eq!(
            told(&headers, "content-length"),
            body.len().to_string(),
            "{accepted}"
        );
        assert_eq!(body.starts_with(&[0x1f, 0x8b]), coding == "gzip");
        forms.push((headers[ETAG].to_str().unwrap().to_owned(), body.len()));

        // HEAD says the same without the body.
        let accept = (ACCEPT_ENCODING.as_str(), accepted);
        let head = ask(&server, Method::HEAD, &script, &[accept]).await;
        assert_eq!(head.status(), 200);
        for name in [
            CONTENT_ENCODING,
            CONTENT_LENGTH,
            CONTENT_TYPE,
            CACHE_CONTROL,
            ETAG,
            VARY,
        ] {
            assert_eq!(head.headers().get(&name), headers.get(&name), "{name}");
        }
        assert!(head.bytes().await.unwrap().is_empty());

        // A client that has this form gets 304, and no other does.
        for (tag, _) in &forms {
            let known = (IF_NONE_MATCH.as_str(), tag.as_str());
            let answer = ask(&server, Method::GET, &script, &[accept, known]).await;
            let same = *tag == headers[ETAG];
            let expected = if same { 304 } else { 200 };
            assert_eq!(answer.status(), expected, "{accepted}: {tag}");
            for name in [CACHE_CONTROL, ETAG, VARY] {
                assert_eq!(answer.headers()[&name], headers[&name], "{name}");
            }
            assert_eq!(answer.bytes().await.unwrap().is_empty(), same);
        }
    }
    let (tags, sizes): (Vec<_>, Vec<_>) = forms.into_iter().unzip();
    assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2]);
    assert!(sizes[0] > sizes[1] && sizes[1] > sizes[2], "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_the_server_serves_may_run_in_the_client() {
    let server = Server::start(Db::Sqlite).await;
    let page = get(&server, "/room/1", "br").await;
    let tag = page.headers()[ETAG].to_str().unwrap().to_owned();
    let known = [
        (ACCEPT_ENCODING.as_str(), "br"),
        (IF_NONE_MATCH.as_str(), &tag),
    ];
    // A cached page takes the policy of the 304.
    let again = ask(&server, Method::GET, "/room/1", &known).await;
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    for answer in [page, again] {
        let headers = answer.headers();
        let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        let rules: Vec<&str> = policy.split("; ").collect();
        assert_eq!(
            rules,
            [
                "default-src 'none'",
                "script-src 'self'",
                "style-src 'self'",
                "img-src 'self' blob: data:",
                "connect-src 'self'",
                "font-src 'self'",
                "worker-src 'self'",
                "manifest-src 'self'",
                "base-uri 'none'",
                "form-action 'self'",
                "frame-ancestors 'none'",
                "require-trusted-types-for 'script'",
                "trusted-types default",
            ]
        );
        assert!(told(headers, "permissions-policy").contains("microphone=()"));
        assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(headers[REFERRER_POLICY], "no-referrer");
    }
    // A worker has the policy of its own script's answer.
    let script = script(&server).await;
    let answer = get(&server, &script, "br").await;
    let policy = answer.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(
        policy.contains("default-src 'none'") && policy.contains("script-src 'self'"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
}

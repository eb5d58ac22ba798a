//! What every route does with a body that it doesn't accept, and with an unknown caller.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Account, Db, PATIENCE, Raw, Server,
    api::{Operation, operations},
};

/// Every route, in this room: method, path, and the example of its body.
fn routes(room: u64) -> Vec<(Method, String, Option<Value>)> {
    filled(room, |_| true)
}

/// Every route that needs a token.
fn closed_routes(room: u64) -> Vec<(Method, String, Option<Value>)> {
    filled(room, |operation| !operation.open)
}

fn filled(room: u64, wanted: impl Fn(&Operation) -> bool) -> Vec<(Method, String, Option<Value>)> {
    let operations = operations().into_iter().filter(wanted);
    let filled = operations.map(|operation| {
        let path = operation.path(&[("room", room.to_string())]);
        (operation.method.parse().unwrap(), path, operation.body)
    });
    filled.collect()
}

async fn started() -> (Server, Account, u64, reqwest::Client) {
    let server = Server::start(Db::Sqlite).await;
    let ada = server.register("ada").await;
    server.register("bob").await;
    let room = ada.create_room("hall", &[]).await;
    (server, ada, room, reqwest::Client::new())
}

/// A problem document by RFC 9457, as PROTOCOL.md section 6.1 has it.
async fn problem(answer: reqwest::Response, status: u16, code: &str) -> Value {
    assert_eq!(answer.status(), status);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    let id = answer.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(
        (&problem["status"], &problem["code"]),
        (&json!(status), &json!(code)),
        "{problem}"
    );
    assert_eq!(
        (&problem["type"], &problem["request_id"]),
        (&json!("about:blank"), &json!(id))
    );
    for name in ["title", "detail"] {
        assert!(
            problem[name].as_str().is_some_and(|text| !text.is_empty()),
            "{problem}"
        );
    }
    let known = [
        "type",
        "title",
        "status",
        "detail",
        "code",
        "request_id",
        "errors",
    ];
    assert!(
        problem
            .as_object()
            .unwrap()
            .keys()
            .all(|name| known.contains(&&**name)),
        "{problem}"
    );
    problem
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_are_taken_strictly() {
    let (server, ada, room, http) = started().await;
    let large = format!("{{\"content\":\"{}\"}}", "x".repeat(128 * 1024));
    let deep = format!("{{\"content\":{}", "[".repeat(10_000));
    for (method, path, body) in routes(room).into_iter().filter(|(.., body)| body.is_some()) {
        let send = |content_type: Option<&str>, body: &[u8]| {
            let mut request = http
                .request(method.clone(), server.url(&path))
                .bearer_auth(&ada.token);
            if let Some(content_type) = content_type {
                request = request.header("content-type", content_type);
            }
            let request = request.body(body.to_vec()).send();
            async { request.await.unwrap() }
        };
        let good = body.unwrap().to_string();
        for content_type in [
            None,
            Some("text/plain"),
            Some("text/json"),
            Some("application/jsonp"),
            Some(""),
            Some("application/json; charset=utf-7"),
            Some("application/json; charset"),
            Some("multipart/form-data"),
        ] {
            let answer = send(content_type, good.as_bytes()).await;
            problem(answer, 415, "unsupported_media_type").await;
        }
        for encoding in ["gzip", "deflate", "br", "identity, gzip"] {
            let request = http
                .request(method.clone(), server.url(&path))
                .bearer_auth(&ada.token)
                .header("content-type", "application/json")
                .header("content-encoding", encoding);
            let answer = request.body(good.clone()).send().await.unwrap();
            assert_eq!(answer.headers()["accept-encoding"], "identity");
            problem(answer, 415, "unsupported_media_type").await;
        }
        if path != "/api/login" {
            let answer = send(Some("application/x-www-form-urlencoded"), good.as_bytes()).await;
            problem(answer, 415, "unsupported_media_type").await;
        }
        let json = Some("application/json");
        problem(send(json, large.as_bytes()).await, 413, "too_large").await;
        for text in [
            "",
            "null",
            "7",
            "\"x\"",
            "[]",
            "[{}]",
            "{",
            "{}}",
            "{} {}",
            "{\"a\":1,}",
            "{'a':1}",
            "\u{feff}{}",
            "{\"a\":NaN}",
            "{\"content\":\"\\ud800\"}",
            "{\"content\":\"\\u12\"}",
            "{\"content\":\"a\nb\"}",
            "{\"seq\":1e400}",
            &deep,
        ] {
            let fault = problem(send(json, text.as_bytes()).await, 400, "invalid").await;
            assert!(fault["errors"].is_array(), "{path} {text:.40}: {fault}");
        }
        let invalid_utf8 = [b"{\"content\":\"".as_slice(), b"\xff\xfe\"}"].concat();
        problem(send(json, &invalid_utf8).await, 400, "invalid").await;
        for (name, code) in [
            ("colour", "unknown"),
            ("__proto__", "unknown"),
            ("id\\u0000", "unknown"),
        ] {
            let mut text = good.clone();
            text.insert_str(1, &format!("\"{name}\":1,"));
            let fault = problem(send(json, text.as_bytes()).await, 400, "invalid").await;
            assert_eq!(fault["errors"][0]["code"], code, "{path} {name}: {fault}");
        }
        // The first field twice.
        let field = good[1..].split(':').next().unwrap().to_owned();
        let mut text = good.clone();
        text.insert_str(1, &format!("{field}:null,"));
        let fault = problem(send(json, text.as_bytes()).await, 400, "invalid").await;
        assert_eq!(fault["errors"][0]["code"], "duplicate", "{path}: {fault}");
    }
}

/// As libraries write the type of what they send.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_in_utf8_has_several_names() {
    let (server, ada, room, http) = started().await;
    let path = format!("/api/chat/rooms/{room}/messages");
    for (content_type, encoding) in [
        ("application/json; charset=utf8", None),
        ("application/json; charset='utf-8'", None),
        ("application/json; charset=\"UTF-8\"", None),
        ("application/json;odata=verbose;charset=Utf-8", None),
        ("application/json; profile=\"a;b=c\"", None),
        ("application/json", Some("identity")),
    ] {
        let mut request = http
            .post(server.url(&path))
            .bearer_auth(&ada.token)
            .header("content-type", content_type);
        if let Some(encoding) = encoding {
            request = request.header("content-encoding", encoding);
        }
        let answer = request.body("{\"content\":\"žluť\"}").send().await.unwrap();
        assert_eq!(answer.status(), 201, "{content_type}");
        let message: Value = answer.json().await.unwrap();
        assert_eq!(message["content"], "žluť", "{content_type}");
    }
    for content_type in [
        "application/json; charset=latin1",
        "application/json; charset=\"utf-16\"",
        "application/json; odata=verbose; charset=windows-1252",
    ] {
        let request = http
            .post(server.url(&path))
            .bearer_auth(&ada.token)
            .header("content-type", content_type);
        let answer = request.body("{\"content\":\"x\"}").send().await.unwrap();
        problem(answer, 415, "unsupported_media_type").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_no_body_refuses_one() {
    let (server, ada, room, http) = started().await;
    let acts = |method: &Method| *method != Method::GET;
    let routes = routes(room).into_iter();
    for (method, path, _) in routes.filter(|(method, _, body)| body.is_none() && acts(method)) {
        for body in [
            "null",
            " ",
            "[]",
            "0",
            "{\"name\":\"x\"}",
            "{}{}",
            "{",
            "{{}}",
        ] {
            let request = http.request(method.clone(), server.url(&path));
            let request = request.bearer_auth(&ada.token).body(body);
            let answer = request.header("content-type", "application/json").send();
            problem(answer.await.unwrap(), 400, "invalid").await;
        }
        let large = http
            .request(method.clone(), server.url(&path))
            .bearer_auth(&ada.token);
        let large = large.body("x".repeat(128 * 1024 + 1)).send();
        problem(large.await.unwrap(), 413, "too_large").await;
        let encoded = http
            .request(method.clone(), server.url(&path))
            .bearer_auth(&ada.token)
            .header("content-encoding", "gzip");
        let encoded = encoded.body("{}").send().await.unwrap();
        problem(encoded, 415, "unsupported_media_type").await;
    }
    let (_, now) = ada.get(&format!("/api/chat/rooms/{room}")).await;
    assert_eq!(now["rev"], 2, "nothing was done");
}

/// Many libraries send `{}` with every request that isn't a GET.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_object_is_as_good_as_no_body() {
    let (server, ada, room, http) = started().await;
    let bob = server.log_in("bob").await;
    let at = format!("/api/chat/rooms/{room}");
    ada.post(&format!("{at}/messages"), json!({"content": "x"}))
        .await;
    let message = format!("{at}/messages/1");
    for (who, method, path, status) in [
        (&bob, Method::POST, format!("{at}/join"), 200),
        (&bob, Method::PUT, format!("{message}/reactions/x"), 200),
        (&bob, Method::DELETE, format!("{message}/reactions/x"), 200),
        (&ada, Method::PUT, format!("{message}/pin"), 200),
        (&ada, Method::DELETE, format!("{message}/pin"), 200),
        (&bob, Method::POST, format!("{at}/leave"), 204),
        (&ada, Method::DELETE, message, 200),
        (&ada, Method::DELETE, at, 204),
        (&bob, Method::POST, "/api/logout".into(), 204),
        (&ada, Method::POST, "/api/logout/all".into(), 204),
    ] {
        let request = http.request(method.clone(), server.url(&path));
        let request = request
            .bearer_auth(&who.token)
            .header("content-type", "application/json");
        // With the white space that is none of the object's own.
        let answer = request.body(" { }\n").send().await.unwrap();
        assert_eq!(answer.status(), status, "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_is_encoded_by_nobody_on_its_way() {
    let (server, ada, room, _) = started().await;
    let path = format!("/api/chat/rooms/{room}/messages");
    for (coding, status) in [("chunked", 201), ("gzip, chunked", 415)] {
        let mut raw = Raw::connect(server.address()).await;
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Transfer-Encoding: {coding}\r\n\r\nf\r\n{{\"content\":\"x\"}}\r\n0\r\n\r\n",
            ada.token
        );
        raw.write(request.as_bytes()).await;
        assert_eq!(raw.answer().await.0, status, "{coding}");
    }
}

/// `Expect: 100-continue`: the length is checked first, so that no body is sent in vain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leave_to_go_on_is_given_where_the_head_is_right() {
    let (server, ada, room, _) = started().await;
    let path = format!("/api/chat/rooms/{room}/messages");
    let body = "{\"content\":\"x\"}";
    let fits = body.len();
    for (token, header, length, status) in [
        (&*ada.token, "", fits, 201),
        (&ada.token, "", 128 * 1024 + 1, 413),
        (&ada.token, "", 1 << 40, 413),
        (&ada.token, "Content-Encoding: gzip\r\n", fits, 415),
        ("x", "", fits, 401),
    ] {
        let mut raw = Raw::connect(server.address()).await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
             {header}Content-Length: {length}\r\nExpect: 100-Continue\r\n\r\n"
        );
        raw.write(head.as_bytes()).await;
        if status == 201 {
            assert_eq!(raw.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
            raw.write(body.as_bytes()).await;
            assert_eq!(raw.answer().await.0, status);
        } else {
            // The first that comes, and the last.
            let head = raw.head().await;
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
            assert!(head.to_lowercase().contains("connection: close"), "{head}");
            raw.rest(PATIENCE).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documents_are_found_below_a_slash() {
    let server = Server::start(Db::Sqlite).await;
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    for page in ["/api/docs", "/api/redoc"] {
        let url = server.url(&format!("{page}/"));
        for request in [http.get(&url), http.head(&url)] {
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 308, "{page}");
            assert_eq!(answer.headers()["location"], page);
        }
        let answer = http.post(&url).send().await.unwrap();
        assert_eq!(answer.headers()["allow"], "GET, HEAD");
        problem(answer, 405, "method_not_allowed").await;
        let followed = reqwest::get(&url).await.unwrap();
        assert_eq!(followed.status(), 200);
        assert_eq!(followed.url().path(), page);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_known_gets_401_everywhere() {
    let (server, ada, room, http) = started().await;
    let (token, basic) = (
        format!("Bearer {}x", ada.token),
        format!("Basic {}", ada.token),
    );
    for (method, path, body) in closed_routes(room) {
        for header in [
            None,
            Some(""),
            Some("Bearer"),
            Some("Bearer x"),
            Some(&*token),
            Some(&*basic),
        ] {
            let mut request = http.request(method.clone(), server.url(&path));
            if let Some(header) = header {
                request = request.header("authorization", header);
            }
            if let Some(body) = &body {
                request = request.json(body);
            }
            let answer = request.send().await.unwrap();
            assert_eq!(
                answer.headers()["www-authenticate"],
                "Bearer",
                "{method} {path}"
            );
            problem(answer, 401, "unauthorized").await;
        }
        // A token in the query is the socket's alone.
        let separator = if path.contains('?') { '&' } else { '?' };
        let url = server.url(&format!("{path}{separator}token={}", ada.token));
        let answer = http
            .request(method.clone(), url)
            .json(&body)
            .send()
            .await
            .unwrap();
        assert!(
            matches!(answer.status().as_u16(), 400 | 401),
            "{method} {path}: {}",
            answer.status()
        );
    }
    let (_, now) = ada.get(&format!("/api/chat/rooms/{room}")).await;
    assert_eq!(now["rev"], 2, "nothing was done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_methods_and_other_paths_are_refused() {
    let (server, ada, room, http) = started().await;
    let room = format!("/api/chat/rooms/{room}");
    let request = |method: &str, path: &str| {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = http
            .request(method, server.url(path))
            .bearer_auth(&ada.token)
            .send();
        async { request.await.unwrap() }
    };
    // The methods of each path.
    let mut paths: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let operations = operations();
    for operation in &operations {
        let methods = paths.entry(operation.path(&[])).or_default();
        methods.insert(&operation.method);
        if operation.method == "GET" && !operation.pattern.starts_with("/ws") {
            methods.insert("HEAD");
        }
    }
    for (path, methods) in paths {
        let known = [
            "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND",
        ];
        for method in known.iter().filter(|method| !methods.contains(*method)) {
            let answer = request(method, &path).await;
            let allow = answer.headers()["allow"].to_str().unwrap().to_owned();
            let allow: BTreeSet<&str> = allow.split(", ").collect();
            assert_eq!(allow, methods, "{method} {path}");
            problem(answer, 405, "method_not_allowed").await;
        }
    }
    for path in [
        "/api",
        "/api/",
        "/api/nothing",
        "/api/me/",
        "/API/me",
        "//api/me",
        "/api//me",
        "/api/me%00",
        "/api%2fme",
        "/api/chat/rooms/x",
        "/api/chat/rooms/0",
        "/api/chat/rooms/01",
        "/api/chat/rooms/+1",
        "/api/chat/rooms/1.0",
        "/api/chat/rooms/-1",
        "/api/chat/rooms/9007199254740992",
        "/api/chat/rooms/1/messages/0",
        "/api/chat/rooms/1/messages/01",
        "/api/chat/rooms/1/messages/x/pin",
        "/api/chat/rooms/1/messages/1/pins",
        "/api/chat/rooms/1/members/0",
        "/api/chat/rooms/1/members/me",
        "/api/chat/rooms/1/me/",
        "/api/chat/rooms/%31",
        "/nothing.js",
        "/Cargo.toml",
        "/src/main.rs",
        "/%2e%2e/Cargo.toml",
        "/..%2fCargo.toml",
        "/..%5cCargo.toml",
        "/index.html%00",
        "/data/hearth.db",
        "/.env",
    ] {
        problem(request("GET", path).await, 404, "not_found").await;
        problem(request("POST", path).await, 404, "not_found").await;
    }
    for path in ["/api/me?x=1", "/api/info?x", &format!("{room}?token=x")] {
        problem(request("GET", path).await, 400, "invalid").await;
    }
}

//! Every route and every frame, listed by the server's own documents: none is missing here, each refuses callers without a
//! live session, and what a caller may not know of looks like what doesn't exist.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Account, Db, Server, api::operations, each_database, uuid};

/// What a caller needs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Access {
    Open,
    /// A live session of an active account.
    LogIn,
    /// And a room that the caller can see.
    Room,
    /// And something of the caller's own: a session, an invite.
    Own,
    /// And an admin of the site.
    SiteAdmin,
    /// A socket, which refuses by its close code.
    Socket,
}

use Access::*;

/// The routes that need no session. A new one must be added here on purpose.
const OPEN: [&str; 11] = [
    "/api/info",
    "/api/register",
    "/api/login",
    "/api/refresh",
    "/api/password/reset",
    "/api/openapi.json",
    "/api/protocol.json",
    "/api/docs",
    "/api/redoc",
    "/healthz",
    "/readyz",
];

/// What a route needs.
fn access(method: &str, pattern: &str) -> Access {
    match (method, pattern) {
        _ if OPEN.contains(&pattern) => Open,
        _ if pattern.starts_with("/ws") => Socket,
        _ if pattern.contains("{room}") => Room,
        _ if pattern.contains("{session}") || pattern.contains("{invite}") => Own,
        // An invite without a room.
        ("PATCH", "/api/users/{user}") | ("POST", "/api/invites") => SiteAdmin,
        _ => LogIn,
    }
}

/// Every route of the server's own document. Bodies are well-formed, so that only rights decide.
fn routes() -> Vec<(String, String, Access, Value)> {
    let operations = operations().into_iter();
    let routes = operations.map(|operation| {
        let (method, pattern) = (operation.method, operation.pattern);
        let access = access(&method, &pattern);
        let body = match (&*method, &*pattern) {
            ("POST", _) if access == Open => json!({}),
            ("PATCH", "/api/users/{user}") => json!({"role": "user"}),
            ("POST", "/api/invites") => json!({"max_uses": 1, "expires_at": later()}),
            ("POST", "/api/chat/rooms/{room}/members") => json!({"user_id": 1}),
            _ => operation.body.unwrap_or_default(),
        };
        (method, pattern, access, body)
    });
    routes.collect()
}

/// A row for each frame of a client's that names a room; `None`: it names none, or gets no answer.
pub(super) fn frames(room: u64) -> Vec<(&'static str, Option<Value>)> {
    let named = |kind: &str, more: Value| {
        let mut frame = json!({"type": kind, "room_id": room});
        let more = more.as_object().unwrap().clone();
        frame.as_object_mut().unwrap().extend(more);
        Some(frame)
    };
    vec![
        ("auth", None),
        ("ping", None),
        ("typing", None),
        (
            "sync",
            Some(json!({"type": "sync", "rooms": {room.to_string(): 0}})),
        ),
        ("join", named("join", json!({"rev": 0}))),
        // One may always say that one doesn't listen.
        ("leave", None),
        (
            "message",
            named("message", json!({"id": uuid(), "content": "hello"})),
        ),
        ("edit", named("edit", json!({"seq": 1, "content": "mine"}))),
        ("delete", named("delete", json!({"seq": 1}))),
        (
            "react",
            named("react", json!({"seq": 1, "emoji": "👍", "on": true})),
        ),
        ("read", named("read", json!({"seq": 1}))),
    ]
}

pub(super) fn later() -> String {
    let tomorrow = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    format!("{tomorrow:.3}")
}

/// A path of this pattern.
fn path(pattern: &str, room: u64, other: u64) -> String {
    let path = pattern
        .replace("{room}", &room.to_string())
        .replace("{seq}", "1")
        .replace("{emoji}", "%F0%9F%91%8D");
    let own = ["{user}", "{session}", "{invite}"];
    let path = own
        .iter()
        .fold(path, |path, name| path.replace(name, &other.to_string()));
    match &*path {
        "/api/chat/search" => path + "?q=hello",
        _ => path,
    }
}

/// Status and body of an answer, but for what differs by request.
pub(super) async fn answer(
    server: &Server,
    who: Option<&Account>,
    method: &str,
    path: &str,
    body: &Value,
) -> (u16, Value) {
    let body = Some(body).filter(|body| !body.is_null());
    let http = reqwest::Client::new();
    let mut request = http.request(method.parse().unwrap(), server.url(path));
    if let Some(who) = who {
        request = request.bearer_auth(&who.token);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let mut body = answer.json().await.unwrap_or(Value::Null);
    if let Some(body) = body.as_object_mut() {
        body.remove("request_id");
    }
    (status, body)
}

pub(super) struct Site {
    pub(super) server: Server,
    /// Hidden from all but ada and bob: a private room; a deleted one; one that never was.
    pub(super) hidden: [u64; 3],
    pub(super) stranger: Account,
    pub(super) ex_member: Account,
    pub(super) site_admin: Account,
    disabled: Account,
    ended: Account,
    /// A session and an invite of ada's.
    hers: [u64; 2],
}

impl Site {
    pub(super) async fn build(db: Db) -> Self {
        let server = Server::start(db).await;
        let ada = server.register("ada").await;
        let [bob, carol, dave, root, eve, frank] = ["bob", "carol", "dave", "root", "eve", "frank"];
        let bob = server.register(bob).await;
        let ex_member = server.register(carol).await;
        let stranger = server.register(dave).await;
        server.register(root).await;
        server
            .sql("UPDATE users SET role = 'admin' WHERE username = 'root'")
            .await;
        let site_admin = server.log_in(root).await;
        let disabled = server.register(eve).await;
        let ended = server.register(frank).await;
        let mut hidden = Vec::new();
        for _ in 0..2 {
            let members = [bob.id, ex_member.id];
            let body = json!({"name": "hidden", "kind": "private", "members": members});
            let (_, room) = ada.post("/api/chat/rooms", body).await;
            let room = room["id"].as_u64().unwrap();
            let path = format!("/api/chat/rooms/{room}");
            assert_eq!(
                ada.post(&format!("{path}/messages"), json!({"content": "hello"}))
                    .await
                    .0,
                201
            );
            assert_eq!(ex_member.act(&format!("{path}/leave")).await.0, 204);
            hidden.push(room);
        }
        assert_eq!(
            ada.delete(&format!("/api/chat/rooms/{}", hidden[1]))
                .await
                .0,
            204
        );
        hidden.push(999_999);
        let (_, sessions) = ada.get("/api/me/sessions").await;
        let invite = json!({"room_id": hidden[0], "max_uses": 1, "expires_at": later()});
        let (status, invite) = ada.post("/api/invites", invite).await;
        assert_eq!(status, 201, "{invite}");
        let disable = json!({"is_active": false});
        let path = format!("/api/users/{}", disabled.id);
        assert_eq!(
            site_admin.request("PATCH", &path, Some(&disable)).await.0,
            200
        );
        assert_eq!(ended.act("/api/logout").await.0, 204);
        Self {
            server,
            hidden: hidden.try_into().unwrap(),
            stranger,
            ex_member,
            site_admin,
            disabled,
            ended,
            hers: [
                sessions["items"][0]["id"].as_u64().unwrap(),
                invite["id"].as_u64().unwrap(),
            ],
        }
    }
}

async fn every_open_route_and_every_frame_has_a_row(db: Db) {
    let server = Server::start(db).await;
    let (_, api) = server.request("GET", "/api/openapi.json", None, None).await;
    let open: BTreeSet<&str> = api["paths"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(path, _)| !path.starts_with("/ws"))
        .filter(|(_, methods)| {
            let mut methods = methods.as_object().unwrap().values();
            methods.any(|operation| operation["security"] == json!([]))
        })
        .map(|(path, _)| &**path)
        .collect();
    assert_eq!(
        open,
        BTreeSet::from(OPEN),
        "what needs no token by the document (left), and what has a row here (right)"
    );

    let (_, protocol) = server
        .request("GET", "/api/protocol.json", None, None)
        .await;
    let taken: BTreeSet<&str> = protocol["$defs"]["ClientFrame"]["oneOf"]
        .as_array()
        .unwrap()
        .iter()
        .map(|frame| frame["properties"]["type"]["const"].as_str().unwrap())
        .collect();
    let rows: BTreeSet<&str> = frames(1).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(
        taken, rows,
        "what is taken (left), and what has a row here (right)"
    );
}

/// No token, a revoked session, a disabled account: only open routes answer.
async fn who_has_no_log_in_stays_outside(db: Db) {
    let site = Site::build(db).await;
    let server = &site.server;
    for (who, status, code, close) in [
        (None, 401, "unauthorized", 4500),
        (Some(&site.ended), 401, "token_revoked", 4501),
        (Some(&site.disabled), 403, "forbidden", 4502),
    ] {
        for (method, pattern, access, body) in routes() {
            let path = path(&pattern, site.hidden[0], 1);
            if access == Socket {
                let token = who.map_or("", |who| &who.token);
                let url = format!("ws://{}{path}?token={token}", server.address());
                let mut socket = crate::support::Socket::open(&url).await;
                assert_eq!(socket.closed().await, close, "{path} {code}");
                continue;
            }
            let (found, problem) = answer(server, who, &method, &path, &body).await;
            match access {
                Open => assert_ne!(problem["code"], code, "{method} {pattern}: {problem}"),
                _ => assert_eq!(
                    (found, problem["code"].as_str()),
                    (status, Some(code)),
                    "{method} {pattern}: {problem}"
                ),
            }
        }
    }
}

/// A private room, a deleted one and one that never was are answered alike, to a stranger, to one who was in them and
/// to an admin of the site; so is what is another's own.
async fn what_is_hidden_is_as_if_it_never_was(db: Db) {
    let site = Site::build(db).await;
    let server = &site.server;
    for (method, pattern, access, body) in routes() {
        let mut answers = BTreeSet::new();
        for who in [&site.stranger, &site.ex_member, &site.site_admin] {
            let ids: &[(u64, u64)] = match access {
                Room => &site.hidden.map(|room| (room, 1)),
                // An admin sees all invites.
                Own if who.name == "root" => &[],
                Own if pattern.contains("{session}") => &[(0, site.hers[0]), (0, 999_999)],
                Own => &[(0, site.hers[1]), (0, 999_999)],
                _ => &[],
            };
            for (room, other) in ids {
                let found = answer(
                    server,
                    Some(who),
                    &method,
                    &path(&pattern, *room, *other),
                    &body,
                )
                .await;
                assert_eq!(found.0, 404, "{method} {pattern} {}: {}", who.name, found.1);
                answers.insert(found.1.to_string());
            }
        }
        assert!(answers.len() <= 1, "{method} {pattern}: {answers:#?}");
        if access == SiteAdmin {
            let (status, problem) = answer(
                server,
                Some(&site.stranger),
                &method,
                &path(&pattern, 0, 1),
                &body,
            )
            .await;
            assert_eq!(
                (status, &problem["code"]),
                (403, &json!("forbidden")),
                "{method} {pattern}"
            );
            let (status, found) = answer(
                server,
                Some(&site.site_admin),
                &method,
                &path(&pattern, 0, 1),
                &body,
            )
            .await;
            assert!(matches!(status, 200 | 201), "{method} {pattern}: {found}");
        }
    }
    for who in [&site.stranger, &site.ex_member, &site.site_admin] {
        let mut socket = who.connect().await;
        for at in 0..frames(0).len() {
            let mut answers = BTreeSet::new();
            for room in site.hidden {
                let (kind, frame) = frames(room).swap_remove(at);
                let Some(frame) = frame else { continue };
                let mut answer = socket.ask(frame).await;
                match kind {
                    "sync" | "join" => assert_eq!(answer["type"], "removed", "{kind}: {answer}"),
                    _ => assert_eq!(answer["code"], "not_found", "{kind}: {answer}"),
                }
                let answer = answer.as_object_mut().unwrap();
                answer.remove("ref");
                answer.remove("room_id");
                answers.insert(json!(answer).to_string());
            }
            assert!(answers.len() <= 1, "{answers:#?}");
        }
        for room in site.hidden {
            for path in [format!("/ws/{room}"), format!("/ws/rooms/{room}")] {
                assert_eq!(who.open(&path).await.closed().await, 4505, "{path}");
            }
        }
    }
}

/// Fields that say who or what one is are refused in every body, and bind nothing.
async fn nothing_is_bound_that_is_not_asked_for(db: Db) {
    let site = Site::build(db).await;
    for (method, pattern, access, body) in routes() {
        let Value::Object(body) = body else { continue };
        for (name, value) in [
            ("is_admin", json!(true)),
            ("role", json!("admin")),
            ("sender", json!(1)),
            ("author", json!(1)),
            ("seq", json!(1)),
            ("created_at", json!("2020-01-01T00:00:00Z")),
            ("rev", json!(1)),
            ("password_hash", json!("x")),
        ] {
            let mut body = body.clone();
            if body.insert(name.into(), value).is_some() {
                // What is asked for.
                continue;
            }
            let who = Some(&site.site_admin).filter(|_| access != Open);
            let path = path(&pattern, site.hidden[0], 1);
            let (status, problem) = answer(&site.server, who, &method, &path, &json!(body)).await;
            let named = problem["errors"].as_array().into_iter().flatten();
            let named: Vec<&Value> = named.filter(|error| error["field"] == name).collect();
            assert_eq!(status, 400, "{method} {pattern} {name}: {problem}");
            assert_eq!(
                named[0]["code"], "unknown",
                "{method} {pattern} {name}: {problem}"
            );
        }
    }
    let (_, me) = site.site_admin.get("/api/me").await;
    assert_eq!(me["role"], "admin");
    let (_, she) = site.stranger.get("/api/me").await;
    assert_eq!(she["role"], "user");
}

each_database!(
    every_open_route_and_every_frame_has_a_row,
    who_has_no_log_in_stays_outside,
    what_is_hidden_is_as_if_it_never_was,
    nothing_is_bound_that_is_not_asked_for,
);

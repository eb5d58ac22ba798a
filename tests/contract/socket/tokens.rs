//! The token comes in three ways (PROTOCOL.md section 2.1). A bad one is answered after the upgrade, by a close code that a
//! browser can see. And what `ready` holds.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac::{HMAC_SHA256, HMAC_SHA512};
use serde_json::{Value, json};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{client::IntoClientRequest, http::HeaderValue},
};

use crate::support::{
    Account, Db, Raw, Server, Socket, each_database,
    token::{self, SECRET},
};

/// A socket that offers the subprotocol and, beside it, the token; and what the server chose.
async fn by_subprotocol(server: &Server, path: &str, token: &str) -> (Socket, Option<HeaderValue>) {
    let url = format!("ws://{}{path}", server.address());
    let mut request = url.into_client_request().unwrap();
    let offer = format!("hearth.v1, bearer.{token}").parse().unwrap();
    request
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", offer);
    let (stream, response) = connect_async(request).await.unwrap();
    let chosen = response.headers().get("Sec-WebSocket-Protocol").cloned();
    (Socket::new(stream), chosen)
}

async fn by_first_frame(server: &Server, path: &str, token: &str) -> Socket {
    let mut socket = Socket::open(&format!("ws://{}{path}", server.address())).await;
    socket.send(json!({"type": "auth", "token": token})).await;
    socket
}

async fn the_token_comes_in_three_ways_on_every_path(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    for path in [
        "/ws".into(),
        format!("/ws/{room}"),
        format!("/ws/rooms/{room}"),
    ] {
        let by_query = ada.open(&path).await;
        let (by_subprotocol, chosen) = by_subprotocol(&server, &path, &ada.token).await;
        assert_eq!(chosen.unwrap(), "hearth.v1", "the token isn't repeated");
        let by_frame = by_first_frame(&server, &path, &ada.token).await;
        for mut socket in [by_query, by_subprotocol, by_frame] {
            let ready = socket.frame().await;
            assert_eq!(ready["type"], "ready", "{path}: {ready}");
            assert_eq!(ready["user"]["username"], "ada");
        }
    }
}

/// Where else clients put one: it isn't looked at, or refused by its name.
async fn a_token_elsewhere_is_no_token(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let http = reqwest::Client::new();
    let token = &ada.token;
    let cookies = format!("access_token={token}; token={token}; hearth_refresh={token}");
    for (method, path, headers, status) in [
        ("GET", "/api/me", &[("Cookie", &*cookies)][..], 401),
        ("GET", "/api/me", &[("X-Access-Token", token)], 401),
        ("GET", "/api/me", &[("Authorization", token)], 401),
        (
            "GET",
            "/api/me",
            &[("Authorization", &*format!("Token {token}"))],
            401,
        ),
        (
            "GET",
            "/api/me",
            &[(
                "Sec-WebSocket-Protocol",
                &*format!("hearth.v1, bearer.{token}"),
            )],
            401,
        ),
        ("GET", &*format!("/api/me?token={token}"), &[], 400),
        ("GET", &*format!("/api/me?access_token={token}"), &[], 400),
    ] {
        let mut request = http.request(method.parse().unwrap(), server.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{path} {headers:?}");
    }
    // A socket that knows no token waits for its first frame: another account's tells whose it is then.
    let bob = server.register("bob").await;
    for header in [
        format!("Authorization: Bearer {token}"),
        format!("Cookie: {cookies}"),
        format!("Sec-WebSocket-Protocol: bearer.{token}"),
    ] {
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: hearth\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{header}\r\n\r\n"
        );
        let mut raw = Raw::connect(server.address()).await;
        raw.write(request.as_bytes()).await;
        let head = raw.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{header}: {head}");
        let auth = json!({"type": "auth", "token": bob.token});
        raw.text(&auth.to_string()).await;
        let ready = raw.json().await;
        assert_eq!(ready["user"]["username"], "bob", "{header}: {ready}");
    }
}

async fn ready_is_complete(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let hall = ada.create_room("hall", &[&bob]).await;
    bob.create_room("attic", &[]).await;
    let mut writer = ada.connect().await;
    writer.say(hall, "first").await;
    writer.say(hall, &"long ".repeat(50)).await;

    let ready = bob.connect().await.ready;
    assert_eq!(ready["protocol"], 1);
    assert_eq!(ready["heartbeat_s"], 30);
    // Ada is live, and oneself always is.
    assert_eq!(ready["online"], json!([ada.id, bob.id]));
    assert_eq!(ready["online_truncated"], false);
    assert!(
        ready["epoch"]
            .as_str()
            .is_some_and(|epoch| !epoch.is_empty())
    );
    let (_, claims) = token::open(&bob.token);
    assert_eq!(ready["session_id"], claims["sid"]);
    let expires_at: jiff::Timestamp = ready["expires_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(expires_at.as_second(), claims["exp"].as_i64().unwrap());
    let (_, me) = bob.get("/api/me").await;
    assert_eq!(ready["user"], me);
    let (_, info) = bob.get("/api/info").await;
    assert_eq!(ready["limits"], info["limits"]);

    let rooms = ready["rooms"].as_array().unwrap();
    assert_eq!(rooms.len(), 2, "{ready}");
    let (_, rest) = bob.get(&format!("/api/chat/rooms/{hall}")).await;
    let room = rooms.iter().find(|room| room["id"] == hall).unwrap();
    assert_eq!(room, &rest, "the socket and REST show the same room");
    assert_eq!(
        (&room["kind"], &room["name"]),
        (&json!("public"), &json!("hall"))
    );
    assert_eq!((&room["rev"], &room["last_seq"]), (&json!(5), &json!(2)));
    assert_eq!(
        (&room["member_count"], &room["created_by"]),
        (&json!(2), &json!(ada.id))
    );
    assert_eq!(
        (&room["role"], &room["notify"]),
        (&json!("member"), &json!("all"))
    );
    assert_eq!(
        (&room["last_read_seq"], &room["unread_mentions"]),
        (&json!(0), &json!(0))
    );
    let last = &room["last_message"];
    assert_eq!(
        (&last["seq"], &last["sender"]["id"]),
        (&json!(2), &json!(ada.id))
    );
    assert_eq!(last["snippet"], "long ".repeat(20));
}

each_database!(
    the_token_comes_in_three_ways_on_every_path,
    a_token_elsewhere_is_no_token,
    ready_is_complete
);

/// Tokens that are not the server's own word, each with what is wrong with it.
fn forged(account: &Account) -> Vec<(&'static str, String)> {
    let (header, claims) = token::open(&account.token);
    let with = |value: &Value, name: &str, new: Value| {
        let mut value = value.clone();
        value[name] = new;
        value
    };
    let without = |name: &str| {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().remove(name);
        claims
    };
    let signed = |header: &Value, claims: &Value| token::sign(HMAC_SHA256, header, claims, SECRET);
    let claiming = |name: &str, new: Value| signed(&header, &with(&claims, name, new));
    let heading = |name: &str, new: Value| signed(&with(&header, name, new), &claims);
    let unsigned = |alg: &str| {
        let header = with(&header, "alg", json!(alg)).to_string();
        let parts = [header, claims.to_string()].map(|part| URL_SAFE_NO_PAD.encode(part));
        format!("{}.{}.", parts[0], parts[1])
    };
    let (cut, _) = account.token.rsplit_once('.').unwrap();
    let mut forged = vec![
        ("empty", String::new()),
        ("no JWT", "hearth".into()),
        ("without its signature", format!("{cut}.")),
        (
            "with half of it",
            account.token[..account.token.len() - 20].into(),
        ),
        (
            "another key",
            token::sign(HMAC_SHA256, &header, &claims, "another secret"),
        ),
        (
            "HS512",
            token::sign(
                HMAC_SHA512,
                &with(&header, "alg", json!("HS512")),
                &claims,
                SECRET,
            ),
        ),
        ("HS256 that says RS256", heading("alg", json!("RS256"))),
        ("another kind of JWT", heading("typ", json!("JWT"))),
        ("a critical extension", heading("crit", json!(["b64"]))),
        ("another issuer", claiming("iss", json!("elsewhere"))),
        ("another audience", claiming("aud", json!("elsewhere"))),
        (
            "many audiences",
            claiming("aud", json!(["hearth", "elsewhere"])),
        ),
        (
            "another user's session",
            claiming("sub", json!((account.id + 1).to_string())),
        ),
        ("a user who isn't a number", claiming("sub", json!("ada"))),
        (
            "not valid before tomorrow",
            claiming("nbf", json!(claims["exp"].as_u64().unwrap() + 86_400)),
        ),
        ("exp as a text", claiming("exp", json!("2999999999"))),
        ("exp as a fraction", claiming("exp", json!(2_999_999_999.5))),
        ("a life of years", claiming("exp", json!(4_000_000_000u64))),
    ];
    forged.extend(["none", "None", "NONE"].map(|alg| ("alg none", unsigned(alg))));
    for name in ["iss", "aud", "sub", "jti", "sid", "exp"] {
        forged.push((name, signed(&header, &without(name))));
    }
    forged
}

fn expired(account: &Account) -> String {
    let (header, mut claims) = token::open(&account.token);
    let past = claims["iat"].as_u64().unwrap() - 7_200;
    (claims["iat"], claims["exp"]) = (json!(past), json!(past + 1_800));
    token::sign(HMAC_SHA256, &header, &claims, SECRET)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_token_closes_after_the_upgrade() {
    let server = Server::start_with(Db::Sqlite, &[("HEARTH_JWT_SECRET", SECRET)]).await;
    let ada = server.register("ada").await;
    server.register("bob").await;
    // The forger's tools work: a token that is signed with the server's key and left whole is accepted.
    let (header, claims) = token::open(&ada.token);
    let good = token::sign(HMAC_SHA256, &header, &claims, SECRET);
    assert_eq!(
        server.request("GET", "/api/me", Some(&good), None).await.0,
        200
    );

    let mut tokens = forged(&ada);
    let expired = expired(&ada);
    tokens.push(("expired", expired.clone()));
    for (name, token) in &tokens {
        let (code, error) = if *token == expired {
            (4004, "token_expired")
        } else {
            (4500, "unauthorized")
        };
        let url = format!("ws://{}/ws?token={token}", server.address());
        let by_query = Socket::open(&url).await;
        let by_frame = by_first_frame(&server, "/ws", token).await;
        let (by_subprotocol, _) = by_subprotocol(&server, "/ws", token).await;
        for mut socket in [by_query, by_frame, by_subprotocol] {
            assert_eq!(socket.closed().await, code, "{name}");
        }
        let (status, problem) = server.request("GET", "/api/me", Some(token), None).await;
        assert_eq!((status, &problem["code"]), (401, &json!(error)), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_frame_must_be_auth() {
    let server = Server::start(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let url = format!("ws://{}/ws", server.address());
    for first in [
        json!({"type": "ping"}),
        json!({"type": "join", "room_id": 1}),
        json!({"type": "auth"}),
        json!({"type": "auth", "token": 7}),
        json!({"type": "auth", "token": ada.token, "admin": true}),
        json!([]),
    ] {
        let mut socket = Socket::open(&url).await;
        socket.send(first.clone()).await;
        assert_eq!(socket.closed().await, 4500, "{first}");
    }
}

//! Refresh with rotation: the successor, the grace period, reuse, and the cookie that may hold the token.

use reqwest::{
    Response,
    header::{COOKIE, ORIGIN, SET_COOKIE, USER_AGENT},
};
use serde_json::{Value, json};

use hearth::limits::{REFRESH_COOKIES_MAX, REFRESHES_BURST};

use crate::support::{Account, Db, Server, each_database};

async fn refresh(server: &Server, token: &str, user_agent: &str) -> (u16, Value) {
    let request = reqwest::Client::new()
        .post(server.url("/api/refresh"))
        .header(USER_AGENT, user_agent)
        .json(&json!({"refresh_token": token}));
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn me(server: &Server, token: &str) -> (u16, Value) {
    server.request("GET", "/api/me", Some(token), None).await
}

async fn log_in_with(server: &Server, account: &Account, user_agent: &str) -> Value {
    let request = reqwest::Client::new()
        .post(server.url("/api/login"))
        .header(USER_AGENT, user_agent)
        .json(&json!({"username": account.name, "password": format!("correct horse {}", account.name)}));
    request.send().await.unwrap().json().await.unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("a text: {value}"))
}

async fn a_refresh_token_is_exchanged(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let tokens = log_in_with(&server, &ada, "a browser").await;
    let first = text(&tokens["refresh_token"]);
    let account = server.account(&tokens);
    let mut socket = account.connect().await;

    let (status, next) = refresh(&server, first, "a browser").await;
    assert_eq!(status, 200, "{next}");
    assert_eq!(next["user"], tokens["user"]);
    assert_ne!(next["refresh_token"], tokens["refresh_token"]);
    assert_eq!(me(&server, text(&next["access_token"])).await.0, 200);
    // An answer that was lost is given again, to the device that it was meant for.
    let (status, again) = refresh(&server, first, "a browser").await;
    assert_eq!(status, 200, "{again}");
    assert_eq!(again["refresh_token"], next["refresh_token"]);
    assert!(socket.fence().await.is_empty(), "the socket lives on");

    // From another device the token counts as stolen: the session ends, with all of its tokens.
    let (status, problem) = refresh(&server, first, "a thief").await;
    assert_eq!((status, &problem["code"]), (401, &json!("token_revoked")));
    assert_eq!(socket.closed().await, 4501);
    for token in [&tokens["access_token"], &next["access_token"]] {
        let (status, problem) = me(&server, text(token)).await;
        assert_eq!((status, &problem["code"]), (401, &json!("token_revoked")));
    }
    let (status, problem) = refresh(&server, text(&next["refresh_token"]), "a browser").await;
    assert_eq!((status, &problem["code"]), (401, &json!("token_revoked")));
    assert_eq!(
        me(&server, &ada.token).await.0,
        200,
        "her other session lives"
    );
}

/// Every token that was exchanged is kept for long: so their number is limited. A refused client keeps its token.
async fn a_log_in_is_refreshed_so_often(db: Db) {
    let server = Server::start_with(db, &[("HEARTH_RATE_LIMITS", "on")]).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let mut token = ada.refresh_token.clone();
    let mut refreshed = 0;
    let problem = loop {
        let (status, answer) = refresh(&server, &token, "").await;
        if status != 200 {
            break answer;
        }
        token = text(&answer["refresh_token"]).to_owned();
        refreshed += 1;
        assert!(refreshed < 2 * REFRESHES_BURST, "nothing limits it");
    };
    assert_eq!(problem["code"], "rate_limited", "{problem}");
    assert!(
        (REFRESHES_BURST..REFRESHES_BURST + 30).contains(&refreshed),
        "{refreshed}"
    );
    // By user: another session of hers waits, too, and nobody else's.
    let other = server.log_in("ada").await;
    assert_eq!(refresh(&server, &other.refresh_token, "").await.0, 429);
    assert_eq!(refresh(&server, &bob.refresh_token, "").await.0, 200);
    assert_eq!(me(&server, &other.token).await.0, 200);

    // The token of a revoked session uses up no limit.
    let stolen = server.log_in("bob").await;
    assert_eq!(stolen.request("POST", "/api/logout", None).await.0, 204);
    let mut refused = 0;
    while refresh(&server, &stolen.refresh_token, "").await.0 == 401 {
        refused += 1;
    }
    assert!(refused >= REFRESHES_BURST, "{refused}");
    let bob = server.log_in("bob").await;
    assert_eq!(refresh(&server, &bob.refresh_token, "").await.0, 200);
}

async fn a_used_successor_ends_the_grace(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let (_, second) = refresh(&server, &ada.refresh_token, "").await;
    let (status, third) = refresh(&server, text(&second["refresh_token"]), "").await;
    assert_eq!(status, 200, "{third}");
    let (status, problem) = refresh(&server, &ada.refresh_token, "").await;
    assert_eq!((status, &problem["code"]), (401, &json!("token_revoked")));
    let (status, _) = refresh(&server, text(&third["refresh_token"]), "").await;
    assert_eq!(status, 401);
}

async fn what_is_no_refresh_token_is_refused(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    for token in ["", "x", &ada.token, &"x".repeat(5_000)] {
        let (status, problem) = refresh(&server, token, "").await;
        assert_eq!(
            (status, &problem["code"]),
            (401, &json!("unauthorized")),
            "{token}"
        );
    }
    // A refresh token opens nothing by itself.
    assert_eq!(me(&server, &ada.refresh_token).await.0, 401);
    for (body, field, code) in [
        (json!({}), "refresh_token", "missing"),
        (json!({"refresh_token": 1}), "refresh_token", "type"),
        (
            json!({"refresh_token": "x", "user_id": 1}),
            "user_id",
            "unknown",
        ),
    ] {
        let (status, problem) = server
            .request("POST", "/api/refresh", None, Some(&body))
            .await;
        assert_eq!(status, 400, "{body}");
        assert_eq!(
            (
                &problem["errors"][0]["field"],
                &problem["errors"][0]["code"]
            ),
            (&json!(field), &json!(code))
        );
    }
}

async fn an_idle_log_in_ends(db: Db) {
    let settings = [("HEARTH_ACCESS_TTL", "1s"), ("HEARTH_REFRESH_TTL", "1s")];
    let server = Server::start_with(db, &settings).await;
    let ada = server.register("ada").await;
    // The only way to see a moment pass is to let it pass.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let (status, problem) = refresh(&server, &ada.refresh_token, "").await;
    assert_eq!((status, &problem["code"]), (401, &json!("token_revoked")));
}

each_database!(
    a_refresh_token_is_exchanged,
    a_log_in_is_refreshed_so_often,
    a_used_successor_ends_the_grace,
    what_is_no_refresh_token_is_refused,
    an_idle_log_in_ends,
    of_several_cookies_the_living_one_counts,
);

/// The cookie's attributes, in order, its value aside.
fn cookie(response: &Response) -> (String, Vec<String>) {
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
    let mut parts = cookie.split("; ").map(str::to_owned);
    (parts.next().unwrap(), parts.collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_may_come_as_a_cookie() {
    let public = [("HEARTH_PUBLIC_URL", "https://chat.example.org")];
    for (settings, secure) in [(&public[..0], false), (&public[..], true)] {
        let server = Server::start_with(Db::Sqlite, settings).await;
        server.register("ada").await;
        let http = reqwest::Client::new();
        let own = if secure {
            "https://chat.example.org".to_owned()
        } else {
            server.url("")
        };
        let body = json!({"username": "ada", "password": "correct horse ada", "cookie": true});
        let login = http.post(server.url("/api/login")).json(&body).send().await;
        let login = login.unwrap();
        let (first, mut attributes) = cookie(&login);
        let mut expected = vec!["Path=/api", "Max-Age=604800", "HttpOnly", "SameSite=Strict"];
        expected.extend(secure.then_some("Secure"));
        attributes.sort();
        expected.sort_unstable();
        assert_eq!(attributes, expected);
        let tokens: Value = login.json().await.unwrap();
        assert_eq!(tokens.get("refresh_token"), None, "{tokens}");
        assert!(
            !tokens
                .to_string()
                .contains(first.split_once('=').unwrap().1)
        );

        let by_cookie = async |path: &str, cookie: &str, origin: Option<&str>, token: &str| {
            let mut request = http.post(server.url(path)).header(COOKIE, cookie);
            if let Some(origin) = origin {
                request = request.header(ORIGIN, origin);
            }
            request = if token.is_empty() {
                request.json(&json!({}))
            } else {
                request.bearer_auth(token)
            };
            request.send().await.unwrap()
        };
        for origin in [Some("https://evil.example"), Some("null"), None] {
            let refused = by_cookie("/api/refresh", &first, origin, "").await;
            assert_eq!(refused.status(), 403, "{origin:?}");
        }
        let refreshed = by_cookie(
            "/api/refresh",
            &format!("a=b; {first}; c=d"),
            Some(&own),
            "",
        )
        .await;
        assert_eq!(refreshed.status(), 200);
        let (second, _) = cookie(&refreshed);
        assert_ne!(first, second);
        let tokens: Value = refreshed.json().await.unwrap();
        assert_eq!(tokens.get("refresh_token"), None, "{tokens}");

        let token = text(&tokens["access_token"]);
        let out = by_cookie("/api/logout", &second, Some(&own), token).await;
        assert_eq!(out.status(), 204);
        let (gone, attributes) = cookie(&out);
        assert_eq!(gone, "hearth_refresh=");
        assert!(
            attributes.contains(&"Max-Age=0".to_owned()),
            "{attributes:?}"
        );
        let refused = by_cookie("/api/refresh", &second, Some(&own), "").await;
        assert_eq!(refused.status(), 401);

        // A log-out that comes late leaves the next session its cookie.
        let earlier = server.log_in("ada").await;
        let login = http.post(server.url("/api/login")).json(&body).send().await;
        let (third, _) = cookie(&login.unwrap());
        let out = by_cookie("/api/logout", &third, Some(&own), &earlier.token).await;
        assert_eq!(
            (out.status().as_u16(), out.headers().get(SET_COOKIE)),
            (204, None)
        );
        let refreshed = by_cookie("/api/refresh", &third, Some(&own), "").await;
        assert_eq!(refreshed.status(), 200);
    }
}

/// Logs in so that the refresh token comes as a cookie: the cookie.
async fn by_cookie(server: &Server, name: &str) -> String {
    let body =
        json!({"username": name, "password": format!("correct horse {name}"), "cookie": true});
    let login = reqwest::Client::new().post(server.url("/api/login"));
    cookie(&login.json(&body).send().await.unwrap()).0
}

/// The answer to a refresh with these lines of cookies.
async fn refresh_by(server: &Server, lines: &[&[u8]], user_agent: &str) -> Response {
    let mut request = reqwest::Client::new()
        .post(server.url("/api/refresh"))
        .header(ORIGIN, server.url(""))
        .header(USER_AGENT, user_agent);
    for line in lines {
        request = request.header(COOKIE, *line);
    }
    request.json(&json!({})).send().await.unwrap()
}

async fn of_several_cookies_the_living_one_counts(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    server.register("bob").await;
    // Cookies that other paths and hosts may have left in a browser.
    let never = "hearth_refresh=never-a-token".to_owned();
    let ended = by_cookie(&server, "bob").await;
    let bob = server.log_in("bob").await;
    assert_eq!(bob.act("/api/logout/all").await.0, 204);
    let exchanged = by_cookie(&server, "ada").await;
    let answer = refresh_by(&server, &[exchanged.as_bytes()], "another").await;
    let (successor, _) = cookie(&answer);
    let elsewhere: Value = answer.json().await.unwrap();
    let elsewhere = text(&elsewhere["access_token"]).to_owned();
    let mut living = by_cookie(&server, "ada").await;

    let too_many: String = (0..REFRESH_COOKIES_MAX)
        .map(|number| format!("hearth_refresh=never-{number}; "))
        .collect();
    for dead in [
        never.clone(),
        ended.clone(),
        exchanged.clone(),
        "hearth_refresh=".to_owned(),
        format!("hearth_refresh={}", "x".repeat(10_000)),
        format!("{never}; {ended}; {exchanged}"),
        "hearth_refreshed=x; name=José".to_owned(),
    ] {
        for arrangement in ["a=b; DEAD; LIVING", "LIVING;DEAD", "DEAD\nLIVING"] {
            let cookies = arrangement
                .replace("DEAD", &dead)
                .replace("LIVING", &living);
            let lines: Vec<&[u8]> = cookies.lines().map(str::as_bytes).collect();
            let answer = refresh_by(&server, &lines, "a browser").await;
            assert_eq!(answer.status(), 200, "{cookies:.200}");
            (living, _) = cookie(&answer);
            let tokens: Value = answer.json().await.unwrap();
            assert_eq!(tokens["user"]["username"], "ada");
        }
    }
    assert_eq!(me(&server, &elsewhere).await.0, 200, "it ends nothing");

    // Nor do several cookies of live sessions; and a live one behind too many isn't looked for.
    let left_over = by_cookie(&server, "ada").await;
    refresh_by(&server, &[left_over.as_bytes()], "another").await;
    for (cookies, status, code) in [
        (format!("{never}; {never}2"), 401, "unauthorized"),
        (format!("{exchanged}; {left_over}"), 401, "token_revoked"),
        (format!("{too_many}{living}"), 401, "unauthorized"),
    ] {
        let answer = refresh_by(&server, &[cookies.as_bytes()], "a browser").await;
        assert_eq!(answer.status(), status, "{cookies:.200}");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["code"], code, "{cookies:.200}");
    }
    assert_eq!(me(&server, &elsewhere).await.0, 200, "it ends nothing");

    // A log-out leaves the cookies while one of them lives.
    let out = reqwest::Client::new()
        .post(server.url("/api/logout"))
        .header(COOKIE, format!("{never}; {successor}"))
        .bearer_auth(&ada.token);
    let out = out.send().await.unwrap();
    assert_eq!(
        (out.status().as_u16(), out.headers().get(SET_COOKIE)),
        (204, None)
    );

    // A token that was exchanged before and comes without a valid one was stolen: the thief shows it, or the one who was
    // robbed. That holds also if it comes twice, or beside what anybody could have put there: no token, or one of a revoked or
    // expired session.
    let eve = server.register("eve").await;
    let expired = by_cookie(&server, "eve").await;
    let sql = format!(
        "UPDATE auth_sessions SET expires_at = 1 WHERE user_id = {}",
        eve.id
    );
    server.sql(&sql).await;
    for beside in [
        "DEAD".to_owned(),
        never,
        ended,
        expired,
        "hearth_refresh=".to_owned(),
    ] {
        let exchanged = by_cookie(&server, "ada").await;
        let thief = refresh_by(&server, &[exchanged.as_bytes()], "a thief").await;
        let thief: Value = thief.json().await.unwrap();
        let cookies = format!("{}; {exchanged}", beside.replace("DEAD", &exchanged));
        let answer = refresh_by(&server, &[cookies.as_bytes()], "a browser").await;
        assert_eq!(answer.status(), 401, "{cookies}");
        let thief = me(&server, text(&thief["access_token"])).await.0;
        assert_eq!(thief, 401, "its session ends: {cookies}");
    }
}

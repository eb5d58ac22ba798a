//! The metrics: served on a listener of their own and nowhere else.

use std::time::Duration;

use futures_util::future::join_all;
use hearth::limits::METRICS_CONNECTIONS_MAX;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::support::{Db, Moment, Nginx, PATIENCE, Raw, Server, timeout};

const GET: &str = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";

/// A connection to the listener of the metrics.
async fn watch(server: &Server) -> Raw {
    let address = server.listens("listen.metrics");
    Raw::connect(address.expect("the metrics are on")).await
}

/// An answer without what differs from one to the next: its head but for the date, and a problem but for its id.
fn told(head: &str, body: &str) -> (String, Value) {
    let same = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default();
        !["date", "x-request-id"].contains(&&*name.to_ascii_lowercase())
    };
    let mut problem: Value = serde_json::from_str(body).unwrap_or_default();
    if let Some(problem) = problem.as_object_mut() {
        problem.remove("request_id");
    }
    let head: Vec<&str> = head.lines().filter(same).collect();
    (head.join("\n"), problem)
}

/// Behind a proxy on this machine they come from 127.0.0.1, as all do here. For them the path is as one that never was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_read_no_metrics() {
    let local = [("HEARTH_TRUSTED_PROXIES", "127.0.0.1")];
    let server = Server::start_with(Db::Sqlite, &local).await;
    let nginx = Nginx::start(server.address()).await;
    let admin = server.admin("ada").await;
    let bearer = format!("Authorization: Bearer {}\r\n", admin.token);
    let claims = [
        "",
        "X-Forwarded-For: 127.0.0.1\r\nX-Real-IP: 127.0.0.1\r\nForwarded: for=127.0.0.1\r\n",
        "X-Original-URL: /metrics\r\nX-Rewrite-URL: /metrics\r\n",
        &bearer,
    ];
    let port = server.listens("listen.metrics").unwrap().port();
    let hosts = ["hearth".to_owned(), format!("127.0.0.1:{port}")];
    let ask = async |through: bool, method: &str, path: &str, host: &str, claim: &str| {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{claim}\r\n");
        let (head, body) = if through {
            let mut raw = nginx.connect().await;
            raw.write(request.as_bytes()).await;
            raw.whole(method).await
        } else {
            let mut raw = Raw::connect(server.address()).await;
            raw.write(request.as_bytes()).await;
            raw.whole(method).await
        };
        assert!(!body.contains("http_requests_total"), "{request}{body}");
        told(&head, &body)
    };
    for method in ["GET", "HEAD", "POST", "OPTIONS"] {
        for (claim, host) in claims
            .iter()
            .flat_map(|claim| hosts.iter().map(move |host| (claim, host)))
        {
            for through in [false, true] {
                let nowhere = ask(through, method, "/nowhere", host, claim).await;
                assert!(nowhere.0.starts_with("HTTP/1.1 404 "), "{nowhere:?}");
                for path in [
                    "/metrics",
                    "/metrics/",
                    "/metrics?x",
                    "//metrics",
                    "/%6detrics",
                ] {
                    let metrics = ask(through, method, path, host, claim).await;
                    assert_eq!(metrics, nowhere, "{method} {path} {host} {claim}");
                }
            }
        }
    }
    let absolute = format!("http://127.0.0.1:{port}/metrics");
    let metrics = ask(false, "GET", &absolute, "hearth", "").await;
    assert!(metrics.0.starts_with("HTTP/1.1 404 "), "{metrics:?}");
    let openapi = server
        .request("GET", "/api/openapi.json", None, None)
        .await
        .1;
    assert!(openapi["paths"].get("/metrics").is_none(), "{openapi}");
    assert!(server.metrics().await.contains("http_requests_total"));
}

/// Nor does it read any other request: it knows neither accounts nor rooms.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_listener_of_the_metrics_serves_nothing_else() {
    let server = Server::start(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let long = format!("X: {}\r\n", "y".repeat(500_000));
    let bearer = format!("Authorization: Bearer {}\r\n", ada.token);
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let host = "Host: a\r\n";
    for (method, path, headers, status) in [
        ("GET", "/metrics", &[host][..], 200),
        ("GET", "/metrics?name=x", &[host], 200),
        ("HEAD", "/metrics", &[host], 200),
        ("GET", "/metrics", &[host, upgrade], 200),
        ("GET", "/metrics", &[], 400),
        ("GET", "/metrics", &[host, host], 400),
        ("GET", "/metrics", &["Host: u@a\r\n"], 400),
        ("GET", "/metrics", &[host, &long], 431),
        ("POST", "/metrics", &[host], 405),
        ("DELETE", "/metrics", &[host], 405),
        ("OPTIONS", "/metrics", &[host, "Origin: http://a\r\n"], 405),
        ("TRACE", "/metrics", &[host], 405),
        ("GET", "/metrics/", &[host], 404),
        ("GET", "/", &[host], 404),
        ("GET", "/index.html", &[host], 404),
        ("GET", "/healthz", &[host], 404),
        ("GET", "/readyz", &[host], 404),
        ("GET", "/api/info", &[host], 404),
        ("GET", "/api/docs/", &[host], 404),
        ("GET", "/api/me", &[host, &bearer], 404),
        ("POST", "/api/login", &[host], 404),
        ("GET", "/ws", &[host, upgrade], 404),
        ("CONNECT", "a:80", &[host], 404),
    ] {
        let request = format!("{method} {path} HTTP/1.1\r\n{}\r\n", headers.concat());
        let mut raw = watch(&server).await;
        // A refusal may come, and the connection end, before all of a head is written.
        let _ = raw.write_beside(request.as_bytes()).await;
        let (head, body) = raw.whole(method).await;
        let request = &request[..request.len().min(200)];
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request}{head}"
        );
        let is = |header: &str| head.to_ascii_lowercase().contains(header);
        if status == 200 {
            assert!(
                is("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"),
                "{head}"
            );
            assert_eq!(
                body.contains("http_requests_total"),
                method == "GET",
                "{body}"
            );
        }
        assert_eq!(is("allow: get, head\r\n"), status == 405, "{request}{head}");
    }

    // A body is never read: the connection ends with the answer.
    let mut raw = watch(&server).await;
    let request = GET.replace("\r\n\r\n", "\r\nContent-Length: 9\r\n\r\n");
    raw.write(format!("{request}{GET}").as_bytes()).await;
    let answers = raw.rest(PATIENCE).await;
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
    assert!(answers.starts_with("HTTP/1.1 200 "), "{answers}");
    // Its requests are counted as all are, by no path that a client makes up.
    let text = server.metrics().await;
    assert!(text.contains("route=\"/metrics\""), "{text}");
    assert!(!text.contains("index.html"), "{text}");
}

/// Heads have their deadline, new connections and kept ones; and as many as there may be take no place from the chat.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_watch_have_a_few_places_and_deadlines() {
    let server = Server::start(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let started = Moment::now();
    let kept = async || {
        let mut raw = watch(&server).await;
        raw.write(GET.as_bytes()).await;
        assert_eq!(raw.answer().await.0, 200);
        raw
    };
    // One that rests, and all other places with heads that don't come to an end.
    let mut resting = kept().await;
    let slow = (1..METRICS_CONNECTIONS_MAX).map(async |number| {
        let mut raw = match number % 2 {
            0 => kept().await,
            _ => watch(&server).await,
        };
        raw.write(&GET.as_bytes()[..number]).await;
        raw
    });
    let slow = join_all(slow).await;
    let mut late = watch(&server).await;
    late.write(GET.as_bytes()).await;
    let mut socket = ada.connect().await;
    assert!(socket.fence().await.is_empty());
    resting.write(GET.as_bytes()).await;
    assert_eq!(resting.answer().await.0, 200, "who has a place keeps it");
    let ends = slow.into_iter().map(async |mut raw| {
        assert_eq!(raw.rest(PATIENCE).await, "");
        started.assert_took(10..20);
    });
    let served = async {
        assert_eq!(late.answer().await.0, 200);
        started.assert_took(10..20);
    };
    tokio::join!(join_all(ends), served);
}

/// The listener is off by default, ends with the server, and an address that can't be used stops the start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_listener_comes_and_goes_with_the_server() {
    let mut server = Server::start_with(Db::Sqlite, &[("HEARTH_LISTEN_METRICS", "")]).await;
    assert_eq!(server.listens("listen.metrics"), None);
    assert!(server.stop().await.success());

    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap();
    server.set("HEARTH_LISTEN", &server.address().to_string());
    server.set("HEARTH_LISTEN_METRICS", &port.to_string());
    let ran = server.command(&["serve"], "").await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let why = format!("can't listen on {port}: Address already in use");
    assert!(ran.err.contains(&why), "{ran:?}");
    assert!(ran.err.contains("or set HEARTH_LISTEN_METRICS"), "{ran:?}");
    let check = server.command(&["check"], "").await;
    let shown = format!("HEARTH_LISTEN_METRICS={port}");
    assert!(check.out.contains(&shown), "{check:?}");
    // Two of its own can't have one address, as a setting's rule says before anything is tried.
    server.set("HEARTH_LISTEN_METRICS", &server.address().to_string());
    for command in ["serve", "check"] {
        let ran = server.command(&[command], "").await;
        assert_eq!(ran.code, Some(64), "{ran:?}");
        let why = "HEARTH_LISTEN_METRICS: must be another address than HEARTH_LISTEN";
        assert!(ran.err.contains(why), "{ran:?}");
    }

    server.set("HEARTH_LISTEN_METRICS", "127.0.0.1:0");
    server.restart().await;
    let mut resting = watch(&server).await;
    resting.write(GET.as_bytes()).await;
    assert_eq!(resting.answer().await.0, 200);
    let mut fresh = watch(&server).await;
    let address = server.listens("listen.metrics").unwrap();
    assert!(server.stop().await.success());
    for raw in [&mut resting, &mut fresh] {
        assert_eq!(raw.rest(PATIENCE).await, "");
    }
    assert!(
        !server.log().contains("connections are cut"),
        "{}",
        server.log()
    );
    let refused = timeout(
        Duration::from_secs(5),
        tokio::net::TcpStream::connect(address),
    )
    .await;
    assert!(refused.unwrap().is_err(), "nobody listens any more");
}

//! How much of the server one host may hold, and all hosts together before they authenticate: connections, and bytes of
//! incomplete requests. Others are served meanwhile.

use std::net::SocketAddr;

use serde_json::json;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
};

use crate::support::{Account, Db, Incoming, Lines, PATIENCE, Raw, Server, masked, timeout};

const SHARE: usize = 20;
const BODY: usize = 72 * 1024;
/// Of the bodies, what isn't counted.
const FREE: usize = 8 * 1024;
const OF_ONE: usize = 16 * 1024 * 1024;
const OF_ALL: usize = 4 * OF_ONE;

/// A connection from this address of this machine.
async fn from(address: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket
        .bind(format!("{address}:0").parse().unwrap())
        .unwrap();
    socket.connect(to).await.unwrap()
}

async fn http_from(address: &str, server: &Server) -> Raw {
    Raw::on(from(address, server.address()).await)
}

async fn get(raw: &mut Raw, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: hearth\r\n\r\n");
    raw.write(request.as_bytes()).await;
    raw.answer().await
}

async fn metric_becomes(server: &Server, name: &str, is: impl Fn(u64) -> bool) {
    let wait = async {
        while !is(server.metric(name).await) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("{name} never becomes so"));
}

/// The answer to who has no place: a whole one, that says why and when to come again.
async fn turned_away(mut raw: Raw) {
    let head = raw.head().await;
    assert!(head.starts_with("HTTP/1.1 429 "), "{head}");
    assert!(head.contains("Retry-After: 5\r\n"), "{head}");
    assert!(head.contains("Connection: close\r\n"), "{head}");
    let body = raw.rest(PATIENCE).await;
    let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&problem["status"], &problem["code"]),
        (&json!(429), &json!("rate_limited"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_has_its_share_of_the_connections() {
    let share = SHARE.to_string();
    let settings = [
        ("HEARTH_CONNECTIONS_PER_ADDRESS", &*share),
        ("HEARTH_LISTEN_TCP", "127.0.0.1:0"),
    ];
    let server = Server::start_with(Db::Sqlite, &settings).await;
    // Of both kinds, and a socket is still a connection.
    let mut kept = Vec::new();
    for _ in 0..SHARE - 2 {
        kept.push(http_from("127.0.0.2", &server).await);
    }
    let mut lines = Lines::on(from("127.0.0.2", server.tcp_address()).await);
    let mut socket = http_from("127.0.0.2", &server).await;
    socket.handshake("/ws").await;
    // In the order in which they came: all are served.
    for raw in &mut kept {
        assert_eq!(get(raw, "/healthz").await.0, 200);
    }

    // One that says nothing, one that asks, one that wants a socket, one that speaks lines.
    turned_away(http_from("127.0.0.2", &server).await).await;
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
    ] {
        let mut raw = http_from("127.0.0.2", &server).await;
        raw.write(request.as_bytes()).await;
        turned_away(raw).await;
    }
    let mut refused = Lines::on(from("127.0.0.2", server.tcp_address()).await);
    assert!(matches!(refused.next().await, Incoming::Closed(4008, _)));

    // Others don't notice, nor do those who have a place.
    let ada = server.register("ada").await;
    let auth = json!({"type": "auth", "token": ada.token});
    socket.text(&auth.to_string()).await;
    assert_eq!(socket.json().await["type"], "ready");
    lines.send(auth).await;
    assert_eq!(lines.frame().await["type"], "ready");
    assert_eq!(get(&mut kept[0], "/healthz").await.0, 200);
    assert_eq!(
        get(&mut http_from("127.0.0.3", &server).await, "/healthz")
            .await
            .0,
        200
    );
    assert_eq!(server.metric("connections_refused_total").await, 4);
    assert!(server.metric("connections_placed").await >= SHARE as u64);

    // A place that is given up is free again, a socket's too.
    drop((socket, kept.pop()));
    let freed = async {
        // The server may not have seen their end yet.
        while get(&mut http_from("127.0.0.2", &server).await, "/healthz")
            .await
            .0
            != 200
        {}
    };
    timeout(PATIENCE, freed)
        .await
        .expect("a place is free again");
}

/// A socket by a proxy, for who is at this address: open, or refused with 429.
async fn proxied(server: &Server, account: &Account, address: &str) -> Result<Raw, String> {
    let mut raw = http_from("127.0.0.1", server).await;
    let request = format!(
        "GET /ws?token={} HTTP/1.1\r\nHost: hearth\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-Forwarded-For: {address}\r\n\r\n",
        account.token
    );
    raw.write(request.as_bytes()).await;
    let head = raw.head().await;
    if head.starts_with("HTTP/1.1 101 ") {
        Ok(raw)
    } else {
        Err(head)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_by_a_proxy_is_counted_and_the_proxy_is_not() {
    let share = SHARE.to_string();
    let settings = [
        ("HEARTH_CONNECTIONS_PER_ADDRESS", &*share),
        ("HEARTH_TRUSTED_PROXIES", "127.0.0.1"),
    ];
    let server = Server::start_with(Db::Sqlite, &settings).await;
    let ada = server.register("ada").await;
    let mut kept = Vec::new();
    for network in ["198.51.100.7, 203.0.113.7", "2001:db8:1:2"] {
        for number in 0..SHARE {
            let address = if network.contains('.') {
                // An address that the client itself claims is ignored.
                network.to_owned()
            } else {
                format!("[{network}::{number:x}]:443")
            };
            kept.push(proxied(&server, &ada, &address).await.unwrap());
        }
    }
    for address in ["203.0.113.7", "2001:db8:1:2:3:4:5:6"] {
        let head = proxied(&server, &ada, address)
            .await
            .err()
            .expect("refused");
        assert!(head.starts_with("HTTP/1.1 429 "), "{head}");
        assert!(head.to_lowercase().contains("retry-after: 5\r\n"), "{head}");
    }
    // A request counts while it is served; others of the proxy's clients have places.
    for address in ["203.0.113.8", "2001:db8:1:3::1"] {
        kept.push(proxied(&server, &ada, address).await.unwrap());
        let mut raw = http_from("127.0.0.1", &server).await;
        for (of, status) in [(address, 200), ("203.0.113.7", 429), (address, 200)] {
            let request =
                format!("GET /api/info HTTP/1.1\r\nHost: hearth\r\nX-Forwarded-For: {of}\r\n\r\n");
            raw.write(request.as_bytes()).await;
            assert_eq!(raw.answer().await.0, status, "{of}");
        }
    }
    // From any other address the header is ignored.
    let mut stranger = http_from("127.0.0.2", &server).await;
    let request = "GET /api/info HTTP/1.1\r\nHost: hearth\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n";
    stranger.write(request.as_bytes()).await;
    assert_eq!(stranger.answer().await.0, 200);

    // A socket that ends gives its client's place back.
    drop(kept.remove(0));
    let freed = async { while proxied(&server, &ada, "203.0.113.7").await.is_err() {} };
    timeout(PATIENCE, freed)
        .await
        .expect("a place is free again");
}

/// A log-in whose body doesn't end: this much of it has come.
async fn half_a_body(server: &Server, address: &str, bytes: usize) -> Raw {
    let mut raw = http_from(address, server).await;
    let head = format!(
        "POST /api/login HTTP/1.1\r\nHost: hearth\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        bytes + 1
    );
    raw.write(head.as_bytes()).await;
    raw.write(&vec![b' '; bytes]).await;
    raw
}

/// A log-in that is as long as it says, and wrong.
async fn whole_body(server: &Server, address: &str, bytes: usize) -> u16 {
    let mut raw = http_from(address, server).await;
    let body = r#"{"username":"nobody","password":"nothing"}"#;
    let body = format!("{body}{}", " ".repeat(bytes - body.len()));
    let head = format!(
        "POST /api/login HTTP/1.1\r\nHost: hearth\r\nContent-Type: application/json\r\nContent-Length: {bytes}\r\n\r\n"
    );
    raw.write(head.as_bytes()).await;
    raw.write(body.as_bytes()).await;
    raw.answer().await.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_bodies_are_bounded_by_host_and_in_all() {
    let server = Server::start(Db::Sqlite).await;
    let of_one = OF_ONE / (BODY - FREE);
    let mut kept = Vec::new();
    for host in 2..=5 {
        let address = format!("127.0.0.{host}");
        let before = server.metric("body_bytes_held").await;
        for _ in 0..of_one {
            kept.push(half_a_body(&server, &address, BODY).await);
        }
        let enough = before + (of_one * (BODY - FREE)) as u64;
        metric_becomes(&server, "body_bytes_held", |held| held >= enough).await;
        // One more of its own is refused, small ones never.
        let mut raw = half_a_body(&server, &address, BODY).await;
        let (status, problem) = raw.answer().await;
        assert_eq!(status, 503, "{problem}");
        assert_eq!(whole_body(&server, &address, 1_000).await, 401);
        // Another one's is taken, until all of it is used up.
        let others = whole_body(&server, "127.0.0.9", BODY).await;
        assert_eq!(others, if host < 5 { 401 } else { 503 }, "{host}");
    }
    assert!(server.metric("bodies_refused_total").await >= 5);
    let held = server.metric("body_bytes_held").await;
    assert!(held <= OF_ALL as u64, "{held}");
    // Everybody is served who asks for little.
    let ada = server.register("ada").await;
    ada.connect().await;
    // The bytes of finished requests are not counted any more.
    drop(kept);
    metric_becomes(&server, "body_bytes_held", |held| held == 0).await;
    assert_eq!(whole_body(&server, "127.0.0.2", BODY).await, 401);
}

/// An unauthenticated connection can fill only little memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_are_short() {
    let server = Server::start(Db::Sqlite).await;
    for (length, status) in [(15 * 1024, 200), (17 * 1024, 431), (200 * 1024, 431)] {
        let mut raw = http_from("127.0.0.1", &server).await;
        let long = "x".repeat(length);
        let head = format!("GET /healthz HTTP/1.1\r\nHost: hearth\r\nX-Long: {long}\r\n\r\n");
        // It may be answered before its end.
        let _ = raw.stream.write_all(head.as_bytes()).await;
        assert_eq!(raw.answer().await.0, status, "{length}");
    }
}

/// 128 KiB may come later: before, a token and what stands around it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_say_little_before_they_are_let_in() {
    let server = Server::with_lines(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let large = "x".repeat(9 * 1024);
    let mut raw = Raw::upgrade(&server, "/ws").await;
    let _ = raw
        .write_until_stalled(&masked(0x81, large.as_bytes()), PATIENCE)
        .await;
    assert_eq!(raw.closed().await, 1009);
    // One that never ends, in pieces.
    let mut raw = Raw::upgrade(&server, "/ws").await;
    for piece in 0..9 {
        let frame = masked(if piece == 0 { 0x01 } else { 0x00 }, &[b'x'; 1024]);
        let _ = raw.write_until_stalled(&frame, PATIENCE).await;
    }
    assert_eq!(raw.closed().await, 1009);
    let mut lines = Lines::connect(&server).await;
    let _ = lines.try_write(large.as_bytes()).await;
    assert!(matches!(lines.next().await, Incoming::Closed(1009, _)));

    // An authenticated connection may send more, at once too.
    let mut lines = Lines::open(&server, &ada).await;
    let mut socket = ada.connect().await;
    let content = "x".repeat(8_000);
    for _ in 0..3 {
        let id = crate::support::uuid();
        let say = json!({"type": "message", "room_id": room, "id": id, "content": content});
        let padded = format!("{say}{}", " ".repeat(100 * 1024));
        lines.write(format!("{padded}\n").as_bytes()).await;
        assert_eq!(lines.frame().await["type"], "ack");
        socket.say(room, &content).await;
    }
}

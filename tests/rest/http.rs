//! HTTP itself, byte by byte: what could be read in two ways is refused, what is slow is cut off.

use std::time::Duration;

use crate::support::{Db, Moment, PATIENCE, Raw, Server};

/// The status of the answer to these bytes, and whether the connection ends with it.
async fn probe(server: &Server, bytes: &[u8]) -> (u16, String) {
    let mut raw = Raw::connect(server.address()).await;
    raw.write(bytes).await;
    raw.answer().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_be_read_in_two_ways_is_refused() {
    let server = Server::start(Db::Sqlite).await;
    for (name, request, status) in [
        (
            "plain",
            "GET /healthz HTTP/1.1\r\nHost: hearth\r\n\r\n",
            200,
        ),
        (
            "HTTP/1.0 without Host",
            "GET /healthz HTTP/1.0\r\n\r\n",
            200,
        ),
        ("no Host", "GET /healthz HTTP/1.1\r\n\r\n", 400),
        (
            "two Hosts",
            "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            400,
        ),
        (
            "the same Host twice",
            "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            400,
        ),
        (
            "a Host that is none",
            "GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n",
            400,
        ),
        (
            "a Host with a user",
            "GET /healthz HTTP/1.1\r\nHost: u@a\r\n\r\n",
            400,
        ),
        (
            "an empty Host",
            "GET /healthz HTTP/1.1\r\nHost:\r\n\r\n",
            400,
        ),
        (
            "two lengths",
            "POST /api/login HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}}",
            400,
        ),
        (
            "+2",
            "POST /api/login HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\n{}",
            400,
        ),
        (
            "no number",
            "POST /api/login HTTP/1.1\r\nHost: a\r\nContent-Length: 0x2\r\n\r\n{}",
            400,
        ),
        (
            "xchunked",
            "POST /api/login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (
            "chunked, identity",
            "POST /api/login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            400,
        ),
        (
            "a space before the colon",
            "GET /healthz HTTP/1.1\r\nHost : a\r\n\r\n",
            400,
        ),
        (
            "a folded header",
            "GET /healthz HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
            400,
        ),
        (
            "NUL in a header",
            "GET /healthz HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
            400,
        ),
        (
            "HTTP/2.0 in words",
            "GET /healthz HTTP/2.0\r\nHost: a\r\n\r\n",
            400,
        ),
        ("no HTTP", "\x16\x03\x01\x02\r\n\r\n", 400),
        ("TRACE", "TRACE /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (
            "CONNECT",
            "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
            405,
        ),
        (
            "..",
            "GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n",
            404,
        ),
    ] {
        let (got, body) = probe(&server, request.as_bytes()).await;
        assert_eq!(got, status, "{name}: {body}");
        assert!(!body.contains("root:"), "{body}");
    }
    let headers = "X: y\r\n".repeat(101);
    let many = format!("GET /healthz HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
    assert_eq!(probe(&server, many.as_bytes()).await.0, 431);
    let long = format!(
        "GET /healthz HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
        "y".repeat(500_000)
    );
    let mut raw = Raw::connect(server.address()).await;
    // The answer may come, and the connection end, before all of it is written.
    let _ = raw.write_beside(long.as_bytes()).await;
    assert!(raw.head().await.starts_with("HTTP/1.1 431 "));
}

/// Content-Length and Transfer-Encoding: whoever reads the one or the other, no second request is found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_cannot_be_smuggled() {
    let server = Server::start(Db::Sqlite).await;
    let request = "POST /api/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\
                   Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut raw = Raw::connect(server.address()).await;
    raw.write(request.as_bytes()).await;
    let answers = raw.rest(PATIENCE).await;
    assert_eq!(
        answers.matches("HTTP/1.1 ").count(),
        1,
        "one answer, then the end: {answers}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_in_a_row_are_answered_in_order() {
    let server = Server::start(Db::Sqlite).await;
    let mut raw = Raw::connect(server.address()).await;
    let requests: String = (0..1_000)
        .map(|number| match number % 2 {
            0 => "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            _ => format!("GET /api/info?number{number} HTTP/1.1\r\nHost: a\r\n\r\n"),
        })
        .collect();
    raw.write_beside(requests.as_bytes()).await.unwrap();
    for number in 0..1_000 {
        let (status, body) = raw.answer().await;
        match number % 2 {
            0 => assert_eq!(status, 200, "{body}"),
            _ => assert!(
                status == 400 && body.contains(&format!("\"number{number}\"")),
                "{number}: {body}"
            ),
        }
    }
}

/// Side by side, for it takes ten seconds: half a head, byte by byte, and nothing at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_heads_are_cut_off() {
    let server = Server::start(Db::Sqlite).await;
    let started = Moment::now();
    let half = async {
        let mut raw = Raw::connect(server.address()).await;
        raw.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n").await;
        raw.rest(PATIENCE).await
    };
    let drip = async {
        use tokio::io::AsyncWriteExt;
        let mut raw = Raw::connect(server.address()).await;
        raw.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: ").await;
        while started.quiet_elapsed() < PATIENCE {
            if raw.stream.write_all(b"x").await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("a head that goes on for ever is never cut off");
    };
    let (half, ()) = tokio::join!(half, drip);
    assert!(!half.contains(" 200 "), "{half}");
    started.assert_took(10..20);
}

//! HTTP byte by byte: what could be read in two ways is refused, and slow requests are cut off.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

use hearth::limits::HEADER_DEADLINE;

use crate::support::{Db, Moment, Nginx, PATIENCE, Raw, Server};

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

/// Side by side, for it takes ten seconds: half a head, byte by byte, and nothing at all, on new connections and on
/// such as were used before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_heads_are_cut_off() {
    let server = Server::start(Db::Sqlite).await;
    let half = "GET /healthz HTTP/1.1\r\nHost: a\r\n";
    let get = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    let started = Moment::now();
    let beginnings = [
        "".to_owned(),
        half.to_owned(),
        // The half head comes with the request before, or after its answer.
        format!("{get}{half}"),
        format!("{get}|{half}"),
    ];
    let halves = beginnings.map(async |beginning| {
        let mut raw = Raw::connect(server.address()).await;
        let served = beginning.contains(get);
        for (number, text) in beginning.split('|').enumerate() {
            if number > 0 {
                assert_eq!(raw.answer().await.0, 200);
            }
            raw.write(text.as_bytes()).await;
        }
        let rest = raw.rest(PATIENCE).await;
        let answers = rest.matches(" 200 ").count();
        assert_eq!(
            answers,
            usize::from(served && !beginning.contains('|')),
            "{rest}"
        );
    });
    let drip = async {
        use tokio::io::AsyncWriteExt;
        let mut raw = Raw::connect(server.address()).await;
        raw.write(get.as_bytes()).await;
        assert_eq!(raw.answer().await.0, 200);
        raw.write(format!("{half}X: ").as_bytes()).await;
        while started.quiet_elapsed() < PATIENCE {
            if raw.stream.write_all(b"x").await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("a head that goes on for ever is never cut off");
    };
    tokio::join!(join_all(halves), drip);
    started.assert_took(10..20);
}

/// Side by side, for they rest longer than a head may take. 75 s are waited for in `http::pace::tests`, by a clock
/// that can be moved.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_connection_rests() {
    let mut server = Server::start(Db::Sqlite).await;
    let kinds = [
        "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
        "HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /api/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
        "POST /api/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
         2\r\n{}\r\n0\r\n\r\n",
    ];
    // Alone, and with one behind that came before the answer.
    let requests = kinds
        .iter()
        .flat_map(|kind| [vec![*kind], vec![*kind, kinds[0]]]);
    let resting = requests.map(async |requests: Vec<&str>| {
        let mut raw = Raw::connect(server.address()).await;
        for round in 0..2 {
            raw.write(requests.concat().as_bytes()).await;
            for request in &requests {
                let status = if request.starts_with("HEAD") {
                    raw.head().await[9..12].parse().unwrap()
                } else {
                    raw.answer().await.0
                };
                let expected = if request.starts_with("POST") {
                    400
                } else {
                    200
                };
                assert_eq!(status, expected, "{round}: {request}");
            }
            if round == 0 {
                tokio::time::sleep(HEADER_DEADLINE + Duration::from_secs(1)).await;
            }
        }
        raw
    });
    let mut resting = join_all(resting).await;

    // They don't keep the server from its end.
    assert!(server.stop().await.success());
    for raw in &mut resting {
        assert_eq!(raw.rest(PATIENCE).await, "");
    }
    assert!(
        !server.log().contains("connections are cut"),
        "{}",
        server.log()
    );
}

/// A proxy asks over a connection that it has kept, and passes on whatever it is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_keeps_its_connection() {
    let server = Server::start(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    // Between the two, to count the connections that nginx makes.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nginx = Nginx::start(listener.local_addr().unwrap()).await;
    let made = Arc::new(AtomicUsize::new(0));
    let (address, counted) = (server.address(), made.clone());
    let relay = tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            let mut far = TcpStream::connect(address).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut near, &mut far).await });
        }
    });
    let mut client = nginx.connect().await;
    for round in 0..4 {
        let body = format!("{{\"content\":\"{round}\"}}");
        let head = format!(
            "POST /api/chat/rooms/{room}/messages HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            ada.token,
            body.len()
        );
        client.write(format!("{head}{body}").as_bytes()).await;
        let (status, answer) = client.answer().await;
        assert_eq!(status, 201, "{round}: {answer}");
        if round == 1 {
            tokio::time::sleep(HEADER_DEADLINE + Duration::from_secs(1)).await;
        }
    }
    assert_eq!(made.load(Ordering::SeqCst), 1, "one connection, kept");
    relay.abort();
}

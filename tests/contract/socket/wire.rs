//! RFC 6455: violations close with their code, valid frames are served. Written byte by byte, for no client library sends
//! such frames.

use std::time::Duration;

use serde_json::json;

use crate::support::{Account, Db, PATIENCE, Raw, Server, masked, resident_kib, timeout};

async fn started() -> (Server, Account) {
    let server = Server::start(Db::Sqlite).await;
    let ada = server.register("ada").await;
    (server, ada)
}

const PING: &str = r#"{"type":"ping","ref":"r"}"#;

/// A socket that has read its `ready`.
async fn ready(server: &Server, account: &Account) -> Raw {
    let mut raw = Raw::socket(server, account).await;
    assert_eq!(raw.json().await["type"], "ready");
    raw
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_breaks_the_websocket_closes_with_its_code() {
    let (server, ada) = started().await;
    let unmasked = |first: u8, payload: &[u8]| {
        let mut frame = vec![first, payload.len() as u8];
        frame.extend_from_slice(payload);
        frame
    };
    let long = "x".repeat(126);
    let claims = |length: u64| {
        let mut frame = vec![0x81, 0xff];
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(&[0; 4]);
        frame
    };
    let pair = |a: Vec<u8>, b: Vec<u8>| [a, b].concat();
    let table: Vec<(&str, Vec<u8>, u16)> = vec![
        ("binary", masked(0x82, PING.as_bytes()), 1003),
        ("empty binary", masked(0x82, b""), 1003),
        ("unmasked", unmasked(0x81, PING.as_bytes()), 1002),
        ("unmasked ping", unmasked(0x89, b""), 1002),
        ("RSV1", masked(0xc1, PING.as_bytes()), 1002),
        ("RSV2", masked(0xa1, PING.as_bytes()), 1002),
        ("RSV3 on a ping", masked(0x99, b""), 1002),
        ("opcode 3", masked(0x83, b""), 1002),
        ("opcode 15", masked(0x8f, b""), 1002),
        ("fragmented ping", masked(0x09, b""), 1002),
        ("ping of 126 bytes", masked(0x89, long.as_bytes()), 1002),
        ("continuation of nothing", masked(0x80, b"x"), 1002),
        (
            "a text within a text",
            pair(masked(0x01, b"{"), masked(0x81, b"}")),
            1002,
        ),
        ("half a close code", masked(0x88, &[3]), 1002),
        ("close code 999", masked(0x88, &999u16.to_be_bytes()), 1002),
        (
            "close code 1005",
            masked(0x88, &1005u16.to_be_bytes()),
            1002,
        ),
        ("not UTF-8", masked(0x81, b"{\"type\":\"\xff\"}"), 1007),
        ("a lone surrogate", masked(0x81, b"\xed\xa0\x80"), 1007),
        ("an overlong slash", masked(0x81, b"\xc0\xaf"), 1007),
        (
            "cut within a character",
            masked(0x81, b"\xf0\x9d\x84"),
            1007,
        ),
        (
            "not UTF-8 across fragments",
            pair(masked(0x01, b"\xf0\x9d"), masked(0x80, b"xx")),
            1007,
        ),
        (
            "128 KiB and a byte",
            masked(0x81, &vec![b' '; 128 * 1024 + 1]),
            1009,
        ),
        (
            "as much in fragments",
            pair(masked(0x01, &vec![b' '; 128 * 1024]), masked(0x80, b" ")),
            1009,
        ),
        ("a claim of 1 TiB", claims(1 << 40), 1009),
        ("a claim of 2^63 - 1", claims(u64::MAX >> 1), 1009),
    ];
    let before = resident_kib(server.pid());
    for (name, bytes, code) in table {
        let mut raw = ready(&server, &ada).await;
        raw.write(&bytes).await;
        assert_eq!(raw.closed().await, code, "{name}");
        assert_eq!(
            raw.next_frame(PATIENCE).await,
            None,
            "{name}: the stream ends"
        );
    }
    let grown = resident_kib(server.pid()).saturating_sub(before);
    assert!(grown < 16 * 1024, "claims cost no memory: {grown} KiB more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_keeps_to_the_rules_is_served() {
    let (server, ada) = started().await;
    let mut raw = ready(&server, &ada).await;
    let pong = json!({"type": "pong", "ref": "r"});

    let mut padded = PING.to_owned();
    padded.push_str(&" ".repeat(128 * 1024 - PING.len()));
    raw.text(&padded).await;
    assert_eq!(raw.json().await, pong, "128 KiB exactly");

    // In fragments that split a character, with a ping between them.
    let text = r#"{"type":"ping","ref":"𝄞"}"#.as_bytes();
    let cut = text.iter().position(|byte| *byte == 0xf0).unwrap() + 2;
    raw.frame(0x01, &text[..cut]).await;
    raw.frame(0x89, b"between").await;
    raw.frame(0x00, b"").await;
    raw.frame(0x80, &text[cut..]).await;
    assert_eq!(
        raw.next_frame(PATIENCE).await,
        Some((0x8a, b"between".to_vec()))
    );
    assert_eq!(raw.json().await, json!({"type": "pong", "ref": "𝄞"}));

    // A mask that isn't zero, and byte by byte.
    let mut frame = masked(0x81, PING.as_bytes());
    let mask = [0x12, 0x34, 0x56, 0x78];
    frame[2..6].copy_from_slice(&mask);
    for (index, byte) in frame[6..].iter_mut().enumerate() {
        *byte ^= mask[index % 4];
    }
    for byte in frame {
        raw.write(&[byte]).await;
    }
    assert_eq!(raw.json().await, pong);

    // Pongs that nobody asked for are no fault. Pings are answered with what they hold.
    raw.frame(0x8a, b"unasked").await;
    raw.frame(0x89, &[7; 125]).await;
    assert_eq!(raw.next_frame(PATIENCE).await, Some((0x8a, vec![7; 125])));

    // Frames that come with the upgrade request, in one packet.
    let mut early = Raw::connect(server.address()).await;
    let mut bytes = format!(
        "GET /ws?token={} HTTP/1.1\r\nHost: hearth\r\nUpgrade: WebSocket\r\nConnection: keep-alive, upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        ada.token
    )
    .into_bytes();
    bytes.extend(masked(0x81, PING.as_bytes()));
    early.write(&bytes).await;
    let head = early.head().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(
        head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        "RFC 6455's own example: {head}"
    );
    assert_eq!(early.json().await["type"], "ready");
    assert_eq!(early.json().await, pong);

    // The closing handshake: the close frame is answered, what follows it isn't read.
    raw.frame(0x88, &1000u16.to_be_bytes()).await;
    raw.text(PING).await;
    let (first, payload) = raw
        .next_frame(PATIENCE)
        .await
        .expect("an answer to the close frame");
    assert_eq!((first, &payload[..2]), (0x88, &1000u16.to_be_bytes()[..]));
    assert_eq!(raw.next_frame(PATIENCE).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_upgrade_is_refused_by_http() {
    let (server, ada) = started().await;
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
    let version = "Sec-WebSocket-Version: 13\r\n";
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (name, method, headers, status) in [
        ("no upgrade", "GET", String::new(), 400),
        (
            "no Connection",
            "GET",
            format!("Upgrade: websocket\r\n{version}{key}"),
            400,
        ),
        (
            "another protocol",
            "GET",
            format!("Upgrade: h2c\r\nConnection: Upgrade\r\n{version}{key}"),
            400,
        ),
        ("no key", "GET", format!("{upgrade}{version}"), 400),
        (
            "a short key",
            "GET",
            format!("{upgrade}{version}Sec-WebSocket-Key: eA==\r\n"),
            400,
        ),
        ("no version", "GET", format!("{upgrade}{key}"), 426),
        (
            "version 8",
            "GET",
            format!("{upgrade}{key}Sec-WebSocket-Version: 8\r\n"),
            426,
        ),
        ("POST", "POST", format!("{upgrade}{version}{key}"), 405),
        ("HEAD", "HEAD", format!("{upgrade}{version}{key}"), 405),
    ] {
        let mut raw = Raw::connect(server.address()).await;
        let path = format!("/ws?token={}", ada.token);
        let request = format!("{method} {path} HTTP/1.1\r\nHost: hearth\r\n{headers}\r\n");
        raw.write(request.as_bytes()).await;
        let head = raw.head().await;
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{name}: {head}"
        );
        if status == 426 {
            assert!(
                head.to_ascii_lowercase()
                    .contains("sec-websocket-version: 13"),
                "{head}"
            );
        }
    }
}

/// A token in no header and no frame: nothing of it may stay behind after the client is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_break_off_leave_nothing_behind() {
    let (server, ada) = started().await;
    for _ in 0..30 {
        let mut raw = ready(&server, &ada).await;
        raw.write(&masked(0x81, PING.as_bytes())[..9]).await;
        drop(raw);
    }
    let connections = async {
        loop {
            if server.metric("hub_connections").await == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, connections)
        .await
        .expect("all have ended");
}

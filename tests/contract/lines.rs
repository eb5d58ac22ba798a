//! Lines over plain TCP: the same connection as a WebSocket's, as one JSON object a line.

use nix::sys::socket::{setsockopt, sockopt::TcpMaxSeg};
use serde_json::{Value, json};
use tokio::net::TcpSocket;

use crate::support::{
    Account, Chain, Db, Incoming, Lines, Server, each_database, resident_kib, uuid,
};

const LINE_BYTES_MAX: usize = 128 * 1024;

async fn a_conversation_over_both_wires(db: Db) {
    let server = Server::with_lines(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;

    let mut lines = Lines::open(&server, &ada).await;
    let mut socket = bob.connect().await;
    assert_eq!(lines.ready["user"]["username"], "ada");
    assert_eq!(lines.ready["rooms"][0]["id"], room);
    assert_eq!(lines.ready["heartbeat_s"], socket.ready["heartbeat_s"]);

    // Both come from the beginning: the same frames bring them here.
    let join = json!({"type": "join", "room_id": room, "rev": 0});
    let (caught_up, synced) = lines.ask_through(join).await;
    assert_eq!(synced["type"], "synced", "{synced}");
    let (same, _) = socket.join_from(room, 0).await;
    assert_eq!(caught_up, same);
    assert!(!same.is_empty());

    // A message is one event, on either wire.
    let id = uuid();
    let say = json!({"type": "message", "room_id": room, "id": id, "content": "from a\nline 𝄞"});
    let (mut own, ack) = lines.ask_through(say).await;
    assert_eq!((&ack["type"], &ack["id"]), (&json!("ack"), &json!(id)));
    if own.is_empty() {
        own.push(lines.frame().await);
    }
    assert_eq!(own[0]["content"], "from a\nline 𝄞");
    assert_eq!(own, [socket.expect("message").await]);

    // Many come faster than one by one, and share writes: each is whole, on both wires.
    let mut many = String::new();
    for number in 0..100 {
        let id = uuid();
        let say =
            json!({"type": "message", "room_id": room, "id": id, "content": number.to_string()});
        many.push_str(&format!("{say}\n"));
    }
    lines.write(many.as_bytes()).await;
    let (mut here, mut there, mut acks) = (Vec::new(), Vec::new(), 0);
    while here.len() < 100 || acks < 100 {
        match lines.frame().await {
            frame if frame["type"] == "ack" => acks += 1,
            frame => here.push(frame),
        }
    }
    while there.len() < 100 {
        there.push(socket.expect("message").await);
    }
    assert_eq!(here, there);
    let contents: Vec<_> = here.iter().map(|frame| &frame["content"]).collect();
    assert!(
        (0..100)
            .map(|n| n.to_string())
            .eq(contents.iter().map(|c| c.as_str().unwrap()))
    );

    socket.say(room, "from a socket").await;
    let message = lines.expect("message").await;
    assert_eq!(message["content"], "from a socket");
    let read = json!({"type": "read", "room_id": room, "seq": message["seq"]});
    let (_, ack) = lines.ask_through(read).await;
    assert_eq!(ack["last_read_seq"], message["seq"], "{ack}");

    // A removed member is told the same way.
    let (status, _) = ada
        .delete(&format!("/api/chat/rooms/{room}/members/{}", bob.id))
        .await;
    assert_eq!(status, 204);
    assert_eq!(socket.expect("removed").await["room_id"], room);
    assert_eq!(lines.expect("member").await["role"], Value::Null);

    let other = ada.create_room("other", &[]).await;
    assert_eq!(lines.expect("added").await["room"]["id"], other);
}

each_database!(a_conversation_over_both_wires);

const PING: &str = r#"{"type":"ping","ref":"r"}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_counts_as_a_line() {
    let server = Server::with_lines(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let pong = json!({"type": "pong", "ref": "r"});
    let auth = format!(r#"{{"type":"auth","token":"{}"}}"#, ada.token);

    // Byte by byte, with empty lines, both ends of a line, and white space within.
    let mut lines = Lines::connect(&server).await;
    for byte in
        format!("\n\r\n{auth}\r\n\n{{ \"type\" : \"ping\", \"ref\": \"r\" }} \t\r\n").bytes()
    {
        lines.write(&[byte]).await;
    }
    assert_eq!(lines.frame().await["type"], "ready");
    assert_eq!(lines.frame().await, pong);

    // All at once, and the longest line there may be.
    let mut padded = PING.to_owned();
    padded.push_str(&" ".repeat(LINE_BYTES_MAX - PING.len()));
    lines
        .write(format!("{PING}\n{padded}\n{PING}\n").as_bytes())
        .await;
    for _ in 0..3 {
        assert_eq!(lines.frame().await, pong);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_breaks_the_rules_ends_with_its_code() {
    let server = Server::with_lines(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let long = [&vec![b' '; LINE_BYTES_MAX + 1][..], b"\n"].concat();
    let flood = [b"hello\n", &vec![b'x'; 4 * 1024 * 1024][..]].concat();
    let first: [(&str, &[u8], u16); 10] = [
        (
            "a bad token",
            b"{\"type\":\"auth\",\"token\":\"x\"}\n",
            4500,
        ),
        ("another frame", b"{\"type\":\"ping\"}\n", 4500),
        ("no token", b"{\"type\":\"auth\"}\n", 4500),
        ("no JSON", b"hello\n", 4500),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: hearth\r\n\r\n", 4500),
        ("no JSON, and much more", &flood, 4500),
        ("not UTF-8", b"\xff\n", 1007),
        ("cut within a character", b"\"\xf0\x9d\x84\"\n", 1007),
        ("128 KiB and a byte", &long, 1009),
        ("as much without an end", &long[..LINE_BYTES_MAX + 1], 1009),
    ];
    for (name, bytes, code) in first {
        let mut lines = Lines::connect(&server).await;
        lines.write(bytes).await;
        assert_eq!(lines.closed().await, code, "{name}");
        // What isn't about the token ends an authenticated connection alike.
        if code < 4000 {
            let mut lines = Lines::open(&server, &ada).await;
            lines.write(bytes).await;
            assert_eq!(lines.closed().await, code, "{name}");
        }
    }

    let mut lines = Lines::open(&server, &ada).await;
    for bad in ["[]\n", "{\"type\":\"dance\",\"ref\":1}\n"] {
        lines.write(bad.as_bytes()).await;
        let error = lines.frame().await;
        assert_eq!(
            (&error["type"], &error["code"]),
            (&json!("error"), &json!("invalid"))
        );
    }
    assert!(lines.fence().await.is_empty(), "two are forgiven");
    lines.write(b" \n").await;
    assert_eq!(lines.frame().await["code"], "invalid");
    let closed = lines.next().await;
    assert_eq!(closed, Incoming::Closed(4504, "protocol violated".into()));
}

/// One bound for a user's connections, whatever they speak.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_has_at_most_twenty_sockets_of_both_kinds() {
    let settings = [
        ("HEARTH_LISTEN_TCP", "127.0.0.1:0"),
        ("HEARTH_RATE_LIMITS", "on"),
    ];
    let server = Server::start_with(Db::Sqlite, &settings).await;
    let ada = server.register("ada").await;
    let (mut lines, mut sockets) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        lines.push(Lines::open(&server, &ada).await);
        sockets.push(ada.connect().await);
    }
    let mut one_more = Lines::connect(&server).await;
    one_more
        .send(json!({"type": "auth", "token": ada.token}))
        .await;
    assert_eq!(one_more.closed().await, 4503);
    assert_eq!(ada.open("/ws").await.closed().await, 4503);
}

/// What the server may grow by under a flood: allocators and buffers, not the flood.
const ROOM_KIB: u64 = 8 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_cost_no_memory() {
    let server = Server::with_lines(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let mut lines = Lines::open(&server, &ada).await;
    let before = resident_kib(server.pid());
    let grown = || resident_kib(server.pid()).saturating_sub(before);

    for _ in 0..64 {
        lines.write(&b"\r\n\n".repeat(20_000)).await;
    }
    assert!(lines.fence().await.is_empty(), "empty lines are nothing");
    assert!(grown() < ROOM_KIB, "{} KiB more", grown());

    // Of a line that doesn't end nothing is kept beyond its bound, and it ends the connection.
    let endless = vec![b'x'; 1024 * 1024];
    let mut sent = 0;
    while sent < 64 && lines.try_write(&endless).await.is_ok() {
        sent += 1;
    }
    assert!(grown() < ROOM_KIB, "{} KiB more", grown());

    // Long lines leave nothing behind in connections that live on.
    let mut idle = Vec::new();
    for _ in 0..100 {
        let mut lines = Lines::open(&server, &ada).await;
        lines
            .write(&[PING.as_bytes(), &vec![b' '; LINE_BYTES_MAX - 100], b"\n"].concat())
            .await;
        assert_eq!(lines.frame().await["type"], "pong");
        idle.push(lines);
    }
    assert!(
        grown() < ROOM_KIB,
        "{} KiB more for {} idle ones",
        grown(),
        idle.len()
    );
}

/// Messages that fill a mailbox and small kernel buffers many times over.
const LENGTH: usize = 5_000;

/// A connection whose kernel buffers are small, so that the server soon sees that nobody reads.
async fn narrow(server: &Server, account: &Account) -> Lines {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    setsockopt(&socket, TcpMaxSeg, &536).unwrap();
    let stream = socket.connect(server.tcp_address()).await.unwrap();
    Lines::on(stream).login(account).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stops_reading_lags_and_loses_nothing() {
    let server = Server::with_lines(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let mut slow = narrow(&server, &bob).await;
    let join = |rev: u64| json!({"type": "join", "room_id": room, "rev": rev, "ref": "join"});
    slow.send(join(0)).await;
    let mut chain = Chain(0);
    while chain.0 < 3 {
        chain.take(&slow.frame().await);
    }
    chain.take(&slow.expect("synced").await);

    let mut writer = ada.connect().await;
    let text = "x".repeat(LENGTH);
    let mut said = 0;
    while server.metric("hub_lagged_total").await == 0 {
        writer.say(room, &text).await;
        said += 1;
    }
    for _ in 0..10 {
        writer.say(room, &text).await;
        said += 1;
    }

    // All that had found its place, in order; where it stopped; and from there the rest.
    let lagged = loop {
        let frame = slow.frame().await;
        if frame["type"] == "lagged" {
            break frame;
        }
        chain.take(&frame);
    };
    assert_eq!(
        lagged,
        json!({"type": "lagged", "room_id": room, "rev": chain.0})
    );
    assert!(chain.0 < 3 + said);
    slow.send(join(chain.0)).await;
    while chain.0 < 3 + said {
        chain.take(&slow.frame().await);
    }
    let synced = slow.frame().await;
    assert_eq!(
        (&synced["type"], &synced["last_seq"]),
        (&json!("synced"), &json!(said))
    );
    writer.say(room, "and on").await;
    chain.take(&slow.frame().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_is_told_when_the_server_stops() {
    let mut server = Server::with_lines(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let idle = Lines::open(&server, &ada).await;
    let mut live = Lines::open(&server, &ada).await;
    live.send(json!({"type": "join", "room_id": room})).await;
    live.expect("synced").await;
    let nameless = Lines::connect(&server).await;
    let tcp = server.tcp_address();

    let (status, ()) = tokio::join!(server.stop(), async {
        for mut lines in [idle, live, nameless] {
            let last = lines.frame().await;
            assert_eq!(last["type"], "going_away", "{last}");
            assert!(
                last["reconnect_after_ms"].as_u64().unwrap() <= 5_000,
                "{last}"
            );
            let closed = lines.next().await;
            assert_eq!(closed, Incoming::Closed(4000, "going away".into()));
        }
    });
    assert_eq!(status.code(), Some(0), "{status}\n{}", server.log());
    assert!(!server.log().contains("ERROR"), "{}", server.log());
    assert!(
        tokio::net::TcpStream::connect(tcp).await.is_err(),
        "nobody listens any more"
    );
}

/// A script says all it has to say, and reads what comes of it at its own pace, to the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_said_all_is_still_answered() {
    let server = Server::with_lines(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let mut writer = ada.connect().await;
    let text = "x".repeat(LENGTH);
    for _ in 0..100 {
        writer.say(room, &text).await;
    }
    let mut script = narrow(&server, &ada).await;
    let join = json!({"type": "join", "room_id": room, "rev": 0, "ref": "join"});
    // The last line needs no end.
    script.write(join.to_string().as_bytes()).await;
    script.end().await;
    let mut chain = Chain(0);
    while chain.0 < 102 {
        chain.take(&script.frame().await);
    }
    assert_eq!(script.frame().await["type"], "synced");
    assert_eq!(
        script.next().await,
        Incoming::Broken,
        "nothing is left to say"
    );
}

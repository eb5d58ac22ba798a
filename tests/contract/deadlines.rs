//! Deadlines of a minute, all waited for at once in one test: the heartbeat (PROTOCOL.md section 2.5), the time to
//! authenticate, and the end of a token's life (section 2.4), over both kinds of socket.

use std::{pin::pin, time::Duration};

use futures_util::future::join_all;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Db, Incoming, Lines, Moment, Raw, Server, timeout};

/// Beyond the longest deadline here.
const LONG: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadlines_are_kept() {
    tokio::join!(
        who_says_nothing_is_pinged_and_then_closed(),
        a_socket_without_a_token_is_closed_after_ten_seconds(),
        a_socket_outlives_its_token_by_at_most_a_minute(),
        a_renewed_socket_outlives_all_of_its_tokens(),
        lines_have_the_same_deadlines(),
    );
}

async fn who_says_nothing_is_pinged_and_then_closed() {
    let server = Server::start(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let started = Moment::now();
    let mut silent = Raw::socket(&server, &ada).await;
    assert_eq!(silent.json().await["type"], "ready");

    // Answers pings, as every client library does while it is read from, and says nothing else.
    let mut ponging = ada.connect().await;
    let living = tokio::spawn(async move {
        use futures_util::StreamExt;
        let mut pings = 0;
        let mut over = pin!(tokio::time::sleep(Duration::from_secs(64)));
        loop {
            tokio::select! {
                _ = over.as_mut() => break,
                message = ponging.wire.next() => match message {
                    Some(Ok(Message::Ping(_))) => pings += 1,
                    other => panic!("the connection lives: {other:?}"),
                },
            }
        }
        (ponging, pings)
    });
    // Speaks now and then, so that no ping is due.
    let mut speaking = ada.connect().await;
    let spoke = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_secs(20));
        for _ in 0..4 {
            ticks.tick().await;
            assert!(speaking.fence().await.is_empty());
        }
    });

    let (first, payload) = silent.next_frame(LONG).await.unwrap();
    assert_eq!((first, payload), (0x89, vec![]), "a WebSocket ping");
    started.assert_took(30..40);
    assert_eq!(silent.closed_within(LONG).await, 4002);
    started.assert_took(60..75);

    let (mut ponging, pings) = living.await.unwrap();
    assert!(
        pings >= 2 && started.elapsed() > Duration::from_secs(59),
        "{pings}"
    );
    assert!(ponging.fence().await.is_empty(), "who answers pings lives");
    spoke.await.unwrap();
}

async fn a_socket_without_a_token_is_closed_after_ten_seconds() {
    let server = Server::start(Db::Sqlite).await;
    let started = Moment::now();
    let mut silent = Raw::upgrade(&server, "/ws").await;
    let mut pinging = Raw::upgrade(&server, "/ws/rooms/1").await;
    let (silent, pinging) = tokio::join!(silent.closed_within(LONG), async {
        // Pings are not what is waited for.
        pinging.frame(0x89, b"").await;
        assert_eq!(pinging.next_frame(LONG).await, Some((0x8a, vec![])));
        pinging.closed_within(LONG).await
    });
    assert_eq!((silent, pinging), (4500, 4500));
    started.assert_took(10..20);
}

/// The close comes at a random time within a minute of the expiry, and until then frames are served.
async fn a_socket_outlives_its_token_by_at_most_a_minute() {
    const TTL: Duration = Duration::from_secs(12);
    let server = Server::start_with(Db::Sqlite, &[("HEARTH_ACCESS_TTL", "12s")]).await;
    let issued = Moment::now();
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let closings = join_all((0..16).map(|_| async {
        let mut socket = ada.connect().await;
        loop {
            let pong = json!({"type": "ping"});
            if socket.try_send(pong).await.is_err() {
                panic!("a close frame comes before the end");
            }
            match socket.next().await {
                Incoming::Frame(_) => tokio::time::sleep(Duration::from_millis(500)).await,
                Incoming::Closed(4004, _) => return (issued.elapsed(), issued.quiet_elapsed()),
                other => panic!("{other:?}"),
            }
        }
    }));
    let used = async {
        let mut socket = ada.connect().await;
        tokio::time::sleep(TTL + Duration::from_secs(3)).await;
        let (status, problem) = ada.get("/api/me").await;
        assert_eq!((status, &problem["code"]), (401, &json!("token_expired")));
        let closed = ada.open("/ws").await.closed().await;
        assert_eq!(closed, 4004, "an expired token opens nothing");
        // One of 60 is closed by now; whoever isn't is served.
        let frame = json!({"type": "message", "room_id": room, "id": crate::support::uuid(), "content": "late"});
        if socket.try_send(frame).await.is_ok()
            && let Incoming::Frame(ack) = socket.next().await
        {
            assert_eq!(ack["type"], "ack", "{ack}");
        }
    };
    let (closings, ()) = timeout(LONG, async { tokio::join!(closings, used) })
        .await
        .unwrap();
    let (first, _) = closings.iter().min().unwrap();
    let (last, last_quiet) = closings.iter().max().unwrap();
    assert!(*first >= TTL - Duration::from_secs(1), "{closings:?}");
    assert!(*last_quiet < TTL + Duration::from_secs(64), "{closings:?}");
    assert!(
        *last - *first > Duration::from_secs(10),
        "spread, so that not all come back at once: {closings:?}"
    );
}

/// Several lifetimes of a token on one socket, and on one connection of lines, beyond the minute that one gets
/// anyway: nothing is missed.
async fn a_renewed_socket_outlives_all_of_its_tokens() {
    let settings = [
        ("HEARTH_ACCESS_TTL", "12s"),
        ("HEARTH_LISTEN_TCP", "127.0.0.1:0"),
    ];
    let server = Server::start_with(Db::Sqlite, &settings).await;
    let mut ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let mut socket = ada.connect().await;
    socket.join(room).await;
    let mut lines = Lines::open(&server, &ada).await;
    lines
        .ask_through(json!({"type": "join", "room_id": room}))
        .await;
    let started = Moment::now();
    let (mut seqs, mut line_seqs) = (Vec::new(), Vec::new());
    while started.elapsed() < Duration::from_secs(78) {
        let body = json!({"refresh_token": ada.refresh_token});
        let (status, tokens) = ada.post("/api/refresh", body).await;
        assert_eq!(status, 200, "{tokens}");
        ada = server.account(&tokens);
        let renewal = json!({"type": "auth", "token": ada.token});
        assert_eq!(socket.ask(renewal.clone()).await["type"], "ack");
        assert_eq!(lines.ask_through(renewal).await.1["type"], "ack");
        let path = format!("/api/chat/rooms/{room}/messages");
        let (status, message) = ada.post(&path, json!({"content": "still here"})).await;
        assert_eq!(status, 201, "{message}");
        seqs.push(socket.expect("message").await["seq"].as_u64().unwrap());
        line_seqs.push(lines.expect("message").await["seq"].as_u64().unwrap());
        tokio::time::sleep(Duration::from_secs(6)).await;
    }
    let whole: Vec<u64> = (1..=seqs.len() as u64).collect();
    assert_eq!((&seqs, &line_seqs), (&whole, &whole));
    assert!(seqs.len() >= 5, "{seqs:?}");
}

async fn lines_have_the_same_deadlines() {
    let server = Server::with_lines(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let started = Moment::now();
    let nameless = Lines::connect(&server).await;
    let mut chatty = Lines::connect(&server).await;
    let silent = Lines::open(&server, &ada).await;
    let mut pinging = Lines::open(&server, &ada).await;

    tokio::join!(
        async {
            assert_eq!(
                within(nameless).await,
                Incoming::Closed(4500, "not authenticated".into())
            );
            started.assert_took(10..20);
        },
        async {
            // Empty lines are not what is waited for.
            let closed = loop {
                if chatty.try_write(b"\n").await.is_err()
                    || started.elapsed() > Duration::from_secs(9)
                {
                    break within(chatty).await;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            };
            assert_eq!(closed, Incoming::Closed(4500, "not authenticated".into()));
            started.assert_took(10..20);
        },
        async {
            // No ping comes before the end: over TCP they are the client's alone.
            assert_eq!(
                within(silent).await,
                Incoming::Closed(4002, "heartbeat missed".into())
            );
            started.assert_took(60..75);
        },
        async {
            for _ in 0..4 {
                tokio::time::sleep(Duration::from_secs(20)).await;
                assert!(pinging.fence().await.is_empty(), "who pings lives");
            }
        },
    );
}

/// What comes next, within more than the longest deadline.
async fn within(mut lines: Lines) -> Incoming {
    timeout(LONG, lines.wait())
        .await
        .expect("the deadline is kept")
}

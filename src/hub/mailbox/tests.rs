//! A mailbox before a real socket.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::{io::AsyncReadExt, net::TcpListener};

use super::*;

async fn connected() -> (Mailbox, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (Mailbox::new(server, Wire::WebSocket), client)
}

/// Waiting until all is written ends when the reader has gone.
#[tokio::test]
async fn what_waits_for_a_broken_socket_is_dropped() {
    let (mailbox, client) = connected().await;
    mailbox.writable().await;
    mailbox.answer(vec![b' '; 16 * 1024 * 1024].into());
    assert!(mailbox.backlog().bytes > 0, "the reader doesn't read");
    drop(client);
    let flushed = tokio::time::timeout(Duration::from_secs(5), mailbox.flush()).await;
    assert!(flushed.is_ok(), "it is drained for ever");
    assert_eq!(mailbox.backlog().close, Some(Close::Gone));
    assert_eq!(
        mailbox.deliver(&Bytes::from_static(b"x"), 1),
        Delivery::Closed
    );
}

/// Frames of a reader that stops are refused whole beyond the bound, and those that were taken
/// all come out, in order, when it reads again.
#[tokio::test]
async fn a_mailbox_is_bounded_and_loses_nothing_that_it_took() {
    let (mailbox, mut client) = connected().await;
    mailbox.writable().await;
    let mut taken: Vec<u32> = Vec::new();
    for number in 0..1_000_000u32 {
        let frame = Bytes::from(number.to_be_bytes().repeat(64));
        match mailbox.deliver(&frame, 1) {
            Delivery::Accepted => taken.push(number),
            Delivery::Full => break,
            Delivery::Closed => panic!("the connection is open"),
        }
        let out = mailbox.lock();
        assert!(out.live_bytes <= MAILBOX_BYTES_MAX && out.live_frames <= MAILBOX_FRAMES_MAX);
    }
    assert!(mailbox.backlog().bytes > 0, "the reader doesn't read");
    mailbox.answer(Bytes::from(u32::MAX.to_be_bytes().repeat(64)));
    taken.push(u32::MAX);
    let reader = async {
        let mut frame = [0u8; 256];
        for number in &taken {
            client.read_exact(&mut frame).await.unwrap();
            assert_eq!(frame.to_vec(), number.to_be_bytes().repeat(64));
        }
    };
    tokio::join!(reader, mailbox.flush());
    let out = mailbox.lock();
    assert_eq!(
        (out.live_bytes, out.live_frames, out.answer_bytes),
        (0, 0, 0)
    );
}

/// Also while much of what was accepted before waits: that comes first.
#[tokio::test]
async fn a_closed_mailbox_takes_nothing_but_the_last_word() {
    let (mailbox, mut client) = connected().await;
    mailbox.writable().await;
    let waiting = vec![b' '; 16 * 1024 * 1024];
    mailbox.answer(waiting.clone().into());
    assert_eq!(mailbox.close(Close::Revoked), Close::Revoked);
    assert_eq!(mailbox.close(Close::TooSlow), Close::Revoked);
    let before = mailbox.backlog().bytes;
    let late = Bytes::from_static(b"late");
    mailbox.answer(late.clone());
    assert_eq!(mailbox.deliver(&late, 1), Delivery::Closed);
    assert!(!mailbox.deliver_ephemeral(&late));
    assert_eq!(mailbox.backlog().bytes, before);
    mailbox.last_word(Bytes::from_static(b"last"));
    let mut read = Vec::new();
    let writing = async {
        mailbox.flush().await;
        drop(mailbox);
    };
    let (result, ()) = tokio::join!(client.read_to_end(&mut read), writing);
    result.unwrap();
    assert_eq!(read.len(), waiting.len() + 4);
    assert_eq!(read[waiting.len()..], *b"last");
}

/// The server stops: what is answered now is still written, and nobody waits to say more.
#[tokio::test]
async fn who_is_asked_to_leave_is_still_answered() {
    let (mailbox, mut client) = connected().await;
    mailbox.writable().await;
    mailbox.leave();
    assert_eq!(mailbox.backlog().closing(), Some(Close::GoingAway));
    mailbox.answer(vec![b' '; 16 * 1024 * 1024].into());
    let waited = tokio::time::timeout(Duration::from_secs(5), mailbox.drained()).await;
    assert!(waited.is_ok(), "nobody waits for a reader then");
    assert_eq!(client.read_u8().await.unwrap(), b' ');
    // The end of its session meanwhile closes it.
    assert_eq!(mailbox.close(Close::Revoked), Close::Revoked);
    assert_eq!(mailbox.backlog().closing(), Some(Close::Revoked));
}

/// Ephemeral frames never wait: what the socket doesn't take at once is dropped, and frames stay whole.
#[tokio::test]
async fn an_ephemeral_frame_is_written_at_once_or_not_at_all() {
    let (mailbox, mut client) = connected().await;
    mailbox.writable().await;
    assert!(mailbox.deliver_ephemeral(&Bytes::from_static(b"seen")));
    let waiting = vec![b' '; 16 * 1024 * 1024];
    mailbox.answer(waiting.clone().into());
    let before = mailbox.backlog().bytes;
    assert!(before > 0 && !mailbox.deliver_ephemeral(&Bytes::from_static(b"dropped")));
    assert_eq!(mailbox.backlog().bytes, before);
    let mut read = vec![0; 4 + waiting.len()];
    let (result, ()) = tokio::join!(client.read_exact(&mut read), mailbox.flush());
    result.unwrap();
    assert_eq!(&read[..5], b"seen ");
    mailbox.close(Close::TooSlow);
    assert!(!mailbox.deliver_ephemeral(&Bytes::from_static(b"closed")));
}

/// Changes of presence wake a connection once, and not while it rests between two frames.
#[tokio::test]
async fn changes_of_presence_wake_a_connection_once() {
    let (mailbox, _client) = connected().await;
    let woken = || mailbox.woken().now_or_never().is_some();
    for _ in 0..3 {
        mailbox.presence_changed();
    }
    assert!(woken() && !woken());
    assert!(mailbox.take_presence_news(), "there was some");
    mailbox.presence_changed();
    assert!(
        !woken() && mailbox.take_presence_news(),
        "it looks by itself"
    );
    assert!(!mailbox.take_presence_news(), "and then there was none");
    mailbox.presence_changed();
    assert!(woken());
}

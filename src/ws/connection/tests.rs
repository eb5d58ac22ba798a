//! How a connection ends.

use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
};

use super::*;

/// More than the kernel takes while nobody reads.
const BACKLOG: usize = 16 * 1024 * 1024;

/// Both kinds of socket, each with much that waits, and its client.
async fn waiting() -> [(Socket, Arc<Mailbox>, TcpStream); 2] {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut clients = Vec::new();
    let mut streams = Vec::new();
    for _ in 0..2 {
        let client = TcpStream::connect(listener.local_addr().unwrap()).await;
        clients.push(client.unwrap());
        streams.push(listener.accept().await.unwrap().0);
    }
    let sockets = [
        Socket::lines(streams.pop().unwrap()),
        Socket::websocket(streams.pop().unwrap(), Vec::new()).await,
    ];
    sockets.map(|mut socket| {
        let mailbox = socket.transport().mailbox.clone();
        mailbox.answer(vec![b' '; BACKLOG].into());
        assert!(mailbox.backlog().answer_bytes > ANSWERS_BYTES_MAX);
        (socket, mailbox, clients.pop().unwrap())
    })
}

/// The close code comes after all that waits, however much: a client in the middle of a catch-up
/// learns why the connection ends.
#[tokio::test]
async fn closing_follows_what_still_waits() {
    let (code, reason) = Close::TokenExpired.code_and_reason();
    for (socket, mailbox, mut client) in waiting().await {
        let last = match mailbox.wire() {
            Wire::WebSocket => {
                let mut last = Vec::new();
                frame::close(&mut last, code, reason);
                last
            }
            Wire::Lines => br#"{"type":"close","code":4004,"reason":"token expired"}"#
                .iter()
                .chain(b"\n")
                .copied()
                .collect(),
        };
        let reader = async {
            let mut bytes = vec![0; BACKLOG + last.len()];
            client.read_exact(&mut bytes).await.unwrap();
            drop(client);
            assert_eq!(bytes[BACKLOG..], last[..]);
        };
        let ended =
            async { tokio::join!(reader, close_socket(socket, &mailbox, Close::TokenExpired)) };
        let ended = tokio::time::timeout(5 * CLOSE_DEADLINE, ended).await;
        assert!(ended.is_ok(), "the last word never comes");
    }
}

/// A client that has sent its last line reads on, at its own pace.
#[tokio::test]
async fn closing_leaves_nothing_unsaid() {
    for (socket, mailbox, mut client) in waiting().await {
        let mut bytes = Vec::new();
        let reader = client.read_to_end(&mut bytes);
        let closing = async {
            close_socket(socket, &mailbox, Close::Gone).await;
            drop(mailbox);
        };
        let (read, ()) = tokio::join!(reader, closing);
        assert_eq!(read.unwrap(), BACKLOG);
    }
}

/// It doesn't wait for a client that cuts the connection instead of reading.
#[tokio::test]
async fn closing_ends_with_the_connection() {
    for (socket, mailbox, client) in waiting().await {
        let closing = close_socket(socket, &mailbox, Close::TooSlow);
        let cut = async {
            tokio::task::yield_now().await;
            drop(client);
        };
        let ended = tokio::time::timeout(CLOSE_DEADLINE / 2, async { tokio::join!(closing, cut) });
        assert!(ended.await.is_ok(), "it goes on after the connection's end");
    }
}

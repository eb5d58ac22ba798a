//! Readers in a process of their own: the file limit is per process, and what they cost shall not be
//! counted to those who write. The benchmark starts itself again with [`ARGUMENT`].

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    process::Stdio,
    rc::Rc,
    time::Duration,
};

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    sync::Notify,
    task::LocalSet,
};

use super::wire::{self, Socket};

const ARGUMENT: &str = "--readers-of";
/// Handshakes at the same time.
const HANDSHAKES: usize = 32;

/// The readers, seen from the benchmark.
pub struct Readers {
    control: BufReader<TcpStream>,
    _child: Child,
}

impl Readers {
    /// This many plain connections, which are open when it returns; somebody must accept them.
    pub async fn plain(address: SocketAddr, count: usize) -> Self {
        Self::start(json!({"address": address, "count": count})).await
    }

    /// A member's socket for each token, live in this room.
    pub async fn members(address: SocketAddr, room_id: u64, tokens: &[String]) -> Self {
        Self::start(json!({"address": address, "room_id": room_id, "tokens": tokens})).await
    }

    async fn start(order: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .arg(ARGUMENT)
            .arg(listener.local_addr().unwrap().to_string())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (control, _) = listener.accept().await.unwrap();
        control.set_nodelay(true).unwrap();
        let mut control = BufReader::new(control);
        let order = format!("{order}\n");
        control.write_all(order.as_bytes()).await.unwrap();
        let mut answer = String::new();
        control.read_line(&mut answer).await.unwrap();
        assert_eq!(answer, "open\n", "the readers connect");
        Self {
            control,
            _child: child,
        }
    }

    /// Waits until all readers together have read this many messages since they began.
    pub async fn delivered(&mut self, total: u64) {
        self.control.write_u64(total).await.unwrap();
        let deadline = Duration::from_secs(60);
        let answer = tokio::time::timeout(deadline, self.control.read_u64()).await;
        assert_eq!(
            answer.expect("everything is read in time").unwrap(),
            total,
            "no message comes twice"
        );
    }
}

/// To be called first in `main`: doesn't return in the process of the readers.
pub fn serve_if_asked() {
    super::raise_file_limit();
    let mut arguments = std::env::args().skip_while(|argument| argument != ARGUMENT);
    let Some(control) = arguments.nth(1) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, serve(control));
    std::process::exit(0);
}

#[derive(Default)]
struct Counter {
    total: Cell<u64>,
    target: Cell<u64>,
    reached: Notify,
}

async fn serve(control: String) {
    let control = TcpStream::connect(control).await.unwrap();
    control.set_nodelay(true).unwrap();
    let mut control = BufReader::new(control);
    let mut order = String::new();
    control.read_line(&mut order).await.unwrap();
    let order: Value = serde_json::from_str(&order).unwrap();
    let address: SocketAddr = order["address"].as_str().unwrap().parse().unwrap();
    let sockets: RefCell<Vec<Socket>> = RefCell::default();
    if let Some(count) = order["count"].as_u64() {
        for _ in 0..count {
            let socket = Socket::plain(address).await.unwrap();
            sockets.borrow_mut().push(socket);
        }
    } else {
        let join = json!({"type": "join", "room_id": order["room_id"]}).to_string();
        let tokens = order["tokens"].as_array().unwrap();
        stream::iter(tokens)
            .for_each_concurrent(HANDSHAKES, async |token| {
                let mut socket = Socket::open(address, token.as_str().unwrap())
                    .await
                    .unwrap();
                socket.wait_for("ready").await;
                socket.send(&wire::text(&join));
                socket.wait_for("synced").await;
                sockets.borrow_mut().push(socket);
            })
            .await;
    }
    let counter = Rc::new(Counter::default());
    for mut socket in sockets.into_inner() {
        let counter = counter.clone();
        tokio::task::spawn_local(async move {
            loop {
                let read = socket.read(|_, frame| {
                    if wire::is(frame, "message") {
                        counter.total.set(counter.total.get() + 1);
                    }
                });
                // The end of the writers is the end of the readers.
                if read.await.is_err() {
                    return;
                }
                if counter.total.get() >= counter.target.get() {
                    counter.reached.notify_one();
                }
            }
        });
    }
    control.write_all(b"open\n").await.unwrap();
    while let Ok(target) = control.read_u64().await {
        counter.target.set(target);
        while counter.total.get() < target {
            counter.reached.notified().await;
        }
        control.write_u64(counter.total.get()).await.unwrap();
    }
}

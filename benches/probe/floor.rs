//! The floor: a server that does nothing but write. One epoll loop reads fixed-size frames and writes each
//! to every connection of its room, one write a member. No WebSocket, no JSON, no storage, no queue, no
//! answer: what the system takes for the same deliveries.

use std::{cell::RefCell, collections::HashMap, net::SocketAddr, process::Stdio, rc::Rc};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::{
        TcpListener,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    process::{Child, Command},
};

use crate::stage::{PROBE_CORE, SERVER_CORE, pin};

/// The floor's process, on the server's core.
pub struct Floor {
    child: Child,
    pub address: SocketAddr,
}

impl Floor {
    pub async fn start() -> Self {
        pin(SERVER_CORE);
        let mut child = Command::new(std::env::current_exe().expect("this program has a file"))
            .arg("floor")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the floor starts");
        pin(PROBE_CORE);
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it is piped"))
            .read_line(&mut line)
            .await
            .expect("the floor says where it listens");
        let address = line.trim().parse().expect("an address");
        Self { child, address }
    }

    pub fn pid(&self) -> i32 {
        self.child.id().expect("the floor runs") as i32
    }
}

type Rooms = Rc<RefCell<HashMap<u32, Vec<Rc<OwnedWriteHalf>>>>>;

/// What a connection says first: its room, and the length of all that it will send, both as u32.
pub fn hello(room: u32, frame_bytes: usize) -> Vec<u8> {
    [room.to_be_bytes(), (frame_bytes as u32).to_be_bytes()].concat()
}

pub async fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    println!("{}", listener.local_addr().expect("it is bound"));
    let rooms = Rooms::default();
    loop {
        let (stream, _) = listener.accept().await.expect("there are files left");
        stream.set_nodelay(true).expect("it is a TCP socket");
        let (read, write) = stream.into_split();
        tokio::task::spawn_local(relay(read, write, rooms.clone()));
    }
}

async fn relay(mut read: OwnedReadHalf, write: OwnedWriteHalf, rooms: Rooms) {
    let (Ok(room), Ok(frame_bytes)) = (read.read_u32().await, read.read_u32().await) else {
        return;
    };
    let write = Rc::new(write);
    rooms.borrow_mut().entry(room).or_default().push(write);
    let mut frame = vec![0; frame_bytes as usize];
    while read.read_exact(&mut frame).await.is_ok() {
        for member in &rooms.borrow()[&room] {
            let written = member.try_write(&frame);
            assert_eq!(written.ok(), Some(frame.len()), "the probe reads in time");
        }
    }
}

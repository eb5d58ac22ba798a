//! A chat of socketioxide: its rooms, its broadcast and its acknowledgements, on axum. Nothing is stored.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use socketioxide::{
    SocketIo,
    extract::{AckSender, Data, SocketRef},
};

#[derive(Deserialize)]
struct Said {
    room: u32,
    content: String,
}

#[derive(Serialize)]
struct Told<'a> {
    room: u32,
    user: &'a str,
    content: &'a str,
}

async fn join(socket: SocketRef, Data(rooms): Data<Vec<u32>>, ack: AckSender) {
    socket.join(rooms.iter().map(u32::to_string).collect::<Vec<_>>());
    let _ = ack.send(&());
}

async fn message(socket: SocketRef, Data(said): Data<Said>, ack: AckSender) {
    let told = Told {
        room: said.room,
        user: socket.id.as_str(),
        content: &said.content,
    };
    // Who is slow misses the message: their queue is full.
    let _ = socket
        .within(said.room.to_string())
        .emit("message", &told)
        .await;
    let _ = ack.send(&());
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).ok_or("a port is needed")?;
    let (layer, io) = SocketIo::builder()
        .ping_timeout(Duration::from_secs(60))
        .max_buffer_size(4096)
        .build_layer();
    io.ns("/", async |socket: SocketRef| {
        socket.on("join", join);
        socket.on("message", message);
    });
    let app = axum::Router::new().layer(layer);
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    axum::serve(listener, app).await?;
    Ok(())
}

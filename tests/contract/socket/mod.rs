//! The WebSocket, by PROTOCOL.md sections 2 to 6: one file for each subject.

mod answers;
mod bad_frames;
mod catch_up;
mod catch_up_rows;
mod connections;
mod large_accounts;
mod limits;
mod membership;
mod memory;
mod positions;
mod room_sockets;
mod shutdown;
mod tokens;
mod wire;

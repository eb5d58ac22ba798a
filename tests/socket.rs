//! The socket, by PROTOCOL.md sections 2 to 6: a file for each subject.

mod answers;
mod bad_frames;
mod bounds;
mod catch_up;
mod coming_and_going;
mod connections;
mod large;
mod limits;
mod positions;
mod room_sockets;
mod rows;
mod shutdown;
mod tokens;
mod wire;

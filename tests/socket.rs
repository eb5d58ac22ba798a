//! The socket, by the rules of PROTOCOL.md section 3: a file for each subject.

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

//! Sessions: how they are refreshed, that a revoked one is refused at once on REST and on live sockets, on this node and on
//! others, and what becomes of a deleted account.

mod deletion;
mod ends;
mod guesses;
mod hang_ups;
mod refresh;
mod renewal;
mod strangers;

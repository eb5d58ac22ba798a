//! Promise 8 for log-ins: how they are refreshed, that what has ended is dead at once, on REST and on live
//! sockets, on this node and on others, and what becomes of a deleted account.

mod deletion;
mod ends;
mod guesses;
mod hang_ups;
mod races;
mod refresh;
mod renewal;
mod strangers;
mod under_way;

//! The end of a right races with its use: nothing is done with it at a later `rev`, and nothing that happens later reaches
//! whoever has lost it.

mod membership;
mod pages_under_way;
mod rights;
mod sessions;

//! Tests of a real server over real sockets and HTTP, on a real database. README.md beside this file says where a test
//! goes and what helps to write it; MUTATIONS.md says how each promise was broken once, and what its test then said.

mod contract;
mod faults;
mod model;
mod support;

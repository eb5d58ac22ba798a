//! The hyper service: the accept loop, one table of routes, bounded bodies, static files. It is thin: what a request may do is
//! decided by `chat`.
//!
//! Invariants: every request is answered within its deadline, or its connection is closed; each has one line in the log and one
//! count; neither holds a token, query string or raw path; a panic in a handler ends its request, not the server.
//!
//! The accept loop also accepts connections that speak lines over plain TCP, and hands them to `ws`: they count under the same
//! cap on connections. The metrics have a listener of their own.
//!
//! Deliberately absent: HTTP/2 and TLS (a reverse proxy's work), and any trust in what a client says about itself
//! (`X-Request-Id`; `X-Forwarded-For`, except from a trusted proxy).

mod cookie;
mod docs;
mod files;
mod handlers;
mod hosts;
mod media_type;
pub mod metrics;
mod origins;
mod pace;
mod path;
mod proxies;
mod query;
mod request;
mod response;
mod route;
mod router;
mod routes;
pub mod server;
mod service;
mod site;

pub use self::{
    hosts::Hosts, origins::Origins, proxies::Proxies, router::build_routes,
    routes::document as openapi_document, site::Site,
};

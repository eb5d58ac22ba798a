//! The hyper service: accept loop, one route table, bodies with bounds, static files. Thin: what a
//! request may do is decided by `chat`.
//!
//! Invariants: every request is answered within its deadline or its connection is closed; one line of
//! log and one count each; no token, query string or raw path in either; a handler's panic ends its
//! request, not the server.
//!
//! Its accept loop also takes in those who speak lines over plain TCP, and hands them to `ws`: they count
//! under the same cap on connections. Who reads the metrics has a listener of their own.
//!
//! Deliberately absent: HTTP/2 and TLS (a reverse proxy's work), and any trust in what a client says
//! about itself (`X-Request-Id`; `X-Forwarded-For`, unless a trusted proxy says it).

mod accounts;
pub mod docs;
mod files;
mod hosts;
mod invites;
mod media_type;
mod messages;
pub mod metrics;
mod origins;
mod pace;
mod proxies;
mod query;
mod request;
mod response;
mod rooms;
mod router;
mod search;
pub mod server;
mod service;
mod sessions;
mod site;
mod socket;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{chat::Chat, ws::Gateway};

pub use self::{hosts::Hosts, origins::Origins, proxies::Proxies};

/// What the handlers share. One per process.
pub struct Site {
    pub chat: Arc<Chat>,
    pub gateway: Gateway,
    pub origins: Origins,
    pub proxies: Proxies,
    pub hosts: Arc<Hosts>,
    /// Cancelled when the server stops.
    pub stopping: CancellationToken,
    routes: router::Router,
}

impl Site {
    pub fn new(
        chat: Arc<Chat>,
        gateway: Gateway,
        origins: Origins,
        proxies: Proxies,
        hosts: Arc<Hosts>,
        stopping: CancellationToken,
    ) -> Self {
        Self {
            chat,
            gateway,
            origins,
            proxies,
            hosts,
            stopping,
            routes: router::Router::new(),
        }
    }
}

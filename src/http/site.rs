//! What all handlers share.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{hosts::Hosts, origins::Origins, proxies::Proxies};
use crate::{chat::Chat, ws::Gateway};

/// One per process.
pub struct Site {
    pub chat: Arc<Chat>,
    pub gateway: Gateway,
    pub origins: Origins,
    pub proxies: Proxies,
    pub hosts: Arc<Hosts>,
    /// Cancelled when the server stops.
    pub stopping: CancellationToken,
}

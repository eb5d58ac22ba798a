//! What users may do: accounts, rooms, membership, messages. All rules of authority are here, and in the store those that must hold
//! inside a transaction: in its judge, and for accounts and invites in its `admin`, `users` and `invites`. REST and sockets call
//! the same functions, with plain arguments.
//!
//! A function that takes [`Checks`](crate::protocol::check::Checks) continues those that its caller began when it decoded
//! the request, so that one answer names all broken fields. A required field that was missing is `None` there, and already noted.
//! A function that charges a limit by user does so before it ends the checks: broken requests count, too.
//!
//! Invariants: for a user who isn't a member of a private room, the answer is the same as if the room didn't exist; what is
//! read for a member is answered only if they are still a member after it was read.

mod accounts;
mod admin;
mod deletion;
mod guesses;
mod invites;
mod limiter;
mod members;
mod mentions;
mod messages;
mod passwords;
mod pending_jobs;
mod reads;
mod refresh;
mod refusals;
mod revocations;
mod rooms;
mod search;
mod session_cache;
mod sessions;

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use dashmap::DashSet;
use tokio::sync::{Mutex, Semaphore};
use url::Url;

use self::{
    guesses::{Guesses, Network},
    limiter::Limiter,
    reads::Reads,
    session_cache::SessionCache,
};
use crate::{
    auth::{passwords::Passwords, tokens::Tokens},
    limits::*,
    protocol::{
        SessionId, Time, UserId,
        error::Refusal,
        rest::{List, Registration, User},
    },
    search::Search as Index,
    store::Store,
};

pub use self::{
    accounts::NewAccount,
    invites::InviteRequest,
    limiter::RateLimits,
    messages::{Sent, Updated},
    reads::Turn,
    refresh::RefreshRefused,
    revocations::RevocationCursor,
    rooms::{MembershipFilter, RoomRequest, RoomSettings},
    search::Search,
    sessions::{Granted, TokenDelivery},
};

/// Who asks: the user and the session that a valid access token names.
#[derive(Clone, Debug)]
pub struct Identity {
    pub user: Arc<User>,
    pub session_id: SessionId,
    /// When the access token expires.
    pub expires_at: Time,
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub struct Device<'a> {
    pub user_agent: &'a str,
    pub address: IpAddr,
}

/// One page of a list: how many items at most, and the id of the last item of the previous page.
#[derive(Clone, Copy, Debug)]
pub struct PageOf {
    pub after: u64,
    pub limit: usize,
}

/// What a request that creates something leads to; it may be sent again.
#[derive(Debug)]
pub enum Made<T> {
    New(T),
    /// It existed before.
    Existing(T),
}

impl<T> Made<T> {
    fn of(thing: T, is_new: bool) -> Self {
        if is_new {
            Self::New(thing)
        } else {
            Self::Existing(thing)
        }
    }
}

/// How people get accounts.
pub struct Entrance {
    pub registration: Registration,
    /// The URL under which people reach this server, for links.
    pub public_url: Option<Url>,
}

/// What is stored, and what finds it.
pub struct Stored {
    pub store: Store,
    pub search: Index,
    /// The number of the store's database connections that read.
    pub pool: usize,
}

/// Everything that users may do. One per process, shared.
pub struct Chat {
    store: Store,
    search: Index,
    passwords: Passwords,
    tokens: Tokens,
    refresh_ttl: Duration,
    entrance: Entrance,
    sessions: SessionCache,
    guesses: Guesses,
    sends: Limiter,
    changes: Limiter,
    reads: Reads,
    searches: Limiter,
    /// By user, and by each session that has ended.
    refreshes: Limiter<(UserId, Option<SessionId>)>,
    /// Lookups of refresh tokens.
    lookups: Limiter<Network>,
    /// When the last query began by which the database showed that it answers.
    ready: Mutex<Option<Instant>>,
    searching: Semaphore,
    /// Users who have a search running.
    searchers: DashSet<UserId>,
    sockets: Limiter,
    rate_limits: RateLimits,
}

impl Chat {
    pub fn new(
        stored: Stored,
        passwords: Passwords,
        tokens: Tokens,
        refresh_ttl: Duration,
        entrance: Entrance,
        rate_limits: RateLimits,
    ) -> Self {
        let second = Duration::from_secs(1);
        let minute = Duration::from_secs(60);
        Self {
            store: stored.store,
            search: stored.search,
            passwords,
            tokens,
            refresh_ttl,
            entrance,
            sessions: SessionCache::new(),
            guesses: Guesses::new(rate_limits),
            sends: Limiter::new(second / SENDS_PER_SECOND, SENDS_BURST, rate_limits),
            changes: Limiter::new(second / CHANGES_PER_SECOND, CHANGES_BURST, rate_limits),
            reads: Reads::new(stored.pool, rate_limits),
            searching: Semaphore::new(SEARCHES_AT_ONCE),
            searchers: DashSet::new(),
            searches: Limiter::new(second / SEARCHES_PER_SECOND, SEARCHES_BURST, rate_limits),
            refreshes: Limiter::new(REFRESH_INTERVAL, REFRESHES_BURST, rate_limits),
            lookups: Limiter::new(NETWORK_REFRESH_INTERVAL, NETWORK_REFRESHES, rate_limits),
            ready: Mutex::new(None),
            sockets: Limiter::new(minute / SOCKETS_PER_MINUTE, SOCKETS_BURST, rate_limits),
            rate_limits,
        }
    }

    /// How long a session lasts that isn't refreshed.
    pub fn refresh_ttl(&self) -> Duration {
        self.refresh_ttl
    }

    /// The log's epoch.
    pub fn epoch(&self) -> Arc<str> {
        self.store.epoch()
    }

    /// Whether the database answers. Only one caller at a time queries it; those who wait meanwhile share the answer to a
    /// query that began after they called.
    pub async fn ready(&self) -> Result<(), Refusal> {
        let asked = Instant::now();
        let mut ready = self.ready.lock().await;
        if ready.is_some_and(|begun| begun >= asked) {
            return Ok(());
        }
        let begun = Instant::now();
        self.store.ping().await?;
        *ready = Some(begun);
        Ok(())
    }

    /// How many sockets a user may have open at once.
    pub fn connections_max(&self) -> usize {
        match self.rate_limits {
            RateLimits::Enforced => CONNECTIONS_PER_USER_MAX,
            RateLimits::Lifted => usize::MAX,
        }
    }

    /// Charges a new socket to the user's limit.
    pub fn charge_socket(&self, who: &Identity) -> Result<(), Refusal> {
        self.sockets.charge(who.user.id)
    }

    /// Charges a read of `rows` rows to the asker, and waits for one of their turns.
    pub async fn reading(&self, who: &Identity, rows: usize) -> Result<Turn, Refusal> {
        self.pay(who, rows).await?;
        self.turn(who).await
    }

    /// Charges a read of `rows` rows to the asker.
    pub async fn pay(&self, who: &Identity, rows: usize) -> Result<(), Refusal> {
        self.reads.pay(who.user.id, rows).await
    }

    /// Waits for one of the asker's turns. Hold it while the database works, and not while the client is waited for.
    pub async fn turn(&self, who: &Identity) -> Result<Turn, Refusal> {
        self.reads.turn(who.user.id).await
    }

    /// Forgets the limits of users who have been inactive, and sessions that ended long ago. Call it every [`PRUNE_INTERVAL`].
    pub async fn prune(&self) {
        self.prune_sessions().await;
        self.guesses.prune();
        self.sends.prune();
        self.changes.prune();
        self.reads.prune();
        self.searches.prune();
        self.refreshes.prune();
        self.lookups.prune();
        self.sockets.prune();
    }
}

/// Cuts `items` to the page and adds the cursor of the next one. `items` holds one more than the page if there is one.
fn page<T>(mut items: Vec<T>, limit: usize, id: impl Fn(&T) -> u64) -> List<T> {
    let more = items.len() > limit;
    items.truncate(limit);
    let last = items.last().filter(|_| more);
    List {
        next: last.map(|item| id(item).to_string()),
        rev: None,
        items,
    }
}

//! What users may do: accounts, rooms, membership, messages. All rules of authority live here and in
//! the log's own judgement, called alike by REST and by the socket.
//!
//! Invariants: who isn't a member of a private room hears what he would hear if it didn't exist; what
//! is read for a member is given to him only if he is still one after it was read.

mod accounts;
mod admin;
mod chores;
mod deletion;
mod guesses;
mod invites;
mod limiter;
mod mentions;
mod messages;
mod reads;
mod rooms;
mod search;
mod sessions;

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use dashmap::DashSet;
use tokio::sync::{Mutex, Semaphore};
use uuid::Uuid;

use self::{
    guesses::{Guesses, Network},
    limiter::Limiter,
    reads::Reads,
    sessions::Sessions,
};
use crate::{
    auth::{passwords::Passwords, tokens::Tokens},
    limits::*,
    protocol::{
        Rev, Seq, SessionId, Time, UserId,
        error::{Code, Refusal},
        rest::User,
    },
    store::{Error, Outcome, Refused, Store},
};

pub use self::{
    invites::Entrance,
    messages::Posted,
    reads::Turn,
    rooms::Scope,
    search::Search,
    sessions::{Granted, Refresh, Watched},
};

/// Who asks: the user and the log-in that a valid access token named.
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

/// A stored message's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    pub id: Uuid,
    pub seq: Seq,
    pub rev: Rev,
    pub created_at: Time,
    pub duplicate: bool,
}

/// A message's row after a change that was asked for, whether it was needed or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Updated {
    pub seq: Seq,
    pub rev: Rev,
}

/// One page of a list: how many items at most, and the id of the last one of the page before.
#[derive(Clone, Copy, Debug)]
pub struct PageOf {
    pub after: u64,
    pub limit: usize,
}

/// Everything that users may do. One per process, shared.
pub struct Chat {
    store: Store,
    passwords: Passwords,
    tokens: Tokens,
    refresh_ttl: Duration,
    entrance: Entrance,
    sessions: Sessions,
    guesses: Guesses,
    sends: Limiter,
    changes: Limiter,
    reads: Reads,
    searches: Limiter,
    /// By user, and by each log-in that was ended.
    refreshes: Limiter<(UserId, Option<SessionId>)>,
    /// Lookups of refresh tokens.
    lookups: Limiter<Network>,
    /// When the database was last asked whether it answers, and did.
    ready: Mutex<Option<Instant>>,
    searching: Semaphore,
    /// Users whose search runs.
    searchers: DashSet<UserId>,
    sockets: Limiter,
    rate_limits: bool,
}

impl Chat {
    /// `pool`: the store's connections that read. `rate_limits: false` lifts the limits by user, for measurements.
    pub fn new(
        store: Store,
        pool: usize,
        passwords: Passwords,
        tokens: Tokens,
        refresh_ttl: Duration,
        entrance: Entrance,
        rate_limits: bool,
    ) -> Self {
        let second = Duration::from_secs(1);
        let minute = Duration::from_secs(60);
        Self {
            store,
            passwords,
            tokens,
            refresh_ttl,
            entrance,
            sessions: Sessions::new(),
            guesses: Guesses::new(rate_limits),
            sends: Limiter::new(second / SENDS_PER_SECOND, SENDS_BURST, rate_limits),
            changes: Limiter::new(second / CHANGES_PER_SECOND, CHANGES_BURST, rate_limits),
            reads: Reads::new(pool, rate_limits),
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

    /// How long a log-in lives that isn't refreshed.
    pub fn refresh_ttl(&self) -> Duration {
        self.refresh_ttl
    }

    /// The log's epoch.
    pub fn epoch(&self) -> Arc<str> {
        self.store.epoch()
    }

    /// Whether the database answers. One caller at a time asks it, and those who wait meanwhile share the answer to a query that
    /// began after they called.
    pub async fn ready(&self) -> Result<(), Refusal> {
        let asked = Instant::now();
        let mut ready = self.ready.lock().await;
        if ready.is_some_and(|begun| begun >= asked) {
            return Ok(());
        }
        let begun = Instant::now();
        self.store.ping().await.map_err(refuse)?;
        *ready = Some(begun);
        Ok(())
    }

    /// Sockets that a user may have open at once.
    pub fn connections_max(&self) -> usize {
        if self.rate_limits {
            CONNECTIONS_PER_USER_MAX
        } else {
            usize::MAX
        }
    }

    /// Charges a new socket to the user's limit.
    pub fn charge_socket(&self, who: &Identity) -> Result<(), Refusal> {
        self.sockets.charge(who.user.id)
    }

    /// Forgets the limits of users who have been quiet, and log-ins that have long ended: to be called every
    /// [`PRUNE_INTERVAL`].
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

/// What the asker hears when the store gave no answer; the log is told the cause, unless the store did.
pub fn refuse(error: Error) -> Refusal {
    match error {
        _ if error.is_retryable() => {
            error.tell();
            Refusal::unavailable()
        }
        Error::Taken(field) => {
            let mut refusal =
                Refusal::invalid_field(field, "taken", "somebody else has this one already");
            refusal.code = Code::Taken;
            refusal.message = "Somebody else has this one already.".into();
            refusal
        }
        _ => {
            tracing::error!(%error, "the store answered what it never should");
            Refusal::internal()
        }
    }
}

/// What the asker hears of the log's judgement.
fn judged(refused: Refused) -> Refusal {
    match refused {
        Refused::NoRoom | Refused::NoSuchMember | Refused::NoMessage => Refusal::not_found(),
        Refused::NotMember => not_member(),
        Refused::NotOwner => Refusal::forbidden("Only the room's owner may do this."),
        Refused::NotAdmin => Refusal::forbidden("Only the room's owner and admins may do this."),
        Refused::NotAuthor => Refusal::forbidden("This is somebody else's message."),
        Refused::OwnerStays => Refusal::forbidden(
            "The room's owner can't be removed; he hands the room over by making somebody else its owner.",
        ),
        Refused::NoHeir => {
            Refusal::forbidden("The owner leaves only when there is an admin, who becomes owner.")
        }
        Refused::Archived => Refusal::forbidden("The room is archived."),
        Refused::Direct => Refusal::forbidden("This can't be done in a direct room."),
        Refused::TooManyReactions => Refusal::invalid_field(
            "emoji",
            "range",
            format!("at most {REACTION_KINDS_MAX} kinds of reactions a message"),
        ),
        Refused::NoSuchMessage => {
            Refusal::invalid_field("reply_to", "unknown", "the room has no such message")
        }
        Refused::TooManyRooms => {
            Refusal::forbidden("Nobody may be in more than 1,000 rooms, and that is reached here.")
        }
    }
}

fn not_member() -> Refusal {
    Refusal::forbidden("Only members may do this. Join the room first.")
}

/// An outcome that doesn't belong to the change that was asked for.
fn mismatch(outcome: Outcome) -> Refusal {
    refuse(Error::Broken(format!(
        "an outcome of another change: {outcome:?}"
    )))
}

/// Cuts what was read to the page and tells the cursor of the next one; `items` holds one more than
/// the page when there is more.
fn page<T>(
    mut items: Vec<T>,
    limit: usize,
    id: impl Fn(&T) -> u64,
) -> crate::protocol::rest::List<T> {
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items
        .last()
        .filter(|_| more)
        .map(|item| id(item).to_string());
    crate::protocol::rest::List {
        items,
        next,
        rev: None,
    }
}

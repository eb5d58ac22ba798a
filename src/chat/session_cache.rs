//! What a node remembers of sessions, so that a request needn't read them: bounded in number and in age.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use quick_cache::sync::Cache;

use crate::{
    limits::{EXCHANGES_REMEMBERED, SESSION_CACHED_FOR, SESSION_GENERATIONS, SESSIONS_CACHED},
    protocol::{SessionId, UserId, rest::User},
    store::sessions::Hash,
};

/// The users of recent sessions.
///
/// Whatever ends a session of a user, or changes the user, calls [`SessionCache::forget`]: that raises the user's generation, and
/// entries of an older one are read again, including those that are being read at that moment. Users share a fixed number of
/// generations, so that nothing is kept for each user; an entry may therefore be read again for nothing.
pub struct SessionCache {
    users: Cache<SessionId, Entry>,
    generations: Box<[AtomicU64]>,
    /// Sessions that had ended when they were looked up.
    ended: Cache<SessionId, Instant>,
    /// When this node exchanged refresh tokens, by their hash.
    exchanges: Cache<Hash, Instant>,
}

#[derive(Clone)]
struct Entry {
    user: Arc<User>,
    since: Instant,
    generation: u64,
}

impl SessionCache {
    pub fn new() -> Self {
        let generations = (0..SESSION_GENERATIONS).map(|_| AtomicU64::new(0));
        Self {
            users: Cache::new(SESSIONS_CACHED),
            generations: generations.collect(),
            ended: Cache::new(SESSIONS_CACHED),
            exchanges: Cache::new(EXCHANGES_REMEMBERED),
        }
    }

    fn slot(&self, user_id: UserId) -> &AtomicU64 {
        &self.generations[user_id.0 as usize % SESSION_GENERATIONS]
    }

    /// The user's present generation. Read it before what is then [`SessionCache::put`].
    pub fn generation(&self, user_id: UserId) -> u64 {
        self.slot(user_id).load(Ordering::SeqCst)
    }

    pub fn get(&self, id: SessionId) -> Option<Arc<User>> {
        let found = self.users.get(&id)?;
        let fresh = found.generation == self.generation(found.user.id)
            && found.since.elapsed() < SESSION_CACHED_FOR;
        fresh.then_some(found.user)
    }

    pub fn put(&self, id: SessionId, user: &Arc<User>, generation: u64) {
        let entry = Entry {
            user: user.clone(),
            since: Instant::now(),
            generation,
        };
        self.users.insert(id, entry);
    }

    pub fn forget(&self, user_id: UserId) {
        self.slot(user_id).fetch_add(1, Ordering::SeqCst);
    }

    pub fn has_ended(&self, id: SessionId) -> bool {
        let seen = self.ended.get(&id);
        seen.is_some_and(|at| at.elapsed() < SESSION_CACHED_FOR)
    }

    pub fn put_ended(&self, id: SessionId) {
        self.ended.insert(id, Instant::now());
    }

    /// How long ago this node exchanged a refresh token, if it did and remembers.
    pub fn exchanged_ago(&self, token: &Hash) -> Option<Duration> {
        self.exchanges.get(token).map(|at| at.elapsed())
    }

    pub fn put_exchanged(&self, token: Hash) {
        self.exchanges.insert(token, Instant::now());
    }
}

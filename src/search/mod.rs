//! Search in messages: an index beside the database, derived from the log.
//!
//! Texts and queries are cut into the same tokens ([`tokens`]). The index ([`index`]) finds candidates; the present text of each,
//! read from the database, is cut once more and decides ([`query`]). So an index that is behind shows nothing false, and nothing
//! of a deleted message is found from the commit of the deletion on.
//!
//! The follower ([`follower`]) is the only one that writes the index. It hears of commits, and reads from the log what it didn't
//! hear. The index can be deleted at any time: it is made anew while the server serves.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use tantivy::{
    TantivyError,
    query::{BooleanQuery, Occur},
};

use self::{find::Newest, index::View, shared::Shared};
use crate::{
    limits::{SEARCH_CANDIDATES, SEARCH_DEADLINE},
    protocol::{
        RoomId, Seq, Time, UserId,
        rest::{Found, FoundRoom, Message},
    },
    store::{self, Event, Store},
};

mod find;
mod follower;
mod index;
mod near;
mod place;
mod query;
mod shared;
mod snippet;
mod tokens;

pub use self::{
    index::changes,
    place::{Cursor, Phase, Place},
    query::{Query, Unsearchable},
    shared::Progress,
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("the search index gave no answer: {0}")]
    Index(String),
}

/// What is searched for, and where.
#[derive(Clone, Debug)]
pub struct Filter {
    /// The user who searches. Only their rooms are searched.
    pub user_id: UserId,
    pub room_id: Option<RoomId>,
    pub from: Option<UserId>,
    /// Messages made at this time or later, and before that time.
    pub since: Option<Time>,
    pub until: Option<Time>,
    /// Whether messages with words that are only near the query's follow.
    pub near: bool,
}

impl Filter {
    /// Of a query and its filter: what a cursor belongs to.
    pub fn fingerprint(&self, text: &str) -> u64 {
        place::fingerprint(format!("{self:?}{text}").as_bytes())
    }
}

/// A page of results.
#[derive(Debug)]
pub struct Page {
    pub found: Vec<Found>,
    /// Where the next page begins, if there may be more.
    pub next: Option<Cursor>,
}

/// A handle on the index; clones share it.
#[derive(Clone)]
pub struct Search {
    store: Store,
    shared: Arc<Shared>,
}

/// Events on their way to the index. It exists before the store, whose commits it hears.
#[derive(Clone, Default)]
pub struct Feed(Arc<Shared>);

impl Feed {
    /// Notes committed events. Doesn't wait.
    pub fn note(&self, events: &[Event]) {
        self.0.note(events);
    }
}

impl Search {
    /// Opens or makes the index below `directory`, and follows the log from a thread of its own. Searches are answered from the
    /// start, by what there is.
    pub fn start(store: Store, feed: Feed, directory: PathBuf, purge_interval: Duration) -> Self {
        let shared = feed.0;
        follower::start(store.clone(), shared.clone(), directory, purge_interval);
        Self { store, shared }
    }

    /// Returns when all that was committed before the call is found.
    pub async fn flush(&self) {
        self.shared.flush().await;
    }

    /// Ends the follower, after it has stored what it has.
    pub async fn close(&self) {
        self.shared.stop().await;
    }

    pub fn progress(&self) -> Progress {
        self.shared.progress()
    }

    /// At most `limit` messages that match; fewer where some of the candidates don't match. The memberships are those of about
    /// the same moment, so the caller checks them again after it.
    ///
    /// `after`: the cursor of the page before, with the same query and filter, whose fingerprint is `of`.
    pub async fn find(
        &self,
        query: &Query,
        filter: &Filter,
        after: Option<Cursor>,
        of: u64,
        limit: usize,
    ) -> Result<Page, Error> {
        let Some(view) = self.shared.view() else {
            return Ok(Page {
                found: Vec::new(),
                next: None,
            });
        };
        let mut rooms: BTreeSet<RoomId> =
            BTreeSet::from_iter(self.store.all_rooms_of(filter.user_id).await?);
        if let Some(room_id) = filter.room_id {
            rooms.retain(|room| *room == room_id);
        }
        let search = Arc::new(Running {
            view,
            rooms,
            filter: filter.clone(),
            query: query.clone(),
            deadline: Instant::now() + SEARCH_DEADLINE,
        });
        let mut page = Page {
            found: Vec::new(),
            next: None,
        };
        if after.is_none_or(|cursor| cursor.phase == Phase::Exact) {
            let below = after.map(|cursor| cursor.place);
            let (found, last) = self.phase(&search, None, below, limit).await?;
            page.found = found;
            if let Some(place) = last {
                let phase = Phase::Exact;
                page.next = Some(Cursor { of, phase, place });
                return Ok(page);
            }
        }
        let left = limit - page.found.len();
        if !filter.near {
            return Ok(page);
        }
        let Some(near) = self.near(&search).await? else {
            return Ok(page);
        };
        let below = after
            .filter(|cursor| cursor.phase == Phase::Near)
            .map(|cursor| cursor.place);
        if left == 0 {
            // The page is full, and the other words begin the next one.
            let last = page.found.last().map(|found| Place::of(&found.message));
            page.next = last.map(|place| Cursor {
                of,
                phase: Phase::Exact,
                place,
            });
            return Ok(page);
        }
        let (found, last) = self.phase(&search, Some(near), below, left).await?;
        page.found.extend(found);
        page.next = last.map(|place| Cursor {
            of,
            phase: Phase::Near,
            place,
        });
        Ok(page)
    }

    /// Messages with the query's words or, with `near`, with those and not with the query's, and the place of the last candidate
    /// if there may be more.
    async fn phase(
        &self,
        search: &Arc<Running>,
        near: Option<Arc<Query>>,
        below: Option<Place>,
        limit: usize,
    ) -> Result<(Vec<Found>, Option<Place>), Error> {
        // A phrase has more candidates than matches.
        let most = if search.query.has_phrases() {
            limit.max(SEARCH_CANDIDATES)
        } else {
            limit
        };
        let other = near.clone();
        let mut places = self
            .ask(search, move |running| {
                running.candidates(other.as_deref(), below, most + 1)
            })
            .await?;
        let mut cut = places.len() > most;
        places.truncate(most);
        let at: Vec<(RoomId, Seq)> = places
            .iter()
            .map(|place| (place.room_id, place.seq))
            .collect();
        let (messages, read) = self.store.messages_at(search.filter.user_id, &at).await?;
        cut |= read < places.len();
        let mut last = read.checked_sub(1).map(|at| places[at]);
        let mut found = self
            .ask(search, move |running| {
                Ok(running.matching(messages, near.as_deref()))
            })
            .await?;
        if found.len() > limit {
            found.truncate(limit);
            last = found.last().map(|(found, _)| Place::of(&found.message));
            cut = true;
        }
        let reacted = found
            .iter_mut()
            .filter(|(_, has_reactions)| *has_reactions)
            .map(|(found, _)| &mut found.message);
        self.store.add_reactions(reacted.collect()).await?;
        let found = found.into_iter().map(|(found, _)| found).collect();
        Ok((found, last.filter(|_| cut)))
    }

    /// The query with the words that are near its own; `None`: there are none.
    async fn near(&self, search: &Arc<Running>) -> Result<Option<Arc<Query>>, Error> {
        let near = self.ask(search, Running::near).await?;
        Ok(near.map(Arc::new))
    }

    /// Runs a part of a search on a thread for blocking work. If it fails before the deadline, or panics, the follower examines the
    /// files.
    async fn ask<T: Send + 'static>(
        &self,
        search: &Arc<Running>,
        part: impl FnOnce(&Running) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let running = search.clone();
        let done = tokio::task::spawn_blocking(move || part(&running)).await;
        let answer = done.unwrap_or_else(|error| Err(Error::Index(error.to_string())));
        if answer.is_err() && Instant::now() < search.deadline {
            self.shared.suspect();
        }
        answer
    }
}

/// A search on its way.
struct Running {
    view: View,
    rooms: BTreeSet<RoomId>,
    filter: Filter,
    query: Query,
    deadline: Instant,
}

impl Running {
    /// The newest places below `below` where a message may match.
    fn candidates(
        &self,
        near: Option<&Query>,
        below: Option<Place>,
        limit: usize,
    ) -> Result<Vec<Place>, Error> {
        if self.rooms.is_empty() {
            return Ok(Vec::new());
        }
        let fields = self.view.fields;
        let mut conditions = match near {
            None => find::candidates(fields, &self.query),
            Some(near) => find::near_candidates(fields, &self.query, near),
        };
        conditions.push((Occur::Must, find::in_rooms(fields, &self.rooms)));
        if let Some(sender) = self.filter.from {
            conditions.push((Occur::Must, find::from_sender(fields, sender)));
        }
        let newest = Newest {
            limit,
            below,
            since: self.filter.since,
            until: self.filter.until,
            deadline: self.deadline,
        };
        let searcher = self.view.searcher();
        let places = searcher.search(&BooleanQuery::new(conditions), &newest);
        places.map_err(index_error)
    }

    /// The messages whose texts match, each with its snippet.
    fn matching(
        &self,
        messages: Vec<(Message, FoundRoom, bool)>,
        near: Option<&Query>,
    ) -> Vec<(Found, bool)> {
        let matching = messages
            .into_iter()
            .filter_map(|(message, room, has_reactions)| {
                let text = message.content.as_deref()?;
                let exact = self.query.hits(text);
                let hits = match near {
                    None => exact?,
                    Some(_) if exact.is_some() => return None,
                    Some(near) => near.hits(text)?,
                };
                let found = Found {
                    snippet: snippet::snippet(text, &hits),
                    message,
                    room,
                    near: near.is_some(),
                };
                Some((found, has_reactions))
            });
        matching.collect()
    }

    fn near(&self) -> Result<Option<Query>, Error> {
        let searcher = self.view.searcher();
        let mut others = Vec::new();
        for term in self.query.terms() {
            let words = match (term.edits(), term.tokens.first()) {
                (Some(edits), Some(word)) => {
                    near::words(self.view.fields, &searcher, word, edits, &self.rooms)
                        .map_err(index_error)?
                }
                _ => Vec::new(),
            };
            others.push(words);
        }
        let some = others.iter().any(|words| !words.is_empty());
        Ok(some.then(|| self.query.with_others(others)))
    }
}

fn index_error(error: TantivyError) -> Error {
    Error::Index(error.to_string())
}

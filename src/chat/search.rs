//! Search in the messages of one's rooms.

use std::time::Duration;

use dashmap::DashSet;
use tokio::time::timeout;

use super::{Chat, Identity};
use crate::{
    limits::{SEARCH_CHARS_MAX, SEARCH_WORDS_MAX, STATEMENT_DEADLINE},
    protocol::{RoomId, Time, UserId, check::Checks, error::Refusal, rest::FoundList},
    search::{self, Cursor, Filter, Query, Unsearchable},
};

/// What is searched for, and where.
#[derive(Debug)]
pub struct Search {
    pub text: String,
    pub room_id: Option<RoomId>,
    pub from: Option<UserId>,
    /// Messages made at this time or later, and before that time.
    pub since: Option<Time>,
    pub until: Option<Time>,
    /// Whether messages with words that are only near the query's follow.
    pub near: bool,
    pub after: Option<Cursor>,
    pub limit: usize,
}

impl Chat {
    /// Messages of the user's rooms that contain all of the text, the newest first; then, with `near`, those that contain words
    /// near it. A page may hold less than was asked for although others follow.
    pub async fn search(&self, who: &Identity, search: Search) -> Result<FoundList, Refusal> {
        self.searches.charge(who.user.id)?;
        let mut checks = Checks::default();
        checks.line("q", &search.text, 1, SEARCH_CHARS_MAX);
        checks.done()?;
        let query = Query::parse(&search.text).map_err(unsearchable)?;
        let filter = Filter {
            user_id: who.user.id,
            room_id: search.room_id,
            from: search.from,
            since: search.since,
            until: search.until,
            near: search.near,
        };
        let of = filter.fingerprint(&search.text);
        if search.after.is_some_and(|cursor| cursor.of != of) {
            return Err(Refusal::invalid_field(
                "cursor",
                "unknown",
                "must be the `next` of a page of the same search",
            ));
        }
        if let Some(room_id) = search.room_id
            && !self.is_member(who, room_id).await?
        {
            return Err(Refusal::not_found());
        }
        // One search at a time for each user, so that one user alone can't keep all others waiting.
        let _only = self.one_search(who)?;
        // A search may take long, and holds a thread and then a database connection: it must not hold all of them.
        let permit = timeout(STATEMENT_DEADLINE, self.searching.acquire())
            .await
            .map_err(|_| Refusal::unavailable())?;
        let page = self
            .search
            .find(&query, &filter, search.after, of, search.limit)
            .await;
        drop(permit);
        let mut page = page?;
        let mut rooms: Vec<RoomId> = page.found.iter().map(|found| found.room.id).collect();
        rooms.sort_unstable();
        rooms.dedup();
        let mine = self.store.rooms_of(who.user.id, &rooms).await?;
        page.found.retain(|found| mine.contains(&found.room.id));
        for room_id in mine {
            let here = page
                .found
                .iter_mut()
                .filter(|found| found.room.id == room_id);
            let mut messages: Vec<_> = here.map(|found| &mut found.message).collect();
            self.mark_mine(who, room_id, &mut messages).await?;
        }
        let progress = self.search.progress();
        Ok(FoundList {
            items: page.found,
            next: page.next.map(|cursor| cursor.to_string()),
            complete: progress.complete,
            progress: (!progress.complete).then_some(progress.share),
        })
    }

    fn one_search(&self, who: &Identity) -> Result<OneSearch<'_>, Refusal> {
        let user_id = who.user.id;
        if !self.searchers.insert(user_id) {
            return Err(Refusal::rate_limited(Duration::from_millis(200)));
        }
        Ok(OneSearch {
            searchers: &self.searchers,
            user_id,
        })
    }
}

/// A running search. Its user may start another when it is dropped.
struct OneSearch<'a> {
    searchers: &'a DashSet<UserId>,
    user_id: UserId,
}

impl Drop for OneSearch<'_> {
    fn drop(&mut self) {
        self.searchers.remove(&self.user_id);
    }
}

impl From<search::Error> for Refusal {
    fn from(error: search::Error) -> Self {
        match error {
            search::Error::Store(error) => error.into(),
            search::Error::Index(_) => {
                tracing::warn!(%error, "a search failed");
                Refusal::unavailable()
            }
        }
    }
}

fn unsearchable(why: Unsearchable) -> Refusal {
    match why {
        Unsearchable::NoWord => {
            Refusal::invalid_field("q", "blank", "must contain a letter or a digit")
        }
        Unsearchable::TooManyWords => {
            let rule = format!("at most {SEARCH_WORDS_MAX} words");
            Refusal::invalid_field("q", "length", rule)
        }
        Unsearchable::ShortBeginning => {
            Refusal::invalid_field("q", "length", "at least two letters before `*`")
        }
    }
}

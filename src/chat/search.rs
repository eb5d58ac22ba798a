//! Search in the messages of one's rooms.

use std::time::Duration;

use dashmap::DashSet;
use tokio::time::timeout;

use super::{Chat, Identity};
use crate::{
    limits::{SEARCH_CHARS_MAX, SEARCH_WORDS_MAX, STATEMENT_DEADLINE},
    protocol::{
        RoomId, UserId,
        check::Checks,
        error::Refusal,
        rest::{Found, List},
    },
    store::search::{Place, Query, SearchFilter, Unsearchable},
};

/// What is searched for, and where.
#[derive(Debug)]
pub struct Search {
    pub text: String,
    pub room_id: Option<RoomId>,
    pub from: Option<UserId>,
    pub after: Option<Place>,
    pub limit: usize,
}

impl Chat {
    /// Messages of the user's rooms that contain all of the text, the newest first. A page may hold less than was asked for
    /// although others follow.
    pub async fn search(&self, who: &Identity, search: Search) -> Result<List<Found>, Refusal> {
        self.searches.charge(who.user.id)?;
        let mut checks = Checks::default();
        checks.line("q", &search.text, 1, SEARCH_CHARS_MAX);
        checks.done()?;
        let query = Query::parse(&search.text).map_err(unsearchable)?;
        if let Some(room_id) = search.room_id
            && !self.is_member(who, room_id).await?
        {
            return Err(Refusal::not_found());
        }
        let scope = SearchFilter {
            user_id: who.user.id,
            room_id: search.room_id,
            from: search.from,
            after: search.after,
        };
        // One search at a time for each user, so that one user alone can't keep all others waiting.
        let _only = self.one_search(who)?;
        // A search may take long, and holds a database connection meanwhile: it must not hold all of them.
        let permit = timeout(STATEMENT_DEADLINE, self.searching.acquire())
            .await
            .map_err(|_| Refusal::unavailable())?;
        let page = self.store.search(&query, scope, search.limit).await;
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
        Ok(List {
            items: page.found,
            next: page.more_after.map(|place| place.to_string()),
            rev: None,
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

fn unsearchable(why: Unsearchable) -> Refusal {
    match why {
        Unsearchable::NoWord => {
            Refusal::invalid_field("q", "blank", "must contain a letter or a digit")
        }
        Unsearchable::TooManyWords => {
            let rule = format!("at most {SEARCH_WORDS_MAX} words");
            Refusal::invalid_field("q", "length", rule)
        }
    }
}

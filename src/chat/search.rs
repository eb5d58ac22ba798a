//! Search in the messages of one's rooms.

use tokio::time::timeout;

use super::{Chat, Identity, refuse};
use crate::{
    limits::{SEARCH_CHARS_MAX, SEARCH_WORDS_MAX, STATEMENT_DEADLINE},
    protocol::{
        RoomId, UserId,
        check::Checks,
        error::Refusal,
        rest::{Found, List},
    },
    store::search::{Place, Query, Scope, Unsearchable},
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
    /// Messages of the user's rooms in which all of it stands, the newest first. A page may hold less than it
    /// was asked for although there is more.
    pub async fn search(&self, who: &Identity, search: Search) -> Result<List<Found>, Refusal> {
        self.searches.charge(who.user.id)?;
        let mut checks = Checks::default();
        checks.line("q", &search.text, 1, SEARCH_CHARS_MAX);
        checks.done()?;
        let query = Query::parse(&search.text).map_err(unsearchable)?;
        if let Some(room_id) = search.room_id
            && self.standings(who, &[room_id]).await?.is_empty()
        {
            return Err(Refusal::not_found());
        }
        let scope = Scope {
            user_id: who.user.id,
            room_id: search.room_id,
            from: search.from,
            after: search.after,
        };
        // A search may be long, and takes a connection meanwhile: those of others are not to be all taken.
        let turn = timeout(STATEMENT_DEADLINE, self.searching.acquire()).await;
        let turn = turn.map_err(|_| Refusal::unavailable())?;
        let page = self.store.search(&query, scope, search.limit).await;
        drop(turn);
        let mut page = page.map_err(refuse)?;
        let mut rooms: Vec<RoomId> = page.found.iter().map(|found| found.room.id).collect();
        rooms.sort_unstable();
        rooms.dedup();
        let mine = self.standings(who, &rooms).await?;
        page.found.retain(|found| {
            mine.iter()
                .any(|standing| standing.room_id == found.room.id)
        });
        for found in &mut page.found {
            let message = std::slice::from_mut(&mut found.message);
            self.mark_mine(who, found.room.id, message).await?;
        }
        Ok(List {
            items: page.found,
            next: page.more_after.map(|place| place.to_string()),
            rev: None,
        })
    }
}

fn unsearchable(why: Unsearchable) -> Refusal {
    match why {
        Unsearchable::NoWord => {
            Refusal::invalid_field("q", "blank", "at least one letter or digit")
        }
        Unsearchable::TooManyWords => {
            let rule = format!("at most {SEARCH_WORDS_MAX} words");
            Refusal::invalid_field("q", "length", rule)
        }
    }
}

//! Search in messages: an index that is filled after the log's commits ([`Indexer`]), and queries of it.
//!
//! Texts and queries are cut into the same tokens ([`tokens`]), which each database indexes as words: FTS5 on SQLite, FULLTEXT on
//! MySQL. The index finds candidates. The present text of each is then cut once more and decides ([`query`]), so that both
//! databases give the same results, and an index that is behind shows nothing false.
//!
//! Invariants: from the commit of a deletion on, `message_words` holds no text of the message. A room's cursor is a `rev` up to
//! which every message is indexed, as it was then or later.
//!
//! **The deletion of a message** runs [`rows::ERASE_WORDS`], or the same for a list, in its transaction, *after* the update of the
//! message's row. The indexer writes words only while it holds the lock of that row, unchanged since it was read. So the second of
//! both finds what the first one did. On SQLite triggers remove the words from FTS5 at once. InnoDB hides them at once, and keeps
//! their codes in its files until `OPTIMIZE TABLE message_words`.

use std::{collections::BTreeMap, fmt, str::FromStr};

use super::{
    Store,
    blocking::blocking,
    connection::script,
    database::Database,
    error::{Result, SqlError},
    log::messages::reactions_to,
    rows::{self, Word},
    values::{Row, Value, params},
};
use crate::{
    limits::{self, SEARCH_CANDIDATES},
    protocol::{
        RoomId, Seq, Time, UserId,
        rest::{Found, FoundRoom, Message, RoomKind},
    },
};

mod indexer;
mod query;
mod snippet;
pub(super) mod tokens;

pub use self::{
    indexer::Indexer,
    query::{Query, Unsearchable},
};

/// The text that is held at once for one page; a message more may come on top.
const PAGE_BYTES: usize = 256 * 1024;

/// MariaDB and MySQL end a search by themselves before its deadline here. Each reads a comment that the other one ignores.
const SELECT_ON_MYSQL: &str =
    "/*M! SET STATEMENT max_statement_time = 4 FOR */ SELECT /*+ MAX_EXECUTION_TIME(4000) */";

/// What a search is limited to.
#[derive(Clone, Copy, Debug)]
pub struct SearchFilter {
    /// The user who searches. Only their rooms are searched.
    pub user_id: UserId,
    pub room_id: Option<RoomId>,
    pub from: Option<UserId>,
    /// The last message of the page before.
    pub after: Option<Place>,
}

/// A message's place in the order of results: the newest first; at the same moment by falling room and seq. It never changes, and
/// is the same on both databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    created_at: Time,
    room_id: RoomId,
    seq: Seq,
}

impl Place {
    fn of(message: &Message) -> Self {
        Self {
            created_at: message.created_at,
            room_id: message.room_id,
            seq: message.seq,
        }
    }
}

/// The form in which cursors hold it.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.created_at.0, self.room_id, self.seq)
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut numbers = text.split('.').map(|number| {
            let number = number.parse::<u64>().map_err(drop)?;
            (number <= limits::ID_MAX).then_some(number).ok_or(())
        });
        let mut next = || numbers.next().ok_or(())?;
        let (created_at, room_id, seq) = (next()?, next()?, next()?);
        let place = Place {
            created_at: Time(created_at.cast_signed()),
            room_id: RoomId(room_id),
            seq,
        };
        // Only the canonical form is accepted.
        (place.to_string() == text).then_some(place).ok_or(())
    }
}

/// A page of results.
#[derive(Debug)]
pub struct Page {
    pub found: Vec<Found>,
    /// The place after which there may be more.
    pub more_after: Option<Place>,
}

impl Store {
    /// At most `limit` messages that match; fewer where some of the candidates don't match. The memberships are those of about the same
    /// moment, so the caller checks them again after it.
    pub async fn search(&self, query: &Query, filter: SearchFilter, limit: usize) -> Result<Page> {
        // A phrase has more candidates than matches.
        let most = if query.has_phrases() {
            limit.max(SEARCH_CANDIDATES)
        } else {
            limit
        };
        let (statement, params) = statement(self.db(), query, filter, most);
        let answer = self.db().query_upto(statement, params, PAGE_BYTES).await;
        let (mut rows, mut cut) = answer?;
        if rows.len() > most {
            rows.truncate(most);
            cut = true;
        }
        let mut last = rows.last().map(place).transpose()?;
        let candidates = rows
            .into_iter()
            .filter_map(|row| candidate(row).transpose());
        let candidates = candidates.collect::<Result<Vec<_>, SqlError>>()?;
        let query = query.clone();
        let found = blocking(move || {
            let candidates = candidates.into_iter();
            candidates
                .filter_map(|candidate| found(&query, candidate))
                .collect::<Vec<_>>()
        });
        let mut found = found.await?;
        if found.len() > limit {
            found.truncate(limit);
            last = found.last().map(|(found, _)| Place::of(&found.message));
            cut = true;
        }
        Ok(Page {
            found: self.with_reactions(found).await?,
            more_after: last.filter(|_| cut),
        })
    }

    /// Adds reactions to the messages that are flagged to have any.
    async fn with_reactions(&self, found: Vec<(Found, bool)>) -> Result<Vec<Found>> {
        let mut reacted: BTreeMap<RoomId, Vec<Seq>> = BTreeMap::new();
        for (found, _) in found.iter().filter(|(_, has_reactions)| *has_reactions) {
            let seqs = reacted.entry(found.room.id).or_default();
            seqs.push(found.message.seq);
        }
        let mut found: Vec<Found> = found.into_iter().map(|(found, _)| found).collect();
        for (room_id, seqs) in reacted {
            let script = script(move |mut conn| {
                let seqs = seqs.clone();
                Box::pin(async move { reactions_to(&mut conn, room_id, &seqs).await })
            });
            let mut of = self.db().read(script).await?;
            for found in found.iter_mut().filter(|found| found.room.id == room_id) {
                let reactions = of.remove(&found.message.seq);
                found.message.reactions = reactions.unwrap_or_default();
            }
        }
        Ok(found)
    }
}

/// Candidates are sorted before the rest is read: the message unless it is deleted, its room, the other member of a direct room, and
/// its place.
fn statement(
    db: &Database,
    query: &Query,
    filter: SearchFilter,
    limit: usize,
) -> (String, Vec<Value>) {
    let (select, from, matches, asked) = match db {
        Database::Sqlite(_) => (
            "SELECT",
            "message_words_fts f CROSS JOIN message_words w ON w.id = f.rowid",
            "f.message_words_fts MATCH ?",
            query.for_fts5(),
        ),
        Database::Mysql(_) => (
            SELECT_ON_MYSQL,
            "message_words w FORCE INDEX (message_words_tokens)",
            "MATCH (w.tokens) AGAINST (? IN BOOLEAN MODE)",
            query.for_mysql(),
        ),
    };
    let mut conditions = String::new();
    let mut params = params![filter.user_id, asked];
    if let Some(room_id) = filter.room_id {
        conditions.push_str(" AND w.room_id = ?");
        params.extend(params![room_id]);
    }
    if let Some(from) = filter.from {
        conditions.push_str(" AND w.sender_id = ?");
        params.extend(params![from]);
    }
    if let Some(place) = filter.after {
        conditions.push_str(" AND (w.created_at, w.room_id, w.seq) < (?, ?, ?)");
        params.extend(params![place.created_at, place.room_id, place.seq]);
    }
    params.extend(params![limit + 1, filter.user_id]);
    let statement = format!(
        "{select} {columns}, r.kind, r.name, v.id, v.username, v.full_name, k.created_at, k.room_id, k.seq FROM (
             SELECT w.created_at, w.room_id, w.seq FROM {from}
             JOIN room_members p ON p.room_id = w.room_id AND p.user_id = ? AND p.left_at IS NULL
             WHERE {matches}{conditions}
             ORDER BY w.created_at DESC, w.room_id DESC, w.seq DESC LIMIT ?
         ) k
         LEFT JOIN rooms r ON r.id = k.room_id AND r.deleted_at IS NULL
         LEFT JOIN messages m ON m.room_id = r.id AND m.seq = k.seq AND m.deleted_at IS NULL
         LEFT JOIN users u ON u.id = m.sender_id
         LEFT JOIN room_members o ON o.room_id = CASE r.kind WHEN 'direct' THEN r.id END
             AND (o.user_id <> ? OR r.member_count = 1)
         LEFT JOIN users v ON v.id = o.user_id
         ORDER BY k.created_at DESC, k.room_id DESC, k.seq DESC",
        columns = rows::MESSAGE_COLUMNS
    );
    (statement, params)
}

fn place(row: &Row) -> Result<Place, SqlError> {
    let at = row.0.len() - 3;
    Ok(Place {
        created_at: row.time(at)?,
        room_id: row.room_id(at + 1)?,
        seq: row.u64(at + 2)?,
    })
}

/// A message that may match, and whether it has reactions.
type Candidate = (Message, FoundRoom, bool);

fn candidate(mut row: Row) -> Result<Option<Candidate>, SqlError> {
    if row.is_null(0)? {
        return Ok(None);
    }
    let kind = row.0.len() - 8;
    let peer = if row.is_null(kind + 2)? {
        None
    } else {
        Some(rows::summary(&mut row, kind + 2)?)
    };
    let room = FoundRoom {
        id: row.room_id(0)?,
        kind: RoomKind::from_word(row.str(kind)?)?,
        name: row.text(kind + 1)?,
        peer,
    };
    let (message, reactions) = rows::message(row)?;
    Ok(Some((message, room, reactions > 0)))
}

/// The candidate with its snippet, if its text matches.
fn found(query: &Query, (message, room, has_reactions): Candidate) -> Option<(Found, bool)> {
    let text = message.content.as_deref()?;
    let hits = query.hits(text)?;
    let found = Found {
        snippet: snippet::snippet(text, &hits),
        message,
        room,
    };
    Some((found, has_reactions))
}

#[cfg(test)]
mod tests;

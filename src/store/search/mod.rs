//! Search in messages: an index filled behind the log's commits ([`Indexer`]), and what finds in it.
//!
//! Texts and queries are cut into the same tokens ([`tokens`]), which each database indexes as words of its
//! own: FTS5 on SQLite, FULLTEXT on MySQL. They find candidates; each candidate's present text is then cut
//! once more and decides ([`query`]), so that both give the same answers, and an index that is behind shows
//! nothing that isn't so.
//!
//! Invariants: `message_words` holds no text of a deleted message, from the deletion's commit on; a room's
//! cursor stands at a `rev` up to which every message is indexed, as it was then or later.
//!
//! **Who deletes a message** runs [`ERASE`], or the same for a list, in the same transaction, *after* the update of the message's row:
//! the indexer writes words only while it holds that row as it has read it, so that whoever comes second
//! finds what the first one did. On SQLite triggers take the words out of FTS5 at once. InnoDB hides them at
//! once, and keeps their bare codes in its files until `OPTIMIZE TABLE message_words`.

use std::{collections::BTreeMap, fmt, str::FromStr};

use super::{
    Result, Store,
    database::Database,
    log,
    rows::{self, Word},
    sql::{Fault, Row, Value, params, script},
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
mod tokens;

pub use self::{
    indexer::Indexer,
    query::{Query, Unsearchable},
};

/// Takes a message's words out of the index: room, seq.
pub const ERASE: &str = "DELETE FROM message_words WHERE room_id = ? AND seq = ?";

/// How long an indexed token may be: MySQL must take them all.
pub const TOKEN_BYTES: std::ops::RangeInclusive<usize> = tokens::CODE_MIN..=tokens::CODE_MAX;

/// Texts held at once for one page; a message more may come on top.
const PAGE_BYTES: usize = 256 * 1024;

/// MariaDB and MySQL end a search by themselves before its asker gives up, each told by a comment that the
/// other one doesn't read.
const SELECT_ON_MYSQL: &str =
    "/*M! SET STATEMENT max_statement_time = 4 FOR */ SELECT /*+ MAX_EXECUTION_TIME(4000) */";

/// Where, and from where on, a user searches.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// Who asks: what is found is in rooms that he is in.
    pub user_id: UserId,
    pub room_id: Option<RoomId>,
    pub from: Option<UserId>,
    /// The last one of the page before.
    pub after: Option<Place>,
}

/// A message's place in the order of what is found: the newest first; of one moment, by falling room and
/// seq. It never changes, and is the same on both databases.
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

/// As it travels in cursors.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.created_at.0, self.room_id, self.seq)
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut numbers = text.split('.').map(|number| {
            let number = number.parse::<u64>().ok();
            let number = number.filter(|number| *number <= limits::ID_MAX);
            number.ok_or(())
        });
        let mut next = || numbers.next().ok_or(())?;
        let (created_at, room_id, seq) = (next()?, next()?, next()?);
        let place = Place {
            created_at: Time(created_at.cast_signed()),
            room_id: RoomId(room_id),
            seq,
        };
        // In its one form, and nothing after it.
        (place.to_string() == text).then_some(place).ok_or(())
    }
}

/// What was found, and whether there may be more after `last`.
#[derive(Debug)]
pub struct Page {
    pub found: Vec<Found>,
    pub more_after: Option<Place>,
}

impl Store {
    /// At most `limit` messages that match, fewer when some of the candidates didn't. The memberships are
    /// those of about the same moment: who asks checks them once more after it.
    pub async fn search(&self, query: &Query, scope: Scope, limit: usize) -> Result<Page> {
        // Who looks for words side by side looks at more texts than will match.
        let most = match query.has_phrases() {
            true => limit.max(SEARCH_CANDIDATES),
            false => limit,
        };
        let (statement, params) = statement(self.db(), query, scope, most);
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
        let candidates = candidates.collect::<Result<Vec<_>, Fault>>()?;
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

    /// What was found with its reactions: the flags tell where there are any.
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
                Box::pin(async move { log::reactions_to(&mut conn, room_id, &seqs).await })
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

/// The candidates are sorted before the rest of them is read: the message, unless it is deleted, its room, and
/// the other one of a direct room, its place.
fn statement(db: &Database, query: &Query, scope: Scope, limit: usize) -> (String, Vec<Value>) {
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
    let mut params = params![scope.user_id, asked];
    if let Some(room_id) = scope.room_id {
        conditions.push_str(" AND w.room_id = ?");
        params.extend(params![room_id]);
    }
    if let Some(from) = scope.from {
        conditions.push_str(" AND w.sender_id = ?");
        params.extend(params![from]);
    }
    if let Some(place) = scope.after {
        conditions.push_str(" AND (w.created_at, w.room_id, w.seq) < (?, ?, ?)");
        params.extend(params![place.created_at, place.room_id, place.seq]);
    }
    params.extend(params![limit + 1, scope.user_id]);
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

fn place(row: &Row) -> Result<Place, Fault> {
    let at = row.0.len() - 3;
    Ok(Place {
        created_at: row.time(at)?,
        room_id: row.room_id(at + 1)?,
        seq: row.u64(at + 2)?,
    })
}

/// A message that may match, and whether it has reactions.
type Candidate = (Message, FoundRoom, bool);

fn candidate(mut row: Row) -> Result<Option<Candidate>, Fault> {
    if row.is_null(0)? {
        return Ok(None);
    }
    let kind = row.0.len() - 8;
    let peer = match row.is_null(kind + 2)? {
        true => None,
        false => Some(rows::summary(&mut row, kind + 2)?),
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

/// Work on texts, which may take milliseconds.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| super::Error::Broken(error.to_string()))
}

#[cfg(test)]
mod tests;

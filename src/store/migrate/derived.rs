//! Columns that are derived from texts, which are derived anew after the rules have changed: keys for searches, and the form of
//! reactions. A migration can't do it in SQL.
//!
//! Invariants: each step is a transaction, and doing all of them again changes nothing. A step that changes a message without a `rev`
//! changes the log's epoch with it, so that clients read the rooms anew.

use std::{collections::BTreeMap, fmt, time::Instant};

use crate::{
    limits::DERIVED_LOG_INTERVAL,
    protocol::{
        RoomId, Seq, UserId, check::DELETED_PREFIX, emoji::qualified, fold::plain,
        rest::UserSummary,
    },
    store::{
        connection::Conn,
        epoch::new_epoch,
        error::SqlError,
        names::insert_names,
        rows::Extra,
        values::{Value, params, with_ids},
    },
};

/// The version of the rules. It is stored in `meta` when everything is derived by them.
const RULES: &str = "10";
/// The rows that a step reads and changes at most.
const STEP_ROWS: usize = 1_000;

/// Where the next step goes on.
#[derive(Clone, Debug)]
pub enum Place {
    Begin,
    Users(UserId),
    Rooms(RoomId),
    Reactions(RoomId, ReactionKey),
}

/// A reaction within its room; they are read in this order.
type ReactionKey = (Seq, String, UserId);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Begin => write!(f, "the beginning"),
            Place::Users(UserId(id)) => write!(f, "users after {id}"),
            Place::Rooms(RoomId(id)) => write!(f, "rooms after {id}"),
            Place::Reactions(RoomId(id), (seq, ..)) => {
                write!(f, "reactions of room {id} after message {seq}")
            }
        }
    }
}

/// Logs the progress, if there is anything to do: the server doesn't listen yet.
#[derive(Default)]
pub struct Progress(Option<Instant>);

impl Progress {
    /// Before each step. Logs the first one, and then one at intervals.
    pub fn log(&mut self, at: &Place) {
        let logged = self.0.is_some_and(|at| at.elapsed() < DERIVED_LOG_INTERVAL);
        if !logged && !matches!(at, Place::Begin) {
            self.0 = Some(Instant::now());
            tracing::info!(%at, "making keys of searches and forms of reactions anew");
        }
    }

    pub fn end(&self) {
        if self.0.is_some() {
            tracing::info!("keys of searches and forms of reactions are made anew");
        }
    }
}

/// One step, without its COMMIT. `None`: everything is done.
pub async fn step(mut conn: Conn<'_>, at: Place) -> Result<Option<Place>, SqlError> {
    match at {
        Place::Begin => begin(&mut conn).await,
        Place::Users(after) => users(&mut conn, after).await,
        Place::Rooms(after) => rooms(&mut conn, after).await,
        Place::Reactions(room_id, after) => reactions(&mut conn, room_id, after).await,
    }
}

async fn begin(conn: &mut Conn<'_>) -> Result<Option<Place>, SqlError> {
    let sql = "SELECT value FROM meta WHERE name = 'derived'";
    let known = conn.query(sql, Vec::new()).await?;
    if known.first().map(|row| row.str(0)).transpose()? == Some(RULES) {
        return Ok(None);
    }
    let sql = "SELECT id FROM users LIMIT 1";
    let is_new = conn.query(sql, Vec::new()).await?.is_empty();
    if is_new {
        end(conn).await
    } else {
        Ok(Some(Place::Users(UserId(0))))
    }
}

async fn end(conn: &mut Conn<'_>) -> Result<Option<Place>, SqlError> {
    let sql = "DELETE FROM meta WHERE name = 'derived'";
    conn.execute(sql, Vec::new()).await?;
    let sql = "INSERT INTO meta (name, value) VALUES ('derived', ?)";
    conn.execute(sql, params![RULES]).await?;
    Ok(None)
}

async fn users(conn: &mut Conn<'_>, after: UserId) -> Result<Option<Place>, SqlError> {
    let sql = "SELECT id, username, full_name FROM users WHERE id > ? ORDER BY id LIMIT ?";
    // They are locked, because another node may rename or delete them.
    let mut rows = conn.query_update(sql, params![after, STEP_ROWS]).await?;
    let mut last = None;
    let mut named = Vec::new();
    for row in &mut rows {
        let (id, username, full_name) = (row.user_id(0)?, row.text(1)?, row.opt_text(2)?);
        last = Some(id);
        // Deleted accounts aren't found by a search.
        if !username.starts_with(DELETED_PREFIX) {
            named.push(UserSummary {
                id,
                username,
                full_name,
            });
        }
    }
    let Some(last) = last else {
        return Ok(Some(Place::Rooms(RoomId(0))));
    };
    let sql = "DELETE FROM user_names WHERE user_id > ? AND user_id <= ?";
    conn.execute(sql, params![after, last]).await?;
    insert_names(conn, &named).await?;
    Ok(Some(Place::Users(last)))
}

async fn rooms(conn: &mut Conn<'_>, after: RoomId) -> Result<Option<Place>, SqlError> {
    let sql = "SELECT id, name, name_key FROM rooms WHERE id > ? ORDER BY id LIMIT ?";
    let mut rows = conn.query(sql, params![after, STEP_ROWS]).await?;
    let mut last = None;
    for row in &mut rows {
        let (id, name) = (row.room_id(0)?, row.text(1)?);
        last = Some(Place::Rooms(id));
        let key = plain(&name);
        if row.str(2)? != key {
            let sql = "UPDATE rooms SET name_key = ? WHERE id = ? AND name = ?";
            conn.execute(sql, params![key, id, name]).await?;
        }
    }
    Ok(last.or(Some(reactions_of(RoomId(0)))))
}

fn reactions_of(room_id: RoomId) -> Place {
    Place::Reactions(room_id, (0, String::new(), UserId(0)))
}

async fn reactions(
    conn: &mut Conn<'_>,
    room_id: RoomId,
    after: ReactionKey,
) -> Result<Option<Place>, SqlError> {
    // Locked as by all writers of a room, before its rows are read, so that these are complete.
    let sql = "SELECT rev FROM rooms WHERE id = ?";
    conn.query_update(sql, params![room_id]).await?;
    let rows = some_reactions(conn, room_id, after).await?;
    let Some(last) = rows.last() else {
        let sql = "SELECT MIN(room_id) FROM reactions WHERE room_id > ?";
        let next = conn.query(sql, params![room_id]).await?;
        let next = next.first().map(|row| row.opt_u64(0)).transpose()?;
        return match next.flatten() {
            Some(next) => Ok(Some(reactions_of(RoomId(next)))),
            None => end(conn).await,
        };
    };
    let next = Place::Reactions(room_id, last.clone());
    let mut stale: BTreeMap<&str, Stale> = BTreeMap::new();
    for (seq, emoji, user_id) in &rows {
        if let Some(stale) = stale.get_mut(emoji.as_str()) {
            stale.extend(*seq, *user_id);
            continue;
        }
        let form = qualified(emoji);
        if form != *emoji {
            stale.insert(emoji, Stale::new(form, *seq, *user_id));
        }
    }
    if stale.is_empty() {
        return Ok(Some(next));
    }
    let sql = "UPDATE meta SET value = ? WHERE name = 'log_epoch'";
    conn.execute(sql, params![new_epoch()]).await?;
    let mut fewer = BTreeMap::new();
    for (emoji, stale) in &stale {
        join(conn, room_id, emoji, stale, &mut fewer).await?;
    }
    count(conn, room_id, &fewer).await?;
    Ok(Some(next))
}

/// The next reactions: those of whole messages, or a part of one message's where it has more than a step takes.
async fn some_reactions(
    conn: &mut Conn<'_>,
    room_id: RoomId,
    (seq, emoji, user_id): ReactionKey,
) -> Result<Vec<ReactionKey>, SqlError> {
    let sql = "SELECT seq, emoji, user_id FROM reactions WHERE room_id = ? AND seq >= ?
             AND (seq > ? OR emoji > ? OR (emoji = ? AND user_id > ?)) ORDER BY seq, emoji, user_id LIMIT ?";
    let params = params![
        room_id,
        seq,
        seq,
        emoji.as_str(),
        emoji.as_str(),
        user_id,
        STEP_ROWS
    ];
    let mut rows = Vec::new();
    for mut row in conn.query(sql, params).await? {
        rows.push((row.u64(0)?, row.text(1)?, row.user_id(2)?));
    }
    if let Some((last, ..)) = rows.last().filter(|_| rows.len() == STEP_ROWS) {
        let whole = rows.iter().rposition(|(seq, ..)| seq != last);
        rows.truncate(whole.map_or(rows.len(), |index| index + 1));
    }
    Ok(rows)
}

/// Where a step has found an emoji that isn't in its present form. The step has read all of its reactions from the first of these
/// messages and users to the last.
struct Stale {
    form: String,
    seqs: (Seq, Seq),
    users: (UserId, UserId),
}

impl Stale {
    fn new(form: String, seq: Seq, user_id: UserId) -> Self {
        Self {
            form,
            seqs: (seq, seq),
            users: (user_id, user_id),
        }
    }

    fn extend(&mut self, seq: Seq, user_id: UserId) {
        self.seqs.1 = seq;
        self.users = (self.users.0.min(user_id), self.users.1.max(user_id));
    }
}

/// Gives an emoji its form. Of a user's reactions that become the same the earliest stays. Adds to `fewer` how many fewer reactions a
/// message has.
async fn join(
    conn: &mut Conn<'_>,
    room_id: RoomId,
    emoji: &str,
    stale: &Stale,
    fewer: &mut BTreeMap<Seq, u64>,
) -> Result<(), SqlError> {
    let these =
        "s.room_id = ? AND s.seq BETWEEN ? AND ? AND s.emoji = ? AND s.user_id BETWEEN ? AND ?";
    let same = "k.room_id = s.room_id AND k.seq = s.seq AND k.emoji = ? AND k.user_id = s.user_id";
    let form = stale.form.as_str();
    let (first, last) = stale.seqs;
    let range = params![room_id, first, last, emoji, stale.users.0, stale.users.1];
    let with = |mut before: Vec<Value>| {
        before.extend(range.iter().cloned());
        before
    };
    let sql = format!(
        "SELECT s.seq, COUNT(*) FROM reactions s JOIN reactions k ON {same} WHERE {these} GROUP BY s.seq"
    );
    for row in conn.query(&sql, with(params![form])).await? {
        *fewer.entry(row.u64(0)?).or_default() += row.u64(1)?;
    }
    let sql = format!(
        "REPLACE INTO reactions (room_id, seq, emoji, user_id, rev)
         SELECT s.room_id, s.seq, ?, s.user_id, s.rev FROM reactions s LEFT JOIN reactions k ON {same}
         WHERE {these} AND (k.rev IS NULL OR k.rev > s.rev)"
    );
    conn.execute(&sql, with(params![form, form])).await?;
    let sql = "DELETE FROM reactions WHERE room_id = ? AND seq BETWEEN ? AND ? AND emoji = ? AND user_id BETWEEN ? AND ?";
    conn.execute(sql, range.clone()).await.map(drop)
}

/// Corrects the counts of reactions in the messages' rows.
async fn count(
    conn: &mut Conn<'_>,
    room_id: RoomId,
    fewer: &BTreeMap<Seq, u64>,
) -> Result<(), SqlError> {
    let seqs: Vec<Seq> = fewer.keys().copied().collect();
    let sql = "SELECT seq, extra FROM messages WHERE room_id = ? AND seq IN (#)";
    for (sql, params) in with_ids(sql, &[room_id.into()], &seqs) {
        for mut row in conn.query(&sql, params).await? {
            let seq = row.u64(0)?;
            let mut extra = Extra::from_column(row.opt_text(1)?.as_deref())?;
            let fewer = fewer.get(&seq).copied().unwrap_or_default();
            extra.reactions = extra.reactions.saturating_sub(fewer);
            let sql = "UPDATE messages SET extra = ? WHERE room_id = ? AND seq = ?";
            let params = params![extra.to_column(), room_id, seq];
            conn.execute(sql, params).await?;
        }
    }
    Ok(())
}

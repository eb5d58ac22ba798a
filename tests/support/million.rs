//! A room with a long history, written directly to the database: sending a million messages would take minutes.

use hearth::{
    protocol::{RoomId, rest::UserSummary},
    store::{Location, Store},
};
use mysql_async::prelude::Queryable;

/// Gives a room that was just made `count` messages of its members in turn, at most a million: revs and
/// seqs without a hole, one of 60 words and one of 10,000 in each text, every thousandth pinned and with two reactions,
/// every thousandth deleted.
pub async fn fill(location: &Location, room_id: RoomId, members: &[UserSummary], count: u64) {
    assert!(count <= 1_000_000);
    let first_rev = members.len() as u64 + 1;
    let (sender, people) = (members[0].id, members.len());
    let digits = (0..10).map(|digit| format!("SELECT {digit} AS d"));
    let digits = digits.collect::<Vec<_>>().join(" UNION ALL ");
    // 1 to a million, and six times ten words for the texts.
    let numbers = format!(
        "WITH digits AS ({digits}), numbers AS (
             SELECT 1 + a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d + 100000 * g.d AS n
             FROM digits a, digits b, digits c, digits e, digits f, digits g)"
    );
    let (id, text, integer) = match location {
        Location::Sqlite(_) => (
            "randomblob(16)",
            "'common' || (n % 60) || ' rare' || (n % 10000)",
            "INTEGER",
        ),
        Location::Mysql(_) => (
            "UNHEX(MD5(n))",
            "CONCAT('common', n % 60, ' rare', n % 10000)",
            "SIGNED",
        ),
    };
    let statements = [
        format!(
            "INSERT INTO messages (room_id, seq, rev, id, sender_id, kind, content, extra, created_at, pinned_at)
             {numbers} SELECT {room_id}, n, {first_rev} + n, {id}, {sender} + n % {people}, 'text', {text},
                 CASE WHEN n % 1000 = 0 THEN '{{\"reactions\":2}}' END, 1700000000000 + n * 1000,
                 CASE WHEN n % 1000 = 0 THEN 1700000000000 + n * 1000 END
             FROM numbers WHERE n <= {count} ORDER BY n"
        ),
        format!(
            "INSERT INTO pins (room_id, seq) SELECT room_id, seq FROM messages
             WHERE room_id = {room_id} AND pinned_at IS NOT NULL"
        ),
        format!(
            "INSERT INTO reactions (room_id, seq, emoji, user_id, rev)
             SELECT m.room_id, m.seq, '👍', {sender} + k.k, 1 FROM messages m, (SELECT 0 AS k UNION ALL SELECT 1) k
             WHERE m.room_id = {room_id} AND m.pinned_at IS NOT NULL"
        ),
        format!(
            "INSERT INTO mentions (room_id, user_id, seq)
             SELECT room_id, {sender} + CAST(seq / 1000 AS {integer}) % {people}, seq FROM messages
             WHERE room_id = {room_id} AND pinned_at IS NOT NULL"
        ),
        format!(
            "UPDATE messages SET deleted_at = created_at, content = NULL WHERE room_id = {room_id} AND seq % 1000 = 500"
        ),
        format!(
            "INSERT INTO deletions (room_id, seq) SELECT room_id, seq FROM messages
             WHERE room_id = {room_id} AND seq % 1000 = 500"
        ),
        format!(
            "UPDATE rooms SET last_seq = {count}, shown_seq = {count}, deleted_seq = {count} - 500, rev = {first_rev} + {count} WHERE id = {room_id}"
        ),
    ];
    match location {
        Location::Sqlite(path) => {
            let mut statements = statements.to_vec();
            statements.push("ANALYZE".into());
            let conn = rusqlite::Connection::open(path).unwrap();
            conn.execute_batch("PRAGMA synchronous = OFF").unwrap();
            for statement in statements {
                conn.execute_batch(&statement).unwrap();
            }
        }
        Location::Mysql(url) => {
            let mut conn = mysql_async::Conn::from_url(url).await.unwrap();
            for statement in statements {
                conn.query_drop(statement).await.unwrap();
            }
            let analyze = "ANALYZE TABLE messages, pins, reactions, mentions";
            conn.query_drop(analyze).await.unwrap();
            conn.disconnect().await.unwrap();
        }
    }
}

/// The head of a room.
pub async fn head(store: &Store, room_id: RoomId) -> u64 {
    store.heads(&[room_id]).await.unwrap()[0].1
}

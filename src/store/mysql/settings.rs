//! Finds settings and states of the server that break one of Hearth's promises: for the log at the start, and for `hearth check`.
//! The questions are plain text on a database connection of their own, so that they work where no statement can be prepared.

use mysql_async::{Conn, Opts, prelude::Queryable};

use super::{connect, statements::deadline, writer::WRITERS};
use crate::{
    limits::{PACKET_BYTES_MIN, STATEMENTS_CACHED},
    store::{
        error::{Error, Result, SqlError},
        options::Weakness,
    },
};

/// Looks at a database that has Hearth's schema. `pool`: how many database connections the pool has.
pub async fn weaknesses(url: &str, pool: usize) -> Result<Vec<Weakness>> {
    let opts = Opts::from(connect::options(url, &[])?);
    let mut conn = deadline(Conn::new(opts)).await?;
    let mut found = settings(&mut conn, pool).await?;
    // Each finds no row, and fails where every such write would.
    let writes = [
        "INSERT INTO meta (name, value) SELECT name, value FROM meta WHERE name = ''",
        "UPDATE meta SET value = value WHERE name = ''",
        "DELETE FROM meta WHERE name = ''",
    ];
    for write in writes {
        let Err(error) = deadline(conn.query_drop(write)).await else {
            continue;
        };
        found.push(Weakness {
            what: format!("nothing can be written: {}", error.cause()),
            remedy: "Let the server write (read_only, super_read_only, innodb_read_only, \
                     transaction_read_only off), and this user too (GRANT), or name the server that may in \
                     HEARTH_DATABASE_URL."
                .into(),
        });
        break;
    }
    let _ = deadline(conn.disconnect()).await;
    Ok(found)
}

async fn settings(conn: &mut Conn, pool: usize) -> Result<Vec<Weakness>, Error> {
    let sql = "SELECT CAST(@@GLOBAL.innodb_flush_log_at_trx_commit AS SIGNED),
                      CAST(@@GLOBAL.max_allowed_packet AS SIGNED),
                      CAST(@@GLOBAL.max_prepared_stmt_count AS SIGNED)";
    let row = deadline(conn.query_first::<(i64, usize, usize), _>(sql)).await?;
    let sql = "SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'";
    let prepared = deadline(conn.query_first::<(String, usize), _>(sql)).await?;
    let none = || SqlError::Refused("the server doesn't tell its variables".into());
    let (flush, packet, statements_max) = row.ok_or_else(none)?;
    let (_, prepared) = prepared.ok_or_else(none)?;

    let mut found = Vec::new();
    let mut add = |what: String, remedy: String| found.push(Weakness { what, remedy });
    if flush != 1 {
        add(
            "innodb_flush_log_at_trx_commit isn't 1: a loss of power loses acknowledged messages"
                .into(),
            "Set innodb_flush_log_at_trx_commit = 1 in the database's configuration.".into(),
        );
    }
    if packet < PACKET_BYTES_MIN {
        add(
            format!("max_allowed_packet is {packet}: long messages are refused"),
            format!(
                "Set max_allowed_packet to at least {PACKET_BYTES_MIN} in the database's configuration."
            ),
        );
    }
    let wanted = (pool + WRITERS) * STATEMENTS_CACHED;
    let remedy = format!(
        "Raise max_prepared_stmt_count: each database connection of Hearth's keeps up to {STATEMENTS_CACHED}, {wanted} in all. Or \
         see who else prepares them."
    );
    if prepared >= statements_max {
        let what = format!("max_prepared_stmt_count is reached: {prepared} of {statements_max}");
        add(what, remedy);
    } else if statements_max < wanted {
        let what = format!("max_prepared_stmt_count is {statements_max}, which may not do");
        add(what, remedy);
    }
    Ok(found)
}

//! What the server's errors mean to those who might repeat a statement
//! (<https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html>,
//! <https://mariadb.com/kb/en/mariadb-error-code-reference/>).

use self::Way::{Elsewhere, Later, Less};
use crate::store::{
    error::{Error, SqlError},
    telemetry,
};

/// What helps against a limit or a state of the server.
enum Way {
    /// A repetition, later.
    Later,
    /// A repetition on another database connection: a read-only server may have handed over to another one.
    Elsewhere,
    /// Less at once.
    Less,
}

/// A limit or a state of the server that its operator can change: the variable that sets it, and what helps.
fn limit(code: u16) -> Option<(&'static str, Way)> {
    Some(match code {
        1021 => ("free disk space", Later),
        1040 => ("max_connections", Later),
        1044 | 1045 | 1142 | 1143 | 1227 | 1370 | 1698 => ("privileges (GRANT)", Later),
        1114 => (
            "innodb_data_file_path, tmp_table_size or free disk space",
            Later,
        ),
        1129 => ("max_connect_errors", Later),
        1203 => ("max_user_connections", Later),
        1226 => ("the account's resource limits (GRANT … WITH)", Later),
        1461 => ("max_prepared_stmt_count", Later),
        1615 => ("table_definition_cache", Later),
        1290 => ("read_only", Elsewhere),
        1792 => ("transaction_read_only", Elsewhere),
        1836 => ("innodb_read_only", Elsewhere),
        1038 => ("sort_buffer_size", Less),
        1153 | 1162 | 1301 => ("max_allowed_packet", Less),
        1197 => ("max_binlog_cache_size", Less),
        1206 => ("innodb_buffer_pool_size", Less),
        1969 => ("max_statement_time", Less),
        3024 => ("max_execution_time", Less),
        _ => return None,
    })
}

/// Sorts an error by what the caller can do about it. Logs a limit that stood in the way.
pub fn sql_error(error: mysql_async::Error) -> SqlError {
    let mysql_async::Error::Server(server) = &error else {
        let text = error.to_string();
        // The driver's own error, before it has sent anything.
        return if text.contains("max_allowed_packet") {
            met("max_allowed_packet", Less, &text)
        } else {
            SqlError::Gone(text)
        };
    };
    // The message of a duplicate holds its value; only the index's name is kept.
    if server.code == 1062 {
        let name = server.message.rsplit("for key ").next().unwrap_or_default();
        return SqlError::Unique(name.trim_matches('\'').to_owned());
    }
    let text = format!("error {} ({})", server.code, server.message);
    if let Some((variable, way)) = limit(server.code) {
        return met(variable, way, &text);
    }
    match (server.code, server.state.get(..2)) {
        // The database connection is ending: shut down, killed, aborted, idle for too long.
        (1053 | 1080 | 1152 | 1184 | 1927 | 3169 | 4031, _) => SqlError::Gone(text),
        // Data, constraints, syntax and names: the statement itself.
        (_, Some("21" | "22" | "23" | "42")) if server.code != 1205 => SqlError::Refused(text),
        (1366 | 1364 | 1265 | 1406 | 1292, _) => SqlError::Refused(text),
        _ => SqlError::Transient(text),
    }
}

fn met(variable: &'static str, way: Way, text: &str) -> SqlError {
    telemetry::limit_met(variable, text);
    let cause = format!("{variable}: {text}");
    match way {
        Later => SqlError::Transient(cause),
        Elsewhere => SqlError::Gone(cause),
        Less => SqlError::TooMuch(cause),
    }
}

/// The error of a statement that isn't retried.
pub fn unavailable(error: mysql_async::Error) -> Error {
    Error::Unavailable(sql_error(error).cause())
}

#[cfg(test)]
mod tests {
    use mysql_async::{DriverError, Error, ServerError};

    use super::*;

    #[test]
    fn errors_are_sorted_by_what_helps() {
        for (code, state, kind) in [
            (1461, "42000", "Transient max_prepared_stmt_count"),
            (1226, "42000", "Transient the account's"),
            (1203, "42000", "Transient max_user_connections"),
            (1142, "42000", "Transient privileges"),
            (1040, "08004", "Transient max_connections"),
            (1290, "HY000", "Gone read_only"),
            (1792, "25006", "Gone transaction_read_only"),
            (1836, "HY000", "Gone innodb_read_only"),
            (1153, "08S01", "TooMuch max_allowed_packet"),
            (1969, "70100", "TooMuch max_statement_time"),
            (1205, "HY000", "Transient error 1205"),
            (1213, "40001", "Transient error 1213"),
            (1927, "70100", "Gone error 1927"),
            (1064, "42000", "Refused error 1064"),
            (1406, "22001", "Refused error 1406"),
        ] {
            let error = Error::Server(ServerError {
                code,
                message: "why".into(),
                state: state.into(),
            });
            let error = format!("{:?}", sql_error(error)).replace(['(', '"'], " ");
            let words: Vec<&str> = error.split_whitespace().collect();
            assert!(words.join(" ").starts_with(kind), "{code}: {words:?}");
        }
        let lost = sql_error(Error::Driver(DriverError::ConnectionClosed));
        assert!(matches!(lost, SqlError::Gone(_)), "{lost:?}");
        let large = "Packet is larger than max_allowed_packet";
        let large = Error::Io(std::io::Error::other(large).into());
        assert!(matches!(sql_error(large), SqlError::TooMuch(_)));
    }
}

//! SQL behind a running server: to set up a state that takes too long to reach, or to read what no API shows.

use mysql_async::prelude::Queryable;

use super::Server;

impl Server {
    /// Runs one statement; best while the server is stopped.
    pub async fn sql(&self, statement: &str) {
        match self.database_url() {
            Some(url) => {
                let mut connection = mysql_async::Conn::from_url(url).await.unwrap();
                connection.query_drop(statement).await.expect(statement);
                connection.disconnect().await.unwrap();
            }
            None => {
                let path = self.dir().join("data/hearth.db");
                let connection = rusqlite::Connection::open(path).unwrap();
                connection.execute_batch(statement).expect(statement);
            }
        }
    }

    /// One text of one row.
    pub async fn select(&self, statement: &str) -> String {
        match self.database_url() {
            Some(url) => {
                let mut connection = mysql_async::Conn::from_url(url).await.unwrap();
                let text = connection.query_first(statement).await.expect(statement);
                connection.disconnect().await.unwrap();
                text.expect("a row")
            }
            None => {
                let path = self.dir().join("data/hearth.db");
                let connection = rusqlite::Connection::open(path).unwrap();
                let text = connection.query_row(statement, [], |row| row.get(0));
                text.expect(statement)
            }
        }
    }
}

//! What is checked of a database before a server uses it.

use std::fs::File;

use super::{
    error::Result,
    mysql::settings,
    options::{Location, Options, Weakness},
    sqlite::locks,
};

/// Makes this process the only server of an SQLite database, for as long as the returned lock lives. MySQL and MariaDB serve
/// several.
pub fn only_server(options: &Options) -> Result<Option<File>> {
    match &options.location {
        Location::Sqlite(path) => locks::only_server(path).map(Some),
        Location::Mysql(_) => Ok(None),
    }
}

/// Fails where the file system of an SQLite database, whether it exists or not, has no locks. Leaves nothing there; the
/// directory must exist.
pub fn lockable(options: &Options) -> Result<()> {
    match &options.location {
        Location::Sqlite(path) => locks::lockable(path),
        Location::Mysql(_) => Ok(()),
    }
}

/// Looks at a database that has this program's schema. SQLite is opened with the settings that it needs, or not at all;
/// MySQL's settings are its operator's.
pub async fn weaknesses(options: &Options) -> Result<Vec<Weakness>> {
    match &options.location {
        Location::Sqlite(_) => Ok(Vec::new()),
        Location::Mysql(url) => settings::weaknesses(url, options.pool).await,
    }
}

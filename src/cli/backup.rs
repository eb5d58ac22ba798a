//! `hearth backup`, `hearth restore` and `hearth epoch renew`: they call the store and print what it did.

use std::{
    io::{self, Write},
    path::Path,
};

use crate::{
    config::Config,
    store::{
        self, Options,
        backup::{self, Copy, Stop},
        migrate,
    },
};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    Copy(#[from] backup::BackupError),
    #[error("{0}; `hearth check` tells more")]
    Store(#[from] store::Error),
    #[error(
        "there is no database of Hearth's at {0}; give the same settings as the server's (HEARTH_DATABASE_URL, \
         HEARTH_DATA_DIR)"
    )]
    NoDatabase(String),
}

/// Copies the database to a new file.
pub async fn back_up(
    config: &Config,
    options: &Options,
    to: &Path,
    stop: Stop,
) -> Result<(), CommandError> {
    let copy = backup::backup(options, to, stop).await?;
    let (name, size) = (config.database_name(), size(&copy));
    print(&format!("{}: a backup of {name}, {size}", to.display()));
    Ok(())
}

/// Replaces the database by a backup.
pub async fn restore(
    config: &Config,
    options: &Options,
    from: &Path,
    stop: Stop,
) -> Result<(), CommandError> {
    let restored = backup::restore(options, from, stop).await?;
    let (name, size) = (config.database_name(), size(&restored.copy));
    print(&format!("{name}: restored from {}, {size}", from.display()));
    if let Some(kept) = restored.kept {
        print(&format!(
            "The former database is {}; remove it when you don't need it any more.",
            kept.display()
        ));
    }
    let (schema, newest) = (restored.copy.schema, migrate::newest());
    if schema < newest {
        print(&format!(
            "Its schema is {schema}: the next start brings it to {newest}."
        ));
    }
    Ok(())
}

/// Gives the log another epoch, by which clients know that it isn't the one that they have read.
pub async fn renew_epoch(config: &Config, options: &Options) -> Result<(), CommandError> {
    if !migrate::renew_epoch(options).await? {
        return Err(CommandError::NoDatabase(config.database_name()));
    }
    print("The log has a new epoch: clients read everything anew.");
    Ok(())
}

fn size(copy: &Copy) -> String {
    format!("{:.1} MiB", copy.bytes as f64 / 1_048_576.0)
}

/// A closed stdout is no failure: the work is done.
fn print(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

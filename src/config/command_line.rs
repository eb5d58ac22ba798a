//! The commands of the command line. The settings that all of them take stand in [`super::settings`].

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::limits::{RESET_TTL, USERNAME_CHARS_MAX, USERNAME_CHARS_MIN};

/// A self-hosted real-time chat server.
#[derive(Parser)]
#[command(
    name = "hearth",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    max_term_width = 100
)]
pub struct CommandLine {
    #[command(subcommand)]
    pub command: Command,
}

/// What the program is to do.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the server
    Serve,
    /// Bring the database to this version's schema, then exit (`serve` does so when it starts, too)
    Migrate,
    /// Delete everything in the database, then create it anew
    Reset {
        /// Confirm that everything is to be deleted
        #[arg(long)]
        yes: bool,
    },
    /// Copy the SQLite database to a new file, whether the server runs or not
    Backup {
        /// The file to create
        #[arg(value_name = "PATH")]
        to: PathBuf,
    },
    /// Replace the SQLite database by a backup and keep the former database beside it. Stop the server before
    Restore {
        /// The backup
        #[arg(value_name = "PATH")]
        from: PathBuf,
    },
    /// Tell clients that the log went back in time, after a restore by other means
    Epoch {
        #[command(subcommand)]
        command: EpochCommand,
    },
    /// Examine settings, database and machine, and say what to do about each fault
    Check,
    /// Ask the running server whether it is alive: exit code 0, or 1 and the reason
    Health,
    /// Manage accounts, whether the server runs or not
    User {
        #[command(subcommand)]
        command: UserCommand,
    },
}

/// What is to be done to the log's epoch.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum EpochCommand {
    /// Give the log another epoch, so that clients read everything anew. Stop the servers before
    Renew,
}

/// What is to be done to accounts.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum UserCommand {
    /// Create an account; its password is asked for, or read from standard input
    Add {
        #[arg(help = format!(
            "The account's name: {USERNAME_CHARS_MIN} to {USERNAME_CHARS_MAX} letters with their marks, digits, dots, \
             underscores and hyphens"
        ))]
        name: String,
        /// The account's e-mail address
        #[arg(long)]
        email: String,
        /// Make the account an admin of the site
        #[arg(long)]
        admin: bool,
    },
    /// List all accounts
    List,
    /// Make an account an admin of the site
    Promote {
        /// The account's name, in any case
        name: String,
    },
    /// Make an admin an ordinary user
    Demote {
        /// The account's name, in any case
        name: String,
    },
    /// Disable an account and end its sessions
    Disable {
        /// The account's name, in any case
        name: String,
    },
    /// Enable a disabled account
    Enable {
        /// The account's name, in any case
        name: String,
    },
    #[command(about = format!(
        "Print a link by which the account's owner sets a new password, once, within {} hours",
        RESET_TTL.as_secs() / 3_600
    ))]
    Reset {
        /// The account's name, in any case
        name: String,
    },
}

/// Told wherever it is noticed. There are no default accounts: a command, which has the database's rights, creates the
/// first admin.
pub const NO_ADMIN: &str = "there is no active admin: `hearth user add NAME --email ADDRESS --admin` creates one, \
                            `hearth user promote NAME` makes an account one";

//! `hearth user`: the operator's commands for accounts. They work on the database itself, whether a server runs on it or
//! not: a running server reads there, within a second, what it has to know. Only `hearth user add` works on an empty
//! database, and no command changes the schema under a server.

use std::{
    io::{self, Write},
    sync::Arc,
};

use super::password::{self, PasswordError};
use crate::{
    auth::{
        codes::{self, Purpose},
        passwords::{self, Passwords},
    },
    config::{Config, NO_ADMIN, UserCommand},
    limits::{LIST_ITEMS_MAX, RESET_TTL, USERNAME_CHARS_MAX},
    protocol::{
        Time, UserId,
        check::Checks,
        error::Refusal,
        fold::fold,
        rest::{SiteRole, User},
    },
    store::{self, NewUser, Options, Store, admin::AccountChange, migrate},
};

/// Why a command changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    #[error(
        "there is no database at {0} yet; give the same settings as the server's (HEARTH_DATABASE_URL, \
         HEARTH_DATA_DIR), or begin with `hearth user add`"
    )]
    NoDatabase(String),
    /// A server that is older than this program may be running on it.
    #[error(
        "the database's schema is {0}: `hearth migrate` brings it to {1}, the one that this program needs; stop an \
         older server before that"
    )]
    OlderSchema(u32, u32),
    #[error("there is no user {0}; `hearth user list` shows all accounts")]
    NoSuchUser(String),
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error("no threads can be started: {0}")]
    Threads(io::Error),
    #[error("{0}; `hearth check` tells more")]
    Store(#[from] store::Error),
    #[error("the list can't be printed: {0}")]
    Unprinted(io::Error),
}

/// Names each field that breaks its rule.
impl From<Refusal> for UserError {
    fn from(refusal: Refusal) -> Self {
        let errors = refusal.errors.iter();
        let rules: Vec<_> = errors
            .map(|e| format!("{}: {}", e.field, e.message))
            .collect();
        UserError::Invalid(if rules.is_empty() {
            refusal.message.into_owned()
        } else {
            rules.join("; ")
        })
    }
}

/// What is to change of an account.
enum Change {
    Role(SiteRole),
    Enable,
    Disable,
}

/// Runs the command and prints its result.
pub async fn run(
    config: &Config,
    options: &Options,
    command: UserCommand,
) -> Result<(), UserError> {
    let schema = migrate::schema_version(options).await?;
    let newest = migrate::newest();
    if let Some(older) = schema.filter(|schema| *schema < newest) {
        return Err(UserError::OlderSchema(older, newest));
    }
    let is_empty = schema.is_none();
    let done = match command {
        UserCommand::Add { name, email, admin } => {
            let user = new_user(config, name, email).await?;
            if is_empty {
                eprintln!("A new database is made: {}", config.database_name());
            }
            let role = if admin {
                SiteRole::Admin
            } else {
                SiteRole::User
            };
            with_store(options, async |store| add(store, user, role).await).await
        }
        // Most likely these aren't the server's settings: an empty database beside the server's own would help nobody.
        _ if is_empty => return Err(UserError::NoDatabase(config.database_name())),
        UserCommand::List => with_store(options, list).await,
        UserCommand::Reset { name } => {
            with_store(options, async |store| reset(config, store, &name).await).await
        }
        UserCommand::Promote { name } => change(options, name, Change::Role(SiteRole::Admin)).await,
        UserCommand::Demote { name } => change(options, name, Change::Role(SiteRole::User)).await,
        UserCommand::Disable { name } => change(options, name, Change::Disable).await,
        UserCommand::Enable { name } => change(options, name, Change::Enable).await,
    };
    match done {
        // The reader, as `head` is one, needed only the first lines.
        Err(UserError::Unprinted(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// Opens the store, runs `act` on it, and closes it.
async fn with_store(
    options: &Options,
    act: impl AsyncFnOnce(&Store) -> Result<(), UserError>,
) -> Result<(), UserError> {
    let store = Store::open(options, Arc::new(|_| {})).await?;
    let done = act(&store).await;
    store.close().await;
    done
}

fn print(text: &str) -> Result<(), UserError> {
    let mut out = io::stdout().lock();
    let printed = writeln!(out, "{text}").and_then(|()| out.flush());
    printed.map_err(UserError::Unprinted)
}

async fn change(options: &Options, name: String, change: Change) -> Result<(), UserError> {
    let (is_active, role) = match change {
        Change::Role(role) => (None, Some(role)),
        Change::Enable => (Some(true), None),
        Change::Disable => (Some(false), None),
    };
    with_store(options, async |store| {
        let change = AccountChange {
            user_id: named(store, &name).await?.id,
            by: None,
            is_active,
            role,
        };
        let changed = store.change_account(change).await?;
        let user = changed.map_err(|_| UserError::NoSuchUser(name))?;
        print(&line(&user, state(&user)))?;
        if !store.has_admin().await? {
            eprintln!("hearth: {NO_ADMIN}");
        }
        Ok(())
    })
    .await
}

/// Checks a new account's fields and asks for its password, before anything is opened or made.
async fn new_user(config: &Config, username: String, email: String) -> Result<NewUser, UserError> {
    let mut checks = Checks::default();
    let username = checks.username("username", &username);
    checks.email("email", &email);
    checks.done()?;
    let password = password::read().await?;
    let mut checks = Checks::default();
    passwords::check(&mut checks, "password", &password);
    checks.done()?;
    let passwords = Passwords::start(config.argon2.clone()).map_err(UserError::Threads)?;
    Ok(NewUser {
        username,
        email,
        full_name: None,
        password_hash: passwords.hash(password).await?,
    })
}

async fn add(store: &Store, user: NewUser, role: SiteRole) -> Result<(), UserError> {
    match store.create_account(user, role).await {
        Ok(row) => print(&line(&row.user, state(&row.user))),
        Err(store::Error::Taken(field)) => Err(UserError::Invalid(format!(
            "another account has this {field} already"
        ))),
        Err(error) => Err(error.into()),
    }
}

async fn list(store: &Store) -> Result<(), UserError> {
    let mut after = UserId(0);
    loop {
        let users = store.accounts(after, LIST_ITEMS_MAX).await?;
        let Some(last) = users.last() else {
            return Ok(());
        };
        after = last.user.id;
        for row in &users {
            let state = if row.is_deleted() {
                "deleted"
            } else {
                state(&row.user)
            };
            print(&line(&row.user, state))?;
        }
    }
}

async fn reset(config: &Config, store: &Store, name: &str) -> Result<(), UserError> {
    let user = named(store, name).await?;
    let (code, hash) = codes::new();
    let expires_at = Time(Time::now().0 + RESET_TTL.as_millis() as i64);
    store.allow_reset(user.id, hash, expires_at).await?;
    if !user.is_active {
        eprintln!("hearth: {name} is disabled: the link works after `hearth user enable {name}`");
    }
    print(&codes::link(
        config.public_url.as_ref(),
        Purpose::Reset,
        &code,
    ))
}

fn state(user: &User) -> &'static str {
    if user.is_active { "active" } else { "disabled" }
}

/// One account as it is printed.
fn line(user: &User, state: &str) -> String {
    let role = match user.role {
        SiteRole::Admin => "admin",
        SiteRole::User => "user",
    };
    let email = user.email.as_deref().unwrap_or_default();
    format!("{}\t{}\t{role}\t{state}\t{email}", user.id, user.username)
}

/// A user by name, in any case.
async fn named(store: &Store, name: &str) -> Result<User, UserError> {
    let is_too_long = name.chars().nth(USERNAME_CHARS_MAX).is_some();
    let found = if is_too_long {
        None
    } else {
        store.user_by_name(&fold(name)).await?
    };
    found
        .map(|row| row.user)
        .ok_or_else(|| UserError::NoSuchUser(name.to_owned()))
}

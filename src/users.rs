//! `hearth user`: accounts, looked after by whoever has the database. It works on the database itself, whether
//! a server runs on it or not: what a running one must know of, it reads there within a second. Only a new
//! account may be the first thing in a database, and none changes the schema under a server.

mod password;

use std::{
    io::{self, Write},
    sync::Arc,
};

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
    store::{self, NewUser, Store, admin::AccountChange, migrate},
};

/// Why a command did nothing.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error(
        "there is no database at {0} yet; give the same settings as the server's (HEARTH_DATABASE_URL, \
         HEARTH_DATA_DIR), or begin with `hearth user add`"
    )]
    NoDatabase(String),
    /// A server that is older than this program may be running on it.
    #[error(
        "the database's schema is {0}: `hearth migrate` brings it to {1}, which is this program's; stop an older \
         server before"
    )]
    OlderSchema(u32, u32),
    #[error("there is no user {0}; `hearth user list` shows all")]
    NoSuchUser(String),
    #[error("{0}")]
    Broken(String),
    #[error("the two passwords differ")]
    Differ,
    #[error("the password can't be read: {0}")]
    Unread(io::Error),
    #[error("no threads can be started: {0}")]
    Threads(io::Error),
    #[error("{0}; `hearth check` tells more")]
    Store(#[from] store::Error),
    #[error("the list can't be printed: {0}")]
    Unprinted(io::Error),
}

/// The rules that were broken, each with its field.
impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        let errors = refusal.errors.iter();
        let rules: Vec<_> = errors
            .map(|e| format!("{}: {}", e.field, e.message))
            .collect();
        Fault::Broken(match rules.is_empty() {
            true => refusal.message.into_owned(),
            false => rules.join("; "),
        })
    }
}

/// Does what the command says, and prints what came of it.
pub async fn run(config: &Config, command: UserCommand) -> Result<(), Fault> {
    let schema = migrate::schema_version(&config.database).await?;
    let (fresh, newest) = (schema.is_none(), migrate::newest());
    if let Some(older) = schema.filter(|schema| *schema < newest) {
        return Err(Fault::OlderSchema(older, newest));
    }
    let done = match command {
        UserCommand::Add { name, email, admin } => {
            let user = newcomer(config, name, email).await?;
            if fresh {
                eprintln!("A new database is made: {}", config.database_name());
            }
            let role = match admin {
                true => SiteRole::Admin,
                false => SiteRole::User,
            };
            with_store(config, async |store| add(store, user, role).await).await
        }
        // Most likely these aren't the server's settings: an empty database beside its own helps nobody.
        _ if fresh => return Err(Fault::NoDatabase(config.database_name())),
        UserCommand::List => with_store(config, list).await,
        UserCommand::Reset { name } => {
            with_store(config, async |store| reset(config, store, &name).await).await
        }
        UserCommand::Promote { name } => change(config, name, None, Some(SiteRole::Admin)).await,
        UserCommand::Demote { name } => change(config, name, None, Some(SiteRole::User)).await,
        UserCommand::Disable { name } => change(config, name, Some(false), None).await,
        UserCommand::Enable { name } => change(config, name, Some(true), None).await,
    };
    match done {
        // Whoever reads only the first lines has seen enough.
        Err(Fault::Unprinted(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// Does something with the database, and closes it.
async fn with_store(
    config: &Config,
    act: impl AsyncFnOnce(&Store) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let store = Store::open(&config.database, Arc::new(|_| {})).await?;
    let done = act(&store).await;
    store.close().await;
    done
}

fn print(text: &str) -> Result<(), Fault> {
    let mut out = io::stdout().lock();
    let printed = writeln!(out, "{text}").and_then(|()| out.flush());
    printed.map_err(Fault::Unprinted)
}

async fn change(
    config: &Config,
    name: String,
    is_active: Option<bool>,
    role: Option<SiteRole>,
) -> Result<(), Fault> {
    with_store(config, async |store| {
        let change = AccountChange {
            user_id: named(store, &name).await?.id,
            by: None,
            is_active,
            role,
        };
        let changed = store.change_account(change).await?;
        let user = changed.map_err(|_| Fault::NoSuchUser(name))?;
        print(&line(&user, false))?;
        if !store.has_admin().await? {
            eprintln!("hearth: {NO_ADMIN}");
        }
        Ok(())
    })
    .await
}

/// Somebody who is to get an account: nothing is opened, nor made, before all about him is as it should be.
async fn newcomer(config: &Config, username: String, email: String) -> Result<NewUser, Fault> {
    let mut checks = Checks::default();
    let username = checks.username("username", &username);
    checks.email("email", &email);
    checks.done()?;
    let password = password::read().await?;
    let mut checks = Checks::default();
    passwords::check(&mut checks, "password", &password);
    checks.done()?;
    let passwords = Passwords::start(config.argon2.clone()).map_err(Fault::Threads)?;
    Ok(NewUser {
        username,
        email,
        full_name: None,
        password_hash: passwords.hash(password).await?,
    })
}

async fn add(store: &Store, user: NewUser, role: SiteRole) -> Result<(), Fault> {
    match store.create_account(user, role).await {
        Ok(row) => print(&line(&row.user, false)),
        Err(store::Error::Taken(field)) => {
            Err(Fault::Broken(format!("somebody has this {field} already")))
        }
        Err(error) => Err(error.into()),
    }
}

async fn list(store: &Store) -> Result<(), Fault> {
    let mut after = UserId(0);
    loop {
        let users = store.accounts(after, LIST_ITEMS_MAX).await?;
        let Some(last) = users.last() else {
            return Ok(());
        };
        after = last.user.id;
        for row in &users {
            print(&line(&row.user, row.is_deleted()))?;
        }
    }
}

async fn reset(config: &Config, store: &Store, name: &str) -> Result<(), Fault> {
    let user = named(store, name).await?;
    let (code, hash) = codes::new();
    let expires_at = Time(Time::now().0 + RESET_TTL.as_millis() as i64);
    store.allow_reset(user.id, hash, expires_at).await?;
    if !user.is_active {
        eprintln!("hearth: {name} is disabled: the link works once `hearth user enable` was run");
    }
    print(&codes::link(
        config.public_url.as_ref(),
        Purpose::Reset,
        &code,
    ))
}

/// One account, as it is shown.
fn line(user: &User, is_deleted: bool) -> String {
    let role = match user.role {
        SiteRole::Admin => "admin",
        SiteRole::User => "user",
    };
    let state = match user.is_active {
        true => "active",
        false if is_deleted => "deleted",
        false => "disabled",
    };
    let email = user.email.as_deref().unwrap_or_default();
    format!("{}\t{}\t{role}\t{state}\t{email}", user.id, user.username)
}

/// A user by name, in any case.
async fn named(store: &Store, name: &str) -> Result<User, Fault> {
    let found = match name.chars().nth(USERNAME_CHARS_MAX) {
        Some(_) => None,
        None => store.user_by_name(&fold(name)).await?,
    };
    found
        .map(|row| row.user)
        .ok_or_else(|| Fault::NoSuchUser(name.to_owned()))
}

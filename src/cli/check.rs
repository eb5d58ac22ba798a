//! `hearth check`: examines settings, database and machine without changing them, and says what to do about each fault.
//! It prints to stdout.

use std::{
    collections::HashSet,
    fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use nix::{
    sys::{
        resource::{Resource, getrlimit},
        statvfs::statvfs,
    },
    unistd::{AccessFlags, access},
};

use tokio::time;
use uuid::Uuid;

use crate::{
    auth::secret,
    config::{Config, NO_ADMIN, Secret},
    limits::{CONNECTIONS_MAX, FILES_RESERVED, STATEMENT_DEADLINE},
    protocol::Time,
    search,
    store::{self, Location, Options, migrate},
};

/// The result of one check.
enum Finding {
    Good(String),
    /// It works, but could be better.
    Note(String),
    /// What is wrong, and what to do.
    Fault(String, String),
}

use Finding::{Fault, Good, Note};

/// Prints the settings and all findings. Returns whether none of them is a fault.
pub async fn run(config: &Config, options: &Options) -> bool {
    let mut text = String::from("settings\n");
    for (name, value) in &config.shown {
        text += &format!("  {name}={value}\n");
    }
    let mut findings = vec![data_dir(&config.data_dir)];
    findings.extend(config.unknown.iter().map(|name| {
        Fault(
            format!("{name}: there is no such setting"),
            "See `hearth serve --help` for the right name, or remove it.".into(),
        )
    }));
    if config.jwt_secret.is_none() {
        findings.push(key(&config.data_dir));
    }
    findings.extend(weaknesses(config).into_iter().map(Note));
    findings.extend(database(options, &config.search_dir()).await);
    findings.push(files());
    findings.push(clock());
    text += "findings\n";
    let mut good = true;
    for finding in &findings {
        text += &match finding {
            Good(what) => format!("  ok     {what}\n"),
            Note(what) => format!("  note   {what}\n"),
            Fault(what, remedy) => {
                good = false;
                format!("  FAULT  {what}\n         {remedy}\n")
            }
        };
    }
    // A reader that needs only the first lines may have closed the pipe.
    let _ = io::stdout().write_all(text.as_bytes());
    good
}

fn data_dir(path: &Path) -> Finding {
    let name = path.display();
    match fs::metadata(path) {
        Ok(found) if !found.is_dir() => Fault(
            format!("{name} is not a directory"),
            "Move it away, or set HEARTH_DATA_DIR to a directory.".into(),
        ),
        Ok(_) => match access(path, AccessFlags::W_OK | AccessFlags::X_OK) {
            Ok(()) => Good(format!("data directory {name}: writable")),
            Err(error) => Fault(
                format!("data directory {name}: not writable ({error})"),
                "Give it to the user that runs the server (chown), or set HEARTH_DATA_DIR.".into(),
            ),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => match can_be_made(path) {
            Ok(()) => Note(format!(
                "data directory {name}: not there yet; the first start makes it"
            )),
            Err(error) => Fault(
                format!("data directory {name}: can't be made ({error})"),
                "Make it for the user that runs the server, or set HEARTH_DATA_DIR.".into(),
            ),
        },
        Err(error) => Fault(
            format!("data directory {name}: {error}"),
            "Let the user that runs the server reach it, or set HEARTH_DATA_DIR.".into(),
        ),
    }
}

/// Makes a directory beside the one that is missing, and removes it again. Permissions alone don't tell: on some file
/// systems nothing can be made.
fn can_be_made(path: &Path) -> io::Result<()> {
    let path = std::path::absolute(path)?;
    let above = path.ancestors().find(|above| above.exists());
    let probe = above
        .unwrap_or(&path)
        .join(format!(".hearth-check-{}", Uuid::new_v4()));
    fs::create_dir(&probe)?;
    fs::remove_dir(&probe)
}

fn key(data_dir: &Path) -> Finding {
    let path = data_dir.join(secret::FILE_NAME);
    let name = path.display();
    match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Note(format!(
            "key {name}: not there yet; the first start makes it"
        )),
        Err(error) => Fault(
            format!("key {name}: {error}"),
            "Let the user that runs the server reach it, or set HEARTH_JWT_SECRET.".into(),
        ),
        Ok(found) if found.permissions().mode() & 0o077 != 0 => Fault(
            format!("key {name}: others than its owner may read it"),
            format!(
                "Run: chmod 600 {name}; if others may have read it, remove it: access tokens end, sessions go on."
            ),
        ),
        Ok(_) => match secret::load(data_dir) {
            Ok(_) => Good(format!("key {name}")),
            Err(error) => Fault(
                format!("key {name}: {error}"),
                "Repair or remove it, or set HEARTH_JWT_SECRET.".into(),
            ),
        },
    }
}

/// Settings that are valid but weak.
fn weaknesses(config: &Config) -> Vec<String> {
    /// Different characters of a key. A random key of 32 bytes in hexadecimal digits has about 14.
    const DIFFERENT_MIN: usize = 8;
    let mut notes = Vec::new();
    if config
        .trusted_proxies
        .iter()
        .any(|net| net.prefix_len() == 0)
    {
        notes.push(
            "HEARTH_TRUSTED_PROXIES: every address is trusted, so any client can forge its address and guess \
             passwords from ever new networks; list only the proxies"
                .into(),
        );
    }
    if config
        .listen_metrics
        .is_some_and(|address| address.ip().is_unspecified())
    {
        notes.push(
            "HEARTH_LISTEN_METRICS: listens on all addresses of this machine, so whoever reaches one of them can read \
             the metrics; block the port in a firewall, or give one address"
                .into(),
        );
    }
    let given = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
    let previous = given(&config.jwt_secret_previous);
    let present = given(&config.jwt_secret).or_else(|| secret::load(&config.data_dir).ok());
    if previous.is_some() && previous == present {
        notes.push(
            "HEARTH_JWT_SECRET_PREVIOUS: the same as the present key, so no key was replaced"
                .into(),
        );
    }
    for (name, key) in [
        ("HEARTH_JWT_SECRET", present),
        ("HEARTH_JWT_SECRET_PREVIOUS", previous),
    ] {
        let different: Option<HashSet<u8>> = key.map(|key| key.bytes().collect());
        if different.is_some_and(|different| different.len() < DIFFERENT_MIN) {
            notes.push(format!(
                "{name}: it has few different characters; whoever guesses it can forge tokens; use a random one \
                 (openssl rand -hex 32)"
            ));
        }
    }
    notes
}

/// Whether the database answers, whether this program can use its schema, and whether it has an active admin.
async fn database(options: &Options, search_dir: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Location::Sqlite(path) = &options.location {
        let directory = match path.parent() {
            Some(directory) if directory != Path::new("") => directory,
            _ => Path::new("."),
        };
        if directory.is_dir() {
            if let Err(error) = store::lockable(options) {
                return vec![Fault(
                    format!("database: {error}"),
                    "Set HEARTH_DATABASE_URL, or HEARTH_DATA_DIR, to a file system that supports locks.".into(),
                )];
            }
            findings.push(disk_space(directory));
        }
        if path.exists() {
            findings.push(Note(
                "backups: `hearth backup PATH` makes them, also while the server runs; a copy made by cp of a database in use \
                 misses its write-ahead log or is torn, and cp onto a database in use destroys it"
                    .into(),
            ));
        }
    }
    findings.extend(schema(options, search_dir).await);
    findings
}

/// How much an SQLite database may still grow.
fn disk_space(directory: &Path) -> Finding {
    const LOW_MIB: u64 = 256;
    let name = directory.display();
    #[allow(clippy::useless_conversion, reason = "the types differ by platform")]
    let free = statvfs(directory)
        .map(|disk| u64::from(disk.blocks_available()) * u64::from(disk.fragment_size()));
    match free.map(|bytes| bytes / (1024 * 1024)) {
        Ok(0) => Fault(
            format!("disk of {name}: full"),
            "Free some space: until then changes are refused, and what is stored can be read."
                .into(),
        ),
        Ok(free) if free < LOW_MIB => Note(format!("disk of {name}: {free} MiB are left")),
        Ok(free) => Good(format!("disk of {name}: {free} MiB are left")),
        Err(error) => Note(format!("disk of {name}: {error}")),
    }
}

/// Whether the database answers, and whether this program can use it.
async fn schema(options: &Options, search_dir: &Path) -> Vec<Finding> {
    let known = migrate::newest();
    let version = migrate::schema_version(options);
    let version = match time::timeout(STATEMENT_DEADLINE, version).await {
        Ok(version) => version,
        Err(_) => Err(store::Error::Unavailable("it doesn't answer".into())),
    };
    let finding = match version {
        Ok(None) => Note("database: no schema yet; the first start makes it".into()),
        Ok(Some(found)) if found == known => {
            let mut findings = fit(options, found).await;
            findings.push(administered(options).await);
            findings.push(indexed(options, search_dir).await);
            return findings;
        }
        Ok(Some(found)) if found < known => Note(format!(
            "database: answers, schema {found}; the next start brings it to {known}"
        )),
        Ok(Some(found)) => Fault(
            format!("database: schema {found}, newer than the {known} that this program knows"),
            "Start the newer program, or restore a backup from before it.".into(),
        ),
        Err(store::Error::Schema(why)) => Fault(
            format!("database: {why}"),
            "Set HEARTH_DATABASE_URL to another database.".into(),
        ),
        Err(error) => Fault(
            format!("database: {error}"),
            match options.location {
                Location::Sqlite(_) => "Let the user that runs the server read and write the file \
                                        and its directory; check that the disk isn't full."
                    .into(),
                Location::Mysql(_) => "Check that it runs and can be reached from here, that host, user, password \
                                       and name in HEARTH_DATABASE_URL are right, and, if the error names a limit, \
                                       raise it."
                    .into(),
            },
        ),
    };
    vec![finding]
}

/// Whether the settings of a database with this program's schema are as Hearth needs them.
async fn fit(options: &Options, schema: u32) -> Vec<Finding> {
    let good = format!("database: answers, schema {schema}");
    match time::timeout(STATEMENT_DEADLINE, store::weaknesses(options)).await {
        Ok(Ok(found)) if found.is_empty() => vec![Good(format!("{good}, durable"))],
        Ok(Ok(found)) => {
            let faults = found
                .into_iter()
                .map(|found| Fault(format!("database: {}", found.what), found.remedy));
            faults.collect()
        }
        Ok(Err(error)) => vec![Note(format!("{good}; its settings can't be read: {error}"))],
        Err(_) => vec![Note(format!("{good}; its settings can't be read in time"))],
    }
}

/// Whether the site has an active admin.
async fn administered(options: &Options) -> Finding {
    match time::timeout(STATEMENT_DEADLINE, migrate::has_admin(options)).await {
        Ok(Ok(true)) => Good("admins: there is an active one".into()),
        Ok(Ok(false)) => Note(format!("admins: {NO_ADMIN}")),
        Ok(Err(error)) => Note(format!("admins: {error}")),
        Err(_) => Note("admins: the database doesn't answer".into()),
    }
}

/// How much of the log the search index holds.
async fn indexed(options: &Options, search_dir: &Path) -> Finding {
    let stored = match time::timeout(STATEMENT_DEADLINE, migrate::changes(options)).await {
        Ok(Ok(stored)) => stored,
        Ok(Err(error)) => return Note(format!("search index: {error}")),
        Err(_) => return Note("search index: the database doesn't answer".into()),
    };
    let Some(indexed) = search::changes(search_dir) else {
        return Note("search index: not there yet; the server makes it while it runs".into());
    };
    let indexed = indexed.min(stored);
    if indexed == stored {
        return Good(format!("search index: all {stored} changes"));
    }
    Note(format!(
        "search index: {indexed} of {stored} changes; the server indexes the rest while it runs"
    ))
}

fn files() -> Finding {
    let wanted = CONNECTIONS_MAX + FILES_RESERVED;
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((_, hard)) if hard >= wanted as u64 => Good(format!("open files: up to {hard}")),
        Ok((_, hard)) => Note(format!(
            "open files: up to {hard}; {wanted} are needed for {CONNECTIONS_MAX} connections \
             (ulimit -Hn, LimitNOFILE= of systemd, --ulimit of Docker)"
        )),
        Err(error) => Note(format!("open files: {error}")),
    }
}

/// Tokens and messages carry the time. A clock that was never set shows a time before this version was made.
fn clock() -> Finding {
    /// 2026-01-01, before this was written.
    const EARLIEST: Time = Time(1_767_225_600_000);
    let now = Time::now();
    if now >= EARLIEST {
        return Good(format!("clock: {now}"));
    }
    Fault(
        format!("clock: {now}, which is in the past"),
        "Set the machine's clock, and keep it right with NTP (timedatectl set-ntp true).".into(),
    )
}

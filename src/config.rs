//! Flags, the environment and the working directory's `.env`, read into one validated [`Config`]: the only reader of the
//! environment.
//!
//! Invariants: all settings are validated at once, and every fault is told with its name and rule. An empty
//! value means the default. Secrets are never printed.

mod values;

#[cfg(test)]
mod tests;

use std::{
    ffi::{OsStr, OsString},
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use ipnet::IpNet;
use tracing_subscriber::EnvFilter;
use url::Url;

pub use self::values::Secret;
use self::values::{
    OrDefault, argon2_params, duration, location, networks, origins, public, registration, shown,
};
use crate::{
    limits::{ACCESS_TTL_MAX, REFRESH_TTL_MAX, SECRET_BYTES_MIN},
    protocol::rest::Registration,
    store::{Location, Options},
};

/// The exit code for faulty settings: EX_USAGE of sysexits.h.
pub const EXIT_USAGE: u8 = 64;
const POOL_MAX: usize = 1_000;

/// A self-hosted real-time chat server.
#[derive(Parser)]
#[command(
    name = "hearth",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    max_term_width = 100
)]
struct CommandLine {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Command,
}

/// What the program is to do.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the server
    Serve,
    /// Bring the database to this version's schema, then exit (serve does so at its start, too)
    Migrate,
    /// Delete everything in the database, then make it anew
    Reset {
        /// Yes, delete everything
        #[arg(long)]
        yes: bool,
    },
    /// Copy the SQLite database to a new file, whether the server runs or not
    Backup {
        /// The file to make
        #[arg(value_name = "PATH")]
        to: PathBuf,
    },
    /// Put a backup in the place of the SQLite database; what was there stays beside it. Stop the server before
    Restore {
        /// The backup
        #[arg(value_name = "PATH")]
        from: PathBuf,
    },
    /// Let clients know that the log went back in time, after a restore by other means
    Epoch {
        #[command(subcommand)]
        command: EpochCommand,
    },
    /// Look at settings, database and machine, and say what to do about each fault
    Check,
    /// Ask the running server whether it is alive: exit code 0, or 1 and why not
    Health,
    /// Look after accounts, whether the server runs or not
    User {
        #[command(subcommand)]
        command: UserCommand,
    },
}

/// What is to be done to the log's epoch.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum EpochCommand {
    /// Give the log another one: clients read everything anew. Stop the servers before
    Renew,
}

/// What is to be done to accounts.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum UserCommand {
    /// Make an account; its password is asked for, or read from standard input
    Add {
        /// The account's name: 3 to 32 letters with their marks, digits, dots, underscores and hyphens
        name: String,
        /// His e-mail address
        #[arg(long)]
        email: String,
        /// Make him an admin of the site
        #[arg(long)]
        admin: bool,
    },
    /// Show all accounts
    List,
    /// Make somebody an admin of the site
    Promote {
        /// The account's name, in any case
        name: String,
    },
    /// Make an admin a plain user
    Demote {
        /// The account's name, in any case
        name: String,
    },
    /// End somebody's log-ins and let him in no more
    Disable {
        /// The account's name, in any case
        name: String,
    },
    /// Let somebody in again
    Enable {
        /// The account's name, in any case
        name: String,
    },
    /// Print a link with which somebody sets a new password, once, within 24 hours
    Reset {
        /// The account's name, in any case
        name: String,
    },
}

/// Told wherever it is seen: there are no default accounts, so a command, which has the database's rights, makes
/// the first admin.
pub const NO_ADMIN: &str = "there is no active admin: `hearth user add NAME --email ADDRESS --admin` makes one, \
                            `hearth user promote NAME` makes one of somebody who has an account";

/// The settings as they were given. Each is documented in .env.example, too; a test compares.
#[derive(clap::Args)]
#[command(next_help_heading = "Settings (flags, environment, or a .env file)")]
struct Settings {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, env = "HEARTH_LISTEN", default_value = "127.0.0.1:8000")]
    #[arg(global = true, value_name = "ADDRESS:PORT")]
    listen: String,

    /// Address and port for lines of JSON over plain TCP, without encryption; port 0 takes a free one
    /// [default: off]
    #[arg(long, env = "HEARTH_LISTEN_TCP")]
    #[arg(global = true, value_name = "ADDRESS:PORT")]
    listen_tcp: Option<String>,

    /// Address and port for /metrics in Prometheus' text format: keep it from strangers; port 0 takes a free one
    /// [default: off]
    #[arg(long, env = "HEARTH_LISTEN_METRICS")]
    #[arg(global = true, value_name = "ADDRESS:PORT")]
    listen_metrics: Option<String>,

    /// The URL under which people reach this server: for links, for cookies, and the origin that counts as its own
    /// [default: none; the host that a request names]
    #[arg(long, env = "HEARTH_PUBLIC_URL")]
    #[arg(global = true, value_name = "URL")]
    public_url: Option<String>,

    /// Origins of web pages elsewhere that may use the API, separated by commas
    #[arg(long, env = "HEARTH_CORS_ORIGINS")]
    #[arg(global = true, value_name = "ORIGINS")]
    cors_origins: Option<String>,

    /// Proxies that are believed about who came to them (X-Forwarded-For): addresses or networks, separated by
    /// commas, as 127.0.0.1,10.0.0.0/8
    #[arg(long, env = "HEARTH_TRUSTED_PROXIES")]
    #[arg(global = true, value_name = "NETWORKS")]
    trusted_proxies: Option<String>,

    /// Connections that one address may have open, or one network of IPv6 (/64); those that come by a trusted proxy are
    /// counted by the address that it names [default: a quarter of what the server takes, 4500]
    #[arg(long, env = "HEARTH_CONNECTIONS_PER_ADDRESS")]
    #[arg(global = true, value_name = "NUMBER")]
    connections_per_address: Option<String>,

    /// Database: sqlite://PATH or mysql://USER:PASSWORD@HOST[:PORT]/NAME
    /// [default: sqlite://DATA_DIR/hearth.db]
    #[arg(long, env = "HEARTH_DATABASE_URL", hide_env_values = true)]
    #[arg(global = true, value_name = "URL")]
    database_url: Option<String>,

    /// Database connections kept for reading, 1 to 1000
    #[arg(long, env = "HEARTH_DATABASE_POOL", default_value = "8")]
    #[arg(global = true, value_name = "NUMBER")]
    database_pool: String,

    /// Directory for what the server keeps beside the database; made when absent
    #[arg(long, env = "HEARTH_DATA_DIR", default_value = "./data")]
    #[arg(global = true, value_name = "PATH")]
    data_dir: String,

    /// Key that signs access tokens, at least 32 bytes [default: made once, kept in the data
    /// directory]
    #[arg(long, env = "HEARTH_JWT_SECRET", hide_env_values = true)]
    #[arg(global = true, value_name = "SECRET")]
    jwt_secret: Option<String>,

    /// The key before HEARTH_JWT_SECRET: its tokens are still accepted, none is signed with it
    #[arg(long, env = "HEARTH_JWT_SECRET_PREVIOUS", hide_env_values = true)]
    #[arg(global = true, value_name = "SECRET")]
    jwt_secret_previous: Option<String>,

    /// Life of an access token, at most 1d: a number and s, m, h or d
    #[arg(long, env = "HEARTH_ACCESS_TTL", default_value = "30m")]
    #[arg(global = true, value_name = "DURATION")]
    access_ttl: String,

    /// Life of a log-in that isn't used, at most 365d: a number and s, m, h or d
    #[arg(long, env = "HEARTH_REFRESH_TTL", default_value = "7d")]
    #[arg(global = true, value_name = "DURATION")]
    refresh_ttl: String,

    /// Who may register: open (everybody), invite (whoever has an invite), closed (nobody)
    #[arg(long, env = "HEARTH_REGISTRATION", default_value = "open")]
    #[arg(global = true, value_name = "open|invite|closed")]
    registration: String,

    /// What to log, to stderr: off, error, warn, info, debug, trace, also by module
    /// (info,hearth::store=debug)
    #[arg(long, env = "HEARTH_LOG", default_value = "info")]
    #[arg(global = true, value_name = "FILTER")]
    log: String,

    /// How to log: text or json
    #[arg(long, env = "HEARTH_LOG_FORMAT", default_value = "text")]
    #[arg(global = true, value_name = "FORMAT")]
    log_format: String,

    /// Cost of a password's Argon2id hash: memory in KiB, passes, lanes
    #[arg(long, env = "HEARTH_ARGON2", default_value = "m=19456,t=2,p=1")]
    #[arg(global = true, value_name = "m=KIB,t=PASSES,p=LANES")]
    argon2: String,

    /// Limits by user: on, or off for measurements
    #[arg(long, env = "HEARTH_RATE_LIMITS", default_value = "on")]
    #[arg(global = true, value_name = "on|off")]
    rate_limits: String,
}

/// The validated settings.
pub struct Config {
    pub listen: SocketAddr,
    /// For lines over plain TCP.
    pub listen_tcp: Option<SocketAddr>,
    /// For who reads the metrics.
    pub listen_metrics: Option<SocketAddr>,
    /// `http` or `https`, without a path.
    pub public_url: Option<Url>,
    /// As browsers write them.
    pub cors_origins: Vec<String>,
    pub trusted_proxies: Vec<IpNet>,
    /// `None`: a share of all.
    pub connections_per_address: Option<usize>,
    pub database: Options,
    pub data_dir: PathBuf,
    /// `None`: the one in the data directory ([`crate::auth::secret`]).
    pub jwt_secret: Option<Secret>,
    pub jwt_secret_previous: Option<Secret>,
    pub access_ttl: Duration,
    pub refresh_ttl: Duration,
    pub registration: Registration,
    /// A valid filter; it is kept as text because it can't be cloned otherwise.
    pub log_filter: String,
    pub log_format: LogFormat,
    pub argon2: argon2::Params,
    pub rate_limits: bool,
    /// Names in the environment that look like settings and are none: mistyped, perhaps.
    pub unknown: Vec<String>,
    /// Name and value of each setting, secrets hidden, to be shown.
    pub shown: Vec<(&'static str, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// Why there is no [`Config`].
#[derive(Debug)]
pub enum Fault {
    /// Help or version was asked for, or the command line is faulty: clap's own message.
    CommandLine(clap::Error),
    /// `.env` is there and can't be read, and why.
    DotEnv(String),
    /// Every setting that breaks its rule.
    Settings(Vec<String>),
}

/// Reads `.env`, the environment and the command line. Call it before any thread is started: it
/// changes the environment.
pub fn load() -> Result<(Command, Config), Fault> {
    // In the working directory alone: what stands above it is somebody else's, as a project's that Hearth is started in.
    match dotenvy::from_path(".env") {
        // Not the line itself: it may hold a secret.
        Err(dotenvy::Error::LineParse(..)) => {
            let rule = "a line isn't NAME=VALUE; quote values that have spaces";
            return Err(Fault::DotEnv(rule.into()));
        }
        Err(error) if !error.not_found() => return Err(Fault::DotEnv(error.to_string())),
        _ => {}
    }
    let (command, mut config) = parse(std::env::args_os())?;
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    config.unknown = unknown(names);
    Ok((command, config))
}

/// Of these names, those that begin as a setting's and aren't one.
fn unknown(names: impl Iterator<Item = String>) -> Vec<String> {
    let line = CommandLine::command();
    let known: Vec<&OsStr> = line.get_arguments().filter_map(|of| of.get_env()).collect();
    let mut unknown: Vec<String> = names
        .filter(|name| name.starts_with("HEARTH_") && !known.contains(&OsStr::new(name)))
        .collect();
    unknown.sort();
    unknown
}

/// Every command takes the settings; the help of `serve` alone shows them.
fn command_line() -> clap::Command {
    let line = CommandLine::command().mut_args(|arg| match arg.get_env() {
        Some(_) => arg.value_parser(OrDefault),
        None => arg,
    });
    let settings = line.get_arguments().filter(|arg| arg.is_global_set());
    let hidden: Vec<_> = settings.map(|arg| arg.clone().hide(true)).collect();
    line.mut_subcommands(|command| match command.get_name() {
        "serve" => command,
        _ => command
            .args(&hidden)
            .after_help("It takes the server's settings: `hearth serve --help` lists them."),
    })
}

fn parse<T: Into<OsString> + Clone>(
    arguments: impl IntoIterator<Item = T>,
) -> Result<(Command, Config), Fault> {
    let matches = command_line().try_get_matches_from(arguments);
    let line = matches.and_then(|matches| CommandLine::from_arg_matches(&matches));
    let line = line.map_err(Fault::CommandLine)?;
    let config = line.settings.validate().map_err(Fault::Settings)?;
    Ok((line.command, config))
}

impl Config {
    /// Where the database is, wherever one stands, and without its password.
    pub fn database_name(&self) -> String {
        match &self.database.location {
            Location::Sqlite(path) => {
                let whole = std::path::absolute(path);
                shown(&Location::Sqlite(whole.unwrap_or_else(|_| path.clone())))
            }
            elsewhere => shown(elsewhere),
        }
    }
}

impl Settings {
    fn validate(self) -> Result<Config, Vec<String>> {
        let mut faults = Vec::new();
        let mut fault = |name: &str, rule: &str| faults.push(format!("{name}: {rule}"));

        // Those that have no default are absent when they are empty.
        let database_url = self.database_url.filter(|url| !url.is_empty());
        let jwt_secret = self.jwt_secret.filter(|secret| !secret.is_empty());
        let previous = self.jwt_secret_previous.filter(|secret| !secret.is_empty());
        let listen_tcp = self.listen_tcp.filter(|address| !address.is_empty());
        let listen_metrics = self.listen_metrics.filter(|address| !address.is_empty());

        let listen = self.listen.parse::<SocketAddr>().ok();
        if listen.is_none() {
            fault("HEARTH_LISTEN", "an address and a port, as 127.0.0.1:8000");
        }
        let mut optional = |name: &str, address: &Option<String>, rule: &str| {
            let address = address.as_deref().map(str::parse::<SocketAddr>);
            address.transpose().unwrap_or_else(|_| {
                fault(name, rule);
                None
            })
        };
        let rule = "an address and a port, as 127.0.0.1:8001, or nothing";
        let lines = optional("HEARTH_LISTEN_TCP", &listen_tcp, rule);
        let rule = "an address and a port, as 127.0.0.1:8002, or nothing";
        let metrics = optional("HEARTH_LISTEN_METRICS", &listen_metrics, rule);
        // A port of 0 is another one each time.
        let fixed = |address: Option<SocketAddr>| address.filter(|address| address.port() != 0);
        if fixed(lines).is_some() && lines == listen {
            fault("HEARTH_LISTEN_TCP", "another address than HEARTH_LISTEN");
        }
        if fixed(metrics).is_some() && (metrics == listen || metrics == lines) {
            let rule = "another address than HEARTH_LISTEN and HEARTH_LISTEN_TCP";
            fault("HEARTH_LISTEN_METRICS", rule);
        }
        let public_url = self.public_url.filter(|url| !url.is_empty());
        let public = public_url.as_deref().map(public).transpose();
        let public = public.unwrap_or_else(|rule| {
            fault("HEARTH_PUBLIC_URL", rule);
            None
        });
        let cors_origins = self.cors_origins.unwrap_or_default();
        let origins = origins(&cors_origins);
        if origins.is_none() {
            let rule = "origins, as https://example.org or http://localhost:5173, each with one host: never *";
            fault("HEARTH_CORS_ORIGINS", rule);
        }
        let trusted_proxies = self.trusted_proxies.unwrap_or_default();
        let proxies = networks(&trusted_proxies);
        if proxies.is_none() {
            let rule = "addresses or networks, as 127.0.0.1,10.0.0.0/8";
            fault("HEARTH_TRUSTED_PROXIES", rule);
        }
        let per_address = self
            .connections_per_address
            .filter(|count| !count.is_empty());
        let of_one = per_address.as_ref().map(|count| count.parse::<usize>());
        if of_one
            .as_ref()
            .is_some_and(|count| !matches!(count, Ok(1..)))
        {
            let rule = "a number from 1 on, or nothing";
            fault("HEARTH_CONNECTIONS_PER_ADDRESS", rule);
        }
        let data_dir = PathBuf::from(&self.data_dir);
        let location = match &database_url {
            Some(url) => location(url).map_err(|rule| fault("HEARTH_DATABASE_URL", rule)),
            None => Ok(Location::Sqlite(data_dir.join("hearth.db"))),
        };
        let pool = self.database_pool.parse::<usize>().ok();
        let pool = pool.filter(|pool| (1..=POOL_MAX).contains(pool));
        if pool.is_none() {
            fault("HEARTH_DATABASE_POOL", "a number from 1 to 1000");
        }
        for (name, secret) in [
            ("HEARTH_JWT_SECRET", &jwt_secret),
            ("HEARTH_JWT_SECRET_PREVIOUS", &previous),
        ] {
            if secret.as_ref().is_some_and(|s| s.len() < SECRET_BYTES_MIN) {
                fault(name, "at least 32 bytes, better random ones");
            }
        }
        let access_ttl = duration(&self.access_ttl).filter(|ttl| *ttl <= ACCESS_TTL_MAX);
        if access_ttl.is_none() {
            fault("HEARTH_ACCESS_TTL", "from 1s to 1d, as 90s, 30m, 12h or 1d");
        }
        let refresh_ttl = duration(&self.refresh_ttl).filter(|ttl| *ttl <= REFRESH_TTL_MAX);
        if refresh_ttl.is_none() {
            fault("HEARTH_REFRESH_TTL", "from 1s to 365d, as 12h or 7d");
        } else if refresh_ttl < access_ttl {
            fault("HEARTH_REFRESH_TTL", "not shorter than HEARTH_ACCESS_TTL");
        }
        let registration = registration(&self.registration);
        if registration.is_none() {
            fault("HEARTH_REGISTRATION", "open, invite or closed");
        }
        if EnvFilter::try_new(&self.log).is_err() {
            fault(
                "HEARTH_LOG",
                "a filter, as info or info,hearth::store=debug",
            );
        }
        let log_format = match &*self.log_format {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            _ => None,
        };
        if log_format.is_none() {
            fault("HEARTH_LOG_FORMAT", "text or json");
        }
        let argon2 = argon2_params(&self.argon2);
        if argon2.is_none() {
            let rule =
                "m (KiB, 8 x p to 4194304), t (1 to 100) and p (1 to 64), as m=19456,t=2,p=1";
            fault("HEARTH_ARGON2", rule);
        }
        let rate_limits = match &*self.rate_limits {
            "on" => Some(true),
            "off" => Some(false),
            _ => None,
        };
        if rate_limits.is_none() {
            fault("HEARTH_RATE_LIMITS", "on or off");
        }

        let (
            Some(listen),
            Ok(location),
            Some(pool),
            Some(access_ttl),
            Some(refresh_ttl),
            Some(registration),
            Some(log_format),
            Some(argon2),
            Some(rate_limits),
            true,
        ) = (
            listen,
            location,
            pool,
            access_ttl,
            refresh_ttl,
            registration,
            log_format,
            argon2,
            rate_limits,
            faults.is_empty(),
        )
        else {
            return Err(faults);
        };
        let secret = match jwt_secret {
            Some(_) => "(hidden)".into(),
            None => format!(
                "(in {})",
                data_dir.join(crate::auth::secret::FILE_NAME).display()
            ),
        };
        let shown = vec![
            ("HEARTH_LISTEN", self.listen),
            (
                "HEARTH_LISTEN_TCP",
                listen_tcp.unwrap_or_else(|| "(off)".into()),
            ),
            (
                "HEARTH_LISTEN_METRICS",
                listen_metrics.unwrap_or_else(|| "(off)".into()),
            ),
            (
                "HEARTH_PUBLIC_URL",
                public_url.unwrap_or_else(|| "(none)".into()),
            ),
            ("HEARTH_CORS_ORIGINS", cors_origins),
            ("HEARTH_TRUSTED_PROXIES", trusted_proxies),
            (
                "HEARTH_CONNECTIONS_PER_ADDRESS",
                per_address.unwrap_or_else(|| "(a quarter)".into()),
            ),
            ("HEARTH_DATABASE_URL", shown(&location)),
            ("HEARTH_DATABASE_POOL", self.database_pool),
            ("HEARTH_DATA_DIR", self.data_dir),
            ("HEARTH_JWT_SECRET", secret),
            (
                "HEARTH_JWT_SECRET_PREVIOUS",
                if previous.is_some() {
                    "(hidden)"
                } else {
                    "(none)"
                }
                .into(),
            ),
            ("HEARTH_ACCESS_TTL", self.access_ttl),
            ("HEARTH_REFRESH_TTL", self.refresh_ttl),
            ("HEARTH_REGISTRATION", self.registration),
            ("HEARTH_LOG", self.log.clone()),
            ("HEARTH_LOG_FORMAT", self.log_format),
            ("HEARTH_ARGON2", self.argon2),
            ("HEARTH_RATE_LIMITS", self.rate_limits),
        ];
        Ok(Config {
            listen,
            listen_tcp: lines,
            listen_metrics: metrics,
            public_url: public,
            cors_origins: origins.unwrap_or_default(),
            trusted_proxies: proxies.unwrap_or_default(),
            connections_per_address: of_one.and_then(Result::ok),
            database: Options::new(location, pool, crate::auth::tokens::sha256),
            data_dir,
            jwt_secret: jwt_secret.map(Secret::new),
            jwt_secret_previous: previous.map(Secret::new),
            access_ttl,
            refresh_ttl,
            registration,
            log_filter: self.log,
            log_format,
            argon2,
            rate_limits,
            unknown: Vec::new(),
            shown,
        })
    }
}

//! The settings: one table with the name, the help, the rule and the reader of each, and the [`Config`] that they are
//! read into.
//!
//! The table is the only source of the flags, of their help, of the errors, and of what `hearth check` lists; a test holds
//! `.env.example` to it.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Arg;
use ipnet::IpNet;
use url::Url;

use super::values::{
    self, Rule, Secret, address, argon2_params, duration, in_days, location, log_filter, networks,
    number, on_or_off, optional_address, optional_count, origins, public_url, secret,
};
use crate::{
    auth::secret::FILE_NAME,
    limits::{
        ACCESS_TTL_MAX, CONNECTIONS_MAX, DATABASE_POOL_MAX, REFRESH_TTL_MAX, SEARCH_PURGE_MAX,
        SECRET_BYTES_MIN, SHARES_OF_CONNECTIONS,
    },
    protocol::rest::Registration,
    store::Location,
};

/// The validated settings.
pub struct Config {
    pub listen: SocketAddr,
    /// For lines over plain TCP.
    pub listen_tcp: Option<SocketAddr>,
    pub listen_metrics: Option<SocketAddr>,
    /// `http` or `https`, without a path.
    pub public_url: Option<Url>,
    /// As browsers write them.
    pub cors_origins: Vec<String>,
    pub trusted_proxies: Vec<IpNet>,
    /// `None`: a share of all.
    pub connections_per_address: Option<usize>,
    pub database: Location,
    /// Database connections for reading.
    pub database_pool: usize,
    pub data_dir: PathBuf,
    /// How often words of deleted and edited messages leave the files of the search index.
    pub search_purge: Duration,
    /// `None`: the key in the data directory ([`crate::auth::secret`]).
    pub jwt_secret: Option<Secret>,
    pub jwt_secret_previous: Option<Secret>,
    pub access_ttl: Duration,
    pub refresh_ttl: Duration,
    pub registration: Registration,
    /// A valid filter. It is kept as text because a parsed filter can't be cloned.
    pub log_filter: String,
    pub log_format: LogFormat,
    pub argon2: argon2::Params,
    pub rate_limits: bool,
    /// Variables of the environment that begin as a setting's and are none: mistyped, perhaps.
    pub unknown: Vec<String>,
    /// Name and value of each setting, secrets hidden.
    pub shown: Vec<(&'static str, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

impl Config {
    /// Where no setting has been read yet. Those that have a default are always read; until then their values contradict
    /// no other.
    fn unread() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            listen_tcp: None,
            listen_metrics: None,
            public_url: None,
            cors_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            connections_per_address: None,
            database: Location::Sqlite(PathBuf::new()),
            database_pool: 0,
            data_dir: PathBuf::new(),
            search_purge: Duration::ZERO,
            jwt_secret: None,
            jwt_secret_previous: None,
            access_ttl: Duration::ZERO,
            refresh_ttl: Duration::MAX,
            registration: Registration::Closed,
            log_filter: String::new(),
            log_format: LogFormat::Text,
            argon2: argon2::Params::DEFAULT,
            rate_limits: true,
            unknown: Vec::new(),
            shown: Vec::new(),
        }
    }

    /// Where the search index is.
    pub fn search_dir(&self) -> PathBuf {
        self.data_dir.join("search")
    }

    /// Where the database is, as an absolute path or a URL without its password.
    pub fn database_name(&self) -> String {
        match &self.database {
            Location::Sqlite(path) => {
                let absolute = std::path::absolute(path);
                values::shown(&Location::Sqlite(absolute.unwrap_or_else(|_| path.clone())))
            }
            elsewhere => values::shown(elsewhere),
        }
    }
}

/// One setting.
pub struct Setting {
    /// The variable of the environment.
    pub name: &'static str,
    pub flag: &'static str,
    /// What stands for the value in the help.
    value: &'static str,
    pub default: Option<&'static str>,
    is_secret: bool,
    help: fn() -> String,
    /// Reads a text that isn't empty. The error is the rule that the text breaks.
    read: fn(&mut Config, &str) -> Result<(), Rule>,
    /// The value as it may be printed, from the settings as they were read and from its text.
    shown: fn(&Config, &str) -> String,
}

pub const SETTINGS: [Setting; 20] = [
    Setting {
        name: "HEARTH_LISTEN",
        flag: "listen",
        value: "ADDRESS:PORT",
        default: Some("127.0.0.1:8000"),
        is_secret: false,
        help: || "Address and port to listen on; port 0 takes a free one".into(),
        read: |config, text| {
            config.listen = address(text)?;
            Ok(())
        },
        shown: as_given,
    },
    Setting {
        name: "HEARTH_LISTEN_TCP",
        flag: "listen-tcp",
        value: "ADDRESS:PORT",
        default: None,
        is_secret: false,
        help: || {
            "Address and port for lines of JSON over plain TCP, without encryption; port 0 takes a free one \
             [default: off]"
                .into()
        },
        read: |config, text| {
            config.listen_tcp = Some(optional_address(text, "127.0.0.1:8001")?);
            Ok(())
        },
        shown: or_off,
    },
    Setting {
        name: "HEARTH_LISTEN_METRICS",
        flag: "listen-metrics",
        value: "ADDRESS:PORT",
        default: None,
        is_secret: false,
        help: || {
            "Address and port for /metrics in Prometheus' text format: keep it from strangers; port 0 takes a free one \
             [default: off]"
                .into()
        },
        read: |config, text| {
            config.listen_metrics = Some(optional_address(text, "127.0.0.1:8002")?);
            Ok(())
        },
        shown: or_off,
    },
    Setting {
        name: "HEARTH_PUBLIC_URL",
        flag: "public-url",
        value: "URL",
        default: None,
        is_secret: false,
        help: || {
            "The URL under which people reach this server: for links, for cookies, and the origin that counts as the \
             server's own [default: none; the host that a request names]"
                .into()
        },
        read: |config, text| {
            config.public_url = Some(public_url(text)?);
            Ok(())
        },
        shown: or_none,
    },
    Setting {
        name: "HEARTH_CORS_ORIGINS",
        flag: "cors-origins",
        value: "ORIGINS",
        default: None,
        is_secret: false,
        help: || "Origins of other web pages that may use the API, separated by commas".into(),
        read: |config, text| {
            config.cors_origins = origins(text)?;
            Ok(())
        },
        shown: as_given,
    },
    Setting {
        name: "HEARTH_TRUSTED_PROXIES",
        flag: "trusted-proxies",
        value: "NETWORKS",
        default: None,
        is_secret: false,
        help: || {
            "Proxies that are trusted to name their client (X-Forwarded-For): addresses or networks, separated by \
             commas, such as 127.0.0.1,10.0.0.0/8"
                .into()
        },
        read: |config, text| {
            config.trusted_proxies = networks(text)?;
            Ok(())
        },
        shown: as_given,
    },
    Setting {
        name: "HEARTH_CONNECTIONS_PER_ADDRESS",
        flag: "connections-per-address",
        value: "NUMBER",
        default: None,
        is_secret: false,
        help: || {
            format!(
                "Connections that one address may have open, or one network of IPv6 (/64); connections by a trusted \
                 proxy count for the address that it names [default: a quarter of what the server takes, {}]",
                CONNECTIONS_MAX / SHARES_OF_CONNECTIONS
            )
        },
        read: |config, text| {
            config.connections_per_address = Some(optional_count(text)?);
            Ok(())
        },
        shown: |_, text| unless_empty(text, "(a quarter)"),
    },
    Setting {
        name: "HEARTH_DATABASE_URL",
        flag: "database-url",
        value: "URL",
        default: None,
        is_secret: true,
        help: || {
            "Database: sqlite://PATH or mysql://USER:PASSWORD@HOST[:PORT]/NAME [default: sqlite://DATA_DIR/hearth.db]"
                .into()
        },
        read: |config, text| {
            config.database = location(text)?;
            Ok(())
        },
        shown: |config, _| values::shown(&config.database),
    },
    Setting {
        name: "HEARTH_DATABASE_POOL",
        flag: "database-pool",
        value: "NUMBER",
        default: Some("8"),
        is_secret: false,
        help: || format!("Database connections kept for reading, 1 to {DATABASE_POOL_MAX}"),
        read: |config, text| {
            config.database_pool = number(text, 1..=DATABASE_POOL_MAX)?;
            Ok(())
        },
        shown: as_given,
    },
    Setting {
        name: "HEARTH_DATA_DIR",
        flag: "data-dir",
        value: "PATH",
        default: Some("./data"),
        is_secret: false,
        help: || {
            "Directory for what the server keeps beside the database; created when absent".into()
        },
        read: |config, text| {
            config.data_dir = text.into();
            Ok(())
        },
        shown: as_given,
    },
    Setting {
        name: "HEARTH_JWT_SECRET",
        flag: "jwt-secret",
        value: "SECRET",
        default: None,
        is_secret: true,
        help: || {
            format!(
                "Key that signs access tokens, at least {SECRET_BYTES_MIN} bytes [default: created once, kept in the \
                 data directory]"
            )
        },
        read: |config, text| {
            config.jwt_secret = Some(secret(text)?);
            Ok(())
        },
        shown: |config, _| match &config.jwt_secret {
            Some(_) => "(hidden)".into(),
            None => format!("(in {})", config.data_dir.join(FILE_NAME).display()),
        },
    },
    Setting {
        name: "HEARTH_JWT_SECRET_PREVIOUS",
        flag: "jwt-secret-previous",
        value: "SECRET",
        default: None,
        is_secret: true,
        help: || {
            "The key before HEARTH_JWT_SECRET: tokens that it signed are still accepted, and it signs no more".into()
        },
        read: |config, text| {
            config.jwt_secret_previous = Some(secret(text)?);
            Ok(())
        },
        shown: |config, _| match &config.jwt_secret_previous {
            Some(_) => "(hidden)".into(),
            None => "(none)".into(),
        },
    },
    Setting {
        name: "HEARTH_ACCESS_TTL",
        flag: "access-ttl",
        value: "DURATION",
        default: Some("30m"),
        is_secret: false,
        help: || {
            let days = in_days(ACCESS_TTL_MAX);
            format!("Lifetime of an access token, at most {days}d: a number and s, m, h or d")
        },
        read: |config, text| {
            config.access_ttl = duration(text, ACCESS_TTL_MAX)?;
            Ok(())
        },
        shown: as_given,
    },
    Setting {
        name: "HEARTH_REFRESH_TTL",
        flag: "refresh-ttl",
        value: "DURATION",
        default: Some("7d"),
        is_secret: false,
        help: || {
            let days = in_days(REFRESH_TTL_MAX);
            format!(
                "Lifetime of a session that isn't used, at most {days}d: a number and s, m, h or d"
            )
        },
        read: |config, text| {
            config.refresh_ttl = duration(text, REFRESH_TTL_MAX)?;
            Ok(())
        },
        shown: as_given,
    },
    Setting {
        name: "HEARTH_REGISTRATION",
        flag: "registration",
        value: "open|invite|closed",
        default: Some("open"),
        is_secret: false,
        help: || {
            "Who may register: open (everybody), invite (those with an invite), closed (nobody)"
                .into()
        },
        read: |config, text| {
            config.registration = values::registration(text)?;
            Ok(())
        },
        shown: as_given,
    },
    Setting {
        name: "HEARTH_LOG",
        flag: "log",
        value: "FILTER",
        default: Some("info"),
        is_secret: false,
        help: || {
            "What to log, to stderr: off, error, warn, info, debug, trace, also by module (info,hearth::store=debug)"
                .into()
        },
        read: |config, text| {
            config.log_filter = log_filter(text)?;
            Ok(())
        },
        shown: as_given,
    },
    Setting {
        name: "HEARTH_LOG_FORMAT",
        flag: "log-format",
        value: "FORMAT",
        default: Some("text"),
        is_secret: false,
        help: || "How to log: text or json".into(),
        read: |config, text| {
            config.log_format = match text {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                _ => return Err("must be text or json".into()),
            };
            Ok(())
        },
        shown: as_given,
    },
    Setting {
        name: "HEARTH_ARGON2",
        flag: "argon2",
        value: "m=KIB,t=PASSES,p=LANES",
        default: Some("m=19456,t=2,p=1"),
        is_secret: false,
        help: || "Cost of a password's Argon2id hash: memory in KiB, passes, lanes".into(),
        read: |config, text| {
            config.argon2 = argon2_params(text)?;
            Ok(())
        },
        shown: as_given,
    },
    Setting {
        name: "HEARTH_SEARCH_PURGE",
        flag: "search-purge",
        value: "DURATION",
        default: Some("1d"),
        is_secret: false,
        help: || {
            "How often words of deleted and edited messages leave the files of the search index; no search finds them \
             before, either"
                .into()
        },
        read: |config, text| {
            config.search_purge = duration(text, SEARCH_PURGE_MAX)?;
            Ok(())
        },
        shown: as_given,
    },
    Setting {
        name: "HEARTH_RATE_LIMITS",
        flag: "rate-limits",
        value: "on|off",
        default: Some("on"),
        is_secret: false,
        help: || "Limits by user: on, or off for measurements".into(),
        read: |config, text| {
            config.rate_limits = on_or_off(text)?;
            Ok(())
        },
        shown: as_given,
    },
];

fn as_given(_: &Config, text: &str) -> String {
    text.into()
}

fn or_off(_: &Config, text: &str) -> String {
    unless_empty(text, "(off)")
}

fn or_none(_: &Config, text: &str) -> String {
    unless_empty(text, "(none)")
}

fn unless_empty(text: &str, otherwise: &str) -> String {
    if text.is_empty() { otherwise } else { text }.into()
}

impl Setting {
    /// The setting as an argument of every command.
    pub fn argument(&self) -> Arg {
        let argument = Arg::new(self.name)
            .long(self.flag)
            .env(self.name)
            .hide_env_values(self.is_secret)
            .value_name(self.value)
            .help((self.help)())
            .help_heading("Settings (flags, environment, or a .env file)")
            .global(true);
        match self.default {
            Some(default) => argument.default_value(default),
            None => argument,
        }
    }
}

/// Reads all settings from their texts. An absent or an empty text means the default. The errors are all rules that were
/// broken, each with its setting.
pub fn read(text_of: impl Fn(&Setting) -> Option<String>) -> Result<Config, Vec<String>> {
    let mut config = Config::unread();
    let mut errors = Vec::new();
    let mut texts = Vec::new();
    for setting in &SETTINGS {
        let given = text_of(setting).filter(|text| !text.is_empty());
        let text = given.unwrap_or_else(|| setting.default.unwrap_or_default().into());
        if !text.is_empty()
            && let Err(rule) = (setting.read)(&mut config, &text)
        {
            errors.push(format!("{}: {rule}", setting.name));
        }
        texts.push(text);
    }
    errors.extend(contradictions(&config));
    if !errors.is_empty() {
        return Err(errors);
    }
    if config.database == Location::Sqlite(PathBuf::new()) {
        config.database = Location::Sqlite(config.data_dir.join("hearth.db"));
    }
    let shown = SETTINGS.iter().zip(&texts);
    config.shown = shown
        .map(|(setting, text)| (setting.name, (setting.shown)(&config, text)))
        .collect();
    Ok(config)
}

/// Settings that don't go together.
fn contradictions(config: &Config) -> Vec<String> {
    let mut errors = Vec::new();
    let mut error = |name: &str, rule: &str| errors.push(format!("{name}: {rule}"));
    // Port 0 is another one each time.
    let fixed = |address: Option<SocketAddr>| address.filter(|address| address.port() != 0);
    let (http, lines) = (Some(config.listen), config.listen_tcp);
    if fixed(lines).is_some() && lines == http {
        error(
            "HEARTH_LISTEN_TCP",
            "must be another address than HEARTH_LISTEN",
        );
    }
    let metrics = config.listen_metrics;
    if fixed(metrics).is_some() && (metrics == http || metrics == lines) {
        let rule = "must be another address than HEARTH_LISTEN and HEARTH_LISTEN_TCP";
        error("HEARTH_LISTEN_METRICS", rule);
    }
    if config.refresh_ttl < config.access_ttl {
        error(
            "HEARTH_REFRESH_TTL",
            "must not be shorter than HEARTH_ACCESS_TTL",
        );
    }
    errors
}

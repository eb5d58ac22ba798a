//! Every setting, its rule, and its place in the example.

use std::{collections::BTreeMap, time::Duration};

use super::*;
use crate::store::Location;

fn config(flags: &[&str]) -> Result<Config, Vec<String>> {
    let line = ["hearth", "serve"].iter().chain(flags).copied();
    match parse(line) {
        Ok((_, config)) => Ok(config),
        Err(ConfigError::Settings(errors)) => Err(errors),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn the_defaults_are_whole() {
    let config = config(&[]).unwrap_or_else(|errors| panic!("{errors:?}"));
    assert_eq!(config.listen.to_string(), "127.0.0.1:8000");
    assert_eq!(config.database, Location::Sqlite("./data/hearth.db".into()));
    assert_eq!(config.access_ttl, Duration::from_secs(1_800));
    assert_eq!(config.refresh_ttl, Duration::from_secs(604_800));
    assert!(config.rate_limits && config.jwt_secret.is_none());
    assert!(config.listen_tcp.is_none() && config.listen_metrics.is_none());
    assert_eq!(
        (config.argon2.m_cost(), config.argon2.t_cost()),
        (19_456, 2)
    );
}

#[test]
fn an_empty_value_means_the_default() {
    let flags: Vec<_> = SETTINGS
        .iter()
        .map(|setting| format!("--{}=", setting.flag))
        .collect();
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let empty = config(&flags).unwrap_or_else(|errors| panic!("{errors:?}"));
    let absent = config(&[]).unwrap_or_else(|errors| panic!("{errors:?}"));
    assert_eq!(empty.shown, absent.shown);
    assert_eq!(empty.database, absent.database);
    assert!(empty.public_url.is_none() && empty.jwt_secret.is_none());
    assert!(empty.listen_tcp.is_none() && empty.listen_metrics.is_none());
    assert!(empty.jwt_secret_previous.is_none());
}

#[test]
fn every_error_is_told_at_once_and_no_secret_with_it() {
    let errors = config(&[
        "--listen=localhost",
        "--listen-tcp=8001",
        "--listen-metrics=8002",
        "--database-url=mysql://ada:hunter2hunter2@/",
        "--database-pool=0",
        "--jwt-secret=too-short-a-secret",
        "--access-ttl=2d",
        "--refresh-ttl=7",
        "--public-url=chat.example.org",
        "--registration=perhaps",
        "--log=a=b=c",
        "--log-format=xml",
        "--argon2=m=1,t=2,p=1",
        "--rate-limits=maybe",
    ])
    .err()
    .unwrap();
    let names: Vec<_> = errors
        .iter()
        .map(|error| error.split(':').next().unwrap())
        .collect();
    assert_eq!(errors.len(), 14, "{errors:#?}");
    assert!(names.iter().all(|name| name.starts_with("HEARTH_")));
    let text = errors.join("\n");
    assert!(!text.contains("hunter2") && !text.contains("too-short"));
}

#[test]
fn rules_of_single_settings() {
    for (flag, good) in [
        ("--listen=[::1]:0", true),
        ("--listen=0.0.0.0:65536", false),
        ("--listen-tcp=", true),
        ("--listen-tcp=[::1]:8001", true),
        ("--listen-tcp=localhost:8001", false),
        ("--listen-metrics=", true),
        ("--listen-metrics=[::1]:8002", true),
        ("--listen-metrics=127.0.0.1", false),
        ("--listen-metrics=on", false),
        ("--listen-metrics=127.0.0.1:65536", false),
        ("--listen-metrics=http://127.0.0.1:8002", false),
        ("--database-url=", true),
        ("--database-url=sqlite:///var/lib/hearth/x.db", true),
        ("--database-url=sqlite://:memory:", false),
        ("--database-url=sqlite://", false),
        (
            "--database-url=mysql://u:p@db.example.org:3307/hearth",
            true,
        ),
        ("--database-url=mysql://u@localhost/hearth", true),
        ("--database-url=mysql://localhost/hearth", false),
        ("--database-url=postgres://u:p@localhost/hearth", false),
        ("--database-pool=1001", false),
        ("--jwt-secret=", true),
        ("--jwt-secret=0123456789012345678901234567890", false),
        ("--jwt-secret=01234567890123456789012345678901", true),
        ("--access-ttl=90s", true),
        ("--access-ttl=24h", true),
        ("--access-ttl=0s", false),
        ("--access-ttl=+5m", false),
        ("--access-ttl=5", false),
        ("--access-ttl=é", false),
        ("--refresh-ttl=29m", false),
        ("--refresh-ttl=99999999999999999999d", false),
        ("--public-url=", true),
        ("--public-url=https://chat.example.org", true),
        ("--public-url=http://[::1]:8000", true),
        ("--public-url=http://[::1]:8000/chat/", false),
        ("--public-url=https://ada@chat.example.org", false),
        ("--public-url=https://chat.example.org/?a", false),
        ("--public-url=https://chat.example.org/#a", false),
        ("--public-url=javascript:alert(1)", false),
        ("--public-url=https://bücher.example", true),
        ("--public-url=https://*.example.org", false),
        ("--public-url=https://＊.example.org", false),
        ("--cors-origins=https://example.org,http://[::1]:5173", true),
        ("--cors-origins=https://*.example.org", false),
        ("--cors-origins=https://example.org, *", false),
        ("--cors-origins=null", false),
        ("--cors-origins=https://example.org/page", false),
        ("--registration=invite", true),
        ("--registration=closed", true),
        ("--argon2=m=64,t=1,p=1", true),
        ("--argon2=m=64,t=1,p=1,x", false),
        ("--argon2=t=1,m=64,p=1", false),
        ("--argon2=m=64,t=1", false),
        ("--log=warn,hearth::store=debug", true),
    ] {
        assert_eq!(config(&[flag]).is_ok(), good, "{flag}");
    }
}

#[test]
fn a_broken_rule_is_told_with_an_example_of_the_setting() {
    for (flag, rule) in [
        (
            "--listen=",
            "must be an address and a port, such as 127.0.0.1:8000",
        ),
        (
            "--listen-tcp=",
            "must be an address and a port, such as 127.0.0.1:8001, or nothing",
        ),
        (
            "--listen-metrics=",
            "must be an address and a port, such as 127.0.0.1:8002, or nothing",
        ),
        (
            "--connections-per-address=",
            "must be a number, at least 1, or nothing",
        ),
        ("--database-pool=", "must be a number from 1 to 1000"),
        (
            "--access-ttl=",
            "must be from 1s to 1d, such as 90s, 30m, 12h or 1d",
        ),
    ] {
        let errors = config(&[&format!("{flag}x")]).err().unwrap();
        let told = errors[0].split_once(": ").unwrap().1;
        assert_eq!(told, rule, "{flag}");
    }
}

#[test]
fn origins_are_kept_as_browsers_write_them() {
    let origins =
        "https://bücher.example, https://xn--bcher-kva.example:8443,HTTPS://Chat.Example.org:443/";
    let config = config(&["--cors-origins", origins]);
    let config = config.unwrap_or_else(|errors| panic!("{errors:?}"));
    let expected = [
        "https://xn--bcher-kva.example",
        "https://xn--bcher-kva.example:8443",
        "https://chat.example.org",
    ];
    assert_eq!(config.cors_origins, expected);
}

#[test]
fn secrets_are_hidden_where_settings_are_shown() {
    let config = config(&[
        "--database-url=mysql://ada:hunter2@localhost:3307/hearth",
        "--jwt-secret=01234567890123456789012345678901",
    ]);
    let config = config.unwrap_or_else(|errors| panic!("{errors:?}"));
    let shown = format!("{:?} {:?}", config.shown, config.jwt_secret);
    assert!(shown.contains("mysql://ada:(hidden)@localhost:3307/hearth"));
    assert!(!shown.contains("hunter2") && !shown.contains("0123456789"));
}

/// The flags are the variables' names, and no two settings share one.
#[test]
fn a_setting_has_one_name() {
    for setting in &SETTINGS {
        let name = setting.flag.to_uppercase().replace('-', "_");
        assert_eq!(setting.name, format!("HEARTH_{name}"));
    }
    let names: BTreeMap<_, _> = SETTINGS.iter().map(|s| (s.name, s.flag)).collect();
    assert_eq!(names.len(), SETTINGS.len());
}

/// The example's names and values, commented out, against the table and `hearth serve --help`.
#[test]
fn the_example_documents_every_setting_with_its_default() {
    let example: BTreeMap<_, _> = include_str!("../../.env.example")
        .lines()
        .filter_map(|line| line.strip_prefix('#')?.split_once('='))
        .filter(|(name, _)| name.starts_with("HEARTH_"))
        .collect();
    assert_eq!(example.len(), SETTINGS.len(), "{example:?}");
    for setting in &SETTINGS {
        let shown = example.get(setting.name);
        assert!(shown.is_some(), "{}", setting.name);
        assert!(
            setting.default.is_none() || setting.default == shown.copied(),
            "{}",
            setting.name
        );
    }
    let mut command = command_line();
    command.build();
    let serve = command.find_subcommand("serve").unwrap();
    let help = serve.clone().render_long_help().to_string();
    assert!(example.keys().all(|name| help.contains(name)), "{help}");
}

#[test]
fn the_command_line_alone() {
    command_line().debug_assert();
    let commands = [
        (vec!["hearth", "serve"], Command::Serve),
        (vec!["hearth", "--log", "warn", "migrate"], Command::Migrate),
        (
            vec!["hearth", "reset", "--yes"],
            Command::Reset { yes: true },
        ),
        (vec!["hearth", "check"], Command::Check),
        (
            vec!["hearth", "user", "promote", "ada"],
            Command::User {
                command: UserCommand::Promote { name: "ada".into() },
            },
        ),
    ];
    for (line, command) in commands {
        assert_eq!(parse(line).ok().unwrap().0, command);
    }
    assert!(matches!(
        parse(["hearth"]),
        Err(ConfigError::CommandLine(_))
    ));
}

#[test]
fn mistyped_names_are_noticed() {
    let names = [
        "HEARTH_LISTEN",
        "HEARTH_LISTN",
        "HEARTH_",
        "PATH",
        "hearth_log",
    ];
    let found = unknown(names.map(str::to_owned).into_iter());
    assert_eq!(found, ["HEARTH_", "HEARTH_LISTN"]);
}

/// An IPv4-mapped address means the IPv4 address, as it does for peers.
#[test]
fn proxies_are_kept_as_peers_are_known() {
    let text = "::ffff:127.0.0.1, ::ffff:10.0.0.0/104, 192.0.2.0/24, ::1, ::ffff:0:0/90, fd00::/8";
    let networks = super::values::networks(text).unwrap();
    let kept: Vec<_> = networks.iter().map(ToString::to_string).collect();
    assert_eq!(
        kept,
        [
            "127.0.0.1/32",
            "10.0.0.0/8",
            "192.0.2.0/24",
            "::1/128",
            "::ffff:0.0.0.0/90",
            "fd00::/8"
        ]
    );
}

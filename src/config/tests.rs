//! Every setting, its rule, and its place in the example.

use std::collections::BTreeMap;

use clap::CommandFactory;

use super::*;

fn config(flags: &[&str]) -> Result<Config, Vec<String>> {
    let line = ["hearth", "serve"].iter().chain(flags).copied();
    match parse(line) {
        Ok((_, config)) => Ok(config),
        Err(Fault::Settings(faults)) => Err(faults),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn the_defaults_are_whole() {
    let config = config(&[]).unwrap_or_else(|faults| panic!("{faults:?}"));
    assert_eq!(config.listen.to_string(), "127.0.0.1:8000");
    assert_eq!(
        config.database.location,
        Location::Sqlite("./data/hearth.db".into())
    );
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
    let line = CommandLine::command();
    let settings = line.get_arguments().filter(|of| of.get_env().is_some());
    let flags: Vec<_> = settings
        .map(|of| format!("--{}=", of.get_long().unwrap()))
        .collect();
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    assert!(flags.len() > 15, "{flags:?}");
    let empty = config(&flags).unwrap_or_else(|faults| panic!("{faults:?}"));
    let absent = config(&[]).unwrap_or_else(|faults| panic!("{faults:?}"));
    assert_eq!(empty.shown, absent.shown);
    assert_eq!(empty.database.location, absent.database.location);
    assert!(empty.public_url.is_none() && empty.jwt_secret.is_none());
    assert!(empty.listen_tcp.is_none() && empty.listen_metrics.is_none());
    assert!(empty.jwt_secret_previous.is_none());
}

#[test]
fn every_fault_is_told_at_once_and_no_secret_with_it() {
    let faults = config(&[
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
    let names: Vec<_> = faults
        .iter()
        .map(|f| f.split(':').next().unwrap())
        .collect();
    assert_eq!(faults.len(), 14, "{faults:#?}");
    assert!(names.iter().all(|name| name.starts_with("HEARTH_")));
    let text = faults.join("\n");
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
fn origins_are_kept_as_browsers_write_them() {
    let origins =
        "https://bücher.example, https://xn--bcher-kva.example:8443,HTTPS://Chat.Example.org:443/";
    let config = config(&["--cors-origins", origins]);
    let config = config.unwrap_or_else(|faults| panic!("{faults:?}"));
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
    let config = config.unwrap_or_else(|faults| panic!("{faults:?}"));
    let shown = format!("{:?} {:?}", config.shown, config.jwt_secret);
    assert!(shown.contains("mysql://ada:(hidden)@localhost:3307/hearth"));
    assert!(!shown.contains("hunter2") && !shown.contains("0123456789"));
}

/// The example's names and values, commented out, against those of `hearth serve --help`.
#[test]
fn the_example_documents_every_setting_with_its_default() {
    let mut command = CommandLine::command();
    command.build();
    let serve = command.find_subcommand("serve").unwrap();
    let settings: BTreeMap<_, _> = serve
        .get_arguments()
        .filter_map(|argument| {
            let name = argument.get_env()?.to_str()?.to_owned();
            let default = argument.get_default_values().first();
            Some((
                name,
                default.map(|value| value.to_str().unwrap().to_owned()),
            ))
        })
        .collect();
    let example: BTreeMap<_, _> = include_str!("../../.env.example")
        .lines()
        .filter_map(|line| line.strip_prefix("#HEARTH_")?.split_once('='))
        .map(|(name, value)| (format!("HEARTH_{name}"), value.to_owned()))
        .collect();
    assert!(
        settings.keys().eq(example.keys()),
        "{settings:?} {example:?}"
    );
    for (name, default) in settings {
        assert!(
            default.is_none_or(|default| default == example[&name]),
            "{name}"
        );
    }
    let help = serve.clone().render_long_help().to_string();
    assert!(example.keys().all(|name| help.contains(name)), "{help}");
}

#[test]
fn the_command_line_alone() {
    CommandLine::command().debug_assert();
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
    assert!(matches!(parse(["hearth"]), Err(Fault::CommandLine(_))));
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

/// Whoever is named by an IPv4-mapped address is known by its IPv4 address, as all peers are.
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

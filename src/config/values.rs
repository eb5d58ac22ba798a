//! How single settings are read and shown: durations, database URLs, the cost of a hash, secrets.

use std::{ffi::OsStr, fmt, net::IpAddr, time::Duration};

use clap::{
    Arg, Command,
    builder::{StringValueParser, TypedValueParser},
};
use ipnet::{IpNet, Ipv4Net};
use url::Url;

use crate::{limits::ARGON2_MEMORY_KIB_MAX, protocol::rest::Registration, store::Location};

/// Reads a setting's text, and its default for an empty one: Compose files and copies of .env.example hand on
/// what isn't set as empty.
#[derive(Clone)]
pub struct OrDefault;

impl TypedValueParser for OrDefault {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        setting: Option<&Arg>,
        text: &OsStr,
    ) -> Result<String, clap::Error> {
        let default = setting.and_then(|setting| setting.get_default_values().first());
        let text = match default {
            Some(default) if text.is_empty() => default,
            _ => text,
        };
        StringValueParser::new().parse_ref(command, setting, text)
    }
}

/// Who may register.
pub fn registration(text: &str) -> Option<Registration> {
    match text {
        "open" => Some(Registration::Open),
        "invite" => Some(Registration::Invite),
        "closed" => Some(Registration::Closed),
        _ => None,
    }
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: String) -> Self {
        Self(text)
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// Where the database is; the rule that the URL breaks otherwise.
pub fn location(url: &str) -> Result<Location, &'static str> {
    const RULE: &str = "sqlite://PATH or mysql://USER:PASSWORD@HOST[:PORT]/NAME";
    if let Some(path) = url.strip_prefix("sqlite://") {
        let plain = !path.is_empty() && !path.contains(['?', '#', '\0']) && path != ":memory:";
        return match plain {
            true => Ok(Location::Sqlite(path.into())),
            false => Err("sqlite:// and the path of a file, without parameters"),
        };
    }
    let parsed = Url::parse(url).map_err(|_| RULE)?;
    let name = parsed.path().strip_prefix('/').unwrap_or_default();
    let whole = parsed.scheme() == "mysql"
        && parsed.host_str().is_some_and(|host| !host.is_empty())
        && !parsed.username().is_empty()
        && !name.is_empty()
        && !name.contains('/')
        && parsed.fragment().is_none();
    match whole {
        true => Ok(Location::Mysql(url.into())),
        false => Err(RULE),
    }
}

/// The database's place without its password, nor parameters that may hold one.
pub fn shown(location: &Location) -> String {
    match location {
        Location::Sqlite(path) => format!("sqlite://{}", path.display()),
        Location::Mysql(url) => match Url::parse(url) {
            Ok(url) => {
                let port = url.port().map_or(String::new(), |port| format!(":{port}"));
                let host = url.host_str().unwrap_or_default();
                let (user, path) = (url.username(), url.path());
                format!("mysql://{user}:(hidden)@{host}{port}{path}")
            }
            Err(_) => "mysql://(hidden)".into(),
        },
    }
}

/// A whole number and a unit, not 0.
pub fn duration(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let number = text.strip_suffix(unit)?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = number.parse().ok().filter(|number| *number > 0)?;
    Some(Duration::from_secs(number.checked_mul(seconds)?))
}

/// `m=KIB,t=PASSES,p=LANES`, within bounds.
pub fn argon2_params(text: &str) -> Option<argon2::Params> {
    let mut values = text.split(',').zip(["m=", "t=", "p="]).map(|(part, name)| {
        let value = part.strip_prefix(name)?;
        value.parse::<u32>().ok()
    });
    let (m, t, p) = (values.next()??, values.next()??, values.next()??);
    let bounded = text.split(',').count() == 3 && m <= ARGON2_MEMORY_KIB_MAX && t <= 100 && p <= 64;
    argon2::Params::new(m, t, p, None).ok().filter(|_| bounded)
}

/// A URL under which a server can be reached: nothing but scheme, host and port, and of hosts one alone. The rule that the
/// text breaks otherwise.
pub fn public(text: &str) -> Result<Url, &'static str> {
    const RULE: &str =
        "http or https, one host (never *) and perhaps a port, as https://chat.example.org";
    let url = Url::parse(text).map_err(|_| RULE)?;
    let web = matches!(url.scheme(), "http" | "https");
    let one = url.host_str().is_some_and(|host| !host.contains('*'));
    if !web || !one {
        return Err(RULE);
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(
            "nothing after the host and its port: Hearth wants a host name of its own, as https://chat.example.org, \
             and can't be served below a path of another site",
        );
    }
    match url.username().is_empty() && url.password().is_none() {
        true => Ok(url),
        false => Err("no user and no password before the host"),
    }
}

/// Origins, separated by commas, each as browsers write it: an internationalised host in ASCII, in lower case,
/// without a default port.
pub fn origins(text: &str) -> Option<Vec<String>> {
    let origin = |text| Some(public(text).ok()?.origin().ascii_serialization());
    listed(text).map(origin).collect()
}

/// Networks, or single addresses, separated by commas.
pub fn networks(text: &str) -> Option<Vec<IpNet>> {
    let network = |name: &str| {
        let address = name.parse::<IpAddr>().map(IpNet::from);
        address.ok().or_else(|| name.parse().ok()).map(canonical)
    };
    listed(text).map(network).collect()
}

/// The network of IPv4 that an IPv4-mapped one of IPv6 is (RFC 4291 section 2.5.5.2): addresses are compared as such.
fn canonical(network: IpNet) -> IpNet {
    match (network.addr().to_canonical(), network.prefix_len()) {
        (IpAddr::V4(address), prefix @ 96..) if network.addr().is_ipv6() => {
            Ipv4Net::new(address, prefix - 96).map_or(network, IpNet::V4)
        }
        _ => network,
    }
}

fn listed(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split(',').map(str::trim);
    parts.filter(|part| !part.is_empty())
}

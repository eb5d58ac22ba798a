//! How single values are read and shown. Each reader's error is the rule that the text breaks.

use std::{
    borrow::Cow,
    fmt,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    time::Duration,
};

use ipnet::{IpNet, Ipv4Net};
use tracing_subscriber::EnvFilter;
use url::Url;

use crate::{
    limits::{ARGON2_LANES_MAX, ARGON2_MEMORY_KIB_MAX, ARGON2_PASSES_MAX, SECRET_BYTES_MIN},
    protocol::rest::Registration,
    store::Location,
};

/// A rule that a text breaks, in words.
pub type Rule = Cow<'static, str>;

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// A key that signs tokens.
pub fn secret(text: &str) -> Result<Secret, Rule> {
    if text.len() < SECRET_BYTES_MIN {
        return Err(
            format!("must have at least {SECRET_BYTES_MIN} bytes, preferably random").into(),
        );
    }
    Ok(Secret(text.into()))
}

pub fn address(text: &str) -> Result<SocketAddr, Rule> {
    text.parse()
        .map_err(|_| "must be an address and a port, such as 127.0.0.1:8000".into())
}

/// The address of a listener that may be left out.
pub fn optional_address(text: &str, example: &str) -> Result<SocketAddr, Rule> {
    text.parse()
        .map_err(|_| format!("must be an address and a port, such as {example}, or nothing").into())
}

/// A whole number within these bounds.
pub fn number(text: &str, bounds: RangeInclusive<usize>) -> Result<usize, Rule> {
    let number = text.parse().ok().filter(|number| bounds.contains(number));
    number.ok_or_else(|| {
        let (min, max) = bounds.into_inner();
        format!("must be a number from {min} to {max}").into()
    })
}

/// How many of something, at least one, of a setting that may be left out.
pub fn optional_count(text: &str) -> Result<usize, Rule> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| "must be a number, at least 1, or nothing".into())
}

/// Who may register.
pub fn registration(text: &str) -> Result<Registration, Rule> {
    match text {
        "open" => Ok(Registration::Open),
        "invite" => Ok(Registration::Invite),
        "closed" => Ok(Registration::Closed),
        _ => Err("must be open, invite or closed".into()),
    }
}

pub fn on_or_off(text: &str) -> Result<bool, Rule> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("must be on or off".into()),
    }
}

/// A valid filter of the log, as text.
pub fn log_filter(text: &str) -> Result<String, Rule> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.into()),
        Err(_) => Err("must be a filter, such as info or info,hearth::store=debug".into()),
    }
}

/// Where the database is.
pub fn location(url: &str) -> Result<Location, Rule> {
    const RULE: &str = "must be sqlite://PATH or mysql://USER:PASSWORD@HOST[:PORT]/NAME";
    if let Some(path) = url.strip_prefix("sqlite://") {
        if path.is_empty() || path.contains(['?', '#', '\0']) || path == ":memory:" {
            return Err("must be sqlite:// and the path of a file, without parameters".into());
        }
        return Ok(Location::Sqlite(path.into()));
    }
    let parsed = Url::parse(url).map_err(|_| RULE)?;
    let name = parsed.path().strip_prefix('/').unwrap_or_default();
    let is_complete = parsed.scheme() == "mysql"
        && parsed.host_str().is_some_and(|host| !host.is_empty())
        && !parsed.username().is_empty()
        && !name.is_empty()
        && !name.contains('/')
        && parsed.fragment().is_none();
    if !is_complete {
        return Err(RULE.into());
    }
    Ok(Location::Mysql(url.into()))
}

/// The database's place without its password, and without parameters, which may hold one.
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

/// A whole number above 0 and a unit, up to this many days.
pub fn duration(text: &str, max: Duration) -> Result<Duration, Rule> {
    let duration = seconds(text).map(Duration::from_secs);
    duration.filter(|duration| *duration <= max).ok_or_else(|| {
        format!(
            "must be from 1s to {}d, such as 90s, 30m, 12h or 1d",
            in_days(max)
        )
        .into()
    })
}

fn seconds(text: &str) -> Option<u64> {
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
    number.checked_mul(seconds)
}

pub fn in_days(duration: Duration) -> u64 {
    duration.as_secs() / 86_400
}

/// `m=KIB,t=PASSES,p=LANES`, within bounds.
pub fn argon2_params(text: &str) -> Result<argon2::Params, Rule> {
    params(text).ok_or_else(|| {
        format!(
            "must be m (KiB, 8 x p to {ARGON2_MEMORY_KIB_MAX}), t (1 to {ARGON2_PASSES_MAX}) and p (1 to {ARGON2_LANES_MAX}), \
             such as m=19456,t=2,p=1"
        )
        .into()
    })
}

fn params(text: &str) -> Option<argon2::Params> {
    let mut values = text.split(',').zip(["m=", "t=", "p="]).map(|(part, name)| {
        let value = part.strip_prefix(name)?;
        value.parse::<u32>().ok()
    });
    let (m, t, p) = (values.next()??, values.next()??, values.next()??);
    let is_bounded = text.split(',').count() == 3
        && m <= ARGON2_MEMORY_KIB_MAX
        && t <= ARGON2_PASSES_MAX
        && p <= ARGON2_LANES_MAX;
    argon2::Params::new(m, t, p, None)
        .ok()
        .filter(|_| is_bounded)
}

/// A URL under which a server can be reached: scheme, one host and perhaps a port, and nothing else.
pub fn public_url(text: &str) -> Result<Url, Rule> {
    const RULE: &str = "must be http or https, one host (never *) and perhaps a port, such as https://chat.example.org";
    let url = Url::parse(text).map_err(|_| RULE)?;
    let is_web = matches!(url.scheme(), "http" | "https");
    let has_one_host = url.host_str().is_some_and(|host| !host.contains('*'));
    if !is_web || !has_one_host {
        return Err(RULE.into());
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(
            "must have nothing after the host and its port: Hearth needs a host name of its own, such as \
             https://chat.example.org, and can't be served below a path of another site"
                .into(),
        );
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must have no user and no password before the host".into());
    }
    Ok(url)
}

/// Origins, separated by commas. Each is kept as browsers write it: an internationalised host in ASCII, in lower case,
/// without a default port.
pub fn origins(text: &str) -> Result<Vec<String>, Rule> {
    let origin = |text| Ok(public_url(text)?.origin().ascii_serialization());
    let origins: Result<_, Rule> = listed(text).map(origin).collect();
    origins.map_err(|_| {
        "must be origins, such as https://example.org or http://localhost:5173, each with one host: never *"
            .into()
    })
}

/// Networks, or single addresses, separated by commas.
pub fn networks(text: &str) -> Result<Vec<IpNet>, Rule> {
    let network = |name: &str| {
        let address = name.parse::<IpAddr>().map(IpNet::from);
        address.ok().or_else(|| name.parse().ok()).map(canonical)
    };
    let networks: Option<_> = listed(text).map(network).collect();
    networks.ok_or_else(|| "must be addresses or networks, such as 127.0.0.1,10.0.0.0/8".into())
}

/// The IPv4 network that an IPv4-mapped network of IPv6 stands for (RFC 4291 section 2.5.5.2): addresses are compared in
/// this form.
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

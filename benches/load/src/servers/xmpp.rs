//! The servers of XMPP, ejabberd and Prosody: rooms are multi-user chats (XEP-0045) whose archive (XEP-0313) is in a
//! database, connections are WebSockets (RFC 7395), and people are anonymous.

use std::{env::consts::ARCH, fmt::Write, fs, net::SocketAddrV4, process::Command};

use super::{
    Dialect, Heard, Population, Promises, Result, Seat, Server, Setup,
    mariadb::MariaDb,
    process::{self, Process},
};
use crate::{
    text::Key,
    wire::{self, Framing},
};

const EJABBERD: &str = include_str!("../../peers/ejabberd.yml");
const PROSODY: &str = include_str!("../../peers/prosody.cfg.lua");
/// The schema that comes with Debian's ejabberd.
const EJABBERD_SCHEMA: &str = "/usr/share/ejabberd/sql/mysql.sql";

pub struct Xmpp {
    process: Process,
    database: Option<MariaDb>,
    address: SocketAddrV4,
}

impl Xmpp {
    pub fn ejabberd(setup: &Setup) -> Result<Self> {
        let database = MariaDb::start(setup, "ejabberd")?;
        database.load(EJABBERD_SCHEMA)?;
        let address = process::free_address()?;
        let config = EJABBERD
            .replace("@PORT@", &address.port().to_string())
            .replace("@SQL_PORT@", &database.port.to_string());
        let path = setup.dir.join("ejabberd.yml");
        fs::write(&path, config).map_err(|error| error.to_string())?;
        // As ejabberdctl does it, but as the present user and without a name in a network of nodes.
        let mut command = Command::new("erl");
        command
            .args(["+K", "true", "+P", "250000", "-noinput", "-mnesia", "dir"])
            .arg(format!("\"{}\"", setup.dir.join("mnesia").display()))
            .args(["-s", "ejabberd"])
            .env("ERL_LIBS", format!("/usr/lib/{ARCH}-linux-gnu"))
            .env("ERL_MAX_PORTS", "32000")
            .env("EJABBERD_CONFIG_PATH", &path)
            .env("EJABBERD_LOG_PATH", setup.dir.join("ejabberd-warnings.log"))
            .env("ERL_CRASH_DUMP", setup.dir.join("erl_crash.dump"));
        Self::start("ejabberd", &command, setup, address, Some(database))
    }

    pub fn prosody(setup: &Setup) -> Result<Self> {
        let address = process::free_address()?;
        let config = PROSODY
            .replace("@PORT@", &address.port().to_string())
            .replace("@DIR@", &setup.dir.display().to_string());
        let path = setup.dir.join("prosody.cfg.lua");
        fs::write(&path, config).map_err(|error| error.to_string())?;
        let mut command = Command::new("prosody");
        command.arg("--config").arg(&path).arg("-F");
        Self::start("prosody", &command, setup, address, None)
    }

    fn start(
        name: &str,
        command: &Command,
        setup: &Setup,
        address: SocketAddrV4,
        database: Option<MariaDb>,
    ) -> Result<Self> {
        let log = setup.dir.join(format!("{name}.log"));
        let (on, then_on) = (&setup.server_cores, &setup.load_cores);
        let mut process = Process::start(command, &log, on, then_on)?;
        let ready = process.wait_until(|| process::listens(address));
        ready.map_err(|error| {
            let log = fs::read_to_string(&log).unwrap_or_default();
            format!("{error}; is it installed (make bench-peers)?\n{log}")
        })?;
        Ok(Self {
            process,
            database,
            address,
        })
    }
}

impl Server for Xmpp {
    fn promises(&self) -> Promises {
        Promises {
            stores: if self.database.is_some() {
                "MariaDB"
            } else {
                "SQLite"
            },
            durable: true,
            ordered: true,
            authorised: true,
            repeatable: false,
            resumes: false,
            acknowledges: false,
        }
    }

    fn address(&self) -> SocketAddrV4 {
        self.address
    }

    fn processes(&self) -> Vec<i32> {
        let database = self.database.iter().map(MariaDb::pid);
        [self.process.pid()].into_iter().chain(database).collect()
    }

    /// Rooms come into being when the first enters.
    fn populate(&mut self, _: &Population) -> Result<()> {
        Ok(())
    }

    fn dialect(&self) -> Box<dyn Dialect> {
        Box::new(Stanzas {
            address: self.address,
            scratch: String::new(),
            nicknames: 0,
        })
    }
}

struct Stanzas {
    address: SocketAddrV4,
    scratch: String,
    /// Nicknames given so far: each connection has its own.
    nicknames: u64,
}

/// How far a connection has come: it is logged in once it has this stage, and counts the rooms that it is in from
/// here on.
const LOGGED_IN: u32 = 1;
const BOUND: u32 = 2;

const OPEN: &[u8] =
    br#"<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="localhost" version="1.0"/>"#;

impl Stanzas {
    /// Features of the stream: what is possible next.
    fn next(&self, seat: &Seat, out: &mut Vec<u8>) {
        if seat.stage == LOGGED_IN {
            wire::text(
                out,
                br#"<iq xmlns="jabber:client" type="set" id="bind"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>"#,
            );
        } else {
            wire::text(
                out,
                br#"<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="ANONYMOUS"/>"#,
            );
        }
    }

    fn enter(&mut self, seat: &Seat, out: &mut Vec<u8>) {
        self.nicknames += 1;
        let (user, nickname) = (seat.user, self.nicknames);
        for place in &seat.places {
            self.scratch.clear();
            let _ = write!(
                self.scratch,
                r#"<presence xmlns="jabber:client" to="room{}@conference.localhost/u{user}-{nickname}"><x xmlns="http://jabber.org/protocol/muc"><history maxstanzas="0"/></x></presence>"#,
                place.room
            );
            wire::text(out, self.scratch.as_bytes());
        }
    }
}

impl Dialect for Stanzas {
    fn framing(&self) -> Framing {
        Framing::WebSocket
    }

    fn hello(&self, _: &Seat) -> Vec<u8> {
        wire::upgrade(
            self.address,
            "/xmpp-websocket",
            "Sec-WebSocket-Protocol: xmpp\r\n",
        )
    }

    fn opened(&mut self, _: &mut Seat, out: &mut Vec<u8>) {
        wire::text(out, OPEN);
    }

    fn frame(&mut self, seat: &mut Seat, frame: &[u8], out: &mut Vec<u8>) -> Heard {
        let has = |text: &str| memchr::memmem::find(frame, text.as_bytes()).is_some();
        let end = frame.iter().position(|byte| b" />".contains(byte));
        match &frame[..end.unwrap_or(frame.len())] {
            b"<message" if has("<body") && !has("type='error'") && !has("type=\"error\"") => {
                match Key::find(frame) {
                    Some(key) => return Heard::Message { key, seq: None },
                    None => return Heard::Other,
                }
            }
            // The subject is the last that comes to one who enters.
            b"<message" if has("<subject") && seat.stage >= BOUND => {
                seat.stage += 1;
                if seat.stage == BOUND + seat.places.len() as u32 {
                    return Heard::Live;
                }
            }
            b"<stream:features" => self.next(seat, out),
            b"<success" => {
                seat.stage = LOGGED_IN;
                wire::text(out, OPEN);
            }
            b"<iq" if has("xmpp-bind") => {
                seat.stage = BOUND;
                self.enter(seat, out);
            }
            b"<open" | b"<presence" | b"<iq" => {}
            _ => return Heard::Fault(String::from_utf8_lossy(frame).into_owned()),
        }
        Heard::Other
    }

    fn say(&mut self, _: &Seat, reference: u32, key: &Key, text: &str, out: &mut Vec<u8>) {
        self.scratch.clear();
        let _ = write!(
            self.scratch,
            r#"<message xmlns="jabber:client" to="room{}@conference.localhost" type="groupchat" id="{}-{reference}"><body>{text}</body></message>"#,
            key.room, key.turn
        );
        wire::text(out, self.scratch.as_bytes());
    }
}

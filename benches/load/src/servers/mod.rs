//! The servers that can be driven. Each has a [`Server`], which starts it and makes its accounts and rooms, and
//! a [`Dialect`], which speaks its protocol on the connections.

pub mod floor;
pub mod hearth;
pub mod mariadb;
pub mod plain;
pub mod process;
mod script;
pub mod socketio;
mod xmpp;

use std::{net::SocketAddrV4, path::PathBuf};

use crate::{ledger::Place, text::Key, wire::Framing};

pub type Result<T> = std::result::Result<T, String>;

/// Who is in which room. Users and rooms are numbered from 0.
#[derive(Clone, Debug, Default)]
pub struct Population {
    pub users: usize,
    /// The members of each room.
    pub rooms: Vec<Vec<usize>>,
}

impl Population {
    /// The rooms of each user.
    pub fn rooms_of_users(&self) -> Vec<Vec<u32>> {
        let mut of = vec![Vec::new(); self.users];
        for (room, members) in self.rooms.iter().enumerate() {
            for member in members {
                of[*member].push(room as u32);
            }
        }
        of
    }
}

/// What a server does for the price that is measured.
#[derive(Clone, Copy, Debug)]
pub struct Promises {
    /// Where messages are kept, if anywhere.
    pub stores: &'static str,
    /// A message that anybody has seen survives a crash of the machine.
    pub durable: bool,
    /// All members see the same order.
    pub ordered: bool,
    /// Only members can send and read.
    pub authorised: bool,
    /// A message that is sent again, because its answer was lost, isn't doubled.
    pub repeatable: bool,
    /// A client that comes back gets what it missed.
    pub resumes: bool,
    /// Each message is acknowledged to its author.
    pub acknowledges: bool,
}

/// What servers are started with.
#[derive(Clone, Debug)]
pub struct Setup {
    pub hearth: PathBuf,
    /// Where `make bench-peers` has installed the other servers.
    pub peers: PathBuf,
    /// Where a server keeps its files; removed at the end.
    pub dir: PathBuf,
    pub server_cores: Vec<usize>,
    pub load_cores: Vec<usize>,
    /// Bytes of a message's text.
    pub bytes: usize,
    /// Bytes that one delivery takes on Hearth's connections, for the floor.
    pub frame_bytes: usize,
    /// Limits by user, where the server has them.
    pub limits: bool,
}

/// A running server.
pub trait Server {
    fn promises(&self) -> Promises;

    fn address(&self) -> SocketAddrV4;

    /// The processes whose trees are the server, its database's included.
    fn processes(&self) -> Vec<i32>;

    /// Makes accounts and rooms.
    fn populate(&mut self, population: &Population) -> Result<()>;

    fn dialect(&self) -> Box<dyn Dialect>;

    /// Kills the server (not its database) without a warning, and starts it again.
    fn kill_and_restart(&mut self) -> Result<()> {
        Err("this adapter doesn't restart its server".to_owned())
    }

    /// The keys of a room's stored messages in their order, with the numbers that the server gave to them.
    fn stored(&self, _room: u32) -> Result<Option<Vec<(Key, u64)>>> {
        Ok(None)
    }

    /// Lines of the server's log that speak of a problem.
    fn complaints(&self) -> Vec<String> {
        Vec::new()
    }
}

/// One connection of a user, with its place in each of the user's rooms.
#[derive(Debug)]
pub struct Seat {
    pub user: usize,
    pub places: Vec<Place>,
    /// Free for the dialect: how far opening the connection has come.
    pub stage: u32,
    /// The connection hears all its rooms.
    pub live: bool,
    /// It was live before: it resumes.
    pub returns: bool,
    pub slow: bool,
}

impl Seat {
    pub fn new(user: usize, rooms: &[u32]) -> Self {
        let place = |room: &u32| Place {
            room: *room,
            ..Place::default()
        };
        Self {
            user,
            places: rooms.iter().map(place).collect(),
            stage: 0,
            live: false,
            returns: false,
            slow: false,
        }
    }

    pub fn place(&mut self, room: u32) -> Option<&mut Place> {
        self.places.iter_mut().find(|place| place.room == room)
    }
}

/// What a frame says.
#[derive(Debug)]
pub enum Heard {
    /// Nothing that is counted.
    Other,
    /// The connection hears all its rooms from now on.
    Live,
    /// A message, and the number that the server gave to it.
    Message { key: Key, seq: Option<u64> },
    /// The message with this reference was accepted.
    Ack(u32),
    /// The message was not accepted. It may be sent again after so many milliseconds, or never.
    Refused {
        reference: u32,
        retry_after_ms: Option<u64>,
    },
    /// What should not come.
    Fault(String),
}

/// A query beside the messages, as an HTTP request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Query {
    /// Messages with a word.
    Search,
    /// A page of a room's history around a message.
    History { seq: u64 },
}

/// The protocol on the connections. `out` is written to the connection.
pub trait Dialect: Send {
    fn framing(&self) -> Framing;

    /// What opens a connection: for WebSockets the request.
    fn hello(&self, seat: &Seat) -> Vec<u8>;

    /// The connection carries frames.
    fn opened(&mut self, _seat: &mut Seat, _out: &mut Vec<u8>) {}

    fn frame(&mut self, seat: &mut Seat, frame: &[u8], out: &mut Vec<u8>) -> Heard;

    /// Sends a message. With the same reference and key it is the same message.
    fn say(&mut self, seat: &Seat, reference: u32, key: &Key, text: &str, out: &mut Vec<u8>);

    /// Tells that the seat's user is typing in a room; false where there is no such thing.
    fn typing(&mut self, _seat: &Seat, _room: u32, _out: &mut Vec<u8>) -> bool {
        false
    }

    /// The request of a query by a user about a room; none where the server has no such thing.
    fn query(&self, _query: Query, _user: usize, _room: u32, _word: &str) -> Option<Vec<u8>> {
        None
    }
}

/// The servers by name, as on the command line.
pub const NAMES: &[&str] = &[
    "floor",
    "hearth",
    "hearth-mariadb",
    "ws",
    "socket.io",
    "fastapi",
    "socketioxide",
    "ejabberd",
    "prosody",
];

/// Starts a server.
pub fn start(name: &str, setup: &Setup) -> Result<Box<dyn Server>> {
    std::fs::create_dir_all(&setup.dir).map_err(|error| error.to_string())?;
    Ok(match name {
        "floor" => Box::new(floor::Floor::start(setup)?),
        "hearth" => Box::new(hearth::Hearth::start(setup, None)?),
        "hearth-mariadb" => {
            let database = mariadb::MariaDb::start(setup, "hearth")?;
            Box::new(hearth::Hearth::start(setup, Some(database))?)
        }
        "ws" | "socket.io" | "fastapi" | "socketioxide" => {
            Box::new(script::Script::start(name, setup)?)
        }
        "ejabberd" => Box::new(xmpp::Xmpp::ejabberd(setup)?),
        "prosody" => Box::new(xmpp::Xmpp::prosody(setup)?),
        other => return Err(format!("no server is called {other}; there are {NAMES:?}")),
    })
}

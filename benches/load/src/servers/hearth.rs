//! Hearth, on SQLite or on MariaDB, through its REST API and its WebSocket.

use std::{
    fmt::Write,
    fs,
    net::SocketAddrV4,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use memchr::memmem::Finder;
use serde_json::{Value, json};

use super::{
    Dialect, Heard, Population, Promises, Query, Result, Seat, Server, Setup,
    mariadb::MariaDb,
    process::{self, Process},
};
use crate::{
    clock,
    http::{self, Client},
    text::Key,
    wire::{self, Framing},
};

/// Requests at the same time while accounts and rooms are made.
const PARALLEL: usize = 16;
/// Ids in one request.
const IDS_MAX: usize = 100;
const PASSWORD: &str = "correct load battery";

pub struct Hearth {
    process: Process,
    database: Option<MariaDb>,
    program: PathBuf,
    address: SocketAddrV4,
    setup: Setup,
    /// Limits by user are in force.
    limits: bool,
    people: Arc<People>,
}

/// Accounts and rooms.
#[derive(Default)]
struct People {
    tokens: Vec<String>,
    room_ids: Vec<u64>,
    /// A member of each room.
    members: Vec<usize>,
}

impl Hearth {
    pub fn start(setup: &Setup, database: Option<MariaDb>) -> Result<Self> {
        let address = process::free_address()?;
        let program = setup.hearth.clone();
        let process = launch(&program, address, setup, database.as_ref(), false)?;
        Ok(Self {
            process,
            database,
            program,
            address,
            setup: setup.clone(),
            limits: false,
            people: Arc::default(),
        })
    }
}

fn log(setup: &Setup) -> PathBuf {
    setup.dir.join("hearth.log")
}

fn launch(
    program: &Path,
    address: SocketAddrV4,
    setup: &Setup,
    database: Option<&MariaDb>,
    limits: bool,
) -> Result<Process> {
    let mut command = Command::new(program);
    // Only what is set here counts.
    for (name, _) in std::env::vars() {
        if name.starts_with("HEARTH_") {
            command.env_remove(name);
        }
    }
    command
        .arg("serve")
        .current_dir(&setup.dir)
        .env("HEARTH_LISTEN", address.to_string())
        .env("HEARTH_DATA_DIR", setup.dir.join("data"))
        .env("HEARTH_ARGON2", "m=64,t=1,p=1")
        .env("HEARTH_RATE_LIMITS", if limits { "on" } else { "off" })
        // All connections come from this machine.
        .env("HEARTH_CONNECTIONS_PER_ADDRESS", "18000")
        .env("HEARTH_ACCESS_TTL", "1d")
        .env("HEARTH_LOG_FORMAT", "json");
    if let Some(database) = database {
        command.env("HEARTH_DATABASE_URL", database.url());
    }
    let mut process = Process::start(
        &command,
        &log(setup),
        &setup.server_cores,
        &setup.load_cores,
    )?;
    let ready = || {
        let mut client = Client::new(address);
        matches!(client.request("GET", "/readyz", None, None), Ok((200, _)))
    };
    match process.wait_until(ready) {
        Ok(()) => Ok(process),
        Err(error) => {
            let log = fs::read_to_string(log(setup)).unwrap_or_default();
            Err(format!("{error}\n{log}"))
        }
    }
}

impl Server for Hearth {
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
            repeatable: true,
            resumes: true,
            acknowledges: true,
        }
    }

    fn address(&self) -> SocketAddrV4 {
        self.address
    }

    fn processes(&self) -> Vec<i32> {
        let database = self.database.iter().map(MariaDb::pid);
        [self.process.pid()].into_iter().chain(database).collect()
    }

    fn populate(&mut self, population: &Population) -> Result<()> {
        let accounts = http::each(self.address, PARALLEL, population.users, |client, user| {
            let body = json!({
                "username": format!("member{user:06}"),
                "email": format!("member{user:06}@example.org"),
                "password": PASSWORD,
            });
            let tokens = client.ask("POST", "/api/register", None, Some(&body))?;
            let id = tokens["user"]["id"]
                .as_u64()
                .ok_or("a user without an id")?;
            Ok((id, text(&tokens, "access_token")?))
        })?;
        let (user_ids, tokens): (Vec<_>, Vec<_>) = accounts.into_iter().unzip();
        let rooms = &population.rooms;
        let room_ids = http::each(self.address, PARALLEL, rooms.len(), |client, room| {
            make_room(client, room, &rooms[room], &user_ids, &tokens)
        })?;
        self.people = Arc::new(People {
            members: rooms.iter().map(|members| members[0]).collect(),
            tokens,
            room_ids,
        });
        // To make accounts is limited, too.
        if self.setup.limits {
            self.limits = true;
            self.kill_and_restart()?;
        }
        Ok(())
    }

    fn dialect(&self) -> Box<dyn Dialect> {
        Box::new(Protocol {
            address: self.address,
            people: self.people.clone(),
            content: Finder::new(b"\"content\":\"").into_owned(),
            scratch: String::new(),
            epoch: String::new(),
        })
    }

    fn kill_and_restart(&mut self) -> Result<()> {
        self.process.kill();
        let database = self.database.as_ref();
        self.process = launch(
            &self.program,
            self.address,
            &self.setup,
            database,
            self.limits,
        )?;
        Ok(())
    }

    fn stored(&self, room: u32) -> Result<Option<Vec<(Key, u64)>>> {
        let token = &self.people.tokens[self.people.members[room as usize]];
        let id = self.people.room_ids[room as usize];
        let mut client = Client::new(self.address);
        let mut stored = Vec::new();
        let mut after = 0;
        loop {
            let path = format!("/api/chat/rooms/{id}/messages?after={after}&limit=200");
            let page = client.ask("GET", &path, Some(token), None)?;
            let items = page["items"].as_array().ok_or("a page without items")?;
            for item in items {
                after = item["seq"].as_u64().ok_or("a message without a seq")?;
                let content = item["content"].as_str().unwrap_or_default();
                if let Some(key) = Key::read(content.as_bytes()) {
                    stored.push((key, after));
                }
            }
            if page["next"].is_null() {
                return Ok(Some(stored));
            }
        }
    }

    fn complaints(&self) -> Vec<String> {
        let log = fs::read_to_string(log(&self.setup)).unwrap_or_default();
        let problem = |line: &&str| {
            let severe = ["\"WARN\"", "\"ERROR\"", "panicked"];
            // Nobody administers this server.
            severe.iter().any(|word| line.contains(word))
                && !line.contains("there is no active admin")
        };
        log.lines().filter(problem).map(str::to_owned).collect()
    }
}

/// A room with these members, of whom the first owns it. Answers its id.
fn make_room(
    client: &mut Client,
    number: usize,
    members: &[usize],
    user_ids: &[u64],
    tokens: &[String],
) -> Result<u64> {
    let (owner, others) = members.split_first().ok_or("a room without members")?;
    let (added, joining) = others.split_at(others.len().min(IDS_MAX - 1));
    let added: Vec<u64> = added.iter().map(|user| user_ids[*user]).collect();
    let body = json!({"name": format!("room {number}"), "kind": "public", "members": added});
    let room = client.ask(
        "POST",
        "/api/chat/rooms",
        Some(&tokens[*owner]),
        Some(&body),
    )?;
    let id = room["id"].as_u64().ok_or("a room without an id")?;
    for user in joining {
        let path = format!("/api/chat/rooms/{id}/join");
        client.ask("POST", &path, Some(&tokens[*user]), None)?;
    }
    Ok(id)
}

fn text(value: &Value, field: &str) -> Result<String> {
    let text = value[field].as_str();
    Ok(text
        .ok_or_else(|| format!("no {field} in {value}"))?
        .to_owned())
}

/// PROTOCOL.md, as a client that keeps its position in each room.
struct Protocol {
    address: SocketAddrV4,
    people: Arc<People>,
    content: Finder<'static>,
    scratch: String,
    epoch: String,
}

impl Protocol {
    fn send(&mut self, out: &mut Vec<u8>) {
        wire::text(out, self.scratch.as_bytes());
    }

    /// Asks for live delivery of all rooms: from now on, or from where the connection was.
    fn sync(&mut self, seat: &mut Seat, out: &mut Vec<u8>) {
        seat.stage = seat.places.len() as u32;
        self.scratch.clear();
        if seat.returns {
            let _ = write!(
                self.scratch,
                r#"{{"type":"sync","ref":0,"epoch":"{}","rooms":{{"#,
                self.epoch
            );
            for (index, place) in seat.places.iter().enumerate() {
                let comma = if index == 0 { "" } else { "," };
                let id = self.people.room_ids[place.room as usize];
                let _ = write!(self.scratch, r#"{comma}"{id}":{}"#, place.rev);
            }
            self.scratch.push_str("}}");
        } else {
            self.scratch.push_str(r#"{"type":"sync","ref":0}"#);
        }
        self.send(out);
    }

    fn message(&self, seat: &mut Seat, frame: &[u8]) -> Heard {
        let numbers = (|| {
            let (room_id, rest) = number(frame, b"\"room_id\":")?;
            let (seq, rest) = number(rest, b"\"seq\":")?;
            let (rev, rest) = number(rest, b"\"rev\":")?;
            let content = self.content.find(rest)?;
            let key = Key::read(&rest[content + self.content.needle().len()..])?;
            Some((room_id, seq, rev, key))
        })();
        let Some((room_id, seq, rev, key)) = numbers else {
            return Heard::Fault(excerpt(frame));
        };
        if self.people.room_ids.get(key.room as usize) != Some(&room_id) {
            return Heard::Fault(format!("in another room: {}", excerpt(frame)));
        }
        let Some(place) = seat.place(key.room) else {
            return Heard::Fault(format!("of a room of others: {}", excerpt(frame)));
        };
        place.rev = rev;
        Heard::Message {
            key,
            seq: Some(seq),
        }
    }

    fn room_of(&self, frame: &[u8]) -> Option<u32> {
        let (id, _) = number(frame, b"\"room_id\":")?;
        let room = self.people.room_ids.iter().position(|room| *room == id)?;
        Some(room as u32)
    }

    fn synced(&self, seat: &mut Seat, frame: &[u8]) -> Heard {
        let rev = number(frame, b"\"rev\":");
        let place = self.room_of(frame).and_then(|room| seat.place(room));
        let (Some((rev, _)), Some(place)) = (rev, place) else {
            return Heard::Fault(excerpt(frame));
        };
        place.rev = place.rev.max(rev);
        seat.stage = seat.stage.saturating_sub(1);
        if seat.stage == 0 && !seat.live {
            Heard::Live
        } else {
            Heard::Other
        }
    }

    /// Live delivery of a room has stopped, because the connection was slow: it is asked for again.
    fn rejoin(&mut self, seat: &mut Seat, frame: &[u8], out: &mut Vec<u8>) -> Heard {
        let Some(room) = self.room_of(frame) else {
            return Heard::Fault(excerpt(frame));
        };
        let id = self.people.room_ids[room as usize];
        let Some(rev) = seat.place(room).map(|place| place.rev) else {
            return Heard::Fault(excerpt(frame));
        };
        self.scratch.clear();
        let _ = write!(
            self.scratch,
            r#"{{"type":"join","ref":0,"room_id":{id},"rev":{rev}}}"#
        );
        self.send(out);
        Heard::Other
    }

    fn error(&mut self, seat: &mut Seat, frame: &[u8], out: &mut Vec<u8>) -> Heard {
        let error: Value = serde_json::from_slice(frame).unwrap_or_default();
        let retryable = error["retryable"] == true;
        match error["ref"].as_u64() {
            // A `sync` or `join`.
            Some(0) if retryable => {
                self.sync_again(seat, out);
                Heard::Other
            }
            Some(reference @ 1..) => Heard::Refused {
                reference: reference as u32 - 1,
                retry_after_ms: retryable.then(|| error["retry_after_ms"].as_u64().unwrap_or(500)),
            },
            _ => Heard::Fault(excerpt(frame)),
        }
    }

    fn sync_again(&mut self, seat: &mut Seat, out: &mut Vec<u8>) {
        let returns = seat.returns;
        seat.returns |= seat.places.iter().all(|place| place.rev > 0);
        self.sync(seat, out);
        seat.returns = returns;
    }
}

impl Dialect for Protocol {
    fn framing(&self) -> Framing {
        Framing::WebSocket
    }

    fn hello(&self, seat: &Seat) -> Vec<u8> {
        let path = format!("/ws?token={}", self.people.tokens[seat.user]);
        wire::upgrade(self.address, &path, "")
    }

    fn frame(&mut self, seat: &mut Seat, frame: &[u8], out: &mut Vec<u8>) -> Heard {
        let Some(rest) = frame.strip_prefix(b"{\"type\":\"") else {
            return Heard::Fault(excerpt(frame));
        };
        let end = memchr::memchr(b'"', rest).unwrap_or(rest.len());
        match &rest[..end] {
            b"message" => self.message(seat, frame),
            b"ack" => match number(frame, b"\"ref\":") {
                Some((0, _)) => Heard::Other,
                Some((reference, _)) => Heard::Ack(reference as u32 - 1),
                None => Heard::Fault(excerpt(frame)),
            },
            b"ready" => {
                let ready: Value = serde_json::from_slice(frame).unwrap_or_default();
                self.epoch = ready["epoch"].as_str().unwrap_or_default().to_owned();
                self.sync(seat, out);
                Heard::Other
            }
            b"synced" => self.synced(seat, frame),
            b"lagged" => self.rejoin(seat, frame, out),
            b"error" => self.error(seat, frame, out),
            b"removed" | b"reset" => Heard::Fault(excerpt(frame)),
            _ => Heard::Other,
        }
    }

    fn say(&mut self, _: &Seat, reference: u32, key: &Key, text: &str, out: &mut Vec<u8>) {
        let id = self.people.room_ids[key.room as usize];
        let ms = clock::unix_ms(key.due);
        let (high, low) = (ms >> 16, ms & 0xffff);
        self.scratch.clear();
        // A UUID of version 7 that follows from the key: sent again, the message has the same.
        let _ = write!(
            self.scratch,
            r#"{{"type":"message","ref":{},"room_id":{id},"id":"{high:08x}-{low:04x}-7{:03x}-8{:03x}-{:012x}","content":"{text}"}}"#,
            reference + 1,
            key.turn & 0xfff,
            key.room & 0xfff,
            reference,
        );
        self.send(out);
    }

    fn typing(&mut self, _: &Seat, room: u32, out: &mut Vec<u8>) -> bool {
        let id = self.people.room_ids[room as usize];
        self.scratch.clear();
        let _ = write!(self.scratch, r#"{{"type":"typing","room_id":{id}}}"#);
        self.send(out);
        true
    }

    fn query(&self, query: Query, user: usize, room: u32, word: &str) -> Option<Vec<u8>> {
        let id = self.people.room_ids[room as usize];
        let path = match query {
            Query::Search => format!("/api/chat/search?q={word}"),
            Query::History { seq } => format!("/api/chat/rooms/{id}/messages?around={seq}"),
        };
        let token = Some(self.people.tokens[user].as_str());
        Some(http::request(self.address, "GET", &path, token, None))
    }
}

/// The number that follows a key, and what comes after it.
fn number<'a>(frame: &'a [u8], key: &[u8]) -> Option<(u64, &'a [u8])> {
    let at = memchr::memmem::find(frame, key)? + key.len();
    let rest = &frame[at..];
    let end = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    let digits = std::str::from_utf8(&rest[..end]).ok()?;
    Some((digits.parse().ok()?, &rest[end..]))
}

fn excerpt(frame: &[u8]) -> String {
    String::from_utf8_lossy(&frame[..frame.len().min(300)]).into_owned()
}

//! A proxy between the server and MariaDB that cuts the connection around a COMMIT, delays it, or falls silent at a
//! statement. It understands just enough of the MySQL protocol to know which COMMIT ends a transaction that wrote, and which
//! statement is executed.

use std::{
    collections::{HashMap, VecDeque},
    future::pending,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinSet,
    time::sleep,
};

use super::{PATIENCE, timeout};

/// What happens to a COMMIT. The server's connection always breaks unless it is said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// MariaDB commits; the answer is lost.
    LoseAnswer,
    /// The COMMIT is lost.
    LoseCommit,
    /// MariaDB gets the COMMIT this much after the server's connection broke, and holds the
    /// transaction's locks until then.
    LateCommit(Duration),
    /// MariaDB commits; the answer comes this much later. Nothing breaks.
    LateAnswer(Duration),
}

/// Where a connection falls silent: the statement doesn't arrive, nothing more is passed on, and both ends stay open, as
/// when a machine vanishes.
#[derive(Clone, Copy, Debug)]
pub struct Silence {
    /// A part of the statement's text.
    pub at: &'static str,
    /// It is longer than so many bytes, with its values.
    pub above: usize,
}

/// A proxy in front of one MariaDB. Dropping it cuts all its connections.
pub struct Proxy {
    address: SocketAddr,
    plan: Arc<Plan>,
    struck: tokio::sync::Mutex<mpsc::Receiver<bool>>,
    _serving: JoinSet<()>,
}

/// Faults that are to happen, and those that have.
#[derive(Default)]
struct Plan {
    commits: Mutex<VecDeque<Fault>>,
    /// The delay of each command.
    delay: Mutex<Duration>,
    silence: Mutex<Option<Silence>>,
    /// Database sessions may be silent for a day, as MySQL's may for hours: see [`Proxy::let_sessions_last`].
    lasting: AtomicBool,
    /// How many connections have fallen silent.
    silent: watch::Sender<usize>,
    /// How many statements that write were executed.
    writes: Mutex<usize>,
}

const COM_QUERY: u8 = 0x03;
const COM_STMT_PREPARE: u8 = 0x16;
const COM_STMT_EXECUTE: u8 = 0x17;

impl Proxy {
    /// In front of the MariaDB of this URL.
    pub async fn start(url: &str) -> Self {
        let options = mysql_async::Opts::from_url(url).unwrap();
        let upstream = format!("{}:{}", options.ip_or_hostname(), options.tcp_port());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let plan = Arc::new(Plan::default());
        let (strike, struck) = mpsc::channel(64);
        let mut serving = JoinSet::new();
        let faults = plan.clone();
        serving.spawn(async move {
            let mut cables = JoinSet::new();
            loop {
                let (server, _) = listener.accept().await.unwrap();
                let Ok(database) = TcpStream::connect(&upstream).await else {
                    continue;
                };
                let cable = Cable::new(faults.clone(), strike.clone());
                cables.spawn(cable.run(server, database));
                while cables.try_join_next().is_some() {}
            }
        });
        Self {
            address,
            plan,
            struck: tokio::sync::Mutex::new(struck),
            _serving: serving,
        }
    }

    /// The URL, with the proxy in the database's place.
    pub fn url(&self, url: &str) -> String {
        let (before, after) = url.rsplit_once('@').unwrap();
        let (_, name) = after.split_once('/').unwrap();
        format!("{before}@{}/{name}", self.address)
    }

    /// The next COMMIT of a transaction that wrote meets this; several meet those after it.
    pub fn at_next_commit(&self, fault: Fault) {
        self.plan.commits.lock().unwrap().push_back(fault);
    }

    /// From now on each command takes this much longer.
    pub fn delay(&self, delay: Duration) {
        *self.plan.delay.lock().unwrap() = delay;
    }

    /// From now on connections fall silent there; `None`: those that aren't yet don't any more.
    pub fn fall_silent(&self, silence: Option<Silence>) {
        *self.plan.silence.lock().unwrap() = silence;
    }

    /// The database ends no silent database session by itself from now on: the limits that the server sets for its own don't
    /// arrive.
    pub fn let_sessions_last(&self) {
        self.plan.lasting.store(true, Ordering::Relaxed);
    }

    /// Waits until so many connections have fallen silent.
    pub async fn silent(&self, connections: usize) {
        let mut silent = self.plan.silent.subscribe();
        timeout(PATIENCE, silent.wait_for(|silent| *silent >= connections))
            .await
            .expect("a connection falls silent in time")
            .unwrap();
    }

    /// How many connections have fallen silent.
    pub fn silences(&self) -> usize {
        *self.plan.silent.borrow()
    }

    /// How many statements that write have passed so far, but for those of the search index.
    pub fn writes(&self) -> usize {
        *self.plan.writes.lock().unwrap()
    }

    /// Waits until the oldest fault has struck and has run its course; whether MariaDB committed.
    pub async fn struck(&self) -> bool {
        let mut struck = self.struck.lock().await;
        timeout(PATIENCE, struck.recv())
            .await
            .expect("a COMMIT comes in time")
            .unwrap()
    }
}

/// One connection.
struct Cable {
    plan: Arc<Plan>,
    strike: mpsc::Sender<bool>,
    /// The statement whose number comes next.
    preparing: Option<String>,
    prepared: HashMap<u32, String>,
    /// The transaction has written.
    dirty: bool,
}

impl Cable {
    fn new(plan: Arc<Plan>, strike: mpsc::Sender<bool>) -> Self {
        Self {
            plan,
            strike,
            preparing: None,
            prepared: HashMap::new(),
            dirty: false,
        }
    }

    async fn run(mut self, server: TcpStream, database: TcpStream) {
        // However a connection ends, both its ends are closed then.
        let _ = self.carry(server, database).await;
    }

    async fn carry(&mut self, mut server: TcpStream, mut database: TcpStream) -> io::Result<()> {
        server.set_nodelay(true)?;
        database.set_nodelay(true)?;
        let (mut up, mut down) = (BytesMut::new(), BytesMut::new());
        loop {
            tokio::select! {
                read = server.read_buf(&mut up) => if read? == 0 { return Ok(()) },
                read = database.read_buf(&mut down) => if read? == 0 { return Ok(()) },
            }
            while let Some(mut packet) = packet(&mut up) {
                if self.plan.lasting.load(Ordering::Relaxed) {
                    packet = without_limits(packet);
                }
                if self.falls_silent(&packet[4..]) {
                    self.plan.silent.send_modify(|silent| *silent += 1);
                    pending::<()>().await;
                }
                let delay = *self.plan.delay.lock().unwrap();
                if !delay.is_zero() {
                    sleep(delay).await;
                }
                match self.asked(&packet[4..]) {
                    None => database.write_all(&packet).await?,
                    Some(Fault::LateAnswer(late)) => {
                        database.write_all(&packet).await?;
                        let answer = answer(&mut database, &mut down).await?;
                        sleep(late).await;
                        let _ = self.strike.send(committed(&answer)).await;
                        server.write_all(&answer).await?;
                    }
                    Some(fault) => {
                        let fate = strike(fault, &packet, server, database, down).await;
                        let _ = self.strike.send(fate?).await;
                        return Ok(());
                    }
                }
            }
            while let Some(packet) = packet(&mut down) {
                self.answered(&packet[4..]);
                server.write_all(&packet).await?;
            }
        }
    }

    /// Looks at a command: the fault, if it is a COMMIT that meets one.
    fn asked(&mut self, command: &[u8]) -> Option<Fault> {
        match *command.first()? {
            COM_STMT_PREPARE => {
                self.preparing = Some(String::from_utf8_lossy(&command[1..]).into_owned());
            }
            COM_STMT_EXECUTE if writes(self.statement(command)?) => {
                self.dirty = true;
                *self.plan.writes.lock().unwrap() += 1;
            }
            COM_QUERY if command[1..].eq_ignore_ascii_case(b"COMMIT") => {
                let wrote = std::mem::take(&mut self.dirty);
                return wrote.then(|| self.plan.commits.lock().unwrap().pop_front())?;
            }
            COM_QUERY if command[1..].eq_ignore_ascii_case(b"ROLLBACK") => self.dirty = false,
            COM_QUERY => self.dirty |= writes(&String::from_utf8_lossy(&command[1..])),
            _ => {}
        }
        None
    }

    /// The prepared statement that a command executes.
    fn statement(&self, command: &[u8]) -> Option<&str> {
        let number = command.get(1..5)?.try_into().ok()?;
        let statement = self.prepared.get(&u32::from_le_bytes(number))?;
        (command[0] == COM_STMT_EXECUTE).then_some(statement)
    }

    fn falls_silent(&self, command: &[u8]) -> bool {
        let silence = *self.plan.silence.lock().unwrap();
        let (Some(silence), Some(statement)) = (silence, self.statement(command)) else {
            return false;
        };
        statement.contains(silence.at) && command.len() > silence.above
    }

    /// Looks at an answer: the number of the statement that was prepared.
    fn answered(&mut self, answer: &[u8]) {
        if let Some(statement) = self.preparing.take()
            && let [0, a, b, c, d, ..] = *answer
        {
            let number = u32::from_le_bytes([a, b, c, d]);
            self.prepared.insert(number, statement);
        }
    }
}

/// Lets a COMMIT meet its fault, and both connections end; whether MariaDB committed.
async fn strike(
    fault: Fault,
    commit: &[u8],
    server: TcpStream,
    mut database: TcpStream,
    mut down: BytesMut,
) -> io::Result<bool> {
    match fault {
        Fault::LoseCommit => return Ok(false),
        Fault::LateCommit(late) => {
            drop(server);
            sleep(late).await;
        }
        Fault::LoseAnswer | Fault::LateAnswer(_) => {}
    }
    // A connection that was killed meanwhile takes no COMMIT.
    let answered = async {
        database.write_all(commit).await?;
        answer(&mut database, &mut down).await
    };
    Ok(answered.await.is_ok_and(|answer| committed(&answer)))
}

/// The packet, without the limits on the silence of a database session.
fn without_limits(packet: Bytes) -> Bytes {
    let Ok(statement) = std::str::from_utf8(&packet[4..]) else {
        return packet;
    };
    let [wait, idle] = ["wait_timeout = 30", "/*M! , idle"];
    if !statement.contains(idle) {
        return packet;
    }
    assert!(statement.contains(wait), "{statement}");
    let lasting = statement
        .replace(&format!(" {wait}"), " wait_timeout = 86400")
        .replace(idle, "/* idle");
    let mut header = (lasting.len() as u32).to_le_bytes();
    header[3] = packet[3];
    [&header[..], lasting.as_bytes()].concat().into()
}

/// Whether a statement writes, but for what the search does by itself, behind the log.
fn writes(sql: &str) -> bool {
    let sql = sql.trim_start().to_uppercase();
    let indexes = sql.contains("MESSAGE_WORDS") || sql.contains("SEARCH_CURSORS");
    let verbs = ["INSERT", "UPDATE", "REPLACE", "DELETE"];
    !indexes && verbs.iter().any(|verb| sql.starts_with(verb))
}

fn committed(answer: &[u8]) -> bool {
    answer.get(4) == Some(&0)
}

async fn answer(database: &mut TcpStream, down: &mut BytesMut) -> io::Result<Bytes> {
    loop {
        if let Some(packet) = packet(down) {
            return Ok(packet);
        }
        if database.read_buf(down).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// The first whole packet: three bytes of length, one of order, the payload.
fn packet(buffer: &mut BytesMut) -> Option<Bytes> {
    let mut header = buffer.get(..4)?;
    let length = header.get_uint_le(3) as usize;
    (buffer.len() >= 4 + length).then(|| buffer.split_to(4 + length).freeze())
}

//! Joins, syncs and pages of a room with a long queue race with a log-out, a disabling or a removal. What happens after the
//! end was answered reaches nobody who has lost the right to it.

use std::sync::Arc;

use futures_util::future::join_all;
use rand::Rng;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::support::{
    Account, Db, PATIENCE, Raw, Server, Socket, each_database, masked, soak_each_database, timeout,
    uuid,
};

/// People side by side; what each has under way at once; and how often a right ends in `make test` and in `make soak`. Three
/// ends on two databases: 3,600 races, and 10,080.
const PEOPLE: usize = 2;
const SOCKETS: usize = 18;
const PAGES: usize = 2;
const ROUNDS: usize = 15;
const ROUNDS_SOAK: usize = 42;
/// Joins of one socket that follow each other, how far back they begin, and messages played back to a room's socket.
const JOINS: usize = 2;
const BACK: u64 = 4;
const HISTORY: usize = 5;
/// Others who listen, and what is said meanwhile; in every so many races there is more of it than a room's queue holds.
const CROWD: usize = 20;
const SHORT: usize = 6;
const LONG: usize = 40;
const OVERFULL: usize = 14;

/// A busy room, and who listens there.
struct Hall {
    server: Server,
    witness: Account,
    room: u64,
    /// The longest message.
    long: String,
}

impl Hall {
    async fn open(db: Db) -> Arc<Self> {
        let server = Server::start(db).await;
        let witness = server.admin("witness").await;
        let room = witness.create_room("hall", &[]).await;
        for _ in 0..CROWD {
            let mut raw = Raw::socket(&server, &witness).await;
            raw.text(&json!({"type": "join", "room_id": room}).to_string())
                .await;
            tokio::spawn(async move { raw.discard().await });
        }
        Arc::new(Self {
            server,
            witness,
            room,
            long: "𠀀".repeat(8_000),
        })
    }

    /// A member of the hall.
    async fn member(&self, name: &str) -> Account {
        let account = self.server.register(name).await;
        self.add(&account).await;
        account
    }

    /// Asks until it is answered with one of these: the machine may be busy with other things.
    async fn ask(
        &self,
        who: Option<&Account>,
        request: (&str, &str),
        body: Option<&Value>,
        expected: &[u16],
    ) -> Value {
        let (method, path) = request;
        let token = who.map(|who| &*who.token);
        let asked = async {
            loop {
                match self.server.request(method, path, token, body).await {
                    (503, _) => {}
                    (status, answer) => {
                        assert!(expected.contains(&status), "{status} {answer}");
                        return answer;
                    }
                }
            }
        };
        let asked = timeout(PATIENCE, asked).await;
        asked.unwrap_or_else(|_| panic!("{method} {path}: {}", self.server.log()))
    }

    /// Has the witness change something.
    async fn rule(&self, method: &str, path: &str, body: &Value, expected: &[u16]) {
        self.ask(Some(&self.witness), (method, path), Some(body), expected)
            .await;
    }

    async fn add(&self, account: &Account) {
        let path = format!("/api/chat/rooms/{}/members", self.room);
        let body = json!({"user_id": account.id});
        self.rule("POST", &path, &body, &[200, 201]).await;
    }

    async fn log_in(&self, name: &str) -> Account {
        let body = json!({"username": name, "password": format!("correct horse {name}")});
        let tokens = self.ask(None, ("POST", "/api/login"), Some(&body), &[200]);
        self.server.account(&tokens.await)
    }

    async fn say(&self, content: &str) {
        let path = format!("/api/chat/rooms/{}/messages", self.room);
        let body = json!({"id": uuid(), "content": content});
        self.rule("POST", &path, &body, &[200, 201]).await;
    }

    /// Says much at once.
    async fn chatter(&self, round: usize) {
        let short = (0..SHORT).map(|number| format!("noise {number}"));
        let long = match round % OVERFULL {
            0 => LONG,
            _ => 0,
        };
        let long = (0..long).map(|_| self.long.clone());
        join_all(short.chain(long).map(async |text| self.say(&text).await)).await;
    }

    /// An account's sockets: one third for the room alone, which are opened anew in each race.
    async fn connect(&self, account: &Account) -> Vec<Raw> {
        let sockets = (0..SOCKETS).map(async |number| match number % 3 {
            0 => self.playback(account).await,
            _ => loop {
                let mut raw = Raw::socket(&self.server, account).await;
                if raw.json().await["type"] == "ready" {
                    break raw;
                }
            },
        });
        join_all(sockets).await
    }

    async fn playback(&self, account: &Account) -> Raw {
        let path = format!(
            "/ws/{}?history={HISTORY}&token={}",
            self.room, account.token
        );
        Raw::upgrade(&self.server, &path).await
    }

    /// Asks on each socket for much; what comes is read later.
    async fn catch_up(&self, sockets: &mut [Raw]) {
        let path = format!("/api/chat/rooms/{}", self.room);
        let room = self.ask(Some(&self.witness), ("GET", &path), None, &[200]);
        let rev = room.await["rev"].as_u64().unwrap().saturating_sub(BACK);
        let room = self.room;
        for (number, socket) in sockets.iter_mut().enumerate() {
            let frames: Vec<Value> = match number % 3 {
                0 => Vec::new(),
                1 => vec![json!({"type": "join", "room_id": room, "rev": rev}); JOINS],
                _ => vec![json!({"type": "sync", "rooms": {room.to_string(): rev}}); JOINS],
            };
            let frames = frames
                .iter()
                .map(|frame| masked(0x81, frame.to_string().as_bytes()));
            socket.write(&frames.collect::<Vec<_>>().concat()).await;
        }
    }

    /// Reads pages by REST until they are refused; none holds the secret.
    async fn read_pages(self: Arc<Self>, account: Account, secret: String) {
        let path = format!("/api/chat/rooms/{}/messages?limit=5", self.room);
        loop {
            let (status, page) = account.get(&path).await;
            match status {
                200 => assert!(
                    !page.to_string().contains(&secret),
                    "it was read after the end"
                ),
                401 | 403 | 404 => return,
                503 => {}
                _ => panic!("{status} {page}"),
            }
        }
    }

    /// A race with the end of the session, which closes all sockets with this code.
    async fn last_race(
        self: &Arc<Self>,
        round: usize,
        account: &Account,
        close: u16,
        end: impl AsyncFnOnce(),
    ) {
        let secret = secret();
        let mut sockets = self.connect(account).await;
        self.catch_up(&mut sockets).await;
        let reading: Vec<_> = sockets
            .into_iter()
            .map(|mut socket| {
                let secret = secret.clone();
                tokio::spawn(async move { read_out(&mut socket, &secret, close).await })
            })
            .collect();
        self.race(round, account, &secret, end).await;
        for socket in reading {
            socket.await.unwrap();
        }
    }

    /// One race of all that an account has under way with `end`, which returns when the end was answered. The secret
    /// is sent after it.
    async fn race(
        self: &Arc<Self>,
        round: usize,
        account: &Account,
        secret: &str,
        end: impl AsyncFnOnce(),
    ) {
        let pages: Vec<_> = (0..PAGES)
            .map(|_| tokio::spawn(self.clone().read_pages(account.clone(), secret.to_owned())))
            .collect();
        let pause = rand::rng().random_range(0..20_000);
        tokio::time::sleep(std::time::Duration::from_micros(pause)).await;
        let ending = async {
            end().await;
            self.say(secret).await;
        };
        tokio::join!(self.chatter(round), ending);
        for page in pages {
            page.await.unwrap();
        }
    }
}

fn secret() -> String {
    format!("after the end {}", uuid())
}

fn holds(payload: &[u8], secret: &str) -> bool {
    payload
        .windows(secret.len())
        .any(|window| window == secret.as_bytes())
}

/// Reads to the end; the close code must be this one, and the secret must not come.
async fn read_out(socket: &mut Raw, secret: &str, close: u16) {
    let mut code = None;
    while let Some((first, payload)) = socket.next_frame(PATIENCE).await {
        let text = || String::from_utf8_lossy(&payload);
        assert_eq!(code, None, "it came behind the close frame: {}", text());
        assert!(
            !holds(&payload, secret),
            "it came after the end: {}",
            text()
        );
        if first == 0x88 {
            code = Some(u16::from_be_bytes([payload[0], payload[1]]));
            // The server waits for the answer, but not for long.
            let _ = socket.stream.write_all(&masked(0x88, &payload[..2])).await;
        }
    }
    // A client that reads too slowly on a busy machine may miss the close frame.
    assert!(code.is_none_or(|code| code == close), "{code:?}");
}

async fn after_a_log_out(db: Db) {
    log_out(db, ROUNDS).await;
}

async fn after_many_log_outs(db: Db) {
    log_out(db, ROUNDS_SOAK).await;
}

async fn log_out(db: Db, rounds: usize) {
    let hall = Hall::open(db).await;
    join_all((0..PEOPLE).map(async |number| {
        let name = format!("person{number}");
        hall.member(&name).await;
        for round in 0..rounds {
            let account = hall.log_in(&name).await;
            let end = async || {
                let path = ("POST", "/api/logout");
                hall.ask(Some(&account), path, Some(&json!({})), &[204, 401])
                    .await;
            };
            hall.last_race(round, &account, 4501, end).await;
        }
    }))
    .await;
}

async fn after_a_disabling(db: Db) {
    disable(db, ROUNDS).await;
}

async fn after_many_disablings(db: Db) {
    disable(db, ROUNDS_SOAK).await;
}

async fn disable(db: Db, rounds: usize) {
    let hall = Hall::open(db).await;
    join_all((0..PEOPLE).map(async |number| {
        let name = format!("person{number}");
        let account = hall.member(&name).await;
        let path = format!("/api/users/{}", account.id);
        let set = async |active: bool| {
            let body = json!({"is_active": active});
            hall.rule("PATCH", &path, &body, &[200]).await;
        };
        for round in 0..rounds {
            let account = hall.log_in(&name).await;
            let end = async || set(false).await;
            hall.last_race(round, &account, 4502, end).await;
            set(true).await;
        }
    }))
    .await;
}

async fn after_a_removal(db: Db) {
    remove(db, ROUNDS).await;
}

async fn after_many_removals(db: Db) {
    remove(db, ROUNDS_SOAK).await;
}

async fn remove(db: Db, rounds: usize) {
    let hall = Hall::open(db).await;
    join_all((0..PEOPLE).map(async |number| {
        let account = hall.member(&format!("person{number}")).await;
        let path = format!("/api/chat/rooms/{}/members/{}", hall.room, account.id);
        let mut watch: Socket = hall.witness.connect().await;
        watch.join(hall.room).await;
        let mut sockets = hall.connect(&account).await;
        for round in 0..rounds {
            let secret = secret();
            hall.catch_up(&mut sockets).await;
            let end = async || {
                hall.rule("DELETE", &path, &json!({}), &[204, 404]).await;
            };
            hall.race(round, &account, &secret, end).await;
            // What the room sends to the witness it has sent to the others before, if at all.
            loop {
                let frame = watch.frame().await;
                if frame["content"] == secret {
                    break;
                }
                if frame["type"] == "lagged" {
                    let join = json!({"type": "join", "room_id": hall.room, "rev": frame["rev"]});
                    watch.send(join).await;
                }
            }
            join_all(
                sockets
                    .iter_mut()
                    .enumerate()
                    .map(async |(number, socket)| {
                        if number % 3 == 0 {
                            // Perhaps closed before anything was said.
                            return read_out(socket, &secret, 4505).await;
                        }
                        socket
                            .text(&json!({"type": "ping", "ref": secret}).to_string())
                            .await;
                        loop {
                            let (_, payload) = socket
                                .next_frame(PATIENCE)
                                .await
                                .expect("the connection lives");
                            if holds(&payload, &secret) {
                                let frame: Value = serde_json::from_slice(&payload).unwrap();
                                assert_eq!(frame["type"], "pong", "what came after the removal");
                                return;
                            }
                        }
                    }),
            )
            .await;
            hall.add(&account).await;
            for socket in sockets.iter_mut().step_by(3) {
                *socket = hall.playback(&account).await;
            }
        }
    }))
    .await;
}

each_database!(after_a_log_out, after_a_disabling, after_a_removal);

soak_each_database!(
    after_many_log_outs,
    after_many_disablings,
    after_many_removals,
);

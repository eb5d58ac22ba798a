//! The model's plan against a real server, with the reference client and with the web client's own state machine, over real
//! sockets. A link between them loses, delays and duplicates frames, and sockets are cut before or after what was sent has
//! arrived. At the end each device holds what REST shows.
//!
//! A seed fixes the plan, not the times: those are the machine's.

mod check;
mod peer;
mod web;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use rand::{Rng, SeedableRng, rngs::SmallRng, seq::IndexedRandom};
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinSet, time::sleep};

use check::{check_device, check_outbox};
use peer::{Deed, Peer};
use web::{Program, Web};

use super::{
    link::{self, Fate},
    row::equal as same,
};
use crate::support::{
    Account, Backup, Change, Client, Db, Incoming, LoadId, Moment, PATIENCE, Server, Socket,
    each_database, timeout, uuid,
};

const USERS: usize = 3;
const DEVICES: usize = 4;
const ROOMS: usize = 2;
/// Between two moments of a plan: the server has things to do, too.
const PACE: Duration = Duration::from_millis(2);
/// 👍 and 🎉, as they stand in a path.
const EMOJI: [&str; 2] = ["%F0%9F%91%8D", "%F0%9F%8E%89"];
/// Items in a page, so that history and members have many.
const LIMIT: usize = 5;

struct Device {
    account: Account,
    client: Box<dyn Peer>,
    /// It sends `sync` by itself.
    syncs_itself: bool,
    socket: Option<Socket>,
    late: Vec<Value>,
    eager: bool,
    pause: u32,
    left: BTreeSet<u64>,
    said: Vec<(u64, String)>,
    /// Acks that came before the log went back: what they were for may be gone.
    acked_before: usize,
    /// Doesn't connect, and so comes back with what it knew before.
    away: bool,
}

/// The people of one seed and their devices.
struct Run {
    seed: u64,
    rng: SmallRng,
    accounts: Vec<Account>,
    devices: Vec<Device>,
    rooms: Vec<u64>,
    answers: mpsc::Receiver<Answer>,
    answer: mpsc::Sender<Answer>,
    changes: JoinSet<()>,
    next_text: u64,
    faulty: bool,
    frames: u64,
    joins: u64,
    connections: u64,
}

/// A device, what it had asked for, and the body if the server gave it.
type Answer = (usize, LoadId, Option<Value>);
type Outcome = Result<(), String>;

impl Run {
    async fn new(server: &Server, seed: u64, program: &Arc<Program>) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut accounts = Vec::new();
        for index in 0..USERS {
            accounts.push(server.register(&format!("user{index}.{seed}")).await);
        }
        let mut rooms = Vec::new();
        for index in 0..ROOMS {
            let owner = &accounts[index % USERS];
            let members: Vec<&Account> = accounts
                .iter()
                .filter(|account| account.id != owner.id && rng.random_bool(0.8))
                .collect();
            let name = format!("room {index} of seed {seed}");
            rooms.push(owner.create_room(&name, &members).await);
        }
        let devices = (0..DEVICES)
            .map(|index| {
                let account = accounts[index % USERS].clone();
                let (client, syncs_itself): (Box<dyn Peer>, bool) = if rng.random_bool(0.5) {
                    (Box::new(Web::new(program, account.id)), true)
                } else {
                    let mut client = Client::new(account.id);
                    client.syncs_itself = rng.random_bool(0.7);
                    let syncs_itself = client.syncs_itself;
                    (Box::new(client), syncs_itself)
                };
                Device {
                    account,
                    client,
                    syncs_itself,
                    socket: None,
                    late: Vec::new(),
                    eager: rng.random_bool(0.3),
                    pause: 0,
                    left: BTreeSet::new(),
                    said: Vec::new(),
                    acked_before: 0,
                    away: false,
                }
            })
            .collect();
        let (answer, answers) = mpsc::channel(1_024);
        Self {
            seed,
            rng,
            accounts,
            devices,
            rooms,
            answers,
            answer,
            changes: JoinSet::new(),
            next_text: 0,
            faulty: true,
            frames: 0,
            joins: 0,
            connections: 0,
        }
    }

    /// So many moments in which anything may happen.
    async fn live(&mut self, moments: usize) -> Outcome {
        for _ in 0..moments {
            if self.rng.random_bool(0.4) {
                self.change();
            }
            for index in 0..DEVICES {
                match self.rng.random_range(0..100) {
                    0..12 => self.intend(index),
                    12..40 => self.connect(index).await,
                    40..42 => self.cut(index),
                    42..50 => self.devices[index].client.retry(),
                    50..65 => self.take_late(index).await,
                    65..68 => self.devices[index].pause = self.rng.random_range(3..15),
                    _ => {}
                }
                self.act(index).await;
                let device = &mut self.devices[index];
                device.pause = device.pause.saturating_sub(1);
                if device.pause == 0 {
                    for _ in 0..self.rng.random_range(0..12) {
                        if !self.carry_down(index).await? {
                            break;
                        }
                    }
                }
            }
            if self.rng.random_bool(0.5) {
                self.take_answer().await;
            }
            // Changes that were answered show up in the meantime, or later.
            sleep(PACE).await;
        }
        Ok(())
    }

    fn text(&mut self) -> String {
        self.next_text += 1;
        let text = format!("text {} of seed {}", self.next_text, self.seed);
        match self.rng.random_range(0..10) {
            0..4 => {
                let name = self.rng.random_range(0..USERS);
                format!("{text} @user{name}.{}", self.seed)
            }
            4 => format!("{text} @all"),
            _ => text,
        }
    }

    /// A user changes something by REST, and doesn't wait for the answer.
    fn change(&mut self) {
        let text = self.text();
        let rng = &mut self.rng;
        let account = self.accounts.choose(rng).unwrap().clone();
        let other = self.accounts.choose(rng).unwrap().id;
        let room = format!("/api/chat/rooms/{}", self.rooms.choose(rng).unwrap());
        let message = format!("{room}/messages/{}", rng.random_range(1..20));
        let on = rng.random_bool(0.6);
        let put = if on { "PUT" } else { "DELETE" };
        let (method, path, body) = match rng.random_range(0..24) {
            0..6 => {
                let body = json!({"id": uuid(), "content": text});
                ("POST", format!("{room}/messages"), Some(body))
            }
            6..8 => ("PATCH", message, Some(json!({"content": text}))),
            8 => ("DELETE", message, None),
            9..13 => {
                let emoji = EMOJI.choose(rng).unwrap();
                (put, format!("{message}/reactions/{emoji}"), None)
            }
            13 => (put, format!("{message}/pin"), None),
            14 => ("PATCH", room, Some(json!({"topic": text}))),
            // It is opened again soon.
            15 => (
                "PATCH",
                room,
                Some(json!({"archived": rng.random_bool(0.3)})),
            ),
            16 => {
                let role = *["owner", "admin", "admin", "member"].choose(rng).unwrap();
                let path = format!("{room}/members/{other}");
                ("PATCH", path, Some(json!({"role": role})))
            }
            17 => ("POST", format!("{room}/join"), None),
            18 => ("POST", format!("{room}/leave"), None),
            19 => ("DELETE", format!("{room}/members/{other}"), None),
            20 | 21 => {
                let body = json!({"seq": rng.random_range(1..30)});
                ("POST", format!("{room}/read"), Some(body))
            }
            22 if rng.random_bool(0.1) => ("DELETE", room, None),
            _ => {
                let body = json!({"user_id": other});
                ("POST", format!("{room}/members"), Some(body))
            }
        };
        self.changes.spawn(async move {
            if let Ok((status, answer)) = account.try_request(method, &path, body.as_ref()).await {
                assert!(
                    status < 500 || status == 503,
                    "{method} {path}: {status} {answer}"
                );
            }
        });
    }

    fn intend(&mut self, index: usize) {
        let text = self.text();
        let rng = &mut self.rng;
        let device = &mut self.devices[index];
        let up = device.socket.is_some();
        let rooms = device.client.rooms();
        let named: Vec<u64> = rooms.keys().copied().collect();
        let Some(&room_id) = named.choose(rng) else {
            return;
        };
        let seq = rng.random_range(1..20);
        match rng.random_range(0..20) {
            0..6 => {
                let id = uuid();
                device.client.say(room_id, id.clone(), text);
                device.said.push((room_id, id));
            }
            6..8 => {
                let last_seq = rooms[&room_id].last_seq;
                device.client.read(room_id, rng.random_range(0..=last_seq));
            }
            8 | 9 => device
                .client
                .put(room_id, Change::Edit { seq, content: text }),
            10 => device.client.put(room_id, Change::Delete { seq }),
            11..13 => {
                let (emoji, on) = ("👍".to_owned(), rng.random_bool(0.7));
                device.client.put(room_id, Change::React { seq, emoji, on });
            }
            13 if up => device.client.type_in(room_id),
            14 if up => device.client.join(room_id),
            15 if up => device.client.join_fresh(room_id),
            16 if up => {
                let named: Vec<u64> = named.into_iter().filter(|_| rng.random_bool(0.6)).collect();
                device.client.sync(&named);
            }
            17 if up => {
                device.client.leave(room_id);
                device.left.insert(room_id);
            }
            _ => {
                device.client.load_older(room_id);
            }
        }
    }

    async fn connect(&mut self, index: usize) {
        let device = &mut self.devices[index];
        if device.socket.is_some() || device.away {
            return;
        }
        // The server may be down.
        let Ok(socket) = device.account.try_open("/ws").await else {
            return;
        };
        self.connections += 1;
        device.socket = Some(socket);
        device.client.connected();
        if device.eager {
            let all: Vec<u64> = device.client.rooms().into_keys().collect();
            device.client.sync(&all);
        }
    }

    /// The socket is gone, with whatever was on its way.
    fn cut(&mut self, index: usize) {
        let device = &mut self.devices[index];
        device.socket = None;
        device.late.clear();
        device.client.disconnected();
    }

    /// Does what the client asks for. Now and then the socket breaks over a frame: before it was
    /// written, or after.
    async fn act(&mut self, index: usize) -> bool {
        let deeds = self.devices[index].client.take_deeds();
        let progress = !deeds.is_empty();
        for deed in deeds {
            let device = &mut self.devices[index];
            let frame = match deed {
                Deed::Send(frame) => frame,
                Deed::Reconnect => {
                    self.cut(index);
                    continue;
                }
                Deed::Get {
                    load,
                    mut path,
                    is_list,
                } => {
                    if is_list {
                        let separator = if path.contains('?') { '&' } else { '?' };
                        path = format!("{path}{separator}limit={LIMIT}");
                    }
                    let (account, answer) = (device.account.clone(), self.answer.clone());
                    self.changes.spawn(async move {
                        let body = match account.try_request("GET", &path, None).await {
                            Ok((200, body)) => Some(body),
                            _ => None,
                        };
                        let _ = answer.send((index, load, body)).await;
                    });
                    continue;
                }
            };
            let Some(socket) = &mut device.socket else {
                continue;
            };
            self.joins += u64::from(frame["type"] == "join");
            let (before, after) = match self.rng.random_range(0..60) {
                0 if self.faulty => (true, false),
                1 if self.faulty => (false, true),
                _ => (false, false),
            };
            if before || socket.try_send(frame).await.is_err() || after {
                self.cut(index);
            }
        }
        progress
    }

    /// The next frame that is there reaches the device, or what the chaos makes of it. False when
    /// nothing is there.
    async fn carry_down(&mut self, index: usize) -> Result<bool, String> {
        let device = &mut self.devices[index];
        let Some(socket) = &mut device.socket else {
            return Ok(false);
        };
        let frame = match timeout(Duration::ZERO, socket.wait()).await {
            Err(_) => return Ok(false),
            Ok(Incoming::Frame(frame)) => frame,
            Ok(Incoming::Closed(4500.., reason)) => return Err(format!("closed: {reason}")),
            Ok(_) => {
                self.cut(index);
                return Ok(true);
            }
        };
        self.frames += 1;
        let me = device.account.id;
        if link::must_follow(&frame, me) {
            while !self.devices[index].late.is_empty() {
                self.take_late(index).await;
            }
        }
        let Some(device) = self.devices.get_mut(index) else {
            return Ok(false);
        };
        let fate = if self.faulty {
            link::fate(&mut self.rng, &frame, me)
        } else {
            Fate::Arrives
        };
        match fate {
            Fate::Lost => return Ok(true),
            Fate::Late => {
                device.late.push(frame);
                return Ok(true);
            }
            Fate::Doubled => self.take(index, &frame).await,
            Fate::DoubledLate => device.late.push(frame.clone()),
            Fate::Arrives => {}
        }
        self.take(index, &frame).await;
        Ok(true)
    }

    async fn take_late(&mut self, index: usize) {
        let late = &mut self.devices[index].late;
        if !late.is_empty() {
            let frame = late.remove(self.rng.random_range(0..late.len()));
            self.take(index, &frame).await;
        }
    }

    async fn take(&mut self, index: usize, frame: &Value) {
        let client = &mut self.devices[index].client;
        let epoch = client.epoch();
        client.receive(frame);
        if epoch.is_some() && client.epoch() != epoch {
            self.devices[index].acked_before = self.devices[index].client.acks().len();
        }
        self.act(index).await;
    }

    async fn take_answer(&mut self) -> bool {
        let Ok((index, load, body)) = self.answers.try_recv() else {
            return false;
        };
        let client = &mut self.devices[index].client;
        client.loaded(load, body.as_ref());
        true
    }

    /// Everything that is there happens; false when nothing was.
    async fn pump(&mut self) -> Result<bool, String> {
        let mut progress = false;
        for index in 0..DEVICES {
            self.connect(index).await;
            while !self.devices[index].late.is_empty() {
                self.take_late(index).await;
            }
            while self.carry_down(index).await? {
                progress = true;
            }
            self.devices[index].client.retry();
            progress |= self.act(index).await;
        }
        while self.take_answer().await {
            progress = true;
        }
        while let Some(change) = self.changes.try_join_next() {
            change.map_err(|error| error.to_string())?;
        }
        Ok(progress)
    }

    /// Runs until all devices await nothing more and have come as far as `heads` says.
    async fn rest(&mut self, heads: &BTreeMap<u64, u64>) -> Outcome {
        let rest = async {
            loop {
                let progress = self.pump().await?;
                let there = self.changes.is_empty()
                    && self.devices.iter().all(|device| {
                        let rooms = device.client.rooms();
                        device.client.awaits().is_none()
                            && rooms.iter().all(|(id, room)| {
                                room.position >= heads.get(id).copied().unwrap_or(0)
                            })
                    });
                if !progress {
                    if there {
                        return Ok(());
                    }
                    sleep(PACE).await;
                }
            }
        };
        match timeout(PATIENCE, rest).await {
            Ok(rested) => rested,
            Err(_) => Err(format!("it doesn't come to rest: {}", self.open())),
        }
    }

    fn open(&self) -> String {
        let open = self.devices.iter().map(|device| {
            let client = &device.client;
            let positions: Vec<(u64, u64)> = client
                .rooms()
                .iter()
                .map(|(id, room)| (*id, room.position))
                .collect();
            let awaits = client.awaits().unwrap_or("nothing".to_owned());
            format!("awaits {awaits}, at {positions:?}; ")
        });
        open.collect()
    }

    /// No more chaos: all comes to rest, one more message in each room reveals what was lost, and
    /// everything that can be loaded is.
    async fn heal(&mut self) -> Outcome {
        self.faulty = false;
        while let Some(change) = self.changes.join_next().await {
            change.map_err(|error| error.to_string())?;
        }
        self.rest(&BTreeMap::new()).await?;
        for device in &mut self.devices {
            // Brings every `added` and `removed` to light.
            device.client.ping();
            if !device.syncs_itself {
                let rooms = device.client.rooms().into_keys();
                let named: Vec<u64> = rooms.filter(|_| self.rng.random_bool(0.5)).collect();
                device.client.sync(&named);
            }
            for room_id in std::mem::take(&mut device.left) {
                device.client.join(room_id);
            }
        }
        self.rest(&BTreeMap::new()).await?;
        let mut heads = BTreeMap::new();
        for room_id in &self.rooms {
            if let Some(rev) = self.say_the_last(*room_id).await? {
                heads.insert(*room_id, rev);
            }
        }
        self.rest(&heads).await?;
        loop {
            let mut more = false;
            for device in &mut self.devices {
                for room_id in device.client.rooms().into_keys() {
                    more |= device.client.load_older(room_id);
                }
            }
            if !more {
                return Ok(());
            }
            self.rest(&heads).await?;
        }
    }

    /// So many messages by REST, as far as anybody is in a room that takes them.
    async fn write(&self, count: usize) -> usize {
        let mut written = 0;
        for number in 0..2 * count {
            let room_id = self.rooms[number % self.rooms.len()];
            let path = format!("/api/chat/rooms/{room_id}/messages");
            for account in &self.accounts {
                let body = json!({"content": format!("lost {number} of seed {}", self.seed)});
                if written < count && account.post(&path, body).await.0 == 201 {
                    written += 1;
                    break;
                }
            }
        }
        written
    }

    /// One more message in a room, unless it was deleted, by whoever is in it; its `rev`.
    async fn say_the_last(&self, room_id: u64) -> Result<Option<u64>, String> {
        let room = format!("/api/chat/rooms/{room_id}");
        let mut refusals = Vec::new();
        for account in &self.accounts {
            let open = json!({"archived": false});
            let (_, _) = account.request("PATCH", &room, Some(&open)).await;
        }
        for account in &self.accounts {
            let body = json!({"content": "the last"});
            let (status, message) = account.post(&format!("{room}/messages"), body).await;
            match status {
                201 => return Ok(message["rev"].as_u64()),
                404 => {}
                _ => refusals.push(format!("{room}: {status} {message}")),
            }
        }
        match refusals.pop() {
            Some(refusal) => Err(refusal),
            None => Ok(None),
        }
    }

    async fn end(&mut self) -> Outcome {
        self.heal().await?;
        self.check().await?;
        self.check_reading().await
    }

    async fn check(&self) -> Outcome {
        let mut stored: BTreeMap<u64, BTreeMap<String, Vec<u64>>> = BTreeMap::new();
        for (index, device) in self.devices.iter().enumerate() {
            let complaints = device.client.complaints();
            if !complaints.is_empty() {
                return Err(format!("device {index} says: {complaints:?}"));
            }
            check_device(device, &mut stored)
                .await
                .map_err(|difference| format!("device {index}: {difference}"))?;
        }
        for (room_id, ids) in &stored {
            if let Some((id, seqs)) = ids.iter().find(|(_, seqs)| seqs.len() > 1) {
                return Err(format!(
                    "room {room_id}: {id} is stored more than once: {seqs:?}"
                ));
            }
        }
        for (index, device) in self.devices.iter().enumerate() {
            check_outbox(device, &stored)
                .map_err(|difference| format!("device {index} said {difference}"))?;
        }
        Ok(())
    }

    /// Markers and mentions, without asking for them: every `read` of a device's own user comes to it, in
    /// its time.
    async fn check_reading(&mut self) -> Outcome {
        let began = Moment::now();
        loop {
            self.pump().await?;
            match self.compare_reading().await {
                Err(_) if began.quiet_elapsed() < PATIENCE => sleep(PACE).await,
                compared => return compared,
            }
        }
    }

    async fn compare_reading(&self) -> Outcome {
        for (index, device) in self.devices.iter().enumerate() {
            for room_id in device.client.rooms().into_keys() {
                let held = device.client.held(room_id);
                let path = format!("/api/chat/rooms/{room_id}");
                let (_, room) = device.account.get(&path).await;
                let what = |what: &str| format!("device {index}: {what} of room {room_id}");
                let marker = json!(held.last_read_seq);
                same(&what("marker"), &marker, &room["last_read_seq"])?;
                if let Some(mentioned) = held.mentioned {
                    same(&what("mentions"), &json!(mentioned), &room["mentioned"])?;
                }
                let unread = json!(held.unread);
                same(&what("unread"), &unread, &room["unread"])?;
                let mentions = json!(held.unread_mentions);
                same(
                    &what("unread mentions"),
                    &mentions,
                    &room["unread_mentions"],
                )?;
            }
        }
        Ok(())
    }
}

/// What happens to the server in the middle of a plan.
#[derive(Clone, Copy, Debug)]
enum Fall {
    /// It is killed.
    Killed,
    /// Its log's epoch is changed by hand.
    Epoch,
    /// A backup is made while it runs, it writes on, is stopped, and is started again with the backup.
    GoneBack,
}

const FALLS: [Fall; 3] = [Fall::Killed, Fall::Epoch, Fall::GoneBack];
/// Seeds that share a server, and its fall.
const TOGETHER: u64 = 8;
/// Messages that a restore takes away, at least.
const LOST: usize = 1_000;

async fn every_client_ends_with_what_rest_says(db: Db) {
    if let Some(seed) = super::one_seed() {
        let fall = FALLS[(seed / TOGETHER) as usize % FALLS.len()];
        return run_seeds(db, seed..seed + 1, fall).await;
    }
    for (group, fall) in (0..).zip(FALLS) {
        run_seeds(db, group * TOGETHER..(group + 1) * TOGETHER, fall).await;
    }
}

async fn run_seeds(db: Db, seeds: std::ops::Range<u64>, fall: Fall) {
    let started = std::time::Instant::now();
    let mut server = Server::start(db).await;
    let program = Program::start();
    let mut runs = join_all(seeds.map(|seed| Run::new(&server, seed, &program))).await;
    live(&mut runs, 60).await;
    match fall {
        Fall::Killed => server.kill().await,
        Fall::Epoch => {
            tokio::join!(server.stop(), live(&mut runs, 20));
            let other = "UPDATE meta SET value = 'another' WHERE name = 'log_epoch'";
            server.sql(other).await;
        }
        Fall::GoneBack => go_back(&mut server, &mut runs).await,
    }
    // It comes back while they try.
    let ((), ()) = tokio::join!(server.restart(), live(&mut runs, 60));
    let healing = runs.iter_mut().map(|run| async {
        let checked = run.end().await;
        (run.seed, checked)
    });
    for (seed, outcome) in join_all(healing).await {
        if let Err(difference) = outcome {
            panic!("{db:?}, {fall:?}, HEARTH_TEST_SEED={seed}: {difference}");
        }
    }
    let sum = |count: fn(&Run) -> u64| runs.iter().map(count).sum::<u64>();
    println!(
        "{db:?}, {fall:?}: {} frames, {} joins, {} connections, {} acks in {:?}",
        sum(|run| run.frames),
        sum(|run| run.joins),
        sum(|run| run.connections),
        sum(|run| {
            let acks = run.devices.iter().map(|device| device.client.acks().len());
            acks.sum::<usize>() as u64
        }),
        started.elapsed(),
    );
}

/// A device of each run knows the log as it was at the backup; the others see what is lost then.
async fn go_back(server: &mut Server, runs: &mut [Run]) {
    let (backup, ()) = tokio::join!(Backup::take(server), live(runs, 40));
    for run in &mut *runs {
        run.cut(0);
        run.devices[0].away = true;
    }
    let each = LOST / runs.len();
    let writing = runs.iter().map(|run| run.write(each + each / 2));
    let written: usize = join_all(writing).await.into_iter().sum();
    assert!(written >= LOST, "only {written} were written");
    live(runs, 60).await;
    tokio::join!(server.stop(), live(runs, 20));
    backup.restore(server).await;
    let mut ahead = 0;
    for run in &mut *runs {
        for room_id in &run.rooms {
            let head = format!("SELECT CAST(rev AS CHAR) FROM rooms WHERE id = {room_id}");
            let head: u64 = server.select(&head).await.parse().unwrap();
            let rooms = run
                .devices
                .iter()
                .filter_map(|device| device.client.rooms().remove(room_id));
            ahead += rooms.filter(|room| room.position > head).count();
        }
        run.devices[0].away = false;
    }
    assert!(ahead > 0, "nobody has seen what is lost");
}

async fn live(runs: &mut [Run], moments: usize) {
    let living = runs.iter_mut().map(|run| async move {
        let lived = run.live(moments).await;
        lived.map_err(|fault| format!("HEARTH_TEST_SEED={}: {fault}", run.seed))
    });
    for lived in join_all(living).await {
        lived.unwrap();
    }
}

each_database!(every_client_ends_with_what_rest_says);

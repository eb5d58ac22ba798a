//! One seeded simulation: people with devices, links that lose, delay, duplicate and break, and a plan of what happens. At
//! its end all links are healed, and each device must hold exactly what the log holds.

mod check;
mod plan;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use rand::{Rng, SeedableRng, rngs::SmallRng};
use serde_json::Value;
use uuid::Uuid;

use super::{
    broken::{Broken, Habit},
    link::{self, Fate},
    log::Log,
    server::{ConnectionId, Server},
};
use crate::support::{Client, Effect, LoadId};

const USERS: u64 = 4;
/// Two for each user but the last, who has none.
const DEVICES: usize = 6;
/// Rounds after which a healed simulation must have come to rest.
const ROUNDS: usize = 4_000;

/// One client of a user, and the way to the server.
struct Device {
    user: u64,
    client: Client,
    habit: Habit,
    link: Option<Link>,
    /// Frames of ours that came late, to be taken up at any time of this connection.
    late: Vec<Arc<Value>>,
    /// Sends `sync` before `ready` has come.
    eager: bool,
    /// Reads nothing for so many moments.
    pause: u32,
    /// Rooms whose live delivery it has ended itself.
    left: BTreeSet<u64>,
    /// The messages that it sent, in order: room and id.
    said: Vec<(u64, Uuid)>,
}

struct Link {
    connection: ConnectionId,
    /// On the way to the server.
    up: VecDeque<Value>,
    /// Nothing was lost or late, and the device let its client sync by itself: there are no gaps.
    clean: bool,
}

/// A REST request on its way.
struct Call {
    device: usize,
    load: LoadId,
    room_id: u64,
    effect: Effect,
    /// The log's answer, once there is one: `None` for any other status.
    answer: Option<Option<Value>>,
}

/// How often things happened, by name: a plan that reaches no corner proves nothing.
pub type Corners = BTreeMap<&'static str, u64>;

pub struct Simulation {
    /// Prints what happens.
    trace: bool,
    corners: Corners,
    rng: SmallRng,
    server: Server,
    devices: Vec<Device>,
    calls: Vec<Call>,
    backup: Option<Log>,
    /// Acked messages that a log which went back in time has lost.
    lost: BTreeSet<Uuid>,
    /// Every id that was given to a message.
    given: BTreeSet<Uuid>,
    next_text: u64,
}

type Outcome = Result<(), String>;

/// Runs one seed from beginning to end.
pub fn run(seed: u64, broken: Option<Broken>, trace: bool) -> Result<Corners, String> {
    let mut simulation = Simulation::new(seed, broken);
    simulation.trace = trace;
    let steps = simulation.rng.random_range(15..75);
    for step in 0..steps {
        simulation.step();
        simulation.complain()?;
        if step % 8 == 0 {
            simulation.check_invariant()?;
        }
    }
    simulation.heal()?;
    simulation.check()?;
    Ok(simulation.corners)
}

impl Simulation {
    fn note(&self, note: impl FnOnce() -> String) {
        if self.trace {
            println!("{}", note());
        }
    }

    fn count(&mut self, corner: &'static str) {
        *self.corners.entry(corner).or_default() += 1;
    }

    fn new(seed: u64, broken: Option<Broken>) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let defect = match broken {
            Some(Broken::Server(defect)) => Some(defect),
            _ => None,
        };
        let mut server = Server::new(defect, rng.random());
        for _ in 0..rng.random_range(1..=3) {
            let owner = rng.random_range(1..=USERS);
            let members: Vec<u64> = (1..=USERS)
                .filter(|user| *user != owner && rng.random_bool(0.7))
                .collect();
            server.log.create(owner, &members);
        }
        let devices = (0..DEVICES)
            .map(|index| {
                let user = index as u64 % (USERS - 1) + 1;
                let mut client = Client::new(user);
                client.syncs_itself = rng.random_bool(0.7);
                Device {
                    user,
                    client,
                    habit: Habit::new(broken),
                    link: None,
                    late: Vec::new(),
                    eager: rng.random_bool(0.3),
                    pause: 0,
                    left: BTreeSet::new(),
                    said: Vec::new(),
                }
            })
            .collect();
        Self {
            trace: false,
            corners: Corners::new(),
            rng,
            server,
            devices,
            calls: Vec::new(),
            backup: None,
            lost: BTreeSet::new(),
            given: BTreeSet::new(),
            next_text: 1,
        }
    }

    fn complain(&mut self) -> Outcome {
        if let Some(complaint) = self.server.complaints.pop() {
            return Err(format!("the server says: {complaint}"));
        }
        for (index, device) in self.devices.iter_mut().enumerate() {
            if let Some(complaint) = device.client.complaints.pop() {
                return Err(format!("device {index} says: {complaint}"));
            }
        }
        Ok(())
    }

    /// A moment: some of what can happen does.
    fn step(&mut self) {
        match self.rng.random_range(0..100) {
            0..30 => self.change(),
            // A burst, after which whoever was away is too far behind.
            30 => (0..self.rng.random_range(10..40)).for_each(|_| self.change()),
            31 | 32 => self.backup_or_restore(),
            33 => self.restart(None),
            _ => {}
        }
        for index in 0..DEVICES {
            match self.rng.random_range(0..100) {
                0..12 => self.intend(index),
                12..30 => self.connect(index),
                30..33 => self.cut(index),
                33..43 => {
                    self.devices[index].client.retry();
                    self.act(index);
                }
                43..60 => self.take_late(index),
                60..65 => self.devices[index].pause = self.rng.random_range(5..25),
                _ => {}
            }
            for _ in 0..self.rng.random_range(0..3) {
                self.carry_up(index);
            }
            let device = &mut self.devices[index];
            device.pause = device.pause.saturating_sub(1);
            if device.pause == 0 {
                for _ in 0..self.rng.random_range(0..6) {
                    self.carry_down(index, true);
                }
            }
        }
        for id in Vec::from_iter(self.server.connections.keys().copied()) {
            for _ in 0..self.rng.random_range(0..4) {
                self.server.step_connection(id);
            }
        }
        for _ in 0..self.rng.random_range(0..3) {
            self.server.step_bus();
            self.step_calls(true);
        }
        if self.rng.random_bool(0.1) {
            self.server.step_heads();
        }
    }

    fn connect(&mut self, index: usize) {
        let device = &mut self.devices[index];
        if device.link.is_some() {
            return;
        }
        if self.trace {
            println!("device {index} connects");
        }
        device.client.connected();
        device.link = Some(Link {
            connection: self.server.connect(device.user),
            up: VecDeque::new(),
            clean: device.client.syncs_itself && !device.eager,
        });
        if device.eager {
            device.client.sync_all();
        }
        self.act(index);
    }

    /// The connection breaks. Of what was on its way up some arrives, and may be read much later.
    fn cut(&mut self, index: usize) {
        self.act(index);
        self.note(|| format!("device {index} is cut"));
        let device = &mut self.devices[index];
        device.client.disconnected();
        device.late.clear();
        let Some(mut link) = device.link.take() else {
            return;
        };
        if let Some(connection) = self.server.connections.get_mut(&link.connection) {
            let arrives = self.rng.random_range(0..=link.up.len());
            connection.inbox.extend(link.up.drain(..arrives));
            connection.zombie = true;
            connection.outbox.clear();
            if self.rng.random_bool(0.5) {
                self.server.disconnect(link.connection);
            }
        }
    }

    fn restart(&mut self, backup: Option<Log>) {
        for index in 0..DEVICES {
            self.cut(index);
        }
        self.server.restart(backup);
    }

    fn backup_or_restore(&mut self) {
        let Some(backup) = self.backup.take() else {
            self.backup = Some(self.server.log.clone());
            return;
        };
        for device in &self.devices {
            for ack in &device.client.acks {
                let id: Uuid = ack["id"].as_str().unwrap().parse().unwrap();
                let room = ack["room_id"].as_u64().unwrap();
                let kept = backup.rooms.get(&room);
                if kept.is_none_or(|room| room.find(device.user, id).is_none()) {
                    self.lost.insert(id);
                }
            }
        }
        self.count("the log went back");
        self.note(|| "the log goes back".to_owned());
        self.restart(Some(backup));
        // Often it soon has more than before.
        for _ in 0..self.rng.random_range(0..20) {
            self.change();
        }
    }

    /// Does what the client asks for.
    fn act(&mut self, index: usize) -> bool {
        let effects = self.devices[index].client.take_effects();
        let progress = !effects.is_empty();
        for effect in effects {
            self.note(|| format!("device {index} -> {effect:?}"));
            match effect {
                Effect::Send(frame) => {
                    self.count(match frame["type"].as_str().unwrap() {
                        "join" if frame["rev"].is_null() => "fresh joins",
                        "join" => "joins",
                        "sync" => "syncs",
                        "message" => "sends",
                        _ => "other requests",
                    });
                    let fresh = self.uuid();
                    let device = &mut self.devices[index];
                    let frame = device.habit.outgoing(frame, &self.server.epoch(), || fresh);
                    if let Some(link) = &mut device.link {
                        link.up.push_back(frame);
                    }
                }
                Effect::LoadRoom { load, room_id }
                | Effect::LoadPage { load, room_id, .. }
                | Effect::LoadMembers { load, room_id, .. } => self.calls.push(Call {
                    device: index,
                    load,
                    room_id,
                    effect,
                    answer: None,
                }),
            }
        }
        progress
    }

    /// One REST request is answered by the log, or its answer arrives.
    fn step_calls(&mut self, faulty: bool) -> bool {
        if self.calls.is_empty() {
            return false;
        }
        let at = self.rng.random_range(0..self.calls.len());
        let call = &mut self.calls[at];
        let device = &mut self.devices[call.device];
        if call.answer.is_none() && !(faulty && self.rng.random_bool(0.1)) {
            let room = self.server.log.rooms.get(&call.room_id);
            let room = room.filter(|room| room.is_member(device.user));
            call.answer = Some(room.map(|room| match &call.effect {
                Effect::LoadPage { before, .. } => room.history(device.user, *before),
                Effect::LoadMembers { cursor, .. } => room.member_page(cursor.as_deref()),
                _ => room.room_of(device.user).expect("a member"),
            }));
            return true;
        }
        let call = self.calls.swap_remove(at);
        match call.answer.flatten() {
            Some(mut body) => {
                let floor = device
                    .client
                    .rooms
                    .get(&call.room_id)
                    .map(|room| room.floor);
                let corner = if floor > body["rev"].as_u64() {
                    "pages too old"
                } else {
                    "pages"
                };
                device
                    .habit
                    .page(&mut device.client, call.room_id, &mut body);
                device.client.loaded(call.load, &body);
                device.habit.loaded(&mut device.client, call.room_id, &body);
                self.count(corner);
                self.note(|| format!("device {} loaded {}: {body}", call.device, call.load));
            }
            None => device.client.load_failed(call.load),
        }
        self.act(call.device);
        true
    }

    fn carry_up(&mut self, index: usize) -> bool {
        let Some(link) = &mut self.devices[index].link else {
            return false;
        };
        let Some(connection) = self.server.connections.get_mut(&link.connection) else {
            return false;
        };
        let moved = link.up.pop_front();
        let progress = moved.is_some();
        connection.inbox.extend(moved);
        progress
    }

    /// The next frame reaches the device, or what the link makes of it.
    fn carry_down(&mut self, index: usize, faulty: bool) -> bool {
        let device = &mut self.devices[index];
        let Some(link) = &device.link else {
            return false;
        };
        let Some(connection) = self.server.connections.get_mut(&link.connection) else {
            return false;
        };
        let Some(frame) = connection.outbox.pop_front() else {
            return false;
        };
        let frame = frame.0;
        if link::must_follow(&frame, self.devices[index].user) {
            while !self.devices[index].late.is_empty() {
                self.take_late(index);
            }
        }
        let user = self.devices[index].user;
        let fate = if faulty {
            link::fate(&mut self.rng, &frame, user)
        } else {
            Fate::Arrives
        };
        if let (Fate::Lost | Fate::Late, Some(link)) = (fate, &mut self.devices[index].link) {
            link.clean = false;
        }
        match fate {
            Fate::Lost => {
                self.count("durable frames lost");
                self.note(|| format!("device {index} loses {frame}"));
                return true;
            }
            Fate::Late => {
                self.count("frames late");
                self.note(|| format!("device {index} gets late {frame}"));
                self.devices[index].late.push(frame);
                return true;
            }
            Fate::Doubled => self.take(index, &frame),
            Fate::DoubledLate => self.devices[index].late.push(frame.clone()),
            Fate::Arrives => {}
        }
        self.take(index, &frame);
        true
    }

    fn take_late(&mut self, index: usize) {
        let device = &mut self.devices[index];
        if !device.late.is_empty() && device.link.is_some() {
            let at = self.rng.random_range(0..device.late.len());
            let frame = device.late.remove(at);
            self.take(index, &frame);
        }
    }

    fn take(&mut self, index: usize, frame: &Value) {
        let device = &mut self.devices[index];
        if frame["type"] == "going_away" {
            return self.cut(index);
        }
        if let Some(frame) = device.habit.incoming(&mut device.client, frame) {
            if self.trace {
                println!("device {index} <- {frame}");
            }
            let joined = frame["type"] == "message_updated" && frame["by"].is_null();
            let mine = frame["type"] == "read" && frame["user_id"] == device.user;
            let room_id = frame["room_id"].as_u64();
            let before = device.client.rooms.get(&room_id.unwrap_or(0));
            let before = before.map(|room| room.position);
            let awaits = device.client.awaits(room_id.unwrap_or(0));
            device.client.receive(&frame);
            device.habit.received(&mut device.client, &frame);
            let after = device.client.rooms.get(&room_id.unwrap_or(0));
            let moved = before.is_some() && before < after.map(|room| room.position);
            let (rev, prev) = (frame["rev"].as_u64(), frame["prev"].as_u64());
            let gap = before.is_some() && prev.or(rev.map(|rev| rev - 1)) > before;
            let chained = frame["type"] == "synced" || link::is_durable(&frame);
            let clean = device.link.as_ref().is_some_and(|link| link.clean);
            if chained && gap && !awaits && clean {
                let complaint = format!("a gap where nothing was lost: {frame}");
                device.client.complaints.push(complaint);
            }
            if joined && moved {
                self.count("joined frames");
            }
            self.count(match frame["type"].as_str().unwrap() {
                "message" | "message_updated" | "member" | "room" => match (moved, gap, awaits) {
                    (true, _, true) => "catch-up applied",
                    (true, _, false) => "live applied",
                    (false, true, true) => "gaps while an answer is awaited",
                    (false, true, false) => "gaps",
                    _ => "old frames ignored",
                },
                "synced" if gap => "synced beyond a gap",
                "synced" => "synced",
                "reset" if frame["reason"] == "epoch" => "resets, epoch",
                "reset" => "resets, too far",
                "removed" if rev.is_some() => "removed",
                "removed" => "removed without rev",
                "added" => "added",
                "lagged" => "lagged",
                "read" if mine => "own reads",
                "read" | "typing" | "presence" => "ephemeral",
                "ack" if frame["duplicate"] == true => "acks of what was stored before",
                "error" if frame["retryable"] == true => "retryable errors",
                "error" => "refusals",
                _ => "other frames",
            });
        }
        self.act(index);
    }

    /// No more faults: all that was late comes, everyone connects, and the simulation comes to rest. Then
    /// one more change in each room reveals what was lost without a trace.
    fn heal(&mut self) -> Outcome {
        self.server.faulty = false;
        for index in 0..DEVICES {
            self.connect(index);
        }
        self.rest()?;
        for index in 0..DEVICES {
            let rng = &mut self.rng;
            let device = &mut self.devices[index];
            if let Some(link) = &mut device.link {
                link.clean = false;
            }
            // A device that joins by hand has live delivery where it asked for it; now it asks for all rooms.
            if !device.client.syncs_itself || rng.random_bool(0.2) {
                let rooms = device.client.rooms.keys().copied();
                let named: Vec<u64> = rooms.filter(|_| rng.random_bool(0.5)).collect();
                device.client.sync(&named);
            }
            for room_id in std::mem::take(&mut device.left) {
                device.client.join(room_id);
            }
        }
        self.rest()?;
        let mut ends = Vec::new();
        for room in self
            .server
            .log
            .rooms
            .values_mut()
            .filter(|room| !room.deleted)
        {
            let event = room.set(|room, _| room.name = format!("the end of room {}", room.id));
            ends.push(event);
        }
        self.server.publish(ends);
        self.rest()?;
        for index in 0..DEVICES {
            loop {
                let client = &mut self.devices[index].client;
                let ids = Vec::from_iter(client.rooms.keys().copied());
                if !ids.into_iter().any(|room_id| client.load_older(room_id)) {
                    break;
                }
                self.rest()?;
            }
        }
        Ok(())
    }

    /// Runs until nothing is left to happen.
    fn rest(&mut self) -> Outcome {
        for _ in 0..ROUNDS {
            let mut progress = false;
            for index in 0..DEVICES {
                while !self.devices[index].late.is_empty() {
                    self.take_late(index);
                }
                self.connect(index);
                progress |= self.act(index);
                progress |= self.carry_up(index);
                progress |= self.carry_down(index, false);
                self.devices[index].client.retry();
                progress |= self.act(index);
            }
            for id in Vec::from_iter(self.server.connections.keys().copied()) {
                progress |= self.server.step_connection(id);
            }
            progress |= self.server.step_bus();
            progress |= self.server.step_heads();
            progress |= self.step_calls(false);
            self.complain()?;
            if !progress {
                return Ok(());
            }
        }
        Err("it doesn't come to rest".to_owned())
    }
}

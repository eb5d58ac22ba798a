//! Markers and mentions against a plain model: three people with two devices each send, edit, delete, read, leave and come
//! back. After each quiet moment `ready`, `synced`, REST, and a client that keeps its sets by PROTOCOL.md section 5.4 agree
//! with the model.
//!
//! `HEARTH_TEST_SEED=17 cargo test --test hearth read_markers` runs one seed alone.

mod device;
mod reads;

use std::collections::{BTreeMap, BTreeSet};

use device::{Device, Expected};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use serde_json::{Value, json};

use crate::support::{Account, Db, Server, each_database, seeds};

const SEEDS: u64 = 8;
const STEPS: usize = 80;
/// The sender of a deleted message.
const DELETED: usize = usize::MAX;

/// What a message is, as far as mentions go.
#[derive(Default)]
struct Said {
    by: usize,
    names: BTreeSet<usize>,
    all: bool,
}

/// The expected state: people are numbered, a message's seq is its place, from 1.
#[derive(Default)]
struct Model {
    said: Vec<Said>,
    /// Who is in the room, and their markers.
    markers: BTreeMap<usize, u64>,
    /// The markers that every device was told: sending raises one's own without a frame.
    told: BTreeMap<usize, u64>,
}

impl Model {
    fn last_seq(&self) -> u64 {
        self.said.len() as u64
    }

    fn mentioned(&self, person: usize) -> Vec<u64> {
        let mentions = |said: &Said| said.all || said.names.contains(&person);
        let unread = (1..).zip(&self.said).skip(self.markers[&person] as usize);
        unread
            .filter(|(_, said)| mentions(said))
            .map(|(seq, _)| seq)
            .collect()
    }

    /// Deleted messages above a person's marker.
    fn deleted(&self, person: usize) -> Vec<u64> {
        let unread = (1..).zip(&self.said).skip(self.markers[&person] as usize);
        unread
            .filter(|(_, said)| said.by == DELETED)
            .map(|(seq, _)| seq)
            .collect()
    }

    /// Whom a text means now.
    fn means(&self, by: usize, names: &BTreeSet<usize>, all: bool) -> Said {
        let there = |person: &&usize| self.markers.contains_key(person);
        Said {
            by,
            names: names.iter().filter(there).copied().collect(),
            all,
        }
    }
}

struct Run<'a> {
    people: &'a [Account],
    devices: Vec<Device>,
    room: u64,
    model: Model,
    rng: SmallRng,
}

impl<'a> Run<'a> {
    async fn start(people: &'a [Account], seed: u64) -> Self {
        let others: Vec<&Account> = people[1..].iter().collect();
        let room = people[0]
            .create_room(&format!("seed {seed}"), &others)
            .await;
        let mut devices = Vec::new();
        for person in people {
            for _ in 0..2 {
                devices.push(Device::new(person.clone(), room));
            }
        }
        let mut model = Model::default();
        model
            .markers
            .extend((0..people.len()).map(|person| (person, 0)));
        Self {
            people,
            devices,
            room,
            model,
            rng: SmallRng::seed_from_u64(seed),
        }
    }

    fn path(&self) -> String {
        format!("/api/chat/rooms/{}", self.room)
    }

    /// A text, and whom it names.
    fn text(&mut self) -> (String, BTreeSet<usize>, bool) {
        let (mut words, mut names) = (
            vec![format!("text {}", self.rng.random::<u32>())],
            BTreeSet::new(),
        );
        for (index, person) in self.people.iter().enumerate() {
            if self.rng.random_bool(0.3) {
                let name = &person.name;
                words.push(if self.rng.random() {
                    format!("@{name},")
                } else {
                    format!("(@{})", name.to_uppercase())
                });
                names.insert(index);
            }
        }
        let all = self.rng.random_bool(0.15);
        if all {
            words.push("@All!".into());
        }
        (words.join(" "), names, all)
    }

    fn member(&mut self) -> usize {
        let present: Vec<usize> = self.model.markers.keys().copied().collect();
        present[self.rng.random_range(0..present.len())]
    }

    /// By REST or over one of the person's sockets.
    async fn act(
        &mut self,
        person: usize,
        frame: Value,
        method: &str,
        path: String,
        body: Option<Value>,
    ) {
        let device = 2 * person + self.rng.random_range(0..2);
        if self.rng.random() && self.devices[device].is_open() {
            let ack = self.devices[device].ask(frame.clone()).await;
            assert_eq!(ack["type"], "ack", "{frame}: {ack}");
        } else {
            let path = format!("{}{path}", self.path());
            let (status, answer) = self.people[person]
                .request(method, &path, body.as_ref())
                .await;
            assert!(matches!(status, 200 | 201), "{method} {path}: {answer}");
        }
    }

    async fn step(&mut self) {
        let room = self.room;
        match self.rng.random_range(0..20) {
            0..=6 => {
                let by = self.member();
                let (content, names, all) = self.text();
                let frame = json!({"type": "message", "room_id": room, "id": crate::support::uuid(), "content": content});
                self.act(
                    by,
                    frame,
                    "POST",
                    "/messages".into(),
                    Some(json!({"content": content})),
                )
                .await;
                let said = self.model.means(by, &names, all);
                self.model.said.push(said);
                let last = self.model.last_seq();
                self.model.markers.insert(by, last);
            }
            7..=9 if !self.model.said.is_empty() => {
                let seq = self.rng.random_range(1..=self.model.last_seq());
                let by = self.model.said[seq as usize - 1].by;
                if self.model.markers.contains_key(&by) {
                    let (content, names, all) = self.text();
                    let frame =
                        json!({"type": "edit", "room_id": room, "seq": seq, "content": content});
                    let path = format!("/messages/{seq}");
                    self.act(by, frame, "PATCH", path, Some(json!({"content": content})))
                        .await;
                    self.model.said[seq as usize - 1] = self.model.means(by, &names, all);
                }
            }
            10 if !self.model.said.is_empty() => {
                // By the room's owner: all that there is may be deleted, and be deleted again.
                let seq = self.rng.random_range(1..=self.model.last_seq());
                let frame = json!({"type": "delete", "room_id": room, "seq": seq});
                self.act(0, frame, "DELETE", format!("/messages/{seq}"), None)
                    .await;
                self.model.said[seq as usize - 1] = Said {
                    by: DELETED,
                    ..Said::default()
                };
            }
            11..=13 => {
                let by = self.member();
                let seq = self.rng.random_range(0..=self.model.last_seq() + 2);
                let frame = json!({"type": "read", "room_id": room, "seq": seq});
                self.act(by, frame, "POST", "/read".into(), Some(json!({"seq": seq})))
                    .await;
                let marker = seq.min(self.model.last_seq());
                if marker > self.model.markers[&by] {
                    self.model.markers.insert(by, marker);
                    self.model.told.insert(by, marker);
                }
            }
            14 => {
                let by = self.rng.random_range(1..self.people.len());
                let inside = self.model.markers.contains_key(&by);
                let path = format!("{}/{}", self.path(), if inside { "leave" } else { "join" });
                let (status, answer) = self.people[by].act(&path).await;
                assert_eq!(status, if inside { 204 } else { 200 }, "{answer}");
                if inside {
                    self.model.markers.remove(&by);
                } else {
                    self.model.markers.insert(by, self.model.last_seq());
                    self.model.told.insert(by, self.model.last_seq());
                }
            }
            15 if !self.model.said.is_empty() => {
                let by = self.member();
                let seq = self.rng.random_range(1..=self.model.last_seq());
                let path = format!("{}/messages/{seq}/reactions/x", self.path());
                self.people[by].request("PUT", &path, None).await;
            }
            16..=17 => {
                let device = self.rng.random_range(0..self.devices.len());
                let live = self.rng.random_bool(0.7);
                self.devices[device].connect(live).await;
            }
            18 => {
                let device = self.rng.random_range(0..self.devices.len());
                self.devices[device].close();
            }
            _ => self.check().await,
        }
    }

    /// All that anybody is told is what is so.
    async fn check(&mut self) {
        let (_, shown) = self.people[0].get(&self.path()).await;
        let rev = shown["rev"].as_u64().unwrap();
        for (person, account) in self.people.iter().enumerate() {
            let (_, shown) = account.get(&self.path()).await;
            let Some(marker) = self.model.markers.get(&person).copied() else {
                assert_eq!(shown.get("mentioned"), None, "{shown}");
                for device in &mut self.devices[2 * person..2 * person + 2] {
                    device.settle(None, rev).await;
                }
                continue;
            };
            let mentioned = self.model.mentioned(person);
            let deleted = self.model.deleted(person);
            let unread = self.model.last_seq() - marker - deleted.len() as u64;
            let mut fresh = account.connect().await;
            let ready = fresh.ready["rooms"].as_array().unwrap().iter();
            let ready = ready
                .clone()
                .find(|room| room["id"] == self.room)
                .expect("a room of the user's")
                .clone();
            let synced = fresh.join(self.room).await;
            let (_, list) = account
                .get(&format!(
                    "/api/chat/rooms?scope=mine&cursor={}",
                    self.room - 1
                ))
                .await;
            for told in [&shown, &ready, &synced, &list["items"][0]] {
                let found = (
                    &told["last_seq"],
                    &told["last_read_seq"],
                    &told["unread_mentions"],
                    &told["mentioned"],
                );
                assert_eq!(
                    (&told["unread"], &told["deleted"]),
                    (&json!(unread), &json!(deleted)),
                    "{told}"
                );
                let (last_seq, count) = (json!(self.model.last_seq()), json!(mentioned.len()));
                assert_eq!(
                    found,
                    (&last_seq, &json!(marker), &count, &json!(mentioned)),
                    "{told}"
                );
            }
            for device in &mut self.devices[2 * person..2 * person + 2] {
                let told = self.model.told.get(&person).copied().unwrap_or_default();
                let expected = Expected {
                    marker,
                    told,
                    mentioned: mentioned.clone(),
                    unread,
                };
                device.settle(Some(expected), rev).await;
            }
        }
    }
}

async fn everybody_is_told_what_is_so(db: Db) {
    let server = Server::start(db).await;
    let mut people = Vec::new();
    for name in ["ada", "bob", "zoë"] {
        people.push(server.register(name).await);
    }
    for seed in seeds(SEEDS) {
        println!("HEARTH_TEST_SEED={seed}");
        let mut run = Run::start(&people, seed).await;
        for device in &mut run.devices {
            device.connect(true).await;
        }
        for _ in 0..STEPS {
            run.step().await;
        }
        run.check().await;
    }
}

each_database!(everybody_is_told_what_is_so);

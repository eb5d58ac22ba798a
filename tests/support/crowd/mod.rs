//! The load under which tests make things fail: clients that write, edit, react, mark, follow, join and leave, each by
//! PROTOCOL.md sections 3 to 5 over one socket ([`client`]), and people who change memberships, roles, settings and pins
//! over REST ([`admins`]). What must be true afterwards is in [`check`].

mod admins;
mod check;
mod client;
mod outbox;
mod pending;
mod record;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tokio::{sync::watch, task::JoinSet, time::sleep};

use super::{Account, Client, Server, timeout};
pub use check::Progress;

use admins::{Toggle, archive, make_rooms, pin, rule};
use outbox::Outbox;
use pending::Pending;
use record::Record;

const WRITERS: usize = 8;
const READERS: usize = 3;
const WANDERERS: usize = 4;
/// In the last of them nobody comes and goes, and it is archived now and then.
const ROOMS: usize = 5;
/// How long nothing may happen that a test waits for.
pub const STALL: Duration = Duration::from_secs(90);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Write,
    /// Nothing new is written or changed; open requests are completed.
    Drain,
    End,
}

/// What all tasks share.
pub struct Shared {
    pub phase: watch::Sender<Phase>,
    pub acks: watch::Sender<u64>,
    /// Changes of membership and rooms that were made for certain.
    pub changes: watch::Sender<u64>,
    /// Counts moments: an ack heard before another message was written has the lower one.
    moments: AtomicU64,
    /// Locked after a person's state, where both are needed.
    record: Mutex<Record>,
    /// Each person's name and id, and whether they come and go.
    pub names: Vec<(String, u64, bool)>,
    /// The room that is archived now and then.
    pub archivable: u64,
    /// Rooms whose making was answered, and the `rev` that it gave them.
    pub made: Mutex<BTreeMap<u64, u64>>,
    /// So often was a membership of the room changed.
    pub changed: Mutex<BTreeMap<u64, u64>>,
}

/// One client and what it holds.
pub struct Person {
    pub account: Account,
    /// Readers react and mark only, and load the whole history.
    pub writes: bool,
    /// Comes and goes: what they write may be refused.
    pub wanders: bool,
    pub state: Mutex<State>,
}

pub struct State {
    pub client: Client,
    pub outbox: Outbox,
    pub pending: Pending,
    pub connections: u64,
    pub lags: u64,
    /// Frames in which several reactions or pins came as one.
    pub joined: u64,
}

impl State {
    /// Nothing that it asked for is open.
    fn is_done(&self) -> bool {
        self.outbox.is_empty() && self.pending.is_empty()
    }
}

/// A room's name at first.
fn name_of(index: usize) -> String {
    format!("room {index}")
}

/// Everybody: the writers, of whom the first owns the rooms, the readers, and who comes and goes.
async fn register(server: &Server) -> Vec<Arc<Person>> {
    let mut people = Vec::new();
    for index in 0..WRITERS + READERS + WANDERERS {
        let wanders = index >= WRITERS + READERS;
        let writes = wanders || index < WRITERS;
        let kind = match (wanders, writes) {
            (true, _) => "wanderer",
            (false, true) => "writer",
            (false, false) => "reader",
        };
        let account = server.register(&format!("{kind}{index}")).await;
        let client = Client::new(account.id);
        people.push(Arc::new(Person {
            account,
            writes,
            wanders,
            state: Mutex::new(State {
                client,
                outbox: Outbox::default(),
                pending: Pending::default(),
                connections: 0,
                lags: 0,
                joined: 0,
            }),
        }));
    }
    people
}

/// See the module's documentation.
pub struct Crowd {
    pub people: Vec<Arc<Person>>,
    pub shared: Arc<Shared>,
    clients: JoinSet<()>,
    changers: JoinSet<()>,
}

impl Person {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn is_caught_up(&self, heads: &BTreeMap<u64, u64>) -> bool {
        let client = &self.state().client;
        let mut rooms = client.rooms.iter();
        client.is_settled()
            && rooms.all(|(id, room)| {
                let loaded = self.writes || room.complete_from == Some(0);
                room.position >= heads[id] && room.is_loaded() && loaded
            })
    }
}

impl Crowd {
    /// Registers everybody, makes the first rooms, and begins.
    pub async fn start(server: &Server) -> Self {
        let people = register(server).await;
        let owner = people[0].account.clone();
        let stable = &people[1..WRITERS + READERS];
        let members: Vec<&Account> = stable.iter().map(|person| &person.account).collect();
        let mut rooms = Vec::new();
        for index in 0..ROOMS {
            let room_id = owner.create_room(&name_of(index), &members).await;
            rooms.push(room_id);
        }
        let made = rooms.iter().map(|id| (*id, members.len() as u64 + 2));
        let named = |person: &Arc<Person>| {
            let account = &person.account;
            (account.name.clone(), account.id, person.wanders)
        };
        let shared = Arc::new(Shared {
            phase: watch::Sender::new(Phase::Write),
            acks: watch::Sender::new(0),
            changes: watch::Sender::new(0),
            moments: AtomicU64::new(0),
            record: Mutex::default(),
            names: people.iter().map(named).collect(),
            archivable: rooms[ROOMS - 1],
            made: Mutex::new(made.collect()),
            changed: Mutex::default(),
        });
        let mut crowd = Self {
            people,
            shared,
            clients: JoinSet::new(),
            changers: JoinSet::new(),
        };
        for person in &crowd.people {
            let client = client::run(person.clone(), crowd.shared.clone());
            crowd.clients.spawn(client);
        }
        crowd.begin_changes(&rooms);
        crowd
    }

    fn begin_changes(&mut self, rooms: &[u64]) {
        let account = |index: usize| self.people[index].account.clone();
        let shared = || self.shared.clone();
        let owner = account(0);
        let open = &rooms[..ROOMS - 1];
        for (index, wanderer) in self.people[WRITERS + READERS..].iter().enumerate() {
            // One person changes each membership, and so knows what it must be.
            for (number, room_id) in open.iter().enumerate() {
                let by_himself = (index + number) % 2 == 0;
                let by = if by_himself {
                    &wanderer.account
                } else {
                    &owner
                };
                let toggle = Toggle {
                    by: by.clone(),
                    user_id: wanderer.account.id,
                    by_himself,
                    room_id: *room_id,
                };
                self.changers.spawn(toggle.run(shared()));
            }
        }
        for (index, room_id) in open.iter().enumerate() {
            let people = [owner.clone(), account(1), account(WRITERS)];
            let room = (*room_id, json!(name_of(index)));
            self.changers.spawn(rule(people, room, shared()));
        }
        for room_id in rooms {
            self.changers.spawn(pin(owner.clone(), *room_id, shared()));
        }
        self.changers.spawn(archive(owner.clone(), shared()));
        let members = self.people[1..WRITERS + READERS].iter().step_by(3);
        let members = members.map(|person| person.account.clone()).collect();
        self.changers
            .spawn(make_rooms(owner.clone(), members, shared()));
    }

    pub fn acks(&self) -> u64 {
        *self.shared.acks.borrow()
    }

    /// Waits for so many more acknowledgements, and for some changes of membership.
    pub async fn acknowledged(&mut self, more: u64) {
        let (mut acks, mut changes) = (
            self.shared.acks.subscribe(),
            self.shared.changes.subscribe(),
        );
        let (acks_to, changes_to) = (*acks.borrow() + more, *changes.borrow() + 3);
        self.unless_stalled(async {
            let _ = acks.wait_for(|acks| *acks >= acks_to).await;
            let _ = changes.wait_for(|changes| *changes >= changes_to).await;
        })
        .await;
    }

    /// Ends the writing, and waits until nobody has anything open.
    pub async fn drain(&mut self) {
        self.shared.phase.send_replace(Phase::Drain);
        let people = self.people.clone();
        let mut changers = std::mem::take(&mut self.changers);
        self.unless_stalled(async {
            while let Some(ended) = changers.join_next().await {
                ended.unwrap();
            }
            for person in &people {
                while !person.state().is_done() {
                    sleep(Duration::from_millis(5)).await;
                }
            }
        })
        .await;
    }

    /// Waits until every client holds each of its rooms up to its `rev`, and awaits nothing more.
    pub async fn caught_up(&mut self, heads: &BTreeMap<u64, u64>) {
        let people = self.people.clone();
        self.unless_stalled(async {
            for person in &people {
                while !person.is_caught_up(heads) {
                    sleep(Duration::from_millis(5)).await;
                }
            }
        })
        .await;
    }

    /// Closes all sockets.
    pub async fn end(&mut self) {
        self.shared.phase.send_replace(Phase::End);
        while let Some(ended) = self.clients.join_next().await {
            ended.unwrap();
        }
    }

    /// Says what happened: a test of faults in which nothing met one shows nothing.
    pub fn report(&self, faults: &str) {
        let (mut messages, mut retried, mut duplicates) = (0, 0, 0);
        let (mut connections, mut lags, mut joined) = (0, 0, 0);
        for person in &self.people {
            let state = person.state();
            messages += state.outbox.acked.len();
            retried += state.outbox.retried + state.pending.retried;
            duplicates += state.outbox.duplicates;
            connections += state.connections;
            lags += state.lags;
            joined += state.joined;
        }
        println!(
            "{faults}: {} acks, {messages} of them of messages ({duplicates} stored before), {retried} retryable \
             errors, {} changes by REST, {connections} connections, {lags} lags, {joined} joined frames",
            self.acks(),
            self.shared.changes.borrow().to_owned(),
        );
        assert!(joined > 0, "no frames were joined");
    }

    /// Waits; panics with whatever panics in the crowd, and when it takes too long.
    async fn unless_stalled(&mut self, wait: impl Future<Output = ()>) {
        let failed = async |tasks: &mut JoinSet<()>| {
            loop {
                match tasks.join_next().await {
                    Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
                    Some(Ok(())) => {}
                    None => std::future::pending::<()>().await,
                }
            }
        };
        tokio::select! {
            _ = failed(&mut self.clients) => {}
            _ = failed(&mut self.changers) => {}
            waited = timeout(STALL, wait) => waited.unwrap_or_else(|_| {
                let open = self.people.iter().filter(|person| !person.state().is_done()).count();
                panic!("nothing happens any more; {} acks, {open} people have something open", self.acks())
            }),
        }
    }
}

impl Shared {
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap()
    }

    /// Notes an acknowledgement.
    pub fn acknowledged(&self) {
        self.acks.send_modify(|acks| *acks += 1);
    }

    pub fn moment(&self) -> u64 {
        self.moments.fetch_add(1, Ordering::SeqCst)
    }

    /// Waits for so many more acknowledgements; false when the writing has ended.
    pub async fn goes_on(&self, more: u64) -> bool {
        let (mut acks, mut phase) = (self.acks.subscribe(), self.phase.subscribe());
        let target = *acks.borrow() + more;
        tokio::select! {
            _ = acks.wait_for(|acks| *acks >= target) => true,
            _ = phase.wait_for(|phase| *phase > Phase::Write) => false,
        }
    }

    pub fn changed(&self, room_id: u64) {
        *self.changed.lock().unwrap().entry(room_id).or_default() += 1;
        self.changes.send_modify(|changes| *changes += 1);
    }
}

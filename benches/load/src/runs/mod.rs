//! How scenarios are run: servers are started and filled, and turns are measured, of all servers in
//! alternation.

mod bursts;
mod delivery;
mod saturation;

use std::{fs, path::PathBuf, thread, time::Duration};

use crate::{
    clock::{self, SECOND},
    figures::{Comparison, Side, Turn},
    measure::{Machine, Syncs, Usage, load_average},
    plan::Plan,
    scenario::{Kind, Scenario},
    servers::{self, Population, Promises, Result, Server, Setup},
    traffic::Traffic,
};

/// Bytes of Hearth's frame beside a message's text, for the floor when Hearth isn't in the run.
const FRAME_OVERHEAD: usize = 270;
/// Connections that are being opened at the same time.
const OPENING: usize = 64;
const CONNECT_PATIENCE: u64 = 300 * SECOND;
/// `perf` needs a moment before it counts.
const SYNCS_BEGIN: Duration = Duration::from_millis(200);

pub struct Options {
    pub servers: Vec<String>,
    pub turns: usize,
    pub warm_up: f64,
    pub saturate: bool,
    pub hearth: PathBuf,
    pub peers: PathBuf,
    pub dir: PathBuf,
    pub server_cores: Vec<usize>,
    pub load_cores: Vec<usize>,
}

/// A server with everyone connected.
struct Contender {
    name: String,
    server: Box<dyn Server>,
    traffic: Traffic,
    side: Side,
    /// Last, so that it goes after the server.
    _files: Files,
}

/// Where a server keeps its files, which go with the value.
struct Files(PathBuf);

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs a scenario on all servers.
pub fn run(scenario: &Scenario, options: &Options) -> Result<Comparison> {
    let sides = match scenario.kind {
        Kind::Delivery | Kind::Search | Kind::History => delivery::run(scenario, options)?,
        kind => {
            // One after another: all files that a process may have are needed for one of them.
            let measure = |name: &String| bursts::run(kind, name, scenario, options);
            options.servers.iter().map(measure).collect::<Result<_>>()?
        }
    };
    Ok(Comparison {
        scenario: scenario.name.to_owned(),
        about: scenario.about.to_owned(),
        setting: scenario.setting(),
        sides,
    })
}

fn notes(promises: &Promises) -> Vec<String> {
    let mut notes = vec![format!("stores in {}", promises.stores)];
    for (kept, missing) in [
        (promises.durable, "what was seen may be lost in a crash"),
        (promises.ordered, "no common order"),
        (promises.authorised, "no check of who may send"),
        (promises.repeatable, "a repeated message is doubled"),
        (promises.resumes, "what was missed isn't caught up with"),
        (promises.acknowledges, "no acknowledgement"),
    ] {
        if !kept {
            notes.push(missing.to_owned());
        }
    }
    notes
}

fn left_out(side: Side, reason: &str) -> Side {
    Side {
        left_out: Some(reason.to_owned()),
        ..side
    }
}

impl Options {
    fn setup(&self, name: &str, scenario: &Scenario, frame_bytes: Option<usize>) -> Setup {
        let dir = self.dir.join(format!("{name}-{}", std::process::id()));
        Setup {
            hearth: self.hearth.clone(),
            peers: self.peers.clone(),
            dir,
            server_cores: self.server_cores.clone(),
            load_cores: self.load_cores.clone(),
            bytes: scenario.bytes,
            frame_bytes: frame_bytes.unwrap_or(scenario.bytes + FRAME_OVERHEAD),
            // A flood is what limits are for.
            limits: scenario.kind == Kind::Flood,
        }
    }
}

impl Contender {
    /// Starts a server and connects everyone; with `users` fewer than the population has, only the first. Where
    /// the server can't do what the scenario asks for, the answer is why.
    fn start(
        name: &str,
        scenario: &Scenario,
        population: &Population,
        users: usize,
        options: &Options,
        frame_bytes: Option<usize>,
    ) -> Result<std::result::Result<Self, Side>> {
        let setup = options.setup(name, scenario, frame_bytes);
        let files = Files(setup.dir.clone());
        let mut server = servers::start(name, &setup)?;
        let promises = server.promises();
        let side = Side {
            server: name.to_owned(),
            notes: notes(&promises),
            ..Side::default()
        };
        if scenario.needs_resuming() && !promises.resumes {
            return Ok(Err(left_out(side, "what was missed isn't caught up with")));
        }
        eprintln!(
            "{name}: {} users, {} rooms",
            population.users,
            population.rooms.len()
        );
        server.populate(population)?;
        let sockets = scenario.sockets_per_user;
        let mut traffic = Traffic::new(&*server, population, 0..users, sockets, scenario.bytes)?;
        let before = Usage::of(&server.processes()).resident_kib;
        traffic.connect(OPENING, CONNECT_PATIENCE)?;
        let after = Usage::of(&server.processes()).resident_kib;
        let connections = traffic.crowd.seats.len();
        let side = Side {
            connections,
            kib_per_connection: (after as f64 - before as f64) / connections as f64,
            ..side
        };
        Ok(Ok(Self {
            name: name.to_owned(),
            server,
            traffic,
            side,
            _files: files,
        }))
    }

    /// The mean length of a message's frame, once some have come.
    fn frame_bytes(&self) -> Option<usize> {
        let crowd = &self.traffic.crowd;
        // With the head of a WebSocket frame.
        let mean = crowd.message_bytes.checked_div(crowd.message_frames)?;
        Some(mean as usize + 4)
    }

    /// Does something and says what it cost.
    fn measured(&mut self, action: impl FnOnce(&mut Traffic) -> Result<()>) -> Result<Turn> {
        let roots = self.server.processes();
        let syncs = Syncs::begin(&roots);
        thread::sleep(SYNCS_BEGIN);
        let machine = Machine::begin();
        let before = Usage::of(&roots);
        let began = clock::now();
        let done = action(&mut self.traffic);
        let seconds = (clock::now() - began) as f64 / SECOND as f64;
        let usage = Usage::of(&roots).since(&before);
        let others = machine.others(usage.cpu_s);
        let harness_cpu_s = machine.harness();
        let fsyncs = syncs.end();
        done.map_err(|error| format!("{}: {error}", self.name))?;
        let mut turn = Turn::of(&self.traffic, seconds);
        turn.add_usage(usage);
        turn.fsyncs = fsyncs;
        turn.harness_cpu_s = harness_cpu_s;
        turn.other_cores = others;
        turn.load_average = load_average();
        for fault in &turn.first_faults {
            eprintln!("{}: {fault}", self.name);
        }
        Ok(turn)
    }

    fn turn(&mut self, plan: &Plan) -> Result<()> {
        let turn = self.measured(|traffic| traffic.turn(plan))?;
        eprintln!(
            "{}: {} messages, {} of {} deliveries, p50 {:.2} ms, p99 {:.2} ms, {} faults",
            self.name,
            turn.messages,
            turn.received,
            turn.expected,
            turn.latency.p50,
            turn.latency.p99,
            turn.faults
        );
        self.side.turns.push(turn);
        Ok(())
    }

    /// Compares what is stored with what was heard in the last turn, where the server can be asked. Stored are
    /// the messages of all turns, numbered 1, 2, 3, …
    fn verify(&mut self) -> Result<()> {
        let ledger = &self.traffic.crowd.ledger;
        let (mut verified, mut faults) = (0, Vec::new());
        for room in 0..ledger.rooms() as u32 {
            let Some(stored) = self.server.stored(room)? else {
                return Ok(());
            };
            verified += stored.len();
            let numbers = stored.iter().map(|(_, number)| *number);
            if !numbers.eq(1..=stored.len() as u64) {
                faults.push(format!("room {room} isn't numbered without a gap"));
            }
            let of_turn = stored.iter().filter(|(key, _)| key.turn == ledger.turn);
            let of_turn = of_turn.map(|(key, number)| (key.number, Some(*number)));
            if !of_turn.eq(ledger.order(room).iter().copied()) {
                faults.push(format!("room {room} doesn't hold what was heard there"));
            }
        }
        let others = &mut self.side.others;
        others.insert("messages found in the database".to_owned(), verified as f64);
        if let Some(turn) = self.side.turns.last_mut() {
            turn.faults += faults.len() as u64;
            turn.first_faults.extend(faults);
        }
        Ok(())
    }

    fn finish(mut self) -> Side {
        self.side.complaints = self.server.complaints();
        std::mem::take(&mut self.side)
    }
}

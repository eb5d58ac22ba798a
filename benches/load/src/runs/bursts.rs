//! Scenarios that measure something else than messages at a rate: one server after another.

use std::{thread, time::Duration};

use super::{CONNECT_PATIENCE, Contender, OPENING, Options};
use crate::{
    clock::{self, Micros, SECOND},
    figures::{Side, median},
    plan::{Pace, Plan},
    scenario::{Kind, Scenario},
    servers::Result,
    traffic::Traffic,
};

/// Connections of the user who floods.
const FLOOD_SOCKETS: usize = 20;
/// Connections that come back at the same time after a crash.
const STORM_OPENING: usize = 512;

pub fn run(kind: Kind, name: &str, scenario: &Scenario, options: &Options) -> Result<Side> {
    let mut population = scenario.population();
    let users = population.users;
    if kind == Kind::Flood {
        // The one who floods has a room of their own, which has no influence on others by what is in it.
        population.users += 1;
        population.rooms.push(vec![users]);
    }
    let mut contender = match Contender::start(name, scenario, &population, users, options, None)? {
        Ok(contender) => contender,
        Err(side) => return Ok(side),
    };
    match kind {
        Kind::Idle => idle(&mut contender, scenario)?,
        Kind::Storm => storm(&mut contender, scenario, options)?,
        Kind::Away => away(&mut contender, scenario, options)?,
        Kind::Flood => {
            let server = &*contender.server;
            let sockets = FLOOD_SOCKETS;
            let flooder = Traffic::new(
                server,
                &population,
                users..users + 1,
                sockets,
                scenario.bytes,
            )?;
            flood(&mut contender, flooder, scenario, options)?;
        }
        Kind::Delivery | Kind::Search | Kind::History => {
            unreachable!("these are measured in alternation")
        }
    }
    Ok(contender.finish())
}

fn note(contender: &mut Contender, what: &str, value: f64) {
    contender.side.others.insert(what.to_owned(), value);
}

fn seconds(micros: Micros) -> f64 {
    micros as f64 / SECOND as f64
}

/// All connections stay open for a turn.
fn idle(contender: &mut Contender, scenario: &Scenario) -> Result<()> {
    contender.turn(&Plan::of(Pace::Silent, scenario.seconds))
}

/// The server is killed, and everyone comes back as soon as it listens.
fn storm(contender: &mut Contender, scenario: &Scenario, options: &Options) -> Result<()> {
    let (mut starts, mut comebacks) = (Vec::new(), Vec::new());
    for _ in 0..options.turns {
        let killed = clock::now();
        contender.server.kill_and_restart()?;
        let listening = clock::now();
        contender.traffic.tend()?;
        contender.traffic.connect(STORM_OPENING, CONNECT_PATIENCE)?;
        comebacks.push(seconds(clock::now() - listening));
        starts.push(seconds(listening - killed));
        // That everyone is there shows in what they hear.
        contender.turn(&scenario.plan(10.0, 1.0))?;
    }
    note(
        contender,
        "s until the server listens again",
        median(starts),
    );
    note(
        contender,
        "s from then until all are live",
        median(comebacks),
    );
    Ok(())
}

/// The second of two users comes back to what the first has sent.
fn away(contender: &mut Contender, scenario: &Scenario, options: &Options) -> Result<()> {
    let (mut times, mut bytes) = (Vec::new(), Vec::new());
    for _ in 0..options.turns {
        let turn = contender.measured(|traffic| {
            traffic.leave(1);
            let mut plan = Plan::fill(1, scenario.stored);
            plan.absence = true;
            traffic.turn(&plan)?;
            let (began, before) = (clock::now(), traffic.fleet.bytes_read);
            traffic.open(1)?;
            while !(traffic.crowd.ledger.is_complete(true) && traffic.crowd.live == 2) {
                traffic.poll(clock::now() + SECOND / 10)?;
                if clock::now() > began + CONNECT_PATIENCE {
                    break;
                }
            }
            times.push(seconds(clock::now() - began));
            bytes.push((traffic.fleet.bytes_read - before) as f64);
            Ok(())
        })?;
        contender.side.turns.push(turn);
    }
    note(contender, "s to catch up", median(times));
    let per_message = median(bytes) / scenario.stored.max(1) as f64;
    note(contender, "bytes read for each message missed", per_message);
    let crowd = &contender.traffic.crowd;
    let live = crowd.message_bytes as f64 / crowd.message_frames.max(1) as f64;
    note(contender, "bytes of a message's frame on average", live);
    Ok(())
}

/// The same messages in quiet and beside a flood, by turns.
fn flood(
    contender: &mut Contender,
    mut flooder: Traffic,
    scenario: &Scenario,
    options: &Options,
) -> Result<()> {
    flooder.connect(OPENING, CONNECT_PATIENCE)?;
    let plan = scenario.plan(scenario.rate, scenario.seconds);
    let (mut quiet, mut flooded, mut sent) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.turns {
        contender.turn(&plan)?;
        quiet.extend(contender.side.turns.last().map(|turn| turn.latency.p99));
        let pace = Pace::Closed {
            senders: FLOOD_SOCKETS,
            window: 16,
            messages: usize::MAX,
        };
        let flood = Plan::of(pace, scenario.seconds + 2.0);
        let accepted = thread::scope(|scope| {
            let flooding = scope.spawn(|| {
                flooder.turn(&flood)?;
                let crowd = &flooder.crowd;
                let tally = &crowd.ledger.tally;
                let acks = crowd.promises.acknowledges;
                Ok::<_, String>(if acks { tally.acked } else { tally.received })
            });
            thread::sleep(Duration::from_secs(1));
            contender.turn(&plan)?;
            flooding
                .join()
                .map_err(|_| "the flood panicked".to_owned())?
        })?;
        flooded.extend(contender.side.turns.last().map(|turn| turn.latency.p99));
        sent.push(accepted as f64 / (scenario.seconds + 2.0));
    }
    let (quiet, flooded) = (median(quiet), median(flooded));
    note(contender, "ms, p99 in quiet", quiet);
    note(contender, "ms, p99 beside the flood", flooded);
    note(contender, "times as much", flooded / quiet);
    note(
        contender,
        "messages a second that the flood got accepted",
        median(sent),
    );
    Ok(())
}

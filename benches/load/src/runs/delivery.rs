//! Messages at a rate, with queries beside them perhaps: turns of all servers in alternation.

use super::{Contender, Options, left_out, saturation};
use crate::{
    figures::Side,
    plan::Plan,
    scenario::Scenario,
    servers::{Query, Result},
};

pub fn run(scenario: &Scenario, options: &Options) -> Result<Vec<Side>> {
    let population = scenario.population();
    let mut contenders = Vec::new();
    let mut sides_left_out = Vec::new();
    let mut frame_bytes = None;
    // The floor comes last, for it takes the length of its frames from the others.
    let (floors, others): (Vec<_>, Vec<_>) =
        options.servers.iter().partition(|name| *name == "floor");
    for name in others.into_iter().chain(floors) {
        let started = Contender::start(
            name,
            scenario,
            &population,
            population.users,
            options,
            frame_bytes,
        );
        let mut contender = match started.map_err(|error| format!("{name}: {error}"))? {
            Ok(contender) => contender,
            Err(side) => {
                sides_left_out.push(side);
                continue;
            }
        };
        if !answers(&contender, scenario) {
            sides_left_out.push(left_out(contender.finish(), "it has no such query"));
            continue;
        }
        if scenario.stored > 0 {
            fill(&mut contender, scenario)?;
        }
        let plan = scenario.plan(scenario.rate, options.warm_up);
        contender.measured(|traffic| traffic.turn(&plan))?;
        frame_bytes = frame_bytes.or(contender.frame_bytes());
        contenders.push(contender);
    }
    let plan = scenario.plan(scenario.rate, scenario.seconds);
    for _ in 0..options.turns {
        for index in 0..contenders.len() {
            contenders[index].turn(&plan)?;
            // Those who wait answer pings meanwhile.
            contenders
                .iter_mut()
                .try_for_each(|other| other.traffic.tend())?;
        }
    }
    if scenario.stored == 0 {
        contenders.iter_mut().try_for_each(Contender::verify)?;
    }
    if options.saturate {
        for index in 0..contenders.len() {
            saturation::find(&mut contenders[index], scenario)?;
            contenders
                .iter_mut()
                .try_for_each(|other| other.traffic.tend())?;
        }
    }
    let mut sides: Vec<Side> = contenders.into_iter().map(Contender::finish).collect();
    sides.append(&mut sides_left_out);
    let place = |side: &Side| options.servers.iter().position(|name| *name == side.server);
    sides.sort_by_key(place);
    Ok(sides)
}

/// Whether the server has the queries that the scenario asks for.
fn answers(contender: &Contender, scenario: &Scenario) -> bool {
    scenario.plan(0.0, 0.0).asked.is_none_or(|asked| {
        let query = if asked.search {
            Query::Search
        } else {
            Query::History { seq: 1 }
        };
        contender.traffic.crowd.query(query, 0, 0, 1).is_some()
    })
}

/// Stores the messages that the scenario begins with, in the first room.
fn fill(contender: &mut Contender, scenario: &Scenario) -> Result<()> {
    let name = &contender.name;
    eprintln!("{name}: storing {} messages", scenario.stored);
    let plan = Plan::fill(scenario.members.max(1), scenario.stored);
    let turn = contender.measured(|traffic| traffic.turn(&plan))?;
    let rate = turn.acked as f64 / turn.seconds;
    let others = &mut contender.side.others;
    others.insert("stored before, messages a second".to_owned(), rate);
    if turn.faults > 0 {
        contender.side.turns.push(turn);
    }
    Ok(())
}

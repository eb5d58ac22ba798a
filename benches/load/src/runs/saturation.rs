//! The highest rate with a bearable p99: doubled until it isn't, then halved into.

use super::Contender;
use crate::{
    figures::{Saturation, Turn},
    scenario::Scenario,
    servers::Result,
};

const P99_MS_MAX: f64 = 250.0;
/// The harness is on time.
const LATE_MS_MAX: f64 = 50.0;
const SECONDS: f64 = 4.0;
const DOUBLINGS_MAX: usize = 16;
/// Steps between the last rate that was bearable and the first that wasn't: to within 1/16.
const HALVINGS: usize = 4;

pub fn find(contender: &mut Contender, scenario: &Scenario) -> Result<()> {
    let mut good = None;
    let mut low = 0.0;
    let mut high = scenario.rate;
    let mut harness_is_the_limit = false;
    for _ in 0..DOUBLINGS_MAX {
        let turn = attempt(contender, scenario, high)?;
        harness_is_the_limit = turn.late_p99 > LATE_MS_MAX;
        if !bearable(&turn) {
            break;
        }
        good = Some(turn);
        low = high;
        high *= 2.0;
    }
    for _ in 0..HALVINGS {
        let rate = (low + high) / 2.0;
        let turn = attempt(contender, scenario, rate)?;
        if bearable(&turn) {
            good = Some(turn);
            low = rate;
        } else {
            harness_is_the_limit = turn.late_p99 > LATE_MS_MAX;
            high = rate;
        }
    }
    contender.side.saturation = good.map(|turn| Saturation {
        messages_per_second: low,
        deliveries_per_second: turn.received as f64 / turn.seconds,
        acked_per_second: turn.ack_latency.map(|_| turn.acked as f64 / turn.seconds),
        p99: turn.latency.p99,
        harness_is_the_limit,
    });
    Ok(())
}

fn bearable(turn: &Turn) -> bool {
    turn.latency.p99 <= P99_MS_MAX && turn.lost == 0 && turn.unacked == 0
}

fn attempt(contender: &mut Contender, scenario: &Scenario, rate: f64) -> Result<Turn> {
    let plan = scenario.plan(rate, SECONDS);
    let turn = contender.measured(|traffic| traffic.turn(&plan))?;
    eprintln!(
        "{}: {rate:.0} messages a second, p99 {:.1} ms",
        contender.name, turn.latency.p99
    );
    Ok(turn)
}

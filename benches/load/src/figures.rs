//! What a run found, as it is written to JSON and read again for the report.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::{measure::Usage, traffic::Traffic};

/// Where a curve of percentiles has its points.
const CURVE: [f64; 13] = [
    1.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.9, 99.95, 99.99,
];

/// Latencies in milliseconds.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Latency {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

fn ms(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

impl Latency {
    pub fn of(times: &Histogram<u64>) -> Self {
        let at = |quantile| ms(times.value_at_quantile(quantile));
        Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: ms(times.max()),
        }
    }
}

/// A second of a turn.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Moment {
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

/// One turn of one server.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Turn {
    pub seconds: f64,
    pub messages: u64,
    pub acked: u64,
    pub unacked: u64,
    pub refused: u64,
    pub expected: u64,
    pub received: u64,
    pub lost: u64,
    pub doubled: u64,
    pub disordered: u64,
    /// Everything that should not have happened, those above included.
    pub faults: u64,
    pub first_faults: Vec<String>,
    /// Connections that the server ended.
    pub closed: u64,
    pub latency: Latency,
    pub ack_latency: Option<Latency>,
    pub queries: u64,
    pub query_latency: Option<Latency>,
    /// How far the harness fell behind its own plan: p99, in ms.
    pub late_p99: f64,
    pub cpu_s: f64,
    pub threads: BTreeMap<String, f64>,
    pub context_switches: u64,
    pub fsyncs: Option<u64>,
    pub written_kib: u64,
    pub resident_kib: u64,
    /// What the harness itself used, in seconds of CPU.
    pub harness_cpu_s: f64,
    /// Cores that neither the server nor the harness kept busy.
    pub other_cores: f64,
    pub load_average: f64,
    pub moments: Vec<Moment>,
    /// Pairs of percentile and milliseconds.
    pub curve: Vec<(f64, f64)>,
}

impl Turn {
    /// What the turn that has just ended showed on the connections.
    pub fn of(traffic: &Traffic, seconds: f64) -> Self {
        let crowd = &traffic.crowd;
        let (ledger, queries) = (&crowd.ledger, &crowd.queries);
        let tally = &ledger.tally;
        let acks = crowd.promises.acknowledges;
        let curve = CURVE.map(|at| (at, ms(ledger.latency.value_at_percentile(at))));
        let moments = ledger.moments.iter().map(|moment| Moment {
            p50: ms(moment.latency.value_at_quantile(0.5)),
            p99: ms(moment.latency.value_at_quantile(0.99)),
            max: ms(moment.latency.max()),
        });
        let unacked = if acks { ledger.unacked() } else { 0 };
        let lost = ledger.lost();
        // Where no order is promised, another one is no fault.
        let disorder = if crowd.promises.ordered {
            tally.disordered
        } else {
            0
        };
        let surplus = tally.received.saturating_sub(tally.expected);
        Self {
            seconds,
            messages: ledger.said_count() as u64,
            acked: tally.acked,
            unacked,
            refused: tally.refused,
            expected: tally.expected,
            received: tally.received,
            lost,
            doubled: tally.doubled,
            disordered: tally.disordered,
            faults: tally.fault_count
                + lost
                + unacked
                + tally.stale
                + surplus
                + tally.doubled
                + disorder,
            first_faults: tally.faults.clone(),
            closed: crowd.closed,
            latency: Latency::of(&ledger.latency),
            ack_latency: acks.then(|| Latency::of(&ledger.ack_latency)),
            queries: queries.answered,
            query_latency: (queries.asked > 0).then(|| Latency::of(&queries.latency)),
            late_p99: ms(traffic.late.value_at_quantile(0.99)),
            moments: moments.collect(),
            curve: curve.to_vec(),
            ..Self::default()
        }
    }

    pub fn add_usage(&mut self, usage: Usage) {
        self.cpu_s = usage.cpu_s;
        self.threads = usage.threads;
        self.context_switches = usage.context_switches;
        self.written_kib = usage.written_bytes / 1024;
        self.resident_kib = usage.resident_kib;
    }

    /// Seconds of CPU for a million deliveries.
    pub fn cpu_per_million(&self) -> f64 {
        self.cpu_s * 1e6 / self.received.max(1) as f64
    }

    pub fn cpu_ms_per_message(&self) -> f64 {
        self.per_message(self.cpu_s * 1000.0)
    }

    pub fn per_message(&self, sum: f64) -> f64 {
        sum / self.messages.max(1) as f64
    }
}

/// The highest rate at which the p99 is bearable.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Saturation {
    pub messages_per_second: f64,
    pub deliveries_per_second: f64,
    pub acked_per_second: Option<f64>,
    pub p99: f64,
    /// At the next higher rate it was the harness that fell behind.
    pub harness_is_the_limit: bool,
}

/// One server in one scenario.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Side {
    pub server: String,
    /// What it does and doesn't do for this price.
    pub notes: Vec<String>,
    pub connections: usize,
    pub kib_per_connection: f64,
    pub turns: Vec<Turn>,
    pub saturation: Option<Saturation>,
    /// What a scenario measures besides, by name and unit.
    pub others: BTreeMap<String, f64>,
    /// Why the scenario doesn't exist for this server.
    pub left_out: Option<String>,
    pub complaints: Vec<String>,
}

impl Side {
    pub fn median(&self, figure: impl Fn(&Turn) -> f64) -> f64 {
        median(self.turns.iter().map(figure).collect())
    }

    pub fn sum(&self, figure: impl Fn(&Turn) -> u64) -> u64 {
        self.turns.iter().map(figure).sum()
    }

    /// The turn with the median p99: its curves stand for the server.
    pub fn typical(&self) -> Option<&Turn> {
        let mut turns: Vec<&Turn> = self.turns.iter().collect();
        turns.sort_by(|one, other| one.latency.p99.total_cmp(&other.latency.p99));
        turns.get(turns.len().saturating_sub(1) / 2).copied()
    }

    pub fn faults(&self) -> u64 {
        self.sum(|turn| turn.faults)
    }
}

/// All servers in one scenario.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Comparison {
    pub scenario: String,
    pub about: String,
    /// The scenario as it was run.
    pub setting: String,
    pub sides: Vec<Side>,
}

/// A run.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Run {
    pub machine: String,
    pub cores: String,
    /// Seconds since 1970.
    pub at: u64,
    pub load_before: f64,
    pub comparisons: Vec<Comparison>,
}

impl Run {
    pub fn faults(&self) -> u64 {
        let sides = self.comparisons.iter().flat_map(|it| &it.sides);
        sides.map(Side::faults).sum()
    }
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => values[count / 2],
        count => (values[count / 2 - 1] + values[count / 2]) / 2.0,
    }
}

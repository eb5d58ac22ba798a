//! What a run found, for people.

pub mod html;
pub mod table;

use crate::figures::{Latency, Side, Turn};

/// A figure of a server, by name and unit, of which less is better.
pub struct Row {
    pub name: &'static str,
    pub unit: &'static str,
    pub of: fn(&Side) -> Option<f64>,
    pub digits: usize,
    /// It is drawn side by side.
    pub drawn: bool,
}

fn turns(side: &Side, figure: impl Fn(&Turn) -> f64) -> Option<f64> {
    (!side.turns.is_empty()).then(|| side.median(figure))
}

/// Of turns with messages.
fn sent(side: &Side, figure: impl Fn(&Turn) -> f64) -> Option<f64> {
    side.turns
        .iter()
        .any(|turn| turn.messages > 0)
        .then(|| side.median(figure))
}

fn acks(side: &Side, figure: impl Fn(&Latency) -> f64) -> Option<f64> {
    let all: Option<Vec<_>> = side.turns.iter().map(|turn| turn.ack_latency).collect();
    let all = all.filter(|_| side.sum(|turn| turn.acked) > 0)?;
    Some(crate::figures::median(all.iter().map(figure).collect()))
}

fn queries(side: &Side, figure: impl Fn(&Latency) -> f64) -> Option<f64> {
    let all: Option<Vec<_>> = side.turns.iter().map(|turn| turn.query_latency).collect();
    Some(crate::figures::median(all?.iter().map(figure).collect()))
        .filter(|_| !side.turns.is_empty())
}

const fn row(
    name: &'static str,
    unit: &'static str,
    digits: usize,
    of: fn(&Side) -> Option<f64>,
) -> Row {
    Row {
        name,
        unit,
        of,
        digits,
        drawn: false,
    }
}

const fn drawn(row: Row) -> Row {
    Row { drawn: true, ..row }
}

/// The figures in their order.
pub const ROWS: &[Row] = &[
    row("deliveries expected", "", 0, |side| {
        sent(side, |_| 0.0).map(|_| side.sum(|turn| turn.expected) as f64)
    }),
    row("deliveries received", "", 0, |side| {
        sent(side, |_| 0.0).map(|_| side.sum(|turn| turn.received) as f64)
    }),
    row("out of order", "", 0, |side| {
        turns(side, |_| 0.0).map(|_| side.sum(|turn| turn.disordered) as f64)
    }),
    row(
        "faults: lost, doubled, out of the promised order, unanswered",
        "",
        0,
        |side| turns(side, |_| 0.0).map(|_| side.faults() as f64),
    ),
    row("connections ended by the server", "", 0, |side| {
        turns(side, |_| 0.0).map(|_| side.sum(|turn| turn.closed) as f64)
    }),
    row("latency p50", "ms", 2, |side| {
        sent(side, |turn| turn.latency.p50)
    }),
    row("latency p90", "ms", 2, |side| {
        sent(side, |turn| turn.latency.p90)
    }),
    drawn(row("latency p99", "ms", 2, |side| {
        sent(side, |turn| turn.latency.p99)
    })),
    row("latency p99.9", "ms", 2, |side| {
        sent(side, |turn| turn.latency.p999)
    }),
    row("latency max", "ms", 2, |side| {
        sent(side, |turn| turn.latency.max)
    }),
    row("acknowledgement p50", "ms", 2, |side| {
        acks(side, |it| it.p50)
    }),
    row("acknowledgement p99", "ms", 2, |side| {
        acks(side, |it| it.p99)
    }),
    row("query p50", "ms", 2, |side| queries(side, |it| it.p50)),
    drawn(row("query p99", "ms", 2, |side| queries(side, |it| it.p99))),
    drawn(row("CPU per million deliveries", "s", 2, |side| {
        sent(side, Turn::cpu_per_million)
    })),
    drawn(row("CPU per message", "ms", 3, |side| {
        sent(side, Turn::cpu_ms_per_message)
    })),
    row("context switches per message", "", 2, |side| {
        sent(side, |turn| turn.per_message(turn.context_switches as f64))
    }),
    row("fsyncs per message", "", 3, |side| {
        let counted = side.turns.iter().all(|turn| turn.fsyncs.is_some());
        let syncs = sent(side, |turn| {
            turn.per_message(turn.fsyncs.unwrap_or(0) as f64)
        });
        syncs.filter(|_| counted)
    }),
    row("written per message", "KiB", 2, |side| {
        sent(side, |turn| turn.per_message(turn.written_kib as f64))
    }),
    drawn(row("resident per connection", "KiB", 2, |side| {
        Some(side.kib_per_connection)
    })),
    row("acknowledged a second", "messages", 0, |side| {
        acks(side, |_| 0.0).map(|_| side.median(|turn| turn.acked as f64 / turn.seconds))
    }),
    row(
        "highest rate with p99 below 250 ms",
        "messages/s",
        0,
        |side| Some(side.saturation?.messages_per_second),
    ),
    row("… acknowledged", "messages/s", 0, |side| {
        side.saturation?.acked_per_second
    }),
    row("… deliveries", "a second", 0, |side| {
        Some(side.saturation?.deliveries_per_second)
    }),
    row("harness CPU per million deliveries", "s", 2, |side| {
        sent(side, |turn| {
            turn.harness_cpu_s * 1e6 / turn.received.max(1) as f64
        })
    }),
    row("harness late p99", "ms", 2, |side| {
        sent(side, |turn| turn.late_p99)
    }),
    row("cores busy with other things", "", 2, |side| {
        turns(side, |turn| turn.other_cores)
    }),
    row("load average", "", 2, |side| {
        turns(side, |turn| turn.load_average)
    }),
];

/// A number with so many digits, or n/a.
pub fn figure(value: Option<f64>, digits: usize) -> String {
    value.map_or("n/a".to_owned(), |value| format!("{value:.digits$}"))
}

//! The table in the terminal, in Markdown.

use std::collections::BTreeSet;

use super::{ROWS, figure};
use crate::figures::{Comparison, Side};

pub fn table(comparison: &Comparison) -> String {
    let sides = &comparison.sides;
    let mut rows = vec![line("", sides, |side| side.server.clone())];
    rows.push(line("---", sides, |_| "---:".to_owned()));
    for row in ROWS {
        if sides.iter().all(|side| (row.of)(side).is_none()) && !row.name.starts_with("fsyncs") {
            continue;
        }
        let name = if row.unit.is_empty() {
            row.name.to_owned()
        } else {
            format!("{}, {}", row.name, row.unit)
        };
        rows.push(line(&name, sides, |side| {
            figure((row.of)(side), row.digits)
        }));
    }
    let others: BTreeSet<&String> = sides.iter().flat_map(|side| side.others.keys()).collect();
    for name in others {
        rows.push(line(name, sides, |side| {
            figure(side.others.get(name).copied(), 2)
        }));
    }
    let mut text = format!(
        "{}: {}\n\n{}\n",
        comparison.scenario,
        comparison.setting,
        rows.join("\n")
    );
    for side in sides {
        text.push_str(&format!("\n{}: {}", side.server, side.notes.join("; ")));
        if let Some(reason) = &side.left_out {
            text.push_str(&format!("\n  left out: {reason}"));
        }
        if let Some(threads) = threads(side) {
            text.push_str(&format!(
                "\n  CPU by thread, s per million deliveries: {threads}"
            ));
        }
        if side.saturation.is_some_and(|it| it.harness_is_the_limit) {
            text.push_str("\n  beyond its highest rate the harness fell behind, too");
        }
        for complaint in side.complaints.iter().take(5) {
            text.push_str(&format!("\n  log: {complaint}"));
        }
    }
    text.push('\n');
    text
}

fn line(name: &str, sides: &[Side], cell: impl Fn(&Side) -> String) -> String {
    let cells: Vec<String> = sides.iter().map(cell).collect();
    format!("| {name} | {} |", cells.join(" | "))
}

/// The threads that took the most, of the typical turn.
fn threads(side: &Side) -> Option<String> {
    let turn = side.typical().filter(|turn| turn.received > 0)?;
    let mut threads: Vec<_> = turn.threads.iter().collect();
    threads.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let threads = threads
        .iter()
        .take(6)
        .map(|(name, seconds)| format!("{name} {:.2}", *seconds * 1e6 / turn.received as f64));
    Some(threads.collect::<Vec<_>>().join(", "))
}

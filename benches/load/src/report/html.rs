//! The page with plots: one file with its style and its drawings inside, which needs no network.

use std::fmt::Write;

use super::{ROWS, Row, figure};
use crate::figures::{Comparison, Run, Side, Turn};

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 36.0;
/// Told apart also by those who see colours differently (Okabe and Ito).
const COLOURS: [&str; 8] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999933",
];

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:1180px;margin:2rem auto;padding:0 1rem;color:#222}
h1,h2{line-height:1.2}h2{margin-top:3rem;border-top:1px solid #ccc;padding-top:1rem}
table{border-collapse:collapse;margin:1rem 0}th,td{padding:.15rem .7rem;border-bottom:1px solid #ddd;text-align:right}
th:first-child,td:first-child{text-align:left}.plots{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0}
figcaption{font-weight:600}svg text{font:11px system-ui,sans-serif;fill:#333}.fault{color:#b00;font-weight:600}
.legend span{display:inline-block;margin-right:1rem}.legend i{display:inline-block;width:.8em;height:.8em;margin-right:.3em}";

/// The page of a run.
pub fn page(run: &Run) -> String {
    let mut page = String::new();
    let _ = write!(
        page,
        "<!doctype html><html lang=en><meta charset=utf-8><title>Hearth: load</title><style>{STYLE}</style>\
         <h1>Chat servers under load</h1><p>{}; {}; load average before: {:.2}; seconds since 1970: {}.</p>\
         <p>Latency counts from the moment at which a message was due. Figures are medians of turns, the curves \
         those of the turn with the median p99.</p>",
        escape(&run.machine),
        escape(&run.cores),
        run.load_before,
        run.at
    );
    for comparison in &run.comparisons {
        section(&mut page, comparison);
    }
    page.push_str("</html>\n");
    page
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn colour(index: usize) -> &'static str {
    COLOURS[index % COLOURS.len()]
}

fn section(page: &mut String, comparison: &Comparison) {
    let sides = &comparison.sides;
    let _ = write!(
        page,
        "<h2>{}</h2><p>{}</p><p class=legend>",
        escape(&comparison.scenario),
        escape(&format!("{} ({})", comparison.about, comparison.setting))
    );
    for (index, side) in sides.iter().enumerate() {
        let name = escape(&side.server);
        let _ = write!(
            page,
            "<span><i style=background:{}></i>{name}</span>",
            colour(index)
        );
    }
    page.push_str("</p><div class=plots>");
    let typical: Vec<Option<&Turn>> = sides.iter().map(Side::typical).collect();
    let sent = |turn: &Turn| turn.received > 0;
    if typical.iter().flatten().any(|turn| sent(turn)) {
        let over_time = |turn: &Turn| {
            let moments = turn.moments.iter().enumerate();
            moments
                .map(|(second, moment)| (second as f64, moment.p99))
                .collect()
        };
        let seconds = |x: f64| format!("{x:.0} s");
        plot(
            page,
            "p99 of each second, ms",
            &lines(&typical, over_time),
            seconds,
        );
        let curve = |turn: &Turn| {
            let points = turn.curve.iter();
            points
                .map(|(percentile, ms)| (nines(*percentile), *ms))
                .collect()
        };
        let percentile = |x: f64| trimmed(100.0 - 100.0 / 10f64.powf(x));
        plot(
            page,
            "latency by percentile, ms",
            &lines(&typical, curve),
            percentile,
        );
    }
    for row in ROWS.iter().filter(|row| row.drawn) {
        bars(page, row, sides);
    }
    page.push_str("</div>");
    table(page, comparison);
}

/// Percentiles on a scale where each nine takes the same room.
fn nines(percentile: f64) -> f64 {
    (100.0 / (100.0 - percentile)).log10()
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Points of each server that has any, by its index.
type Lines = Vec<(usize, Vec<(f64, f64)>)>;

fn lines(turns: &[Option<&Turn>], points: impl Fn(&Turn) -> Vec<(f64, f64)>) -> Lines {
    let turns = turns.iter().enumerate();
    let lines = turns.filter_map(|(index, turn)| Some((index, points((*turn)?))));
    lines.filter(|(_, points)| !points.is_empty()).collect()
}

/// A plot of lines over a logarithmic scale.
fn plot(page: &mut String, title: &str, lines: &Lines, label: impl Fn(f64) -> String) {
    let points = || lines.iter().flat_map(|(_, points)| points);
    let x_max = points().map(|(x, _)| *x).fold(1.0, f64::max);
    let least = points()
        .map(|(_, y)| *y)
        .fold(f64::MAX, f64::min)
        .max(0.001);
    let most = points().map(|(_, y)| *y).fold(least, f64::max);
    let (low, high) = (least.log10().floor(), (most.log10() + 1e-9).ceil());
    let high = if high > low { high } else { low + 1.0 };
    let x = |value: f64| LEFT + value / x_max * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| {
        let part = (value.max(0.001).log10() - low) / (high - low);
        HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)
    };
    open(page, title, HEIGHT);
    for decade in low as i32..=high as i32 {
        let value = 10f64.powi(decade);
        let at = y(value);
        let _ = write!(
            page,
            "<line x1={LEFT} x2={} y1={at:.1} y2={at:.1} stroke=#ddd /><text x={} y={:.1} text-anchor=end>{}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 4.0,
            trimmed(value)
        );
    }
    let steps = if x_max > 8.0 {
        5.0
    } else {
        x_max.floor().max(1.0)
    };
    for step in 0..=steps as usize {
        let value = x_max.floor().max(1.0) * step as f64 / steps;
        let _ = write!(
            page,
            "<text x={:.1} y={} text-anchor=middle>{}</text>",
            x(value),
            HEIGHT - BOTTOM + 18.0,
            label(value)
        );
    }
    for (index, points) in lines {
        let path: Vec<String> = points
            .iter()
            .map(|(at, value)| format!("{:.1},{:.1}", x(*at), y(*value)))
            .collect();
        let _ = write!(
            page,
            "<polyline points=\"{}\" fill=none stroke={} stroke-width=2 />",
            path.join(" "),
            colour(*index)
        );
    }
    page.push_str("</svg></figure>");
}

fn open(page: &mut String, title: &str, height: f64) {
    let _ = write!(
        page,
        "<figure><figcaption>{}</figcaption><svg width={WIDTH} height={height} role=img aria-label=\"{}\">",
        escape(title),
        escape(title)
    );
}

/// The servers side by side.
fn bars(page: &mut String, row: &Row, sides: &[Side]) {
    const BAR: f64 = 26.0;
    const NAMES: f64 = 130.0;
    const FIGURES: f64 = 90.0;
    let values: Vec<(usize, f64)> = sides
        .iter()
        .enumerate()
        .filter_map(|(index, side)| Some((index, (row.of)(side)?)))
        .collect();
    let most = values.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    if most <= 0.0 {
        return;
    }
    let title = format!("{}, {}", row.name, row.unit);
    open(page, &title, values.len() as f64 * BAR + TOP);
    for (line, (index, value)) in values.iter().enumerate() {
        let top = line as f64 * BAR + 8.0;
        let width = (value.max(0.0) / most * (WIDTH - NAMES - FIGURES)).max(1.0);
        let _ = write!(
            page,
            "<text x={} y={:.1} text-anchor=end>{}</text><rect x={NAMES} y={top:.1} width={width:.1} height={} fill={} />\
             <text x={:.1} y={:.1}>{}</text>",
            NAMES - 8.0,
            top + 14.0,
            escape(&sides[*index].server),
            BAR - 8.0,
            colour(*index),
            NAMES + width + 6.0,
            top + 14.0,
            figure(Some(*value), row.digits)
        );
    }
    page.push_str("</svg></figure>");
}

fn table(page: &mut String, comparison: &Comparison) {
    let sides = &comparison.sides;
    page.push_str("<table><tr><th></th>");
    for side in sides {
        let _ = write!(page, "<th>{}</th>", escape(&side.server));
    }
    page.push_str("</tr>");
    let mut line = |name: &str, cell: &dyn Fn(&Side) -> String| {
        let _ = write!(page, "<tr><td>{}</td>", escape(name));
        for side in sides {
            let _ = write!(page, "<td>{}</td>", cell(side));
        }
        page.push_str("</tr>");
    };
    for row in ROWS {
        if sides.iter().any(|side| (row.of)(side).is_some()) {
            let comma = if row.unit.is_empty() { "" } else { ", " };
            let name = format!("{}{comma}{}", row.name, row.unit);
            line(&name, &|side| figure((row.of)(side), row.digits));
        }
    }
    let mut others: Vec<&String> = sides.iter().flat_map(|side| side.others.keys()).collect();
    others.sort();
    others.dedup();
    for name in others {
        line(name, &|side| figure(side.others.get(name).copied(), 2));
    }
    page.push_str("</table><ul>");
    for side in sides {
        let notes = side.notes.join("; ");
        let _ = write!(page, "<li>{}: {}", escape(&side.server), escape(&notes));
        if let Some(reason) = &side.left_out {
            let _ = write!(page, ". Left out: {}", escape(reason));
        }
        let first = side.turns.iter().flat_map(|turn| &turn.first_faults).next();
        if let Some(fault) = first {
            let _ = write!(page, ". <span class=fault>{}</span>", escape(fault));
        }
        page.push_str("</li>");
    }
    page.push_str("</ul>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_stands_alone() {
        let turn = Turn {
            received: 10,
            messages: 1,
            cpu_s: 0.5,
            curve: vec![(50.0, 1.0), (99.0, 20.0)],
            moments: vec![crate::figures::Moment {
                p50: 1.0,
                p99: 20.0,
                max: 30.0,
            }],
            ..Turn::default()
        };
        let side = Side {
            server: "a <server>".to_owned(),
            turns: vec![turn],
            kib_per_connection: 4.0,
            ..Side::default()
        };
        let comparison = Comparison {
            scenario: "many-rooms".to_owned(),
            sides: vec![side],
            ..Comparison::default()
        };
        let page = page(&Run {
            comparisons: vec![comparison],
            ..Run::default()
        });
        assert!(
            page.contains("<polyline")
                && page.contains("<rect")
                && page.contains("a &lt;server&gt;")
        );
        for outside in ["http", "src=", "NaN", "inf"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }
}

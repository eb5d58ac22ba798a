//! Percentiles, the table and the JSON line.

use serde_json::{Map, Value};

/// What was measured in one run: a table for people, then one line of JSON.
pub struct Report {
    title: String,
    rows: Vec<(String, String)>,
    json: Map<String, Value>,
}

impl Report {
    pub fn new(probe: &str, title: String) -> Self {
        let mut report = Self {
            title,
            rows: Vec::new(),
            json: Map::new(),
        };
        report.json.insert("probe".into(), probe.into());
        report
    }

    /// A figure: a line of the table, and a field.
    pub fn row(&mut self, name: &str, text: impl ToString, key: &str, value: impl Into<Value>) {
        self.rows.push((name.to_owned(), text.to_string()));
        self.field(key, value);
    }

    /// A field only.
    pub fn field(&mut self, key: &str, value: impl Into<Value>) {
        self.json.insert(key.to_owned(), value.into());
    }

    /// A duration's distribution, in microseconds.
    pub fn latency(&mut self, name: &str, key: &str, times: &mut Times) {
        let (p50, p99) = (times.percentile(50.0), times.percentile(99.0));
        let text = format!(
            "p50 {:.2} ms, p99 {:.2} ms",
            f64::from(p50) / 1e3,
            f64::from(p99) / 1e3
        );
        self.row(name, text, &format!("{key}_p50_us"), p50);
        self.field(&format!("{key}_p99_us"), p99);
    }

    pub fn print(mut self) {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or_default().to_owned();
        self.row("load of the machine", load.clone(), "load", load);
        let width = self.rows.iter().map(|(name, _)| name.chars().count()).max();
        println!("\n{}", self.title);
        for (name, text) in &self.rows {
            println!("  {name:<width$}  {text}", width = width.unwrap_or(0));
        }
        println!("{}", Value::Object(self.json));
    }
}

/// Durations in microseconds.
#[derive(Default)]
pub struct Times(Vec<u32>);

impl Times {
    pub fn push(&mut self, micros: u64) {
        self.0.push(micros.min(u64::from(u32::MAX)) as u32);
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn take_from(&mut self, other: &mut Times) {
        self.0.append(&mut other.0);
    }

    /// 0 when there are none.
    pub fn percentile(&mut self, percent: f64) -> u32 {
        self.0.sort_unstable();
        let index = (self.0.len() as f64 * percent / 100.0) as usize;
        let index = index.min(self.0.len().saturating_sub(1));
        self.0.get(index).copied().unwrap_or(0)
    }
}

/// The middle one.
pub fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

pub fn round(value: f64, digits: i32) -> f64 {
    let factor = 10f64.powi(digits);
    (value * factor).round() / factor
}

//! What the operating system says about processes and the machine, from `/proc`.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    process::{Child, Command, Stdio},
    time::Instant,
};

use nix::{
    sched::{CpuSet, sched_getaffinity},
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// A tick of `/proc/PID/stat` is 10 ms on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// What the processes of a server have used so far.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    /// User and system time, in seconds.
    pub cpu_s: f64,
    /// The same by the names of threads, of those that are still there.
    pub threads: BTreeMap<String, f64>,
    pub context_switches: u64,
    pub resident_kib: u64,
    pub written_bytes: u64,
}

/// The processes below these, themselves included.
pub fn tree(roots: &[i32]) -> Vec<i32> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        if let Some(parent) =
            stat(&format!("/proc/{pid}/stat")).and_then(|(_, fields)| fields.get(1)?.parse().ok())
        {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found: Vec<i32> = roots.to_vec();
    let mut next = 0;
    while next < found.len() {
        found.extend(children.remove(&found[next]).into_iter().flatten());
        next += 1;
    }
    found
}

/// The name in a stat file, and the fields behind it: state, parent, …
fn stat(path: &str) -> Option<(String, Vec<String>)> {
    let stat = fs::read_to_string(path).ok()?;
    let (_, rest) = stat.split_once('(')?;
    let (name, fields) = rest.rsplit_once(')')?;
    let fields = fields.split_ascii_whitespace().map(str::to_owned).collect();
    Some((name.to_owned(), fields))
}

/// User and system time in a stat file, in seconds.
fn cpu(fields: &[String]) -> f64 {
    let ticks = fields.iter().skip(11).take(2);
    ticks
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / TICKS_PER_SECOND
}

/// A field of a file of lines like `Name: number`.
fn field(text: &str, name: &str) -> u64 {
    let mut lines = text
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = lines.find_map(|rest| rest.split_ascii_whitespace().next()?.parse().ok());
    number.unwrap_or(0)
}

impl Usage {
    /// What these processes and all below them have used.
    pub fn of(roots: &[i32]) -> Self {
        let mut usage = Self::default();
        for pid in tree(roots) {
            if let Some((_, fields)) = stat(&format!("/proc/{pid}/stat")) {
                usage.cpu_s += cpu(&fields);
            }
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            usage.resident_kib += field(&status, "VmRSS");
            let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
            usage.written_bytes += field(&io, "write_bytes");
            for task in fs::read_dir(format!("/proc/{pid}/task"))
                .into_iter()
                .flatten()
                .flatten()
            {
                let path = task.path().display().to_string();
                if let Some((name, fields)) = stat(&format!("{path}/stat")) {
                    *usage.threads.entry(name).or_default() += cpu(&fields);
                }
                let status = fs::read_to_string(format!("{path}/status")).unwrap_or_default();
                usage.context_switches += field(&status, "voluntary_ctxt_switches")
                    + field(&status, "nonvoluntary_ctxt_switches");
            }
        }
        usage
    }

    pub fn since(&self, before: &Self) -> Self {
        let threads = self.threads.iter().map(|(name, seconds)| {
            let before = before.threads.get(name).copied().unwrap_or(0.0);
            (name.clone(), (seconds - before).max(0.0))
        });
        Self {
            cpu_s: self.cpu_s - before.cpu_s,
            threads: threads.filter(|(_, seconds)| *seconds > 0.0).collect(),
            context_switches: self
                .context_switches
                .saturating_sub(before.context_switches),
            resident_kib: self.resident_kib,
            written_bytes: self.written_bytes.saturating_sub(before.written_bytes),
        }
    }
}

/// How busy the machine is beside what is measured.
pub struct Machine {
    began: Instant,
    busy_s: f64,
    own_s: f64,
}

impl Machine {
    pub fn begin() -> Self {
        Self {
            began: Instant::now(),
            busy_s: busy(),
            own_s: own(),
        }
    }

    /// Seconds of CPU that the harness used since.
    pub fn harness(&self) -> f64 {
        own() - self.own_s
    }

    /// Cores that others than the harness and the server kept busy since, on average.
    pub fn others(&self, server_s: f64) -> f64 {
        let others = busy() - self.busy_s - (own() - self.own_s) - server_s;
        (others / self.began.elapsed().as_secs_f64()).max(0.0)
    }
}

/// Seconds that all cores together weren't idle, since the machine started.
fn busy() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = line
        .split_ascii_whitespace()
        .skip(1)
        .filter_map(|ticks| ticks.parse().ok())
        .collect();
    // user, nice, system, (idle, iowait), irq, softirq, steal
    [0, 1, 2, 5, 6, 7]
        .iter()
        .filter_map(|index| ticks.get(*index))
        .sum::<f64>()
        / TICKS_PER_SECOND
}

fn own() -> f64 {
    stat("/proc/self/stat").map_or(0.0, |(_, fields)| cpu(&fields))
}

/// The load of the last minute, as `uptime` has it.
pub fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ')
        .next()
        .and_then(|load| load.parse().ok())
        .unwrap_or(0.0)
}

/// Counts the calls of fsync and fdatasync with `perf`, where that is there and allowed.
pub struct Syncs(Option<Child>);

impl Syncs {
    pub fn begin(roots: &[i32]) -> Self {
        let pids: Vec<String> = tree(roots).iter().map(i32::to_string).collect();
        let events = "syscalls:sys_enter_fsync,syscalls:sys_enter_fdatasync";
        let child = Command::new("perf")
            .args(["stat", "-x", ",", "-e", events, "-p", &pids.join(",")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        Self(child.ok())
    }

    /// None where they can't be counted.
    pub fn end(mut self) -> Option<u64> {
        let child = self.0.take()?;
        kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).ok()?;
        let output = child.wait_with_output().ok()?;
        let text = String::from_utf8_lossy(&output.stderr);
        let mut counts = text.lines().filter_map(|line| {
            let (count, rest) = line.split_once(',')?;
            let counted = rest.contains("sync").then_some(count)?;
            Some(if counted == "<not counted>" {
                Ok(0)
            } else {
                counted.parse::<u64>()
            })
        });
        let first = counts.next()?.ok()?;
        Some(first + counts.filter_map(Result::ok).sum::<u64>())
    }
}

impl Drop for Syncs {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The kernel and the processor, for the report.
pub fn machine() -> String {
    let version = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut names = cpus
        .lines()
        .filter_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let name = names
        .next()
        .map_or("unknown processor", |(_, name)| name.trim());
    let cores = cpus
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    format!("{cores} cores ({name}), Linux {}", version.trim())
}

/// The cores that this process may use.
pub fn cores() -> Vec<usize> {
    let set = sched_getaffinity(Pid::from_raw(0)).unwrap_or_else(|_| CpuSet::new());
    let is_set = |core: &usize| set.is_set(*core).unwrap_or(false);
    (0..CpuSet::count()).filter(is_set).collect()
}

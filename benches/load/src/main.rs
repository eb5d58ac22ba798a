//! A load harness for chat servers: it drives them from outside, by their public protocols, with an open loop,
//! and checks every delivery.
//!
//! | module | what |
//! | --- | --- |
//! | `scenario` | who is where, and what happens |
//! | `servers` | the servers, each behind the traits `Server` and `Dialect` |
//! | `fleet`, `wire` | connections in one epoll loop, and their framing |
//! | `crowd`, `ledger`, `text` | the people on the connections, and the record of what was said and heard |
//! | `plan`, `traffic` | a turn: what happens at which time, and its doing |
//! | `measure`, `figures` | what `/proc` says, and what a run found |
//! | `runs` | how scenarios are run |
//! | `report` | tables, JSON and the page with plots |

#![forbid(unsafe_code)]

mod clock;
mod crowd;
mod figures;
mod fleet;
mod http;
mod ledger;
mod measure;
mod plan;
mod random;
mod report;
mod runs;
mod scenario;
mod servers;
mod text;
mod traffic;
mod wire;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use clap::{Args, Parser, Subcommand};

use crate::{
    figures::{Comparison, Run},
    runs::Options,
    scenario::{Changes, Scenario},
    servers::{Result, mariadb, process},
};

/// Drives chat servers and says what a delivery, a connection and a message cost.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run scenarios, on several servers in alternation
    Run(Box<RunArguments>),
    /// Check deliveries only, in a few seconds: a loss, a double or disorder fails
    Check(CheckArguments),
    /// Make the page with plots from the JSON of one or several runs
    Report {
        /// Where the page goes
        #[arg(long)]
        html: PathBuf,
        /// The JSON of runs
        json: Vec<PathBuf>,
    },
    /// List scenarios and servers
    List,
    /// The floor's server
    #[command(hide = true)]
    Floor { port: u16 },
}

#[derive(Args)]
struct Common {
    /// Servers, separated by commas [default: floor, hearth, and under scripts/with-mariadb hearth-mariadb]
    #[arg(long, value_delimiter = ',')]
    servers: Vec<String>,
    /// The program of Hearth's server [default: `hearth` beside this program]
    #[arg(long)]
    hearth: Option<PathBuf>,
    /// Where `make bench-peers` has installed the other servers
    #[arg(long, default_value = "target/peers")]
    peers: PathBuf,
    /// Where servers keep their files meanwhile
    #[arg(long, default_value = "target/load")]
    dir: PathBuf,
}

impl Common {
    fn servers(&self) -> Vec<String> {
        if !self.servers.is_empty() {
            return self.servers.clone();
        }
        let mariadb = mariadb::is_offered().then_some("hearth-mariadb");
        let servers = ["floor", "hearth"].into_iter().chain(mariadb);
        servers.map(str::to_owned).collect()
    }

    fn hearth(&self) -> Result<PathBuf> {
        let hearth = match &self.hearth {
            Some(hearth) => hearth.clone(),
            None => std::env::current_exe()
                .map_err(|error| error.to_string())?
                .with_file_name("hearth"),
        };
        absolute(&hearth)
    }
}

#[derive(Args)]
struct RunArguments {
    /// Scenarios; all when none is named
    scenarios: Vec<String>,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    changes: Changes,
    /// Turns of each server, of which the median counts
    #[arg(long, default_value_t = 5)]
    turns: usize,
    /// Seconds before the first turn
    #[arg(long, default_value_t = 2.0)]
    warm_up: f64,
    /// Look for the highest rate with a p99 below 250 ms, too
    #[arg(long)]
    saturate: bool,
    /// Cores of the server and its database
    #[arg(long, value_delimiter = ',', default_value = "0")]
    server_cores: Vec<usize>,
    /// Cores of the harness
    #[arg(long, value_delimiter = ',', default_value = "1")]
    load_cores: Vec<usize>,
    /// JSON and page go to OUT.json and OUT.html
    #[arg(long, default_value = "target/load/run")]
    out: PathBuf,
}

#[derive(Args)]
struct CheckArguments {
    #[command(flatten)]
    common: Common,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run(arguments) => run(&arguments),
        Command::Check(arguments) => check(&arguments),
        Command::Report { html, json } => page(&html, &json).map(|()| 0),
        Command::Floor { port } => servers::floor::serve(port)
            .map(|()| 0)
            .map_err(|error| error.to_string()),
        Command::List => {
            list();
            Ok(0)
        }
    };
    match done {
        Ok(0) => ExitCode::SUCCESS,
        Ok(faults) => {
            eprintln!("{faults} faults: something was lost, doubled, out of order or not answered");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("hearth-load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn list() {
    for scenario in scenario::ALL {
        println!("{:13} {}", scenario.name, scenario.about);
    }
    println!("servers: {}", servers::NAMES.join(", "));
}

/// Runs scenarios one after another, and hands over what each showed.
fn run_all(scenarios: &[Scenario], options: &Options, each: impl Fn(&Comparison)) -> Result<Run> {
    fs::create_dir_all(&options.dir).map_err(|error| error.to_string())?;
    process::raise_files()?;
    process::pin(&options.load_cores)?;
    let at = SystemTime::now().duration_since(UNIX_EPOCH);
    let mut run = Run {
        machine: measure::machine(),
        cores: format!(
            "server on {:?}, harness on {:?}",
            options.server_cores, options.load_cores
        ),
        at: at.map_or(0, |at| at.as_secs()),
        load_before: measure::load_average(),
        comparisons: Vec::new(),
    };
    for scenario in scenarios {
        eprintln!("== {}: {}", scenario.name, scenario.about);
        let comparison = runs::run(scenario, options)?;
        each(&comparison);
        run.comparisons.push(comparison);
    }
    Ok(run)
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn run(arguments: &RunArguments) -> Result<u64> {
    let mut scenarios = Vec::new();
    for name in &arguments.scenarios {
        let known = Scenario::named(name);
        scenarios.push(known.ok_or_else(|| format!("no scenario is called {name}"))?);
    }
    if scenarios.is_empty() {
        scenarios = scenario::ALL.to_vec();
    }
    let changed = |scenario: Scenario| scenario.changed(&arguments.changes);
    let scenarios: Vec<Scenario> = scenarios.into_iter().map(changed).collect();
    let options = Options {
        servers: arguments.common.servers(),
        turns: arguments.turns,
        warm_up: arguments.warm_up,
        saturate: arguments.saturate,
        hearth: arguments.common.hearth()?,
        peers: absolute(&arguments.common.peers)?,
        dir: absolute(&arguments.common.dir)?,
        server_cores: arguments.server_cores.clone(),
        load_cores: arguments.load_cores.clone(),
    };
    let run = run_all(&scenarios, &options, |comparison| {
        println!("{}", report::table::table(comparison))
    })?;
    let json = serde_json::to_string_pretty(&run).map_err(|error| error.to_string())?;
    write(&arguments.out.with_extension("json"), &json)?;
    write(
        &arguments.out.with_extension("html"),
        &report::html::page(&run),
    )?;
    Ok(run.faults())
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(|error| error.to_string())?;
    }
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    eprintln!("{} written", path.display());
    Ok(())
}

/// All that can be lost, doubled or come out of order, for a moment each, on any cores.
fn check(arguments: &CheckArguments) -> Result<u64> {
    let cores = measure::cores();
    let options = Options {
        servers: arguments.common.servers(),
        turns: 1,
        warm_up: 0.5,
        saturate: false,
        hearth: arguments.common.hearth()?,
        peers: absolute(&arguments.common.peers)?,
        dir: absolute(&arguments.common.dir)?,
        server_cores: cores.clone(),
        load_cores: cores,
    };
    let run = run_all(&scenario::check(), &options, |comparison| {
        for side in &comparison.sides {
            let (received, expected) = (
                side.sum(|turn| turn.received),
                side.sum(|turn| turn.expected),
            );
            let (scenario, server) = (&comparison.scenario, &side.server);
            match &side.left_out {
                Some(reason) => println!("{scenario}, {server}: left out: {reason}"),
                None => println!(
                    "{scenario}, {server}: {received} of {expected} deliveries, {} faults",
                    side.faults()
                ),
            }
        }
    })?;
    Ok(run.faults())
}

fn page(html: &Path, json: &[PathBuf]) -> Result<()> {
    let mut all: Option<Run> = None;
    for path in json {
        let text =
            fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let run: Run =
            serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        match &mut all {
            None => all = Some(run),
            Some(all) => all.comparisons.extend(run.comparisons),
        }
    }
    let run = all.ok_or("the JSON of a run is needed")?;
    write(html, &report::html::page(&run))
}

//! The command line: settings in, exit code out. 0: done; 1: it failed, stderr says why; 64: the
//! settings or the command line are faulty; 130: stopped by a second signal; 128 and a signal's number: stopped
//! by it, as a command.

use std::process::ExitCode;

use nix::sys::stat::{Mode, umask};

use hearth::{
    app,
    config::{self, EXIT_USAGE, Fault},
    limits::STOP_THREADS,
    telemetry,
};

fn main() -> ExitCode {
    // What this process makes is its user's alone: passwords' hashes and messages are in it.
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
    // Before any thread: it reads .env into the environment.
    let (command, config) = match config::load() {
        Ok(loaded) => loaded,
        Err(fault) => return complain(fault),
    };
    telemetry::start_logs(&config.log_filter, config.log_format);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("hearth: no threads can be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(app::run(command, config));
    runtime.shutdown_timeout(STOP_THREADS);
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(app::Failure::Faults) => ExitCode::FAILURE,
        Err(app::Failure::Stopped(signal)) => {
            // The prompt that stood there had no end of its line.
            eprintln!();
            ExitCode::from(128 + signal)
        }
        // For whoever typed the command: no line of a log.
        Err(app::Failure::User(fault)) => {
            eprintln!("hearth: {fault}");
            ExitCode::FAILURE
        }
        Err(app::Failure::Backup(fault)) => {
            eprintln!("hearth: {fault}");
            ExitCode::FAILURE
        }
        Err(app::Failure::Health(fault)) => {
            eprintln!("hearth: {fault}");
            ExitCode::FAILURE
        }
        Err(app::Failure::NotConfirmed) => {
            eprintln!("hearth: {}", app::Failure::NotConfirmed);
            ExitCode::from(EXIT_USAGE)
        }
        Err(failure) => {
            tracing::error!(%failure, "failed");
            ExitCode::FAILURE
        }
    }
}

fn complain(fault: Fault) -> ExitCode {
    match fault {
        Fault::CommandLine(error) => {
            // Help and version are asked for and go to stdout; the rest goes to stderr.
            let _ = error.print();
            if !error.use_stderr() {
                return ExitCode::SUCCESS;
            }
        }
        Fault::DotEnv(why) => eprintln!("hearth: .env can't be read: {why}"),
        Fault::Settings(faults) => {
            eprintln!("hearth: these settings break their rules:");
            for fault in faults {
                eprintln!("  {fault}");
            }
        }
    }
    ExitCode::from(EXIT_USAGE)
}

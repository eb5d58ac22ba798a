//! The command line: settings in, exit code out. 0: done; 1: it failed, and stderr says why; 64: the settings or the
//! command line are wrong; 130: stopped by a second signal; 128 and a signal's number: a command that this signal stopped.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use nix::sys::stat::{Mode, umask};

use hearth::{
    app,
    config::{self, ConfigError, EXIT_USAGE},
    limits::STOP_THREADS,
    telemetry,
};

fn main() -> ExitCode {
    // Files that this process makes are its user's alone: they hold messages and hashes of passwords.
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
    // Before any thread is started: it reads .env into the environment.
    let (command, config) = match config::load() {
        Ok(loaded) => loaded,
        Err(error) => return print_config_error(error),
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
        Err(app::Error::CheckFailed) => ExitCode::FAILURE,
        Err(app::Error::Stopped(signal)) => {
            // Ends the line of the prompt.
            eprintln!();
            ExitCode::from(128 + signal)
        }
        // These are for the person who typed the command: they are printed, not logged.
        Err(error @ (app::Error::User(_) | app::Error::Backup(_) | app::Error::Health(_))) => {
            eprintln!("hearth: {error}");
            ExitCode::FAILURE
        }
        Err(error @ app::Error::NotConfirmed) => {
            eprintln!("hearth: {error}");
            ExitCode::from(EXIT_USAGE)
        }
        Err(error) => {
            tracing::error!(%error, "failed");
            ExitCode::FAILURE
        }
    }
}

fn print_config_error(error: ConfigError) -> ExitCode {
    match error {
        ConfigError::CommandLine(error) => {
            // Help and version go to stdout and are no errors; the rest goes to stderr.
            let _ = error.print();
            if !error.use_stderr() {
                return ExitCode::SUCCESS;
            }
        }
        ConfigError::DotEnv(why) => eprintln!("hearth: .env can't be read: {why}"),
        ConfigError::Settings(errors) => {
            eprintln!("hearth: these settings break their rules:");
            for error in errors {
                eprintln!("  {error}");
            }
        }
    }
    ExitCode::from(EXIT_USAGE)
}

//! Reads flags, the environment and the working directory's `.env` into one validated [`Config`]. Nothing else reads the
//! environment.
//!
//! Invariants: all settings are validated at once, and each error names the setting and its rule. An empty value means
//! the default. Secrets are never printed.

mod command_line;
mod settings;
mod values;

#[cfg(test)]
mod tests;

use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches};

use self::{
    command_line::CommandLine,
    settings::{SETTINGS, Setting},
};
pub use self::{
    command_line::{Command, EpochCommand, NO_ADMIN, UserCommand},
    settings::{Config, LogFormat},
    values::Secret,
};

/// The exit code for wrong settings: EX_USAGE of sysexits.h.
pub const EXIT_USAGE: u8 = 64;

/// Why there is no [`Config`].
#[derive(Debug)]
pub enum ConfigError {
    /// Help or version was asked for, or the command line is wrong: clap's own message.
    CommandLine(clap::Error),
    /// Why `.env`, which exists, can't be read.
    DotEnv(String),
    /// Every setting that breaks its rule.
    Settings(Vec<String>),
}

/// Reads `.env`, the environment and the command line. To be called before any thread is started: it changes the
/// environment.
pub fn load() -> Result<(Command, Config), ConfigError> {
    // Only in the working directory: a file above it belongs to something else, such as a project that Hearth is started
    // in.
    match dotenvy::from_path(".env") {
        // Without the line itself, which may hold a secret.
        Err(dotenvy::Error::LineParse(..)) => {
            let rule = "a line isn't NAME=VALUE; quote values that have spaces";
            return Err(ConfigError::DotEnv(rule.into()));
        }
        Err(error) if !error.not_found() => return Err(ConfigError::DotEnv(error.to_string())),
        _ => {}
    }
    let (command, mut config) = parse(std::env::args_os())?;
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    config.unknown = unknown(names);
    Ok((command, config))
}

/// Of these variables, those that begin as a setting's and are none.
fn unknown(names: impl Iterator<Item = String>) -> Vec<String> {
    let is_setting = |name: &String| SETTINGS.iter().any(|setting| setting.name == name);
    let mut unknown: Vec<String> = names
        .filter(|name| name.starts_with("HEARTH_") && !is_setting(name))
        .collect();
    unknown.sort();
    unknown
}

/// Every command takes the settings. Of the commands, only `serve` shows them in its help.
fn command_line() -> clap::Command {
    let settings = || SETTINGS.iter().map(Setting::argument);
    let line = CommandLine::command().args(settings());
    line.mut_subcommands(|command| {
        if command.get_name() == "serve" {
            return command;
        }
        command
            .args(settings().map(|argument| argument.hide(true)))
            .after_help("It takes the server's settings: `hearth serve --help` lists them.")
    })
}

fn parse<T: Into<OsString> + Clone>(
    arguments: impl IntoIterator<Item = T>,
) -> Result<(Command, Config), ConfigError> {
    let matches = command_line()
        .try_get_matches_from(arguments)
        .map_err(ConfigError::CommandLine)?;
    let line = CommandLine::from_arg_matches(&matches).map_err(ConfigError::CommandLine)?;
    let config = settings::read(|setting| matches.get_one::<String>(setting.name).cloned())
        .map_err(ConfigError::Settings)?;
    Ok((line.command, config))
}

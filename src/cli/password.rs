//! Reads a password from standard input.
//!
//! Invariants: a password is never taken from the command line, which other users of the machine can see. The terminal
//! doesn't echo it, and echoes again once the reading has ended or was dropped because of a signal.

use std::{
    io::{self, BufRead, IsTerminal, Read},
    thread,
};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use tokio::sync::oneshot;

use crate::limits::PASSWORD_BYTES_MAX;

/// Why no password was read.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    #[error("the two passwords differ")]
    Differ,
    #[error("the password can't be read: {0}")]
    Unread(io::Error),
    #[error("no threads can be started: {0}")]
    Threads(io::Error),
}

/// Asks for the password twice at a terminal; otherwise reads the first line.
pub async fn read() -> Result<String, PasswordError> {
    let at_terminal = io::stdin().is_terminal();
    let _silent = if at_terminal {
        Some(EchoOff::begin().map_err(PasswordError::Unread)?)
    } else {
        None
    };
    let ask = if at_terminal { ask_twice } else { line };
    let (answer, answered) = oneshot::channel();
    // The end of the process doesn't wait for this thread: perhaps nobody ever types.
    thread::Builder::new()
        .spawn(move || answer.send(ask()))
        .map_err(PasswordError::Threads)?;
    let broken = |_| Err(PasswordError::Unread(io::ErrorKind::Other.into()));
    answered.await.unwrap_or_else(broken)
}

fn ask_twice() -> Result<String, PasswordError> {
    let ask = |prompt: &str| {
        eprint!("{prompt}");
        let line = line();
        eprintln!();
        line
    };
    let password = ask("Password: ")?;
    if ask("Repeat the password: ")? == password {
        Ok(password)
    } else {
        Err(PasswordError::Differ)
    }
}

/// A line without its end. Reads just enough of a long one to show that it is too long.
fn line() -> Result<String, PasswordError> {
    let mut line = String::new();
    io::stdin()
        .lock()
        .take(PASSWORD_BYTES_MAX as u64 + 2)
        .read_line(&mut line)
        .map_err(PasswordError::Unread)?;
    if line.ends_with('\n') {
        line.pop();
        if line.ends_with('\r') {
            line.pop();
        }
    }
    Ok(line)
}

/// Keeps the terminal from echoing what is typed, until it is dropped.
struct EchoOff(Termios);

impl EchoOff {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for EchoOff {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &self.0);
    }
}

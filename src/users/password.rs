//! A password from standard input.
//!
//! Invariants: it is never taken from the command line, which others see; a terminal doesn't show it, and shows
//! again what is typed when the reading has ended, or is dropped because of a signal.

use std::{
    io::{self, BufRead, IsTerminal, Read},
    thread,
};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use tokio::sync::oneshot;

use super::Fault;
use crate::limits::PASSWORD_BYTES_MAX;

/// Asked for twice at a terminal, else the first line.
pub async fn read() -> Result<String, Fault> {
    let unseen = match io::stdin().is_terminal() {
        true => Some(Unseen::begin().map_err(Fault::Unread)?),
        false => None,
    };
    let ask = match unseen {
        Some(_) => ask_twice,
        None => line,
    };
    let (answer, answered) = oneshot::channel();
    // A thread that the end of the process doesn't wait for: nobody may ever type.
    let reader = thread::Builder::new().spawn(move || answer.send(ask()));
    reader.map_err(Fault::Threads)?;
    let broken = |_| Err(Fault::Unread(io::ErrorKind::Other.into()));
    answered.await.unwrap_or_else(broken)
}

fn ask_twice() -> Result<String, Fault> {
    let ask = |text: &str| {
        eprint!("{text}");
        let line = line();
        eprintln!();
        line
    };
    let password = ask("Password: ")?;
    match ask("Once more: ")? == password {
        true => Ok(password),
        false => Err(Fault::Differ),
    }
}

/// A line without its end: no more of it than shows that it is too long.
fn line() -> Result<String, Fault> {
    let mut line = String::new();
    io::stdin()
        .lock()
        .take(PASSWORD_BYTES_MAX as u64 + 2)
        .read_line(&mut line)
        .map_err(Fault::Unread)?;
    if line.ends_with('\n') {
        line.pop();
        if line.ends_with('\r') {
            line.pop();
        }
    }
    Ok(line)
}

/// The terminal doesn't show what is typed, for as long as this lives.
struct Unseen(Termios);

impl Unseen {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut unseen = before.clone();
        unseen.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &unseen)?;
        Ok(Self(before))
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &self.0);
    }
}

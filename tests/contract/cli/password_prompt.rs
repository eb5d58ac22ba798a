//! The password prompt on a terminal: what is typed is not shown, and the terminal is restored afterwards, however the
//! command ends.

use std::{fs::File, io::Read, os::fd::OwnedFd, process::Stdio};

use nix::{
    pty::openpty,
    sys::{
        signal::{Signal, kill},
        termios::{LocalFlags, tcgetattr},
    },
    unistd::{Pid, write},
};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    sync::mpsc,
};

use crate::support::{PATIENCE, timeout};

/// A terminal of a test's own, and what it has shown.
struct Terminal {
    keys: File,
    line: OwnedFd,
    output: mpsc::Receiver<Vec<u8>>,
    shown: String,
}

impl Terminal {
    fn open() -> Self {
        let pair = openpty(None, None).unwrap();
        let keys = File::from(pair.master);
        let mut screen = keys.try_clone().unwrap();
        let (chunks, output) = mpsc::channel(64);
        // Ends with the terminal.
        std::thread::spawn(move || {
            let mut chunk = [0; 1_024];
            while let Ok(read) = screen.read(&mut chunk) {
                if read == 0 || chunks.blocking_send(chunk[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            keys,
            line: pair.slave,
            output,
            shown: String::new(),
        }
    }

    /// `hearth user add ada` at this terminal, which sends it signals by its keys.
    fn add_ada(&self, dir: &TempDir) -> Child {
        let line = || Stdio::from(self.line.try_clone().unwrap());
        Command::new("setsid")
            .args(["--ctty", env!("CARGO_BIN_EXE_hearth"), "user", "add", "ada"])
            .args(["--email", "ada@example.org"])
            .env_clear()
            .env("HEARTH_ARGON2", "m=64,t=1,p=1")
            .current_dir(dir.path())
            .stdin(line())
            .stdout(line())
            .stderr(line())
            .kill_on_drop(true)
            .spawn()
            .expect("setsid is installed: util-linux")
    }

    fn types(&self, keys: &str) {
        assert_eq!(write(&self.keys, keys.as_bytes()), Ok(keys.len()));
    }

    /// Waits until it has shown this.
    async fn until(&mut self, text: &str) {
        while !self.shown.contains(text) {
            let chunk = timeout(PATIENCE, self.output.recv()).await;
            let chunk = chunk.unwrap_or_else(|_| panic!("{text} isn't in {:?}", self.shown));
            self.shown += &String::from_utf8(chunk.expect("it is open")).unwrap();
        }
    }

    /// Whether it shows what is typed.
    fn echoes(&self) -> bool {
        let flags = tcgetattr(&self.line).unwrap().local_flags;
        flags.contains(LocalFlags::ECHO)
    }
}

async fn code(mut child: Child) -> Option<i32> {
    let ended = timeout(PATIENCE, child.wait()).await;
    ended.expect("it ends").unwrap().code()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_not_shown() {
    let dir = TempDir::new().unwrap();
    for (again, expected, ends_with) in [
        ("correct horse eve\n", 1, "differ"),
        ("correct horse ada\n", 0, "ada@example.org"),
    ] {
        let mut terminal = Terminal::open();
        let child = terminal.add_ada(&dir);
        terminal.until("Password: ").await;
        assert!(!terminal.echoes());
        terminal.types("correct horse ada\n");
        terminal.until("Repeat the password: ").await;
        terminal.types(again);
        terminal.until(ends_with).await;
        assert_eq!(code(child).await, Some(expected), "{}", terminal.shown);
        assert!(!terminal.shown.contains("horse"), "{}", terminal.shown);
        assert!(terminal.echoes(), "as before");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_leaves_the_terminal_as_it_was() {
    let dir = TempDir::new().unwrap();
    type Send = fn(&Terminal, Pid);
    let signals: [(Send, i32); 5] = [
        (|terminal, _| terminal.types("\u{3}"), 130),
        (|terminal, _| terminal.types("half a pass\u{3}"), 130),
        (|terminal, _| terminal.types("\u{1c}"), 131),
        (|_, pid| kill(pid, Signal::SIGTERM).unwrap(), 143),
        (|_, pid| kill(pid, Signal::SIGHUP).unwrap(), 129),
    ];
    for (send, expected) in signals {
        let mut terminal = Terminal::open();
        let child = terminal.add_ada(&dir);
        let pid = Pid::from_raw(child.id().unwrap() as i32);
        terminal.until("Password: ").await;
        assert!(!terminal.echoes());
        send(&terminal, pid);
        assert_eq!(code(child).await, Some(expected), "{}", terminal.shown);
        assert!(terminal.echoes(), "{expected}: as before");
    }
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        0,
        "nothing was made"
    );
}

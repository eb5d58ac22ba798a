//! The program's commands, run beside a server on its database.

use std::process::Stdio;

use tokio::{io::AsyncWriteExt, process::Command};

use super::Server;

/// How a command ended, and what it printed.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Server {
    /// Runs `hearth` with these arguments, in the server's directory, with its settings and with this on
    /// standard input.
    pub async fn command(&self, arguments: &[&str], input: &str) -> Ran {
        let mut child = Command::new(env!("CARGO_BIN_EXE_hearth"))
            .args(arguments)
            .env_clear()
            .envs(self.settings())
            .current_dir(self.dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command that reads nothing has closed it.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = child.wait_with_output().await.unwrap();
        Ran {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// As [`Server::command`], of one that succeeds: what it printed.
    pub async fn done(&self, arguments: &[&str]) -> String {
        let ran = self.command(arguments, "").await;
        assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}");
        ran.out
    }
}

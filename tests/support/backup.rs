//! Backups of a server's database, made and restored as README.md says.

use std::{fs::File, path::PathBuf, process::Stdio};

use mysql_async::Opts;
use tempfile::TempDir;
use tokio::process::Command;

use super::Server;

/// A backup; removed with the value.
pub struct Backup {
    pub path: PathBuf,
    _home: TempDir,
}

impl Backup {
    /// Takes one while the server runs.
    pub async fn take(server: &Server) -> Self {
        let home = TempDir::new().unwrap();
        let path = home.path().join("hearth.backup");
        match server.database_url() {
            Some(url) if url.starts_with("mysql:") => {
                let mut dump = client("mariadb-dump", url);
                dump.args([
                    "--single-transaction",
                    "--hex-blob",
                    "--default-character-set=utf8mb4",
                ])
                .arg(Opts::from_url(url).unwrap().db_name().unwrap())
                .stdout(File::create(&path).unwrap());
                run(dump).await;
            }
            _ => {
                server.done(&["backup", path.to_str().unwrap()]).await;
            }
        }
        Self { path, _home: home }
    }

    /// Puts it in the database's place. The server is stopped.
    pub async fn restore(&self, server: &Server) {
        match server.database_url() {
            Some(url) if url.starts_with("mysql:") => {
                let opts = Opts::from_url(url).unwrap();
                let name = opts.db_name().unwrap();
                let mut anew = client("mariadb", url);
                anew.arg(format!(
                    "--execute=DROP DATABASE {name}; CREATE DATABASE {name}"
                ));
                run(anew).await;
                let mut read = client("mariadb", url);
                read.arg("--default-character-set=utf8mb4")
                    .arg(name)
                    .stdin(File::open(&self.path).unwrap());
                run(read).await;
                server.done(&["epoch", "renew"]).await;
            }
            _ => {
                server.done(&["restore", self.path.to_str().unwrap()]).await;
            }
        }
    }
}

/// A program of MariaDB's that is told where the database is.
fn client(program: &str, url: &str) -> Command {
    let opts = Opts::from_url(url).unwrap();
    let mut command = Command::new(program);
    command
        .arg("--no-defaults")
        .arg(format!("--host={}", opts.ip_or_hostname()))
        .arg(format!("--port={}", opts.tcp_port()))
        .arg(format!("--user={}", opts.user().unwrap()))
        .env("MYSQL_PWD", opts.pass().unwrap())
        .stdin(Stdio::null());
    command
}

async fn run(mut command: Command) {
    let status = command
        .status()
        .await
        .expect("MariaDB's programs are installed");
    assert!(status.success(), "{command:?}: {status}");
}

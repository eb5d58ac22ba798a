//! A MariaDB of a test's own, which the test may kill, stop and start again. Its data directory is a copy of the template
//! that `scripts/with-mariadb` made.

use std::{path::Path, process::Stdio, time::Duration};

use mysql_async::prelude::Queryable;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::{Moment, PATIENCE, timeout};

/// A running mariadbd. Dropping it kills the process and removes its data.
pub struct MariaDb {
    child: Option<Child>,
    port: u16,
    home: TempDir,
}

impl MariaDb {
    /// A fresh one, with an empty database `hearth`.
    pub async fn start() -> Self {
        let mut home = TempDir::new().unwrap();
        let copied = Command::new("cp")
            .args(["-R", &template()])
            .arg(home.path().join("data"))
            .status()
            .await
            .unwrap();
        assert!(copied.success());
        for _ in 0..20 {
            // Below the ports that the system hands out by itself; the bind decides whether it is free.
            let port = rand::random_range(20_000..32_000);
            let child = Some(launch(home.path(), port));
            let mut database = Self { child, port, home };
            if database.answers().await {
                database.run("CREATE DATABASE hearth").await;
                return database;
            }
            Self { home, .. } = database;
        }
        panic!("MariaDB doesn't start");
    }

    pub fn url(&self) -> String {
        format!("{}/hearth", self.server())
    }

    fn server(&self) -> String {
        format!("mysql://hearth:hearth@127.0.0.1:{}", self.port)
    }

    /// SIGKILL: the process has no last word.
    pub async fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().await.unwrap();
    }

    /// Starts it again on its port and data, and waits until it answers.
    pub async fn restart(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        self.child = Some(launch(self.home.path(), self.port));
        assert!(self.answers().await, "MariaDB doesn't start again");
    }

    /// SIGSTOP: it holds its connections and locks, and answers nothing. Each of its threads stops when the
    /// kernel comes to it, which this waits for: one that still runs may answer.
    pub async fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
        let tasks = format!("/proc/{}/task", self.id());
        let stopped = |task: std::io::Result<std::fs::DirEntry>| {
            // "… (name) T …"; a thread that has ended answers nothing, either.
            let stat = std::fs::read_to_string(task.unwrap().path().join("stat"));
            stat.map_or(true, |stat| {
                stat.rsplit(") ").next().unwrap().starts_with('T')
            })
        };
        let stopping = async {
            while !std::fs::read_dir(&tasks).unwrap().all(stopped) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, stopping)
            .await
            .expect("all of its threads stop");
    }

    /// SIGCONT: it goes on where it stopped.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.id() as i32), signal).unwrap();
    }

    fn id(&self) -> u32 {
        self.child.as_ref().and_then(Child::id).expect("it runs")
    }

    /// Runs one statement, with every right.
    pub async fn run(&self, sql: &str) {
        let url = format!("mysql://root@127.0.0.1:{}", self.port);
        let mut connection = mysql_async::Conn::from_url(url).await.unwrap();
        connection.query_drop(sql).await.expect(sql);
        let _ = connection.disconnect().await;
    }

    /// Whether it answers; false when it has ended instead.
    async fn answers(&mut self) -> bool {
        let began = Moment::now();
        let child = self.child.as_mut().expect("it was launched");
        while began.quiet_elapsed() < PATIENCE {
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            let url = format!("mysql://hearth:hearth@127.0.0.1:{}", self.port);
            if let Ok(connection) = mysql_async::Conn::from_url(url).await {
                let _ = connection.disconnect().await;
                // Another server may hold the port.
                return child.try_wait().unwrap().is_none();
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        panic!("MariaDB neither answers nor ends");
    }
}

/// SELECTs and INSERTs that a database has run so far, by whomever.
pub async fn statements(connection: &mut mysql_async::Conn) -> u64 {
    let sql = "SHOW GLOBAL STATUS WHERE Variable_name IN ('Com_select', 'Com_insert')";
    let rows: Vec<(String, u64)> = connection.query(sql).await.unwrap();
    rows.into_iter().map(|(_, count)| count).sum()
}

fn template() -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests are told by scripts/with-mariadb"
    )]
    std::env::var("HEARTH_TEST_MARIADB_TEMPLATE")
        .expect("run the tests through `make test`, which prepares MariaDB")
}

fn launch(home: &Path, port: u16) -> Child {
    let data = home.join("data");
    Command::new("mariadbd")
        .arg(format!("--defaults-file={}", data.join("my.cnf").display()))
        .arg(format!("--datadir={}", data.display()))
        .arg(format!("--socket={}", home.join("socket").display()))
        .arg(format!("--port={port}"))
        .env("TMPDIR", home)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(home.join("log")).unwrap())
        .kill_on_drop(true)
        .spawn()
        .expect("mariadbd is installed")
}

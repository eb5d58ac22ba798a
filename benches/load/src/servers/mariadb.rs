//! A private MariaDB server, started from the data directory that `scripts/with-mariadb` prepares.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::Command,
};

use super::{
    Result, Setup,
    process::{self, Process},
};

/// Names the prepared data directory: set by `scripts/with-mariadb`.
const TEMPLATE: &str = "HEARTH_TEST_MARIADB_TEMPLATE";

/// Whether this process runs under `scripts/with-mariadb`.
pub fn is_offered() -> bool {
    std::env::var(TEMPLATE).is_ok()
}

pub struct MariaDb {
    process: Process,
    pub port: u16,
    pub database: String,
}

impl MariaDb {
    /// Starts a server with an empty database, on the cores of the server that uses it. Commits are flushed, as
    /// the template says; the buffer pool is that of a small production server.
    pub fn start(setup: &Setup, database: &str) -> Result<Self> {
        let template = std::env::var(TEMPLATE)
            .map_err(|_| format!("{TEMPLATE} isn't set: run this under scripts/with-mariadb"))?;
        let data = setup.dir.join("mariadb");
        let copied = Command::new("cp")
            .arg("-R")
            .arg(&template)
            .arg(&data)
            .status();
        if !copied.is_ok_and(|status| status.success()) {
            return Err(format!("{template} can't be copied to {}", data.display()));
        }
        let port = process::free_address()?.port();
        // Paths of sockets are short.
        let socket = PathBuf::from(format!("/tmp/hearth-load-{}-{port}", std::process::id()));
        let mut command = Command::new("mariadbd");
        command
            .arg(format!("--defaults-file={}", data.join("my.cnf").display()))
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--port={port}"))
            .arg(format!("--socket={}", socket.display()))
            .arg("--innodb-buffer-pool-size=1G")
            .env("TMPDIR", &setup.dir);
        let log = setup.dir.join("mariadb.log");
        let (on, then_on) = (&setup.server_cores, &setup.load_cores);
        let mut process = Process::start(&command, &log, on, then_on)?;
        let create = format!("CREATE DATABASE IF NOT EXISTS {database}");
        process.wait_until(|| {
            let done = Command::new("mariadb")
                .args(["--no-defaults", "--user=hearth", "--password=hearth"])
                .arg(format!("--socket={}", socket.display()))
                .arg(format!("--execute={create}"))
                .output();
            done.is_ok_and(|output| output.status.success())
        })?;
        // Only the port is used from here on.
        let _ = fs::remove_file(&socket);
        Ok(Self {
            process,
            port,
            database: database.to_owned(),
        })
    }

    /// Runs the statements of a file.
    pub fn load(&self, path: &str) -> Result<()> {
        let file = File::open(path).map_err(|error| format!("{path}: {error}"))?;
        let output = Command::new("mariadb")
            .args(["--no-defaults", "--user=hearth", "--password=hearth"])
            .args(["--host=127.0.0.1", "--protocol=tcp"])
            .arg(format!("--port={}", self.port))
            .arg(&self.database)
            .stdin(file)
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok(())
        } else {
            Err(format!(
                "{path}: {}",
                String::from_utf8_lossy(&output.stderr)
            ))
        }
    }

    pub fn pid(&self) -> i32 {
        self.process.pid()
    }

    pub fn url(&self) -> String {
        let Self { port, database, .. } = self;
        format!("mysql://hearth:hearth@127.0.0.1:{port}/{database}")
    }
}

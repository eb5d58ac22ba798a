//! A disk under SQLite that loses what was not synced, as a power loss does, or that lies about syncs, or fails. It is
//! `disk.c`, compiled here and loaded into the server.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
};

use tempfile::TempDir;
use tokio::process::Command;

use super::{Db, Server};

/// Directories 0, 1, 2, … within one: the server works in the last but one, and what is synced there
/// is kept in the last.
pub struct Disk {
    home: TempDir,
    library: PathBuf,
    life: u32,
}

/// Compiles `disk.c` into a directory.
pub async fn library(home: &Path) -> PathBuf {
    let library = home.join("disk.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/disk.c");
    let compiled = Command::new("cc")
        .args([
            "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o",
        ])
        .args([library.as_path(), Path::new(source)])
        .arg("-ldl")
        .status()
        .await
        .expect("a C compiler is installed");
    assert!(compiled.success());
    library
}

impl Disk {
    /// Compiles the library, and starts a server on an empty disk.
    pub async fn start(settings: &[(&str, &str)]) -> (Self, Server) {
        let home = TempDir::new().unwrap();
        let library = library(home.path()).await;
        let disk = Self {
            home,
            library,
            life: 0,
        };
        for directory in [disk.directory(), disk.kept()] {
            std::fs::create_dir(directory).unwrap();
        }
        let mut all = disk.settings();
        all.extend(
            settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let all: Vec<(&str, &str)> = all
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        let server = Server::start_with(Db::Sqlite, &all).await;
        (disk, server)
    }

    /// Cuts the power, and starts the server on what the disk has kept.
    pub async fn lose_power(&mut self, server: &mut Server) {
        server.kill().await;
        self.life += 1;
        // What exists at the start counts as synced.
        std::fs::create_dir(self.kept()).unwrap();
        for file in std::fs::read_dir(self.directory()).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), self.kept().join(file.file_name())).unwrap();
        }
        for (name, value) in self.settings() {
            server.set(&name, &value);
        }
        server.restart().await;
    }

    /// Where the server works.
    fn directory(&self) -> PathBuf {
        self.home
            .path()
            .canonicalize()
            .unwrap()
            .join(self.life.to_string())
    }

    /// Where that is which would outlive a power loss.
    fn kept(&self) -> PathBuf {
        self.home
            .path()
            .canonicalize()
            .unwrap()
            .join((self.life + 1).to_string())
    }

    /// The database as a power loss would leave it now.
    pub fn kept_database(&self) -> PathBuf {
        self.kept().join("hearth.db")
    }

    fn settings(&self) -> Vec<(String, String)> {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let url = format!("sqlite://{}", text(&self.directory().join("hearth.db")));
        [
            ("HEARTH_DATABASE_URL", url),
            ("LD_PRELOAD", text(&self.library)),
            ("DISK_FROM", text(&self.directory())),
            ("DISK_TO", text(&self.kept())),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }
}

/// A disk of so many MiB, where this machine lets a test have one.
pub struct SmallDisk(TempDir);

impl SmallDisk {
    pub fn mount(mib: u32) -> Option<Self> {
        let directory = TempDir::new().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "hearth-test"])
            .arg(directory.path())
            .stderr(Stdio::null())
            .status();
        match mounted {
            Ok(status) if status.success() => Some(Self(directory)),
            _ => {
                eprintln!(
                    "SKIPPED: nothing can be mounted here, so no real disk is filled (root could; a simulated one was)"
                );
                None
            }
        }
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// To the last byte.
    pub fn fill(&self) {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(self.path().join("filler"))
            .unwrap();
        for bytes in [4_096, 1] {
            while file.write_all(&vec![1; bytes]).is_ok() {}
        }
    }

    pub fn empty(&self) {
        fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(self.path())
            .status();
    }
}

//! A real server on a core of its own, its accounts and rooms, and what the system says about processes.

use std::{collections::BTreeMap, fs, process::Command};

use futures_util::{StreamExt, stream};

use crate::{
    house::{Account, Db, Server},
    support::wire::Socket,
};

/// The server has the first core to itself; the probe, and MariaDB when it is slower, use the second.
pub const SERVER_CORE: u32 = 0;
pub const PROBE_CORE: u32 = 1;
/// Requests at the same time while the stage is set.
const PARALLEL: usize = 16;

/// Binds this thread, and what it starts from now on, to a core.
pub fn pin(core: u32) {
    let status = Command::new("taskset")
        .args([
            "-c",
            "-p",
            &core.to_string(),
            &std::process::id().to_string(),
        ])
        .stdout(std::process::Stdio::null())
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "the probe needs taskset (util-linux) and two cores"
    );
}

/// Starts a server, alone on its core, with limits by user lifted and passwords hashed lightly.
pub async fn server(db: Db) -> Server {
    pin(SERVER_CORE);
    // All sockets come from this machine.
    let all = [("HEARTH_CONNECTIONS_PER_ADDRESS", "18000")];
    let server = Server::start_with(db, &all).await;
    pin(PROBE_CORE);
    server
}

pub async fn accounts(server: &Server, count: usize) -> Vec<Account> {
    stream::iter(0..count)
        .map(async |number| server.register(&format!("member{number:05}")).await)
        .buffered(PARALLEL)
        .collect()
        .await
}

/// Public rooms with these members; the first of each is its owner. Answers their ids.
pub async fn rooms(members: &[Vec<&Account>]) -> Vec<u64> {
    stream::iter(members.iter().enumerate())
        .map(async |(number, members)| {
            let room_id = members[0].create_room(&format!("room {number}"), &[]).await;
            let join = format!("/api/chat/rooms/{room_id}/join");
            for member in &members[1..] {
                let (status, room) = member.request("POST", &join, None).await;
                assert_eq!(status, 200, "{room}");
            }
            room_id
        })
        .buffered(PARALLEL)
        .collect()
        .await
}

/// A socket for each account, `ready` read.
pub async fn sockets(server: &Server, accounts: &[Account]) -> Vec<Socket> {
    stream::iter(accounts)
        .map(async |account| {
            let mut socket = Socket::open(server.address(), &account.token)
                .await
                .expect("the server upgrades");
            socket.wait_for("ready").await;
            socket
        })
        .buffered(PARALLEL)
        .collect()
        .await
}

/// What of a process's CPU time each kind of thread took, in seconds, by the threads' names.
#[derive(Clone, Debug, Default)]
pub struct Cpu(pub BTreeMap<String, f64>);

impl Cpu {
    /// `utime` and `stime` of all threads, from `/proc`. A tick is 10 ms on every Linux.
    pub fn of(pid: i32) -> Self {
        let mut threads = BTreeMap::new();
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs");
        for task in tasks.flatten() {
            let Ok(stat) = fs::read_to_string(task.path().join("stat")) else {
                continue;
            };
            let Some((name, fields)) = stat
                .split_once('(')
                .and_then(|(_, rest)| rest.rsplit_once(')'))
            else {
                continue;
            };
            let ticks: u64 = fields
                .split_ascii_whitespace()
                .skip(11)
                .take(2)
                .filter_map(|ticks| ticks.parse::<u64>().ok())
                .sum();
            *threads.entry(name.to_owned()).or_default() += ticks as f64 / 100.0;
        }
        Self(threads)
    }

    pub fn total(&self) -> f64 {
        self.0.values().sum()
    }

    pub fn since(&self, earlier: &Cpu) -> Self {
        let since = self.0.iter().map(|(name, seconds)| {
            let before = earlier.0.get(name).copied().unwrap_or(0.0);
            (name.clone(), seconds - before)
        });
        Self(since.filter(|(_, seconds)| *seconds > 0.0).collect())
    }
}

/// Resident memory of a process, in KiB.
pub fn resident(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse().ok());
    kib.expect("the system tells what is resident")
}

/// Warnings and errors that the server logged: there should be none.
pub fn complaints(server: &Server) -> Vec<String> {
    let log = server.log();
    log.lines()
        .filter(|line| {
            line.contains("\"WARN\"") || line.contains("\"ERROR\"") || line.contains("panicked")
        })
        .map(str::to_owned)
        .collect()
}

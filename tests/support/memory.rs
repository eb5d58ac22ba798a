//! How much memory a process holds.

use nix::unistd::Pid;

/// Resident memory of the process, in KiB.
pub fn resident_kib(pid: Pid) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.expect("a process has VmRSS").parse().unwrap()
}

//! Processes that the harness starts: on which cores, and that they end with it.

use std::{
    fs::File,
    net::{SocketAddrV4, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sched::{CpuSet, sched_setaffinity},
    sys::{
        resource::{Resource, getrlimit, setrlimit},
        signal::{Signal, kill},
    },
    unistd::Pid,
};

use super::Result;
use crate::fleet::local;

/// How long a server may take to start.
const START: Duration = Duration::from_secs(120);

/// Binds the calling thread, and what it starts from now on, to these cores.
pub fn pin(cores: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core).map_err(|error| error.to_string())?;
    }
    sched_setaffinity(Pid::from_raw(0), &set)
        .map_err(|error| format!("cores {cores:?} can't be had: {error}"))
}

/// Takes as many files as the system allows; servers inherit it.
pub fn raise_files() -> Result<()> {
    let limit = Resource::RLIMIT_NOFILE;
    let (_, hard) = getrlimit(limit).map_err(|error| error.to_string())?;
    setrlimit(limit, hard, hard).map_err(|error| error.to_string())
}

/// A process that is killed when the value is dropped.
pub struct Process {
    child: Child,
    name: String,
}

impl Process {
    /// Starts a program on the server's cores. Its output goes to a file. The kernel kills it when the harness
    /// dies, where `setpriv` is there to ask for it.
    pub fn start(command: &Command, log: &Path, on: &[usize], then_on: &[usize]) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .map_err(|error| format!("{}: {error}", log.display()))?;
        let copy = file.try_clone().map_err(|error| error.to_string())?;
        let mut wrapped = Command::new("setpriv");
        wrapped.args(["--pdeathsig", "KILL", "--"]);
        wrapped.arg(command.get_program()).args(command.get_args());
        for (variable, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(variable, value),
                None => wrapped.env_remove(variable),
            };
        }
        if let Some(dir) = command.get_current_dir() {
            wrapped.current_dir(dir);
        }
        wrapped.stdin(Stdio::null()).stdout(copy).stderr(file);
        pin(on)?;
        let child = wrapped.spawn();
        pin(then_on)?;
        let child = child.map_err(|error| format!("{name} doesn't start: {error}"))?;
        Ok(Self { child, name })
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Waits until a condition holds that only a running process can bring about.
    pub fn wait_until(&mut self, mut holds: impl FnMut() -> bool) -> Result<()> {
        let begin = Instant::now();
        while begin.elapsed() < START {
            if holds() {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("{} ended: {status}", self.name));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(format!("{} isn't ready after {START:?}", self.name))
    }

    pub fn kill(&mut self) {
        let _ = kill(Pid::from_raw(self.pid()), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An address that nobody listens on.
pub fn free_address() -> Result<SocketAddrV4> {
    let listener = TcpListener::bind(local(0)).map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    Ok(local(address.port()))
}

pub fn listens(address: SocketAddrV4) -> bool {
    TcpStream::connect(address).is_ok()
}

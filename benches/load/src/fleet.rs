//! All connections of the harness in one epoll loop. A connection knows nothing of chats: what comes is
//! handed to a [`Handler`], and what the handler answers is written.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddrV4, TcpStream},
    os::fd::AsRawFd,
};

use nix::{
    errno::Errno,
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
        socket::{AddressFamily, SockFlag, SockType, SockaddrIn, connect, socket},
        time::TimeSpec,
        timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
    },
};

use crate::{
    clock::{self, Micros},
    wire::{self, Framing, Piece},
};

const TIMER: u64 = u64::MAX;
/// Bytes of the buffer that all connections read into. It grows when a frame is longer than half of it.
const BUFFER_BYTES: usize = 512 * 1024;
const EVENTS: usize = 512;

/// What is told of connections. `out` is written to the connection afterwards.
pub trait Handler {
    /// The connection carries frames from now on.
    fn opened(&mut self, index: usize, out: &mut Vec<u8>);
    /// `at` is when the frame was read.
    fn frame(&mut self, index: usize, frame: &[u8], at: Micros, out: &mut Vec<u8>);
    /// The other side ended the connection, or it failed.
    fn closed(&mut self, index: usize, reason: &str);
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Closed,
    Connecting,
    Upgrading,
    Open,
}

struct Connection {
    framing: Framing,
    phase: Phase,
    stream: Option<TcpStream>,
    /// Told apart by this, an event of an earlier stream isn't taken for one of the present stream.
    generation: u32,
    /// The beginning of a frame whose end hasn't come yet.
    rest: Vec<u8>,
    /// What the socket didn't take yet.
    unsent: Vec<u8>,
    /// It is read only by [`Fleet::read_slowly`].
    slow: bool,
    close_reason: Option<String>,
}

pub struct Fleet {
    epoll: Epoll,
    timer: TimerFd,
    armed: Option<Micros>,
    connections: Vec<Connection>,
    events: Vec<EpollEvent>,
    buffer: Vec<u8>,
    out: Vec<u8>,
    /// Bytes read, of all connections.
    pub bytes_read: u64,
}

impl Fleet {
    pub fn new() -> Result<Self, Errno> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let timer = TimerFd::new(
            ClockId::CLOCK_MONOTONIC,
            TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC,
        )?;
        epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, TIMER))?;
        Ok(Self {
            epoll,
            timer,
            armed: None,
            connections: Vec::new(),
            events: vec![EpollEvent::empty(); EVENTS],
            buffer: vec![0; BUFFER_BYTES],
            out: Vec::new(),
            bytes_read: 0,
        })
    }

    /// One more connection, which isn't open yet.
    pub fn add(&mut self, framing: Framing) -> usize {
        self.connections.push(Connection {
            framing,
            phase: Phase::Closed,
            stream: None,
            generation: 0,
            rest: Vec::new(),
            unsent: Vec::new(),
            slow: false,
            close_reason: None,
        });
        self.connections.len() - 1
    }

    pub fn len(&self) -> usize {
        self.connections.len()
    }

    pub fn is_closed(&self, index: usize) -> bool {
        self.connections[index].phase == Phase::Closed
    }

    /// Begins to connect; `hello` is sent once that is done.
    pub fn open(
        &mut self,
        index: usize,
        address: SocketAddrV4,
        hello: Vec<u8>,
    ) -> Result<(), Errno> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let descriptor = socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
        let address = SockaddrIn::from(address);
        match connect(descriptor.as_raw_fd(), &address) {
            Ok(()) | Err(Errno::EINPROGRESS) => {}
            Err(error) => return Err(error),
        }
        let connection = &mut self.connections[index];
        connection.generation += 1;
        connection.phase = Phase::Connecting;
        connection.rest = Vec::new();
        connection.unsent = hello;
        connection.close_reason = None;
        let stream = TcpStream::from(descriptor);
        let _ = stream.set_nodelay(true);
        let token = u64::from(connection.generation) << 32 | index as u64;
        let interest = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT;
        self.epoll.add(&stream, EpollEvent::new(interest, token))?;
        connection.stream = Some(stream);
        Ok(())
    }

    /// Ends the connection without a farewell.
    pub fn close(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        connection.phase = Phase::Closed;
        connection.stream = None;
        connection.rest = Vec::new();
        connection.unsent = Vec::new();
    }

    /// From now on the connection is read by [`Fleet::read_slowly`] alone, or again as all others.
    pub fn set_slow(&mut self, index: usize, slow: bool) {
        self.connections[index].slow = slow;
        self.watch(index);
    }

    /// Writes what `compose` appends.
    pub fn send(&mut self, index: usize, compose: impl FnOnce(&mut Vec<u8>)) {
        let mut out = std::mem::take(&mut self.out);
        compose(&mut out);
        self.write(index, &mut out);
        self.out = out;
    }

    /// Waits until something comes or `until` is reached, and acts on what came. False when nothing came.
    pub fn poll(&mut self, until: Micros, handler: &mut impl Handler) -> Result<bool, Errno> {
        let timeout = if clock::now() >= until {
            EpollTimeout::ZERO
        } else {
            self.arm(until)?;
            EpollTimeout::NONE
        };
        let mut events = std::mem::take(&mut self.events);
        let count = match self.epoll.wait(&mut events, timeout) {
            Err(Errno::EINTR) => 0,
            count => count?,
        };
        let mut came = false;
        for event in &events[..count] {
            if event.data() == TIMER {
                let _ = self.timer.wait();
                self.armed = None;
                continue;
            }
            let index = (event.data() & u64::from(u32::MAX)) as usize;
            if u64::from(self.connections[index].generation) == event.data() >> 32 {
                came = true;
                self.ready(index, event.events(), handler);
            }
        }
        self.events = events;
        Ok(came)
    }

    fn arm(&mut self, until: Micros) -> Result<(), Errno> {
        if self.armed == Some(until) {
            return Ok(());
        }
        let wait = until.saturating_sub(clock::now()).max(1);
        let wait = TimeSpec::new((wait / 1_000_000) as i64, (wait % 1_000_000 * 1000) as i64);
        self.timer
            .set(Expiration::OneShot(wait), TimerSetTimeFlags::empty())?;
        self.armed = Some(until);
        Ok(())
    }

    fn ready(&mut self, index: usize, flags: EpollFlags, handler: &mut impl Handler) {
        let connection = &mut self.connections[index];
        if connection.phase == Phase::Connecting {
            let failed = connection
                .stream
                .as_ref()
                .and_then(|it| it.take_error().ok()?);
            if let Some(error) = failed {
                return self.lost(index, &error.to_string(), handler);
            }
            if !flags.contains(EpollFlags::EPOLLOUT) {
                return;
            }
            connection.phase = Phase::Upgrading;
            self.watch(index);
            if self.connections[index].framing != Framing::WebSocket {
                self.opened(index, handler);
            }
        }
        if flags.contains(EpollFlags::EPOLLOUT) {
            self.write(index, &mut Vec::new());
        }
        let readable = EpollFlags::EPOLLIN | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR;
        if flags.intersects(readable) {
            self.read(index, usize::MAX, handler);
        }
    }

    fn opened(&mut self, index: usize, handler: &mut impl Handler) {
        self.connections[index].phase = Phase::Open;
        let mut out = std::mem::take(&mut self.out);
        handler.opened(index, &mut out);
        self.write(index, &mut out);
        self.out = out;
    }

    /// Reads at most so many bytes of a slow connection.
    pub fn read_slowly(&mut self, index: usize, bytes_max: usize, handler: &mut impl Handler) {
        if self.connections[index].phase == Phase::Open {
            self.read(index, bytes_max, handler);
        }
    }

    fn read(&mut self, index: usize, bytes_max: usize, handler: &mut impl Handler) {
        let connection = &mut self.connections[index];
        let Some(stream) = &mut connection.stream else {
            return;
        };
        let rest = connection.rest.len();
        if self.buffer.len() < 2 * rest {
            self.buffer.resize(4 * rest, 0);
        }
        self.buffer[..rest].copy_from_slice(&connection.rest);
        let end = self.buffer.len().min(rest.saturating_add(bytes_max));
        let count = match stream.read(&mut self.buffer[rest..end]) {
            Ok(0) => {
                let reason = connection.close_reason.take();
                let reason = reason.unwrap_or_else(|| "ended by the server".to_owned());
                return self.lost(index, &reason, handler);
            }
            Ok(count) => count,
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                return;
            }
            Err(error) => return self.lost(index, &error.to_string(), handler),
        };
        let at = clock::now();
        self.bytes_read += count as u64;
        connection.rest.clear();
        let buffer = std::mem::take(&mut self.buffer);
        let mut out = std::mem::take(&mut self.out);
        let cut = self.hand_over(index, &buffer[..rest + count], at, &mut out, handler);
        match cut {
            Ok(used) => {
                let rest = &buffer[used..rest + count];
                self.connections[index].rest.extend_from_slice(rest);
                self.write(index, &mut out);
            }
            Err(reason) => {
                out.clear();
                self.lost(index, &reason, handler);
            }
        }
        self.out = out;
        self.buffer = buffer;
    }

    /// Hands over the frames in `bytes`, and answers how many bytes they took.
    fn hand_over(
        &mut self,
        index: usize,
        bytes: &[u8],
        at: Micros,
        out: &mut Vec<u8>,
        handler: &mut impl Handler,
    ) -> Result<usize, String> {
        let connection = &mut self.connections[index];
        let mut used = 0;
        if connection.phase == Phase::Upgrading {
            let Some(head) = wire::head_length(bytes) else {
                return Ok(0);
            };
            if wire::status(bytes) != Some(101) {
                return Err(String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned());
            }
            connection.phase = Phase::Open;
            used = head;
            handler.opened(index, out);
        }
        let close_reason = &mut connection.close_reason;
        used += wire::cut(
            connection.framing,
            &bytes[used..],
            &mut |piece| match piece {
                Piece::Data(frame) => handler.frame(index, frame, at, out),
                Piece::Ping(payload) => wire::pong(out, payload),
                Piece::Close(reason) => *close_reason = Some(reason),
            },
        )?;
        Ok(used)
    }

    /// Writes what waits and then `out`, which is empty afterwards.
    fn write(&mut self, index: usize, out: &mut Vec<u8>) {
        let connection = &mut self.connections[index];
        let Some(stream) = &mut connection.stream else {
            out.clear();
            return;
        };
        if connection.phase == Phase::Connecting {
            connection.unsent.append(out);
            return;
        }
        let waited = !connection.unsent.is_empty();
        let bytes = if waited {
            connection.unsent.append(out);
            &mut connection.unsent
        } else {
            &mut *out
        };
        let mut sent = 0;
        while sent < bytes.len() {
            match stream.write(&bytes[sent..]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // Reading will tell why.
                Err(_) => sent = bytes.len(),
            }
        }
        bytes.drain(..sent);
        if !waited && !out.is_empty() {
            connection.unsent.append(out);
        }
        if waited || !connection.unsent.is_empty() {
            self.watch(index);
        }
    }

    /// Says to epoll what the connection waits for.
    fn watch(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        let Some(stream) = &connection.stream else {
            return;
        };
        let mut interest = EpollFlags::empty();
        interest.set(EpollFlags::EPOLLIN, !connection.slow);
        interest.set(EpollFlags::EPOLLOUT, !connection.unsent.is_empty());
        let token = u64::from(connection.generation) << 32 | index as u64;
        let _ = self
            .epoll
            .modify(stream, &mut EpollEvent::new(interest, token));
    }

    fn lost(&mut self, index: usize, reason: &str, handler: &mut impl Handler) {
        self.close(index);
        handler.closed(index, reason);
    }
}

/// The address of a server on this machine.
pub fn local(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
}

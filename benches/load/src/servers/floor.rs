//! The floor: a server that does nothing but write. One epoll loop reads frames of fixed length and writes each
//! to every connection of its room, one write a member. No WebSocket, no JSON, no storage, no answer: what the
//! operating system takes for the same deliveries.

use std::{
    collections::HashMap,
    io::{ErrorKind, Read, Write},
    net::{SocketAddrV4, TcpListener, TcpStream},
    process::Command,
};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::{
    Dialect, Heard, Population, Promises, Result, Seat, Server, Setup,
    process::{self, Process},
};
use crate::{fleet::local, text::Key, wire::Framing};

/// The room of the frame that answers the hello.
const WELCOME: u32 = u32::MAX;

pub struct Floor {
    process: Process,
    address: SocketAddrV4,
    frame_bytes: usize,
}

impl Floor {
    pub fn start(setup: &Setup) -> Result<Self> {
        let address = process::free_address()?;
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        command.args(["floor", &address.port().to_string()]);
        let log = setup.dir.join("floor.log");
        let (on, then_on) = (&setup.server_cores, &setup.load_cores);
        let mut process = Process::start(&command, &log, on, then_on)?;
        process.wait_until(|| process::listens(address))?;
        Ok(Self {
            process,
            address,
            frame_bytes: setup.frame_bytes.max(setup.bytes + 4),
        })
    }
}

impl Server for Floor {
    fn promises(&self) -> Promises {
        Promises {
            stores: "nothing",
            durable: false,
            ordered: true,
            authorised: false,
            repeatable: false,
            resumes: false,
            acknowledges: false,
        }
    }

    fn address(&self) -> SocketAddrV4 {
        self.address
    }

    fn processes(&self) -> Vec<i32> {
        vec![self.process.pid()]
    }

    fn populate(&mut self, _: &Population) -> Result<()> {
        Ok(())
    }

    fn dialect(&self) -> Box<dyn Dialect> {
        Box::new(Frames(self.frame_bytes))
    }
}

/// Frames of this many bytes: the room as u32, the text, and padding.
struct Frames(usize);

impl Dialect for Frames {
    fn framing(&self) -> Framing {
        Framing::Fixed(self.0)
    }

    /// The length of frames, the number of rooms, and the rooms, each as u32.
    fn hello(&self, seat: &Seat) -> Vec<u8> {
        let rooms = seat.places.iter().map(|place| place.room);
        let words = [self.0 as u32, seat.places.len() as u32].into_iter();
        words.chain(rooms).flat_map(u32::to_be_bytes).collect()
    }

    fn frame(&mut self, _: &mut Seat, frame: &[u8], _: &mut Vec<u8>) -> Heard {
        if frame.starts_with(&WELCOME.to_be_bytes()) {
            return Heard::Live;
        }
        match Key::read(&frame[4..]) {
            Some(key) => Heard::Message { key, seq: None },
            None => Heard::Fault(format!("a frame of the floor: {frame:?}")),
        }
    }

    fn say(&mut self, _: &Seat, _: u32, key: &Key, text: &str, out: &mut Vec<u8>) {
        let end = out.len() + self.0;
        out.extend_from_slice(&key.room.to_be_bytes());
        out.extend_from_slice(text.as_bytes());
        out.resize(end, b' ');
    }
}

/// A connection of the floor.
struct Member {
    stream: TcpStream,
    /// What was read and isn't a whole frame.
    read: Vec<u8>,
    unsent: Vec<u8>,
    frame_bytes: usize,
}

impl Member {
    fn write(&mut self, bytes: &[u8]) {
        if !self.unsent.is_empty() {
            return self.unsent.extend_from_slice(bytes);
        }
        let sent = match self.stream.write(bytes) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(_) => bytes.len(),
        };
        self.unsent.extend_from_slice(&bytes[sent..]);
    }

    fn flush(&mut self) {
        let unsent = std::mem::take(&mut self.unsent);
        self.write(&unsent);
    }
}

/// The server.
struct Relay {
    epoll: Epoll,
    members: HashMap<u64, Member>,
    rooms: HashMap<u32, Vec<u64>>,
}

const LISTENER: u64 = 0;

/// Serves until it is killed.
pub fn serve(port: u16) -> std::io::Result<()> {
    let listener = TcpListener::bind(local(port))?;
    listener.set_nonblocking(true)?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
    let mut relay = Relay {
        epoll,
        members: HashMap::new(),
        rooms: HashMap::new(),
    };
    let mut events = vec![EpollEvent::empty(); 512];
    let mut buffer = vec![0; 64 * 1024];
    let mut next = LISTENER;
    loop {
        let count = relay.epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in &events[..count] {
            if event.data() == LISTENER {
                while let Ok((stream, _)) = listener.accept() {
                    next += 1;
                    relay.welcome(next, stream)?;
                }
            } else {
                relay.ready(event.data(), event.events(), &mut buffer);
            }
        }
    }
}

impl Relay {
    fn welcome(&mut self, id: u64, stream: TcpStream) -> std::io::Result<()> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        // By edges, so that a socket that takes everything costs no call to change what is waited for.
        let interest = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
        self.epoll.add(&stream, EpollEvent::new(interest, id))?;
        let member = Member {
            stream,
            read: Vec::new(),
            unsent: Vec::new(),
            frame_bytes: 0,
        };
        self.members.insert(id, member);
        Ok(())
    }

    fn ready(&mut self, id: u64, flags: EpollFlags, buffer: &mut [u8]) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        if flags.contains(EpollFlags::EPOLLOUT) && !member.unsent.is_empty() {
            member.flush();
        }
        if !flags.intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR) {
            return;
        }
        loop {
            let Some(member) = self.members.get_mut(&id) else {
                return;
            };
            match member.stream.read(buffer) {
                Ok(0) => return self.farewell(id),
                Ok(count) => {
                    member.read.extend_from_slice(&buffer[..count]);
                    self.relay(id);
                    // A short read has emptied the socket.
                    if count < buffer.len() {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.farewell(id),
            }
        }
    }

    fn farewell(&mut self, id: u64) {
        self.members.remove(&id);
        self.rooms
            .values_mut()
            .for_each(|members| members.retain(|member| *member != id));
    }

    /// Relays the whole frames that were read of a member.
    fn relay(&mut self, id: u64) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        let read = std::mem::take(&mut member.read);
        let mut rest = &read[..];
        if member.frame_bytes == 0 {
            let Some((frame_bytes, rooms, used)) = hello(rest) else {
                member.read = read;
                return;
            };
            member.frame_bytes = frame_bytes;
            let mut welcome = WELCOME.to_be_bytes().to_vec();
            welcome.resize(frame_bytes, 0);
            member.write(&welcome);
            for room in rooms {
                self.rooms.entry(room).or_default().push(id);
            }
            rest = &rest[used..];
        }
        let frame_bytes = self.members[&id].frame_bytes;
        while rest.len() >= frame_bytes {
            let (frame, tail) = rest.split_at(frame_bytes);
            let room = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]);
            for listener in self.rooms.get(&room).into_iter().flatten() {
                if let Some(member) = self.members.get_mut(listener) {
                    member.write(frame);
                }
            }
            rest = tail;
        }
        let rest = rest.to_vec();
        if let Some(member) = self.members.get_mut(&id) {
            member.read = rest;
        }
    }
}

/// Reads what [`Frames::hello`] writes: length of frames, rooms, and how many bytes it took.
fn hello(bytes: &[u8]) -> Option<(usize, Vec<u32>, usize)> {
    let word = |index: usize| {
        let bytes = bytes.get(index * 4..index * 4 + 4)?;
        Some(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    };
    let count = word(1)? as usize;
    let rooms = (0..count)
        .map(|index| word(2 + index))
        .collect::<Option<Vec<_>>>()?;
    Some((word(0)? as usize, rooms, (2 + count) * 4))
}

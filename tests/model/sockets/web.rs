//! The web client's state machine (frontend/src/realtime) over standard input and output, by frontend/model/stdio.ts: one
//! call a line, one answer a line.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex, Once},
};

use serde_json::{Value, json};

use super::peer::{Deed, Held, Peer, Place};
use crate::support::{Change, LoadId};

const FRONTEND: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/frontend");

/// The process, which many devices share.
pub(super) struct Program {
    child: Child,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Program {
    /// Builds it once, and starts one.
    pub fn start() -> Arc<Self> {
        static BUILT: Once = Once::new();
        BUILT.call_once(|| {
            let built = Command::new("npm")
                .args(["--prefix", FRONTEND, "run", "--silent", "model"])
                .status();
            assert!(
                built.is_ok_and(|status| status.success()),
                "the web client's state machine can't be built: `make client` says what is missing"
            );
        });
        let mut child = Command::new("node")
            .arg(format!("{FRONTEND}/node_modules/.model/stdio.js"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node");
        let pipes = (
            child.stdin.take().unwrap(),
            BufReader::new(child.stdout.take().unwrap()),
        );
        Arc::new(Self {
            child,
            pipes: Mutex::new(pipes),
        })
    }

    fn call(&self, call: &Value) -> Value {
        let mut pipes = self.pipes.lock().unwrap();
        let (input, output) = &mut *pipes;
        writeln!(input, "{call}").expect("the program of the web client has ended");
        let mut answer = String::new();
        output.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer)
            .unwrap_or_else(|_| panic!("the program of the web client has failed at {call}"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A device that runs it.
pub(super) struct Web {
    program: Arc<Program>,
    index: u64,
    deeds: Vec<Deed>,
    epoch: Option<String>,
    /// In words; empty: nothing.
    awaits: String,
    /// By id, the position and the last seq.
    rooms: BTreeMap<u64, (u64, u64)>,
    /// The one that is being heard.
    ack: Option<Value>,
    acks: Vec<Value>,
    refused: BTreeSet<String>,
}

impl Web {
    pub fn new(program: &Arc<Program>, user_id: u64) -> Self {
        let index = program.call(&json!([0, "new", user_id])).as_u64().unwrap();
        Self {
            program: program.clone(),
            index,
            deeds: Vec::new(),
            epoch: None,
            awaits: String::from("the first answer"),
            rooms: BTreeMap::new(),
            ack: None,
            acks: Vec::new(),
            refused: BTreeSet::new(),
        }
    }

    /// True if there is more to be read.
    fn call(&mut self, name: &str, arguments: &[Value]) -> bool {
        let mut call = vec![json!(self.index), json!(name)];
        call.extend_from_slice(arguments);
        let mut answer = self.program.call(&Value::Array(call));
        let list = |value: &mut Value| match value.take() {
            Value::Array(items) => items,
            other => panic!("{other} is no list"),
        };
        self.deeds
            .extend(list(&mut answer["sends"]).into_iter().map(Deed::Send));
        for get in list(&mut answer["gets"]) {
            let path = get[1].as_str().unwrap().to_owned();
            self.deeds.push(Deed::Get {
                load: get[0].as_u64().unwrap(),
                is_list: path.contains('?') && !path.contains("ids="),
                path,
            });
        }
        if answer["reconnect"] == true {
            self.deeds.push(Deed::Reconnect);
        }
        for id in list(&mut answer["stored"]) {
            let ack = self.ack.take().filter(|ack| ack["id"] == id);
            self.acks.push(ack.expect("a message is stored by its ack"));
        }
        let refused = list(&mut answer["refused"]);
        self.refused
            .extend(refused.iter().map(|id| id.as_str().unwrap().to_owned()));
        self.epoch = answer["epoch"].as_str().map(str::to_owned);
        self.awaits = answer["awaits"].as_str().unwrap().to_owned();
        let rooms = list(&mut answer["rooms"]).into_iter().map(|room| {
            let [id, position, last_seq] = [0, 1, 2].map(|at| room[at].as_u64().unwrap());
            (id, (position, last_seq))
        });
        self.rooms = rooms.collect();
        answer["more"] == true
    }
}

impl Peer for Web {
    fn connected(&mut self) {
        self.disconnected();
    }

    fn disconnected(&mut self) {
        self.deeds.retain(|deed| matches!(deed, Deed::Get { .. }));
        self.call("disconnected", &[]);
    }

    fn receive(&mut self, frame: &Value) {
        self.ack = (frame["type"] == "ack").then(|| frame.clone());
        self.call("receive", std::slice::from_ref(frame));
    }

    fn loaded(&mut self, load: LoadId, body: Option<&Value>) {
        let body = body.cloned().unwrap_or(Value::Null);
        self.call("loaded", &[json!(load), body]);
    }

    fn retry(&mut self) {
        self.call("retry", &[]);
    }

    fn take_deeds(&mut self) -> Vec<Deed> {
        std::mem::take(&mut self.deeds)
    }

    fn epoch(&self) -> Option<String> {
        self.epoch.clone()
    }

    fn awaits(&self) -> Option<String> {
        let nothing = self.awaits.is_empty() && self.deeds.is_empty();
        (!nothing).then(|| format!("{}, {} deeds", self.awaits, self.deeds.len()))
    }

    fn rooms(&self) -> BTreeMap<u64, Place> {
        let rooms = self.rooms.iter();
        rooms
            .map(|(id, &(position, last_seq))| (*id, Place { position, last_seq }))
            .collect()
    }

    fn held(&self, room_id: u64) -> Held {
        let mut held = self.program.call(&json!([self.index, "held", room_id]));
        let number = |name: &str| held[name].as_u64().unwrap();
        let messages = held["messages"].as_array().unwrap().iter();
        Held {
            messages: messages
                .map(|message| (message["seq"].as_u64().unwrap(), message.clone()))
                .collect(),
            members: held["members"].as_array().unwrap().clone(),
            position: number("position"),
            last_seq: number("last_seq"),
            pending: number("pending"),
            member_count: number("member_count"),
            last_read_seq: number("last_read_seq"),
            unread: number("unread"),
            unread_mentions: number("unread_mentions"),
            mentioned: None,
            settings: held["settings"].take(),
        }
    }

    fn acks(&self) -> &[Value] {
        &self.acks
    }

    fn is_refused(&self, id: &str) -> bool {
        self.refused.contains(id)
    }

    fn complaints(&self) -> &[String] {
        &[]
    }

    fn say(&mut self, room_id: u64, id: String, content: String) {
        self.call("say", &[json!(room_id), json!(id), json!(content)]);
    }

    fn put(&mut self, room_id: u64, change: Change) {
        let frame = match change {
            Change::Edit { seq, content } => {
                json!({"type": "edit", "room_id": room_id, "seq": seq, "content": content})
            }
            Change::Delete { seq } => json!({"type": "delete", "room_id": room_id, "seq": seq}),
            Change::React { seq, emoji, on } => {
                json!({"type": "react", "room_id": room_id, "seq": seq, "emoji": emoji, "on": on})
            }
            Change::Message { .. } => panic!("a message is said"),
        };
        self.call("put", &[frame]);
    }

    fn read(&mut self, room_id: u64, seq: u64) {
        self.call("read", &[json!(room_id), json!(seq)]);
    }

    fn type_in(&mut self, room_id: u64) {
        self.call("type", &[json!(room_id)]);
    }

    /// The socket's own part of the web client pings, not its state machine.
    fn ping(&mut self) {
        self.deeds.push(Deed::Send(json!({"type": "ping"})));
    }

    fn load_older(&mut self, room_id: u64) -> bool {
        self.call("older", &[json!(room_id)])
    }
}

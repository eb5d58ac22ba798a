//! Acknowledged durable messages a second: 1,000 rooms of 10, each sender with one message in flight.
//! Afterwards every acknowledged message is looked for.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use serde_json::json;
use tokio::{sync::Notify, task::JoinHandle};
use uuid::Uuid;

use crate::{
    Durable,
    house::Account,
    report::{Report, Times, round},
    stage::{self, Cpu},
    support::{
        ascii,
        wire::{self, Socket, Writer},
    },
};

const ROOMS: usize = 1_000;
const MEMBERS: usize = 10;
const ACCOUNTS: usize = 1_000;
/// Before the count begins.
const WARM_UP: Duration = Duration::from_secs(2);
const PAGE: usize = 200;

struct Shared {
    content: String,
    /// Senders send on while this is set.
    sending: Cell<bool>,
    in_flight: Cell<usize>,
    quiet: Notify,
    deliveries: Cell<u64>,
    latencies: RefCell<Times>,
    /// What was acknowledged, by room: the message's number and its id.
    acked: RefCell<Vec<Vec<(u64, Uuid)>>>,
    faults: RefCell<Vec<String>>,
}

/// One socket, which sends to one room.
struct Sender {
    shared: Rc<Shared>,
    room: usize,
    room_id: u64,
    id: Uuid,
    sent: Instant,
}

impl Sender {
    fn send(&mut self, write: &Writer) {
        self.id = Uuid::now_v7();
        let frame = format!(
            r#"{{"type":"message","room_id":{},"id":"{}","content":"{}"}}"#,
            self.room_id, self.id, self.shared.content
        );
        self.sent = Instant::now();
        write.send(&wire::text(&frame));
    }

    fn frame(&mut self, write: &Writer, frame: &[u8]) {
        let shared = self.shared.clone();
        if wire::is(frame, "message") {
            return shared.deliveries.set(shared.deliveries.get() + 1);
        }
        let seq = wire::number(frame, "seq");
        let id = wire::string(frame, "id");
        if !wire::is(frame, "ack") || id != Some(self.id.to_string().as_bytes()) {
            let text = String::from_utf8_lossy(frame).into_owned();
            // Ephemeral frames come at any time.
            let passed = ["synced", "presence", "read"];
            if !passed.iter().any(|kind| wire::is(frame, kind)) {
                shared.faults.borrow_mut().push(text);
            }
            return;
        }
        let micros = self.sent.elapsed().as_micros() as u64;
        shared.latencies.borrow_mut().push(micros);
        let seq = seq.expect("an ack has a seq");
        shared.acked.borrow_mut()[self.room].push((seq, self.id));
        if shared.sending.get() {
            self.send(write);
        } else {
            shared.in_flight.set(shared.in_flight.get() - 1);
            if shared.in_flight.get() == 0 {
                shared.quiet.notify_one();
            }
        }
    }
}

pub async fn run(plan: &Durable) {
    assert!(plan.senders <= ACCOUNTS, "one socket for each account");
    let server = stage::server(plan.db.kind()).await;
    let accounts = stage::accounts(&server, ACCOUNTS).await;
    // Distinct members, for 37 and the number of accounts have no common divisor: each is in ten rooms.
    let members: Vec<Vec<&Account>> = (0..ROOMS)
        .map(|room| {
            let member = |index| &accounts[(room + 37 * index) % ACCOUNTS];
            (0..MEMBERS).map(member).collect()
        })
        .collect();
    let room_ids = stage::rooms(&members).await;
    // Without the listeners of other people's rooms deliveries would not be those of rooms of 10.
    let online = if plan.deaf { plan.senders } else { ACCOUNTS };
    let mut sockets = stage::sockets(&server, &accounts[..online]).await;
    if !plan.deaf {
        for socket in &mut sockets {
            socket.send(&wire::text(&json!({"type": "sync"}).to_string()));
            for _ in 0..MEMBERS {
                socket.wait_for("synced").await;
            }
        }
    }

    let shared = Rc::new(Shared {
        content: ascii(128),
        sending: Cell::new(true),
        in_flight: Cell::new(plan.senders),
        quiet: Notify::new(),
        deliveries: Cell::new(0),
        latencies: RefCell::default(),
        acked: RefCell::new(vec![Vec::new(); ROOMS]),
        faults: RefCell::default(),
    });
    let tasks: Vec<JoinHandle<()>> = sockets
        .into_iter()
        .enumerate()
        .map(|(index, socket)| {
            let sender = Sender {
                shared: shared.clone(),
                room: index,
                room_id: room_ids[index],
                id: Uuid::nil(),
                sent: Instant::now(),
            };
            tokio::task::spawn_local(talk(sender, socket, index < plan.senders))
        })
        .collect();

    let pid = server.pid().as_raw();
    tokio::time::sleep(WARM_UP).await;
    let warm: usize = shared.acked.borrow().iter().map(Vec::len).sum();
    let deliveries_before = shared.deliveries.get();
    shared.latencies.borrow_mut().clear();
    let cpu_before = Cpu::of(pid);
    let start = Instant::now();
    tokio::time::sleep(Duration::from_secs(plan.seconds)).await;
    let seconds = start.elapsed().as_secs_f64();
    let acked: usize = shared.acked.borrow().iter().map(Vec::len).sum::<usize>() - warm;
    let deliveries = shared.deliveries.get() - deliveries_before;
    let cpu = Cpu::of(pid).since(&cpu_before);
    let mut latencies = shared.latencies.take();

    shared.sending.set(false);
    let quiet = tokio::time::timeout(Duration::from_secs(30), shared.quiet.notified()).await;
    tasks.iter().for_each(JoinHandle::abort);
    let all_acked = quiet.is_ok();
    let found = verify(&shared.acked.take(), &room_ids, &members).await;
    let rate = acked as f64 / seconds;

    let mut report = Report::new(
        "durable",
        format!(
            "Durable messages, {:?}: {} senders in {ROOMS} rooms of {MEMBERS}, {}, {} s",
            plan.db,
            plan.senders,
            if plan.deaf {
                "nobody listening"
            } else {
                "every member live"
            },
            plan.seconds
        ),
    );
    report.field("db", format!("{:?}", plan.db).to_lowercase());
    report.field("senders", plan.senders);
    report.field("live", !plan.deaf);
    report.row(
        "acknowledged",
        format!("{rate:.0} a second"),
        "acks_per_s",
        round(rate, 0),
    );
    report.latency("acknowledgement", "ack", &mut latencies);
    let per_second = deliveries as f64 / seconds;
    report.row(
        "delivered beside it",
        format!("{per_second:.0} a second"),
        "deliveries_per_s",
        round(per_second, 0),
    );
    let busy = cpu.total() / seconds;
    report.row(
        "server's core",
        format!("{:.0} % busy", busy * 100.0),
        "cpu",
        round(busy, 3),
    );
    let threads: Vec<String> = cpu
        .0
        .iter()
        .map(|(name, seconds)| format!("{name} {:.1}", seconds * 1e6 / acked as f64))
        .collect();
    report.row(
        "CPU µs per message by thread",
        threads.join(", "),
        "threads_us",
        threads,
    );
    match found {
        Ok(found) => report.row(
            "verified",
            format!("{found} acknowledged messages are there, each once, dense"),
            "verified",
            found,
        ),
        Err(fault) => report.row("VERIFICATION FAILED", &fault, "verified", fault.clone()),
    }
    let faults = shared.faults.take();
    faults
        .iter()
        .take(5)
        .for_each(|fault| eprintln!("fault: {fault}"));
    report.field("faults", faults.len());
    report.field("all_acked", all_acked);
    let complaints = stage::complaints(&server);
    complaints
        .iter()
        .take(5)
        .for_each(|line| eprintln!("{line}"));
    report.field("complaints", complaints.len());
    report.print();
}

async fn talk(mut sender: Sender, mut socket: Socket, speaks: bool) {
    if speaks {
        sender.send(socket.writer());
    }
    loop {
        let read = socket.read(|write, frame| sender.frame(write, frame));
        if let Err(error) = read.await {
            let mut faults = sender.shared.faults.borrow_mut();
            return faults.push(format!("a socket ended: {error}"));
        }
    }
}

/// Reads all rooms by REST: each holds exactly what was acknowledged, numbered 1, 2, 3, …
async fn verify(
    acked: &[Vec<(u64, Uuid)>],
    room_ids: &[u64],
    members: &[Vec<&Account>],
) -> Result<usize, String> {
    let checks = stream::iter(0..room_ids.len())
        .map(async |room| {
            let mut after = 0;
            let mut expected = acked[room].clone();
            expected.sort_unstable();
            let mut stored = Vec::new();
            loop {
                let path = format!(
                    "/api/chat/rooms/{}/messages?after={after}&limit={PAGE}",
                    room_ids[room]
                );
                let (status, page) = members[room][0].get(&path).await;
                if status != 200 {
                    return Err(format!("{path}: {status} {page}"));
                }
                let items = page["items"].as_array().cloned().unwrap_or_default();
                for item in &items {
                    let id = item["id"].as_str().and_then(|id| id.parse::<Uuid>().ok());
                    let seq = item["seq"].as_u64().unwrap_or(0);
                    if seq != after + 1 {
                        return Err(format!("room {room}: {seq} comes after {after}"));
                    }
                    after = seq;
                    stored.push((seq, id.unwrap_or_default()));
                }
                if items.len() < PAGE {
                    break;
                }
            }
            if stored == expected {
                Ok(stored.len())
            } else {
                Err(format!(
                    "room {room}: {} acknowledged, {} stored",
                    expected.len(),
                    stored.len()
                ))
            }
        })
        .buffer_unordered(16)
        .collect::<Vec<_>>()
        .await;
    checks.into_iter().sum()
}

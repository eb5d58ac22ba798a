//! CPU for each delivery, at a fixed rate, beside the floor's in the same run.

use std::{cell::RefCell, time::Duration};

use hearth::{
    hub::encode::{PrevField, encode},
    protocol::RoomId,
    ws::frame,
};
use serde_json::json;

use crate::{
    Delivery,
    floor::{self, Floor},
    report::{Report, Times, median, round},
    stage::{self, Cpu},
    support::{
        ascii, message,
        wire::{self, Socket},
    },
    traffic::{Seat, Traffic, Turn},
};

/// Before the first turn of each, so that buffers and caches are warm.
const WARM_UP: Duration = Duration::from_secs(2);

/// What the turns of one server showed.
#[derive(Default)]
struct Side {
    /// Seconds of CPU for each million deliveries, of each turn.
    cpu: Vec<f64>,
    threads: Cpu,
    deliveries: u64,
    lost: u64,
    unacked: u64,
    faults: Vec<String>,
    latencies: Times,
    late: Times,
}

impl Side {
    fn add(&mut self, mut turn: Turn, cpu: &Cpu) {
        self.cpu.push(cpu.total() * 1e6 / turn.delivered as f64);
        for (name, seconds) in &cpu.0 {
            *self.threads.0.entry(name.clone()).or_default() += seconds;
        }
        self.deliveries += turn.delivered;
        self.lost += turn.lost;
        self.unacked += turn.unacked;
        self.faults.append(&mut turn.faults);
        self.latencies.take_from(&mut turn.latencies);
        self.late.take_from(&mut turn.late);
    }

    fn report(&mut self, report: &mut Report, name: &str, key: &str) {
        let cpu = median(&self.cpu);
        let turns: Vec<f64> = self.cpu.iter().map(|cpu| round(*cpu, 2)).collect();
        report.row(
            &format!("{name}: CPU per million deliveries"),
            format!("{cpu:.2} s (turns: {turns:?})"),
            &format!("{key}_cpu_s_per_million"),
            turns,
        );
        report.latency(&format!("{name}: delivery"), key, &mut self.latencies);
        report.field(&format!("{key}_late_p99_us"), self.late.percentile(99.0));
        report.row(
            &format!("{name}: deliveries, lost, out of order"),
            format!("{}, {}, {}", self.deliveries, self.lost, self.faults.len()),
            &format!("{key}_deliveries"),
            self.deliveries,
        );
        report.field(&format!("{key}_lost"), self.lost);
        report.field(&format!("{key}_faults"), self.faults.len());
        for fault in &self.faults {
            eprintln!("{name}: {fault}");
        }
    }
}

pub async fn run(plan: &Delivery) {
    let server = stage::server(plan.db.kind()).await;
    let accounts = stage::accounts(&server, plan.rooms * plan.members).await;
    let members: Vec<Vec<_>> = accounts
        .chunks(plan.members)
        .map(|members| members.iter().collect())
        .collect();
    let room_ids = stage::rooms(&members).await;
    let mut seats = Vec::new();
    for (index, mut socket) in stage::sockets(&server, &accounts)
        .await
        .into_iter()
        .enumerate()
    {
        let room = index / plan.members;
        let join = json!({"type": "join", "room_id": room_ids[room]});
        socket.send(&wire::text(&join.to_string()));
        socket.wait_for("synced").await;
        seats.push(Seat { room, socket });
    }
    let hearth = Traffic::new(seats, plan.members, true, {
        let room_ids = room_ids.clone();
        Box::new(move |room, content| {
            let id = uuid::Uuid::now_v7();
            let frame =
                json!({"type": "message", "room_id": room_ids[room], "id": id, "content": content});
            wire::text(&frame.to_string())
        })
    });

    // The floor relays the frames that Hearth would send.
    let sample = |rev: u64, content: &str| {
        let event = message(RoomId(1), 100_000 + rev, content);
        encode(&event, frame::header, PrevField::WhereSkipped)
            .bytes
            .to_vec()
    };
    let frame_bytes = sample(0, &ascii(128)).len();
    let ground = Floor::start().await;
    let mut seats = Vec::new();
    for index in 0..accounts.len() {
        let room = index / plan.members;
        let socket = Socket::plain(ground.address)
            .await
            .expect("the floor accepts");
        socket.send(&floor::hello(room as u32, frame_bytes));
        seats.push(Seat { room, socket });
    }
    let revs = RefCell::new(vec![0u64; plan.rooms]);
    let floor = Traffic::new(
        seats,
        plan.members,
        false,
        Box::new(move |room, content| {
            let rev = &mut revs.borrow_mut()[room];
            *rev += 1;
            sample(*rev, content)
        }),
    );

    let server_pid = server.pid().as_raw();
    hearth.turn(plan.rate, WARM_UP).await;
    floor.turn(plan.rate, WARM_UP).await;
    let (mut ours, mut least) = (Side::default(), Side::default());
    for _ in 0..plan.rounds {
        for (traffic, pid, side) in [
            (&floor, ground.pid(), &mut least),
            (&hearth, server_pid, &mut ours),
        ] {
            let before = Cpu::of(pid);
            let turn = traffic
                .turn(plan.rate, Duration::from_secs(plan.seconds))
                .await;
            side.add(turn, &Cpu::of(pid).since(&before));
        }
    }

    let mut report = Report::new(
        "delivery",
        format!(
            "Delivery, {:?}: {} rooms of {}, {} messages/s of 128 bytes (frames of {frame_bytes}), {} turns of {} s each",
            plan.db, plan.rooms, plan.members, plan.rate, plan.rounds, plan.seconds
        ),
    );
    report.field("db", format!("{:?}", plan.db).to_lowercase());
    report.field("rooms", plan.rooms);
    report.field("members", plan.members);
    report.field("rate", plan.rate);
    let ratio = median(&ours.cpu) / median(&least.cpu);
    least.report(&mut report, "floor", "floor");
    ours.report(&mut report, "hearth", "hearth");
    report.row("ratio", format!("{ratio:.2}"), "ratio", round(ratio, 3));
    let million = ours.deliveries as f64 / 1e6;
    let threads: Vec<String> = ours
        .threads
        .0
        .iter()
        .map(|(name, seconds)| format!("{name} {:.2}", seconds / million))
        .collect();
    report.row(
        "hearth: CPU by thread",
        threads.join(", "),
        "hearth_threads",
        threads,
    );
    report.field("hearth_unacked", ours.unacked);
    let complaints = stage::complaints(&server);
    complaints.iter().for_each(|line| eprintln!("{line}"));
    report.field("complaints", complaints.len());
    report.print();
}

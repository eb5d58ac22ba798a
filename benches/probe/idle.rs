//! Memory of connections that are open, authenticated, live in their room, and silent.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::json;

use crate::{
    Idle,
    report::{Report, round},
    stage,
    support::wire::{self, Socket},
};

const ROOM: usize = 10;
/// Handshakes at the same time.
const PARALLEL: usize = 32;
/// For what the server still has to do after the last answer.
const SETTLE: Duration = Duration::from_secs(3);

pub async fn run(plan: &Idle) {
    let server = stage::server(plan.db.kind()).await;
    let accounts = stage::accounts(&server, plan.sockets.div_ceil(plan.each)).await;
    let members: Vec<Vec<_>> = accounts
        .chunks(ROOM)
        .map(|members| members.iter().collect())
        .collect();
    stage::rooms(&members).await;
    let pid = server.pid().as_raw();
    tokio::time::sleep(SETTLE).await;
    let before = stage::resident(pid);

    let mut half = 0;
    for part in 0..2 {
        let open = stream::iter((0..plan.sockets).filter(|number| number % 2 == part))
            .map(async |number| {
                let account = &accounts[number / plan.each];
                let mut socket = Socket::open(server.address(), &account.token)
                    .await
                    .expect("the server upgrades");
                socket.wait_for("ready").await;
                socket.send(&wire::text(&json!({"type": "sync"}).to_string()));
                socket.wait_for("synced").await;
                socket
            })
            .buffer_unordered(PARALLEL)
            .collect::<Vec<_>>()
            .await;
        for mut socket in open {
            // Answers pings; nothing else comes.
            tokio::task::spawn_local(async move {
                while socket.read(|_, _| {}).await.is_ok() {}
                panic!("an idle socket ended");
            });
        }
        tokio::time::sleep(SETTLE).await;
        if part == 0 {
            half = stage::resident(pid);
        }
    }
    let after = stage::resident(pid);
    let each = (after - before) as f64 / plan.sockets as f64;
    let second_half = (after - half) as f64 / (plan.sockets / 2) as f64;
    let sockets = plan.sockets;

    let mut report = Report::new(
        "idle",
        format!(
            "Idle connections, {:?}: {sockets} of {} accounts, each live in a room of {ROOM}",
            plan.db,
            accounts.len()
        ),
    );
    report.field("db", format!("{:?}", plan.db).to_lowercase());
    report.field("sockets", sockets);
    report.row(
        "resident before",
        format!("{before} KiB"),
        "before_kib",
        before,
    );
    report.row("resident after", format!("{after} KiB"), "after_kib", after);
    report.row(
        "per connection",
        format!("{each:.2} KiB"),
        "kib_each",
        round(each, 2),
    );
    report.row(
        "per connection of the second half",
        format!("{second_half:.2} KiB"),
        "kib_each_second_half",
        round(second_half, 2),
    );
    let complaints = stage::complaints(&server);
    complaints
        .iter()
        .take(5)
        .for_each(|line| eprintln!("{line}"));
    report.field("complaints", complaints.len());
    report.print();
}

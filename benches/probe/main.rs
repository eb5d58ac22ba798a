//! The probe: how much one core of a real server does, beside what the system itself takes for it. See
//! benches/README.md.

mod delivery;
mod durable;
mod floor;
mod idle;
mod report;
mod stage;
mod traffic;

#[path = "../../tests/support/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "a benchmark needs few of the tests' helpers"
)]
mod house;
#[path = "../support/mod.rs"]
mod support;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

/// Measures a real server on one core: `make probe PROBE="delivery --rounds 3"`.
#[derive(Parser)]
#[command(name = "probe")]
struct Command {
    /// What `cargo bench` adds.
    #[arg(long, hide = true, global = true)]
    bench: bool,
    #[command(subcommand)]
    subject: Option<Subject>,
}

#[derive(Subcommand)]
enum Subject {
    /// Everything, on SQLite and, when `HEARTH_TEST_MYSQL` names one, on MariaDB.
    All,
    /// CPU for each delivery at a fixed rate, beside the least that the system takes for it.
    Delivery(Delivery),
    /// Acknowledged durable messages a second, in rooms of 10.
    Durable(Durable),
    /// Memory for each idle connection.
    Idle(Idle),
    /// The floor's server; the probe starts it itself.
    #[command(hide = true)]
    Floor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Database {
    Sqlite,
    Mariadb,
}

impl Database {
    fn kind(self) -> house::Db {
        match self {
            Database::Sqlite => house::Db::Sqlite,
            Database::Mariadb => house::Db::MariaDb,
        }
    }
}

#[derive(Args, Clone)]
struct Delivery {
    #[arg(long, value_enum, default_value = "sqlite")]
    db: Database,
    /// Rooms, each with members of its own.
    #[arg(long, default_value_t = 1)]
    rooms: usize,
    /// Members of each room, each with one socket.
    #[arg(long, default_value_t = 1_000)]
    members: usize,
    /// Messages a second, over all rooms.
    #[arg(long, default_value_t = 20)]
    rate: u32,
    /// How often the floor and Hearth take turns.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Of each turn.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

#[derive(Args, Clone)]
struct Durable {
    #[arg(long, value_enum, default_value = "sqlite")]
    db: Database,
    /// Sockets, each with one message in flight.
    #[arg(long, default_value_t = 1_000)]
    senders: usize,
    /// The senders don't listen: appends and acknowledgements alone. Else every socket is live in its
    /// user's ten rooms.
    #[arg(long)]
    deaf: bool,
    #[arg(long, default_value_t = 15)]
    seconds: u64,
}

#[derive(Args, Clone)]
struct Idle {
    #[arg(long, value_enum, default_value = "sqlite")]
    db: Database,
    #[arg(long, default_value_t = 10_000)]
    sockets: usize,
    /// Sockets of each account.
    #[arg(long, default_value_t = 10)]
    each: usize,
}

fn main() {
    support::raise_file_limit();
    let command = Command::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        match command.subject {
            Some(Subject::All) => all().await,
            Some(Subject::Delivery(plan)) => delivery::run(&plan).await,
            Some(Subject::Durable(plan)) => durable::run(&plan).await,
            Some(Subject::Idle(plan)) => idle::run(&plan).await,
            Some(Subject::Floor) => floor::serve().await,
            None => Command::command().print_help().expect("stdout is open"),
        }
    });
}

async fn all() {
    let db = Database::Sqlite;
    let room_of_1000 = Delivery {
        db,
        rooms: 1,
        members: 1_000,
        rate: 20,
        rounds: 3,
        seconds: 10,
    };
    delivery::run(&room_of_1000).await;
    delivery::run(&Delivery {
        rooms: 100,
        members: 10,
        rate: 2_000,
        ..room_of_1000
    })
    .await;
    let mut databases = vec![Database::Sqlite];
    if support::mariadb_is_there() {
        databases.push(Database::Mariadb);
    }
    for db in databases {
        for deaf in [true, false] {
            durable::run(&Durable {
                db,
                senders: 1_000,
                deaf,
                seconds: 15,
            })
            .await;
        }
    }
    idle::run(&Idle {
        db,
        sockets: 10_000,
        each: 10,
    })
    .await;
}

//! Small servers written as their libraries' documentation shows it: `peers/` holds their source and a script
//! that installs what they need.

use std::{net::SocketAddrV4, path::Path, process::Command};

use serde_json::json;

use super::{
    Dialect, Population, Promises, Result, Server, Setup,
    mariadb::MariaDb,
    plain::Plain,
    process::{self, Process},
    socketio::SocketIo,
};
use crate::http::Client;

/// The small servers' source.
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers");

pub struct Script {
    name: String,
    process: Process,
    /// Kept while the server uses it.
    database: Option<MariaDb>,
    address: SocketAddrV4,
}

impl Script {
    pub fn start(name: &str, setup: &Setup) -> Result<Self> {
        let address = process::free_address()?;
        let database = match name {
            "fastapi" => Some(MariaDb::start(setup, "chat")?),
            _ => None,
        };
        let port = address.port().to_string();
        let mut command = command(name, &setup.peers)?;
        command.arg(port).current_dir(&setup.dir);
        if let Some(database) = &database {
            command.env(
                "DATABASE_URL",
                database.url().replace("mysql://", "mysql+aiomysql://"),
            );
        }
        let log = setup.dir.join(format!("{name}.log"));
        let (on, then_on) = (&setup.server_cores, &setup.load_cores);
        let mut process = Process::start(&command, &log, on, then_on)?;
        let ready = process.wait_until(|| process::listens(address));
        ready.map_err(|error| {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            format!("{error}; is it installed (make bench-peers)?\n{log}")
        })?;
        Ok(Self {
            name: name.to_owned(),
            process,
            database,
            address,
        })
    }
}

fn command(name: &str, peers: &Path) -> Result<Command> {
    let node = |script: &str| {
        let mut command = Command::new("node");
        command
            .arg(format!("{SOURCE}/{script}"))
            .env("NODE_PATH", peers.join("node/node_modules"))
            .env("NODE_ENV", "production");
        command
    };
    Ok(match name {
        "ws" => node("ws.cjs"),
        "socket.io" => node("socketio.cjs"),
        "fastapi" => {
            let mut command = Command::new(peers.join("fastapi/bin/python"));
            command.arg(format!("{SOURCE}/fastapi_chat.py"));
            command
        }
        "socketioxide" => Command::new(peers.join("socketioxide/release/socketioxide-chat")),
        other => return Err(format!("there is no script of {other}")),
    })
}

impl Server for Script {
    fn promises(&self) -> Promises {
        let stores = self.database.is_some();
        Promises {
            stores: if stores { "MariaDB" } else { "nothing" },
            durable: stores,
            // Elsewhere two messages of a room are sent side by side.
            ordered: !stores && self.name != "socketioxide",
            authorised: stores,
            repeatable: false,
            resumes: false,
            acknowledges: self.name.starts_with("socket"),
        }
    }

    fn address(&self) -> SocketAddrV4 {
        self.address
    }

    fn processes(&self) -> Vec<i32> {
        let database = self.database.iter().map(MariaDb::pid);
        [self.process.pid()].into_iter().chain(database).collect()
    }

    fn populate(&mut self, population: &Population) -> Result<()> {
        if self.database.is_some() {
            let body = json!({"users": population.users, "rooms": population.rooms});
            Client::new(self.address).ask("POST", "/populate", None, Some(&body))?;
        }
        Ok(())
    }

    fn dialect(&self) -> Box<dyn Dialect> {
        let (address, scratch) = (self.address, String::new());
        if self.name.starts_with("socket") {
            Box::new(SocketIo { address, scratch })
        } else {
            Box::new(Plain { address, scratch })
        }
    }
}

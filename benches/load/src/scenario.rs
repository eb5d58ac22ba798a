//! The scenarios: who is where, what happens, and for how long.

use clap::Args;
use serde::Serialize;

use crate::{
    plan::{Asked, Pace, Plan},
    random::Random,
    servers::Population,
};

/// What a scenario measures.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Messages at a rate: latency, and what deliveries and messages cost.
    Delivery,
    /// Open connections that do nothing: memory.
    Idle,
    /// The server is killed: how long until everyone is live again.
    Storm,
    /// One user comes back to many messages.
    Away,
    /// One user sends without a pause: what the others notice.
    Flood,
    /// Searches of stored messages.
    Search,
    /// Pages of a long history.
    History,
}

#[derive(Clone, Debug, Serialize)]
pub struct Scenario {
    pub name: &'static str,
    pub about: &'static str,
    pub kind: Kind,
    pub rooms: usize,
    pub members: usize,
    /// Users by a power law: so many, each in so many rooms. Otherwise each room has members of its own.
    pub law: Option<(usize, usize)>,
    pub sockets_per_user: usize,
    /// Members of each room who send.
    pub senders: usize,
    pub rate: f64,
    pub bytes: usize,
    pub slow_share: f64,
    pub slow_bytes_per_second: usize,
    pub reconnects_per_second: f64,
    pub typing_per_second: f64,
    pub queries_per_second: f64,
    /// Messages that are stored before the first turn.
    pub stored: usize,
    pub seconds: f64,
}

const PLAIN: Scenario = Scenario {
    name: "",
    about: "",
    kind: Kind::Delivery,
    rooms: 100,
    members: 10,
    law: None,
    sockets_per_user: 1,
    senders: usize::MAX,
    rate: 0.0,
    bytes: 128,
    slow_share: 0.0,
    slow_bytes_per_second: 4096,
    reconnects_per_second: 0.0,
    typing_per_second: 0.0,
    queries_per_second: 0.0,
    stored: 0,
    seconds: 5.0,
};

pub const ALL: &[Scenario] = &[
    Scenario {
        name: "one-big-room",
        about: "one room of 1,000, 20 messages a second",
        rooms: 1,
        members: 1000,
        rate: 20.0,
        ..PLAIN
    },
    Scenario {
        name: "many-rooms",
        about: "100 rooms of 10, 2,000 messages a second",
        rate: 2000.0,
        ..PLAIN
    },
    Scenario {
        name: "quiet-rooms",
        about: "100 rooms of 10, 200 messages a second",
        rate: 200.0,
        ..PLAIN
    },
    Scenario {
        name: "lone-message",
        about: "100 rooms of 10, 2 messages a second: what one costs who is alone",
        rate: 2.0,
        ..PLAIN
    },
    Scenario {
        name: "town",
        about: "1,000 users, each in 12 of 200 rooms by a power law, who type and send",
        rooms: 200,
        members: 0,
        law: Some((1000, 12)),
        rate: 100.0,
        typing_per_second: 100.0,
        ..PLAIN
    },
    Scenario {
        name: "idle",
        about: "10,000 connections in rooms of 10 that do nothing",
        kind: Kind::Idle,
        sockets_per_user: 10,
        ..PLAIN
    },
    Scenario {
        name: "storm",
        about: "10,000 connections come back after the server was killed",
        kind: Kind::Storm,
        sockets_per_user: 10,
        ..PLAIN
    },
    Scenario {
        name: "away",
        about: "a client comes back to 10,000 messages in 50 rooms",
        kind: Kind::Away,
        rooms: 50,
        members: 0,
        law: Some((2, 50)),
        stored: 10_000,
        ..PLAIN
    },
    Scenario {
        name: "flood",
        about: "one user sends over 20 connections without a pause while others chat",
        kind: Kind::Flood,
        rooms: 10,
        rate: 100.0,
        ..PLAIN
    },
    Scenario {
        name: "search",
        about: "searches of 100,000 messages while people chat",
        kind: Kind::Search,
        rooms: 10,
        rate: 100.0,
        queries_per_second: 50.0,
        stored: 100_000,
        ..PLAIN
    },
    Scenario {
        name: "history",
        about: "pages of 1,000,000 messages while people chat",
        kind: Kind::History,
        rooms: 10,
        rate: 100.0,
        queries_per_second: 200.0,
        stored: 1_000_000,
        ..PLAIN
    },
];

/// Short scenarios that show whether deliveries are right, not how fast they are.
pub fn check() -> Vec<Scenario> {
    vec![
        Scenario {
            name: "check-rooms",
            about: "20 rooms of 10",
            rooms: 20,
            rate: 200.0,
            seconds: 2.0,
            ..PLAIN
        },
        Scenario {
            name: "check-hardships",
            about: "rooms by a power law, slow readers, connections that end and come back, typing",
            rooms: 20,
            members: 0,
            law: Some((60, 5)),
            rate: 200.0,
            slow_share: 0.1,
            reconnects_per_second: 20.0,
            typing_per_second: 50.0,
            seconds: 2.0,
            ..PLAIN
        },
        Scenario {
            name: "check-away",
            about: "a client comes back to 500 messages in 10 rooms",
            kind: Kind::Away,
            rooms: 10,
            members: 0,
            law: Some((2, 10)),
            stored: 500,
            ..PLAIN
        },
        Scenario {
            name: "check-storm",
            about: "40 connections come back after the server was killed",
            kind: Kind::Storm,
            rooms: 4,
            sockets_per_user: 1,
            ..PLAIN
        },
    ]
}

/// What is changed of a scenario on the command line.
#[derive(Args, Clone, Debug, Default)]
pub struct Changes {
    /// Rooms
    #[arg(long)]
    rooms: Option<usize>,
    /// Members of each room
    #[arg(long)]
    members: Option<usize>,
    /// Members of each room who send
    #[arg(long)]
    senders: Option<usize>,
    /// Connections of each user
    #[arg(long)]
    sockets: Option<usize>,
    /// Messages a second
    #[arg(long)]
    rate: Option<f64>,
    /// Bytes of a message's text
    #[arg(long)]
    bytes: Option<usize>,
    /// Share of connections that read slowly, from 0 to 1
    #[arg(long)]
    slow: Option<f64>,
    /// Connections that end and come back, a second
    #[arg(long)]
    reconnects: Option<f64>,
    /// Times a second that somebody types
    #[arg(long)]
    typing: Option<f64>,
    /// Searches or pages a second
    #[arg(long)]
    queries: Option<f64>,
    /// Messages that are stored before the first turn
    #[arg(long)]
    stored: Option<usize>,
    /// Seconds of a turn
    #[arg(long)]
    seconds: Option<f64>,
}

impl Scenario {
    pub fn named(name: &str) -> Option<Self> {
        ALL.iter().find(|scenario| scenario.name == name).cloned()
    }

    pub fn changed(mut self, changes: &Changes) -> Self {
        fn set<T: Copy>(value: &mut T, change: &Option<T>) {
            if let Some(change) = change {
                *value = *change;
            }
        }
        set(&mut self.rooms, &changes.rooms);
        set(&mut self.members, &changes.members);
        set(&mut self.senders, &changes.senders);
        set(&mut self.sockets_per_user, &changes.sockets);
        set(&mut self.rate, &changes.rate);
        set(&mut self.bytes, &changes.bytes);
        set(&mut self.slow_share, &changes.slow);
        set(&mut self.reconnects_per_second, &changes.reconnects);
        set(&mut self.typing_per_second, &changes.typing);
        set(&mut self.queries_per_second, &changes.queries);
        set(&mut self.stored, &changes.stored);
        set(&mut self.seconds, &changes.seconds);
        self
    }

    /// The scenario as it is run, in a line.
    pub fn setting(&self) -> String {
        let who = match self.law {
            Some((users, each)) => format!("{users} users, each in {each} of {} rooms", self.rooms),
            None => format!("{} rooms of {}", self.rooms, self.members),
        };
        let mut parts = vec![
            who,
            format!("{} connections a user", self.sockets_per_user),
            format!("{} messages/s of {} bytes", self.rate, self.bytes),
        ];
        for (value, name) in [
            (self.slow_share, "of connections slow"),
            (self.reconnects_per_second, "reconnects/s"),
            (self.typing_per_second, "times/s somebody types"),
            (self.queries_per_second, "queries/s"),
            (self.stored as f64, "messages stored"),
            (self.seconds, "s a turn"),
        ] {
            if value > 0.0 {
                parts.push(format!("{value} {name}"));
            }
        }
        parts.join(", ")
    }

    pub fn population(&self) -> Population {
        match self.law {
            Some((users, rooms_each)) => by_law(users, self.rooms, rooms_each),
            None => {
                let users = self.rooms * self.members;
                let all: Vec<usize> = (0..users).collect();
                let rooms = all.chunks(self.members.max(1)).map(<[usize]>::to_vec);
                Population {
                    users,
                    rooms: rooms.collect(),
                }
            }
        }
    }

    /// A turn of its messages.
    pub fn plan(&self, rate: f64, seconds: f64) -> Plan {
        let asked = matches!(self.kind, Kind::Search | Kind::History).then_some(Asked {
            search: self.kind == Kind::Search,
            rate: self.queries_per_second,
            stored: self.stored as u64,
        });
        Plan {
            senders: self.senders,
            by_users: self.law.is_some(),
            slow_share: self.slow_share,
            slow_bytes_per_second: self.slow_bytes_per_second,
            reconnects_per_second: self.reconnects_per_second,
            typing_per_second: self.typing_per_second,
            asked,
            ..Plan::of(Pace::Open(rate), seconds)
        }
    }

    /// What is asked of a server beyond messages: it has to resume, for one.
    pub fn needs_resuming(&self) -> bool {
        self.reconnects_per_second > 0.0 || matches!(self.kind, Kind::Storm | Kind::Away)
    }
}

/// Each user chooses rooms, the n-th with a weight of 1/n. Each room has somebody, if there are enough users.
fn by_law(users: usize, rooms: usize, rooms_each: usize) -> Population {
    let mut random = Random::new(3);
    let mut members = vec![Vec::new(); rooms];
    for user in 0..users {
        let mut weights: Vec<f64> = (1..=rooms).map(|rank| 1.0 / rank as f64).collect();
        for choice in 0..rooms_each.min(rooms) {
            let room = if choice == 0 && user < rooms {
                rooms - 1 - user
            } else {
                choose(&weights, &mut random)
            };
            members[room].push(user);
            weights[room] = 0.0;
        }
    }
    Population {
        users,
        rooms: members,
    }
}

fn choose(weights: &[f64], random: &mut Random) -> usize {
    let mut point = random.unit() * weights.iter().sum::<f64>();
    let chosen = weights.iter().position(|weight| {
        point -= weight;
        point < 0.0
    });
    // Rounding may leave a bit of the sum: then it is the last that has a weight.
    let last = || weights.iter().rposition(|weight| *weight > 0.0);
    chosen.or_else(last).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_town_is_as_described() {
        let population = by_law(1000, 200, 12);
        let rooms = population.rooms_of_users();
        assert!(rooms.iter().all(|rooms| rooms.len() == 12));
        let distinct = |rooms: &Vec<u32>| rooms.windows(2).all(|pair| pair[0] < pair[1]);
        assert!(rooms.iter().all(distinct));
        let sizes: Vec<usize> = population.rooms.iter().map(Vec::len).collect();
        assert!(sizes.iter().all(|size| *size > 0) && sizes[0] > 10 * sizes[199]);
    }

    #[test]
    fn rooms_of_one_size_share_nobody() {
        let population = Scenario::named("many-rooms").unwrap().population();
        assert_eq!((population.users, population.rooms.len()), (1000, 100));
        assert!(
            population
                .rooms_of_users()
                .iter()
                .all(|rooms| rooms.len() == 1)
        );
    }
}

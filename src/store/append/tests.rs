//! The plan against a model that knows nothing but the list of what happened, and scans it.

use std::collections::BTreeSet;

use rand::{Rng, SeedableRng, rngs::SmallRng, seq::IndexedRandom};

use super::*;
use crate::limits;

const ROOMS: u64 = 3;
const USERS: u64 = 5;

/// What happened in a room; all but `Read` took a rev.
#[derive(Clone, Debug)]
enum Happened {
    Began(UserId),
    Came(UserId),
    Went(UserId),
    Sent(UserId, Uuid, Time),
    Read(UserId, Seq),
}

use Happened::*;

struct ModelRoom {
    public: bool,
    happened: Vec<Happened>,
}

/// One change after another, judged by scanning all that happened before.
struct Model {
    rooms: BTreeMap<RoomId, ModelRoom>,
}

impl ModelRoom {
    fn rev(&self) -> Rev {
        let numbered = self.happened.iter().filter(|h| !matches!(h, Read(..)));
        // A room begins with its settings at rev 1.
        1 + numbered.count() as Rev
    }

    fn last_seq(&self) -> Seq {
        let sent = self.happened.iter().filter(|h| matches!(h, Sent(..)));
        sent.count() as Seq
    }

    fn owner(&self) -> UserId {
        match self.happened[0] {
            Began(owner) => owner,
            _ => unreachable!(),
        }
    }

    /// Since when (rev, time's place) he is a member, and his marker.
    fn member(&self, user: UserId) -> Option<(Rev, Seq)> {
        let (mut rev, mut seq, mut found) = (1, 0, None);
        for happened in &self.happened {
            rev += Rev::from(!matches!(happened, Read(..)));
            match happened {
                Began(u) | Came(u) if *u == user => found = Some((rev, seq)),
                Went(u) if *u == user => found = None,
                Sent(u, ..) => {
                    seq += 1;
                    if let (Some(found), true) = (&mut found, *u == user) {
                        found.1 = seq;
                    }
                }
                Read(u, to) if *u == user => {
                    if let Some(found) = &mut found {
                        found.1 = found.1.max(*to);
                    }
                }
                _ => {}
            }
        }
        found
    }

    fn sent(&self, user: UserId, id: Uuid) -> Option<(Seq, Rev, Time)> {
        let (mut rev, mut seq) = (1, 0);
        for happened in &self.happened {
            rev += Rev::from(!matches!(happened, Read(..)));
            if let Sent(u, i, at) = happened {
                seq += 1;
                if (*u, *i) == (user, id) {
                    return Some((seq, rev, *at));
                }
            }
        }
        None
    }
}

impl Model {
    fn absent(room: &ModelRoom) -> Outcome {
        Outcome::Refused(match room.public {
            true => Refused::NotMember,
            false => Refused::NoRoom,
        })
    }

    fn judge(&mut self, change: &Change, now: Time) -> Outcome {
        let Some(room) = self.rooms.get_mut(&change.room_id()) else {
            return Outcome::Refused(Refused::NoRoom);
        };
        let entered = |room: &ModelRoom, user: UserId, joined_at: Option<Time>| {
            let (rev, last_read_seq) = room.member(user).unwrap();
            let role = if room.owner() == user {
                Role::Owner
            } else {
                Role::Member
            };
            Outcome::Joined {
                rev,
                role,
                // The times of those who were there are compared by the tables' rows.
                joined_at: joined_at.unwrap_or(Time(0)),
                last_read_seq,
                changed: joined_at.is_some(),
            }
        };
        match change {
            Change::Send {
                sender,
                id,
                reply_to,
                ..
            } => {
                if let Some((seq, rev, created_at)) = room.sent(sender.id, *id) {
                    return Outcome::Sent {
                        seq,
                        rev,
                        created_at,
                        duplicate: true,
                    };
                }
                if room.member(sender.id).is_none() {
                    return Self::absent(room);
                }
                if reply_to.is_some_and(|seq| seq == 0 || seq > room.last_seq()) {
                    return Outcome::Refused(Refused::NoSuchMessage);
                }
                room.happened.push(Sent(sender.id, *id, now));
                Outcome::Sent {
                    seq: room.last_seq(),
                    rev: room.rev(),
                    created_at: now,
                    duplicate: false,
                }
            }
            Change::Join { user, .. } => {
                if room.member(user.id).is_some() {
                    return entered(room, user.id, None);
                }
                if !room.public {
                    return Outcome::Refused(Refused::NoRoom);
                }
                room.happened.push(Came(user.id));
                entered(room, user.id, Some(now))
            }
            Change::Add { by, user, .. } => {
                if room.member(*by).is_none() {
                    return Self::absent(room);
                }
                if room.member(user.id).is_some() {
                    return entered(room, user.id, None);
                }
                room.happened.push(Came(user.id));
                entered(room, user.id, Some(now))
            }
            Change::Leave { user, .. } => {
                if room.member(user.id).is_none() {
                    return Self::absent(room);
                }
                if room.owner() == user.id {
                    return Outcome::Refused(Refused::NoHeir);
                }
                room.happened.push(Went(user.id));
                Outcome::Left { rev: room.rev() }
            }
            Change::Remove { by, user, .. } => {
                if room.member(*by).is_none() {
                    return Self::absent(room);
                }
                let why = if room.owner() != *by {
                    Refused::NotAdmin
                } else if room.member(user.id).is_none() {
                    Refused::NoSuchMember
                } else if user.id == *by {
                    Refused::OwnerStays
                } else {
                    room.happened.push(Went(user.id));
                    return Outcome::Left { rev: room.rev() };
                };
                Outcome::Refused(why)
            }
            Change::Edit { .. }
            | Change::Delete { .. }
            | Change::React { .. }
            | Change::Pin { .. }
            | Change::SetRole { .. }
            | Change::Settings { .. }
            | Change::DeleteRoom { .. } => unreachable!("not drawn"),
            Change::Read { user_id, seq, .. } => {
                if room.member(*user_id).is_none() {
                    return Self::absent(room);
                }
                let seq = (*seq).min(room.last_seq());
                room.happened.push(Read(*user_id, seq));
                Outcome::Read {
                    last_read_seq: room.member(*user_id).unwrap().1,
                }
            }
        }
    }
}

/// The tables, as a database would keep them between batches.
#[derive(Default)]
struct Tables {
    state: State,
    told: BTreeMap<RoomId, Rev>,
}

impl Tables {
    /// Only the rows that were asked for: a plan must not need others.
    fn load(&self, keys: &Keys) -> State {
        fn pick<K: Clone + Eq + std::hash::Hash, V: Clone>(
            from: &HashMap<K, V>,
            keys: &[K],
        ) -> HashMap<K, V> {
            let found = keys
                .iter()
                .filter_map(|key| Some((key.clone(), from.get(key)?.clone())));
            found.collect()
        }
        let count = |user: &UserId| {
            let of =
                |key: &(RoomId, UserId), row: &MemberRow| key.1 == *user && row.left_at.is_none();
            let rooms = self.state.members.iter().filter(|(key, row)| of(key, row));
            (*user, rooms.count() as u64)
        };
        State {
            rooms: pick(&self.state.rooms, &keys.rooms),
            members: pick(&self.state.members, &keys.members),
            sent: pick(&self.state.sent, &keys.sent),
            room_counts: keys.joiners.iter().map(count).collect(),
            ..State::default()
        }
    }

    fn execute(&mut self, plan: &Plan) {
        let mut revs = BTreeSet::new();
        for message in &plan.messages {
            let key = (message.room_id, message.sender.id, message.id);
            let row = SentRow {
                seq: message.seq,
                rev: message.rev,
                created_at: message.created_at,
            };
            assert!(
                self.state.sent.insert(key, row).is_none(),
                "unique (room, sender, id)"
            );
            assert!(
                revs.insert((message.room_id, message.rev)),
                "one row, one rev"
            );
        }
        for (key, write) in &plan.members {
            let before = self.state.members.insert(*key, write.row.clone());
            assert_eq!(before.is_some(), write.exists);
            assert!(revs.insert((key.0, write.row.rev)), "one row, one rev");
        }
        for (key, seq) in &plan.markers {
            let row = self.state.members.get_mut(key).unwrap();
            assert!(row.last_read_seq < *seq, "a marker only rises");
            row.last_read_seq = *seq;
        }
        for (id, (before, row)) in &plan.rooms {
            let old = self.state.rooms.insert(*id, row.clone()).unwrap();
            assert_eq!(old.rev, *before);
            assert!(row.rev > *before);
            assert!(
                revs.contains(&(*id, row.rev)),
                "the newest row has the head"
            );
        }
        for event in &plan.events {
            let told = self.told.entry(event.room_id).or_insert(2);
            if matches!(event.body, EventBody::Read { .. }) {
                assert_eq!((event.prev, event.rev), (*told, *told), "takes no rev");
                continue;
            }
            assert_eq!((event.prev, event.rev), (*told, *told + 1));
            *told = event.rev;
        }
        for (id, room) in &self.state.rooms {
            assert_eq!(
                self.told.get(id).copied().unwrap_or(2),
                room.rev,
                "all is told"
            );
        }
    }
}

fn person(id: u64) -> UserSummary {
    UserSummary {
        id: UserId(id),
        username: format!("user{id}"),
        full_name: None,
    }
}

/// Rooms 1 to 3, the last one private, each with its number's user as owner, on both sides.
fn begin() -> (Model, Tables) {
    let mut model = Model {
        rooms: BTreeMap::new(),
    };
    let mut tables = Tables::default();
    for n in 1..=ROOMS {
        let (id, public) = (RoomId(n), n != ROOMS);
        let room = ModelRoom {
            public,
            happened: vec![Began(UserId(n))],
        };
        model.rooms.insert(id, room);
        let row = RoomRow {
            kind: if public {
                RoomKind::Public
            } else {
                RoomKind::Private
            },
            last_seq: 0,
            rev: 2,
            member_count: 1,
            first_seq: 1,
            archived_at: None,
        };
        tables.state.rooms.insert(id, row);
        let owner = MemberRow {
            role: Role::Owner,
            joined_at: Time(0),
            joined_seq: 0,
            joined_rev: 2,
            left_at: None,
            last_read_seq: 0,
            rev: 2,
        };
        tables.state.members.insert((id, UserId(n)), owner);
    }
    (model, tables)
}

fn random_change(random: &mut SmallRng, ids: &[Uuid]) -> Change {
    // Sometimes a room that isn't there.
    let room_id = RoomId(random.random_range(1..=ROOMS + 1));
    let user = person(random.random_range(1..=USERS));
    let by = UserId(random.random_range(1..=USERS));
    match random.random_range(0..12) {
        0..5 => Change::Send {
            room_id,
            sender: user,
            id: *ids.choose(random).unwrap(),
            content: "text".into(),
            reply_to: random.random_bool(0.2).then(|| random.random_range(0..6)),
            named: Default::default(),
        },
        5 | 6 => Change::Join { room_id, user },
        7 => Change::Leave { room_id, user },
        8 | 9 => Change::Add { room_id, by, user },
        10 => Change::Remove { room_id, by, user },
        _ => Change::Read {
            room_id,
            user_id: user.id,
            seq: random.random_range(0..9),
        },
    }
}

#[test]
fn batches_give_what_their_changes_give_one_by_one() {
    for seed in 0..400 {
        let mut random = SmallRng::seed_from_u64(seed);
        let (mut model, mut tables) = begin();
        // Few ids, so that many are sent again.
        let ids: Vec<Uuid> = (0..12).map(|_| Uuid::from_u128(random.random())).collect();
        for round in 1..=20 {
            let now = Time(round);
            let size = random.random_range(1..=15);
            let batch: Vec<Change> = (0..size)
                .map(|_| random_change(&mut random, &ids))
                .collect();
            let keys = keys(&batch);
            let plan = plan(&batch, tables.load(&keys), now);
            tables.execute(&plan);
            let expected: Vec<Outcome> = batch.iter().map(|c| model.judge(c, now)).collect();
            for ((change, outcome), expected) in batch.iter().zip(&plan.outcomes).zip(expected) {
                let mut outcome = outcome.clone();
                if let Outcome::Joined {
                    joined_at,
                    changed: false,
                    ..
                } = &mut outcome
                {
                    *joined_at = Time(0);
                }
                assert_eq!(outcome, expected, "seed {seed}, round {round}: {change:?}");
            }
        }
        for (id, room) in &model.rooms {
            let row = &tables.state.rooms[id];
            assert_eq!(
                (row.rev, row.last_seq),
                (room.rev(), room.last_seq()),
                "seed {seed}"
            );
            let mut members = 0;
            for user in (1..=USERS).map(UserId) {
                let row = tables.state.members.get(&(*id, user));
                let row = row.filter(|row| row.left_at.is_none());
                let stands = row.map(|row| (row.rev, row.last_read_seq));
                assert_eq!(stands, room.member(user), "seed {seed}");
                members += u64::from(stands.is_some());
            }
            assert_eq!(row.member_count, members);
        }
    }
}

#[test]
fn a_join_a_send_and_a_removal_share_a_batch() {
    let (_, mut tables) = begin();
    let (room_id, owner, guest) = (RoomId(1), UserId(1), person(4));
    let id = Uuid::from_u128(1);
    let send = |id| Change::Send {
        room_id,
        sender: guest.clone(),
        id,
        content: "text".into(),
        reply_to: None,
        named: Default::default(),
    };
    let batch = [
        send(id),
        Change::Join {
            room_id,
            user: guest.clone(),
        },
        send(id),
        Change::Remove {
            room_id,
            by: owner,
            user: guest.clone(),
        },
        send(id),
        send(Uuid::from_u128(2)),
        Change::Join {
            room_id,
            user: guest.clone(),
        },
        Change::Read {
            room_id,
            user_id: guest.id,
            seq: 9,
        },
    ];
    let plan = plan(&batch, tables.load(&keys(&batch)), Time(7));
    let sent = |duplicate| Outcome::Sent {
        seq: 1,
        rev: 4,
        created_at: Time(7),
        duplicate,
    };
    let joined = |rev, last_read_seq| Outcome::Joined {
        rev,
        role: Role::Member,
        joined_at: Time(7),
        last_read_seq,
        changed: true,
    };
    let expected = [
        Outcome::Refused(Refused::NotMember),
        joined(3, 0),
        sent(false),
        Outcome::Left { rev: 5 },
        sent(true),
        Outcome::Refused(Refused::NotMember),
        joined(6, 1),
        Outcome::Read { last_read_seq: 1 },
    ];
    assert_eq!(plan.outcomes, expected);
    assert_eq!(
        plan.members.len(),
        1,
        "one row, written once, in its last state"
    );
    assert!(plan.markers.is_empty());
    tables.execute(&plan);
}

#[test]
fn a_batch_that_changes_nothing_writes_nothing() {
    let (_, tables) = begin();
    let (room_id, owner) = (RoomId(1), person(1));
    let batch = [
        Change::Join {
            room_id,
            user: owner.clone(),
        },
        Change::Leave {
            room_id,
            user: owner.clone(),
        },
        Change::Read {
            room_id,
            user_id: owner.id,
            seq: 5,
        },
        Change::Join {
            room_id: RoomId(3),
            user: owner.clone(),
        },
        Change::Join {
            room_id: RoomId(9),
            user: owner,
        },
    ];
    let plan = plan(&batch, tables.load(&keys(&batch)), Time(7));
    assert_eq!(plan.outcomes[1], Outcome::Refused(Refused::NoHeir));
    assert!(plan.messages.is_empty() && plan.members.is_empty() && plan.markers.is_empty());
    assert!(plan.rooms.is_empty() && plan.events.is_empty());
}

#[test]
fn the_last_place_is_given_once() {
    let (_, tables) = begin();
    let guest = person(5);
    let batch: Vec<Change> = [1, 2, 1]
        .map(|n| Change::Join {
            room_id: RoomId(n),
            user: guest.clone(),
        })
        .into_iter()
        .chain([
            Change::Leave {
                room_id: RoomId(1),
                user: guest.clone(),
            },
            Change::Join {
                room_id: RoomId(2),
                user: guest.clone(),
            },
        ])
        .collect();
    let mut state = tables.load(&keys(&batch));
    state
        .room_counts
        .insert(guest.id, limits::ROOMS_PER_USER_MAX as u64 - 1);
    let plan = plan(&batch, state, Time(7));
    let full = Outcome::Refused(Refused::TooManyRooms);
    assert!(matches!(
        plan.outcomes[0],
        Outcome::Joined { changed: true, .. }
    ));
    assert_eq!(plan.outcomes[1], full);
    assert!(matches!(
        plan.outcomes[2],
        Outcome::Joined { changed: false, .. }
    ));
    assert!(matches!(
        plan.outcomes[4],
        Outcome::Joined { changed: true, .. }
    ));
}

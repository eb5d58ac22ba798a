//! The plan against a model that knows nothing but the list of what happened, and reads it.

use std::collections::BTreeSet;

use rand::{Rng, SeedableRng, rngs::SmallRng, seq::IndexedRandom};
use uuid::Uuid;

use self::{
    judge::Model,
    model::{Entry, Happened, ModelRoom},
    tables::Tables,
};
use super::{state::ReactionKey, *};
use crate::{
    limits,
    protocol::{
        Seq,
        rest::{Mentions, Role, UserSummary},
    },
    store::change::{EVERYONE, Named},
};

mod judge;
mod model;
mod tables;

/// Public, public and as large as rooms are where not everybody may mention all, private, direct.
const ROOMS: [RoomKind; 4] = [
    RoomKind::Public,
    RoomKind::Public,
    RoomKind::Private,
    RoomKind::Direct,
];
const USERS: u64 = 5;

/// Rooms that a user is in and that nobody here looks at: the last user may join one more, the one before two.
fn elsewhere(user: UserId) -> u64 {
    match user.0 {
        USERS => limits::ROOMS_PER_USER_MAX as u64 - 1,
        4 => limits::ROOMS_PER_USER_MAX as u64 - 2,
        _ => 0,
    }
}

fn person(id: u64) -> UserSummary {
    UserSummary {
        id: UserId(id),
        username: format!("user{id}"),
        full_name: None,
    }
}

/// Rooms 1 to 4, each of the first three with its number's user as owner, on both sides.
fn begin() -> (Model, Tables) {
    let (mut rooms, mut tables) = (BTreeMap::new(), Tables::default());
    for (n, kind) in (1..).zip(ROOMS) {
        let (id, by, at) = (RoomId(n), UserId(n), Time(0));
        let entry = |what| Entry { at, by, what };
        let mut happened = vec![entry(Happened::Set {
            name: "a room".into(),
            topic: String::new(),
            archived: None,
        })];
        let users: Vec<u64> = match (n, kind) {
            (_, RoomKind::Direct) => vec![1, 2],
            (2, _) => std::iter::once(2).chain(101..200).collect(),
            _ => vec![n],
        };
        for user in &users {
            happened.push(entry(Happened::Came(UserId(*user))));
        }
        let room = ModelRoom { kind, happened };
        let seen = room.seen();
        let row = RoomRow {
            kind,
            last_seq: 0,
            shown_seq: 0,
            deleted_seq: 0,
            rev: seen.rev,
            member_count: users.len() as u64,
            first_seq: 1,
            archived_at: None,
        };
        tables.rooms.insert(id, row);
        let settings = SettingsRow {
            name: "a room".into(),
            topic: String::new(),
            created_by: by,
            created_at: at,
        };
        tables.settings.insert(id, (1, settings));
        for (user, row) in seen.members {
            tables.members.insert((id, user), row);
        }
        tables.told.insert(id, seen.rev);
        rooms.insert(id, room);
    }
    (Model { rooms }, tables)
}

/// Few of everything, so that much meets.
fn random_change(random: &mut SmallRng, ids: &[Uuid]) -> Change {
    // Sometimes a room that isn't there.
    let rooms = ROOMS.len() as u64;
    let room_id = if random.random_bool(0.02) {
        RoomId(rooms + 1)
    } else {
        RoomId(random.random_range(1..=rooms))
    };
    // Mostly members.
    let mut somebody = || {
        if random.random_bool(0.8) {
            person(random.random_range(1..=3))
        } else {
            person(random.random_range(4..=USERS))
        }
    };
    let (user, by) = (somebody(), somebody());
    let (user_id, seq) = (user.id, random.random_range(0..6));
    let on = random.random_bool(0.7);
    // Lists of two; whoever is less often there comes first.
    let named = |random: &mut SmallRng| -> Named {
        let users = (1..=USERS).rev().filter(|_| random.random_bool(0.3));
        let mut users: Vec<UserId> = users.map(UserId).collect();
        users.extend(random.random_bool(0.2).then_some(EVERYONE));
        users.chunks(2).map(<[UserId]>::to_vec).collect()
    };
    let word = |random: &mut SmallRng| ["one", "two", "three"].choose(random).unwrap().to_string();
    match random.random_range(0..100) {
        0..20 => Change::Send {
            room_id,
            sender: user,
            id: *ids.choose(random).unwrap(),
            content: word(random),
            reply_to: random.random_bool(0.2).then_some(seq),
            named: named(random),
        },
        20..30 => Change::Edit {
            room_id,
            user_id,
            seq,
            content: word(random),
            named: named(random),
        },
        30..36 => Change::Delete {
            room_id,
            user_id,
            seq,
        },
        36..50 => Change::React {
            room_id,
            user_id,
            seq: seq % 3,
            emoji: emoji(random.random_range(0..limits::REACTION_KINDS_MAX + 2)),
            on,
        },
        50..56 => Change::Pin {
            room_id,
            user_id,
            seq,
            on,
        },
        56..62 => Change::Join { room_id, user },
        62..68 => Change::Leave {
            room_id,
            user,
            heir: on.then_some(by),
        },
        68..75 => Change::Add {
            room_id,
            by: by.id,
            user,
            back: on,
        },
        75..79 => Change::Remove {
            room_id,
            by: by.id,
            user,
        },
        79..88 => Change::SetRole {
            room_id,
            by,
            user,
            role: *[Role::Owner, Role::Admin, Role::Admin, Role::Member]
                .choose(random)
                .unwrap(),
        },
        88..92 => Change::Settings {
            room_id,
            by: by.id,
            name: on.then(|| word(random)),
            topic: random.random_bool(0.3).then(|| word(random)),
            archived: [None, None, Some(false), Some(false), Some(true)]
                .choose(random)
                .copied()
                .flatten(),
        },
        92 => Change::DeleteRoom { room_id, by: by.id },
        _ => Change::Read {
            room_id,
            user_id,
            seq,
        },
    }
}

fn emoji(n: usize) -> String {
    n.to_string()
}

/// So that much can happen: members, an admin in each room, a message with all but the last kind of reaction.
fn prelude() -> Vec<Change> {
    let mut batch = Vec::new();
    for n in 1..=3 {
        let (room_id, by) = (RoomId(n), person(n));
        for user in (1..=3).filter(|user| *user != n).map(person) {
            batch.push(Change::Add {
                room_id,
                by: by.id,
                user,
                back: true,
            });
        }
        batch.push(Change::SetRole {
            room_id,
            user: person(n % 3 + 1),
            by,
            role: Role::Admin,
        });
    }
    batch.push(Change::Send {
        room_id: RoomId(4),
        sender: person(1),
        id: Uuid::from_u128(0),
        content: "one".into(),
        reply_to: None,
        named: Named::default(),
    });
    batch.extend((1..limits::REACTION_KINDS_MAX).map(|n| Change::React {
        room_id: RoomId(4),
        user_id: UserId(2),
        seq: 1,
        emoji: emoji(n),
        on: true,
    }));
    batch
}

/// Whatever may become of each change.
const OUTCOMES: [(&str, &str); 13] = [
    ("Send", "Sent NoRoom NotMember Archived NoSuchMessage"),
    (
        "Edit",
        "changed unchanged NoRoom NotMember Archived NoMessage NotAuthor",
    ),
    (
        "Delete",
        "changed unchanged NoRoom NotMember Archived NoMessage NotAuthor",
    ),
    (
        "React",
        "changed unchanged NoRoom NotMember Archived NoMessage TooManyReactions",
    ),
    (
        "Pin",
        "changed unchanged NoRoom NotMember Archived NoMessage NotAdmin",
    ),
    ("Join", "changed unchanged NoRoom Archived TooManyRooms"),
    ("Leave", "Left NoRoom NotMember Direct NoHeir"),
    (
        "Add",
        "changed unchanged NoRoom NotMember Archived Direct TooManyRooms",
    ),
    (
        "Remove",
        "Left NoRoom NotMember Archived Direct NotAdmin NotOwner OwnerStays NoSuchMember",
    ),
    (
        "SetRole",
        "changed unchanged NoRoom NotMember Archived Direct NotOwner OwnerStays NoSuchMember",
    ),
    ("Settings", "Set NoRoom NotMember Archived Direct NotAdmin"),
    (
        "DeleteRoom",
        "RoomDeleted NoRoom NotMember Archived Direct NotOwner",
    ),
    ("Read", "Read NoRoom NotMember"),
];

/// How often an outcome was seen, by what it says.
fn note(seen: &mut BTreeMap<String, u32>, change: &Change, outcome: &Outcome) {
    let name = |text: String| text.split([' ', '{']).next().unwrap_or_default().to_owned();
    let outcome = match outcome {
        Outcome::Refused(refused) => format!("{refused:?}"),
        Outcome::Updated { changed, .. } | Outcome::Joined { changed, .. } => {
            (if *changed { "changed" } else { "unchanged" }).to_owned()
        }
        other => name(format!("{other:?}")),
    };
    *seen
        .entry(format!("{} {outcome}", name(format!("{change:?}"))))
        .or_default() += 1;
}

fn planned(batch: &[Change], tables: &Tables, now: Time) -> Plan {
    let keys = Keys::of(batch);
    plan(batch, &keys, tables.load(&keys), now)
}

/// Runs a batch on both sides, and compares what is answered, told and kept.
fn run(model: &mut Model, tables: &mut Tables, batch: &[Change], now: Time) -> Vec<Outcome> {
    let plan = planned(batch, tables, now);
    tables.execute(&plan);
    for (change, outcome) in batch.iter().zip(&plan.outcomes) {
        let expected = model.judge(change, now);
        assert_eq!(*outcome, expected, "{change:?} of {batch:#?} at {now:?}");
    }
    for event in &plan.events {
        model.rooms[&event.room_id].check_told(event);
    }
    for (id, room) in &model.rooms {
        tables.check(*id, room);
    }
    plan.outcomes
}

#[test]
fn batches_give_what_their_changes_give_one_by_one() {
    let mut noted = BTreeMap::new();
    for seed in 0..150 {
        eprintln!("seed {seed}");
        let mut random = SmallRng::seed_from_u64(seed);
        let (mut model, mut tables) = begin();
        // Few ids, so that many are sent again.
        let ids: Vec<Uuid> = (0..12).map(|_| Uuid::from_u128(random.random())).collect();
        for round in 1..=20 {
            let now = Time(round);
            let size = random.random_range(1..=15);
            let random = (0..size).map(|_| random_change(&mut random, &ids));
            let batch: Vec<Change> = match round {
                1 => prelude(),
                _ => random.collect(),
            };
            for (change, outcome) in batch.iter().zip(run(&mut model, &mut tables, &batch, now)) {
                note(&mut noted, change, &outcome);
            }
        }
    }
    // What is random must not miss anything.
    for (change, outcomes) in OUTCOMES {
        for outcome in outcomes.split(' ') {
            let seen = noted.contains_key(&format!("{change} {outcome}"));
            assert!(seen, "{change} {outcome}: never; {noted:#?}");
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
    let plan = planned(&batch, &tables, Time(7));
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
            heir: None,
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
    let plan = planned(&batch, &tables, Time(7));
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
                heir: None,
            },
            Change::Join {
                room_id: RoomId(2),
                user: guest.clone(),
            },
        ])
        .collect();
    let keys = Keys::of(&batch);
    let mut state = tables.load(&keys);
    state
        .room_counts
        .insert(guest.id, limits::ROOMS_PER_USER_MAX as u64 - 1);
    let plan = plan(&batch, &keys, state, Time(7));
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

/// Who may follow an owner depends on rows that no change of the batch names.
#[test]
fn the_oldest_admin_follows_whoever_was_given_the_room() {
    let (mut model, mut tables) = begin();
    let room_id = RoomId(1);
    let [one, two, three] = [1, 2, 3].map(person);
    let role = |by: &UserSummary, user: &UserSummary, role| Change::SetRole {
        room_id,
        by: by.clone(),
        user: user.clone(),
        role,
    };
    let add = |user: &UserSummary| Change::Add {
        room_id,
        by: one.id,
        user: user.clone(),
        back: true,
    };
    let leave = |user: &UserSummary| Change::Leave {
        room_id,
        user: user.clone(),
        heir: None,
    };
    let join = Change::Join {
        room_id,
        user: one.clone(),
    };
    let before = [
        add(&two),
        add(&three),
        role(&one, &three, Role::Owner),
        leave(&one),
        join,
        role(&three, &two, Role::Admin),
    ];
    run(&mut model, &mut tables, &before, Time(1));
    let batch = [role(&three, &one, Role::Owner), leave(&one)];
    run(&mut model, &mut tables, &batch, Time(2));
    assert_eq!(tables.members[&(room_id, two.id)].role, Role::Owner);
    // Each heir leaves in turn, the last one can't.
    let batch = [leave(&two), leave(&three)];
    let outcomes = run(&mut model, &mut tables, &batch, Time(3));
    assert_eq!(outcomes[1], Outcome::Refused(Refused::NoHeir));
}

/// Its memberships end with it, though no change of the batch names them.
#[test]
fn a_room_that_ends_takes_no_place() {
    let (mut model, mut tables) = begin();
    // One more is their last.
    let user = person(USERS);
    let join = |n| Change::Join {
        room_id: RoomId(n),
        user: user.clone(),
    };
    let full = Outcome::Refused(Refused::TooManyRooms);
    let outcomes = run(&mut model, &mut tables, &[join(1), join(2)], Time(1));
    assert_eq!(outcomes[1], full);
    let end = Change::DeleteRoom {
        room_id: RoomId(1),
        by: UserId(1),
    };
    let outcomes = run(&mut model, &mut tables, &[join(2), end, join(2)], Time(2));
    assert_eq!(outcomes[0], full);
    assert!(matches!(outcomes[2], Outcome::Joined { changed: true, .. }));
}

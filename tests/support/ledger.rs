//! What the people of a crowd ask for that a repetition doesn't change (texts, reactions, pins, roles, settings)
//! and what they were answered. Each thing is changed by one of them alone, who has one change of it open at a
//! time and repeats it until it is answered for good: so what was answered last is what must be there. Pure
//! state; the caller counts moments.

use std::collections::BTreeMap;

use serde_json::Value;

/// What may be changed. Rooms and users are named by their ids, messages by room and `seq`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    /// Of a message; null: deleted.
    Text(u64, u64),
    /// Of a message, with this emoji, by this user.
    Reaction(u64, u64, String, u64),
    Pin(u64, u64),
    Role(u64, u64),
    /// Of a room; the former one becomes its admin.
    Owner(u64),
    Name(u64),
    Archived(u64),
}

impl Thing {
    pub fn room_id(&self) -> u64 {
        match self {
            Thing::Text(room_id, _)
            | Thing::Reaction(room_id, ..)
            | Thing::Pin(room_id, _)
            | Thing::Role(room_id, _)
            | Thing::Owner(room_id)
            | Thing::Name(room_id)
            | Thing::Archived(room_id) => *room_id,
        }
    }

    /// The message that it is about.
    pub fn seq(&self) -> Option<u64> {
        match self {
            Thing::Text(_, seq) | Thing::Reaction(_, seq, ..) | Thing::Pin(_, seq) => Some(*seq),
            _ => None,
        }
    }

    /// One row changed is one `rev`.
    fn rows(&self) -> u64 {
        match self {
            Thing::Owner(_) => 2,
            _ => 1,
        }
    }
}

/// What a thing was asked to be, always another than it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    pub value: Value,
    /// An attempt was never answered, or by a retryable error: it may have been done.
    pub perhaps: bool,
    pub fate: Fate,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    Open,
    Done {
        /// Of a message's row.
        rev: u64,
        /// The moment of the answer.
        heard: u64,
    },
    /// The code of an error that isn't retryable.
    Refused(String),
}

/// All that was ever asked of one thing.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// Before the first of them.
    first: Value,
    pub all: Vec<Wish>,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Ledger(BTreeMap<Thing, Wishes>);

impl Ledger {
    pub fn iter(&self) -> impl Iterator<Item = (&Thing, &Wishes)> {
        self.0.iter()
    }

    pub fn get(&self, thing: &Thing) -> Option<&Wishes> {
        self.0.get(thing)
    }

    /// How the thing stands, which was `first` before anybody asked. `None`: who wants to change it can't know.
    pub fn known(&self, thing: &Thing, first: Value) -> Option<Value> {
        match self.0.get(thing) {
            None => Some(first),
            Some(wishes) => wishes.known(),
        }
    }

    pub fn wish(&mut self, thing: Thing, first: Value, value: Value) {
        let known = self.known(&thing, first.clone());
        assert!(
            known.as_ref().is_some_and(|known| *known != value),
            "{thing:?} is {known:?}, and asked to be {value}"
        );
        let all = Vec::new();
        let wishes = self.0.entry(thing).or_insert(Wishes { first, all });
        wishes.all.push(Wish {
            value,
            perhaps: false,
            fate: Fate::Open,
        });
    }

    fn open(&mut self, thing: &Thing) -> &mut Wish {
        let last = self
            .0
            .get_mut(thing)
            .and_then(|wishes| wishes.all.last_mut());
        let last = last.unwrap_or_else(|| panic!("{thing:?} was never asked for"));
        assert_eq!(last.fate, Fate::Open, "{thing:?} was answered: {last:?}");
        last
    }

    /// An attempt has no answer that says what became of it.
    pub fn unanswered(&mut self, thing: &Thing) {
        self.open(thing).perhaps = true;
    }

    pub fn answered(&mut self, thing: &Thing, fate: Fate) {
        self.open(thing).fate = fate;
    }

    /// The fewest and the most `rev` that all this took of a room. A message that was deleted refuses in
    /// silence what would take something from it.
    pub fn revs(&self, room_id: u64, is_deleted: impl Fn(u64) -> bool) -> (u64, u64) {
        let (mut least, mut most) = (0, 0);
        let of_room = self
            .0
            .iter()
            .filter(|(thing, _)| thing.room_id() == room_id);
        for (thing, wishes) in of_room {
            for wish in &wishes.all {
                let void = wish.value == false && thing.seq().is_some_and(&is_deleted);
                let (done, perhaps) = match wish.fate {
                    Fate::Done { .. } => (!void, true),
                    Fate::Open | Fate::Refused(_) => (false, wish.perhaps),
                };
                least += u64::from(done) * thing.rows();
                most += u64::from(perhaps) * thing.rows();
            }
        }
        (least, most)
    }
}

impl Wishes {
    fn known(&self) -> Option<Value> {
        let mut known = Some(&self.first);
        for wish in &self.all {
            match wish.fate {
                Fate::Done { .. } => known = Some(&wish.value),
                Fate::Refused(_) if !wish.perhaps => {}
                Fate::Open | Fate::Refused(_) => known = None,
            }
        }
        known.cloned()
    }

    /// What the thing may be in tables that were read after this moment, and perhaps before now.
    pub fn possible(&self, moment: u64) -> Vec<&Value> {
        let mut possible = vec![&self.first];
        for wish in &self.all {
            match wish.fate {
                Fate::Done { heard, .. } if heard < moment => possible = vec![&wish.value],
                Fate::Refused(_) if !wish.perhaps => {}
                _ => possible.push(&wish.value),
            }
        }
        possible
    }

    /// One of them was done and answered before this moment.
    pub fn are_answered(&self, moment: u64) -> bool {
        let mut fates = self.all.iter().map(|wish| &wish.fate);
        fates.any(|fate| matches!(fate, Fate::Done { heard, .. } if *heard < moment))
    }

    /// The `rev` of its row as it was last answered before this moment.
    pub fn rev(&self, moment: u64) -> u64 {
        let answered = self.all.iter().map(|wish| match wish.fate {
            Fate::Done { rev, heard } if heard < moment => rev,
            _ => 0,
        });
        answered.max().unwrap_or(0)
    }
}

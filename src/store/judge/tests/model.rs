//! What should happen: a room that remembers nothing but what happened in it, and reads the rest from there.

use super::*;
use crate::store::What;

/// What happened in a room; all but `Read` took a rev.
#[derive(Clone, Debug)]
pub enum Happened {
    Set {
        name: String,
        topic: String,
        archived: Option<Time>,
    },
    Came(UserId),
    Went(UserId),
    Became(UserId, Role),
    Sent {
        by: UserId,
        id: Uuid,
        text: String,
        mentions: Mentions,
    },
    Edited(Seq, String, Mentions),
    Deleted(Seq),
    Reacted(Seq, String, bool),
    Pinned(Seq, bool),
    Read(UserId, Seq),
    Ended,
}

use Happened::*;

/// When and by whom.
pub struct Entry {
    pub at: Time,
    pub by: UserId,
    pub what: Happened,
}

pub struct ModelRoom {
    pub kind: RoomKind,
    pub happened: Vec<Entry>,
}

/// What a look at everything that happened shows.
#[derive(Default)]
pub struct Seen {
    pub rev: Rev,
    pub name: String,
    pub topic: String,
    pub settings_rev: Rev,
    pub archived: Option<Time>,
    pub ended: Option<Time>,
    /// Those who have left too.
    pub members: BTreeMap<UserId, MemberRow>,
    /// By seq - 1.
    pub messages: Vec<(MessageRow, Uuid, Time)>,
    pub reactions: BTreeMap<(Seq, String, UserId), Rev>,
}

impl Seen {
    pub fn last_seq(&self) -> Seq {
        self.messages.len() as Seq
    }

    pub fn present(&self) -> impl Iterator<Item = (&UserId, &MemberRow)> {
        self.members.iter().filter(|(_, row)| row.left_at.is_none())
    }

    pub fn member(&self, user: UserId) -> Option<&MemberRow> {
        let row = self.members.get(&user);
        row.filter(|row| row.left_at.is_none())
    }

    pub fn message(&self, seq: Seq) -> Option<&MessageRow> {
        let index = (seq as usize).checked_sub(1)?;
        Some(&self.messages.get(index)?.0)
    }

    pub fn sent(&self, user: UserId, id: Uuid) -> Option<(Seq, Rev, Time)> {
        (1..).zip(&self.messages).find_map(|(seq, (row, of, at))| {
            ((row.sender_id, *of) == (user, id)).then_some((seq, row.rev, *at))
        })
    }

    pub fn kinds(&self, seq: Seq) -> BTreeSet<&str> {
        let of = self.reactions.keys().filter(|(of, ..)| *of == seq);
        of.map(|(_, emoji, _)| emoji.as_str()).collect()
    }

    /// Whom a text means of those it names.
    pub fn mentions(&self, by: UserId, named: &Named) -> Mentions {
        let may = self.present().count() as u64 <= limits::MENTION_ALL_ROOM_MAX
            || self.members[&by].role != Role::Member;
        let (mut users, mut all) = (BTreeSet::new(), false);
        for meant in named {
            for user in meant {
                if *user == EVERYONE {
                    all = may;
                } else if self.member(*user).is_some() {
                    users.insert(*user);
                } else {
                    continue;
                }
                break;
            }
        }
        Mentions {
            users: users.into_iter().collect(),
            all,
        }
    }
}

impl ModelRoom {
    pub fn seen(&self) -> Seen {
        let mut seen = Seen::default();
        for Entry { at, by, what } in &self.happened {
            if !matches!(what, Read(..)) {
                seen.rev += 1;
            }
            let (rev, last_seq) = (seen.rev, seen.last_seq());
            match what {
                Set {
                    name,
                    topic,
                    archived,
                } => {
                    (seen.name, seen.topic) = (name.clone(), topic.clone());
                    (seen.archived, seen.settings_rev) = (*archived, rev);
                }
                Came(user) => {
                    // A room begins with its owner.
                    let owns = rev == 2 && self.kind != RoomKind::Direct;
                    let row = MemberRow {
                        role: if owns { Role::Owner } else { Role::Member },
                        joined_at: *at,
                        joined_seq: last_seq,
                        joined_rev: rev,
                        left_at: None,
                        last_read_seq: last_seq,
                        rev,
                    };
                    seen.members.insert(*user, row);
                }
                Went(user) => {
                    let row = seen.members.get_mut(user).unwrap();
                    (row.left_at, row.role, row.rev) = (Some(*at), Role::Member, rev);
                }
                Became(user, role) => {
                    let row = seen.members.get_mut(user).unwrap();
                    (row.role, row.rev) = (*role, rev);
                }
                Sent {
                    by,
                    id,
                    text,
                    mentions,
                } => {
                    let row = MessageRow {
                        rev,
                        sender_id: *by,
                        content: Some(text.clone()),
                        edited_at: None,
                        deleted_at: None,
                        pinned_at: None,
                        mentions: mentions.clone(),
                        reactions: 0,
                    };
                    seen.messages.push((row, *id, *at));
                    seen.members.get_mut(by).unwrap().last_read_seq = last_seq + 1;
                }
                Edited(seq, text, mentions) => {
                    let row = &mut seen.messages[*seq as usize - 1].0;
                    (row.content, row.mentions) = (Some(text.clone()), mentions.clone());
                    (row.edited_at, row.rev) = (Some(*at), rev);
                }
                Deleted(seq) => {
                    let row = &mut seen.messages[*seq as usize - 1].0;
                    (row.content, row.mentions) = (None, Mentions::default());
                    (row.pinned_at, row.reactions) = (None, 0);
                    (row.deleted_at, row.rev) = (Some(*at), rev);
                    seen.reactions.retain(|(of, ..), _| of != seq);
                }
                Reacted(seq, emoji, on) => {
                    let key = (*seq, emoji.clone(), *by);
                    if *on {
                        seen.reactions.insert(key, rev)
                    } else {
                        seen.reactions.remove(&key)
                    };
                    let of = seen.reactions.keys().filter(|(of, ..)| of == seq);
                    let row = &mut seen.messages[*seq as usize - 1].0;
                    (row.reactions, row.rev) = (of.count() as u64, rev);
                }
                Pinned(seq, on) => {
                    let row = &mut seen.messages[*seq as usize - 1].0;
                    (row.pinned_at, row.rev) = (on.then_some(*at), rev);
                }
                Read(user, seq) => seen.members.get_mut(user).unwrap().last_read_seq = *seq,
                Ended => {
                    seen.ended = Some(*at);
                    for row in seen.members.values_mut() {
                        row.left_at.get_or_insert(*at);
                    }
                }
            }
        }
        seen
    }

    /// What is told of the entry that took this rev.
    fn entry(&self, rev: Rev) -> &Entry {
        let mut numbered = self.happened.iter().filter(|e| !matches!(e.what, Read(..)));
        numbered.nth(rev as usize - 1).unwrap()
    }

    /// An event tells what happened at its rev, whole.
    pub fn check_told(&self, event: &Event) {
        if let EventBody::Read { user_id, seq, .. } = event.body {
            let of = |entry: &Entry| matches!(entry.what, Read(u, s) if (u, s) == (user_id, seq));
            assert!(self.happened.iter().any(of), "{event:?}");
            return;
        }
        let Entry { at, by, what } = self.entry(event.rev);
        let told = match (&event.body, what) {
            (EventBody::Deleted { .. }, Ended) => true,
            (
                EventBody::Room(room),
                Set {
                    name,
                    topic,
                    archived,
                },
            ) => {
                let of = (&room.name, &room.topic, room.archived_at);
                of == (name, topic, *archived) && room.rev == event.rev && room.kind == self.kind
            }
            (EventBody::Member(member), what) => {
                let stands = match what {
                    Came(user) => Some((*user, Some(Role::Member))),
                    Went(user) => Some((*user, None)),
                    Became(user, role) => Some((*user, Some(*role))),
                    _ => None,
                };
                let begins = member.joined_rev == event.rev;
                stands == Some((member.user.id, member.role))
                    && begins == matches!(what, Came(_))
                    && (member.by, member.at) == (Some(*by), Some(*at))
            }
            (
                EventBody::Message(message),
                Sent {
                    by,
                    id,
                    text,
                    mentions,
                },
            ) => {
                (message.sender.id, message.id, &message.mentions) == (*by, *id, mentions)
                    && message.content.as_ref() == Some(text)
                    && (message.rev, message.created_at) == (event.rev, *at)
            }
            (EventBody::Updated(update), what) => {
                update.by == *by
                    && match (&update.what, what) {
                        (
                            What::Edited {
                                content,
                                at: edited,
                                mentions,
                            },
                            Edited(seq, text, meant),
                        ) => (update.seq, content, mentions) == (*seq, text, meant) && edited == at,
                        (What::Deleted { at: deleted }, Deleted(seq)) => {
                            update.seq == *seq && deleted == at
                        }
                        (What::Pinned { at: pinned }, Pinned(seq, on)) => {
                            update.seq == *seq && *pinned == on.then_some(*at)
                        }
                        (What::Reacted { emoji, on, count }, Reacted(seq, of, was)) => {
                            let counted = self.count_at(event.rev, *seq, of);
                            (update.seq, emoji, on) == (*seq, of, was) && *count == counted
                        }
                        _ => false,
                    }
            }
            _ => false,
        };
        assert!(told, "{event:?} tells {what:?} by {by} at {at:?}");
    }

    /// How many had reacted with an emoji at a rev.
    fn count_at(&self, rev: Rev, seq: Seq, emoji: &str) -> u64 {
        let mut of = BTreeSet::new();
        let numbered = self.happened.iter().filter(|e| !matches!(e.what, Read(..)));
        for entry in numbered.take(rev as usize) {
            if let Reacted(s, e, on) = &entry.what
                && (*s, e.as_str()) == (seq, emoji)
            {
                if *on {
                    of.insert(entry.by)
                } else {
                    of.remove(&entry.by)
                };
            }
        }
        of.len() as u64
    }
}

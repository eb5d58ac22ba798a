//! A room of the client's user, as far as the client knows.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    Ref, Rev, Seq, UserId,
    row::{amend, bare, mentions, number},
};

/// See the module's documentation.
#[derive(Clone, Debug, Default)]
pub struct Room {
    /// Everything up to here was applied.
    pub position: Rev,
    /// Where this room began for me; pages that are complete to less are read again.
    pub floor: Rev,
    /// Whole messages, as REST gives them; of reactions that were patched the ids are unknown. Below
    /// [`Room::complete_from`] there may be holes.
    pub messages: BTreeMap<Seq, Value>,
    /// Changes to messages that I don't hold, to be applied over the page that brings them.
    pub(super) patches: BTreeMap<Seq, Vec<Value>>,
    /// Those who have left stay, so that no late page brings them back.
    pub members: BTreeMap<UserId, Member>,
    /// How far others have read, as far as I was told: these frames are ephemeral.
    pub markers: BTreeMap<UserId, Seq>,
    /// Kind, name, topic and when it was archived.
    pub settings: Value,
    pub(super) settings_rev: Rev,
    pub member_count: u64,
    pub(super) member_count_rev: Rev,
    pub last_seq: Seq,
    pub last_read_seq: Seq,
    /// The messages above my marker that mention me (PROTOCOL.md section 5.4). Of more than 100 the newest.
    pub mentioned: BTreeSet<Seq>,
    /// The deleted messages above my marker (PROTOCOL.md section 5.4). Of more than 100 the newest.
    pub deleted: BTreeSet<Seq>,
    /// What changes said of mentions while the room is read again: the answer may be older than they.
    pub(super) judged: Option<BTreeMap<Seq, bool>>,
    /// History is whole from this seq on: 0 when all of it is, `None` before the last page came.
    pub complete_from: Option<Seq>,
    pub members_complete: bool,
    /// The highest `rev` of `ready`, `added` and `removed`.
    pub(super) membership: Rev,
    /// The first ref that was free when `added` came.
    pub(super) added_at: Ref,
    /// The marker that I asked for and that wasn't answered yet.
    pub(super) marking: Option<Seq>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub rev: Rev,
    /// `None`: has left.
    pub role: Option<String>,
    pub user: Value,
}

impl Room {
    /// Who is a member, by user id.
    pub fn present(&self) -> impl Iterator<Item = (UserId, &Member)> {
        let present = self
            .members
            .iter()
            .filter(|(_, member)| member.role.is_some());
        present.map(|(user_id, member)| (*user_id, member))
    }

    /// What is above my marker and not deleted.
    pub fn unread(&self) -> u64 {
        let above = self.last_seq.saturating_sub(self.last_read_seq);
        above.saturating_sub(self.deleted.len() as u64)
    }

    /// The last page and all members are there.
    pub fn is_loaded(&self) -> bool {
        self.complete_from.is_some() && self.members_complete
    }

    pub(super) fn take_room(&mut self, room: &Value) {
        let rev = number(room, "rev");
        if rev >= self.settings_rev {
            self.settings = settings(room);
            self.settings_rev = rev;
        }
        if rev >= self.member_count_rev {
            self.member_count = number(room, "member_count");
            self.member_count_rev = rev;
        }
        self.take_standing(room);
    }

    /// Where I stand, as `ready`, `added`, `synced` and REST say it. The markers only rise. The mentions
    /// may be those of a later `rev` than the one given: what changed until then is yet to come, and
    /// says the same again.
    pub(super) fn take_standing(&mut self, from: &Value) {
        self.last_seq = self.last_seq.max(number(from, "last_seq"));
        self.mark(number(from, "last_read_seq"));
        if let Some(mentioned) = from["mentioned"].as_array() {
            let unread = mentioned.iter().filter_map(Value::as_u64);
            self.mentioned = unread.filter(|seq| *seq > self.last_read_seq).collect();
        }
        // What is deleted stays so: whatever I was told before is still true.
        for seq in from["deleted"].as_array().into_iter().flatten() {
            self.put_deletion(seq.as_u64().unwrap_or_default());
        }
    }

    fn put_deletion(&mut self, seq: Seq) {
        if seq > self.last_read_seq {
            self.deleted.insert(seq);
        }
    }

    pub(super) fn mark(&mut self, seq: Seq) {
        self.last_read_seq = self.last_read_seq.max(seq);
        self.marking = self.marking.filter(|wanted| *wanted > self.last_read_seq);
        self.mentioned = self.mentioned.split_off(&(self.last_read_seq + 1));
        self.deleted = self.deleted.split_off(&(self.last_read_seq + 1));
    }

    /// Another's marker.
    pub(super) fn mark_other(&mut self, user: UserId, seq: Seq) {
        let marker = self.markers.entry(user).or_default();
        *marker = seq.max(*marker);
    }

    /// Of each change by PROTOCOL.md section 3.1, in its order, also when a page brought a newer row: it is the last
    /// word that counts. Pages have no word.
    pub(super) fn judge(&mut self, change: &Value, me: UserId) {
        let Some(mentioned) = mentions(change, me) else {
            return;
        };
        let seq = number(change, "seq");
        if !change["deleted_at"].is_null() {
            self.put_deletion(seq);
        }
        if let Some(judged) = &mut self.judged {
            judged.insert(seq, mentioned);
        }
        self.put_mention(seq, mentioned);
    }

    fn put_mention(&mut self, seq: Seq, mentioned: bool) {
        if mentioned && seq > self.last_read_seq {
            self.mentioned.insert(seq);
        } else {
            self.mentioned.remove(&seq);
        }
    }

    /// The room was read again by REST.
    pub(super) fn take_reread(&mut self, room: &Value) {
        self.take_room(room);
        for (seq, mentioned) in self.judged.take().unwrap_or_default() {
            self.put_mention(seq, mentioned);
        }
    }

    /// Inserts a message, or replaces it by seq; its highest `rev` stands.
    pub(super) fn take_message(&mut self, row: &Value, me: UserId) {
        let (seq, rev) = (number(row, "seq"), number(row, "rev"));
        self.last_seq = self.last_seq.max(seq);
        match row["sender"]["id"].as_u64() {
            Some(sender) if sender == me => self.mark(seq),
            Some(sender) => self.mark_other(sender, seq),
            None => {}
        }
        if self
            .messages
            .get(&seq)
            .is_some_and(|held| number(held, "rev") >= rev)
        {
            return;
        }
        let mut row = bare(row);
        for patch in self.patches.remove(&seq).unwrap_or_default() {
            amend(&mut row, &patch, me);
        }
        self.messages.insert(seq, row);
    }

    pub(super) fn take_patch(&mut self, patch: &Value, me: UserId) {
        let seq = number(patch, "seq");
        match self.messages.get_mut(&seq) {
            Some(row) => amend(row, patch, me),
            None => self.patches.entry(seq).or_default().push(patch.clone()),
        }
    }

    pub(super) fn take_member(&mut self, row: &Value) {
        let rev = number(row, "rev");
        let user_id = number(&row["user"], "id");
        if let Some(seq) = row["last_read_seq"].as_u64() {
            self.mark_other(user_id, seq);
        }
        if self
            .members
            .get(&user_id)
            .is_some_and(|held| held.rev >= rev)
        {
            return;
        }
        let member = Member {
            rev,
            role: row["role"].as_str().map(str::to_owned),
            user: row["user"].clone(),
        };
        self.members.insert(user_id, member);
    }
}

pub(super) fn settings(room: &Value) -> Value {
    json!({"kind": room["kind"], "name": room["name"], "topic": room["topic"],
        "archived_at": room["archived_at"]})
}

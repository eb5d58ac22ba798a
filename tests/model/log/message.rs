//! A message as the model's log has it, and as it travels.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Rev, Seq, time, user};

#[derive(Clone, Debug)]
pub struct Message {
    pub room_id: u64,
    pub seq: Seq,
    pub rev: Rev,
    pub id: Uuid,
    pub sender: u64,
    /// Empty when it was deleted.
    pub content: String,
    pub reply_to: Option<Seq>,
    pub created_at: Rev,
    pub edited_at: Option<Rev>,
    pub deleted_at: Option<Rev>,
    pub pinned_at: Option<Rev>,
    pub mentions: Vec<u64>,
    pub mention_all: bool,
    /// In the order in which each emoji came first, with who reacted, in their order.
    pub reactions: Vec<(String, Vec<u64>)>,
}

impl Message {
    pub fn mentions(&self, user: u64) -> bool {
        self.mention_all || self.mentions.contains(&user)
    }

    pub fn has_reacted(&self, user: u64, emoji: &str) -> bool {
        self.reacted(emoji).contains(&user)
    }

    pub fn reacted(&self, emoji: &str) -> &[u64] {
        let found = self.reactions.iter().find(|(kind, _)| kind == emoji);
        found.map_or(&[], |(_, users)| users)
    }

    pub fn react(&mut self, user: u64, emoji: &str, on: bool) {
        match self.reactions.iter_mut().find(|(kind, _)| kind == emoji) {
            Some((_, users)) if on => users.push(user),
            Some((_, users)) => users.retain(|other| *other != user),
            None => self.reactions.push((emoji.to_owned(), vec![user])),
        }
        self.reactions.retain(|(_, users)| !users.is_empty());
    }

    /// Content, mentions, reactions and pin go.
    pub fn erase(&mut self, at: Rev) {
        self.deleted_at = Some(at);
        self.pinned_at = None;
        self.content.clear();
        self.mentions.clear();
        self.mention_all = false;
        self.reactions.clear();
    }

    /// The whole row, as catch-up has it; as REST pages do with `me`.
    pub fn whole(&self, me: Option<u64>) -> Value {
        let mut row = json!({
            "room_id": self.room_id,
            "seq": self.seq,
            "rev": self.rev,
            "id": self.id,
            "kind": "text",
            "sender": user(self.sender),
            "created_at": time(self.created_at),
        });
        for (key, at) in [
            ("edited_at", self.edited_at),
            ("deleted_at", self.deleted_at),
            ("pinned_at", self.pinned_at),
        ] {
            if let Some(at) = at {
                row[key] = json!(time(at));
            }
        }
        if let Some(seq) = self.reply_to {
            row["reply_to"] = json!(seq);
        }
        if self.deleted_at.is_some() {
            return row;
        }
        self.write_text(&mut row);
        if !self.reactions.is_empty() {
            let reactions = self.reactions.iter().map(|(emoji, users)| {
                let mut reaction = json!({"emoji": emoji, "count": users.len(), "user_ids": users});
                if me.is_some_and(|me| users.contains(&me)) {
                    reaction["me"] = json!(true);
                }
                reaction
            });
            row["reactions"] = Value::from_iter(reactions);
        }
        row
    }

    /// What an edit may have changed.
    pub fn write_text(&self, row: &mut Value) {
        row["content"] = json!(self.content);
        if !self.mentions.is_empty() {
            row["mentions"] = json!(self.mentions);
        }
        if self.mention_all {
            row["mention_all"] = json!(true);
        }
    }
}

//! Messages: sending, editing, deleting, reactions and pins, pages of history, and the read marker.

use std::{borrow::BorrowMut, collections::HashSet, slice};

use uuid::Uuid;

use super::{Chat, Identity, Made, PageOf, refusals::mismatch};
use crate::{
    protocol::{
        Rev, RoomId, Seq, Time, UserId,
        check::Checks,
        error::Refusal,
        rest::{List, Message, ReactionOf, ReadAnswer},
    },
    store::{Change, Outcome, Range},
};

/// The numbers of a stored message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    pub id: Uuid,
    pub seq: Seq,
    pub rev: Rev,
    pub created_at: Time,
    pub duplicate: bool,
}

/// A message's row after a change, whether it changed anything or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Updated {
    pub seq: Seq,
    pub rev: Rev,
}

impl Chat {
    /// Stores a message. After `unavailable` its outcome is unknown: send the same `id` again.
    pub async fn send(
        &self,
        who: &Identity,
        room_id: RoomId,
        id: Uuid,
        content: String,
        reply_to: Option<Seq>,
    ) -> Result<Sent, Refusal> {
        self.sends.charge(who.user.id)?;
        self.send_charged(who, room_id, id, content, reply_to).await
    }

    /// As [`Chat::send`], of a message that was charged.
    async fn send_charged(
        &self,
        who: &Identity,
        room_id: RoomId,
        id: Uuid,
        content: String,
        reply_to: Option<Seq>,
    ) -> Result<Sent, Refusal> {
        let mut checks = Checks::default();
        checks.content("content", &content);
        let named = match checks.done() {
            Ok(()) => self.named(&content).await,
            Err(refusal) => Err(refusal),
        };
        let outcome = match named {
            // A message that was stored before is answered before the new text is checked.
            Err(refusal) if refusal.code.retryable() => return Err(refusal),
            Err(refusal) => {
                let sent = self.store.sent(room_id, who.user.id, id).await?;
                sent.ok_or(refusal)?
            }
            Ok(named) => {
                let change = Change::Send {
                    room_id,
                    sender: who.user.summary(),
                    id,
                    content,
                    reply_to,
                    named,
                };
                self.store.append(change).await?
            }
        };
        match outcome {
            Outcome::Sent {
                seq,
                rev,
                created_at,
                duplicate,
            } => Ok(Sent {
                id,
                seq,
                rev,
                created_at,
                duplicate,
            }),
            Outcome::Refused(refused) => Err(refused.into()),
            outcome => Err(mismatch(outcome)),
        }
    }

    /// Stores a message as [`Chat::send`] does, and returns it. One that was sent before is returned as it is now, without
    /// content and reactions if the author has left the room.
    pub async fn post(
        &self,
        who: &Identity,
        room_id: RoomId,
        id: Uuid,
        content: Option<String>,
        reply_to: Option<Seq>,
        checks: Checks,
    ) -> Result<Made<Message>, Refusal> {
        self.sends.charge(who.user.id)?;
        let content = checks.finish(content)?;
        let sent = self
            .send_charged(who, room_id, id, content, reply_to)
            .await?;
        let message = self.store.message(room_id, sent.seq).await?;
        let mut message = message.ok_or_else(Refusal::not_found)?;
        if !sent.duplicate {
            return Ok(Made::New(message));
        }
        if self.is_member(who, room_id).await? {
            self.mark_mine(who, room_id, slice::from_mut(&mut message))
                .await?;
        } else {
            message.content = None;
            message.reactions.clear();
        }
        Ok(Made::Existing(message))
    }

    /// Changes the text of one of the asker's own messages.
    pub async fn edit(
        &self,
        who: &Identity,
        room_id: RoomId,
        seq: Seq,
        content: Option<String>,
        mut checks: Checks,
    ) -> Result<Updated, Refusal> {
        self.sends.charge(who.user.id)?;
        if let Some(content) = &content {
            checks.content("content", content);
        }
        let content = checks.finish(content)?;
        let named = self.named(&content).await?;
        self.update(Change::Edit {
            room_id,
            user_id: who.user.id,
            seq,
            content,
            named,
        })
        .await
    }

    /// Deletes a message: its number stays, its text is removed from every table.
    pub async fn delete(
        &self,
        who: &Identity,
        room_id: RoomId,
        seq: Seq,
    ) -> Result<Updated, Refusal> {
        self.sends.charge(who.user.id)?;
        self.update(Change::Delete {
            room_id,
            user_id: who.user.id,
            seq,
        })
        .await
    }

    /// Adds a reaction of the asker, or removes it.
    pub async fn react(
        &self,
        who: &Identity,
        room_id: RoomId,
        seq: Seq,
        emoji: &str,
        on: bool,
    ) -> Result<Updated, Refusal> {
        self.sends.charge(who.user.id)?;
        let mut checks = Checks::default();
        let emoji = checks.emoji("emoji", emoji);
        checks.done()?;
        self.update(Change::React {
            room_id,
            user_id: who.user.id,
            seq,
            emoji,
            on,
        })
        .await
    }

    /// Pins or unpins a message.
    pub async fn pin(
        &self,
        who: &Identity,
        room_id: RoomId,
        seq: Seq,
        on: bool,
    ) -> Result<Updated, Refusal> {
        self.sends.charge(who.user.id)?;
        self.update(Change::Pin {
            room_id,
            user_id: who.user.id,
            seq,
            on,
        })
        .await
    }

    async fn update(&self, change: Change) -> Result<Updated, Refusal> {
        match self.store.append(change).await? {
            Outcome::Updated { seq, rev, .. } => Ok(Updated { seq, rev }),
            Outcome::Refused(refused) => Err(refused.into()),
            outcome => Err(mismatch(outcome)),
        }
    }

    /// One message as its reader sees it now.
    pub async fn message(
        &self,
        who: &Identity,
        room_id: RoomId,
        seq: Seq,
    ) -> Result<Message, Refusal> {
        let message = self.store.message(room_id, seq).await?;
        let mut message = message.ok_or_else(Refusal::not_found)?;
        self.member(who, room_id).await?;
        self.mark_mine(who, room_id, slice::from_mut(&mut message))
            .await?;
        Ok(message)
    }

    /// Notes in which of the reactions the reader is included.
    pub(super) async fn mark_mine(
        &self,
        who: &Identity,
        room_id: RoomId,
        messages: &mut [impl BorrowMut<Message>],
    ) -> Result<(), Refusal> {
        let reacted = messages
            .iter()
            .map(|message| message.borrow())
            .filter(|message| !message.reactions.is_empty());
        let seqs: Vec<Seq> = reacted.map(|message| message.seq).collect();
        if seqs.is_empty() {
            return Ok(());
        }
        let mine = self.store.reactions_of(who.user.id, room_id, &seqs).await?;
        let mine: HashSet<(Seq, String)> = mine.into_iter().collect();
        for message in messages {
            let message = message.borrow_mut();
            let seq = message.seq;
            for reaction in &mut message.reactions {
                reaction.me = mine.contains(&(seq, reaction.emoji.clone()));
            }
        }
        Ok(())
    }

    /// Pinned messages by rising `seq`.
    pub async fn pins(
        &self,
        who: &Identity,
        room_id: RoomId,
        at: PageOf,
    ) -> Result<List<Message>, Refusal> {
        self.member(who, room_id).await?;
        let pins = self.store.pins(room_id, at.after, at.limit).await?;
        let (rev, mut items, more) = pins.ok_or_else(Refusal::not_found)?;
        self.member(who, room_id).await?;
        self.mark_mine(who, room_id, &mut items).await?;
        let last = items.last().filter(|_| more);
        Ok(List {
            next: last.map(|message| message.seq.to_string()),
            rev: Some(rev),
            items,
        })
    }

    /// Who reacted to a message, and how: those after this emoji and user.
    pub async fn reactions(
        &self,
        who: &Identity,
        room_id: RoomId,
        seq: Seq,
        after: (&str, UserId),
        limit: usize,
    ) -> Result<List<ReactionOf>, Refusal> {
        self.message(who, room_id, seq).await?;
        let mut items = self.store.reactions(room_id, seq, after, limit + 1).await?;
        self.member(who, room_id).await?;
        let more = items.len() > limit;
        items.truncate(limit);
        let last = items.last().filter(|_| more);
        Ok(List {
            next: last.map(|last| format!("{}-{}", last.user.id, last.emoji)),
            rev: None,
            items,
        })
    }

    /// A page of a room's history, in rising `seq`. `next` continues in the page's direction: to older messages as
    /// `before`, or, after a page by `after` or `around`, to newer ones as `after`.
    pub async fn history(
        &self,
        who: &Identity,
        room_id: RoomId,
        range: Range,
        limit: usize,
    ) -> Result<List<Message>, Refusal> {
        self.member(who, room_id).await?;
        let history = self.store.history(room_id, range, limit).await?;
        let mut history = history.ok_or_else(Refusal::not_found)?;
        self.member(who, room_id).await?;
        self.mark_mine(who, room_id, &mut history.messages).await?;
        let next = match range {
            Range::Latest | Range::Before(_) => history.messages.first().filter(|_| history.older),
            Range::After(_) | Range::Around(_) => history.messages.last().filter(|_| history.newer),
        };
        Ok(List {
            next: next.map(|message| message.seq.to_string()),
            rev: Some(history.rev),
            items: history.messages,
        })
    }

    /// Raises the read marker. Returns where it is then.
    pub async fn read(
        &self,
        who: &Identity,
        room_id: RoomId,
        seq: Option<Seq>,
        checks: Checks,
    ) -> Result<ReadAnswer, Refusal> {
        self.changes.charge(who.user.id)?;
        let seq = checks.finish(seq)?;
        let change = Change::Read {
            room_id,
            user_id: who.user.id,
            seq,
        };
        match self.store.append(change).await? {
            Outcome::Read { last_read_seq } => {
                let standing = self.standing(who, room_id).await?;
                Ok(ReadAnswer {
                    last_read_seq: last_read_seq.max(standing.last_read_seq),
                    last_seq: standing.last_seq,
                    unread: standing.unread(),
                    unread_mentions: standing.unread_mentions,
                })
            }
            Outcome::Refused(refused) => Err(refused.into()),
            outcome => Err(mismatch(outcome)),
        }
    }
}

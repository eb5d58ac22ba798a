//! Messages: sending, pages of history, and the marker of what has been read.

use std::{borrow::BorrowMut, collections::HashSet};

use uuid::Uuid;

use super::{Chat, Identity, PageOf, Sent, Updated, judged, mismatch, refuse};
use crate::{
    protocol::{
        RoomId, Seq, UserId,
        check::Checks,
        error::Refusal,
        rest::{List, Message, ReactionOf, ReadAnswer, SendBody},
    },
    store::{Change, Outcome, Range},
};

/// A message that was sent by REST, as it is answered.
#[derive(Debug)]
pub enum Posted {
    New(Message),
    /// Sent before: the message as it is now, without content and reactions if the author has left.
    Repeated(Message),
}

impl Chat {
    /// Stores a message. `unavailable`: the outcome is open, send the same `id` again.
    pub async fn send(
        &self,
        who: &Identity,
        room_id: RoomId,
        id: Uuid,
        content: String,
        reply_to: Option<Seq>,
    ) -> Result<Sent, Refusal> {
        self.sends.charge(who.user.id)?;
        let mut checks = Checks::default();
        checks.content("content", &content);
        let named = match checks.done() {
            Ok(()) => self.named(&content).await,
            Err(refusal) => Err(refusal),
        };
        let outcome = match named {
            // What was stored before is answered before its new text is judged.
            Err(refusal) if refusal.code.retryable() => return Err(refusal),
            Err(refusal) => {
                let sent = self.store.sent(room_id, who.user.id, id).await;
                sent.map_err(refuse)?.ok_or(refusal)?
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
                self.store.append(change).await.map_err(refuse)?
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
            Outcome::Refused(refused) => Err(judged(refused)),
            outcome => Err(mismatch(outcome)),
        }
    }

    /// Stores a message as [`Chat::send`] does and answers it whole.
    pub async fn post(
        &self,
        who: &Identity,
        room_id: RoomId,
        body: SendBody,
    ) -> Result<Posted, Refusal> {
        let mut checks = Checks::default();
        checks.unknown(body.unknown);
        let id = checks.optional("id", body.id);
        let content = checks.required("content", body.content);
        let reply_to = checks.optional("reply_to", body.reply_to).map(u64::from);
        checks.done()?;
        let id = id.map_or_else(Uuid::now_v7, Uuid::from);
        let content = content.unwrap_or_default();
        let sent = self.send(who, room_id, id, content, reply_to).await?;
        let message = self.store.message(room_id, sent.seq).await;
        let mut message = message.map_err(refuse)?.ok_or_else(Refusal::not_found)?;
        if !sent.duplicate {
            return Ok(Posted::New(message));
        }
        if !self.is_member(who, room_id).await? {
            // He has left: what others said of it is not his to see.
            message.content = None;
            message.reactions.clear();
        } else {
            self.mark_mine(who, room_id, std::slice::from_mut(&mut message))
                .await?;
        }
        Ok(Posted::Repeated(message))
    }

    /// Changes the text of one's own message.
    pub async fn edit(
        &self,
        who: &Identity,
        room_id: RoomId,
        seq: Seq,
        content: String,
    ) -> Result<Updated, Refusal> {
        self.sends.charge(who.user.id)?;
        let mut checks = Checks::default();
        checks.content("content", &content);
        checks.done()?;
        let named = self.named(&content).await?;
        let user_id = who.user.id;
        let change = Change::Edit {
            room_id,
            user_id,
            seq,
            content,
            named,
        };
        self.update(change).await
    }

    /// Deletes a message: its number stays, its text goes from every table.
    pub async fn delete(
        &self,
        who: &Identity,
        room_id: RoomId,
        seq: Seq,
    ) -> Result<Updated, Refusal> {
        self.sends.charge(who.user.id)?;
        let user_id = who.user.id;
        let change = Change::Delete {
            room_id,
            user_id,
            seq,
        };
        self.update(change).await
    }

    /// Adds or takes back a reaction.
    pub async fn react(
        &self,
        who: &Identity,
        room_id: RoomId,
        seq: Seq,
        emoji: String,
        on: bool,
    ) -> Result<Updated, Refusal> {
        self.sends.charge(who.user.id)?;
        let mut checks = Checks::default();
        let emoji = checks.emoji("emoji", &emoji);
        checks.done()?;
        let user_id = who.user.id;
        let change = Change::React {
            room_id,
            user_id,
            seq,
            emoji,
            on,
        };
        self.update(change).await
    }

    /// Pins a message, or takes its pin away.
    pub async fn pin(
        &self,
        who: &Identity,
        room_id: RoomId,
        seq: Seq,
        on: bool,
    ) -> Result<Updated, Refusal> {
        self.sends.charge(who.user.id)?;
        let user_id = who.user.id;
        let change = Change::Pin {
            room_id,
            user_id,
            seq,
            on,
        };
        self.update(change).await
    }

    async fn update(&self, change: Change) -> Result<Updated, Refusal> {
        match self.store.append(change).await.map_err(refuse)? {
            Outcome::Updated { seq, rev, .. } => Ok(Updated { seq, rev }),
            Outcome::Refused(refused) => Err(judged(refused)),
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
        let message = self.store.message(room_id, seq).await;
        let mut message = message.map_err(refuse)?.ok_or_else(Refusal::not_found)?;
        self.member(who, room_id).await?;
        self.mark_mine(who, room_id, std::slice::from_mut(&mut message))
            .await?;
        Ok(message)
    }

    /// Notes which of the reactions are the reader's own.
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
        let mine = self.store.reactions_of(who.user.id, room_id, &seqs).await;
        let mine: HashSet<(Seq, String)> = mine.map_err(refuse)?.into_iter().collect();
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
        let pins = self.store.pins(room_id, at.after, at.limit).await;
        let (rev, mut items, more) = pins.map_err(refuse)?.ok_or_else(Refusal::not_found)?;
        self.member(who, room_id).await?;
        self.mark_mine(who, room_id, &mut items).await?;
        let last = items.last().filter(|_| more);
        Ok(List {
            next: last.map(|message| message.seq.to_string()),
            rev: Some(rev),
            items,
        })
    }

    /// Who reacted to a message with what, after an emoji and a user.
    pub async fn reactions(
        &self,
        who: &Identity,
        room_id: RoomId,
        seq: Seq,
        after: (&str, UserId),
        limit: usize,
    ) -> Result<List<ReactionOf>, Refusal> {
        self.message(who, room_id, seq).await?;
        let found = self.store.reactions(room_id, seq, after, limit + 1).await;
        let mut items = found.map_err(refuse)?;
        self.member(who, room_id).await?;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more);
        Ok(List {
            next: next.map(|last| format!("{}-{}", last.user.id, last.emoji)),
            rev: None,
            items,
        })
    }

    /// A page of a room's history, in rising `seq`. `next` leads on in the page's direction: to older
    /// messages as `before`, or to newer ones as `after` when the page was asked for by `after` or
    /// `around`.
    pub async fn history(
        &self,
        who: &Identity,
        room_id: RoomId,
        range: Range,
        limit: usize,
    ) -> Result<List<Message>, Refusal> {
        self.member(who, room_id).await?;
        let history = self.store.history(room_id, range, limit).await;
        let mut history = history.map_err(refuse)?.ok_or_else(Refusal::not_found)?;
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

    /// Raises the marker; answers where it stands.
    pub async fn read(
        &self,
        who: &Identity,
        room_id: RoomId,
        seq: Seq,
    ) -> Result<ReadAnswer, Refusal> {
        self.changes.charge(who.user.id)?;
        let user_id = who.user.id;
        let change = Change::Read {
            room_id,
            user_id,
            seq,
        };
        match self.store.append(change).await.map_err(refuse)? {
            Outcome::Read { last_read_seq } => {
                let standing = self.standing(who, room_id).await?;
                Ok(ReadAnswer {
                    last_read_seq: last_read_seq.max(standing.last_read_seq),
                    last_seq: standing.last_seq,
                    unread: standing.unread(),
                    unread_mentions: standing.unread_mentions,
                })
            }
            Outcome::Refused(refused) => Err(judged(refused)),
            outcome => Err(mismatch(outcome)),
        }
    }
}

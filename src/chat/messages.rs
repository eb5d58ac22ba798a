//! Messages: sending, pages of history, and the marker of what has been read.

use uuid::Uuid;

use super::{Chat, Identity, Sent, judged, mismatch, refuse};
use crate::{
    protocol::{
        RoomId, Seq,
        check::Checks,
        error::Refusal,
        rest::{List, Message, MessageKind, ReadAnswer, SendBody},
    },
    store::{Change, Outcome, Range},
};

/// A message that was sent by REST, as it is answered.
#[derive(Debug)]
pub enum Posted {
    New(Message),
    /// Sent before: the message as it is now.
    Repeated(Message),
    /// Sent before by somebody who has left: its content is not his to see any more.
    Withheld(Message),
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
        let outcome = match checks.done() {
            // What was stored before is answered before its new text is judged.
            Err(refusal) => {
                let sent = self.store.sent(room_id, who.user.id, id).await;
                sent.map_err(refuse)?.ok_or(refusal)?
            }
            Ok(()) => {
                let change = Change::Send {
                    room_id,
                    sender: who.user.summary(),
                    id,
                    content,
                    reply_to,
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
            Outcome::Refused(refused) => Err(judged(refused, "reply_to")),
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
        let reply_to = checks.optional("reply_to", body.reply_to);
        checks.done()?;
        let id = id.unwrap_or_else(Uuid::now_v7);
        let content = content.unwrap_or_default();
        let sent = self
            .send(who, room_id, id, content.clone(), reply_to)
            .await?;
        if !sent.duplicate {
            return Ok(Posted::New(Message {
                room_id,
                seq: sent.seq,
                rev: sent.rev,
                id,
                kind: MessageKind::Text,
                sender: who.user.summary(),
                content,
                created_at: sent.created_at,
                reply_to,
            }));
        }
        let message = self.store.message(room_id, sent.seq).await;
        let message = message.map_err(refuse)?.ok_or_else(Refusal::not_found)?;
        let standings = self.standings(who, &[room_id]).await?;
        Ok(match standings.is_empty() {
            true => Posted::Withheld(message),
            false => Posted::Repeated(message),
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
        let history = history.map_err(refuse)?.ok_or_else(Refusal::not_found)?;
        self.member(who, room_id).await?;
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
        let user_id = who.user.id;
        let change = Change::Read {
            room_id,
            user_id,
            seq,
        };
        match self.store.append(change).await.map_err(refuse)? {
            Outcome::Read {
                last_read_seq,
                unread_mentions,
            } => Ok(ReadAnswer {
                last_read_seq,
                unread_mentions,
            }),
            Outcome::Refused(refused) => Err(judged(refused, "seq")),
            outcome => Err(mismatch(outcome)),
        }
    }
}

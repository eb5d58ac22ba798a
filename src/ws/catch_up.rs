//! PROTOCOL.md section 3.2: from any point of a room to live delivery, without a seam.
//!
//! For each room: take a lease, so that the room's task holds what commits from now on; read pages of
//! the log, each checked against the reader's membership after it was read and before it is sent;
//! attach where the last page ended. Pages are written at the socket's pace and bypass the mailbox's
//! bound.
//!
//! Rooms and rows are charged to the user, and whatever is read is read in one of their turns.

use std::{collections::HashMap, sync::OnceLock};

use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::worker::Worker;
use crate::{
    chat,
    hub::{Attached, Lease, Listener},
    limits::{READ_ROOM_ROWS, SYNC_CHANGES_MAX, SYNC_PAGE_ROWS, SYNC_PARALLEL, SYNC_ROOMS_MAX},
    protocol::{
        Rev, RoomId,
        client::Ref,
        close::Close,
        error::Refusal,
        rest::Room,
        server::{Ack, Frame, ResetReason, Synced},
    },
    store::Standing,
};

/// Why a request ended without its answer.
pub(super) enum Stop {
    Refused(Refusal),
    Close(Close),
}

impl From<Close> for Stop {
    fn from(close: Close) -> Self {
        Stop::Close(close)
    }
}

/// Where a client wants to begin.
#[derive(Clone, Copy)]
pub(super) enum Start {
    Now,
    /// From its position, which it took from this log or, as its epoch tells, from another.
    After {
        rev: Rev,
        same_epoch: bool,
    },
    /// From what `added` gave; nobody asked, so there is no answer.
    Added {
        rev: Rev,
    },
}

/// How catching up with a room ended.
pub(super) enum Caught {
    /// `synced` or `reset` was said, and the room is live.
    Live(Lease),
    /// The reader isn't a member, or not any more.
    Removed,
}

impl Worker {
    pub(super) fn same_epoch(&self, epoch: Option<&str>) -> bool {
        epoch.is_none_or(|epoch| epoch == &*self.chat.epoch())
    }

    /// `sync`: live delivery of all my rooms, those named from where the client stands.
    pub(super) async fn sync(
        &mut self,
        epoch: Option<String>,
        named: HashMap<RoomId, Rev>,
        reference: Option<&Ref>,
    ) -> Result<(), Stop> {
        if named.len() > SYNC_ROOMS_MAX {
            let rule = format!("at most {SYNC_ROOMS_MAX} rooms");
            return Err(Stop::Refused(Refusal::invalid_field(
                "rooms", "length", rule,
            )));
        }
        let same_epoch = self.same_epoch(epoch.as_deref());
        let mut starts: Vec<(RoomId, Start)> = Vec::new();
        for (&room_id, &rev) in &named {
            starts.push((room_id, Start::After { rev, same_epoch }));
        }
        for (&room_id, &rev) in &self.known {
            if !named.contains_key(&room_id) && !self.live.contains_key(&room_id) {
                starts.push((
                    room_id,
                    Start::After {
                        rev,
                        same_epoch: true,
                    },
                ));
            }
        }
        self.synced = true;
        if starts.is_empty() {
            self.say(&Frame::Ack(Ack {
                reference,
                ..Ack::default()
            }));
            return Ok(());
        }
        self.catch_up_all(starts, reference).await
    }

    /// Catches up with each of these rooms, some at the same time; each answers once.
    pub(super) async fn catch_up_all(
        &mut self,
        starts: Vec<(RoomId, Start)>,
        reference: Option<&Ref>,
    ) -> Result<(), Stop> {
        let rooms = starts.len() * READ_ROOM_ROWS as usize;
        let paid = self.chat.pay(&self.who, rooms).await;
        paid.map_err(Stop::Refused)?;
        let mut leases = Vec::with_capacity(starts.len());
        let (mine, unknown): (Vec<_>, Vec<_>) = starts
            .into_iter()
            .partition(|(room_id, _)| self.may_be_mine(*room_id));
        for (room_id, _) in unknown {
            self.say(&Frame::Removed {
                reference,
                room_id,
                rev: None,
            });
        }
        for (room_id, start) in mine {
            self.quieten(room_id).await?;
            leases.push((self.hub.lease(room_id, &self.mailbox), start));
        }
        // The standing is read after the lease was taken: nothing falls between the two.
        let rooms: Vec<RoomId> = leases.iter().map(|(lease, _)| lease.room_id()).collect();
        let standings = self.standings(rooms).await?.into_iter();
        let standings: HashMap<RoomId, Standing> = standings
            .map(|standing| (standing.room_id, standing))
            .collect();
        let this = &*self;
        // What is refused in one room is to be asked for again: the others' wait would be the same one.
        let refused = &OnceLock::new();
        let caught: Vec<_> = stream::iter(leases)
            .map(|(lease, start)| {
                let room_id = lease.room_id();
                let standing = standings.get(&room_id).cloned();
                async move {
                    let caught = match (standing, refused.get()) {
                        (_, Some(refusal)) => Err(Stop::Refused(Refusal::clone(refusal))),
                        (Some(standing), None) => {
                            this.catch_up(lease, standing, start, reference).await
                        }
                        (None, None) => Ok(Caught::Removed),
                    };
                    if let Err(Stop::Refused(refusal)) = &caught
                        && refusal.code.retryable()
                    {
                        refused.get_or_init(|| refusal.clone());
                    }
                    (room_id, caught)
                }
            })
            .buffer_unordered(SYNC_PARALLEL)
            .collect()
            .await;
        let mut result = Ok(());
        for (room_id, caught) in caught {
            match caught {
                Ok(Caught::Live(lease)) => {
                    self.live.insert(room_id, lease);
                }
                Ok(Caught::Removed) => self.say(&Frame::Removed {
                    reference,
                    room_id,
                    rev: None,
                }),
                Err(stop) if !matches!(result, Err(Stop::Close(_))) => result = Err(stop),
                // One reason to close is enough.
                Err(_) => {}
            }
        }
        result
    }

    /// A room that the client was told of; on a room socket only that room.
    fn may_be_mine(&self, room_id: RoomId) -> bool {
        match self.only() {
            Some(only) => only == room_id,
            None => self.known.contains_key(&room_id),
        }
    }

    /// What became of a room that goes live without being asked for: after `added`, on a room socket.
    pub(super) fn settle(
        &mut self,
        room_id: RoomId,
        caught: Result<Caught, Stop>,
        reference: Option<&Ref>,
    ) -> Result<(), Close> {
        match caught {
            Ok(Caught::Live(lease)) => {
                self.live.insert(room_id, lease);
                Ok(())
            }
            Ok(Caught::Removed) => {
                self.say(&Frame::Removed {
                    reference,
                    room_id,
                    rev: None,
                });
                if self.only().is_some() {
                    Err(Close::NotAMember)
                } else {
                    Ok(())
                }
            }
            Err(Stop::Close(close)) => Err(close),
            Err(Stop::Refused(_)) => Err(Close::GoingAway),
        }
    }

    pub(super) async fn standing(&self, room_id: RoomId) -> Result<Option<Standing>, Stop> {
        Ok(self.standings(vec![room_id]).await?.into_iter().next())
    }

    pub(super) async fn room(&self, room_id: RoomId) -> Result<Room, Stop> {
        let (chat, who) = (self.chat.clone(), self.who.clone());
        let room = self.in_turn(async move { chat.room(&who, room_id).await });
        room.await?.map_err(Stop::Refused)
    }

    async fn standings(&self, rooms: Vec<RoomId>) -> Result<Vec<Standing>, Stop> {
        let (chat, who) = (self.chat.clone(), self.who.clone());
        let standings = self.in_turn(async move { chat.standings(&who, &rooms).await });
        standings.await?.map_err(Stop::Refused)
    }

    /// Reads for the user in one of their turns, and to the end even when the connection ends first: the database wouldn't
    /// notice, and the turn would be free.
    pub(super) async fn in_turn<T: Send + 'static>(
        &self,
        read: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Stop> {
        let turn = self.chat.turn(&self.who).await.map_err(Stop::Refused)?;
        let reading = tokio::spawn(async move {
            let _turn = turn;
            read.await
        });
        let read = reading.await;
        self.still_open()?;
        read.map_err(|_| Stop::Refused(Refusal::internal()))
    }

    /// Waits until the socket has taken what was said, so that more can be.
    pub(super) async fn written(&self) -> Result<(), Close> {
        self.mailbox.drained().await;
        self.still_open()
    }

    /// To be asked after each wait for what is to be read: nothing more is read for a connection that is closing.
    pub(super) fn still_open(&self) -> Result<(), Close> {
        self.mailbox.backlog().closing().map_or(Ok(()), Err)
    }

    /// Live from the head that `ready` or `added` gave, without an answer of its own.
    pub(super) async fn follow(&self, lease: Lease, rev: Rev) -> Result<Caught, Stop> {
        let room_id = lease.room_id();
        let Some(standing) = self.standing(room_id).await? else {
            return Ok(Caught::Removed);
        };
        self.catch_up(lease, standing, Start::Added { rev }, None)
            .await
    }

    /// Pays for a page of at most so many rows. Nobody asked for what follows `added`.
    async fn pay(&self, start: Start, rows: u64) -> Result<(), Stop> {
        if matches!(start, Start::Added { .. }) {
            return Ok(());
        }
        let rows = (rows as usize).min(SYNC_PAGE_ROWS);
        self.chat.pay(&self.who, rows).await.map_err(Stop::Refused)
    }

    async fn catch_up(
        &self,
        lease: Lease,
        mut standing: Standing,
        start: Start,
        reference: Option<&Ref>,
    ) -> Result<Caught, Stop> {
        let room_id = standing.room_id;
        let reset = match start {
            Start::Now | Start::Added { .. } => None,
            Start::After { rev, same_epoch } if !same_epoch || rev > standing.rev => {
                Some(ResetReason::Epoch)
            }
            Start::After { rev, .. } if standing.rev - rev > SYNC_CHANGES_MAX => {
                Some(ResetReason::TooFar)
            }
            Start::After { .. } => None,
        };
        let mut position = match start {
            Start::After { rev, .. } if reset.is_none() => Some(rev),
            Start::Added { rev } => Some(rev),
            _ => None,
        };
        // Where live delivery begins when there is nothing to catch up with.
        let mut begin = standing.rev;
        // The room was known to have come this far before the membership was read.
        let mut verified = self.known.get(&room_id).copied().unwrap_or_default();
        loop {
            let mut last_seq = standing.last_seq;
            if let Some(after) = position.filter(|position| *position < standing.rev) {
                self.pay(start, standing.rev - after).await?;
                let (hub, wire) = (self.hub.clone(), self.mailbox.wire());
                let page = self.in_turn(async move { hub.catch_up(room_id, after, wire).await });
                let page = page.await?;
                let Some(page) = page.map_err(|error| Stop::Refused(chat::refuse(error)))? else {
                    return Ok(Caught::Removed);
                };
                // Who isn't a member any more sees nothing of what was read.
                standing = match self.standing(room_id).await? {
                    Some(standing) if standing.rev >= page.upto => standing,
                    // An older state than the page's: plain reads may do that. Read both again.
                    Some(_) => continue,
                    None => return Ok(Caught::Removed),
                };
                verified = page.upto;
                for chunk in &page.chunks {
                    self.written().await?;
                    self.mailbox.answer(chunk.clone());
                }
                position = Some(page.upto);
                last_seq = page.last_seq;
                if !page.last {
                    continue;
                }
            }
            let at = position.unwrap_or(begin);
            if at > verified {
                // Head and membership were shown by one statement: a plain read on MySQL may show change
                // N + 1 beside a membership from before N. What a later one shows is as new.
                verified = at;
                standing = match self.standing(room_id).await? {
                    Some(standing) => standing,
                    None => return Ok(Caught::Removed),
                };
                continue;
            }
            let greeting = match (start, reset) {
                (Start::Added { .. }, _) => Bytes::new(),
                (_, Some(reason)) => self.framed(&Frame::Reset {
                    reference,
                    room_id,
                    rev: at,
                    reason,
                }),
                (_, None) => {
                    let standing = standing.up_to(last_seq);
                    self.framed(&synced(at, &standing, reference))
                }
            };
            match self.attach(&lease, at, verified, greeting).await? {
                Attached::Live => return Ok(Caught::Live(lease)),
                Attached::Removed => return Ok(Caught::Removed),
                Attached::Behind => {
                    standing = match self.standing(room_id).await? {
                        Some(standing) => standing,
                        None => return Ok(Caught::Removed),
                    };
                    begin = standing.rev;
                }
            }
        }
    }

    /// Goes live at `at`, the position that the client has reached, with `greeting` first. The membership
    /// was read when the room was known to have come to `verified`.
    pub(super) async fn attach(
        &self,
        lease: &Lease,
        at: Rev,
        verified: Rev,
        greeting: Bytes,
    ) -> Result<Attached, Stop> {
        let mailbox = self.mailbox.clone();
        let listener = Listener {
            mailbox,
            user_id: self.who.user.id,
            at,
            verified,
        };
        lease
            .attach(listener, greeting)
            .await
            .map_err(|_| Stop::Close(Close::RoomFailed))
    }
}

/// What the first frame needs was read, or the connection closes.
pub(super) fn opened<T>(read: Result<Result<T, Refusal>, Stop>) -> Result<T, Close> {
    match read {
        Ok(Ok(read)) => Ok(read),
        Err(Stop::Close(close)) => Err(close),
        Ok(Err(_)) | Err(Stop::Refused(_)) => Err(Close::GoingAway),
    }
}

/// `synced`: the client has reached `at`.
pub(super) fn synced<'a>(at: Rev, standing: &'a Standing, reference: Option<&'a Ref>) -> Frame<'a> {
    Frame::Synced(Synced {
        reference,
        room_id: standing.room_id,
        prev: at,
        rev: at,
        last_seq: standing.last_seq,
        last_read_seq: standing.last_read_seq,
        unread: standing.unread(),
        unread_mentions: standing.unread_mentions,
        mentioned: &standing.mentioned,
        deleted: &standing.deleted,
    })
}

//! Catching up (PROTOCOL.md section 3.2): from any point of a room to live delivery, without a seam.
//!
//! For each room: take a lease, so that the room's task holds what commits from now on. Read pages of the log, and check
//! the reader's membership after each was read and before it is sent. Attach where the last page ended. Pages are written
//! at the socket's pace, and don't count against the mailbox's bound.
//!
//! Rooms and rows are charged to the user, and everything is read in one of the user's turns.

use std::{collections::HashMap, sync::OnceLock};

use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::worker::{Stop, Worker};
use crate::{
    hub::{Attached, Lease},
    limits::{READ_ROOM_ROWS, SYNC_CHANGES_MAX, SYNC_PAGE_ROWS, SYNC_PARALLEL, SYNC_ROOMS_MAX},
    protocol::{
        Ref, Rev, RoomId, Seq,
        close::Close,
        error::Refusal,
        server::{Ack, Frame, ResetReason, Synced},
    },
    store::Standing,
};

/// Where a client wants to begin.
#[derive(Clone, Copy)]
pub(super) enum Start {
    Now,
    /// From its position, which it has from this log or, as its epoch tells, from another.
    After {
        rev: Rev,
        same_epoch: bool,
    },
    /// From what `added` gave. Nobody asked, so there is no answer.
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

/// How far a client has come while it catches up with a room.
struct Progress {
    start: Start,
    /// Why the client has to read the room anew, if it has to.
    reset: Option<ResetReason>,
    /// The reader's membership and the room's numbers, as they were last read.
    standing: Standing,
    /// The client has all changes up to here. `None`: it needs no earlier ones.
    position: Option<Rev>,
    /// Where live delivery begins if there is no position.
    begin: Rev,
    /// The last page ended at the head, and this was the room's last message then.
    end: Option<Seq>,
    /// The membership was read when the room was known to have come this far.
    verified: Rev,
}

/// What is to be done next.
enum Step {
    /// Read and write the page of changes after this `rev`.
    Page { after: Rev },
    /// Read the membership again.
    Verify,
    /// Go live here.
    Attach { at: Rev },
}

impl Progress {
    /// `known`: as of this `rev` the client was told of its membership.
    fn new(start: Start, standing: Standing, known: Rev) -> Self {
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
        let position = match start {
            Start::After { rev, .. } if reset.is_none() => Some(rev),
            Start::Added { rev } => Some(rev),
            _ => None,
        };
        Self {
            start,
            reset,
            position,
            begin: standing.rev,
            standing,
            end: None,
            verified: known,
        }
    }

    fn next(&self) -> Step {
        if let Some(after) = self.position
            && after < self.standing.rev
            && self.end.is_none()
        {
            return Step::Page { after };
        }
        let at = self.position.unwrap_or(self.begin);
        if at > self.verified {
            return Step::Verify;
        }
        Step::Attach { at }
    }

    /// The membership and the room's numbers were read again.
    fn renew(&mut self, standing: Standing) {
        self.standing = standing;
        self.end = None;
    }
}

impl Worker {
    pub(super) fn same_epoch(&self, epoch: Option<&str>) -> bool {
        epoch.is_none_or(|epoch| epoch == &*self.chat.epoch())
    }

    /// `sync`: live delivery of all rooms; of the named ones from where the client stands.
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
                let same_epoch = true;
                starts.push((room_id, Start::After { rev, same_epoch }));
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

    /// Catches up with each of these rooms, some at the same time. Each answers once.
    pub(super) async fn catch_up_all(
        &mut self,
        starts: Vec<(RoomId, Start)>,
        reference: Option<&Ref>,
    ) -> Result<(), Stop> {
        let rows = starts.len() * READ_ROOM_ROWS as usize;
        let paid = self.chat.pay(&self.who, rows).await;
        paid.map_err(Stop::Refused)?;
        let mut leases = Vec::with_capacity(starts.len());
        let (possible, unknown): (Vec<_>, Vec<_>) = starts
            .into_iter()
            .partition(|(room_id, _)| self.may_be_member(*room_id));
        for (room_id, _) in unknown {
            self.say_removed(reference, room_id, None);
        }
        for (room_id, start) in possible {
            self.unsubscribe(room_id).await?;
            leases.push((self.hub.lease(room_id, &self.mailbox), start));
        }
        let mut result = Ok(());
        for (room_id, caught) in self.catch_up_leased(leases, reference).await? {
            match caught {
                Ok(Caught::Live(lease)) => {
                    self.live.insert(room_id, lease);
                }
                Ok(Caught::Removed) => self.say_removed(reference, room_id, None),
                Err(stop) if !matches!(result, Err(Stop::Close(_))) => result = Err(stop),
                // One reason to close is enough.
                Err(_) => {}
            }
        }
        result
    }

    async fn catch_up_leased(
        &self,
        leases: Vec<(Lease, Start)>,
        reference: Option<&Ref>,
    ) -> Result<Vec<(RoomId, Result<Caught, Stop>)>, Stop> {
        // The standings are read after the leases were taken: nothing falls between the two.
        let rooms: Vec<RoomId> = leases.iter().map(|(lease, _)| lease.room_id()).collect();
        let standings = self.standings(rooms).await?.into_iter();
        let standings: HashMap<RoomId, Standing> = standings
            .map(|standing| (standing.room_id, standing))
            .collect();
        // A retryable refusal in one room is the answer in the others, too: they would wait for the same thing.
        let refused = &OnceLock::new();
        let caught = stream::iter(leases)
            .map(|(lease, start)| {
                let room_id = lease.room_id();
                let standing = standings.get(&room_id).cloned();
                async move {
                    let caught = match (standing, refused.get()) {
                        (_, Some(refusal)) => Err(Stop::Refused(Refusal::clone(refusal))),
                        (Some(standing), None) => {
                            self.catch_up(lease, standing, start, reference).await
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
        Ok(caught)
    }

    /// Whether the client was told of the room. On a room socket: whether it is that room.
    fn may_be_member(&self, room_id: RoomId) -> bool {
        match self.only() {
            Some(only) => only == room_id,
            None => self.known.contains_key(&room_id),
        }
    }

    /// Ends the catching up of a room that goes live without being asked for: after `added`, and on a room socket.
    pub(super) fn finish_unasked(
        &mut self,
        room_id: RoomId,
        caught: Result<Caught, Stop>,
    ) -> Result<(), Close> {
        match caught {
            Ok(Caught::Live(lease)) => {
                self.live.insert(room_id, lease);
                Ok(())
            }
            Ok(Caught::Removed) => {
                self.say_removed(None, room_id, None);
                if self.only().is_some() {
                    return Err(Close::NotAMember);
                }
                Ok(())
            }
            Err(Stop::Close(close)) => Err(close),
            Err(Stop::Refused(_)) => Err(Close::GoingAway),
        }
    }

    /// Goes live from the head that `added` gave, without an answer.
    pub(super) async fn follow(&self, lease: Lease, rev: Rev) -> Result<Caught, Stop> {
        let Some(standing) = self.standing(lease.room_id()).await? else {
            return Ok(Caught::Removed);
        };
        self.catch_up(lease, standing, Start::Added { rev }, None)
            .await
    }

    async fn catch_up(
        &self,
        lease: Lease,
        standing: Standing,
        start: Start,
        reference: Option<&Ref>,
    ) -> Result<Caught, Stop> {
        let room_id = standing.room_id;
        let known = self.known.get(&room_id).copied().unwrap_or_default();
        let mut progress = Progress::new(start, standing, known);
        loop {
            match progress.next() {
                Step::Page { after } => {
                    if !self.write_page(&mut progress, after).await? {
                        return Ok(Caught::Removed);
                    }
                }
                Step::Verify => {
                    // Head and membership were read by one statement. On MySQL a plain read may show change N + 1 beside
                    // a membership from before N. What a later statement shows is newer than N.
                    progress.verified = progress.position.unwrap_or(progress.begin);
                    let Some(standing) = self.standing(room_id).await? else {
                        return Ok(Caught::Removed);
                    };
                    progress.renew(standing);
                }
                Step::Attach { at } => {
                    let greeting = self.greeting(&mut progress, at, reference);
                    let attached = self.attach(&lease, at, progress.verified, greeting);
                    match attached.await? {
                        Attached::Live => return Ok(Caught::Live(lease)),
                        Attached::Removed => return Ok(Caught::Removed),
                        Attached::Behind => {}
                    }
                    let Some(standing) = self.standing(room_id).await? else {
                        return Ok(Caught::Removed);
                    };
                    progress.begin = standing.rev;
                    progress.renew(standing);
                }
            }
        }
    }

    /// Reads a page, checks the membership again, and writes the page. Returns whether the reader is still a member.
    async fn write_page(&self, progress: &mut Progress, after: Rev) -> Result<bool, Stop> {
        let room_id = progress.standing.room_id;
        self.pay(progress.start, progress.standing.rev - after)
            .await?;
        let (hub, wire) = (self.hub.clone(), self.mailbox.wire());
        let page = self.in_turn(async move { hub.catch_up(room_id, after, wire).await });
        let page = page.await?;
        let Some(page) = page.map_err(|error| Stop::Refused(error.into()))? else {
            return Ok(false);
        };
        // A reader who isn't a member any more sees nothing of the page.
        let Some(standing) = self.standing(room_id).await? else {
            return Ok(false);
        };
        if standing.rev < page.upto {
            // Plain reads may show an older state than the page's. Both are read again.
            return Ok(true);
        }
        for chunk in &page.chunks {
            self.written().await?;
            self.mailbox.answer(chunk.clone());
        }
        progress.renew(standing);
        progress.verified = page.upto;
        progress.position = Some(page.upto);
        progress.end = page.last.then_some(page.last_seq);
        Ok(true)
    }

    /// Pays for a page of at most so many rows. Nobody asked for the pages after `added`.
    async fn pay(&self, start: Start, rows: u64) -> Result<(), Stop> {
        if matches!(start, Start::Added { .. }) {
            return Ok(());
        }
        let rows = (rows as usize).min(SYNC_PAGE_ROWS);
        self.chat.pay(&self.who, rows).await.map_err(Stop::Refused)
    }

    /// What is written before the first live event. The standing becomes that of the client: where the room doesn't go live, it
    /// is read again.
    fn greeting(&self, progress: &mut Progress, at: Rev, reference: Option<&Ref>) -> Bytes {
        match (progress.start, progress.reset) {
            (Start::Added { .. }, _) => Bytes::new(),
            (_, Some(reason)) => self.framed(&Frame::Reset {
                reference,
                room_id: progress.standing.room_id,
                rev: at,
                reason,
            }),
            (_, None) => {
                let standing = &mut progress.standing;
                standing.rewind(progress.end.unwrap_or(standing.last_seq));
                self.framed(&synced(at, standing, reference))
            }
        }
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

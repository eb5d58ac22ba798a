//! The mode of registration, and invites.
//!
//! While registration is closed nobody can create an invite, because it could not be used. Otherwise members may invite into
//! their rooms, as they may add users there, and site admins may also invite without a room. Users see and revoke their own
//! invites, site admins all. What an invite is worth is decided when it is used: by the transaction that creates the
//! account, and by the store's judge when the new user joins the room.
//!
//! Invariant: an unknown code, and an invite that is used up, expired or revoked, get the same answer.

use std::time::Duration;

use super::{Chat, Identity, PageOf, page};
use crate::{
    auth::{
        codes::{self, Purpose},
        tokens,
    },
    limits::*,
    protocol::{
        RoomId, Time, UserId,
        check::Checks,
        error::{Code, Refusal},
        rest::{Invite, InviteMade, List, Registration, RoomKind},
    },
    store::{NewUser, UserRow, invites::NewInvite},
};

/// An invite as it was asked for.
#[derive(Debug)]
pub struct InviteRequest {
    pub room_id: Option<RoomId>,
    pub max_uses: Option<u64>,
    pub expires_at: Option<Time>,
}

impl Chat {
    pub fn registration(&self) -> Registration {
        self.entrance.registration
    }

    /// Refuses registration where it is closed, or where an invite is needed and missing. Returns the invite's hash.
    pub(super) async fn admitted(&self, code: Option<&str>) -> Result<Option<[u8; 32]>, Refusal> {
        match (self.registration(), code) {
            (Registration::Closed, _) => Err(Refusal::forbidden(
                "Registration is closed. Ask the server's operator for an account.",
            )),
            (Registration::Invite, None) => Err(Refusal::invalid_field(
                "invite",
                "missing",
                "an invite is required to register",
            )),
            (Registration::Open, None) => Ok(None),
            (_, Some(code)) => {
                let hash = tokens::hash(code);
                if self.store.invite_is_valid(hash).await? {
                    Ok(Some(hash))
                } else {
                    Err(no_invite())
                }
            }
        }
    }

    /// Creates the account. With an invite, its user joins the invite's room.
    pub(super) async fn create_user(
        &self,
        user: NewUser,
        invite: Option<[u8; 32]>,
    ) -> Result<UserRow, Refusal> {
        let Some(hash) = invite else {
            return Ok(self.store.create_user(user).await?);
        };
        let made = self.store.create_invited_user(user, hash).await?;
        let (row, joining) = made.ok_or_else(no_invite)?;
        if let Some(job) = joining {
            self.run_job(job, Duration::ZERO).await;
        }
        Ok(row)
    }

    pub async fn create_invite(
        &self,
        who: &Identity,
        request: InviteRequest,
        mut checks: Checks,
    ) -> Result<InviteMade, Refusal> {
        self.changes.charge(who.user.id)?;
        if let Some(uses) = request.max_uses
            && !(1..=INVITE_USES_MAX).contains(&uses)
        {
            checks.fail("max_uses", "range", format!("1 to {INVITE_USES_MAX}"));
        }
        let now = Time::now();
        let latest = Time(now.0 + INVITE_TTL_MAX.as_millis() as i64);
        if let Some(end) = request.expires_at
            && (end <= now || end > latest)
        {
            let days = INVITE_TTL_MAX.as_secs() / (24 * 3_600);
            let rule = format!("must be within the next {days} days");
            checks.fail("expires_at", "range", rule);
        }
        let (max_uses, expires_at) = checks.finish(request.max_uses.zip(request.expires_at))?;
        if self.registration() == Registration::Closed {
            return Err(Refusal::forbidden(
                "Registration is closed (HEARTH_REGISTRATION), so an invite could not be used.",
            ));
        }
        self.may_invite(who, request.room_id).await?;
        let (code, code_hash) = codes::new();
        let new = NewInvite {
            code_hash,
            room_id: request.room_id,
            created_by: who.user.id,
            max_uses,
            expires_at,
        };
        let Some(invite) = self.store.create_invite(new).await? else {
            let rule = format!(
                "You have {INVITES_PER_USER_MAX} invites that can still be used, and no more are allowed. Revoke one first."
            );
            return Err(Refusal::new(Code::Forbidden, rule));
        };
        let link = codes::link(self.entrance.public_url.as_ref(), Purpose::Invite, &code);
        Ok(InviteMade { invite, code, link })
    }

    /// Whether the user may invite into this room, or without one.
    async fn may_invite(&self, who: &Identity, room_id: Option<RoomId>) -> Result<(), Refusal> {
        let Some(room_id) = room_id else {
            return if self.is_admin(who).await? {
                Ok(())
            } else {
                Err(Refusal::forbidden(
                    "Only site admins can invite without a room. Name a room that you are a member of.",
                ))
            };
        };
        self.member(who, room_id).await?;
        let room = self.room(who, room_id).await?;
        if room.kind == RoomKind::Direct {
            let rule = "No one can be invited into a direct room.";
            return Err(Refusal::forbidden(rule));
        }
        if room.archived_at.is_some() {
            return Err(Refusal::forbidden("The room is archived."));
        }
        Ok(())
    }

    /// Invites that can still be used: the asker's own; a site admin's: all.
    pub async fn invites(&self, who: &Identity, at: PageOf) -> Result<List<Invite>, Refusal> {
        let of = self.invites_visible(who).await?;
        let invites = self.store.invites(of, at.after, at.limit + 1).await?;
        Ok(page(invites, at.limit, |invite| invite.id))
    }

    /// Revokes one of the asker's own invites; a site admin may revoke any.
    pub async fn delete_invite(&self, who: &Identity, id: u64) -> Result<(), Refusal> {
        self.changes.charge(who.user.id)?;
        let of = self.invites_visible(who).await?;
        if self.store.delete_invite(id, of).await? {
            Ok(())
        } else {
            Err(Refusal::not_found())
        }
    }

    /// Whose invites the asker may see and revoke; `None`: everyone's.
    async fn invites_visible(&self, who: &Identity) -> Result<Option<UserId>, Refusal> {
        Ok((!self.is_admin(who).await?).then_some(who.user.id))
    }
}

fn no_invite() -> Refusal {
    let rule = "this invite is unknown, used up, expired or revoked";
    Refusal::invalid_field("invite", "unknown", rule)
}

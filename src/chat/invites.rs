//! Who may come in: the mode of registration, and invites.
//!
//! The rule: while registration is closed nobody invites, as nobody could come. Else everybody may invite into
//! a room that he is a member of, as he might add somebody to it, and site admins without a room. Each sees
//! and revokes his own invites, admins all. What an invite is worth when it is used is judged then, by the
//! transaction that makes the account, and by the log when its user joins the room.
//!
//! Invariant: a code that never was, one that was used up, that expired or was revoked are answered alike.

use std::time::Duration;

use url::Url;

use super::{Chat, Identity, PageOf, page, refuse};
use crate::{
    auth::{
        codes::{self, Purpose},
        tokens,
    },
    limits::*,
    protocol::{
        Time, UserId,
        check::Checks,
        error::Refusal,
        rest::{
            CreateInviteBody, Invite, InviteMade, List, Registration, RoomKind, SiteRole, User,
        },
    },
    store::{NewUser, UserRow, invites::NewInvite},
};

/// How people come in.
pub struct Entrance {
    pub registration: Registration,
    /// The URL under which people reach this server; for links.
    pub public_url: Option<Url>,
}

impl Chat {
    pub fn registration(&self) -> Registration {
        self.entrance.registration
    }

    /// Refuses who can't register at all, and who brings no invite where one is needed. The invite's hash.
    pub(super) async fn admitted(&self, code: Option<&str>) -> Result<Option<[u8; 32]>, Refusal> {
        match (self.registration(), code) {
            (Registration::Closed, _) => Err(Refusal::forbidden(
                "Nobody can register here. Ask the server's operator for an account.",
            )),
            (Registration::Invite, None) => Err(Refusal::invalid_field(
                "invite",
                "missing",
                "only those who are invited can register here",
            )),
            (Registration::Open, None) => Ok(None),
            (_, Some(code)) => {
                let hash = tokens::hash(code);
                match self.store.invite_lives(hash).await.map_err(refuse)? {
                    true => Ok(Some(hash)),
                    false => Err(no_invite()),
                }
            }
        }
    }

    /// Makes the account, by an invite when there is one, and brings it into the invite's room.
    pub(super) async fn create_user(
        &self,
        user: NewUser,
        invite: Option<[u8; 32]>,
    ) -> Result<UserRow, Refusal> {
        let Some(hash) = invite else {
            return self.store.create_user(user).await.map_err(refuse);
        };
        let made = self.store.create_invited_user(user, hash).await;
        let (row, joining) = made.map_err(refuse)?.ok_or_else(no_invite)?;
        if let Some(chore) = joining {
            self.attend(chore, Duration::ZERO).await;
        }
        Ok(row)
    }

    pub async fn create_invite(
        &self,
        who: &Identity,
        body: CreateInviteBody,
    ) -> Result<InviteMade, Refusal> {
        self.changes.charge(who.user.id)?;
        let mut checks = Checks::default();
        checks.unknown(body.unknown);
        let room_id = checks.optional("room_id", body.room_id);
        let max_uses = checks.required("max_uses", body.max_uses).map(u64::from);
        let expires_at = checks.required("expires_at", body.expires_at);
        if max_uses.is_some_and(|uses| !(1..=INVITE_USES_MAX).contains(&uses)) {
            checks.fail("max_uses", "range", format!("1 to {INVITE_USES_MAX}"));
        }
        let now = Time::now();
        let latest = Time(now.0 + INVITE_TTL_MAX.as_millis() as i64);
        if expires_at.is_some_and(|time| time <= now || time > latest) {
            checks.fail("expires_at", "range", "a moment of the next 30 days");
        }
        checks.done()?;
        let (Some(max_uses), Some(expires_at)) = (max_uses, expires_at) else {
            return Err(Refusal::internal());
        };
        if self.registration() == Registration::Closed {
            return Err(Refusal::forbidden(
                "Registration is closed (HEARTH_REGISTRATION): nobody could use an invite.",
            ));
        }
        match room_id {
            Some(room_id) => {
                self.member(who, room_id).await?;
                let room = self.room(who, room_id).await?;
                if room.kind == RoomKind::Direct {
                    let rule = "Nobody else comes into a direct room.";
                    return Err(Refusal::forbidden(rule));
                }
                if room.archived_at.is_some() {
                    return Err(Refusal::forbidden("The room is archived."));
                }
            }
            None if self.is_admin(who).await? => {}
            None => {
                let rule = "Only site admins invite without a room. Give a room that you are in.";
                return Err(Refusal::forbidden(rule));
            }
        }
        let (code, code_hash) = codes::new();
        let made = self.store.create_invite(NewInvite {
            code_hash,
            room_id,
            created_by: who.user.id,
            max_uses,
            expires_at,
        });
        let Some(invite) = made.await.map_err(refuse)? else {
            return Err(Refusal::forbidden(
                "You have 100 invites that can be used. Revoke one first.",
            ));
        };
        let link = codes::link(self.entrance.public_url.as_ref(), Purpose::Invite, &code);
        Ok(InviteMade { invite, code, link })
    }

    /// Invites that can be used: one's own, an admin's all.
    pub async fn invites(&self, who: &Identity, at: PageOf) -> Result<List<Invite>, Refusal> {
        let of = self.whose(who).await?;
        let invites = self.store.invites(of, at.after, at.limit + 1).await;
        Ok(page(invites.map_err(refuse)?, at.limit, |invite| invite.id))
    }

    /// Revokes an invite of one's own, an admin any.
    pub async fn delete_invite(&self, who: &Identity, id: u64) -> Result<(), Refusal> {
        self.changes.charge(who.user.id)?;
        let of = self.whose(who).await?;
        match self.store.delete_invite(id, of).await.map_err(refuse)? {
            true => Ok(()),
            false => Err(Refusal::not_found()),
        }
    }

    /// Whose invites somebody may see and revoke; `None`: everybody's.
    async fn whose(&self, who: &Identity) -> Result<Option<UserId>, Refusal> {
        Ok((!self.is_admin(who).await?).then_some(who.user.id))
    }

    /// Whether who asks is a site admin now, whatever is remembered of his log-in.
    pub(super) async fn is_admin(&self, who: &Identity) -> Result<bool, Refusal> {
        let row = self.store.user(who.user.id).await.map_err(refuse)?;
        let rules = |user: User| user.is_active && user.role == SiteRole::Admin;
        Ok(row.is_some_and(|row| rules(row.user)))
    }
}

fn no_invite() -> Refusal {
    Refusal::invalid_field(
        "invite",
        "unknown",
        "this invite can't be used, or not any more",
    )
}

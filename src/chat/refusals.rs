//! What a client is told when the store fails or refuses a change, and refusals that several files use.

use crate::{
    limits::{REACTION_KINDS_MAX, ROOMS_PER_USER_MAX},
    protocol::error::{Code, Refusal},
    store::{Error, Outcome, Refused},
};

/// Logs the error, unless the store did; a name that is taken is none.
impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            _ if error.is_retryable() => {
                error.log_once();
                Refusal::unavailable()
            }
            Error::Taken(field) => {
                let mut refusal = Refusal::invalid_field(field, "taken", "this is already taken");
                refusal.code = Code::Taken;
                refusal.message = "Another account has this name or address already.".into();
                refusal
            }
            _ => {
                tracing::error!(%error, "unexpected error of the store");
                Refusal::internal()
            }
        }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NoRoom | Refused::NoSuchMember | Refused::NoMessage => Refusal::not_found(),
            Refused::NotMember => not_member(),
            Refused::NotOwner => Refusal::forbidden("Only the room's owner may do this."),
            Refused::NotAdmin => {
                Refusal::forbidden("Only the room's owner and admins may do this.")
            }
            Refused::NotAuthor => Refusal::forbidden("Only the author of a message may do this."),
            Refused::OwnerStays => Refusal::forbidden(
                "The room's owner can't be removed. They can make another member the owner.",
            ),
            Refused::NoHeir => Refusal::forbidden(
                "The owner can leave only if the room has an admin, who becomes the owner.",
            ),
            Refused::Archived => Refusal::forbidden("The room is archived."),
            Refused::Direct => Refusal::forbidden("This can't be done in a direct room."),
            Refused::TooManyReactions => Refusal::invalid_field(
                "emoji",
                "range",
                format!("a message has at most {REACTION_KINDS_MAX} different reactions"),
            ),
            Refused::NoSuchMessage => {
                Refusal::invalid_field("reply_to", "unknown", "the room has no such message")
            }
            Refused::TooManyRooms => Refusal::new(
                Code::Forbidden,
                format!("A user can be in at most {ROOMS_PER_USER_MAX} rooms."),
            ),
        }
    }
}

pub fn not_member() -> Refusal {
    Refusal::forbidden("Only members may do this. Join the room first.")
}

pub fn wrong_log_in() -> Refusal {
    Refusal::new(Code::Unauthorized, "The username or the password is wrong.")
}

pub fn wrong_password() -> Refusal {
    Refusal::invalid_field("current_password", "wrong", "this is not your password")
}

/// The refusal where an outcome doesn't belong to the change that was asked for.
pub fn mismatch(outcome: Outcome) -> Refusal {
    Error::Broken(format!("an outcome of another change: {outcome:?}")).into()
}

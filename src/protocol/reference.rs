//! `ref`: what a client attaches to a frame, and its answer repeats.

use std::fmt;

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, Unexpected, Visitor},
};

use super::types::whole;
use crate::limits::{ID_MAX, REF_BYTES_MAX};

/// The lowest number that a `ref` may be: every JSON reader holds it exactly, as it does [`ID_MAX`].
const REF_MIN: i64 = -(ID_MAX as i64);

/// What a client may attach to a frame; its answer repeats it, a number without fraction and exponent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Ref {
    Number(#[schemars(range(min = REF_MIN, max = ID_MAX))] i64),
    Text(#[schemars(length(max = REF_BYTES_MAX))] Box<str>),
}

impl Ref {
    pub(super) fn is_too_long(&self) -> bool {
        matches!(self, Ref::Text(text) if text.len() > REF_BYTES_MAX)
    }
}

impl<'de> Deserialize<'de> for Ref {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrText;
        impl Visitor<'_> for NumberOrText {
            type Value = Ref;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number from {REF_MIN} to {ID_MAX}, or text")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Ref, E> {
                if number.unsigned_abs() <= ID_MAX {
                    Ok(Ref::Number(number))
                } else {
                    Err(E::invalid_value(Unexpected::Signed(number), &self))
                }
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Ref, E> {
                match i64::try_from(number) {
                    Ok(number) => self.visit_i64(number),
                    Err(_) => Err(E::invalid_value(Unexpected::Unsigned(number), &self)),
                }
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Ref, E> {
                whole(number)
                    .map(Ref::Number)
                    .ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Ref, E> {
                Ok(Ref::Text(text.into()))
            }
        }
        deserializer.deserialize_any(NumberOrText)
    }
}

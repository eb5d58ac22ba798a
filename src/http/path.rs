//! The parameters of a path.
//!
//! Invariant: each is an id, a number in its one decimal form, from 1 to below 2^53; only an emoji is percent-encoded UTF-8.
//! A path with anything else doesn't exist.

use percent_encoding::percent_decode_str;

use crate::limits::ID_MAX;

/// The parameter that is no id.
const EMOJI: &str = "emoji";

#[derive(Debug, Default)]
pub struct Parameters {
    /// In the order of the path.
    pub ids: Vec<u64>,
    /// Decoded; empty where the pattern has none.
    pub emoji: String,
}

impl Parameters {
    /// Parameters from their names and values; `None` if one isn't well-formed.
    pub fn read<'a>(given: impl Iterator<Item = (&'a str, &'a str)>) -> Option<Self> {
        let mut parameters = Self::default();
        for (name, value) in given {
            if name == EMOJI {
                let emoji = percent_decode_str(value).decode_utf8().ok()?;
                parameters.emoji = emoji.into_owned();
            } else {
                parameters.ids.push(id(value)?);
            }
        }
        Some(parameters)
    }
}

/// An id in its one form.
pub fn id(text: &str) -> Option<u64> {
    let id = text.parse().ok().filter(|id| (1..=ID_MAX).contains(id))?;
    (id.to_string() == text).then_some(id)
}

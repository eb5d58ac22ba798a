//! The rules for what people type (PROTOCOL.md section 7.2), and errors that name field and rule.

use std::borrow::Cow;

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};
use unicode_segmentation::UnicodeSegmentation;

use super::{
    emoji::qualified,
    error::{FieldError, Refusal},
    fold::fold,
    names,
    rest::{Field, Unknown},
};
use crate::limits::*;

/// A name that no account may have: `@all` mentions everyone.
pub const RESERVED_NAME: &str = "all";
/// Deleted accounts, and no others, have names that begin with this.
pub const DELETED_PREFIX: &str = "deleted-";

/// Whether a character is invisible and may make two different texts look alike, or a text look like another one: joiners,
/// variation selectors, direction marks, fillers and noncharacters.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{ffff}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a character is visible by itself: neither hidden nor white space, nor a mark on another one.
fn is_visible(c: char) -> bool {
    !(c.is_control() || c.is_whitespace() || is_combining_mark(c) || is_hidden(c))
}

/// Collects the broken fields of one request, so that one answer names all of them.
///
/// The part that decodes the request begins the checks; the part that carries it out ends them, with [`Checks::done`] or
/// [`Checks::finish`].
#[must_use]
#[derive(Debug, Default)]
pub struct Checks {
    errors: Vec<FieldError>,
}

impl Checks {
    pub fn fail(
        &mut self,
        field: &'static str,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) {
        self.errors.push(FieldError::new(field, code, message));
    }

    /// The checks of a body, begun with the fields that it must not have.
    pub fn of(unknown: Unknown) -> Self {
        let errors = unknown.0.into_iter();
        let errors = errors.map(|name| FieldError::new(name, "unknown", "there is no such field"));
        Self {
            errors: errors.collect(),
        }
    }

    /// The field's value if the body has it. A value of the wrong type is noted.
    pub fn optional<T>(&mut self, name: &'static str, field: Field<T>) -> Option<T> {
        match field {
            Field::Given(value) => Some(value),
            Field::Missing => None,
            Field::IllTyped => {
                self.fail(
                    name,
                    "type",
                    "this field has the wrong type, or an unknown value",
                );
                None
            }
        }
    }

    /// As [`Checks::optional`]; a missing value is noted as well, so that `None` always comes with an error.
    pub fn required<T>(&mut self, name: &'static str, field: Field<T>) -> Option<T> {
        if matches!(field, Field::Missing) {
            self.fail(name, "missing", "this field is required");
            return None;
        }
        self.optional(name, field)
    }

    /// A text of `min` to `max` Unicode scalar values, without NUL, and not only white space unless
    /// `min` is 0.
    pub fn text(&mut self, name: &'static str, text: &str, min: usize, max: usize) {
        let chars = text.chars().count();
        if chars < min || chars > max {
            self.fail(name, "length", format!("{min} to {max} characters"));
        } else if text.contains('\0') {
            self.fail(name, "format", "must not contain NUL characters");
        } else if min > 0 && !text.chars().any(is_visible) {
            self.fail(name, "blank", "must contain a visible character");
        }
    }

    /// A line of text: as [`Checks::text`], and without control characters.
    pub fn line(&mut self, name: &'static str, text: &str, min: usize, max: usize) {
        let before = self.errors.len();
        self.text(name, text, min, max);
        let breaks = |c: char| {
            c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        if self.errors.len() == before && text.chars().any(breaks) {
            self.fail(
                name,
                "format",
                "must be one line, without control characters or marks that change the text's direction",
            );
        }
    }

    /// One visible grapheme of at most [`EMOJI_BYTES_MAX`] bytes. Returns it in the form in which it is stored.
    pub fn emoji(&mut self, name: &'static str, text: &str) -> String {
        let one = text.graphemes(true).count() == 1;
        let plain = text.chars().all(|c| !c.is_control() && !c.is_whitespace());
        let visible = plain && text.chars().any(is_visible);
        if !one || !visible || text.len() > EMOJI_BYTES_MAX {
            let rule = format!("must be one visible character of at most {EMOJI_BYTES_MAX} bytes");
            self.fail(name, "format", rule);
            return String::new();
        }
        qualified(text)
    }

    /// The name of a new account; existing names stay valid when the rules change. Returns the name as it is stored, composed
    /// (NFC). The bounds on its length hold before composition as well, because the API's schema states them so.
    pub fn username(&mut self, name: &'static str, text: &str) -> String {
        let composed: String = text.nfc().collect();
        let lengths = [text, &composed].map(|text| text.chars().count());
        let lengths_hold = lengths
            .iter()
            .all(|chars| (USERNAME_CHARS_MIN..=USERNAME_CHARS_MAX).contains(chars));
        if !lengths_hold {
            let rule = format!("{USERNAME_CHARS_MIN} to {USERNAME_CHARS_MAX} characters");
            self.fail(name, "length", rule);
        } else if fold(&composed).trim_end_matches(['.', '-', '·', '・']) == RESERVED_NAME {
            self.fail(name, "taken", "this name is reserved: it mentions everyone");
        } else if fold(&composed).starts_with(DELETED_PREFIX) {
            let rule = "names that begin with deleted- are reserved for deleted accounts";
            self.fail(name, "taken", rule);
        } else if let Some(rule) = names::broken_rule(&composed) {
            self.fail(name, "format", rule);
        }
        composed
    }

    /// A full name, as it is stored: trimmed. An empty one removes the name.
    pub fn full_name(&mut self, name: &'static str, text: &str) -> String {
        if !text.is_empty() {
            self.line(name, text, 1, FULL_NAME_CHARS_MAX);
        }
        text.trim().to_owned()
    }

    /// Checks an address as far as that is possible without sending to it: one `@`, a local part, a host with a dot, no
    /// hidden characters, white space or control characters (a subset of RFC 5321's Mailbox).
    pub fn email(&mut self, name: &'static str, text: &str) {
        let invisible = |c: char| c.is_whitespace() || c.is_control() || is_hidden(c);
        let well_formed = text.rsplit_once('@').is_some_and(|(local, host)| {
            !local.is_empty()
                && local.len() <= EMAIL_LOCAL_BYTES_MAX
                && !local.contains('@')
                && host.contains('.')
                && host.split('.').all(|label| {
                    !label.is_empty()
                        && label.chars().all(|c| c.is_alphanumeric() || c == '-')
                        && !label.starts_with('-')
                        && !label.ends_with('-')
                })
        });
        if text.chars().count() > EMAIL_CHARS_MAX {
            self.fail(
                name,
                "length",
                format!("at most {EMAIL_CHARS_MAX} characters"),
            );
        } else if !well_formed || text.chars().any(invisible) {
            self.fail(
                name,
                "format",
                "must be an e-mail address, such as name@example.org",
            );
        }
    }

    pub fn content(&mut self, name: &'static str, text: &str) {
        self.text(name, text, 1, CONTENT_CHARS_MAX);
    }

    /// A text whose length is counted in bytes.
    pub fn bytes(&mut self, name: &'static str, text: &str, max: usize) {
        if text.len() > max {
            self.fail(name, "length", format!("at most {max} bytes"));
        }
    }

    /// Refuses the request if a field is broken, and names all that are. Returns the required values otherwise: combine
    /// several with [`Option::zip`].
    pub fn finish<T>(self, required: Option<T>) -> Result<T, Refusal> {
        self.done()?;
        Ok(required.expect("a required value is missing only where an error was noted"))
    }

    /// Refuses the request if a field is broken, and names all that are.
    pub fn done(self) -> Result<(), Refusal> {
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Refusal::invalid(self.errors))
        }
    }
}

/// Whether a text, if it is JSON, is an object. serde also reads structs from arrays, which no request may use.
pub fn is_object(text: &str) -> bool {
    text.trim_start_matches([' ', '\t', '\r', '\n'])
        .starts_with('{')
}

/// The field and the rule that a serde error is about. `path` is the field that was being read, `.` at the top level.
pub fn json_error(path: &str, error: &serde_json::Error) -> FieldError {
    let text = error.to_string();
    let short = |name: &str| -> String { name.chars().take(FIELD_NAME_CHARS_MAX).collect() };
    let named = |prefix: &str| Some(short(text.strip_prefix(prefix)?.split('`').next()?));
    if let Some(field) = named("missing field `") {
        return FieldError::new(field, "missing", "this field is required");
    }
    if let Some(field) = named("unknown field `") {
        return FieldError::new(field, "unknown", "there is no such field");
    }
    if let Some(field) = named("duplicate field `") {
        return FieldError::new(field, "duplicate", "this field is given twice");
    }
    if error.is_data() && path != "." {
        // Our own types say what they expect; serde's texts for the others name Rust types.
        let rule = text.rsplit_once(", expected ").and_then(|(_, rule)| {
            let rule = rule.split(" at line ").next()?;
            let ours = ["a whole number", "a room's id", "a UUID"];
            let ours = ours.iter().any(|ours| rule.starts_with(ours));
            ours.then(|| Cow::Owned(format!("{rule} is expected")))
        });
        let rule = rule.unwrap_or("this field has the wrong type".into());
        return FieldError::new(short(path), "type", rule);
    }
    if error.is_data() {
        return FieldError::new("", "type", "a JSON object is expected");
    }
    if path != "." && text.starts_with("number out of range") {
        return FieldError::new(short(path), "type", "this number is out of range");
    }
    let (line, column) = (error.line(), error.column());
    let rule = format!("invalid JSON at line {line}, column {column}");
    FieldError::new("", "json", rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_for_names() {
        for (text, kept) in [
            ("ada", Some("ada")),
            ("ad", None),
            ("a.b_c-1", Some("a.b_c-1")),
            ("ada lovelace", None),
            ("z\u{30c}lut\u{30c}", Some("žluť")),
            ("a\u{301}b", None),
            ("\u{1112}\u{1161}\u{11ab}글로", Some("한글로")),
            (
                "\u{958}\u{92e}\u{930}",
                Some("\u{915}\u{93c}\u{92e}\u{930}"),
            ),
            ("-ada", None),
            ("all.", None),
            ("ALL·", None),
            ("all・", None),
            ("deleted-7", None),
            ("ＤｅＬＥＴＥＤ-me", None),
            ("deleted", Some("deleted")),
            ("undeleted-7", Some("undeleted-7")),
        ] {
            let mut checks = Checks::default();
            let name = checks.username("field", text);
            let found = checks.done().is_ok().then_some(&*name);
            assert_eq!(found, kept, "{text:?}");
        }
        for (text, kept) in [
            ("", Some("")),
            (" Ada Lovelace\u{3000}", Some("Ada Lovelace")),
            ("   ", None),
            ("\u{200b}", None),
            ("\nAda", None),
        ] {
            let mut checks = Checks::default();
            let name = checks.full_name("field", text);
            let found = checks.done().is_ok().then_some(&*name);
            assert_eq!(found, kept, "{text:?}");
        }
    }

    #[test]
    fn rules_for_what_people_type() {
        type Rule = fn(&mut Checks, &'static str, &str);
        let table: &[(Rule, &str, bool)] = &[
            (Checks::email, "ada@example.org", true),
            (Checks::email, "ada@localhost", false),
            (Checks::email, "@example.org", false),
            (Checks::email, "ada@@example.org", false),
            (Checks::email, "ada@ex ample.org", false),
            (Checks::email, "jose\u{301}@exämple.org", true),
            (Checks::email, "ada\u{202e}@example.org", false),
            (Checks::email, "a\u{2067}da@example.org", false),
            (Checks::email, "a\u{200b}da@example.org", false),
            (Checks::email, "a\u{200d}da@example.org", false),
            (Checks::email, "ada\u{feff}@example.org", false),
            (Checks::email, "ada\u{3164}@example.org", false),
            (Checks::email, "ada\u{fe0f}@example.org", false),
            (Checks::email, "ada\u{7}@example.org", false),
            (Checks::email, "ada@exam\u{ad}ple.org", false),
            (Checks::email, "ada@exam\u{115f}ple.org", false),
            (Checks::content, "hello", true),
            (Checks::content, "", false),
            (Checks::content, " \n\u{3000}", false),
            (Checks::content, "a\0b", false),
        ];
        for (rule, text, good) in table {
            let mut checks = Checks::default();
            rule(&mut checks, "field", text);
            assert_eq!(checks.done().is_ok(), *good, "{text:?}");
        }
        let mut checks = Checks::default();
        checks.content("content", &"𝄞".repeat(CONTENT_CHARS_MAX));
        assert!(checks.done().is_ok(), "characters are counted, not bytes");
    }
}

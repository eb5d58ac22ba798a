//! The query string, read strictly: only known parameters, each at most once, each of its type.

use url::form_urlencoded;

use crate::{
    chat::PageOf,
    limits::{
        FIELD_NAME_CHARS_MAX, ID_MAX, IDS_PER_REQUEST_MAX, LIST_ITEMS_DEFAULT, LIST_ITEMS_MAX,
        READ_TEXT_ROWS,
    },
    protocol::{
        Time, UserId,
        check::Checks,
        error::{FieldError, Refusal},
    },
};

/// A query's parameters, decoded.
#[derive(Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Refuses parameters that aren't among `known` or are given twice, and names all of them.
    pub fn parse(text: Option<&str>, known: &[&str]) -> Result<Self, Refusal> {
        let pairs: Vec<(String, String)> = form_urlencoded::parse(text.unwrap_or("").as_bytes())
            .into_owned()
            .collect();
        let mut errors = Vec::new();
        let mut fail = |name: &str, code, message: &'static str| {
            let name: String = name.chars().take(FIELD_NAME_CHARS_MAX).collect();
            errors.push(FieldError::new(name, code, message));
        };
        for (index, (name, _)) in pairs.iter().enumerate() {
            if pairs[..index].iter().any(|(earlier, _)| earlier == name) {
                fail(name, "duplicate", "this parameter is given twice");
            } else if !known.contains(&&**name) {
                fail(name, "unknown", "there is no such parameter");
            }
        }
        if errors.is_empty() {
            Ok(Self(pairs))
        } else {
            Err(Refusal::invalid(errors))
        }
    }

    pub fn text(&self, name: &'static str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(known, _)| known == name)?;
        Some(value)
    }

    /// A whole number within `min..=max`.
    pub fn number(
        &self,
        checks: &mut Checks,
        name: &'static str,
        min: u64,
        max: u64,
    ) -> Option<u64> {
        let text = self.text(name)?;
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| digits);
        match number {
            Some(number) if (min..=max).contains(&number) => Some(number),
            _ => {
                let code = if number.is_some() { "range" } else { "type" };
                checks.fail(
                    name,
                    code,
                    format!("must be a whole number from {min} to {max}"),
                );
                None
            }
        }
    }

    /// A time, as RFC 3339 writes it.
    pub fn time(&self, checks: &mut Checks, name: &'static str) -> Option<Time> {
        let text = self.text(name)?;
        let time = text.parse::<jiff::Timestamp>();
        if time.is_err() {
            let rule = "must be a time such as 2026-01-31T12:00:00Z";
            checks.fail(name, "format", rule);
        }
        time.ok().map(|time| Time(time.as_millisecond()))
    }

    /// The cost of reading the answer, in rows: those that are asked for, and the cost of looking for a text. Malformed
    /// parameters are refused later.
    pub fn rows(&self) -> usize {
        let given = self.text("limit").and_then(|limit| limit.parse().ok());
        let rows = match self.text("ids") {
            Some(_) => IDS_PER_REQUEST_MAX,
            None => given.unwrap_or(LIST_ITEMS_DEFAULT).min(LIST_ITEMS_MAX),
        };
        match self.text("q") {
            None | Some("") => rows,
            Some(_) => rows + READ_TEXT_ROWS as usize,
        }
    }

    /// The most items that are asked for.
    pub fn limit(&self, checks: &mut Checks) -> usize {
        let limit = self.number(checks, "limit", 1, LIST_ITEMS_MAX as u64);
        limit.map_or(LIST_ITEMS_DEFAULT, |limit| limit as usize)
    }

    /// `cursor` and `limit`.
    pub fn page(&self, checks: &mut Checks) -> PageOf {
        PageOf {
            after: self.number(checks, "cursor", 0, ID_MAX).unwrap_or(0),
            limit: self.limit(checks),
        }
    }

    /// The text that is searched for, at most as long as what can be found.
    pub fn search(&self, checks: &mut Checks, chars_max: usize) -> &str {
        let text = self.text("q").unwrap_or("");
        checks.line("q", text, 0, chars_max);
        text
    }

    /// `ids=1,2,…`
    pub fn ids(&self, checks: &mut Checks) -> Option<Vec<UserId>> {
        let text = self.text("ids")?;
        let ids: Option<Vec<_>> = text
            .split(',')
            .map(|id| id.parse().ok().filter(|id| (1..=ID_MAX).contains(id)))
            .map(|id| id.map(UserId))
            .take(IDS_PER_REQUEST_MAX + 1)
            .collect();
        match ids {
            Some(mut ids) if ids.len() <= IDS_PER_REQUEST_MAX => {
                ids.sort_unstable();
                ids.dedup();
                Some(ids)
            }
            _ => {
                let rule = format!("1 to {IDS_PER_REQUEST_MAX} ids, separated by commas");
                checks.fail("ids", "format", rule);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["q", "ids", "cursor", "limit"];

    fn broken(text: &str) -> Vec<String> {
        let errors = match Query::parse(Some(text), KNOWN) {
            Err(refusal) => refusal.errors,
            Ok(query) => {
                let mut checks = Checks::default();
                query.page(&mut checks);
                query.search(&mut checks, 5);
                query.ids(&mut checks);
                checks.done().err().map_or(vec![], |refusal| refusal.errors)
            }
        };
        let shown = |error: &FieldError| format!("{} {}", error.field, error.code);
        errors.iter().map(shown).collect()
    }

    #[test]
    fn queries_are_taken_strictly() {
        let table: &[(&str, &[&str])] = &[
            ("", &[]),
            ("limit=1", &[]),
            ("limit=200&cursor=0", &[]),
            ("limit=0", &["limit range"]),
            ("limit=201", &["limit range"]),
            ("limit=", &["limit type"]),
            ("limit=+5", &["limit type"]),
            ("limit=%2B5", &["limit type"]),
            ("limit=-1&cursor=x", &["cursor type", "limit type"]),
            ("limit=5.0", &["limit type"]),
            ("limit=1e9", &["limit type"]),
            ("limit=99999999999999999999999", &["limit type"]),
            ("cursor=9007199254740991", &[]),
            ("cursor=9007199254740992", &["cursor range"]),
            ("limit=5&limit=5", &["limit duplicate"]),
            ("Limit=5&foo", &["Limit unknown", "foo unknown"]),
            ("q=a%00", &["q format"]),
            ("q=123456", &["q length"]),
            ("q=%25%25", &[]),
            ("ids=1,2,2", &[]),
            ("ids=", &["ids format"]),
            ("ids=1,", &["ids format"]),
            ("ids=0", &["ids format"]),
            ("ids=1;2", &["ids format"]),
        ];
        for (text, expected) in table {
            assert_eq!(broken(text), *expected, "{text}");
        }
        let many: Vec<_> = (1..=101).map(|id| id.to_string()).collect();
        assert_eq!(broken(&format!("ids={}", many[..100].join(","))), [""; 0]);
        assert_eq!(broken(&format!("ids={}", many.join(","))), ["ids format"]);
    }

    #[test]
    fn the_cost_is_counted_in_rows() {
        for (text, rows) in [
            ("", 50),
            ("limit=7", 7),
            ("limit=200", 200),
            ("limit=201", 200),
            ("limit=x", 50),
            ("ids=1,2", 100),
            ("q=", 50),
            ("q=a&limit=7", 1_007),
        ] {
            assert_eq!(
                Query::parse(Some(text), KNOWN).unwrap().rows(),
                rows,
                "{text}"
            );
        }
    }
}

//! What is said of one route: the little that its method and path don't say already.

use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};

/// The schema of a type, from the generator of its document.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What an answer holds.
pub enum Content {
    Nothing,
    Json(SchemaOf),
    /// Of this type, and no more is said of it.
    Other(&'static str),
}

pub struct Operation {
    pub method: Method,
    /// As in the route table.
    pub pattern: &'static str,
    pub summary: &'static str,
    /// Needs no token.
    pub open: bool,
    pub body: Option<SchemaOf>,
    /// The body may be a form, too, whose unknown fields are ignored.
    pub form: bool,
    pub answers: Vec<(u16, Content)>,
    /// Beyond those that [`Operation::statuses`] adds by itself.
    pub refusals: Vec<u16>,
}

fn operation(method: Method, pattern: &'static str, summary: &'static str) -> Operation {
    Operation {
        method,
        pattern,
        summary,
        open: false,
        body: None,
        form: false,
        answers: Vec::new(),
        refusals: Vec::new(),
    }
}

pub fn get(pattern: &'static str, summary: &'static str) -> Operation {
    operation(Method::GET, pattern, summary)
}

pub fn post(pattern: &'static str, summary: &'static str) -> Operation {
    operation(Method::POST, pattern, summary)
}

pub fn put(pattern: &'static str, summary: &'static str) -> Operation {
    operation(Method::PUT, pattern, summary)
}

pub fn patch(pattern: &'static str, summary: &'static str) -> Operation {
    operation(Method::PATCH, pattern, summary)
}

pub fn delete(pattern: &'static str, summary: &'static str) -> Operation {
    operation(Method::DELETE, pattern, summary)
}

impl Operation {
    pub fn open(mut self) -> Self {
        self.open = true;
        self
    }

    /// A JSON body of this type.
    pub fn takes<T: JsonSchema>(mut self) -> Self {
        self.body = Some(|generator| generator.subschema_for::<T>());
        self
    }

    /// The same body as a form, too.
    pub fn or_form(mut self) -> Self {
        self.form = true;
        self
    }

    pub fn ok<T: JsonSchema>(self) -> Self {
        self.answers(
            200,
            Content::Json(|generator| generator.subschema_for::<T>()),
        )
    }

    pub fn created<T: JsonSchema>(self) -> Self {
        self.answers(
            201,
            Content::Json(|generator| generator.subschema_for::<T>()),
        )
    }

    pub fn no_content(self) -> Self {
        self.answers(204, Content::Nothing)
    }

    /// What becomes a WebSocket, which has its own ways to tell who asks.
    pub fn socket(self) -> Self {
        self.open()
            .answers(101, Content::Nothing)
            .answers(426, Content::Nothing)
    }

    pub fn answers(mut self, status: u16, content: Content) -> Self {
        self.answers.push((status, content));
        self
    }

    pub fn refuses(mut self, statuses: &[u16]) -> Self {
        self.refusals.extend(statuses);
        self
    }

    /// The statuses of its problem documents, rising: those of every request, those that come with a token,
    /// with a path's parameters and with what changes something, and its own.
    pub fn statuses(&self) -> Vec<u16> {
        let mut statuses = vec![400, 429, 500, 503];
        let named = self.pattern.contains('{');
        let changes = self.method != Method::GET;
        let more: [(bool, &[u16]); 4] = [
            (!self.open, &[401, 403]),
            (named, &[403, 404]),
            (changes, &[413, 415]),
            (true, &self.refusals),
        ];
        for (applies, more) in more {
            statuses.extend(more.iter().filter(|_| applies));
        }
        statuses.sort_unstable();
        statuses.dedup();
        statuses
    }
}

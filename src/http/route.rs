//! One route: its handler, and what the API's documents say of it beyond its method and path.

use futures_util::future::{BoxFuture, FutureExt};
use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{request::Call, response::HandlerResult};

/// Answers one request.
type Handler = Box<dyn Fn(Call) -> BoxFuture<'static, HandlerResult> + Send + Sync>;

/// The schema of a type, from the generator of its document.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// The content of an answer.
pub enum Content {
    Nothing,
    Json(SchemaOf),
    /// Of this media type; the documents say no more of it.
    Other(&'static str),
}

/// One method of one path.
pub struct Route {
    pub method: Method,
    /// As matchit reads it. Logs and metrics name it instead of the path.
    pub pattern: &'static str,
    pub handler: Handler,
    /// `None`: the documents leave the route out.
    pub summary: Option<&'static str>,
    /// The query parameters that it has.
    pub query: &'static [&'static str],
    /// Whether it needs no token.
    pub open: bool,
    pub body: Option<SchemaOf>,
    /// Whether the body may also be a form, whose unknown fields are ignored.
    pub form: bool,
    pub answers: Vec<(u16, Content)>,
    /// Statuses beyond those that [`Route::problems`] adds.
    refusals: Vec<u16>,
}

/// Begins a route that the documents describe by this summary.
macro_rules! method {
    ($name:ident, $method:ident) => {
        pub fn $name<F>(
            pattern: &'static str,
            handler: impl Fn(Call) -> F + Send + Sync + 'static,
            summary: &'static str,
        ) -> Route
        where
            F: Future<Output = HandlerResult> + Send + 'static,
        {
            Route {
                summary: Some(summary),
                ..unlisted(Method::$method, pattern, handler)
            }
        }
    };
}

method!(get, GET);
method!(post, POST);
method!(put, PUT);
method!(patch, PATCH);
method!(delete, DELETE);

/// Begins a route that the documents leave out.
pub fn unlisted<F>(
    method: Method,
    pattern: &'static str,
    handler: impl Fn(Call) -> F + Send + Sync + 'static,
) -> Route
where
    F: Future<Output = HandlerResult> + Send + 'static,
{
    Route {
        method,
        pattern,
        handler: Box::new(move |call| handler(call).boxed()),
        summary: None,
        query: &[],
        open: false,
        body: None,
        form: false,
        answers: Vec::new(),
        refusals: Vec::new(),
    }
}

impl Route {
    pub fn query(mut self, names: &'static [&'static str]) -> Self {
        self.query = names;
        self
    }

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

    /// A request that becomes a WebSocket, which authenticates in its own ways.
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

    /// The statuses of its problem documents, rising: those of every request, those that come with a token, with parameters
    /// in the path, and with a request that changes something, and those of [`Route::refuses`].
    pub fn problems(&self) -> Vec<u16> {
        let mut statuses = vec![400, 429, 500, 503];
        if !self.open {
            statuses.extend([401, 403]);
        }
        if self.pattern.contains('{') {
            statuses.extend([403, 404]);
        }
        if self.method != Method::GET {
            statuses.extend([413, 415]);
        }
        statuses.extend(&self.refusals);
        statuses.sort_unstable();
        statuses.dedup();
        statuses
    }
}

//! The OpenAPI document: the route table, what [`super::routes`] says of each route, and the protocol's types.

use http::Method;
use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::{
    operation::{Content, Operation},
    routes::operations,
};
use crate::{
    http::router,
    limits::*,
    protocol::{
        error::{Code, Problem, Refusal},
        schema::{self, LINE},
    },
};

const SCHEMAS: &str = "/components/schemas";
const JSON: &str = "application/json";
const PROBLEM_JSON: &str = "application/problem+json";
const FORM: &str = "application/x-www-form-urlencoded";
/// The one of the examples.
const REQUEST_ID: &str = "01a21000-0000-7000-8000-000000000001";

/// The document, OpenAPI 3.1.
pub fn document() -> Value {
    let mut answers = schema::answers(SCHEMAS);
    let mut requests = schema::requests(SCHEMAS);
    let problem = answers.subschema_for::<Problem>();
    let mut paths = Map::new();
    let mut tags = Vec::new();
    for (tag, operations) in operations() {
        tags.push(json!({"name": tag}));
        for operation in operations {
            let path = paths.entry(operation.pattern).or_insert_with(|| json!({}));
            path[operation.method.as_str().to_lowercase()] =
                described(tag, &operation, &mut answers, &mut requests);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Hearth",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The REST half of the Hearth protocol. PROTOCOL.md is the whole of it; the socket's frames \
                            are described by `/api/protocol.json`. Answers may grow: ignore fields that you don't know.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schema::merge([answers, requests]),
            "responses": problems(&problem.to_value()),
            "securitySchemes": {
                "password": {
                    "type": "oauth2",
                    "description": "Logs in with the name and password of an account, as registered.",
                    "flows": {"password": {"tokenUrl": "/api/login", "scopes": {}}},
                },
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "Or with the `access_token` that a registration or a log-in has answered.",
                },
            },
        },
    })
}

fn described(
    tag: &str,
    operation: &Operation,
    answers: &mut SchemaGenerator,
    requests: &mut SchemaGenerator,
) -> Value {
    let mut responses = Map::new();
    for (status, content) in &operation.answers {
        responses.insert(status.to_string(), answered(*status, content, answers));
    }
    for status in operation.statuses() {
        let problem = json!({"$ref": format!("#/components/responses/{status}")});
        responses.insert(status.to_string(), problem);
    }
    let security = match operation.open {
        true => json!([]),
        false => json!([{"password": []}, {"token": []}]),
    };
    let mut described = json!({
        "tags": [tag],
        "operationId": name(operation),
        "summary": operation.summary,
        "parameters": parameters(operation),
        "security": security,
        "responses": responses,
    });
    if let Some(body) = operation.body {
        let body = body(requests);
        let mut content = json!({JSON: {"schema": body}});
        if operation.form {
            content[FORM] = json!({"schema": form(body.as_value(), requests)});
        }
        described["requestBody"] = json!({"required": true, "content": content});
    }
    described
}

/// As `post_rooms_room_join`: the method, and the path without what all have.
fn name(operation: &Operation) -> String {
    let path = operation
        .pattern
        .replace("/api/", "/")
        .replace("/chat/", "/");
    let words = path.split(|c: char| !c.is_alphanumeric());
    let method = operation.method.as_str().to_lowercase();
    let words = std::iter::once(&*method).chain(words.filter(|word| !word.is_empty()));
    words.collect::<Vec<_>>().join("_")
}

fn answered(status: u16, content: &Content, answers: &mut SchemaGenerator) -> Value {
    let description = http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason());
    let mut answer = json!({"description": description.unwrap_or_default()});
    match content {
        Content::Nothing => {}
        Content::Json(schema) => answer["content"] = json!({JSON: {"schema": schema(answers)}}),
        Content::Other(mime) => answer["content"] = json!({*mime: {}}),
    }
    answer
}

/// The body as a form: the fields that it needs, with their examples, and whatever else.
fn form(body: &Value, requests: &SchemaGenerator) -> Value {
    let name = body["$ref"]
        .as_str()
        .and_then(|path| path.rsplit('/').next());
    let schema = name.and_then(|name| requests.definitions().get(name));
    let schema = schema.unwrap_or(&Value::Null);
    let mut properties = Map::new();
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap_or_default();
        let mut property = schema["properties"][name].clone();
        property["type"] = "string".into();
        property["examples"] = json!([schema["examples"][0][name]]);
        properties.insert(name.to_owned(), property);
    }
    json!({
        "type": "object",
        "description": schema["description"],
        "properties": properties,
        "required": schema["required"],
        "additionalProperties": true,
    })
}

/// A problem document for each status that there is a code for.
fn problems(schema: &Value) -> Value {
    let mut problems = Map::new();
    for code in Code::ALL {
        let (status, title) = code.status_and_title();
        let code_name = json!(code);
        let code_name = code_name.as_str().unwrap_or_default();
        let problem = problems.entry(status.to_string()).or_insert_with(|| {
            let mut problem = json!({
                "description": "",
                "content": {PROBLEM_JSON: {"schema": schema, "examples": {}}},
            });
            match status {
                401 => problem["headers"] = json!({"WWW-Authenticate": header("string")}),
                429 | 503 => problem["headers"] = json!({"Retry-After": header("integer")}),
                _ => {}
            }
            problem
        });
        let so_far = problem["description"].as_str().unwrap_or_default();
        let and = if so_far.is_empty() { "" } else { "; " };
        problem["description"] = format!("{so_far}{and}{title} (`{code_name}`)").into();
        problem["content"][PROBLEM_JSON]["examples"][code_name] =
            json!({"summary": title, "value": Problem::new(&refusal(code), REQUEST_ID)});
    }
    problems.into()
}

/// As a client could meet it.
fn refusal(code: Code) -> Refusal {
    match code {
        Code::Invalid => Refusal::invalid_field("email", "missing", "this field is required"),
        Code::NotFound => Refusal::not_found(),
        Code::Internal => Refusal::internal(),
        Code::Unavailable => Refusal::unavailable(),
        code => Refusal::new(code, "What is wrong, in one sentence."),
    }
}

fn header(kind: &str) -> Value {
    json!({"required": true, "schema": {"type": kind}})
}

/// Those of the path, and those that the route table names.
fn parameters(operation: &Operation) -> Vec<Value> {
    let pattern = operation.pattern;
    let in_path = pattern.split('{').skip(1);
    let in_path = in_path.filter_map(|rest| rest.split('}').next());
    let mut parameters: Vec<Value> = in_path.map(path_parameter).collect();
    let known = router::table()
        .into_iter()
        .find(|(method, endpoint)| *method == operation.method && endpoint.pattern == pattern);
    let known = known.map_or(&[][..], |(_, endpoint)| endpoint.parameters);
    parameters.extend(known.iter().map(|name| query_parameter(pattern, name)));
    // A socket's query is its own affair.
    if operation.method == Method::GET && pattern.starts_with("/ws") {
        parameters.push(query_parameter(pattern, "token"));
        if pattern.contains('{') {
            parameters.push(query_parameter(pattern, "history"));
        }
    }
    parameters
}

fn path_parameter(name: &str) -> Value {
    let (schema, example) = match name {
        "emoji" => (
            json!({"type": "string", "minLength": 1, "maxLength": EMOJI_BYTES_MAX}),
            json!("👍"),
        ),
        _ => (
            json!({"type": "integer", "minimum": 1, "maximum": ID_MAX}),
            json!(1),
        ),
    };
    json!({"name": name, "in": "path", "required": true, "schema": schema, "example": example})
}

/// By its name, which means the same everywhere, or nearly so.
fn query_parameter(pattern: &str, name: &str) -> Value {
    let number = |min: u64, max: u64| json!({"type": "integer", "minimum": min, "maximum": max});
    let line = |max: usize| json!({"type": "string", "maxLength": max, "pattern": LINE});
    let (schema, description) = match name {
        "limit" => {
            let mut limit = number(1, LIST_ITEMS_MAX as u64);
            limit["default"] = LIST_ITEMS_DEFAULT.into();
            (limit, "How many items at most.")
        }
        "cursor" if pattern.ends_with("/reactions") || pattern.ends_with("/search") => {
            (json!({"type": "string"}), "The `next` of the page before.")
        }
        "cursor" => (number(0, ID_MAX), "The `next` of the page before."),
        "q" if pattern.ends_with("/search") => {
            let mut words = line(SEARCH_CHARS_MAX);
            words["minLength"] = 1.into();
            (words, "What is searched for: words, \"a phrase\", begin*.")
        }
        "q" if pattern.ends_with("/rooms") => (
            line(ROOM_NAME_CHARS_MAX),
            "A part of the name, in any case, whatever its diacritics.",
        ),
        "q" => (
            line(FULL_NAME_CHARS_MAX),
            "The beginning of the username, or of the full name from any of its words on; in any case, whatever its diacritics.",
        ),
        "ids" => (
            json!({"type": "array", "items": number(1, ID_MAX), "minItems": 1, "maxItems": IDS_PER_REQUEST_MAX}),
            "Alone, without `q`, `cursor` and `limit`.",
        ),
        "scope" => (
            json!({"type": "string", "enum": ["mine", "public"]}),
            "Rooms that I am in, or public ones that I am not in; both when it is absent.",
        ),
        "before" => (
            number(0, ID_MAX),
            "A seq: those below it. One of the three.",
        ),
        "after" => (
            number(0, ID_MAX),
            "A seq: those above it. One of the three.",
        ),
        "around" => (
            number(0, ID_MAX),
            "A seq: those on both sides of it. One of the three.",
        ),
        "room_id" => (number(1, ID_MAX), "In this room only."),
        "from" => (number(1, ID_MAX), "By this user only."),
        "history" => (
            number(0, REPLAY_MAX as u64),
            "How many messages are played back first.",
        ),
        "token" => (
            json!({"type": "string"}),
            "The access token; or it comes as a subprotocol, or in a first frame `auth`.",
        ),
        _ => (json!({}), ""),
    };
    let required = name == "q" && pattern.ends_with("/search");
    let mut parameter = json!({"name": name, "in": "query", "required": required, "schema": schema, "description": description});
    if name == "ids" {
        parameter["explode"] = false.into();
    }
    // The page fills in every example: one of what may be left out would be in the way.
    if required {
        parameter["example"] = "hello".into();
    }
    parameter
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What the pages load is no part of the API.
    fn is_asset(pattern: &str) -> bool {
        pattern.ends_with(".js") || pattern.ends_with(".css")
    }

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let routes: BTreeSet<String> = router::table()
            .into_iter()
            .filter(|(_, endpoint)| !is_asset(endpoint.pattern))
            .map(|(method, endpoint)| format!("{method} {}", endpoint.pattern))
            .collect();
        let described: Vec<String> = operations()
            .into_iter()
            .flat_map(|(_, operations)| operations)
            .map(|operation| format!("{} {}", operation.method, operation.pattern))
            .collect();
        let set: BTreeSet<String> = described.iter().cloned().collect();
        let missing: Vec<_> = routes.difference(&set).collect();
        let surplus: Vec<_> = set.difference(&routes).collect();
        assert!(
            missing.is_empty() && surplus.is_empty(),
            "src/http/docs/routes.rs lacks {missing:?}; src/http/router.rs lacks {surplus:?}"
        );
        assert_eq!(set.len(), described.len(), "each once");
    }

    #[test]
    fn every_parameter_has_a_meaning() {
        for (_, endpoint) in router::table() {
            for name in endpoint.parameters {
                let parameter = query_parameter(endpoint.pattern, name);
                assert_ne!(
                    parameter["description"], "",
                    "{name}: say in openapi.rs what it is"
                );
            }
        }
    }

    /// All values of `$ref` in a document.
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(object) => {
                found.extend(object.get("$ref").and_then(Value::as_str));
                object.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn references_lead_somewhere_and_names_are_their_own() {
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 100, "{found:?}");
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("in this document");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        let ids: Vec<String> = operations()
            .iter()
            .flat_map(|(_, operations)| operations.iter().map(name))
            .collect();
        let set: BTreeSet<&String> = ids.iter().collect();
        assert_eq!(set.len(), ids.len(), "{ids:?}");
    }

    #[test]
    fn a_body_is_as_strict_as_the_server() {
        let document = document();
        let schemas = document["components"]["schemas"]
            .as_object()
            .expect("an object");
        let bodies: Vec<_> = schemas
            .iter()
            .filter(|(name, _)| name.ends_with("Body"))
            .collect();
        assert!(bodies.len() >= 10, "{bodies:?}");
        for (name, body) in bodies {
            assert_eq!(body["additionalProperties"], false, "{name}");
            for required in body["required"].as_array().into_iter().flatten() {
                let required = required.as_str().expect("a name");
                assert!(
                    body["properties"].get(required).is_some(),
                    "{name} {required}"
                );
            }
        }
        let codes = schemas["Code"]["enum"].as_array().map_or(0, Vec::len);
        assert_eq!(codes, Code::ALL.len(), "Code::ALL names all of them");
        let register = &schemas["RegisterBody"];
        assert_eq!(
            register["required"],
            json!(["username", "email", "password"])
        );
        assert_eq!(register["properties"]["username"]["type"], "string");
        assert_eq!(
            register["properties"]["username"]["maxLength"],
            USERNAME_CHARS_MAX
        );
        assert_eq!(
            register["properties"]["full_name"]["type"],
            json!(["string", "null"])
        );
    }
}

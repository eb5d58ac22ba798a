//! The OpenAPI document of a route table.

use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use crate::{
    http::route::{Content, Route},
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
/// The request id of the examples.
const REQUEST_ID: &str = "01a21000-0000-7000-8000-000000000001";

/// The document (OpenAPI 3.1) of these routes, by tag.
pub fn document(table: &[(&str, Vec<Route>)]) -> Value {
    let mut answers = schema::answers(SCHEMAS);
    let mut requests = schema::requests(SCHEMAS);
    let problem = answers.subschema_for::<Problem>();
    let mut paths = Map::new();
    let mut tags = Vec::new();
    for (tag, routes) in table {
        tags.push(json!({"name": tag}));
        for route in routes {
            let Some(summary) = route.summary else {
                continue;
            };
            let mut operation = operation(route, &mut answers, &mut requests);
            operation["tags"] = json!([tag]);
            operation["summary"] = summary.into();
            let path = paths.entry(route.pattern).or_insert_with(|| json!({}));
            path[route.method.as_str().to_lowercase()] = operation;
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Hearth",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The REST half of the Hearth protocol. PROTOCOL.md describes all of it; `/api/protocol.json` describes the \
                            socket's frames. Answers may get new fields: ignore those that you don't know.",
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

fn operation(
    route: &Route,
    answers: &mut SchemaGenerator,
    requests: &mut SchemaGenerator,
) -> Value {
    let mut responses = Map::new();
    for (status, content) in &route.answers {
        responses.insert(status.to_string(), answered(*status, content, answers));
    }
    for status in route.problems() {
        let problem = json!({"$ref": format!("#/components/responses/{status}")});
        responses.insert(status.to_string(), problem);
    }
    let security = if route.open {
        json!([])
    } else {
        json!([{"password": []}, {"token": []}])
    };
    let mut operation = json!({
        "operationId": name(route),
        "parameters": parameters(route),
        "security": security,
        "responses": responses,
    });
    if let Some(body) = route.body {
        let body = body(requests);
        let mut content = json!({JSON: {"schema": body}});
        if route.form {
            content[FORM] = json!({"schema": form(body.as_value(), requests)});
        }
        operation["requestBody"] = json!({"required": true, "content": content});
    }
    operation
}

/// The method, and the path without its common prefix, as `post_rooms_room_join`.
fn name(route: &Route) -> String {
    let path = route.pattern.replace("/api/", "/").replace("/chat/", "/");
    let mut name = route.method.as_str().to_lowercase();
    for word in path.split(|c: char| !c.is_alphanumeric()) {
        if !word.is_empty() {
            name.push('_');
            name.push_str(word);
        }
    }
    name
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

/// The body as a form: its required fields, with their examples, and any other fields.
fn form(body: &Value, requests: &SchemaGenerator) -> Value {
    let schema = body["$ref"]
        .as_str()
        .and_then(|path| path.rsplit('/').next())
        .and_then(|name| requests.definitions().get(name))
        .unwrap_or(&Value::Null);
    let mut properties = Map::new();
    let required = schema["required"].as_array().into_iter().flatten();
    for name in required.filter_map(Value::as_str) {
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

/// A problem document for each status that a code has.
fn problems(schema: &Value) -> Value {
    let mut problems = Map::new();
    for code in Code::ALL {
        let (status, title) = code.status_and_title();
        let code_value = json!(code);
        let code_name = code_value.as_str().unwrap_or_default();
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

/// An example of a refusal.
fn refusal(code: Code) -> Refusal {
    match code {
        Code::Invalid => Refusal::invalid_field("email", "missing", "this field is required"),
        Code::NotFound => Refusal::not_found(),
        Code::Internal => Refusal::internal(),
        Code::Unavailable => Refusal::unavailable(),
        code => Refusal::new(code, "One sentence that says what is wrong."),
    }
}

fn header(kind: &str) -> Value {
    json!({"required": true, "schema": {"type": kind}})
}

/// The parameters of the path and of the query.
fn parameters(route: &Route) -> Vec<Value> {
    let pattern = route.pattern;
    let in_path = pattern
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split('}').next());
    let mut parameters: Vec<Value> = in_path.map(path_parameter).collect();
    let in_query = route.query.iter();
    parameters.extend(in_query.map(|name| query_parameter(pattern, name)));
    // `ws` reads the query of a socket.
    if pattern.starts_with("/ws") {
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

/// A parameter of the query. A name has nearly the same meaning in all routes.
fn query_parameter(pattern: &str, name: &str) -> Value {
    let (schema, description) = meaning(pattern, name);
    let required = name == "q" && pattern.ends_with("/search");
    let mut parameter = json!({"name": name, "in": "query", "required": required, "schema": schema, "description": description});
    if name == "ids" {
        parameter["explode"] = false.into();
    }
    // The documentation page fills in every example, so an optional parameter has none.
    if required {
        parameter["example"] = "hello".into();
    }
    parameter
}

/// The schema and the description of a parameter of the query.
fn meaning(pattern: &str, name: &str) -> (Value, &'static str) {
    let number = |min: u64, max: u64| json!({"type": "integer", "minimum": min, "maximum": max});
    let line = |max: usize| json!({"type": "string", "maxLength": max, "pattern": LINE});
    match name {
        "limit" => {
            let mut limit = number(1, LIST_ITEMS_MAX as u64);
            limit["default"] = LIST_ITEMS_DEFAULT.into();
            (limit, "The most items of the page.")
        }
        "cursor" if pattern.ends_with("/reactions") || pattern.ends_with("/search") => (
            json!({"type": "string"}),
            "The `next` of the previous page.",
        ),
        "cursor" => (number(0, ID_MAX), "The `next` of the previous page."),
        "q" if pattern.ends_with("/search") => {
            let mut words = line(SEARCH_CHARS_MAX);
            words["minLength"] = 1.into();
            (words, "What to search for: words, \"a phrase\", begin*.")
        }
        "q" if pattern.ends_with("/rooms") => (
            line(ROOM_NAME_CHARS_MAX),
            "A part of the name. Case and diacritics are ignored.",
        ),
        "q" => (
            line(FULL_NAME_CHARS_MAX),
            "The beginning of the username, or of any word of the full name. Case and diacritics are ignored.",
        ),
        "ids" => (
            json!({"type": "array", "items": number(1, ID_MAX), "minItems": 1, "maxItems": IDS_PER_REQUEST_MAX}),
            "Ids of users, without `q`, `cursor` and `limit`.",
        ),
        "scope" => (
            json!({"type": "string", "enum": ["mine", "public"]}),
            "Rooms that I am a member of, or public ones that I am not a member of; both if it is absent.",
        ),
        "before" => (
            number(0, ID_MAX),
            "A seq: messages below it. Only one of the three may be given.",
        ),
        "after" => (
            number(0, ID_MAX),
            "A seq: messages above it. Only one of the three may be given.",
        ),
        "around" => (
            number(0, ID_MAX),
            "A seq: messages on both sides of it. Only one of the three may be given.",
        ),
        "room_id" => (number(1, ID_MAX), "Only in this room."),
        "from" => (number(1, ID_MAX), "Only by this user."),
        "since" => (
            json!({"type": "string", "format": "date-time"}),
            "Only messages made at this time or later.",
        ),
        "until" => (
            json!({"type": "string", "format": "date-time"}),
            "Only messages made before this time.",
        ),
        "near" => (
            json!({"type": "string", "enum": ["yes", "no"], "default": "yes"}),
            "Whether messages follow in which a word is only near one of the query's: misspelt here or there.",
        ),
        "history" => (
            number(0, REPLAY_MAX as u64),
            "How many messages are sent first.",
        ),
        "token" => (
            json!({"type": "string"}),
            "The access token. It may also be a subprotocol, or be in a first frame `auth`.",
        ),
        _ => (json!({}), ""),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::http::routes::{self, TABLE};

    #[test]
    fn every_parameter_has_a_meaning() {
        for route in TABLE.iter().flat_map(|(_, routes)| routes) {
            for name in route.query {
                let (_, description) = meaning(route.pattern, name);
                assert_ne!(description, "", "{name}: describe it in `meaning`");
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
        let document = routes::document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 100, "{found:?}");
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("in this document");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        let described = TABLE.iter().flat_map(|(_, routes)| routes);
        let ids: Vec<String> = described.map(name).collect();
        let set: BTreeSet<&String> = ids.iter().collect();
        assert_eq!(set.len(), ids.len(), "{ids:?}");
    }

    #[test]
    fn a_body_is_as_strict_as_the_server() {
        let document = routes::document();
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

//! The API's operations, read from its own document, so that tests need no lists of routes.

use hearth::http::openapi_document;
use serde_json::Value;

/// One method of one path.
#[derive(Clone, Debug)]
pub struct Operation {
    /// As `post_rooms_room_join`.
    pub name: String,
    pub method: String,
    /// As `/api/chat/rooms/{room}`.
    pub pattern: String,
    /// Whether it needs no token.
    pub open: bool,
    /// The required parameters, each with its example.
    parameters: Vec<(String, String)>,
    /// The example of its body.
    pub body: Option<Value>,
}

impl Operation {
    /// The path, with these values for parameters and examples for all others.
    pub fn path(&self, given: &[(&str, String)]) -> String {
        let mut path = self.pattern.clone();
        for (name, example) in &self.parameters {
            let given = given.iter().find(|(given, _)| given == name);
            let value = given.map_or(example, |(_, value)| value);
            let place = format!("{{{name}}}");
            if path.contains(&place) {
                path = path.replace(&place, value);
            } else {
                path += &format!("?{name}={value}");
            }
        }
        path
    }
}

/// All operations, by rising path.
pub fn operations() -> Vec<Operation> {
    let document = openapi_document();
    let mut operations = Vec::new();
    for (pattern, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            operations.push(Operation {
                name: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase(),
                pattern: pattern.clone(),
                open: operation["security"].as_array().unwrap().is_empty(),
                parameters: parameters(operation),
                body: body(&document, operation),
            });
        }
    }
    operations
}

fn parameters(operation: &Value) -> Vec<(String, String)> {
    let mut parameters = Vec::new();
    for parameter in operation["parameters"].as_array().unwrap() {
        let Some(example) = parameter.get("example") else {
            assert_eq!(parameter["required"], false, "{parameter}");
            continue;
        };
        let text = example.as_str().map_or(example.to_string(), str::to_owned);
        parameters.push((parameter["name"].as_str().unwrap().to_owned(), text));
    }
    parameters
}

fn body(document: &Value, operation: &Value) -> Option<Value> {
    let body = operation.get("requestBody")?;
    let schema = &body["content"]["application/json"]["schema"];
    let schema = match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.strip_prefix('#')?)?,
        None => schema,
    };
    let example = schema["examples"].get(0);
    let example = example.unwrap_or_else(|| panic!("a body without an example: {schema}"));
    Some(example.clone())
}

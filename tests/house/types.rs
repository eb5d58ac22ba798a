//! Where the web client's types come from: a module made from the schemas of the protocol's types, and the OpenAPI
//! document.

use std::{collections::BTreeMap, fmt::Write};

use hearth::{http::openapi_document, protocol::frames};
use serde_json::{Map, Value};

const HEAD: &str = "\
// The protocol's types, made from src/protocol/*.rs by `make types`. Don't edit: a test compares.
";

/// The whole module.
pub fn module() -> String {
    let mut types = BTreeMap::new();
    let (api, frames) = (openapi_document(), frames::schema());
    for definitions in [&api["components"]["schemas"], &frames["$defs"]] {
        for (name, schema) in definitions.as_object().expect("definitions by name") {
            let text = declaration(name, schema);
            let known = types.insert(name.clone(), text.clone());
            assert!(
                known.is_none_or(|known| known == text),
                "{name} is one type over REST and another in frames"
            );
        }
    }
    types
        .into_values()
        .fold(HEAD.to_owned(), |module, text| module + "\n" + &text)
}

/// The OpenAPI document without its examples: they are no types, and one of them changes each day.
pub fn openapi() -> String {
    let mut document = openapi_document();
    remove_examples(&mut document);
    let text = serde_json::to_string_pretty(&document).expect("a value is always JSON");
    text + "\n"
}

fn remove_examples(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.remove("example");
            object.remove("examples");
            object.values_mut().for_each(remove_examples);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_examples),
        _ => {}
    }
}

fn declaration(name: &str, schema: &Value) -> String {
    let comment = comment(schema, "");
    let ty = ty(schema, "");
    if ty.starts_with('{') && ty.ends_with('}') && !ty.contains("} & ") {
        format!("{comment}export interface {name} {ty}\n")
    } else if ty.starts_with('\n') {
        format!("{comment}export type {name} ={ty};\n")
    } else {
        format!("{comment}export type {name} = {ty};\n")
    }
}

fn comment(schema: &Value, indent: &str) -> String {
    match schema["description"].as_str() {
        Some(text) => format!("{indent}/** {} */\n", text.replace("*/", "* /")),
        None => String::new(),
    }
}

fn ty(schema: &Value, indent: &str) -> String {
    if let Some(value) = schema.get("const") {
        return value.to_string();
    }
    if let Some(values) = schema["enum"].as_array() {
        return union(values.iter().map(Value::to_string));
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(schemas) = schema[key].as_array() {
            return alternatives(schemas, indent);
        }
    }
    let mut parts = Vec::new();
    if let Some(path) = schema["$ref"].as_str() {
        parts.push(path.rsplit('/').next().unwrap_or(path).to_owned());
    }
    if let Some(properties) = schema["properties"].as_object() {
        parts.push(object(properties, &schema["required"], indent));
    }
    if !parts.is_empty() {
        return parts.join(" & ");
    }
    match &schema["type"] {
        Value::String(name) => plain(name, schema, indent),
        Value::Array(names) => {
            let names = names.iter().filter_map(Value::as_str);
            union(names.map(|name| plain(name, schema, indent)))
        }
        _ => "unknown".to_owned(),
    }
}

fn plain(name: &str, schema: &Value, indent: &str) -> String {
    match name {
        "integer" | "number" => "number".to_owned(),
        "array" => {
            let item = ty(&schema["items"], indent);
            if item.contains(' ') && !item.starts_with('{') {
                format!("({item})[]")
            } else {
                format!("{item}[]")
            }
        }
        "object" => {
            let values = schema["patternProperties"].as_object();
            let value = values.and_then(|values| values.values().next());
            let value = value.map_or("unknown".to_owned(), |value| ty(value, indent));
            format!("Record<string, {value}>")
        }
        name => name.to_owned(),
    }
}

fn union(types: impl Iterator<Item = String>) -> String {
    types.collect::<Vec<_>>().join(" | ")
}

/// On lines of their own where they have something to say.
fn alternatives(schemas: &[Value], indent: &str) -> String {
    let long = schemas
        .iter()
        .any(|schema| schema.get("properties").is_some() || schema.get("description").is_some());
    if !long {
        return union(schemas.iter().map(|schema| ty(schema, indent)));
    }
    let inner = format!("{indent}  ");
    schemas.iter().fold(String::new(), |mut text, schema| {
        let comment = comment(schema, &inner);
        write!(text, "\n{comment}{inner}| {}", ty(schema, &inner)).expect("a String takes all");
        text
    })
}

fn object(properties: &Map<String, Value>, required: &Value, indent: &str) -> String {
    let required = |name: &str| {
        let names = required.as_array().into_iter().flatten();
        names.into_iter().any(|required| required == name)
    };
    let inner = format!("{indent}  ");
    let mut text = "{\n".to_owned();
    // What kind of thing it is comes first.
    let (mut names, rest): (Vec<_>, Vec<_>) = properties
        .iter()
        .partition(|(_, schema)| schema.get("const").is_some());
    names.extend(rest);
    for (name, schema) in names {
        let optional = if required(name) { "" } else { "?" };
        let comment = comment(schema, &inner);
        writeln!(
            text,
            "{comment}{inner}{name}{optional}: {};",
            ty(schema, &inner)
        )
        .expect("a String takes all");
    }
    text + indent + "}"
}

//! The protocol's types as JSON Schema (2020-12): the only source of the OpenAPI document, of the frames' schema and of the
//! frontend's types. A schema never forbids what the server accepts. What JSON Schema can't express (bytes, graphemes, only
//! white space, other parameters) is left out, and documented in words.
//!
//! Deliberately absent: HTTP. What a route takes and answers is in `http::routes`.

use schemars::{
    JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema,
    transform::RecursiveTransform,
};
use serde_json::{Map, Value, json};

use super::{reference::Ref, types::Time};
use crate::limits::PASSWORD_BYTES_MIN;

/// One line of text ([`super::check::Checks::line`]).
pub const LINE: &str = r"^[^\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]*$";
/// Every name has this form, before it is composed, too. Not everything of this form is a name ([`super::names`]).
pub const USERNAME: &str =
    "^[\\p{L}\\p{M}\\p{N}_][\\p{L}\\p{M}\\p{N}_‿⁀⁔︳︴﹍﹎﹏＿·\u{387}・\u{200c}\u{200d}.-]*$";
/// Every e-mail address has this form. Not everything of this form is one.
pub const EMAIL: &str = r"^[^@\s]+@[^@\s]+\.[^@\s]+$";
/// A password's length is counted in bytes. A character has at most four.
pub const PASSWORD_CHARS_MIN: usize = PASSWORD_BYTES_MIN.div_ceil(4);

/// Makes schemas of what the server sends. `definitions` is the place of the definitions in the document, as `/$defs`.
pub fn answers(definitions: &'static str) -> SchemaGenerator {
    // What is absent is left out, so `null` has a meaning of its own.
    let tidy = |schema: &mut Schema| tidy(schema, |required| !required);
    settings(definitions)
        .for_serialize()
        .with_transform(RecursiveTransform(tidy))
        .into_generator()
}

/// Makes schemas of what clients send: other fields are forbidden, and `null` means that a field is absent.
pub fn requests(definitions: &'static str) -> SchemaGenerator {
    let tidy = |schema: &mut Schema| {
        tidy(schema, |required| required);
        if schema.get("properties").is_some() && schema.get("additionalProperties").is_none() {
            schema.insert("additionalProperties".to_owned(), false.into());
        }
    };
    settings(definitions)
        .for_deserialize()
        .with_transform(RecursiveTransform(tidy))
        .into_generator()
}

fn settings(definitions: &'static str) -> SchemaSettings {
    SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = definitions.into();
        settings.meta_schema = None;
    })
}

/// The definitions of both generators, by name. A type that is in both must look the same.
pub fn merge(generators: [SchemaGenerator; 2]) -> Map<String, Value> {
    let [mut first, mut second] = generators;
    let mut definitions = first.take_definitions(true);
    for (name, schema) in second.take_definitions(true) {
        let known = definitions.insert(name.clone(), schema.clone());
        assert!(
            known.is_none_or(|known| known == schema),
            "{name} is one type in requests and another in answers: rename one of them"
        );
    }
    definitions
}

/// Adds `ref` to each frame: it is beside the request's fields, not among them.
pub fn with_ref(schema: &mut Schema) {
    let mut reference = Ref::json_schema(&mut requests("/$defs"));
    reference.remove("description");
    let frames = schema.get_mut("oneOf").and_then(Value::as_array_mut);
    for frame in frames.into_iter().flatten() {
        frame["properties"]["ref"] = reference.clone().to_value();
    }
}

/// For a field that may be absent, too. It is `oneOf`, so that [`tidy`] doesn't change it.
pub fn time_or_null(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({"oneOf": [Time::json_schema(generator), {"type": "null"}]})
}

/// Removes `null` from the properties that `plain` picks by whether they are required, formats that no standard defines,
/// and the links of doc comments.
fn tidy(schema: &mut Schema, plain: fn(bool) -> bool) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    let required = object.get("required").cloned().unwrap_or_default();
    let is_required = |name: &String| {
        let names = required.as_array().into_iter().flatten();
        names.into_iter().any(|required| required == name)
    };
    if let Some(Value::Object(properties)) = object.get_mut("properties") {
        for (_, property) in properties
            .iter_mut()
            .filter(|(name, _)| plain(is_required(name)))
        {
            without_null(property);
        }
    }
    if object
        .get("format")
        .and_then(Value::as_str)
        .is_some_and(|format| format.starts_with("uint"))
    {
        object.remove("format");
    }
    if let Some(Value::String(text)) = object.get_mut("description") {
        *text = without_links(text);
    }
}

/// "[`limits::MENTIONED_MAX`]" becomes `MENTIONED_MAX`, for readers who don't have the source.
fn without_links(text: &str) -> String {
    let mut parts = text.split("[`");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once("`]") {
            Some((path, rest)) => {
                let name = path.rsplit("::").next().unwrap_or(path);
                plain.extend(["`", name, "`", rest]);
            }
            None => plain.extend(["[`", part]),
        }
    }
    plain.replace('\n', " ")
}

fn without_null(property: &mut Value) {
    let null = json!({"type": "null"});
    if let Some(Value::Array(types)) = property.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = &types[..] {
            property["type"] = only.clone();
        }
    }
    if let Some(Value::Array(schemas)) = property.get_mut("anyOf") {
        schemas.retain(|schema| *schema != null);
        if let [Value::Object(only)] = &schemas[..] {
            let only = only.clone();
            if let Some(property) = property.as_object_mut() {
                property.remove("anyOf");
                property.extend(only);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_for_everybody() {
        for (comment, text) in [
            (
                "at most [`limits::REPLAY_MAX`],\nor so",
                "at most `REPLAY_MAX`, or so",
            ),
            ("all of (`prev`, `rev`]", "all of (`prev`, `rev`]"),
            ("", ""),
        ] {
            assert_eq!(without_links(comment), text);
        }
    }
}

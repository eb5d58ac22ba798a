//! The schema of all frames, in both directions.

use serde_json::{Value, json};

use super::{
    client::Request,
    schema::{answers, merge, requests},
    server::Frame,
};

/// Every frame that travels, as `#/$defs/ClientFrame` and `#/$defs/ServerFrame`.
pub fn schema() -> Value {
    let (mut answers, mut requests) = (answers("/$defs"), requests("/$defs"));
    let server = answers.subschema_for::<Frame>();
    let client = requests.subschema_for::<Request>();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The Hearth protocol's frames",
        "description": "What a client sends over the socket is a ClientFrame, what the server sends a ServerFrame.",
        "anyOf": [client, server],
        "$defs": merge([answers, requests]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_where_it_says_something() {
        let frames = schema();
        let definition = |name: &str| frames["$defs"][name].clone();
        let member = &definition("LiveMemberChange");
        assert_eq!(member["properties"]["role"]["anyOf"][1]["type"], "null");
        assert_eq!(member["properties"]["at"]["type"], "string");
        let update = &definition("LiveMessageUpdate");
        assert_eq!(
            update["properties"]["pinned_at"]["oneOf"][1]["type"],
            "null"
        );
        assert_eq!(update["properties"]["edited_at"]["type"], "string");
    }
}

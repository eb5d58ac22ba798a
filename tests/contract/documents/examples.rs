//! The examples of the API's document: each matches its schema, and can be sent as it stands.

use std::collections::{BTreeMap, BTreeSet};

use hearth::http::openapi_document;
use serde_json::{Value, json};

use crate::support::{
    Db, Server,
    api::{Operation, operations},
};

/// A walk through the page, in which each operation finds what those before it have made.
const MAKING: [&str; 15] = [
    "post_register",
    "post_login",
    "patch_me",
    "post_rooms",
    "post_invites",
    "patch_rooms_room",
    "patch_rooms_room_me",
    "post_rooms_room_join",
    "post_rooms_room_members",
    "post_direct",
    "post_rooms_room_messages",
    "patch_rooms_room_messages_seq",
    "put_rooms_room_messages_seq_reactions_emoji",
    "put_rooms_room_messages_seq_pin",
    "post_rooms_room_read",
];
/// Its end, when all has been looked at.
const ENDING: [&str; 12] = [
    "delete_rooms_room_messages_seq_pin",
    "delete_rooms_room_messages_seq_reactions_emoji",
    "delete_rooms_room_messages_seq",
    "delete_invites_invite",
    "delete_rooms_room",
    "post_logout",
    "post_login",
    "post_logout_all",
    "post_login",
    "delete_me",
    "post_register",
    "post_me_password",
];
/// Operations that need another person, an admin, or a secret of one person.
const LEFT_OUT: [&str; 10] = [
    "post_refresh",
    "post_password_reset",
    "delete_me_sessions_session",
    "patch_users_user",
    "patch_rooms_room_members_user",
    "delete_rooms_room_members_user",
    "post_rooms_room_leave",
    "get_ws",
    "get_ws_room",
    "get_ws_rooms_room",
];

/// Notes every example in a part of the document that its schema doesn't allow; how many there are.
fn judge(document: &Value, part: &Value, faults: &mut Vec<String>) -> usize {
    let mut count = 0;
    let mut against = |schema: &Value, example: &Value| {
        let mut schema = json!({"allOf": [schema]});
        schema["components"] = document["components"].clone();
        let validator = jsonschema::options()
            .should_validate_formats(true)
            .build(&schema)
            .unwrap();
        let errors = validator.iter_errors(example);
        faults.extend(errors.map(|error| format!("{example}: {error}")));
        count += 1;
    };
    match part {
        Value::Object(object) => {
            match (&part["examples"], &part["schema"]) {
                (Value::Array(examples), _) => examples.iter().for_each(|e| against(part, e)),
                (Value::Object(examples), schema) => {
                    examples.values().for_each(|e| against(schema, &e["value"]))
                }
                _ => {}
            }
            if let Some(example) = object.get("example") {
                against(&part["schema"], example);
            }
            let inner = object.values().map(|inner| judge(document, inner, faults));
            count + inner.sum::<usize>()
        }
        Value::Array(items) => items.iter().map(|item| judge(document, item, faults)).sum(),
        _ => 0,
    }
}

#[test]
fn examples_are_as_their_schemas_say() {
    let document = openapi_document();
    let mut faults = Vec::new();
    let count = judge(&document, &document, &mut faults);
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(count > 50, "{count}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn examples_are_taken_as_they_stand() {
    let server = Server::start(Db::Sqlite).await;
    let operations: BTreeMap<String, Operation> = operations()
        .into_iter()
        .map(|operation| (operation.name.clone(), operation))
        .collect();
    let looking = operations.iter().filter(|(name, operation)| {
        operation.method == "GET" && !LEFT_OUT.contains(&name.as_str())
    });
    let looking: Vec<&str> = looking.map(|(name, _)| name.as_str()).collect();
    let walk = || MAKING.iter().chain(&looking).chain(&ENDING);
    let met: BTreeSet<&str> = walk().chain(&LEFT_OUT).copied().collect();
    let all: BTreeSet<&str> = operations.keys().map(String::as_str).collect();
    assert_eq!(met, all, "each operation is tried, or left out knowingly");

    let http = reqwest::Client::new();
    let mut token = None;
    let mut refused = Vec::new();
    for name in walk() {
        let operation = &operations[*name];
        let method = operation.method.parse().unwrap();
        let mut request = http.request(method, server.url(&operation.path(&[])));
        if let Some(token) = &token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = &operation.body {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        // Pages aren't JSON.
        let text = response.text().await.unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        if let Some(newer) = answer["access_token"].as_str() {
            token = Some(newer.to_owned());
        }
        if !status.is_success() {
            refused.push(format!("{name}: {status} {answer}"));
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
}

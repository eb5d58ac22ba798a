//! Whom a text mentions. tests/fixtures/mentions.json is the whole table.

use serde_json::{Value, json};

use crate::support::{Db, Server, each_database};

async fn only_those_who_are_meant_are_mentioned(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let mut people = Vec::new();
    for name in ["bob", "straße", "विक्रम", "น้องนุช", "山田太郎"] {
        people.push(server.register(name).await);
    }
    let everybody: Vec<_> = people.iter().collect();
    let room = ada.create_room("hall", &everybody).await;
    let path = format!("/api/chat/rooms/{room}/messages");
    for (text, names) in [
        (
            "https://medium.com/@bob/post https://x.example/@all",
            &[][..],
        ),
        ("www.x.example/@bob mailto:@bob user@bob josé@bob", &[]),
        ("npm i @bob/pkg", &[]),
        ("`@all` ``@bob``", &[]),
        ("```\n@bob @all\n```\n\n    @bob", &[]),
        ("`@bob` https://x.example/@bob @Bob", &["bob"]),
        ("请@bob看一下", &["bob"]),
        ("@bobさん", &["bob"]),
        ("안녕@bob님", &["bob"]),
        ("@bob・@STRASSE", &["bob", "straße"]),
        ("@bob·@straße", &["bob", "straße"]),
        ("@山田太郎さん、@STRASSE", &["straße", "山田太郎"]),
        ("ขอบคุณ@น้องนุชมาก @विक्रम जी", &["विक्रम", "น้องนุช"]),
    ] {
        let (status, message) = ada.post(&path, json!({"content": text})).await;
        assert_eq!(status, 201, "{message}");
        let ids = people.iter().filter(|one| names.contains(&&*one.name));
        let ids: Vec<Value> = ids.map(|one| json!(one.id)).collect();
        let mentioned = message["mentions"].as_array().cloned().unwrap_or_default();
        assert_eq!(mentioned, ids, "{text}");
        assert_eq!(message.get("mention_all"), None, "{text}");
    }
}

/// Only a member's longer name wins over a shorter one; names of users outside the room don't.
async fn the_longest_name_of_a_member_wins(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let mut outsiders = Vec::new();
    for name in ["bobさん", "bob看一", "bob.", "all看"] {
        outsiders.push(server.register(name).await);
    }
    let path = format!("/api/chat/rooms/{room}");
    let said = async |text: &str| {
        let body = json!({"content": text});
        let (status, message) = ada.post(&format!("{path}/messages"), body).await;
        assert_eq!(status, 201, "{message}");
        let ids = message["mentions"].as_array().cloned().unwrap_or_default();
        let ids: Vec<u64> = ids.iter().filter_map(Value::as_u64).collect();
        (ids, message["mention_all"] == true)
    };
    let texts = ["@bobさんへ", "请@bob看一下", "Hi @bob.", "@all看"];
    let bob_alone = || (vec![bob.id], false);
    let all = (Vec::new(), true);
    for (text, expected) in texts
        .iter()
        .zip([bob_alone(), bob_alone(), bob_alone(), all])
    {
        assert_eq!(said(text).await, expected, "{text}");
    }
    for outsider in &outsiders {
        outsider.act(&format!("{path}/join")).await;
    }
    for (text, outsider) in texts.iter().zip(&outsiders) {
        assert_eq!(said(text).await, (vec![outsider.id], false), "{text}");
    }
    // Between two messages, and between a message and its edit.
    for outsider in &outsiders {
        outsider.act(&format!("{path}/leave")).await;
    }
    assert_eq!(said(texts[0]).await, bob_alone());
    let body = json!({"content": format!("{} once more", texts[0])});
    let (_, edited) = ada
        .request("PATCH", &format!("{path}/messages/5"), Some(&body))
        .await;
    assert_eq!(edited["mentions"], json!([bob.id]));
}

each_database!(
    only_those_who_are_meant_are_mentioned,
    the_longest_name_of_a_member_wins,
);

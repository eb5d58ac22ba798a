//! Whom a text mentions, through the front door: tests/fixtures/mentions.json is the whole table.

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

each_database!(only_those_who_are_meant_are_mentioned);

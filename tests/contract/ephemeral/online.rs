//! `GET /api/users/online`.

use serde_json::{Value, json};

use super::presence::connect;
use crate::support::{Db, Server, each_database};

fn names(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().unwrap().iter();
    items
        .map(|user| user["username"].as_str().unwrap())
        .collect()
}

async fn those_online_are_found(db: Db) {
    let server = Server::start(db).await;
    let mut sockets = Vec::new();
    let mut people = Vec::new();
    for name in ["ada", "adam", "Adele", "bob", "carol", "İzmir"] {
        let account = server.register(name).await;
        if name != "adam" && name != "carol" {
            sockets.push(connect(&account).await);
        }
        people.push(account);
    }
    // A second connection doesn't count, and who asks needn't be online.
    sockets.push(connect(&people[3]).await);
    let asker = &people[4];
    for (query, expected, next) in [
        ("", vec!["ada", "Adele", "bob", "İzmir"], Value::Null),
        ("q=IZM", vec!["İzmir"], Value::Null),
        ("q=izm", vec!["İzmir"], Value::Null),
        ("q=%C4%B1zm", vec!["İzmir"], Value::Null),
        ("q=AD", vec!["ada", "Adele"], Value::Null),
        ("q=b", vec!["bob"], Value::Null),
        ("q=carol", vec![], Value::Null),
        ("q=%25", vec![], Value::Null),
        ("q=%CC%81", vec![], Value::Null),
        ("q=%E2%80%8D", vec![], Value::Null),
        ("limit=1", vec!["ada"], json!("1")),
        ("limit=1&cursor=1", vec!["Adele"], json!("3")),
        ("limit=2&cursor=1", vec!["Adele", "bob"], json!("4")),
        ("limit=1&cursor=4", vec!["İzmir"], Value::Null),
        ("limit=1&cursor=6", vec![], Value::Null),
        ("q=ad&limit=1", vec!["ada"], json!("1")),
        ("q=ad&limit=1&cursor=1", vec!["Adele"], Value::Null),
        ("ids=1,2,4,999", vec!["ada", "bob"], Value::Null),
        ("ids=2", vec![], Value::Null),
    ] {
        let (status, page) = asker.get(&format!("/api/users/online?{query}")).await;
        assert_eq!((status, names(&page)), (200, expected), "{query}");
        assert_eq!(page["next"], next, "{query}: {page}");
        let mut items = page["items"].as_array().unwrap().iter();
        assert!(items.all(|user| user.get("email").is_none()), "{page}");
    }
    for query in ["q=a&q=b", "ids=x", "limit=0", "ids=1&q=a", "colour=red"] {
        let (status, problem) = asker.get(&format!("/api/users/online?{query}")).await;
        assert_eq!(
            (status, &problem["code"]),
            (400, &json!("invalid")),
            "{query}"
        );
    }
    let (status, _) = server.request("GET", "/api/users/online", None, None).await;
    assert_eq!(status, 401);
}

each_database!(those_online_are_found);

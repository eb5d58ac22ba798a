//! Groups: rooms that are made with their members.

use serde_json::json;

use crate::support::{Account, Db, MariaDb, Server, each_database, statements};

async fn groups_are_made_whole(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let mut people = Vec::new();
    for number in 0..100 {
        people.push(server.register(&format!("person{number}")).await);
    }
    let mut socket = people[99].connect().await;
    let mut ids: Vec<u64> = people.iter().map(|person| person.id).collect();
    let body = |ids: &[u64]| json!({"name": "group", "kind": "private", "members": ids});
    let (status, room) = ada.post("/api/chat/rooms", body(&ids)).await;
    assert_eq!(
        (status, &room["rev"], &room["member_count"]),
        (201, &json!(102), &json!(101))
    );
    let added = socket.expect("added").await;
    assert_eq!(
        (&added["room"]["id"], &added["room"]["rev"]),
        (&room["id"], &json!(102))
    );
    let id = room["id"].as_u64().unwrap();
    let (frames, _) = socket.join_from(id, 0).await;
    assert_eq!(frames.len(), 102, "settings, and a change for each member");
    ids[7] = ids[8];
    ids.push(ids[0]);
    assert_eq!(
        ada.post("/api/chat/rooms", body(&ids)).await.0,
        400,
        "a hundred ids are the most"
    );
    ids.pop();
    ids[9] = ada.id;
    let (status, room) = ada.post("/api/chat/rooms", body(&ids)).await;
    assert_eq!(
        (status, &room["member_count"]),
        (201, &json!(99)),
        "each once"
    );
    assert_eq!(
        ada.get("/api/chat/rooms").await.1["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

/// Unknown and deleted users are named in the refusal, wherever they stand in the list; and no room is made.
async fn members_who_are_not_there_are_named(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let mut ids = Vec::new();
    for number in 0..98 {
        ids.push(server.register(&format!("person{number}")).await.id);
    }
    let disabled = server.register("disabled").await.id;
    server.done(&["user", "disable", "disabled"]).await;
    let gone = server.register("gone").await;
    let body = json!({"current_password": "correct horse gone"});
    assert_eq!(gone.request("DELETE", "/api/me", Some(&body)).await.0, 204);
    let gone = gone.id;
    let unknown = 987_654;
    for wrong in [
        &[unknown][..],
        &[disabled],
        &[gone],
        &[disabled, unknown],
        &[disabled, gone, unknown],
    ] {
        let named: Vec<String> = wrong.iter().map(u64::to_string).collect();
        let message = format!("no active user has this id: {}", named.join(", "));
        let mut alone = wrong.to_vec();
        alone.reverse();
        let last = [&ids[..100 - wrong.len().max(2)], wrong].concat();
        let first = [wrong, &ids[..100 - wrong.len().max(2)]].concat();
        // Named twice it is told once, and one's own id is never in the way.
        let twice = [wrong, &[ada.id], wrong].concat();
        for members in [alone, first, last, twice] {
            let body = json!({"name": "group", "kind": "private", "members": members});
            let (status, problem) = ada.post("/api/chat/rooms", body).await;
            assert_eq!(status, 400, "{members:?}: {problem}");
            let expected = json!([{"field": "members", "code": "unknown", "message": message}]);
            assert_eq!(problem["errors"], expected, "{members:?}");
        }
    }
    let rooms = ada.get("/api/chat/rooms").await.1;
    assert_eq!(rooms["items"], json!([]));
}

each_database!(groups_are_made_whole, members_who_are_not_there_are_named);

/// A hundred members are read and written as one is: what it costs doesn't grow with them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_are_read_and_written_by_one_statement() {
    let database = MariaDb::start().await;
    let server = Server::start_on_url(&database.url(), &[]).await;
    let ada = server.register("ada").await;
    let mut people: Vec<Account> = Vec::new();
    for number in 0..100 {
        people.push(server.register(&format!("person{number}")).await);
    }
    let mut counter = mysql_async::Conn::from_url(database.url()).await.unwrap();
    // The least of several: other work of the server's, as the search index, goes on beside it.
    let mut cost = async |members: usize| {
        let members: Vec<&Account> = people[..members].iter().collect();
        let mut least = u64::MAX;
        for _ in 0..5 {
            let before = statements(&mut counter).await;
            ada.create_room("group", &members).await;
            least = least.min(statements(&mut counter).await - before);
        }
        least
    };
    let one = cost(1).await;
    for members in [2, 8, 9, 64, 65, 100] {
        let many = cost(members).await;
        assert!(
            many < one + 10,
            "{members}: {many} statements, {one} for one"
        );
    }
}

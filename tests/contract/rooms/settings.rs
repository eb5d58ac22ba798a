//! Names, topics, the archive, the deletion of a room, and notification settings.

use serde_json::{Value, json};

use super::{patch, told};
use crate::support::{Db, Server, each_database};

async fn settings_change_in_one_event(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let path = format!("/api/chat/rooms/{room}");
    let mut socket = bob.connect().await;
    socket.join(room).await;
    let body = json!({"name": " Neue Halle ", "topic": "👍"});
    let (status, now) = patch(&ada, &path, body).await;
    assert_eq!(
        (status, &now["name"], &now["topic"]),
        (200, &json!(" Neue Halle "), &json!("👍"))
    );
    assert_eq!((&now["rev"], &now["role"]), (&json!(4), &json!("owner")));
    let frame = told(&mut socket, "room", room).await;
    let created_at = &frame["room"]["created_at"];
    assert!(created_at.is_string(), "{frame}");
    let settings = json!({
        "id": room, "kind": "public", "name": " Neue Halle ", "topic": "👍", "created_by": ada.id,
        "created_at": created_at, "rev": 4, "last_seq": 0, "member_count": 2,
    });
    let event = json!({"type": "room", "room_id": room, "rev": 4, "room": settings});
    assert_eq!(frame, event, "without what differs by member");
    let (frames, _) = bob.connect().await.join_from(room, 3).await;
    let mut caught_up = event.clone();
    caught_up["prev"] = 3.into();
    assert_eq!(frames, [caught_up] as [Value; 1]);
    // As it is already, or nothing at all: no rev.
    for body in [
        json!({}),
        json!({"name": " Neue Halle "}),
        json!({"topic": "👍", "archived": false}),
    ] {
        let (status, now) = patch(&ada, &path, body).await;
        assert_eq!((status, &now["rev"]), (200, &json!(4)));
    }
    let (_, now) = patch(&ada, &path, json!({"topic": ""})).await;
    assert_eq!(
        (&now["name"], &now["topic"]),
        (&json!(" Neue Halle "), &json!(""))
    );
    // Found by its new name, in any case.
    for (query, count) in [
        ("q=neue%20h", 1),
        ("q=HALL", 1),
        ("q=NEUE%20HALLE", 1),
        ("q=hallx", 0),
    ] {
        for scope in ["", "&scope=mine"] {
            let (_, page) = bob.get(&format!("/api/chat/rooms?{query}{scope}")).await;
            assert_eq!(page["items"].as_array().unwrap().len(), count, "{query}");
        }
    }
    for (body, fault) in [
        (json!({"name": ""}), "name length"),
        (json!({"name": " "}), "name blank"),
        (json!({"name": "a\nb"}), "name format"),
        (json!({"name": "x".repeat(81)}), "name length"),
        (json!({"name": 7}), "name type"),
        (json!({"topic": "x".repeat(251)}), "topic length"),
        (json!({"archived": "yes"}), "archived type"),
        (json!({"kind": "private"}), "kind unknown"),
    ] {
        let (status, problem) = patch(&ada, &path, body).await;
        let error = &problem["errors"][0];
        let found = format!("{} {}", error["field"], error["code"]).replace('"', "");
        assert_eq!((status, &*found), (400, fault));
    }
    let (_, now) = patch(
        &ada,
        &path,
        json!({"name": "x".repeat(80), "topic": "x".repeat(250)}),
    )
    .await;
    assert_eq!(now["rev"], 6);
}

async fn an_archived_room_can_be_read_and_opened_again(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let path = format!("/api/chat/rooms/{room}");
    let mut socket = bob.connect().await;
    socket.join(room).await;
    socket.say(room, "before").await;
    let (status, now) = patch(&ada, &path, json!({"archived": true, "topic": "closed"})).await;
    assert_eq!((status, &now["rev"]), (200, &json!(5)));
    assert!(now["archived_at"].is_string(), "{now}");
    let frame = told(&mut socket, "room", room).await;
    assert_eq!(frame["room"]["archived_at"], now["archived_at"]);
    let (_, page) = bob.get(&format!("{path}/messages")).await;
    assert_eq!(page["items"][0]["content"], "before");
    assert_eq!(patch(&ada, &path, json!({"name": "x"})).await.0, 403);
    assert_eq!(patch(&bob, &path, json!({"archived": false})).await.0, 403);
    // Live delivery goes on: members must be told when the room is opened again.
    let mut late = bob.connect().await;
    assert_eq!(late.ready["rooms"][0]["archived_at"], now["archived_at"]);
    late.join(room).await;
    let (status, now) = patch(&ada, &path, json!({"archived": false, "name": "open"})).await;
    assert_eq!((status, now.get("archived_at")), (200, None), "{now}");
    for socket in [&mut socket, &mut late] {
        let settings = &told(socket, "room", room).await["room"];
        assert_eq!(
            (settings.get("archived_at"), &settings["name"]),
            (None, &json!("open"))
        );
    }
    assert_eq!(socket.say(room, "after").await["seq"], 2);
}

async fn a_deleted_room_is_gone_for_everybody(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let eve = server.register("eve").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let other = ada.create_room("other", &[&bob, &eve]).await;
    let path = format!("/api/chat/rooms/{room}");
    ada.connect().await.say(room, "text").await;
    let mut live = bob.connect().await;
    live.join(room).await;
    live.join(other).await;
    let mut plain = [bob.connect().await, ada.connect().await];
    let mut room_sockets = [
        bob.open(&format!("/ws/{room}")).await,
        ada.open(&format!("/ws/rooms/{room}")).await,
    ];
    for socket in &mut room_sockets {
        socket.expect("synced").await;
    }
    let mut stranger = eve.connect().await;
    assert_eq!(ada.delete(&path).await, (204, Value::Null));
    let removed = json!({"type": "removed", "room_id": room, "rev": 5});
    for socket in plain.iter_mut().chain([&mut live]).chain(&mut room_sockets) {
        assert_eq!(told(socket, "removed", room).await, removed);
    }
    for socket in &mut room_sockets {
        assert_eq!(socket.closed().await, 4505);
    }
    let mut late = bob.open(&format!("/ws/{room}")).await;
    assert_eq!(late.closed().await, 4505);
    for account in [&ada, &bob, &eve] {
        for (method, rest) in [
            ("GET", ""),
            ("DELETE", ""),
            ("GET", "/messages"),
            ("GET", "/members"),
            ("GET", "/pins"),
            ("POST", "/join"),
            ("POST", "/leave"),
        ] {
            let (status, _) = account
                .request(method, &format!("{path}{rest}"), None)
                .await;
            assert_eq!(status, 404, "{method} {rest}");
        }
        let (_, page) = account.get("/api/chat/rooms").await;
        assert_eq!(page["items"].as_array().unwrap().len(), 1, "{page}");
    }
    let join = json!({"type": "join", "room_id": room, "rev": 3});
    assert_eq!(live.ask(join).await["type"], "removed");
    let sync = json!({"type": "sync", "rooms": {room.to_string(): 3}});
    let (frames, _) = live.ask_through(sync).await;
    assert!(
        frames.iter().all(|frame| frame["type"] != "message"),
        "{frames:?}"
    );
    // Users outside it are told nothing, and the other rooms go on.
    assert_eq!(stranger.fence().await, [] as [Value; 0]);
    ada.connect().await.say(other, "on").await;
    assert_eq!(told(&mut live, "message", other).await["content"], "on");
    assert_eq!(
        bob.connect().await.ready["rooms"].as_array().unwrap().len(),
        1
    );
    // It gives a place back in the thousand rooms that one may be in.
    assert!(
        server.log().lines().all(|line| !line.contains("\"ERROR\"")),
        "{}",
        server.log()
    );
}

async fn what_one_wants_to_be_told_of_is_kept(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let path = format!("/api/chat/rooms/{room}");
    let mut socket = ada.connect().await;
    socket.join(room).await;
    for notify in ["mentions", "none", "none", "all", "mentions"] {
        let (status, now) = patch(&bob, &format!("{path}/me"), json!({"notify": notify})).await;
        assert_eq!(
            (status, &now["notify"], &now["rev"]),
            (200, &json!(notify), &json!(3))
        );
        let (_, now) = bob.get(&path).await;
        assert_eq!(now["notify"], notify);
    }
    let (_, now) = patch(&bob, &format!("{path}/me"), json!({})).await;
    assert_eq!(now["notify"], "mentions", "nothing given: it stays");
    assert_eq!(
        ada.get(&path).await.1["notify"],
        "all",
        "each member has their own"
    );
    assert_eq!(bob.connect().await.ready["rooms"][0]["notify"], "mentions");
    for body in [
        json!({"notify": "some"}),
        json!({"notify": 1}),
        json!({"role": "owner"}),
    ] {
        assert_eq!(patch(&bob, &format!("{path}/me"), body).await.0, 400);
    }
    assert_eq!(socket.fence().await, [] as [Value; 0], "nobody is told");
}

each_database!(
    settings_change_in_one_event,
    an_archived_room_can_be_read_and_opened_again,
    a_deleted_room_is_gone_for_everybody,
    what_one_wants_to_be_told_of_is_kept,
);

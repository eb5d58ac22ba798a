//! Roles, handing a room over, and who inherits it.

use serde_json::{Value, json};

use super::{set_role, told};
use crate::support::{Account, Db, Server, each_database};

async fn roles(of: &Account, room: u64) -> Vec<(String, String)> {
    let (_, page) = of.get(&format!("/api/chat/rooms/{room}/members")).await;
    let members = page["items"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    members
        .map(|member| (text(&member["user"]["username"]), text(&member["role"])))
        .collect()
}

fn expected(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter()
        .map(|(name, role)| ((*name).into(), (*role).into()))
        .collect()
}

async fn a_role_is_one_event_and_a_hand_over_two(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let mut socket = bob.connect().await;
    socket.join(room).await;
    let (status, member) = set_role(&ada, room, &bob, "admin").await;
    assert_eq!(
        (status, &member["role"], &member["rev"]),
        (200, &json!("admin"), &json!(4))
    );
    let frame = told(&mut socket, "member", room).await;
    let event = json!({
        "type": "member", "room_id": room, "rev": 4, "user": {"id": bob.id, "username": "bob"},
        "role": "admin", "by": ada.id, "at": frame["at"], "member_count": 2,
    });
    assert!(frame["at"].is_string());
    assert_eq!(frame, event);
    // Present already, unknown, or one's own: nothing happens.
    let (status, member) = set_role(&ada, room, &bob, "admin").await;
    assert_eq!((status, &member["rev"]), (200, &json!(4)));
    assert_eq!(set_role(&ada, room, &bob, "king").await.0, 400);
    assert_eq!(
        set_role(&ada, room, &ada, "member").await.0,
        403,
        "the owner hands it over"
    );
    assert_eq!(set_role(&ada, room, &ada, "owner").await.0, 200);
    assert_eq!(set_role(&bob, room, &ada, "member").await.0, 403);
    let eve = server.register("eve").await;
    assert_eq!(set_role(&ada, room, &eve, "admin").await.0, 404);
    assert_eq!(set_role(&ada, room, &bob, "owner").await.1["role"], "owner");
    let frames = [
        told(&mut socket, "member", room).await,
        told(&mut socket, "member", room).await,
    ];
    let seen = frames.map(|frame| {
        (
            frame["user"]["id"].clone(),
            frame["role"].clone(),
            frame["rev"].clone(),
        )
    });
    assert_eq!(
        seen,
        [
            (json!(bob.id), json!("owner"), json!(5)),
            (json!(ada.id), json!("admin"), json!(6)),
        ]
    );
    assert_eq!(
        roles(&bob, room).await,
        expected(&[("ada", "admin"), ("bob", "owner")])
    );
    assert_eq!(
        ada.get(&format!("/api/chat/rooms/{room}")).await.1["role"],
        "admin"
    );
    assert_eq!(bob.connect().await.ready["rooms"][0]["role"], "owner");
    let (frames, _) = ada.connect().await.join_from(room, 3).await;
    let seen: Vec<_> = frames
        .iter()
        .map(|frame| (&frame["prev"], &frame["rev"], &frame["role"]))
        .collect();
    assert_eq!(
        seen,
        [
            (&json!(3), &json!(5), &json!("owner")),
            (&json!(5), &json!(6), &json!("admin")),
        ]
    );
    assert_eq!(
        socket.fence().await,
        [] as [Value; 0],
        "a role is neither `added` nor `removed`"
    );
}

/// The admin who has been in the room the longest, not the one with the role the longest.
async fn who_has_been_there_longest_follows_the_owner(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let carol = server.register("carol").await;
    let dan = server.register("dan").await;
    let room = ada.create_room("hall", &[]).await;
    let path = format!("/api/chat/rooms/{room}");
    for account in [&dan, &carol, &bob] {
        account.act(&format!("{path}/join")).await;
    }
    // Dan came first, and comes once more: last.
    set_role(&ada, room, &dan, "admin").await;
    assert_eq!(dan.act(&format!("{path}/leave")).await.0, 204);
    dan.act(&format!("{path}/join")).await;
    assert!(
        roles(&ada, room)
            .await
            .contains(&("dan".into(), "member".into())),
        "a role ends with the membership"
    );
    for account in [&dan, &bob, &carol] {
        assert_eq!(set_role(&ada, room, account, "admin").await.0, 200);
    }
    let mut socket = bob.connect().await;
    let synced = socket.join(room).await;
    let rev = synced["rev"].as_u64().unwrap();
    assert_eq!(ada.act(&format!("{path}/leave")).await.0, 204);
    let frames = [
        told(&mut socket, "member", room).await,
        told(&mut socket, "member", room).await,
    ];
    let seen = frames.map(|frame| {
        (
            frame["user"]["id"].clone(),
            frame["role"].clone(),
            frame["rev"].clone(),
        )
    });
    assert_eq!(
        seen,
        [
            (json!(ada.id), Value::Null, json!(rev + 1)),
            (json!(carol.id), json!("owner"), json!(rev + 2)),
        ]
    );
    // The next ones; the last one has no heir, and stays.
    assert_eq!(
        carol
            .delete(&format!("{path}/members/{}", carol.id))
            .await
            .0,
        204
    );
    assert_eq!(
        roles(&bob, room).await,
        expected(&[("bob", "owner"), ("dan", "admin")])
    );
    assert_eq!(set_role(&bob, room, &dan, "member").await.0, 200);
    let (status, problem) = bob.act(&format!("{path}/leave")).await;
    assert_eq!((status, &problem["code"]), (403, &json!("forbidden")));
    assert_eq!(bob.get(&path).await.1["member_count"], 2);
}

each_database!(
    a_role_is_one_event_and_a_hand_over_two,
    who_has_been_there_longest_follows_the_owner,
);

//! What counts as one emoji, by REST and by the socket alike.

use serde_json::json;

use super::{encoded, reaction};
use crate::support::{Db, Server, each_database};

/// In the form in which they are stored.
const GOOD: [&str; 12] = [
    "👍",
    "👍🏽",
    "👩‍👩‍👧‍👦",
    "🏳️‍🌈",
    "🏴󠁧󠁢󠁷󠁬󠁳󠁿",
    "🇨🇿",
    "1️⃣",
    "#️⃣",
    "❤️",
    "A",
    "é",
    "/",
];

async fn one_grapheme_is_one_reaction(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let mut socket = ada.connect().await;
    socket.say(room, "text").await;
    let longest = format!("é{}", "\u{301}".repeat(31));
    assert_eq!(longest.len(), 64);
    let good: Vec<&str> = GOOD.into_iter().chain([&*longest]).collect();
    for (index, emoji) in good.iter().enumerate() {
        let (status, message) = reaction(&ada, true, room, 1, emoji).await;
        assert_eq!(status, 200, "{emoji}: {message}");
        assert_eq!(
            message["reactions"].as_array().unwrap().len(),
            index + 1,
            "{emoji}"
        );
        // Kept as it is, told apart from all others, and found again.
        let react = json!({"type": "react", "room_id": room, "seq": 1, "emoji": emoji, "on": true});
        let ack = socket.ask(react).await;
        assert_eq!(ack["rev"], message["rev"], "{emoji}: {ack}");
    }
    let (_, page) = ada.get(&format!("/api/chat/rooms/{room}/messages")).await;
    let shown = page["items"][0]["reactions"].as_array().unwrap().iter();
    let mut shown: Vec<&str> = shown
        .map(|reaction| reaction["emoji"].as_str().unwrap())
        .collect();
    let mut expected = good.clone();
    shown.sort_unstable();
    expected.sort_unstable();
    assert_eq!(shown, expected);
    for emoji in good {
        let (status, message) = reaction(&ada, false, room, 1, emoji).await;
        assert_eq!(status, 200, "{emoji}: {message}");
    }
    let (_, page) = ada.get(&format!("/api/chat/rooms/{room}/messages")).await;
    assert!(page["items"][0].get("reactions").is_none(), "{page}");
}

/// By REST and by the socket, and taken back in another form than it was given.
async fn forms_of_an_emoji_are_one_reaction(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let mut socket = ada.connect().await;
    socket.say(room, "text").await;
    for (forms, stored) in [
        (["👍", "👍\u{fe0f}", "👍\u{fe0e}"], "👍"),
        (["❤", "❤\u{fe0f}", "❤\u{fe0e}"], "❤\u{fe0f}"),
        (
            ["1\u{20e3}", "1\u{fe0f}\u{20e3}", "1\u{fe0e}\u{20e3}"],
            "1\u{fe0f}\u{20e3}",
        ),
        (
            [
                "🏳\u{200d}🌈",
                "🏳\u{fe0f}\u{200d}🌈",
                "🏳\u{fe0f}\u{200d}🌈\u{fe0f}",
            ],
            "🏳\u{fe0f}\u{200d}🌈",
        ),
        (["e\u{301}", "é", "é\u{fe0f}"], "é"),
    ] {
        let (status, message) = reaction(&ada, true, room, 1, forms[0]).await;
        assert_eq!(status, 200, "{message}");
        let expected = json!([{"emoji": stored, "count": 1, "user_ids": [ada.id], "me": true}]);
        assert_eq!(message["reactions"], expected, "{forms:?}");
        for emoji in forms {
            let (status, again) = reaction(&ada, true, room, 1, emoji).await;
            assert_eq!((status, &again), (200, &message), "{emoji:?}");
            let react =
                json!({"type": "react", "room_id": room, "seq": 1, "emoji": emoji, "on": true});
            assert_eq!(socket.ask(react).await["rev"], message["rev"], "{emoji:?}");
        }
        let react =
            json!({"type": "react", "room_id": room, "seq": 1, "emoji": forms[1], "on": false});
        let ack = socket.ask(react).await;
        assert_eq!(ack["type"], "ack", "{ack}");
        assert_eq!(reaction(&ada, true, room, 1, forms[1]).await.0, 200);
        let (status, message) = reaction(&ada, false, room, 1, forms[2]).await;
        assert_eq!((status, message.get("reactions")), (200, None), "{message}");
    }
}

/// Composing makes it longer than may be stored: it is kept, told and taken back as it came.
async fn what_composing_makes_too_long_stays_as_it_came(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let mut socket = ada.connect().await;
    socket.say(room, "text").await;
    for (letter, mark) in [
        ("a", "\u{344}"),
        ("ཀ", "\u{f73}"),
        ("\u{1d15f}", "\u{1d165}"),
    ] {
        let marks = (64 - letter.len()) / mark.len();
        let emoji = format!("{letter}{}", mark.repeat(marks));
        let (status, message) = reaction(&ada, true, room, 1, &emoji).await;
        assert_eq!(status, 200, "{emoji:?}: {message}");
        let served = message["reactions"][0]["emoji"].as_str().unwrap();
        assert_eq!(served, emoji, "{emoji:?}");
        let react =
            json!({"type": "react", "room_id": room, "seq": 1, "emoji": served, "on": true});
        assert_eq!(socket.ask(react).await["rev"], message["rev"], "{emoji:?}");
        let (status, message) = reaction(&ada, false, room, 1, served).await;
        assert_eq!((status, message.get("reactions")), (200, None), "{message}");
    }
}

/// The log tells of it, but not at the first start, which has nothing to do.
async fn a_start_gives_older_reactions_their_form(db: Db) {
    let mut server = Server::start(db).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    ada.connect().await.say(room, "text").await;
    for emoji in ["👍", "é", "x"] {
        assert_eq!(reaction(&ada, true, room, 1, emoji).await.0, 200);
    }
    let longest = format!("a{}", "\u{344}".repeat(31));
    let told = "made anew";
    assert!(!server.log().contains(told), "{}", server.log());
    server.stop().await;
    for (new, old) in [("👍", "👍\u{fe0f}"), ("é", "e\u{301}"), ("x", &*longest)] {
        let sql = format!("UPDATE reactions SET emoji = '{old}' WHERE emoji = '{new}'");
        server.sql(&sql).await;
    }
    server.sql("DELETE FROM meta WHERE name = 'derived'").await;
    server.restart().await;
    assert!(server.log().contains(told), "{}", server.log());
    let ada = server.here(&ada);
    for emoji in ["👍", "é", &longest] {
        let (status, message) = reaction(&ada, false, room, 1, emoji).await;
        let mut left = message["reactions"].as_array().into_iter().flatten();
        assert!(
            status == 200 && left.all(|one| one["emoji"] != *emoji),
            "{emoji}: {message}"
        );
    }
    let (_, page) = ada.get(&format!("/api/chat/rooms/{room}/messages")).await;
    assert!(page["items"][0].get("reactions").is_none(), "{page}");
}

async fn anything_else_is_refused(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let mut socket = ada.connect().await;
    socket.say(room, "text").await;
    let too_long = format!("ह{}", "\u{301}".repeat(31));
    assert_eq!(too_long.len(), 65);
    for emoji in [
        "👍👍",
        "👍 ",
        " 👍",
        "ab",
        "+1",
        "🇨🇿🇨🇿",
        " ",
        "\u{a0}",
        "\u{3000}",
        "\t",
        "\n",
        "\r\n",
        "\0",
        "\u{1b}",
        "\u{85}",
        "👍\0",
        &too_long,
    ] {
        for on in [true, false] {
            let (status, problem) = reaction(&ada, on, room, 1, emoji).await;
            let fault = (&problem["code"], &problem["errors"][0]["field"]);
            assert_eq!(
                (status, fault),
                (400, (&json!("invalid"), &json!("emoji"))),
                "{emoji:?}"
            );
            let react =
                json!({"type": "react", "room_id": room, "seq": 1, "emoji": emoji, "on": on});
            let error = socket.ask(react).await;
            assert_eq!(error["errors"], problem["errors"], "{emoji:?}: {error}");
        }
    }
    let react = json!({"type": "react", "room_id": room, "seq": 1, "emoji": "", "on": true});
    assert_eq!(socket.ask(react).await["errors"][0]["field"], "emoji");
    // Paths that name no emoji at all don't exist.
    let path = format!("/api/chat/rooms/{room}/messages/1/reactions");
    for rest in [
        "/",
        "/%F0%9F%91",
        "/%FF",
        "/%C0%80",
        "/%ED%A0%80",
        "/a/b",
        "//",
        "/%F0%9F%91%8D/",
    ] {
        let (status, _) = ada.request("PUT", &format!("{path}{rest}"), None).await;
        assert_eq!(status, 404, "{rest}");
    }
    for rest in [
        "/%00",
        "/%0A",
        "/%20",
        "/%2F%2F",
        "/%25%25",
        "/%F0%9F%91%8D%00",
        "/%",
        "/%F",
    ] {
        let (status, _) = ada.request("PUT", &format!("{path}{rest}"), None).await;
        let expected = if rest == "/%" { 200 } else { 400 };
        assert_eq!(status, expected, "{rest}");
    }
    let (_, now) = ada.get(&format!("/api/chat/rooms/{room}")).await;
    assert_eq!(
        now["rev"], 4,
        "a lone % stands for itself; nothing else was stored"
    );
    assert_eq!(encoded("👍"), "%F0%9F%91%8D");
}

async fn twenty_kinds_are_the_most(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let mut socket = ada.connect().await;
    socket.say(room, "text").await;
    let kinds: Vec<String> = ('a'..='u').map(String::from).collect();
    let (first, rest) = kinds.split_first().unwrap();
    for emoji in rest {
        assert_eq!(reaction(&ada, true, room, 1, emoji).await.0, 200);
    }
    let (status, problem) = reaction(&ada, true, room, 1, first).await;
    assert_eq!(
        (status, &problem["errors"][0]["field"]),
        (400, &json!("emoji")),
        "{problem}"
    );
    let react = json!({"type": "react", "room_id": room, "seq": 1, "emoji": first, "on": true});
    let error = socket.ask(react).await;
    assert_eq!(
        (&error["code"], &error["errors"]),
        (&json!("invalid"), &problem["errors"])
    );
    // One more of a kind that is there is no kind more; and one kind less makes a place.
    assert_eq!(reaction(&bob, true, room, 1, "b").await.0, 200);
    assert_eq!(reaction(&ada, false, room, 1, "b").await.0, 200);
    assert_eq!(reaction(&ada, true, room, 1, first).await.0, 400);
    assert_eq!(reaction(&bob, false, room, 1, "b").await.0, 200);
    let (status, message) = reaction(&ada, true, room, 1, first).await;
    assert_eq!(
        (status, message["reactions"].as_array().unwrap().len()),
        (200, 20)
    );
    assert_eq!(
        message["reactions"][19]["emoji"], "a",
        "in the order in which they came"
    );
}

/// The first 50 are named; the count is exact; `me` is true for who comes after them, too.
async fn many_reactions_are_counted_and_listed(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    ada.connect().await.say(room, "text").await;
    let mut ids = Vec::new();
    let mut last = ada.clone();
    for number in 0..53 {
        last = server.register(&format!("person{number}")).await;
        last.act(&format!("/api/chat/rooms/{room}/join")).await;
        assert_eq!(reaction(&last, true, room, 1, "👍").await.0, 200);
        ids.push(last.id);
    }
    reaction(&last, true, room, 1, "🎉").await;
    let path = format!("/api/chat/rooms/{room}/messages");
    for (reader, me) in [(&last, json!(true)), (&ada, json!(null))] {
        let (_, page) = reader.get(&path).await;
        let reactions = &page["items"][0]["reactions"];
        assert_eq!(
            (&reactions[0]["emoji"], &reactions[0]["count"]),
            (&json!("👍"), &json!(53))
        );
        let named: Vec<u64> = serde_json::from_value(reactions[0]["user_ids"].clone()).unwrap();
        assert_eq!(named.len(), 50);
        assert!(named.iter().all(|id| ids.contains(id)));
        assert_eq!(
            (&reactions[0]["me"], &reactions[1]["me"]),
            (&me, &me),
            "{reactions}"
        );
    }
    // All of them, page by page.
    let mut found = Vec::new();
    let mut next = String::new();
    loop {
        let (status, page) = ada.get(&format!("{path}/1/reactions?limit=10{next}")).await;
        assert_eq!(status, 200, "{page}");
        for item in page["items"].as_array().unwrap() {
            let fields: Vec<_> = item.as_object().unwrap().keys().collect();
            assert_eq!(fields, ["emoji", "user"]);
            found.push((
                item["emoji"].as_str().unwrap().to_owned(),
                item["user"]["id"].as_u64().unwrap(),
            ));
        }
        match page["next"].as_str() {
            None => break,
            Some(cursor) => next = format!("&cursor={}", encoded(cursor)),
        }
    }
    let mut expected: Vec<_> = ids.iter().map(|id| ("👍".to_owned(), *id)).collect();
    expected.push(("🎉".into(), last.id));
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected, "each once");
    for cursor in [
        "x",
        "1",
        "-",
        "x-y",
        "-1-%F0%9F%91%8D",
        "9007199254740992-a",
    ] {
        let (status, problem) = ada
            .get(&format!("{path}/1/reactions?cursor={cursor}"))
            .await;
        assert_eq!(
            (status, &problem["errors"][0]["field"]),
            (400, &json!("cursor")),
            "{cursor}"
        );
    }
}

each_database!(
    one_grapheme_is_one_reaction,
    forms_of_an_emoji_are_one_reaction,
    what_composing_makes_too_long_stays_as_it_came,
    a_start_gives_older_reactions_their_form,
    anything_else_is_refused,
    twenty_kinds_are_the_most,
    many_reactions_are_counted_and_listed,
);

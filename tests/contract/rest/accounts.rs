//! Accounts: registering, logging in, reading one's own account, finding others.

use serde_json::{Value, json};

use crate::support::{Db, Server, each_database, token};

/// The fields that a problem document names, with their codes.
fn faults(problem: &Value) -> Vec<(String, String)> {
    let errors = problem["errors"]
        .as_array()
        .expect("a problem with `errors`");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut faults: Vec<_> = errors
        .iter()
        .map(|error| (text(&error["field"]), text(&error["code"])))
        .collect();
    faults.sort();
    faults
}

async fn registering_gives_tokens_that_work(db: Db) {
    let server = Server::start(db).await;
    let body = json!({
        "username": "Ada.L-1", "email": "Ada@Example.org", "password": "pässword \u{1f525}\0x",
        "full_name": "Ada Lovelace",
    });
    let (status, tokens) = server
        .request("POST", "/api/register", None, Some(&body))
        .await;
    assert_eq!(status, 201, "{tokens}");
    assert_eq!(
        (&tokens["token_type"], &tokens["expires_in"]),
        (&json!("bearer"), &json!(1_800))
    );
    assert!(
        tokens["refresh_token"]
            .as_str()
            .is_some_and(|token| token.len() >= 32)
    );
    let user = &tokens["user"];
    assert_eq!(
        (&user["username"], &user["email"]),
        (&json!("Ada.L-1"), &json!("Ada@Example.org"))
    );
    assert_eq!(
        (&user["full_name"], &user["kind"]),
        (&json!("Ada Lovelace"), &json!("person"))
    );
    assert_eq!(
        (&user["role"], &user["is_active"]),
        (&json!("user"), &json!(true))
    );
    let token = tokens["access_token"].as_str().unwrap();
    let (status, me) = server.request("GET", "/api/me", Some(token), None).await;
    assert_eq!((status, &me), (200, user));

    // A password is taken exactly as it came: a character more is another one.
    for (username, password, status) in [
        ("ada.l-1", "pässword \u{1f525}\0x", 200),
        ("ＡＤＡ.Ｌ-1", "pässword \u{1f525}\0x", 200),
        ("Ada.L-1", "pässword \u{1f525}\0x ", 401),
        ("Ada.L-1", "pässword \u{1f525}", 401),
        ("Ada.L-1", "", 401),
        ("nobody", "pässword \u{1f525}\0x", 401),
        ("", "", 401),
    ] {
        let body = json!({"username": username, "password": password});
        let (got, answer) = server
            .request("POST", "/api/login", None, Some(&body))
            .await;
        assert_eq!(got, status, "{username} {password:?}: {answer}");
        match status {
            200 => assert_eq!(&answer["user"], user),
            _ => assert_eq!(
                answer["detail"], "The username or the password is wrong.",
                "one answer for all"
            ),
        }
    }
}

async fn logging_in_begins_a_session_of_its_own(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let form = [
        ("grant_type", "password"),
        ("username", "ada"),
        ("password", "correct horse ada"),
        ("scope", ""),
    ];
    let http = reqwest::Client::new();
    let answer = http
        .post(server.url("/api/login"))
        .form(&form)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let by_form: Value = answer.json().await.unwrap();
    let body = json!({"username": "ada", "password": "correct horse ada"});
    let (status, by_json) = server
        .request("POST", "/api/login", None, Some(&body))
        .await;
    assert_eq!(status, 200, "{by_json}");
    let mut sessions = vec![token::open(&ada.token).1["sid"].clone()];
    for tokens in [&by_form, &by_json] {
        let access = tokens["access_token"].as_str().unwrap();
        let (status, me) = server.request("GET", "/api/me", Some(access), None).await;
        assert_eq!((status, &me["id"]), (200, &json!(ada.id)));
        sessions.push(token::open(access).1["sid"].clone());
    }
    sessions.sort_by_key(|session| session.as_u64());
    sessions.dedup();
    assert_eq!(sessions.len(), 3, "each log-in is a session");
    for body in [
        "username=ada&username=ada&password=x",
        "username=ada",
        "password=x",
        "",
    ] {
        let answer = http.post(server.url("/api/login")).body(body);
        let answer = answer
            .header("content-type", "application/x-www-form-urlencoded")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 400, "{body}");
    }
}

async fn every_broken_field_is_named_at_once(db: Db) {
    let server = Server::start(db).await;
    server.register("ada").await;
    let named = |list: &[(&str, &str)]| {
        list.iter()
            .map(|(field, code)| ((*field).to_owned(), (*code).to_owned()))
            .collect::<Vec<_>>()
    };
    let good =
        json!({"username": "bob", "email": "bob@example.org", "password": "correct horse bob"});
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    let table = [
        (
            json!({}),
            named(&[
                ("email", "missing"),
                ("password", "missing"),
                ("username", "missing"),
            ]),
        ),
        (
            json!({"username": "a b", "email": "x", "password": "short", "full_name": "x".repeat(81)}),
            named(&[
                ("email", "format"),
                ("full_name", "length"),
                ("password", "length"),
                ("username", "format"),
            ]),
        ),
        (
            json!({"username": 7, "email": [], "password": {}, "full_name": true}),
            named(&[
                ("email", "type"),
                ("full_name", "type"),
                ("password", "type"),
                ("username", "type"),
            ]),
        ),
        (
            with("username", json!("ab")),
            named(&[("username", "length")]),
        ),
        (
            with("username", json!("x".repeat(33))),
            named(&[("username", "length")]),
        ),
        (
            with("username", json!("bob\0")),
            named(&[("username", "format")]),
        ),
        (
            with("username", json!("ＤELETED-bob")),
            named(&[("username", "taken")]),
        ),
        (
            with("password", json!("x".repeat(257))),
            named(&[("password", "length")]),
        ),
        (
            with("password", json!("password123")),
            named(&[("password", "common")]),
        ),
        (
            with("email", json!("x".repeat(255))),
            named(&[("email", "length")]),
        ),
        (
            with("email", json!("bob\u{202e}@example.org")),
            named(&[("email", "format")]),
        ),
        (
            with("full_name", json!("two\nlines")),
            named(&[("full_name", "format")]),
        ),
        (
            with("full_name", json!("\u{200b}")),
            named(&[("full_name", "blank")]),
        ),
        (
            with("username", json!("xyz\u{301}\u{301}")),
            named(&[("username", "format")]),
        ),
        (
            with("is_admin", json!(true)),
            named(&[("is_admin", "unknown")]),
        ),
        (with("role", json!("admin")), named(&[("role", "unknown")])),
    ];
    for (body, expected) in table {
        let (status, problem) = server
            .request("POST", "/api/register", None, Some(&body))
            .await;
        assert_eq!(
            (status, &problem["code"]),
            (400, &json!("invalid")),
            "{body}: {problem}"
        );
        assert_eq!(faults(&problem), expected, "{body}: {problem}");
    }
    // An account keeps a name that is reserved by now.
    server.register("bob").await;
    let sql = "UPDATE users SET username = 'deleted-bob', username_key = 'deleted-bob' WHERE username = 'bob'";
    server.sql(sql).await;
    let body = json!({"username": "Deleted-Bob", "password": "correct horse bob"});
    let login = server.request("POST", "/api/login", None, Some(&body));
    assert_eq!(login.await.0, 200);
    // 72 bytes are where bcrypt stops reading: here they count to the last.
    for (name, password) in [
        ("long1", "A".repeat(72) + "xyz"),
        ("long2", "p".repeat(256)),
    ] {
        let body =
            json!({"username": name, "email": format!("{name}@example.org"), "password": password});
        assert_eq!(
            server
                .request("POST", "/api/register", None, Some(&body))
                .await
                .0,
            201
        );
        let mut other = password.clone();
        other.pop();
        let body = json!({"username": name, "password": other});
        assert_eq!(
            server
                .request("POST", "/api/login", None, Some(&body))
                .await
                .0,
            401,
            "{name}"
        );
    }
}

/// However a keyboard puts letters and marks together, and whatever white space it leaves around.
async fn names_are_kept_composed_and_trimmed(db: Db) {
    let server = Server::start(db).await;
    let zoe = server.register("Zoe\u{308}").await;
    assert_eq!(zoe.name, "Zo\u{eb}");
    for written in ["Zoe\u{308}", "zo\u{eb}"] {
        let body = json!({"username": written, "password": "correct horse Zoe\u{308}"});
        let (status, answer) = server
            .request("POST", "/api/login", None, Some(&body))
            .await;
        assert_eq!(status, 200, "{answer}");
    }
    let patch = async |full_name: &str| {
        let body = json!({"full_name": full_name});
        let (status, answer) = zoe.request("PATCH", "/api/me", Some(&body)).await;
        match status {
            200 => answer["full_name"].clone(),
            _ => answer["errors"][0]["code"].clone(),
        }
    };
    assert_eq!(
        patch(" Zo\u{eb} Washburne \u{3000}").await,
        "Zo\u{eb} Washburne"
    );
    for unseen in ["   ", "\u{200b}", "\u{3164}"] {
        assert_eq!(patch(unseen).await, "blank", "{unseen:?}");
    }
    assert_eq!(
        zoe.get("/api/me").await.1["full_name"],
        "Zo\u{eb} Washburne"
    );
    assert_eq!(patch("").await, Value::Null, "it is taken away");
}

/// Unique after folding, at any number of attempts at once.
async fn names_and_addresses_are_taken_once(db: Db) {
    let server = Server::start(db).await;
    let body = |username: &str, email: &str| json!({"username": username, "email": email, "password": "correct horse battery"});
    let first = body("Straße", "Ada@example.org");
    assert_eq!(
        server
            .request("POST", "/api/register", None, Some(&first))
            .await
            .0,
        201
    );
    for (username, email, field) in [
        ("strasse", "other@example.org", "username"),
        ("STRASSE", "other@example.org", "username"),
        ("other", "ADA@EXAMPLE.ORG", "email"),
    ] {
        let body = body(username, email);
        let (status, problem) = server
            .request("POST", "/api/register", None, Some(&body))
            .await;
        assert_eq!(
            (status, &problem["code"]),
            (409, &json!("taken")),
            "{body}: {problem}"
        );
        assert_eq!(faults(&problem), [(field.to_owned(), "taken".to_owned())]);
    }
    // A name that only a database's collation takes for the same is another name: 201.
    for (username, email) in [
        ("strasse1", "a1@example.org"),
        ("strässe", "a2@example.org"),
    ] {
        let body = body(username, email);
        assert_eq!(
            server
                .request("POST", "/api/register", None, Some(&body))
                .await
                .0,
            201,
            "{body}"
        );
    }
    let attempts = futures_util::future::join_all((0..20).map(|number| {
        let server = &server;
        let body = body(
            if number % 2 == 0 { "same" } else { "SAME" },
            &format!("n{number}@example.org"),
        );
        async move {
            server
                .request("POST", "/api/register", None, Some(&body))
                .await
                .0
        }
    }));
    let mut statuses = attempts.await;
    statuses.sort_unstable();
    assert_eq!(
        (statuses[0], &statuses[1..]),
        (201, &[409; 19][..]),
        "one of them"
    );
}

/// Names of living languages are taken; what can't be seen, or mixes scripts to deceive, isn't.
async fn names_are_of_all_living_languages(db: Db) {
    let server = Server::start(db).await;
    for name in [
        "विक्रम",
        "น้องนุช",
        "கார்த்திக்",
        "น้ำฝน",
        "oʻzbek",
        "김철수",
        "ᏣᎳᎩ",
    ] {
        let account = server.register(name).await;
        assert_eq!(account.name, name);
        assert_eq!(server.log_in(name).await.id, account.id, "{name}");
    }
    let register = async |name: &str, email: &str| {
        let body = json!({"username": name, "email": email, "password": "correct horse battery"});
        server
            .request("POST", "/api/register", None, Some(&body))
            .await
    };
    // A joiner where it shows, and nowhere else; whoever leaves it out means the same name.
    let (status, tokens) = register("علی\u{200c}رضا", "ali@example.org").await;
    assert_eq!(
        (status, &tokens["user"]["username"]),
        (201, &json!("علی\u{200c}رضا"))
    );
    assert_eq!(register("علیرضا", "reza@example.org").await.0, 409);
    for name in [
        "ada\u{200d}",
        "ada\u{3164}",
        "pаypal",
        "ｂｏｂ",
        "𐎀𐎁𐎂",
        "\u{e34}ada",
    ] {
        let (status, problem) = register(name, "other@example.org").await;
        assert_eq!(
            (status, faults(&problem)),
            (400, vec![("username".to_owned(), "format".to_owned())]),
            "{name:?}"
        );
    }
}

/// As in messages: in any case, whatever their diacritics and apostrophes.
async fn people_and_rooms_are_found_as_messages_are(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let mut ids = Vec::new();
    for name in ["İstanbul", "istanbul2", "Łukasz", "oʻzbek"] {
        ids.push(server.register(name).await.id);
    }
    let mut rooms = Vec::new();
    for name in ["Café İstanbul", "O’Neil", "ห้องบ้านน้องสวย"] {
        rooms.push(ada.create_room(name, &[]).await);
    }
    for (query, people, found) in [
        ("İstanbul", &ids[..2], &rooms[..1]),
        ("istanbul", &ids[..2], &rooms[..1]),
        ("ISTANBUL", &ids[..2], &rooms[..1]),
        ("ıst", &ids[..2], &rooms[..1]),
        ("lukasz", &ids[2..3], &[]),
        ("CAFE I", &[], &rooms[..1]),
        ("o'z", &ids[3..], &[]),
        ("Oʼz", &ids[3..], &[]),
        ("o'neil", &[], &rooms[1..2]),
        ("Oʻneil", &[], &rooms[1..2]),
        ("บ้านน", &[], &rooms[2..]),
        // Nothing is left of these queries: they find nobody, not everybody.
        ("\u{301}", &[], &[]),
        ("\u{200d}", &[], &[]),
        ("\u{ad}\u{fe0f}", &[], &[]),
        ("\u{301}Łu", &ids[2..3], &[]),
    ] {
        let encoded: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        for (path, expected) in [
            (format!("/api/users?q={encoded}"), people),
            (format!("/api/chat/rooms?q={encoded}"), found),
        ] {
            let (status, page) = ada.get(&path).await;
            let items = page["items"].as_array().unwrap().iter();
            let seen: Vec<u64> = items.map(|item| item["id"].as_u64().unwrap()).collect();
            assert_eq!((status, &*seen), (200, expected), "{query}: {path}");
        }
    }
    for (query, count) in [("", 1), ("A", 1), ("%CC%81", 0), ("%C2%AD", 0)] {
        let path = format!("/api/chat/rooms/{}/members?q={query}", rooms[0]);
        let (status, page) = ada.get(&path).await;
        let found = page["items"].as_array().map(Vec::len);
        assert_eq!((status, found), (200, Some(count)), "{path}: {page}");
        assert_eq!(page["rev"], 2, "{path}: {page}");
    }
}

/// By the username, and by the full name from each of its words on; by no name that they had before.
async fn people_are_found_by_any_word_of_their_full_names(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("all", &[]).await;
    let mut ids = Vec::new();
    for (name, full_name) in [
        ("zoeq", "Zoë  Anne-Marie Quinn"),
        ("zoel", "Lars"),
        ("weiw", "张伟"),
    ] {
        let user = server.register(name).await;
        let named = json!({"full_name": full_name});
        let (status, _) = user.request("PATCH", "/api/me", Some(&named)).await;
        assert_eq!(status, 200);
        let (status, _) = user
            .post(&format!("/api/chat/rooms/{room}/join"), json!({}))
            .await;
        assert_eq!(status, 200);
        ids.push(user.id);
    }
    let found = async |path: &str, query: &str| -> Vec<u64> {
        let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let (status, page) = ada.get(&format!("{path}?q={query}")).await;
        assert_eq!(status, 200, "{page}");
        let items = page["items"].as_array().unwrap().iter();
        let id = |item: &Value| item.get("user").unwrap_or(item)["id"].as_u64().unwrap();
        items.map(id).collect()
    };
    let paths = ["/api/users", &format!("/api/chat/rooms/{room}/members")];
    for path in paths {
        for (query, expected) in [
            ("zo", &ids[..2]),
            ("zoe a", &ids[..1]),
            ("ZOË   ANNE", &ids[..1]),
            ("marie q", &ids[..1]),
            ("quinn", &ids[..1]),
            ("inn", &[]),
            ("quinn zoe", &[]),
            ("lars", &ids[1..2]),
            ("张", &ids[2..]),
        ] {
            assert_eq!(found(path, query).await, expected, "{path}: {query}");
        }
    }
    let zoe = server.log_in("zoeq").await;
    let named = json!({"full_name": "Zoë Li"});
    let (status, _) = zoe.request("PATCH", "/api/me", Some(&named)).await;
    assert_eq!(status, 200);
    for path in paths {
        assert_eq!(found(path, "quinn").await, ids[..0]);
        assert_eq!(found(path, "li").await, ids[..1]);
    }
    let unnamed = json!({"full_name": ""});
    let (status, _) = zoe.request("PATCH", "/api/me", Some(&unnamed)).await;
    assert_eq!(status, 200);
    assert_eq!(found("/api/users", "li").await, ids[..0]);
    assert_eq!(found("/api/users", "zoeq").await, ids[..1]);
    let _online = zoe.connect().await;
    assert_eq!(found("/api/users/online", "zoeq").await, ids[..1]);
}

async fn others_are_found_by_name_and_by_id(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    for name in ["adam", "Adele", "bob", "ad_"] {
        server.register(name).await;
    }
    let names = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap();
        items
            .iter()
            .map(|user| user["username"].as_str().unwrap().to_owned())
            .collect()
    };
    for (query, expected) in [
        ("q=AD", vec!["ada", "adam", "Adele", "ad_"]),
        ("q=ad_", vec!["ad_"]),
        ("q=a%25", vec![]),
        ("q=%25", vec![]),
        ("q=zz", vec![]),
        ("ids=3,1,1,999", vec!["ada", "Adele"]),
        ("q=ad&limit=2", vec!["ada", "adam"]),
        ("q=ad&limit=2&cursor=2", vec!["Adele", "ad_"]),
    ] {
        let (status, page) = ada.get(&format!("/api/users?{query}")).await;
        assert_eq!(
            (status, names(&page)),
            (200, expected.iter().map(|n| n.to_string()).collect()),
            "{query}"
        );
        assert!(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .all(|user| user.get("email").is_none()),
            "{page}"
        );
        let more = query == "q=ad&limit=2";
        assert_eq!(
            page["next"],
            if more { json!("2") } else { Value::Null },
            "{query}: {page}"
        );
    }
    for query in [
        "q=a&q=b",
        "ids=x",
        "ids=",
        "limit=0",
        "limit=201",
        "limit=-1",
        "cursor=x",
        "ids=1&q=a",
        "colour=red",
    ] {
        let (status, problem) = ada.get(&format!("/api/users?{query}")).await;
        assert_eq!(
            (status, &problem["code"]),
            (400, &json!("invalid")),
            "{query}: {problem}"
        );
    }
}

each_database!(
    registering_gives_tokens_that_work,
    logging_in_begins_a_session_of_its_own,
    every_broken_field_is_named_at_once,
    names_are_kept_composed_and_trimmed,
    names_are_of_all_living_languages,
    people_and_rooms_are_found_as_messages_are,
    people_are_found_by_any_word_of_their_full_names,
    names_and_addresses_are_taken_once,
    others_are_found_by_name_and_by_id,
);

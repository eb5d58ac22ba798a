//! Other people's accounts: `hearth user`, what admins see and change, and links that set a new password.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Account, Db, PATIENCE, Server, each_database, timeout};

/// The first line that a command printed, and nothing else.
fn line(out: &str) -> &str {
    out.strip_suffix('\n')
        .filter(|line| !line.contains('\n'))
        .expect(out)
}

async fn log_in(server: &Server, name: &str, password: &str) -> u16 {
    let body = json!({"username": name, "password": password});
    server
        .request("POST", "/api/login", None, Some(&body))
        .await
        .0
}

/// Waits until this account's token is refused: its session was cached for a moment.
async fn refused(account: &Account) -> Value {
    let waiting = async {
        loop {
            match account.get("/api/me").await {
                (200, _) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
                (_, problem) => return problem,
            }
        }
    };
    timeout(PATIENCE, waiting).await.expect("it is refused")
}

async fn accounts_are_looked_after_by_commands(db: Db) {
    let mut server = Server::start(db).await;
    let warned = |server: &Server| server.log().matches("hearth user add NAME").count();
    assert_eq!(warned(&server), 1, "nobody administers it");
    let add = [
        "user",
        "add",
        "ada",
        "--email",
        "ada@example.org",
        "--admin",
    ];
    for (arguments, input, why) in [
        (&add[..], "short\n", "password: 8 to 256 bytes"),
        (&add, "", "password: 8 to 256 bytes"),
        (&add, &"x".repeat(257), "password: 8 to 256 bytes"),
        (&add, "password1\n", "password: too common"),
        (
            &["user", "add", "a b", "--email", "ada"],
            "correct horse",
            "username: ",
        ),
        (
            &["user", "add", "a b", "--email", "ada"],
            "correct horse",
            "email: ",
        ),
        (
            &["user", "add", "Deleted-1", "--email", "ada@example.org"],
            "correct horse",
            "username: names that begin with deleted-",
        ),
        (&["user", "promote", "nobody"], "", "no user nobody"),
        (&["user", "reset", "nobody"], "", "no user nobody"),
    ] {
        let ran = server.command(arguments, input).await;
        assert_eq!(
            (ran.code, &*ran.out),
            (Some(1), ""),
            "{arguments:?}: {ran:?}"
        );
        assert!(
            ran.err.contains(why) && !ran.err.contains("correct horse"),
            "{why}: {ran:?}"
        );
    }
    let ran = server
        .command(&add, "correct horse ada\nsecond line\n")
        .await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(line(&ran.out), "1\tada\tadmin\tactive\tada@example.org");
    let ran = server.command(&add, "correct horse ada\n").await;
    assert!(
        ran.code == Some(1) && ran.err.contains("username already"),
        "{ran:?}"
    );
    let ada = server.log_in("ada").await;
    assert_eq!(ada.get("/api/me").await.1["role"], "admin");
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;

    // While the server runs: bob is logged out, and stays a member.
    let mut socket = bob.connect().await;
    socket.join(room).await;
    server.done(&["user", "disable", "BOB"]).await;
    assert_eq!(log_in(&server, "bob", "correct horse bob").await, 401);
    refused(&bob).await;
    let sql = format!(
        "SELECT CAST(COUNT(*) AS CHAR) FROM revocations WHERE user_id = {} AND session_id IS NULL",
        bob.id
    );
    assert_eq!(server.select(&sql).await, "1", "every node is told");
    let members = ada.get(&format!("/api/chat/rooms/{room}/members")).await.1;
    assert_eq!(members["items"].as_array().unwrap().len(), 2);
    let listed = server.done(&["user", "list"]).await;
    let his = format!("{}\tbob\tuser\tdisabled\tbob@example.org", bob.id);
    let hers = "1\tada\tadmin\tactive\tada@example.org";
    assert_eq!(listed, format!("{hers}\n{his}\n"));
    server.done(&["user", "enable", "bob"]).await;
    assert_eq!(log_in(&server, "bob", "correct horse bob").await, 200);
    assert_eq!(bob.get("/api/me").await.0, 401, "what had ended stays so");

    let ran = server.command(&["user", "demote", "ada"], "").await;
    assert!(
        ran.code == Some(0) && ran.err.contains("no active admin"),
        "{ran:?}"
    );
    server.stop().await;
    server.restart().await;
    assert_eq!(warned(&server), 2);
    server.done(&["user", "promote", "bob"]).await;
    server.stop().await;
    server.restart().await;
    assert_eq!(warned(&server), 2, "bob does");
}

async fn a_reset_link_is_good_once(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let link = server.done(&["user", "reset", "ada"]).await;
    let code = line(&link)
        .strip_prefix("/#reset=")
        .expect(&link)
        .to_owned();
    let reset = async |code: &str, password: &str| {
        let body = json!({"code": code, "new_password": password});
        server
            .request("POST", "/api/password/reset", None, Some(&body))
            .await
    };
    assert_eq!(
        reset(&code, "short").await.1["errors"][0]["field"],
        "new_password"
    );
    let (status, problem) = reset("no such code", "correct battery").await;
    assert_eq!(
        (status, &problem["errors"][0]["field"]),
        (400, &json!("code")),
        "{problem}"
    );
    let all = join_all((0..100).map(async |n| {
        loop {
            // The threads that hash passwords may have no place left.
            match reset(&code, &format!("correct battery {n}")).await.0 {
                503 => continue,
                status => return status,
            }
        }
    }))
    .await;
    let winners: Vec<_> = (0..100).filter(|n| all[*n] == 204).collect();
    assert_eq!(winners.len(), 1, "{all:?}");
    assert!(
        all.iter().all(|status| [204, 400].contains(status)),
        "{all:?}"
    );
    assert_eq!(log_in(&server, "ada", "correct horse ada").await, 401);
    let new = format!("correct battery {}", winners[0]);
    assert_eq!(log_in(&server, "ada", &new).await, 200);
    refused(&ada).await;

    // A newer link ends an older one; disabling the user ends theirs; an expired one does nothing.
    let link = async || {
        let link = server.done(&["user", "reset", "ada"]).await;
        line(&link).rsplit('=').next().unwrap().to_owned()
    };
    let (older, newer) = (link().await, link().await);
    assert_eq!(reset(&older, "correct staple").await.0, 400);
    server.done(&["user", "disable", "ada"]).await;
    assert_eq!(reset(&newer, "correct staple").await.0, 400);
    let ran = server.command(&["user", "reset", "ada"], "").await;
    assert!(ran.err.contains("ada is disabled"), "{ran:?}");
    let early = line(&ran.out).rsplit('=').next().unwrap().to_owned();
    assert_eq!(reset(&early, "correct staple").await.0, 400);
    server.done(&["user", "enable", "ada"]).await;
    assert_eq!(reset(&newer, "correct staple").await.0, 400);
    assert_eq!(reset(&early, "correct staple 1").await.0, 204);
    let expired = link().await;
    server
        .sql("UPDATE password_resets SET expires_at = 1")
        .await;
    assert_eq!(reset(&expired, "correct staple").await.0, 400);
    let last = link().await;
    assert_eq!(reset(&last, "correct staple").await.0, 204);
    assert_eq!(log_in(&server, "ada", "correct staple").await, 200);
    let kept = server
        .select("SELECT CAST(COUNT(*) AS CHAR) FROM password_resets")
        .await;
    assert_eq!(kept, "0");
}

async fn admins_see_and_change_accounts(db: Db) {
    let server = Server::start(db).await;
    let ada = server.admin("ada").await;
    let bob = server.register("bob").await;
    let carol = server.register("carol").await;
    let path = |account: &Account| format!("/api/users/{}", account.id);
    let patch = async |by: &Account, whom: &Account, body: Value| {
        by.request("PATCH", &path(whom), Some(&body)).await
    };
    // Everybody sees everybody, but for the address.
    for (by, whom, email) in [
        (&bob, &carol, false),
        (&bob, &bob, true),
        (&ada, &bob, true),
    ] {
        let (status, user) = by.get(&path(whom)).await;
        assert_eq!((status, &user["username"]), (200, &json!(whom.name)));
        assert_eq!(user["email"].is_string(), email, "{user}");
        assert_eq!(
            (&user["role"], &user["is_active"]),
            (&json!("user"), &json!(true))
        );
    }
    assert_eq!(bob.get("/api/users/999999").await.0, 404);
    assert_eq!(server.request("GET", &path(&bob), None, None).await.0, 401);

    for whom in [&carol, &bob] {
        for body in [
            json!({"is_active": false}),
            json!({"role": "admin"}),
            json!({}),
        ] {
            let (status, problem) = patch(&bob, whom, body).await;
            assert_eq!(
                (status, &problem["code"]),
                (403, &json!("forbidden")),
                "{problem}"
            );
        }
    }
    let nobody = ada
        .request("PATCH", "/api/users/999999", Some(&json!({"role": "user"})))
        .await;
    assert_eq!(nobody.0, 404);
    assert_eq!(
        patch(&ada, &bob, json!({"role": "owner", "email": "x"}))
            .await
            .1["errors"]
            .as_array()
            .unwrap()
            .len(),
        2
    );

    let (status, user) = patch(&ada, &carol, json!({"is_active": false})).await;
    assert_eq!(
        (status, &user["is_active"], &user["email"]),
        (200, &json!(false), &json!("carol@example.org"))
    );
    assert_eq!(log_in(&server, "carol", "correct horse carol").await, 401);
    refused(&carol).await;
    assert_eq!(bob.get(&path(&carol)).await.1["is_active"], false);
    assert_eq!(patch(&ada, &carol, json!({"is_active": true})).await.0, 200);
    assert_eq!(log_in(&server, "carol", "correct horse carol").await, 200);

    // Only the last active admin is kept from losing the role.
    for body in [json!({"is_active": false}), json!({"role": "user"})] {
        let (status, problem) = patch(&ada, &ada, body).await;
        assert_eq!(
            (status, &problem["code"]),
            (403, &json!("forbidden")),
            "{problem}"
        );
    }
    assert_eq!(patch(&ada, &bob, json!({"role": "admin"})).await.0, 200);
    assert_eq!(
        patch(&bob, &ada, json!({"role": "user"})).await.0,
        200,
        "at once"
    );
    assert_eq!(
        patch(&ada, &carol, json!({"role": "admin"})).await.0,
        403,
        "at once"
    );
}

/// Two admins each disable the other, or themselves, at the same moment: one is always left.
async fn an_admin_is_left_whoever_races(db: Db) {
    let server = Server::start(db).await;
    for (each_himself, change) in [
        (true, json!({"role": "user"})),
        (true, json!({"is_active": false})),
        (false, json!({"role": "user"})),
        (false, json!({"is_active": false})),
    ] {
        for round in 0..5 {
            let name =
                |who: &str| format!("{who}{round}-{each_himself}-{}", change["role"].is_null());
            let ada = server.admin(&name("ada")).await;
            let bob = server.admin(&name("bob")).await;
            let act = async |by: &Account, whom: &Account| {
                let path = format!("/api/users/{}", whom.id);
                by.request("PATCH", &path, Some(&change)).await.0
            };
            let (her_target, his_target) = if each_himself {
                (&ada, &bob)
            } else {
                (&bob, &ada)
            };
            let mut answers =
                <[u16; 2]>::from(tokio::join!(act(&ada, her_target), act(&bob, his_target)));
            answers.sort_unstable();
            // The account that was disabled first may not even be let in.
            assert!(matches!(answers, [200, 401 | 403]), "{answers:?}");
            // The next two are alone.
            server
                .sql("UPDATE users SET role = 'user', is_active = 1")
                .await;
        }
    }
}

each_database!(
    accounts_are_looked_after_by_commands,
    a_reset_link_is_good_once,
    admins_see_and_change_accounts,
    an_admin_is_left_whoever_races,
);

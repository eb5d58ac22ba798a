//! `hearth user`: what it prints, and what it must not change.

use std::path::Path;

use serde_json::json;

use super::LOOK_AFTER_ADA;
use super::hearth;
use crate::support::{Db, Server, each_database};

async fn a_deleted_account_is_shown_as_one(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    server.register("bob").await;
    server.done(&["user", "disable", "bob"]).await;
    let body = json!({"current_password": "correct horse ada"});
    assert_eq!(ada.request("DELETE", "/api/me", Some(&body)).await.0, 204);
    let listed = server.done(&["user", "list"]).await;
    let states: Vec<_> = listed
        .lines()
        .map(|line| line.split('\t').skip(1).step_by(2).collect::<Vec<_>>())
        .collect();
    assert_eq!(states, [["deleted-1", "deleted"], ["bob", "disabled"]]);
}

/// An older server may be running on it.
async fn an_older_schema_is_left_alone(db: Db) {
    let mut server = Server::start(db).await;
    let ada = server.register("ada").await;
    let newest = server
        .select("SELECT CAST(MAX(version) AS CHAR) FROM schema_history")
        .await;
    let before =
        format!("SELECT CAST(MAX(version) AS CHAR) FROM schema_history WHERE version < {newest}");
    let before = server.select(&before).await;
    let aside = format!("UPDATE schema_history SET version = -version WHERE version = {newest}");
    server.sql(&aside).await;
    let add: &[&str] = &["add", "bob", "--email", "bob@example.org"];
    for arguments in LOOK_AFTER_ADA.into_iter().chain([add]) {
        let arguments = [&["user"], arguments].concat();
        let ran = server.command(&arguments, "correct horse bob").await;
        assert_eq!(
            (ran.code, &*ran.out),
            (Some(1), ""),
            "{arguments:?}: {ran:?}"
        );
        let told = format!("schema is {before}: `hearth migrate` brings it to {newest}");
        assert!(ran.err.contains(&told), "{arguments:?}: {ran:?}");
    }
    let back = format!("UPDATE schema_history SET version = {newest} WHERE version < 0");
    server.sql(&back).await;
    assert_eq!(server.done(&["user", "list"]).await.lines().count(), 1);
    assert!(server.stop().await.success());
    server.restart().await;
    assert_eq!(ada.get("/api/me").await.0, 200, "nothing was changed");
}

each_database!(
    a_deleted_account_is_shown_as_one,
    an_older_schema_is_left_alone,
);

#[test]
fn help_says_what_a_command_takes() {
    let help = |arguments: &[&str]| {
        let (code, printed) = hearth(Path::new("."), &[arguments, &["--help"]].concat(), &[]);
        assert_eq!(code, Some(0), "{printed}");
        printed
    };
    assert!(help(&["serve"]).contains("HEARTH_ARGON2"));
    for arguments in [
        &["check"][..],
        &["migrate"],
        &["reset"],
        &["user"],
        &["user", "list"],
        &["user", "add"],
    ] {
        let printed = help(arguments);
        assert!(!printed.contains("HEARTH_"), "{arguments:?}: {printed}");
    }
    assert!(help(&["user", "add"]).contains("The account's name: 3 to 32"));
    // They are taken all the same, wherever they stand.
    for arguments in [
        &["--database-pool=0", "user", "list"][..],
        &["user", "--database-pool=0", "list"],
        &["user", "list", "--database-pool=0"],
    ] {
        let (code, printed) = hearth(Path::new("."), arguments, &[]);
        assert_eq!(code, Some(64), "{arguments:?}: {printed}");
        assert!(printed.contains("  HEARTH_DATABASE_POOL: "), "{printed}");
    }
}

//! The page's log-ins: kept by a cookie, refreshed while it is open, ended for good; and the links that lead to it.

use serde_json::json;

use super::{enter, send, shown};
use crate::support::{Browser, Db, Server};

/// How often the page has got a newer token since it was loaded.
const REFRESHES: &str = "performance.getEntriesByType('resource')\
     .filter(entry => entry.name.endsWith('/api/refresh')).length";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_lives_on() {
    let server = Server::start_with(Db::Sqlite, &[("HEARTH_ACCESS_TTL", "3s")]).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("Fireside", &[]).await;
    let mut browser = Browser::start().await;
    let page = enter(&mut browser, &server, "ada", room).await;
    send(&mut browser, &page, "before").await;
    browser.wait(&page, &shown(1, "before")).await;

    browser.reload(&page).await;
    browser.wait(&page, &shown(1, "before")).await;
    let kept = browser
        .evaluate(&page, "JSON.stringify({...localStorage}) + document.cookie")
        .await;
    let kept = kept.as_str().unwrap();
    assert!(
        kept.contains("ada") && !kept.contains("eyJ"),
        "no token lies about: {kept}"
    );

    // Several lifetimes, on one socket.
    browser.wait(&page, &format!("{REFRESHES} >= 4")).await;
    send(&mut browser, &page, "after").await;
    browser.wait(&page, &shown(2, "after")).await;

    browser.click(&page, "[data-testid=log-out]").await;
    let out =
        "document.body.dataset.view === 'auth' && !document.getElementById('auth-notice').hidden";
    browser.wait(&page, out).await;
    let refused = "fetch('/api/refresh', {method: 'POST', body: '{}', headers: {'Content-Type': 'application/json'}})\
                   .then(answer => { document.title = `refreshed ${answer.status}` })";
    browser.evaluate(&page, refused).await;
    browser
        .wait(&page, "/refreshed 40[01]/.test(document.title)")
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_lead_in() {
    let server = Server::start(Db::Sqlite).await;
    let bob = server.register("bob").await;
    let room = bob.create_room("Fireside", &[]).await;
    let tomorrow = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let body = json!({"room_id": room, "max_uses": 1, "expires_at": format!("{tomorrow:.3}")});
    let (status, invite) = bob.post("/api/invites", body).await;
    assert_eq!(status, 201, "{invite}");
    let mut browser = Browser::start().await;
    let page = browser
        .open(&server.url(invite["link"].as_str().unwrap()))
        .await;
    for (field, value) in [
        ("username", "ada"),
        ("email", "ada@example.org"),
        ("password", "correct horse ada"),
        ("again", "correct horse ada"),
    ] {
        browser
            .fill(&page, &format!("register-{field}"), value)
            .await;
    }
    browser.click(&page, "[data-testid=register-submit]").await;
    let there = format!("document.querySelector('[data-testid=room-{room}]')");
    browser.wait(&page, &there).await;

    let link = server.done(&["user", "reset", "ada"]).await;
    let page = browser.open(&server.url(link.trim())).await;
    for field in ["password", "again"] {
        browser
            .fill(&page, &format!("reset-{field}"), "battery staple 1")
            .await;
    }
    browser.click(&page, "[data-testid=reset-submit]").await;
    browser
        .wait(&page, "!document.getElementById('login-form').hidden")
        .await;
    browser.fill(&page, "login-username", "ada").await;
    browser
        .fill(&page, "login-password", "battery staple 1")
        .await;
    browser.click(&page, "[data-testid=login-submit]").await;
    browser.wait(&page, &there).await;
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);
}

//! The built-in page in a real browser: people register, make a room, write and read, and come back.

use serde_json::json;

use crate::support::{Browser, Db, Page, Server};

/// Whether the message of this seq is shown, as stored, with this text.
fn shown(seq: u64, text: &str) -> String {
    format!(
        "document.querySelector(`[data-testid=message][data-seq='{seq}'] .text`)?.textContent.includes({})",
        json!(text)
    )
}

async fn send(browser: &mut Browser, page: &Page, text: &str) {
    browser.fill(page, "composer-text", text).await;
    browser.click(page, "[data-testid=send]").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_meet_on_the_page() {
    let server = Server::start(Db::Sqlite).await;
    let bob = server.register("bob").await;
    let mut browser = Browser::start().await;

    let ada = browser.open(&server.url("/")).await;
    browser.click(&ada, "[data-testid=show-register]").await;
    for (field, value) in [
        ("username", "ada"),
        ("full_name", "Ada Lovelace"),
        ("email", "ada@example.org"),
        ("password", "correct horse ada"),
        ("again", "correct horse ada"),
    ] {
        browser
            .fill(&ada, &format!("register-{field}"), value)
            .await;
    }
    browser.click(&ada, "[data-testid=register-submit]").await;
    browser
        .wait(
            &ada,
            "document.getElementById('my-name').textContent.includes('Ada')",
        )
        .await;
    browser.click(&ada, "[data-testid=new-room]").await;
    browser.fill(&ada, "new-room-name", "Fireside").await;
    browser.click(&ada, "[data-testid=create-room]").await;
    browser
        .wait(
            &ada,
            "document.getElementById('room-name').textContent === 'Fireside'",
        )
        .await;
    let text = "<img src=x onerror=alert(1)> good evening";
    send(&mut browser, &ada, text).await;
    browser.wait(&ada, &shown(1, text)).await;

    // Somebody else, by the API.
    let (_, rooms) = bob.get("/api/chat/rooms?q=fireside").await;
    let room = rooms["items"][0]["id"].as_u64().expect("the page made it");
    assert_eq!(
        bob.act(&format!("/api/chat/rooms/{room}/join")).await.0,
        200
    );
    bob.connect().await.say(room, "from the API").await;
    browser.wait(&ada, &shown(2, "from the API")).await;

    // And by a page of his own.
    let his = browser.open(&server.url("/")).await;
    browser.fill(&his, "login-username", "bob").await;
    browser
        .fill(&his, "login-password", "correct horse bob")
        .await;
    browser.click(&his, "[data-testid=login-submit]").await;
    browser
        .click(&his, &format!("[data-testid=room-{room}] a"))
        .await;
    browser.wait(&his, &shown(1, text)).await;
    send(&mut browser, &his, "from his page").await;
    browser.wait(&ada, &shown(3, "from his page")).await;

    browser.reload(&ada).await;
    browser
        .wait(
            &ada,
            "document.getElementById('my-name').textContent.includes('Ada')",
        )
        .await;
    browser
        .click(&ada, &format!("[data-testid=room-{room}] a"))
        .await;
    for (seq, text) in [(1, text), (2, "from the API"), (3, "from his page")] {
        browser.wait(&ada, &shown(seq, text)).await;
    }
    let count = "document.querySelectorAll('[data-testid=message]').length";
    assert_eq!(browser.evaluate(&ada, count).await, 3, "each once");
    send(&mut browser, &ada, "back again").await;
    browser.wait(&his, &shown(4, "back again")).await;
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);

    // What keeps it so: only what the server serves itself may run.
    let answer = reqwest::get(server.url("/")).await.unwrap();
    let policy = answer.headers()["content-security-policy"]
        .to_str()
        .unwrap();
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    let hostile = "fetch('https://example.org/').then(() => 'sent', () => 'refused')";
    assert_eq!(browser.evaluate(&ada, hostile).await, "refused");
    assert!(
        !browser.complaints.is_empty(),
        "a violation is seen by this test"
    );
}

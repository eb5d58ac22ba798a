//! The API's documents: generated from the code, served from the binary, and true of the server.

mod conversation;
mod examples;

use std::{path::Path, process::Stdio, time::Duration};

use serde_json::json;
use tokio::process::Command;

use crate::support::{Browser, Db, Page, Server, seeds, timeout};

/// Schemathesis stops by itself after a minute (`--max-time`), once the requests under way have ended.
const SCHEMATHESIS: Duration = Duration::from_secs(240);

/// Types into a field of a page that is made with React, which looks for changes beneath the field's own setter.
async fn fill(browser: &mut Browser, page: &Page, id: &str, value: &str) {
    let there = format!("document.getElementById('{id}')?.checkVisibility()");
    browser.wait(page, &there).await;
    let script = format!(
        "(field => {{ Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(field, {}); \
         field.dispatchEvent(new Event('input', {{bubbles: true}})); }})(document.getElementById('{id}'))",
        json!(value)
    );
    browser.evaluate(page, &script).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_is_tried_out_on_its_page() {
    let server = Server::start(Db::Sqlite).await;
    server.register("ada").await;
    let mut browser = Browser::start().await;
    let page = browser.open(&server.url("/api/docs")).await;

    browser.click(&page, "button.authorize").await;
    fill(&mut browser, &page, "oauth_username", "ada").await;
    // It asks for nothing that the server doesn't know.
    let fields = "[...document.querySelectorAll('.auth-container :is(input, select)')]\
         .filter(field => field.checkVisibility()).map(field => field.id).join()";
    let fields = browser.evaluate(&page, fields).await;
    assert_eq!(fields, "oauth_username,oauth_password,auth-bearer-value");
    fill(&mut browser, &page, "oauth_password", "correct horse ada").await;
    browser.click(&page, "button.modal-btn.authorize").await;
    let authorized =
        "[...document.querySelectorAll('.modal-btn')].some(b => b.textContent === 'Logout')";
    browser.wait(&page, authorized).await;
    browser.click(&page, "button.btn-done").await;

    let me = "#operations-accounts-get_me";
    browser
        .click(&page, &format!("{me} .opblock-summary-control"))
        .await;
    // Its button is there before it knows what to do.
    let resolved = "ui.getSystem().specSelectors.specResolvedSubtree(['paths', '/api/me', 'get'])";
    browser.wait(&page, resolved).await;
    browser.click(&page, &format!("{me} button.execute")).await;
    let answered = format!(
        "document.querySelector('{me} .live-responses-table tbody .response-col_description')?.textContent\
         .includes('ada@example.org')"
    );
    browser.wait(&page, &answered).await;
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_is_read_in_redoc() {
    let server = Server::start(Db::Sqlite).await;
    let mut browser = Browser::start().await;
    let page = browser.open(&server.url("/api/redoc")).await;
    let shown = "document.body.innerText.includes('/api/chat/rooms/{room}/messages')";
    browser.wait(&page, shown).await;
    let found = "(field => { field.focus(); \
         Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(field, 'react'); \
         field.dispatchEvent(new Event('input', {bubbles: true})); })(document.querySelector('[role=search] input'))";
    browser.evaluate(&page, found).await;
    browser
        .wait(
            &page,
            "document.querySelector('[data-role=\"search:results\"] li')",
        )
        .await;
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);
}

/// All of its checks: no server error, no status, type, header or body that isn't in the document, nothing refused
/// that the document allows and nothing taken that it forbids, methods, tokens, what was deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_is_as_its_document_says() {
    let server = Server::start(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let path = format!("/api/chat/rooms/{room}/messages");
    assert_eq!(ada.post(&path, json!({"content": "hello"})).await.0, 201);

    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let seed = seeds(1)[0].to_string();
    let schemathesis = Command::new(root.join("target/python/bin/schemathesis"))
        .current_dir(server.dir())
        .arg("--config-file")
        .arg(root.join("tests/schemathesis/schemathesis.toml"))
        .args(["--no-color", "run", &server.url("/api/openapi.json")])
        .args(["--header", &format!("Authorization: Bearer {}", ada.token)])
        .args([
            "--seed",
            &seed,
            "--max-time",
            "60",
            "--generation-database",
            "none",
        ])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(SCHEMATHESIS, schemathesis)
        .await
        .expect("it ends in time")
        .expect("Schemathesis is installed: `make setup`");
    assert!(
        output.status.success(),
        "seed {seed}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let (status, _) = ada.get("/api/me").await;
    assert_eq!(
        status, 200,
        "a route ended the session under which the rest was tried: see schemathesis.toml"
    );
}

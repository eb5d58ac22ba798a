//! The built-in page in a real browser: people register, make a room, write and read, change what they wrote, and see
//! each other.

mod layout;
mod log_ins;
mod reading;

use std::time::Duration;

use serde_json::json;

use crate::support::{Account, Browser, Db, PATIENCE, Page, Server, timeout};

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

/// A page of his own, logged in, in this room.
async fn enter(browser: &mut Browser, server: &Server, name: &str, room: u64) -> Page {
    let page = browser.open(&server.url("/")).await;
    browser.fill(&page, "login-username", name).await;
    browser
        .fill(&page, "login-password", &format!("correct horse {name}"))
        .await;
    browser.click(&page, "[data-testid=login-submit]").await;
    browser
        .click(&page, &format!("[data-testid=room-{room}] a"))
        .await;
    page
}

/// Chooses an entry of the menu of this message.
async fn choose(browser: &mut Browser, page: &Page, seq: u64, entry: &str) {
    let more = format!("[data-seq='{seq}'] [data-testid=more]");
    browser.click(page, &more).await;
    browser
        .click(page, &format!("[data-testid='{entry}']"))
        .await;
}

/// Whether the message of this seq has this many 🎉, and whether mine is one of them.
fn cheers(seq: u64, count: u64, mine: bool) -> String {
    format!(
        "(chip => chip?.textContent === '🎉{count}' && chip.ariaPressed === '{mine}')\
         (document.querySelector(`[data-seq='{seq}'] [data-testid='reaction-🎉']`))"
    )
}

/// Two people in a room, each at a page; their accounts, the pages, and the room.
struct Two {
    server: Server,
    browser: Browser,
    ada: Account,
    bob: Account,
    hers: Page,
    his: Page,
    room: u64,
}

impl Two {
    async fn meet() -> Self {
        let server = Server::start(Db::Sqlite).await;
        let ada = server.register("ada").await;
        let bob = server.register("bob").await;
        let room = ada.create_room("Fireside", &[&bob]).await;
        let mut browser = Browser::start().await;
        let hers = enter(&mut browser, &server, "ada", room).await;
        let his = enter(&mut browser, &server, "bob", room).await;
        Self {
            server,
            browser,
            ada,
            bob,
            hers,
            his,
            room,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_change_what_they_wrote() {
    let Two {
        server: _server,
        mut browser,
        ada,
        bob,
        hers,
        his,
        room,
    } = Two::meet().await;
    let other = bob.create_room("Elsewhere", &[]).await;

    // Edits, reactions, an answer, a pin.
    send(&mut browser, &hers, "first try").await;
    browser.wait(&his, &shown(1, "first try")).await;
    choose(&mut browser, &hers, 1, "menu-edit").await;
    browser.fill(&hers, "edit-text", "second <b>try</b>").await;
    browser.click(&hers, "[data-testid=edit-save]").await;
    browser
        .wait(&his, &shown(1, "second <b>try</b> (edited)"))
        .await;
    choose(&mut browser, &his, 1, "pick-🎉").await;
    browser.wait(&hers, &cheers(1, 1, false)).await;
    browser
        .click(&hers, "[data-seq='1'] [data-testid='reaction-🎉']")
        .await;
    browser.wait(&hers, &cheers(1, 2, true)).await;
    browser.wait(&his, &cheers(1, 2, true)).await;
    choose(&mut browser, &his, 1, "menu-reply").await;
    send(&mut browser, &his, "well said").await;
    let quote = "document.querySelector(`[data-seq='2'] [data-testid=quote]`)?.textContent\
                 .includes('second <b>try</b>')";
    browser.wait(&hers, quote).await;
    choose(&mut browser, &hers, 2, "menu-pin").await;
    browser
        .wait(&his, "document.querySelector('[data-testid=pin-2]')")
        .await;

    // A mention is counted where he isn't, and no longer when he has read it.
    browser
        .click(&his, &format!("[data-testid=room-{other}] a"))
        .await;
    send(&mut browser, &hers, "@bob, and @Ada: look").await;
    let badge = format!(
        "document.querySelector('[data-testid=room-{room}] [data-testid=mentions]')?.textContent"
    );
    browser.wait(&his, &format!("{badge} === '@1'")).await;
    browser
        .click(&his, &format!("[data-testid=room-{room}] a"))
        .await;
    let marked = "document.querySelector(`[data-seq='3'] .mention.mine`)?.textContent === '@bob'";
    browser.wait(&his, marked).await;
    browser.wait(&his, &format!("{badge} === undefined")).await;

    // What was deleted leaves a line, and no pin.
    choose(&mut browser, &his, 2, "menu-delete").await;
    browser.click(&his, "[data-testid=confirm-yes]").await;
    browser
        .wait(&hers, &shown(2, "This message was deleted"))
        .await;
    browser
        .wait(&hers, "!document.querySelector('[data-testid=pin-2]')")
        .await;

    // A room for the two of them.
    browser.click(&his, "[data-testid=members-toggle]").await;
    browser
        .click(&his, &format!("[data-testid=person-{}]", ada.id))
        .await;
    browser.click(&his, "[data-testid=start-direct]").await;
    browser
        .wait(
            &his,
            "document.getElementById('room-name').textContent === 'ada'",
        )
        .await;
    send(&mut browser, &his, "between us").await;
    browser.click(&hers, "[data-testid=people-list] a").await;
    browser.wait(&hers, &shown(1, "between us")).await;
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_see_who_is_there_and_typing() {
    let Two {
        server: _server,
        mut browser,
        ada,
        hers,
        his,
        ..
    } = Two::meet().await;
    browser.click(&his, "[data-testid=members-toggle]").await;
    let here = |online: bool| {
        format!(
            "document.querySelector(`[data-testid='member-{}'][data-online={online}]`)",
            ada.id
        )
    };
    browser.wait(&his, &here(true)).await;
    browser
        .fill(&hers, "composer-text", "what she writes")
        .await;
    let typing = "document.getElementById('typing').textContent === 'ada is typing…'";
    browser.wait(&his, typing).await;
    browser.click(&hers, "[data-testid=send]").await;
    browser.wait(&his, &shown(1, "what she writes")).await;
    browser.wait(&his, &format!("!({typing})")).await;
    browser.close(hers).await;
    browser.wait(&his, &here(false)).await;
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_is_found() {
    let Two {
        server: _server,
        mut browser,
        ada,
        bob,
        his,
        room,
        ..
    } = Two::meet().await;
    let mut socket = ada.connect().await;
    socket.say(room, "the <i>kettle</i> is on").await;
    browser.wait(&his, &shown(1, "kettle")).await;
    // What was just sent is found within two seconds.
    let there = async {
        while bob.get("/api/chat/search?q=kettle").await.1["items"] == json!([]) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, there).await.expect("it is found");
    browser.click(&his, "[data-testid=search]").await;
    browser.fill(&his, "search-query", "kettle").await;
    let found = format!("[data-testid=found-{room}-1]");
    let marked = format!("document.querySelector('{found} mark')?.textContent === 'kettle'");
    browser.wait(&his, &marked).await;
    browser.click(&his, &format!("{found} a")).await;
    browser
        .wait(&his, "document.querySelector(`.message.lit[data-seq='1']`)")
        .await;
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);
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
    // Anybody may be called what she is: who it is stands beside it.
    let named = "document.querySelector(`[data-seq='1'] .head`)?.textContent.startsWith('Ada Lovelace @ada ')";
    browser.wait(&ada, named).await;
    browser.click(&ada, "[data-testid=members-toggle]").await;
    let listed = "document.querySelector('[data-testid=member-list] .names')?.textContent === 'Ada Lovelace @ada'";
    browser.wait(&ada, listed).await;

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

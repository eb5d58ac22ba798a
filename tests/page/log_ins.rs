//! The page's log-ins: kept by a cookie, refreshed while it is open, ended for good; and the links that lead to it.

use nix::sys::signal::Signal;
use serde_json::json;

use super::{enter, send, shown};
use crate::support::{Browser, Db, Page, Server};

/// How often the page has got a newer token since it was loaded.
const REFRESHES: &str = "performance.getEntriesByType('resource')\
     .filter(entry => entry.name.endsWith('/api/refresh')).length";

/// What a refresh by the cookie is answered with.
const REFRESH: &str = "fetch('/api/refresh', {method: 'POST', body: '{}', headers: {'Content-Type': 'application/json'}})\
     .then(answer => answer.status)";

/// Whether the page is at its form, and says this.
fn out(words: &str) -> String {
    format!(
        "document.body.dataset.view === 'auth' && document.getElementById('auth-notice').textContent.includes({})",
        json!(words)
    )
}

const LIVE: &str = "document.getElementById('connection-state').dataset.state === 'live'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_lives_on() {
    let server = Server::start_with(Db::Sqlite, &[("HEARTH_ACCESS_TTL", "8s")]).await;
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

    // Several lifetimes of two tabs, each on one socket.
    let sockets = "const Socket = WebSocket; window.sockets = 0;\
                   WebSocket = class extends Socket { constructor(...all) { super(...all); window.sockets++; } }; 0";
    browser.evaluate(&page, sockets).await;
    let tab = server.url(&format!("/#/room/{room}"));
    let tab = browser.open_tab(&page, &tab).await;
    browser.wait(&tab, &shown(1, "before")).await;
    for one in [&page, &tab] {
        browser.wait(one, &format!("{REFRESHES} >= 3")).await;
    }
    send(&mut browser, &tab, "after").await;
    browser.wait(&page, &shown(2, "after")).await;
    assert_eq!(browser.evaluate(&page, "window.sockets").await, 0);
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);

    // The end of one is the end of both, and of the cookie.
    browser.click(&page, "[data-testid=log-out]").await;
    browser.wait(&page, &out("You are logged out")).await;
    browser
        .wait(&tab, &out("You logged out in another tab"))
        .await;
    let told = "performance.getEntriesByType('resource').some(entry => entry.name.endsWith('/api/logout'))";
    browser.wait(&page, told).await;
    let status = browser.evaluate(&page, REFRESH).await;
    assert!(status == 400 || status == 401, "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_lives_on_under_a_new_key() {
    let mut server = Server::start(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("Fireside", &[]).await;
    let mut browser = Browser::start().await;
    let page = enter(&mut browser, &server, "ada", room).await;
    let new_key = async |server: &mut Server| {
        server.stop().await;
        std::fs::remove_file(server.dir().join("data/jwt-secret")).unwrap();
        server.restart().await;
    };
    browser.wait(&page, LIVE).await;
    new_key(&mut server).await;
    send(&mut browser, &page, "by its socket").await;
    browser.wait(&page, &shown(1, "by its socket")).await;

    // And by a request, while there is no socket.
    let none = "window.Socket = WebSocket; WebSocket = class { constructor() { \
                setTimeout(() => this.onclose?.({code: 1006})); } close() {} }; 0";
    browser.evaluate(&page, none).await;
    new_key(&mut server).await;
    browser.click(&page, "[data-testid=account]").await;
    let listed = "document.querySelectorAll('[data-testid=login]').length === 2";
    browser.wait(&page, listed).await;
    browser
        .evaluate(&page, "WebSocket = window.Socket; 0")
        .await;
    browser.click(&page, "#account-dialog [data-closes]").await;
    send(&mut browser, &page, "by a request").await;
    browser.wait(&page, &shown(2, "by a request")).await;

    // Under the key of nobody's log-in it is over.
    server.stop().await;
    std::fs::remove_dir_all(server.dir().join("data")).unwrap();
    server.restart().await;
    browser.wait(&page, &out("Log in again")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_waits_for_its_server() {
    let server = Server::start(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("Fireside", &[]).await;
    let mut browser = Browser::start().await;
    let page = enter(&mut browser, &server, "ada", room).await;
    browser.wait(&page, LIVE).await;
    browser.block(&page, &["*/api/refresh"]).await;
    browser.reload(&page).await;
    let waits =
        "document.body.dataset.view === 'chat' && !document.getElementById('banner').hidden";
    browser.wait(&page, waits).await;
    browser.block(&page, &[]).await;
    browser.wait(&page, LIVE).await;
    send(&mut browser, &page, "back again").await;
    browser.wait(&page, &shown(1, "back again")).await;

    // A log-out that can't be told is one here, and says so; the server hears of it as soon as it can.
    browser.block(&page, &["*/api/logout"]).await;
    browser.click(&page, "[data-testid=log-out]").await;
    browser
        .wait(&page, &out("the server could not be told"))
        .await;
    browser.reload(&page).await;
    browser
        .wait(&page, &out("the server could not be told"))
        .await;
    let (_, log_ins) = ada.get("/api/me/sessions").await;
    assert_eq!(log_ins["items"].as_array().map(Vec::len), Some(2));
    browser.block(&page, &[]).await;
    browser.wait(&page, &out("You are logged out.")).await;
    let (_, log_ins) = ada.get("/api/me/sessions").await;
    assert_eq!(log_ins["items"].as_array().map(Vec::len), Some(1));
    let status = browser.evaluate(&page, REFRESH).await;
    assert!(status == 400 || status == 401, "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_looked_after() {
    let server = Server::start(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("Fireside", &[]).await;
    let mut browser = Browser::start().await;
    let here = enter(&mut browser, &server, "ada", room).await;
    let there = enter(&mut browser, &server, "ada", room).await;

    browser.click(&here, "[data-testid=account]").await;
    browser
        .fill(&here, "profile-full_name", "Ada Lovelace")
        .await;
    browser.click(&here, "[data-testid=profile-save]").await;
    let named = "document.getElementById('my-name').textContent === 'Ada Lovelace'";
    browser.wait(&here, named).await;
    let (_, me) = ada.get("/api/me").await;
    assert_eq!(me["full_name"], "Ada Lovelace");

    // The account's own log-in over REST, and two pages: the page that isn't this one is ended.
    let count = |n: usize| {
        format!("document.querySelectorAll('[data-testid=login-list] li').length === {n}")
    };
    browser.wait(&here, &count(3)).await;
    let others = "document.querySelector('[data-testid=login-list]').textContent.split('Chrome on Linux').length";
    assert_eq!(browser.evaluate(&here, others).await, 3, "two browsers");
    let end = "[...document.querySelectorAll('[data-testid=login]')].find(item => \
               item.textContent.startsWith('Chrome') && item.querySelector('button')).querySelector('button').click()";
    browser.evaluate(&here, end).await;
    browser.wait(&there, &out("ended elsewhere")).await;
    browser.wait(&here, &count(2)).await;
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);

    // A new password: a wrong one is said at its field, and the right one ends the log-in over REST.
    browser.click(&here, "[data-testid=password-open]").await;
    for (field, value) in [
        ("current", "not it, surely"),
        ("new", "battery staple 1"),
        ("again", "battery staple 1"),
    ] {
        browser
            .fill(&here, &format!("password-{field}"), value)
            .await;
    }
    browser.click(&here, "[data-testid=password-save]").await;
    let wrong = "document.getElementById('password-current-error').checkVisibility()";
    browser.wait(&here, wrong).await;
    browser
        .fill(&here, "password-current", "correct horse ada")
        .await;
    browser.click(&here, "[data-testid=password-save]").await;
    let changed = "document.getElementById('password-done').textContent.includes('is changed')";
    browser.wait(&here, changed).await;
    browser.wait(&here, &count(1)).await;
    assert_eq!(ada.get("/api/me").await.1["code"], "token_revoked");
    browser.fill(&there, "login-username", "ada").await;
    browser
        .fill(&there, "login-password", "battery staple 1")
        .await;
    browser.click(&there, "[data-testid=login-submit]").await;
    browser.wait(&there, LIVE).await;

    // The end, which asks for the password.
    browser.click(&here, "[data-testid=delete-account]").await;
    browser.click(&here, "[data-testid=delete-submit]").await;
    let asked = "document.getElementById('delete-password-error').checkVisibility()";
    browser.wait(&here, asked).await;
    browser
        .fill(&here, "delete-password", "battery staple 1")
        .await;
    browser.click(&here, "[data-testid=delete-submit]").await;
    browser.wait(&here, &out("Your account is deleted")).await;
    browser.wait(&there, &out("switched off, or deleted")).await;
    let kept = browser
        .evaluate(&here, "JSON.stringify({...localStorage})")
        .await;
    assert!(!kept.as_str().unwrap().contains("ada"), "{kept}");
}

async fn register(browser: &mut Browser, page: &Page, name: &str) {
    let password = format!("correct horse {name}");
    for (field, value) in [
        ("username", name),
        ("email", &format!("{name}@example.org")),
        ("password", &password),
        ("again", &password),
    ] {
        browser
            .fill(page, &format!("register-{field}"), value)
            .await;
    }
    browser.click(page, "[data-testid=register-submit]").await;
}

/// Fills in the form for a new password.
async fn set_password(browser: &mut Browser, page: &Page) {
    for field in ["password", "again"] {
        browser
            .fill(page, &format!("reset-{field}"), "battery staple 1")
            .await;
    }
    browser.click(page, "[data-testid=reset-submit]").await;
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
    register(&mut browser, &page, "ada").await;
    let there = format!("document.querySelector('[data-testid=room-{room}]')");
    browser.wait(&page, &there).await;

    let link = server.done(&["user", "reset", "ada"]).await;
    let page = browser.open(&server.url(link.trim())).await;
    set_password(&mut browser, &page).await;
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

/// Opens this link in the page as a click on it does: where only the part after `#` differs, nothing is loaded.
async fn follow(browser: &mut Browser, page: &Page, link: &str) {
    let hash = link.trim().split_once('#').expect("a code").1;
    browser
        .evaluate(page, &format!("location.hash = '{hash}'"))
        .await;
    let gone = "!location.href.includes('=')";
    browser.wait(page, gone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_lead_in_from_an_open_page() {
    let server = Server::start(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("Fireside", &[]).await;
    let tomorrow = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let body = json!({"room_id": room, "max_uses": 1, "expires_at": format!("{tomorrow:.3}")});
    let invite = ada.post("/api/invites", body).await.1["link"].clone();
    let invite = invite.as_str().unwrap();
    let mut browser = Browser::start().await;
    let page = enter(&mut browser, &server, "ada", room).await;
    send(&mut browser, &page, "before").await;
    browser.wait(&page, &shown(1, "before")).await;

    // Somebody else's new password, whatever is open: the log-in here goes on where it was.
    server.register("bob").await;
    browser.click(&page, "[data-testid=account]").await;
    let link = server.done(&["user", "reset", "bob"]).await;
    follow(&mut browser, &page, &link).await;
    let covered = "document.querySelector('dialog[open]')";
    browser.wait(&page, &format!("!{covered}")).await;
    let whose =
        "document.getElementById('auth-notice').textContent.includes('logged in here as ada.')";
    browser.wait(&page, whose).await;
    browser
        .fill(&page, "reset-password", "battery staple 1")
        .await;
    browser.click(&page, "[data-testid=reset-submit]").await;
    let heard = "document.getElementById('announcer').textContent === 'The same again: The two passwords differ'";
    browser.wait(&page, heard).await;
    set_password(&mut browser, &page).await;
    let told = "document.getElementById('confirm-text').textContent.includes('still logged in here, as ada')";
    browser.wait(&page, told).await;
    browser.click(&page, "[data-testid=confirm-yes]").await;
    browser.wait(&page, &shown(1, "before")).await;
    let silent = "document.getElementById('announcer').textContent === ''";
    browser.wait(&page, silent).await;

    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);

    // It works once, and says so in words.
    follow(&mut browser, &page, &link).await;
    set_password(&mut browser, &page).await;
    let used = "document.querySelector('[data-testid=reset-error]').textContent.startsWith('This link can')";
    browser.wait(&page, used).await;
    browser.click(&page, "[data-testid=reset-later]").await;

    // One's own: it is over, and the page says why.
    let link = server.done(&["user", "reset", "ada"]).await;
    follow(&mut browser, &page, &link).await;
    set_password(&mut browser, &page).await;
    browser
        .wait(&page, &out("Your new password is set. Log in"))
        .await;
    browser.fill(&page, "login-username", "ada").await;
    browser
        .fill(&page, "login-password", "battery staple 1")
        .await;
    browser.click(&page, "[data-testid=login-submit]").await;
    browser.wait(&page, &shown(1, "before")).await;

    // Put off, in a new tab of somebody who is logged in.
    let link = server.done(&["user", "reset", "ada"]).await;
    let tab = browser.open_tab(&page, &server.url(link.trim())).await;
    browser.click(&tab, "[data-testid=reset-later]").await;
    browser.wait(&tab, LIVE).await;
    browser.close(tab).await;

    // An invite is for who has no account: it is asked about, and not lost by who logs out for it.
    follow(&mut browser, &page, invite).await;
    let asked = "document.getElementById('confirm-text').textContent.includes('logged in as ada')";
    browser.wait(&page, asked).await;
    browser.click(&page, "[data-testid=confirm-no]").await;
    browser.wait(&page, &shown(1, "before")).await;
    follow(&mut browser, &page, invite).await;
    browser.click(&page, "[data-testid=confirm-yes]").await;
    register(&mut browser, &page, "cleo").await;
    let there = format!("document.querySelector('[data-testid=room-{room}]')");
    browser.wait(&page, &there).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invite_outlives_a_session() {
    let mut server = Server::start(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("Fireside", &[]).await;
    let mut browser = Browser::start().await;
    let page = enter(&mut browser, &server, "ada", room).await;
    browser.wait(&page, LIVE).await;
    follow(&mut browser, &page, "#invite=some-code").await;
    let asked = "document.getElementById('confirm-text').textContent.includes('logged in as ada')";
    browser.wait(&page, asked).await;
    ada.act("/api/logout/all").await;
    browser.wait(&page, &out("Your invite is kept")).await;
    let login = "document.getElementById('login-form').checkVisibility()";
    assert_eq!(browser.evaluate(&page, login).await, true);
    browser.click(&page, "[data-testid=show-register]").await;
    register(&mut browser, &page, "bob").await;
    let refused = "document.querySelector('[data-testid=register-error]').textContent.startsWith('This invite can')";
    browser.wait(&page, refused).await;

    // Where nobody can register, no form is offered for it.
    server.stop().await;
    server.set("HEARTH_REGISTRATION", "closed");
    server.restart().await;
    let page = browser.open(&server.url("/#invite=some-code")).await;
    browser.wait(&page, &out("Nobody can register here")).await;
    let away = format!("{login} && !document.getElementById('show-register').checkVisibility()");
    assert_eq!(browser.evaluate(&page, &away).await, true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_stays_true_while_it_is_asked() {
    let server = Server::start(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("Fireside", &[]).await;
    let mut browser = Browser::start().await;
    let page = enter(&mut browser, &server, "ada", room).await;
    browser.wait(&page, LIVE).await;
    server.signal(Signal::SIGSTOP);
    send(&mut browser, &page, "on its way").await;
    browser.click(&page, "[data-testid=log-out]").await;
    let says = |words: &str| {
        format!("document.getElementById('confirm-text').textContent.startsWith('{words}')")
    };
    browser
        .wait(&page, &says("One message has not been sent"))
        .await;
    server.signal(Signal::SIGCONT);
    browser
        .wait(&page, &says("Everything has been sent."))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_at_another_address_says_so() {
    for public in ["http://chat.example.org", "https://chat.example.org"] {
        let server = Server::start_with(Db::Sqlite, &[("HEARTH_PUBLIC_URL", public)]).await;
        server.register("ada").await;
        let mut browser = Browser::start().await;
        let page = browser.open(&server.url("/")).await;
        browser.fill(&page, "login-username", "ada").await;
        browser
            .fill(&page, "login-password", "correct horse ada")
            .await;
        browser.click(&page, "[data-testid=login-submit]").await;
        browser.wait(&page, &out("ask its operator")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forms_say_all_that_is_wrong_and_how_long_to_wait() {
    let server = Server::start_with(Db::Sqlite, &[("HEARTH_RATE_LIMITS", "on")]).await;
    let mut browser = Browser::start().await;
    let page = browser.open(&server.url("/")).await;
    browser.click(&page, "[data-testid=show-register]").await;
    for (field, value) in [
        ("username", "a"),
        ("email", "ada@example.org"),
        ("password", "short"),
        ("again", "shorter"),
    ] {
        browser
            .fill(&page, &format!("register-{field}"), value)
            .await;
    }
    browser.click(&page, "[data-testid=register-submit]").await;
    let all = "['username', 'password', 'again'].every(field => \
               document.getElementById(`register-${field}-error`).checkVisibility())";
    browser.wait(&page, all).await;
    register(&mut browser, &page, "ada").await;
    browser.wait(&page, LIVE).await;

    let page = browser.open(&server.url("/")).await;
    let guesses = "Promise.all([...Array(12)].map(() => fetch('/api/login', {method: 'POST', \
                   headers: {'Content-Type': 'application/json'}, \
                   body: JSON.stringify({username: 'bob', password: 'a guess or two'})}))).then(() => 0)";
    browser.evaluate(&page, guesses).await;
    browser.fill(&page, "login-username", "bob").await;
    browser
        .fill(&page, "login-password", "a guess or two")
        .await;
    browser.click(&page, "[data-testid=login-submit]").await;
    let wait = "/Try again in \\d+ second/.test(document.querySelector('[data-testid=login-error]').textContent)";
    browser.wait(&page, wait).await;
}

//! What is to be seen at which width.

use nix::sys::signal::Signal;

use super::{Two, enter, shown};
use crate::support::{Browser, Db, Server};

/// Whether the element of this id is to be seen.
fn seen(id: &str) -> String {
    format!("document.getElementById('{id}').checkVisibility()")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_leave_room_for_the_conversation() {
    let Two {
        server: _server,
        mut browser,
        ada,
        his,
        room,
        ..
    } = Two::meet().await;
    ada.connect().await.say(room, "a few words").await;
    let width = "document.getElementById('conversation').clientWidth";
    browser.resize(&his, 820, 700).await;
    browser.wait(&his, &shown(1, "a few words")).await;
    let before = browser.evaluate(&his, width).await;

    // They come over it, and are put away by a click beside them, by Escape, or by going elsewhere.
    let open = format!(
        "{} && document.activeElement.id === 'members-close'",
        seen("members")
    );
    let away = format!("!{}", seen("members"));
    let beside = "document.elementFromPoint(300, 300)";
    for leave in [
        &format!("{beside}.click()"),
        "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape', bubbles: true}))",
        &format!("document.querySelector('[data-testid=room-{room}] a').click()"),
    ] {
        browser.click(&his, "[data-testid=members-toggle]").await;
        browser.wait(&his, &open).await;
        assert_eq!(browser.evaluate(&his, width).await, before);
        browser.evaluate(&his, leave).await;
        browser.wait(&his, &away).await;
    }

    // What is being typed there is left first.
    browser.click(&his, "[data-testid=members-toggle]").await;
    browser.fill(&his, "add-member-username", "cle").await;
    let escape = "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape', bubbles: true}))";
    browser.evaluate(&his, escape).await;
    assert_eq!(browser.evaluate(&his, &open).await, true);
    browser.evaluate(&his, escape).await;
    browser.wait(&his, &away).await;

    // In a wide window they stand beside it.
    browser.resize(&his, 1280, 700).await;
    browser.click(&his, "[data-testid=members-toggle]").await;
    let beside = "document.getElementById('members').getBoundingClientRect().left >= \
                  document.getElementById('conversation').getBoundingClientRect().right";
    browser
        .wait(&his, &format!("{} && {beside}", seen("members")))
        .await;

    // On a phone, each is a view of its own.
    browser.resize(&his, 390, 700).await;
    let alone = format!(
        "{} && !{} && !{}",
        seen("members"),
        seen("room"),
        seen("sidebar")
    );
    browser.wait(&his, &alone).await;
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_is_told_in_each_view_of_a_phone() {
    let server = Server::start(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("Fireside", &[]).await;
    let mut browser = Browser::start().await;
    let page = enter(&mut browser, &server, "ada", room).await;
    browser.resize(&page, 390, 700).await;
    browser
        .wait(
            &page,
            &format!("{} && !{}", seen("conversation"), seen("banner")),
        )
        .await;
    server.signal(Signal::SIGSTOP);
    browser
        .evaluate(&page, "dispatchEvent(new Event('online'))")
        .await; // it asks, and nobody answers
    for (hash, view) in [
        (format!("#/room/{room}"), "room"),
        (format!("#/room/{room}/members"), "members"),
        ("#/".to_owned(), "sidebar"),
    ] {
        browser
            .evaluate(&page, &format!("location.hash = '{hash}'"))
            .await;
        browser
            .wait(&page, &format!("{} && {}", seen(view), seen("banner")))
            .await;
    }
    server.signal(Signal::SIGCONT);
    browser.wait(&page, &format!("!{}", seen("banner"))).await;
}

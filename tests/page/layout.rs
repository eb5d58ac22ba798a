//! What is to be seen at which width.

use nix::sys::signal::Signal;

use super::enter;
use crate::support::{Browser, Db, Server};

/// Whether the element of this id is to be seen.
fn seen(id: &str) -> String {
    format!("document.getElementById('{id}').checkVisibility()")
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

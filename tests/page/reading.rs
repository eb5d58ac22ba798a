//! The line above what is new: for who comes back, not for who is there.

use super::{Two, shown};

/// Whether the line stands right above the message of this seq.
fn line_above(seq: u64) -> String {
    format!(
        "document.querySelector('[data-testid=separator-new]')?.nextElementSibling?.dataset.seq === '{seq}'"
    )
}

const NO_LINE: &str = "!document.querySelector('[data-testid=separator-new]')";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_while_one_watches_is_not_marked_as_new() {
    let Two {
        server,
        mut browser,
        ada,
        his,
        room,
        ..
    } = Two::meet().await;
    let mut hers = ada.connect().await;
    let open = "document.getElementById('history-text').textContent.startsWith('No messages yet')";
    browser.wait(&his, open).await;
    for (seq, text) in [(1, "one"), (2, "two")] {
        hers.say(room, text).await;
        browser.wait(&his, &shown(seq, text)).await;
        browser.wait(&his, NO_LINE).await;
    }

    // Another tab is looked at: what comes meanwhile stands below the line, and so does what follows.
    let tab = browser.open_tab(&his, &server.url("/")).await;
    browser.bring_to_front(&tab).await;
    browser.wait(&his, "document.hidden").await;
    for (seq, text) in [(3, "three"), (4, "four")] {
        hers.say(room, text).await;
        browser.wait(&his, &shown(seq, text)).await;
    }
    browser.bring_to_front(&his).await;
    browser.wait(&his, &line_above(3)).await;
    hers.say(room, "five").await;
    browser.wait(&his, &shown(5, "five")).await;
    browser.wait(&his, &line_above(3)).await;

    // It goes when he does.
    browser.bring_to_front(&tab).await;
    browser.wait(&his, NO_LINE).await;
    hers.say(room, "six").await;
    browser.wait(&his, &line_above(6)).await;
    browser.bring_to_front(&his).await;
    browser.wait(&his, &line_above(6)).await;

    // The same with the list of rooms and back.
    let read = format!("!document.querySelector('[data-testid=room-{room}] [data-testid=unread]')");
    browser.wait(&his, &read).await;
    browser.evaluate(&his, "location.hash = '#/'").await;
    browser
        .wait(&his, "document.getElementById('welcome').checkVisibility()")
        .await;
    hers.say(room, "seven").await;
    browser.wait(&his, &format!("!({read})")).await;
    browser
        .click(&his, &format!("[data-testid=room-{room}] a"))
        .await;
    browser.wait(&his, &line_above(7)).await;
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);
}

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

/// What was said and deleted while one was elsewhere: no number beside the room, no line, and nothing of the text.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_deleted_is_not_new() {
    let Two {
        server: _server,
        mut browser,
        ada,
        his,
        room,
        ..
    } = Two::meet().await;
    let mut hers = ada.connect().await;
    let unread = |count: u64| {
        format!(
            "document.querySelector('[data-testid=room-{room}] [data-testid=unread]')?.textContent === '{count}'"
        )
    };
    let read = format!("!document.querySelector('[data-testid=room-{room}] [data-testid=unread]')");
    let link = format!("[data-testid=room-{room}] a");
    let delete = async |seq: u64| {
        let path = format!("/api/chat/rooms/{room}/messages/{seq}");
        assert_eq!(ada.delete(&path).await.0, 200);
    };
    hers.say(room, "to begin with").await;
    browser.wait(&his, &shown(1, "to begin with")).await;
    browser.wait(&his, &read).await;
    browser.evaluate(&his, "location.hash = '#/'").await;
    browser
        .wait(&his, "document.getElementById('welcome').checkVisibility()")
        .await;
    for seq in 2..=4 {
        hers.say(room, "a secret").await;
        browser.wait(&his, &unread(seq - 1)).await;
    }
    for (seq, left) in [(3, 2), (2, 1)] {
        delete(seq).await;
        browser.wait(&his, &unread(left)).await;
    }
    delete(4).await;
    browser.wait(&his, &read).await;
    browser.click(&his, &link).await;
    browser.wait(&his, &shown(4, "")).await;
    browser.wait(&his, NO_LINE).await;
    let secret = "document.body.textContent.includes('a secret')";
    browser.wait(&his, &format!("!{secret}")).await;

    // The line stands above what is left of what is new, and goes with the last of it.
    browser.evaluate(&his, "location.hash = '#/'").await;
    browser
        .wait(&his, "document.getElementById('welcome').checkVisibility()")
        .await;
    for (seq, count) in [(5, 1), (6, 2), (7, 3)] {
        hers.say(room, &format!("number {seq}")).await;
        browser.wait(&his, &unread(count)).await;
    }
    delete(5).await;
    browser.wait(&his, &unread(2)).await;
    browser.click(&his, &link).await;
    browser.wait(&his, &line_above(6)).await;
    delete(6).await;
    browser.wait(&his, &line_above(7)).await;
    delete(7).await;
    browser.wait(&his, NO_LINE).await;
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);
}

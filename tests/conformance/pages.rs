//! Pages: complete, without gaps and in order, whoever writes meanwhile.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use hearth::{
    limits,
    protocol::{Rev, Seq, UserId, rest::RoomKind},
    store::{Change, EventBody, Range},
};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    node::{Place, check_page},
    patience::{PATIENCE, timeout},
};

pub async fn changes_are_complete_while_writers_run(place: Place) {
    let node = Arc::new(place.node().await);
    let users = node.users(8).await;
    let room = node.room(RoomKind::Public, &users[0], &users[1..4]).await;
    let running = Arc::new(AtomicBool::new(true));
    let mut writers = JoinSet::new();
    for (n, user) in users.iter().cloned().enumerate() {
        let (node, running) = (node.clone(), running.clone());
        writers.spawn(async move {
            while running.load(Ordering::Relaxed) {
                if n < 4 {
                    node.send(room, &user).await;
                } else {
                    node.join(room, &user).await;
                    node.leave(room, &user).await;
                }
            }
        });
    }
    let mut readers = JoinSet::new();
    let pages: Arc<[AtomicUsize; 3]> = Arc::default();
    for (reader, start) in [0, 3, 20].into_iter().enumerate() {
        let (node, running, pages) = (node.clone(), running.clone(), pages.clone());
        readers.spawn(async move {
            let (mut at, mut last_seq): (Rev, Seq) = (start, 0);
            while running.load(Ordering::Relaxed) {
                let page = node.store.changes(room, at).await.unwrap().unwrap();
                if page.head < at {
                    continue;
                }
                check_page(&page, at);
                for event in &page.events {
                    if let EventBody::Message(message) = &event.body {
                        assert!(
                            message.seq == last_seq + 1 || last_seq == 0,
                            "{} after {last_seq}",
                            message.seq
                        );
                        last_seq = message.seq;
                    }
                }
                if page.last && last_seq > 0 {
                    assert_eq!(page.last_seq, last_seq, "the last page ends at the head");
                }
                at = page.upto;
                pages[reader].fetch_add(1, Ordering::Relaxed);
                let history = node.store.history(room, Range::Latest, 20).await;
                let history = history.unwrap().unwrap();
                assert!(history.rev >= page.upto && !history.newer);
                let (rev, members) = node
                    .store
                    .members(room, "", UserId(0), 20)
                    .await
                    .unwrap()
                    .unwrap();
                assert!(rev >= history.rev && members.len() >= 4);
            }
        });
    }
    // Long enough for many races, and for some pages of each reader, however busy the machine is.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let read = async {
        while pages
            .iter()
            .any(|pages| pages.load(Ordering::Relaxed) <= 10)
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, read).await.expect("pages are read");
    running.store(false, Ordering::Relaxed);
    writers.join_all().await;
    readers.join_all().await;
    node.check_told(room).await;
}

pub async fn changes_are_compacted(place: Place) {
    let node = place.node().await;
    let users = node.users(3).await;
    let room = node.room(RoomKind::Public, &users[0], &users[1..]).await;
    node.send(room, &users[0]).await;
    for _ in 0..5 {
        node.leave(room, &users[2]).await;
        node.join(room, &users[2]).await;
    }
    node.remove(room, users[0].id, &users[1]).await;
    let (events, page) = node.catch_up(room, 0).await;
    let revs: Vec<Rev> = events.iter().map(|event| event.rev).collect();
    assert_eq!(
        revs,
        [1, 2, 5, 15, 16],
        "settings, owner, message, back, gone"
    );
    let EventBody::Room(settings) = &events[0].body else {
        panic!("{events:?}");
    };
    assert_eq!(
        (settings.rev, settings.member_count, settings.last_seq),
        (1, 2, 1)
    );
    let EventBody::Member(gone) = &events[4].body else {
        panic!("{events:?}");
    };
    assert_eq!(
        (gone.user.id, gone.role, gone.member_count),
        (users[1].id, None, 2)
    );
    for after in [page.head, page.head + 7] {
        let page = node.store.changes(room, after).await.unwrap().unwrap();
        assert!(page.last && page.events.is_empty());
        assert_eq!((page.upto, page.head), (16, 16));
    }
    let page = node.store.changes(room, 5).await.unwrap().unwrap();
    assert_eq!(page.events[0].prev, 5, "it continues what was asked for");
}

pub async fn changes_are_cut_by_rows_and_bytes(place: Place) {
    let node = Arc::new(place.node().await);
    let user = node.user().await;
    let room = node.room(RoomKind::Public, &user, &[]).await;
    let mut tasks = JoinSet::new();
    let short = limits::SYNC_PAGE_ROWS + 20;
    for n in 0..short + 80 {
        let (node, user) = (node.clone(), user.clone());
        let content = if n < short {
            "short".into()
        } else {
            "𝄞".repeat(limits::CONTENT_CHARS_MAX)
        };
        let change = Change::Send {
            room_id: room,
            sender: user,
            id: Uuid::new_v4(),
            content,
            reply_to: None,
            named: Default::default(),
        };
        if n < short {
            tasks.spawn(async move { node.append(change).await });
        } else {
            while tasks.join_next().await.is_some() {}
            node.append(change).await;
        }
    }
    let page = node.store.changes(room, 0).await.unwrap().unwrap();
    check_page(&page, 0);
    assert_eq!(page.events.len(), limits::SYNC_PAGE_ROWS);
    assert!(!page.last);
    let (mut at, mut seqs, mut pages) = (0, 0, 0);
    loop {
        let page = node.store.changes(room, at).await.unwrap().unwrap();
        check_page(&page, at);
        let (mut bytes, mut of_page) = (0, 0);
        for event in &page.events {
            if let EventBody::Message(message) = &event.body {
                bytes += message.content.as_ref().map_or(0, String::len);
                of_page += 1;
            }
        }
        assert!(bytes < 200_000, "{bytes} bytes in a page");
        seqs += of_page;
        pages += 1;
        at = page.upto;
        if page.last {
            break;
        }
    }
    assert_eq!((seqs, at), (short + 80, node.head(room).await));
    assert_eq!(pages, 17, "500 rows, the rest and 128 KiB, 128 KiB each");
    let last = node
        .store
        .history(room, Range::Latest, 200)
        .await
        .unwrap()
        .unwrap();
    assert!(last.messages.len() < 40 && last.older && !last.newer);
    assert_eq!(last.messages.last().unwrap().seq, (short + 80) as Seq);
}

pub async fn history_at_its_edges(place: Place) {
    let node = place.node().await;
    let user = node.user().await;
    let room = node.room(RoomKind::Public, &user, &[]).await;
    for range in [
        Range::Latest,
        Range::Before(5),
        Range::After(0),
        Range::Around(3),
    ] {
        let page = node.store.history(room, range, 10).await.unwrap().unwrap();
        assert!(
            page.messages.is_empty() && !page.older && !page.newer,
            "{range:?}"
        );
        assert_eq!(page.rev, 2);
    }
    for _ in 0..10 {
        node.send(room, &user).await;
    }
    let table: &[(Range, usize, &[Seq], bool, bool)] = &[
        (Range::Latest, 3, &[8, 9, 10], true, false),
        (
            Range::Latest,
            10,
            &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
            false,
            false,
        ),
        (
            Range::Latest,
            50,
            &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
            false,
            false,
        ),
        (Range::Before(4), 2, &[2, 3], true, true),
        (Range::Before(4), 3, &[1, 2, 3], false, true),
        (Range::Before(4), 9, &[1, 2, 3], false, true),
        (Range::Before(1), 9, &[], false, true),
        (Range::Before(0), 9, &[], false, true),
        (Range::Before(11), 2, &[9, 10], true, false),
        (Range::Before(99), 2, &[9, 10], true, false),
        (Range::After(0), 2, &[1, 2], false, true),
        (Range::After(8), 5, &[9, 10], true, false),
        (Range::After(10), 5, &[], true, false),
        (Range::After(99), 5, &[], true, false),
        (Range::Around(5), 4, &[3, 4, 5, 6], true, true),
        (Range::Around(5), 5, &[3, 4, 5, 6, 7], true, true),
        (Range::Around(1), 4, &[1, 2], false, true),
        (Range::Around(10), 4, &[8, 9, 10], true, false),
        (Range::Around(5), 1, &[5], true, true),
    ];
    for (range, limit, seqs, older, newer) in table {
        let page = node.store.history(room, *range, *limit).await;
        let page = page.unwrap().unwrap();
        let found: Vec<Seq> = page.messages.iter().map(|message| message.seq).collect();
        assert_eq!(&found, seqs, "{range:?} {limit}");
        assert_eq!(
            (page.older, page.newer),
            (*older, *newer),
            "{range:?} {limit}"
        );
        assert_eq!(page.rev, 12);
    }
    let missing = hearth::protocol::RoomId(room.0 + 1_000);
    let page = node.store.history(missing, Range::Latest, 5).await;
    assert!(page.unwrap().is_none());
    // A hole is never shown as if it were none.
    place.meddle("DELETE FROM messages WHERE seq = 5").await;
    let holed = node.store.history(room, Range::Latest, 10).await;
    assert!(holed.is_err(), "{holed:?}");
    assert!(node.store.history(room, Range::Latest, 5).await.is_ok());
}

pub async fn members_by_page(place: Place) {
    let node = place.node().await;
    let mut users = Vec::new();
    for name in ["cleo", "clara", "Ünal", "zoe", "bob"] {
        users.push(node.named(name).await);
    }
    let room = node.room(RoomKind::Public, &users[0], &users[1..]).await;
    node.leave(room, &users[3]).await;
    let page = async |prefix: &str, after: u64, limit: usize| {
        let found = node.store.members(room, prefix, UserId(after), limit).await;
        let (rev, members) = found.unwrap().unwrap();
        assert_eq!(rev, 7);
        members
            .into_iter()
            .map(|member| {
                assert!(member.last_read_seq.is_some(), "a small room shows markers");
                member.user.username
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(page("", 0, 2).await, ["cleo", "clara"]);
    assert_eq!(page("", users[1].id.0, 9).await, ["Ünal", "bob"]);
    assert_eq!(page("cl", 0, 9).await, ["cleo", "clara"]);
    assert_eq!(page("un", 0, 9).await, ["Ünal"]);
    assert_eq!(page("%", 0, 9).await, [] as [&str; 0]);
    let missing = hearth::protocol::RoomId(room.0 + 1_000);
    let none = node.store.members(missing, "", UserId(0), 5).await;
    assert!(none.unwrap().is_none());
}

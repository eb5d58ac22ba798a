//! Search: the same answers on every database, whatever the text and the query; edits and deletions; who finds what; words nearly
//! right; the index beside writers and on several nodes.

mod table;

use std::{collections::BTreeSet, time::Duration};

use hearth::{
    limits::INDEX_PAGE_ROWS,
    protocol::{
        RoomId, Seq, Time,
        rest::{Found, RoomKind, UserSummary},
    },
    search::{Feed, Filter, Query, Search},
    store::{Change, Store},
};
use rand::{Rng, SeedableRng, rngs::SmallRng, seq::IndexedRandom};
use uuid::Uuid;

use crate::node::{Node, Place};
use crate::patience::{PATIENCE, timeout};

impl Node {
    pub async fn write(&self, room_id: RoomId, sender: &UserSummary, text: &str) -> Seq {
        self.mention(room_id, sender, text, Default::default())
            .await
    }

    /// All that is found, page by page.
    async fn find_all(&self, query: &str, filter: Filter, limit: usize) -> Vec<Found> {
        find_all(self.search(), query, &filter, limit).await
    }

    /// The rooms and seqs of what a user finds, the newest first.
    async fn finds(&self, user: &UserSummary, query: &str) -> Vec<(RoomId, Seq)> {
        places(&self.find_all(query, all_of(user), 50).await)
    }
}

pub async fn find_all(search: &Search, text: &str, filter: &Filter, limit: usize) -> Vec<Found> {
    let query = Query::parse(text).unwrap_or_else(|why| panic!("{text:?}: {why:?}"));
    let of = filter.fingerprint(text);
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = search.find(&query, filter, after, of, limit).await.unwrap();
        assert!(page.found.len() <= limit);
        all.extend(page.found);
        match page.next {
            Some(cursor) => after = Some(cursor.to_string().parse().unwrap()),
            None => return all,
        }
    }
}

/// The words themselves, in all rooms of the user.
pub fn all_of(user: &UserSummary) -> Filter {
    Filter {
        user_id: user.id,
        room_id: None,
        from: None,
        since: None,
        until: None,
        near: false,
    }
}

fn places(found: &[Found]) -> Vec<(RoomId, Seq)> {
    let place = |found: &Found| (found.message.room_id, found.message.seq);
    found.iter().map(place).collect()
}

fn rising(places: Vec<(RoomId, Seq)>) -> Vec<Seq> {
    let mut seqs: Vec<Seq> = places.into_iter().map(|(_, seq)| seq).collect();
    seqs.sort_unstable();
    seqs
}

/// By the author.
fn edit(room_id: RoomId, user: &UserSummary, seq: Seq, text: &str) -> Change {
    Change::Edit {
        room_id,
        user_id: user.id,
        seq,
        content: text.into(),
        named: Default::default(),
    }
}

pub fn delete(room_id: RoomId, user: &UserSummary, seq: Seq) -> Change {
    let user_id = user.id;
    Change::Delete {
        room_id,
        user_id,
        seq,
    }
}

pub async fn queries_find_what_the_table_says(place: Place) {
    let node = place.node().await;
    let ada = node.user().await;
    let room = node.room(RoomKind::Private, &ada, &[]).await;
    for (index, text) in table::TEXTS.iter().enumerate() {
        assert_eq!(node.write(room, &ada, text).await, index as Seq + 1);
    }
    node.index().await;
    assert!(table::QUERIES.len() >= 200);
    let mut faults = Vec::new();
    for (query, expected) in table::QUERIES {
        let found = rising(node.finds(&ada, query).await);
        let expected: Vec<Seq> = expected.iter().map(|seq| *seq as Seq).collect();
        if found != expected {
            faults.push(format!("{query:?}: {found:?} instead of {expected:?}"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    for query in table::UNSEARCHABLE {
        assert!(Query::parse(query).is_err(), "{query:?}");
    }
}

pub async fn any_text_is_found_as_by_reading_all(place: Place) {
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let node = place.node().await;
    let ada = node.user().await;
    let room = node.room(RoomKind::Private, &ada, &[]).await;
    let long = "ж".repeat(30);
    let parts = [
        "a",
        "b",
        "ab",
        "abc",
        "the",
        "q",
        "qe",
        "zz",
        "1",
        "10",
        "é",
        "e",
        "ß",
        "ss",
        "я",
        "яя",
        &long,
        "東",
        "京",
        "東京",
        "한국",
        "국",
        "สวัส",
        "カ",
        "\u{3099}",
        "\u{301}",
        "👍",
        "-",
        ".",
        ",",
        "'",
        "_",
        "@",
        "+",
        "*",
        "\"",
        "(",
        ")",
        "~",
        " ",
        " ",
        " ",
        " ",
        "\u{ad}",
        "\u{200d}",
        "א",
        "ָ",
        "ا",
        "ً",
    ];
    let text = |random: &mut SmallRng, most: usize| -> String {
        let count = random.random_range(1..=most);
        (0..count)
            .filter_map(|_| parts.choose(random).copied())
            .collect()
    };
    let mut texts = Vec::new();
    for _ in 0..150 {
        let text = text(&mut random, 12);
        node.write(room, &ada, &text).await;
        texts.push(text);
    }
    node.index().await;
    let (mut asked, mut hits) = (0, 0);
    while asked < 400 {
        let query = text(&mut random, 5);
        let Ok(parsed) = Query::parse(&query) else {
            continue;
        };
        let naive = texts
            .iter()
            .zip(1..)
            .filter(|(text, _)| parsed.hits(text).is_some());
        let naive: Vec<Seq> = naive.map(|(_, seq)| seq).collect();
        let found = rising(node.finds(&ada, &query).await);
        assert_eq!(found, naive, "seed {seed}: {query:?}");
        (asked, hits) = (asked + 1, hits + naive.len());
    }
    assert!(hits > 1_000, "the queries find something: {hits}");
}

pub async fn pages_follow_the_order(place: Place) {
    let node = place.node().await;
    let ada = node.user().await;
    let mut rooms = Vec::new();
    for _ in 0..3 {
        rooms.push(node.room(RoomKind::Public, &ada, &[]).await);
    }
    for n in 0..60 {
        node.write(rooms[n % 3], &ada, &format!("common {n}")).await;
    }
    // Moments that are shared, and a clock that went back.
    place
        .meddle("UPDATE messages SET created_at = 1000 + (seq * 7) % 5 * 10")
        .await;
    node.index().await;
    let whole = node.find_all("common", all_of(&ada), 100).await;
    assert_eq!(whole.len(), 60);
    let order = |found: &Found| {
        (
            found.message.created_at,
            found.message.room_id,
            found.message.seq,
        )
    };
    assert!(
        whole
            .windows(2)
            .all(|pair| order(&pair[0]) > order(&pair[1]))
    );
    for limit in [1, 7, 20, 59, 60] {
        let paged = node.find_all("common", all_of(&ada), limit).await;
        assert_eq!(places(&paged), places(&whole), "by {limit}");
    }
    // A page that is cut by its bytes.
    let big = format!("enormous {}", "x ".repeat(3_990));
    for _ in 0..50 {
        node.write(rooms[0], &ada, &big).await;
    }
    node.index().await;
    assert_eq!(
        node.find_all("enormous x", all_of(&ada), 100).await.len(),
        50
    );
}

pub async fn only_ones_own_rooms_are_searched(place: Place) {
    let node = place.node().await;
    let (ada, bob, eve) = (node.user().await, node.user().await, node.user().await);
    let public = node
        .room(RoomKind::Public, &ada, std::slice::from_ref(&bob))
        .await;
    let private = node
        .room(RoomKind::Private, &ada, std::slice::from_ref(&bob))
        .await;
    node.write(public, &ada, "secret of ada").await;
    node.write(public, &bob, "secret of bob").await;
    node.write(private, &ada, "secret of both").await;
    node.index().await;
    let finds = async |user, query| node.finds(user, query).await.len();
    assert_eq!(
        (finds(&ada, "secret").await, finds(&bob, "secret").await),
        (3, 3)
    );
    assert_eq!(finds(&eve, "secret").await, 0);
    node.leave(public, &bob).await;
    assert_eq!(node.finds(&bob, "secret").await, [(private, 1)]);
    node.remove(private, ada.id, &bob).await;
    assert_eq!(finds(&bob, "secret").await, 0);
    node.join(public, &bob).await;
    assert_eq!(finds(&bob, "secret").await, 2, "the room's whole history");
    let narrow = async |room_id, from| {
        let scope = Filter {
            room_id,
            from,
            ..all_of(&ada)
        };
        places(&node.find_all("secret", scope, 50).await)
    };
    assert_eq!(narrow(Some(private), None).await, [(private, 1)]);
    assert_eq!(rising(narrow(None, Some(bob.id)).await), [2]);
    assert_eq!(narrow(Some(public), Some(ada.id)).await, [(public, 1)]);
    assert_eq!(narrow(Some(private), Some(bob.id)).await, []);
}

pub async fn edits_and_deletions_are_followed(place: Place) {
    let node = place.node().await;
    let ada = node.user().await;
    let room = node.room(RoomKind::Private, &ada, &[]).await;
    for text in [
        "first apple",
        "second apple",
        "third apple",
        "fourth apple",
        "👍",
    ] {
        node.write(room, &ada, text).await;
    }
    node.index().await;
    node.append(edit(room, &ada, 1, "first pear")).await;
    node.append(delete(room, &ada, 2)).await;
    node.append(edit(room, &ada, 3, "👍")).await;
    node.append(edit(room, &ada, 5, "fifth apple")).await;
    // Before the index has followed: nothing that isn't so.
    assert_eq!(rising(node.finds(&ada, "apple").await), [4]);
    node.index().await;
    assert_eq!(rising(node.finds(&ada, "apple").await), [4, 5]);
    assert_eq!(rising(node.finds(&ada, "pear").await), [1]);
    assert!(node.finds(&ada, "second").await.is_empty());
    // Changes that leave the words alone.
    for change in [
        Change::Pin {
            room_id: room,
            user_id: ada.id,
            seq: 5,
            on: true,
        },
        Change::React {
            room_id: room,
            user_id: ada.id,
            seq: 5,
            emoji: "👍".into(),
            on: true,
        },
    ] {
        node.append(change).await;
        assert_eq!(rising(node.finds(&ada, "apple").await), [4, 5]);
    }
    node.index().await;
    let found = node.find_all("fifth", all_of(&ada), 50).await;
    let message = &found[0].message;
    assert_eq!(
        (message.reactions.len(), message.pinned_at.is_some()),
        (1, true)
    );
}

/// Three nodes with an index each: two hear of their own commits, one reads the log alone. All find what a reading of all texts
/// finds, also while others write.
pub async fn several_nodes_index_beside_writers(place: Place) {
    const TEXTS: u64 = 150;
    let directory = tempfile::tempdir().unwrap();
    let feeds: Vec<Feed> = (0..3).map(|_| Feed::default()).collect();
    let (mut stores, mut searches) = (Vec::new(), Vec::new());
    for (number, feed) in feeds.iter().enumerate() {
        let hears = (number < 2).then(|| feed.clone());
        let hook = std::sync::Arc::new(move |events: Vec<hearth::store::Event>| {
            hears.iter().for_each(|feed| feed.note(&events));
        });
        let store = Store::open(&place.options(), hook).await.unwrap();
        let path = directory.path().join(number.to_string());
        searches.push(Search::start(store.clone(), feed.clone(), path, DAY));
        stores.push(store);
    }
    let node = place.node().await;
    let ada = node.user().await;
    let mut rooms = Vec::new();
    for _ in 0..4 {
        rooms.push(node.room(RoomKind::Private, &ada, &[]).await);
    }
    let mut writers = tokio::task::JoinSet::new();
    for (index, room) in rooms.iter().copied().enumerate() {
        let (store, ada) = (stores[index % 3].clone(), ada.clone());
        let other = stores[(index + 1) % 3].clone();
        writers.spawn(async move {
            for n in 1..=TEXTS {
                let change = Change::Send {
                    room_id: room,
                    sender: ada.clone(),
                    id: Uuid::new_v4(),
                    content: format!("common word{n}"),
                    reply_to: None,
                    named: Default::default(),
                };
                store.append(change).await.unwrap();
                // Late, when it is indexed, or about to be; and by another node.
                let change = match n % 5 {
                    0 => delete(room, &ada, n),
                    1 => edit(room, &ada, n, &format!("common other{n}")),
                    2 if n > 10 => delete(room, &ada, n - 9),
                    _ => continue,
                };
                other.append(change).await.unwrap();
            }
        });
    }
    let mut turns = 0;
    while !writers.is_empty() {
        // What is found at any moment is as it is then, or was a moment ago.
        for search in &searches {
            for found in find_all(search, "common", &all_of(&ada), 200).await {
                let text = found.message.content.unwrap();
                assert!(text.starts_with("common"), "{text}");
            }
            turns += 1;
        }
        while let Some(done) = writers.try_join_next() {
            done.unwrap();
        }
    }
    println!("{turns} searches beside the writers");
    let live = place
        .numbers("SELECT room_id, seq FROM messages WHERE deleted_at IS NULL")
        .await;
    let live: BTreeSet<_> = live.iter().map(|row| (RoomId(row[0]), row[1])).collect();
    let others = place
        .numbers("SELECT seq FROM messages WHERE content LIKE '%other%'")
        .await;
    for search in &searches {
        search.flush().await;
        let found = places(&find_all(search, "common", &all_of(&ada), 50).await);
        assert!(found.len() == live.len() && BTreeSet::from_iter(found) == live);
        for n in [4, 59, 148, 149] {
            let found = find_all(search, &format!("word{n}"), &all_of(&ada), 50).await;
            assert_eq!(found.len(), 4, "{n}");
        }
        let found = find_all(search, "other*", &all_of(&ada), 50).await;
        assert_eq!(found.len(), others.len());
        search.close().await;
    }
}

pub const DAY: Duration = Duration::from_secs(86_400);

pub async fn a_long_history_is_indexed_in_pages(place: Place) {
    let node = place.node().await;
    let ada = node.user().await;
    let room = node.room(RoomKind::Private, &ada, &[]).await;
    let mut sends = tokio::task::JoinSet::new();
    for n in 0..INDEX_PAGE_ROWS + 500 {
        let (store, ada) = (node.store.clone(), ada.clone());
        sends.spawn(async move {
            let change = Change::Send {
                room_id: room,
                sender: ada,
                id: Uuid::new_v4(),
                content: format!("number{n} {}", "long ".repeat(100)),
                reply_to: None,
                named: Default::default(),
            };
            store.append(change).await.unwrap();
        });
    }
    sends.join_all().await;
    // A room whose rows can't be read holds nobody up.
    let broken = node.room(RoomKind::Private, &ada, &[]).await;
    node.write(broken, &ada, "broken").await;
    let other = node.room(RoomKind::Private, &ada, &[]).await;
    node.write(other, &ada, "other room").await;
    place
        .meddle(&format!(
            "UPDATE messages SET sender_id = -9 WHERE room_id = {broken}"
        ))
        .await;
    let indexed = timeout(PATIENCE, node.index()).await;
    indexed.expect("the index is done in time");
    for n in [0, 1, 500, 999, 1_499] {
        assert_eq!(
            node.finds(&ada, &format!("number{n}")).await.len(),
            1,
            "{n}"
        );
    }
    assert_eq!(node.finds(&ada, "other").await, [(other, 1)]);
}

/// A word that isn't there as it was typed finds those that are nearly it, after the exact ones, in one order of pages.
pub async fn words_nearly_right_come_after_the_exact_ones(place: Place) {
    let node = place.node().await;
    let (ada, eve) = (node.user().await, node.user().await);
    let room = node.room(RoomKind::Private, &ada, &[]).await;
    let hidden = node.room(RoomKind::Private, &eve, &[]).await;
    for text in [
        /* 1 */ "the kettle boils",
        /* 2 */ "the kettel is on",
        /* 3 */ "a kettle, again",
        /* 4 */ "please accommodate us",
        /* 5 */ "the cat and the car",
        /* 6 */ "kettles and pots",
        /* 7 */ "Dampfschifffahrt beginnt",
        /* 8 */ "東京都 kettle2",
        /* 9 */ "a settle",
    ] {
        node.write(room, &ada, text).await;
    }
    // What nobody else may learn: a word that is nearer than mine.
    node.write(hidden, &eve, "the acommodate secret").await;
    node.index().await;
    let near = |near| Filter {
        near,
        ..all_of(&ada)
    };
    let find = async |query: &str, limit| {
        let found = find_all(node.search(), query, &near(true), limit).await;
        let seqs = found.iter().map(|found| (found.message.seq, found.near));
        seqs.collect::<Vec<_>>()
    };
    for limit in [1, 2, 3, 50] {
        for (query, expected) in [
            // Exact ones first, the newest first; then near ones, the newest first.
            (
                "kettle",
                vec![(3, false), (1, false), (9, true), (6, true), (2, true)],
            ),
            ("ketle", vec![(3, true), (1, true)]),
            ("acomodate", vec![(4, true)]),
            ("accommodate", vec![(4, false)]),
            ("dampfschiffahrt", vec![(7, true)]),
            ("kettle boild", vec![(1, true)]),
            ("ketel \"boils\"", vec![]),
            // Never: short words, quoted ones, beginnings, with digits, runs.
            ("cas", vec![]),
            ("\"ketle\"", vec![]),
            ("ketle*", vec![]),
            ("kettle3", vec![]),
            ("京東", vec![]),
        ] {
            assert_eq!(find(query, limit).await, expected, "{query} by {limit}");
        }
    }
    let found = find_all(node.search(), "ketle", &near(false), 50).await;
    assert!(found.is_empty(), "near=no");
    let found = find_all(node.search(), "ketle", &near(true), 50).await;
    let hits: Vec<&str> = found
        .iter()
        .flat_map(|found| &found.snippet)
        .filter(|piece| piece.hit)
        .map(|piece| &*piece.text)
        .collect();
    assert_eq!(
        hits,
        ["kettle", "kettle"],
        "the word that is there is marked"
    );
}

pub async fn filters_narrow_what_is_found(place: Place) {
    let node = place.node().await;
    let ada = node.user().await;
    let room = node.room(RoomKind::Private, &ada, &[]).await;
    for n in 1..=5 {
        node.write(room, &ada, &format!("kettle {n}")).await;
    }
    place
        .meddle("UPDATE messages SET created_at = 1000 * seq")
        .await;
    node.index().await;
    for (since, until, expected) in [
        (None, None, vec![1, 2, 3, 4, 5]),
        (Some(3_000), None, vec![3, 4, 5]),
        (None, Some(3_000), vec![1, 2]),
        (Some(2_000), Some(4_000), vec![2, 3]),
        (Some(4_000), Some(2_000), vec![]),
    ] {
        let filter = Filter {
            since: since.map(Time),
            until: until.map(Time),
            ..all_of(&ada)
        };
        let found = rising(places(&node.find_all("kettle", filter, 2).await));
        assert_eq!(found, expected, "{since:?} {until:?}");
    }
}

//! Search: the same answers on every database, whatever the text and the query; edits and deletions; who finds what; and
//! the
//! indexer beside writers and other nodes.

mod table;

use std::collections::BTreeSet;

use hearth::{
    limits::SYNC_PAGE_ROWS,
    protocol::{
        RoomId, Seq,
        rest::{Found, RoomKind, UserSummary},
    },
    store::{
        Change, Location,
        search::{Indexer, Query, SearchFilter},
    },
};
use mysql_async::prelude::Queryable;
use rand::{Rng, SeedableRng, rngs::SmallRng, seq::IndexedRandom};
use uuid::Uuid;

use crate::node::{Node, Place};
use crate::patience::{PATIENCE, timeout};

impl Node {
    async fn write(&self, room_id: RoomId, sender: &UserSummary, text: &str) -> Seq {
        self.mention(room_id, sender, text, Default::default())
            .await
    }

    /// Indexes all that is committed.
    pub async fn index(&self) {
        Indexer::default().sweep(&self.store).await.unwrap();
    }

    /// All that is found, page by page.
    async fn find_all(&self, query: &str, mut scope: SearchFilter, limit: usize) -> Vec<Found> {
        let query = Query::parse(query).unwrap_or_else(|why| panic!("{query:?}: {why:?}"));
        let mut all = Vec::new();
        loop {
            let page = self.store.search(&query, scope, limit).await.unwrap();
            assert!(page.found.len() <= limit);
            all.extend(page.found);
            match page.more_after {
                Some(place) => scope.after = Some(place.to_string().parse().unwrap()),
                None => return all,
            }
        }
    }

    /// The rooms and seqs of what a user finds, the newest first.
    async fn finds(&self, user: &UserSummary, query: &str) -> Vec<(RoomId, Seq)> {
        places(&self.find_all(query, all_of(user), 50).await)
    }
}

fn all_of(user: &UserSummary) -> SearchFilter {
    SearchFilter {
        user_id: user.id,
        room_id: None,
        from: None,
        after: None,
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

impl Place {
    /// The one number that a statement answers.
    async fn count(&self, sql: &str) -> i64 {
        match &self.location {
            Location::Sqlite(path) => {
                let conn = rusqlite::Connection::open(path).unwrap();
                conn.query_row(sql, [], |row| row.get(0)).unwrap()
            }
            Location::Mysql(url) => {
                let mut conn = mysql_async::Conn::from_url(url).await.unwrap();
                let count = conn.query_first(sql).await.unwrap().unwrap();
                conn.disconnect().await.unwrap();
                count
            }
        }
    }
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

fn delete(room_id: RoomId, user: &UserSummary, seq: Seq) -> Change {
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
        let scope = SearchFilter {
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
    let words = async || place.count("SELECT COUNT(*) FROM message_words").await;
    assert_eq!(words().await, 4, "no row for what has no words");
    node.append(edit(room, &ada, 1, "first pear")).await;
    node.append(delete(room, &ada, 2)).await;
    node.append(edit(room, &ada, 3, "👍")).await;
    node.append(edit(room, &ada, 5, "fifth apple")).await;
    // Before the index has followed: nothing that isn't so.
    assert_eq!(rising(node.finds(&ada, "apple").await), [4]);
    assert_eq!(words().await, 3, "a deletion's commit erases");
    node.index().await;
    assert_eq!(rising(node.finds(&ada, "apple").await), [4, 5]);
    assert_eq!(rising(node.finds(&ada, "pear").await), [1]);
    assert!(node.finds(&ada, "second").await.is_empty());
    assert_eq!(words().await, 3);
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
    let behind = "SELECT COUNT(*) FROM rooms r JOIN search_cursors c ON c.room_id = r.id WHERE c.rev <> r.rev";
    assert_eq!(place.count(behind).await, 0);
    if let Location::Sqlite(path) = &place.location {
        let conn = rusqlite::Connection::open(path).unwrap();
        let check =
            "INSERT INTO message_words_fts (message_words_fts, rank) VALUES ('integrity-check', 1)";
        conn.execute_batch(check).unwrap();
        let mut parts = conn
            .prepare("SELECT block FROM message_words_fts_data")
            .unwrap();
        let parts = parts.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
        let erased = b"zzsecond";
        let holds = |part: Vec<u8>| part.windows(erased.len()).any(|bytes| bytes == erased);
        assert!(
            !parts.map(Result::unwrap).any(holds),
            "no trace is left in the index"
        );
    }
}

pub async fn several_nodes_index_beside_writers(place: Place) {
    const TEXTS: u64 = 150;
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(place.node().await);
    }
    let ada = nodes[0].user().await;
    let mut rooms = Vec::new();
    for _ in 0..4 {
        rooms.push(nodes[0].room(RoomKind::Private, &ada, &[]).await);
    }
    let (ended, watch) = tokio::sync::watch::channel(false);
    let mut indexers = tokio::task::JoinSet::new();
    for node in &nodes {
        let (store, watch) = (node.store.clone(), watch.clone());
        indexers.spawn(async move {
            let (indexer, mut turns) = (Indexer::default(), 0u64);
            while !*watch.borrow() {
                indexer.sweep(&store).await.unwrap();
                turns += 1;
                tokio::task::yield_now().await;
            }
            turns
        });
    }
    // A deleted message has no words, at any moment.
    let orphans = "SELECT COUNT(*) FROM message_words w JOIN messages m ON m.room_id = w.room_id AND m.seq = w.seq
                   WHERE m.deleted_at IS NOT NULL";
    let (checked, mut checks) = (place.clone(), 0);
    let ends = watch.clone();
    let checker = tokio::spawn(async move {
        while !*ends.borrow() {
            assert_eq!(checked.count(orphans).await, 0);
            checks += 1;
        }
        println!("{checks} checks");
    });
    let mut writers = tokio::task::JoinSet::new();
    for (index, room) in rooms.iter().copied().enumerate() {
        let (store, ada) = (nodes[index % 3].store.clone(), ada.clone());
        let other = nodes[(index + 1) % 3].store.clone();
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
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    ended.send(true).unwrap();
    while let Some(turns) = indexers.join_next().await {
        println!("{} turns", turns.unwrap());
    }
    nodes[1].index().await;
    let live = place
        .count("SELECT COUNT(*) FROM messages WHERE deleted_at IS NULL")
        .await;
    assert_eq!(
        place.count("SELECT COUNT(*) FROM message_words").await,
        live
    );
    checker.await.unwrap();
    let found: BTreeSet<_> = nodes[2].finds(&ada, "common").await.into_iter().collect();
    assert_eq!(found.len() as i64, live);
    for n in [4, 59, 148, 149] {
        assert_eq!(
            nodes[0].finds(&ada, &format!("word{n}")).await.len(),
            4,
            "{n}"
        );
    }
    assert_eq!(
        nodes[0].finds(&ada, "other*").await.len() as i64,
        place
            .count("SELECT COUNT(*) FROM messages WHERE content LIKE '%other%'")
            .await
    );
}

pub async fn a_long_history_is_indexed_in_pages(place: Place) {
    let node = place.node().await;
    let ada = node.user().await;
    let room = node.room(RoomKind::Private, &ada, &[]).await;
    let mut sends = tokio::task::JoinSet::new();
    for n in 0..2 * SYNC_PAGE_ROWS {
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
    for n in [0, 1, 500, 999] {
        assert_eq!(
            node.finds(&ada, &format!("number{n}")).await.len(),
            1,
            "{n}"
        );
    }
    assert_eq!(node.finds(&ada, "other").await, [(other, 1)]);
}

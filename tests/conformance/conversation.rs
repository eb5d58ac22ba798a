//! Edits and deletions, reactions, pins, and unread mentions.

use std::collections::BTreeSet;

use hearth::{
    limits,
    protocol::{
        RoomId, Seq, UserId,
        rest::{Mentions, RoomKind, UserSummary},
    },
    store::{Error, EventBody, Location, Outcome, Refused, What},
};

use crate::{
    node::{Node, Place, everyone, mentions, refused},
    state::{Row, State},
};

fn changed(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Updated { changed, .. } => *changed,
        other => panic!("{other:?}"),
    }
}

pub async fn edits_replace_and_repeat(place: Place) {
    let node = place.node().await;
    let users = node.users(3).await;
    let room = node.room(RoomKind::Public, &users[0], &users[1..]).await;
    let (author, other) = (&users[1], &users[2]);
    let seq = node
        .mention(room, author, "first", mentions(&[other]))
        .await;
    let head = node.head(room).await;
    let none = Mentions::default;
    for (by, seq, why) in [
        (users[0].id, seq, Refused::NotAuthor),
        (author.id, seq + 1, Refused::NoMessage),
        (UserId(999_999), seq, Refused::NotMember),
    ] {
        assert_eq!(refused(&node.edit(room, by, seq, "x", none()).await), why);
    }
    assert!(changed(
        &node.edit(room, author.id, seq, "second ", none()).await
    ));
    assert!(!changed(
        &node.edit(room, author.id, seq, "second ", none()).await
    ));
    // The database has no opinion on what is the same text.
    assert!(changed(
        &node.edit(room, author.id, seq, "second", none()).await
    ));
    assert!(changed(
        &node.edit(room, author.id, seq, "SECOND", none()).await
    ));
    assert_eq!(node.head(room).await, head + 3);
    let message = node.message(room, seq).await;
    assert_eq!(message.content.as_deref(), Some("SECOND"));
    assert!(message.edited_at.is_some() && message.mentions.users.is_empty());
    // Repeated, it is answered by what became of it.
    let again = node.send_id(room, author, message.id).await;
    let of = (seq, head + 3, message.created_at);
    assert!(
        matches!(again, Outcome::Sent { seq, rev, created_at, duplicate: true } if (seq, rev, created_at) == of),
        "{again:?}"
    );
    let known = node.store.sent(room, author.id, message.id).await.unwrap();
    assert_eq!(known, Some(again));
    State::told(&node, room).check_tables(&place, room).await;
}

/// All tables of the database, whatever they are for: an index for searches, too, forgets.
async fn tables_with(place: &Place, text: &str) -> BTreeSet<String> {
    let names = match place.location {
        Location::Sqlite(_) => "SELECT name FROM sqlite_master WHERE type = 'table'",
        Location::Mysql(_) => {
            "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
        }
    };
    let mut found = BTreeSet::new();
    for name in place.select(names).await.concat().into_iter().flatten() {
        let rows = place.select(&format!("SELECT * FROM {name}")).await;
        let mut values = rows.iter().flatten().flatten();
        if values.any(|value| value.to_lowercase().contains(text)) {
            found.insert(name);
        }
    }
    found
}

pub async fn a_deletion_erases_everywhere(place: Place) {
    let node = place.node().await;
    let users = node.users(3).await;
    let room = node.room(RoomKind::Private, &users[0], &users[1..]).await;
    let author = &users[1];
    let seq = node.mention(room, author, "Quetzalcoatl", everyone()).await;
    let kept = node
        .mention(room, author, "kept", mentions(&[&users[2]]))
        .await;
    node.index().await;
    node.edit(
        room,
        author.id,
        seq,
        "the Quetzalcoatl again",
        mentions(&[&users[2]]),
    )
    .await;
    for seq in [seq, kept] {
        node.react(room, users[2].id, seq, "👍", true).await;
        node.pin(room, users[0].id, seq, true).await;
    }
    node.index().await;
    let holding = tables_with(&place, "quetzalcoatl").await;
    assert!(holding.contains("messages"), "{holding:?}");
    let stranger = refused(&node.delete(room, users[2].id, seq).await);
    assert_eq!(stranger, Refused::NotAuthor);
    assert!(changed(&node.delete(room, users[0].id, seq).await));
    assert!(!changed(&node.delete(room, author.id, seq).await));
    assert_eq!(tables_with(&place, "quetzalcoatl").await, BTreeSet::new());
    node.index().await;
    assert_eq!(tables_with(&place, "quetzalcoatl").await, BTreeSet::new());
    for (what, left) in [("reactions", 1), ("mentions", 1), ("pins", 1)] {
        let rows = place
            .numbers(&format!("SELECT seq FROM {what} WHERE room_id = {room}"))
            .await;
        assert_eq!(rows, vec![vec![kept]; left], "{what}");
    }
    let message = node.message(room, seq).await;
    assert!(message.content.is_none() && message.deleted_at.is_some());
    assert!(message.pinned_at.is_none() && message.reactions.is_empty());
    assert_eq!((message.sender.id, message.seq), (author.id, seq));
    for late in [
        node.edit(room, author.id, seq, "Quetzalcoatl", Mentions::default())
            .await,
        node.react(room, author.id, seq, "👍", true).await,
        node.pin(room, users[0].id, seq, true).await,
    ] {
        assert_eq!(refused(&late), Refused::NoMessage);
    }
    assert!(!changed(
        &node.react(room, users[2].id, seq, "👍", false).await
    ));
    assert!(!changed(&node.pin(room, users[0].id, seq, false).await));
    // Its id stays taken.
    let again = node.send_id(room, author, message.id).await;
    assert!(
        matches!(
            again,
            Outcome::Sent {
                duplicate: true,
                ..
            }
        ),
        "{again:?}"
    );
    // The newest message deleted, and with it all of them: a list shows none.
    node.delete(room, author.id, kept).await;
    let last = node.store.room(room, author.id).await.unwrap().unwrap();
    assert!(last.mine.unwrap().last_message.is_none());
    let state = State::told(&node, room);
    state.check_tables(&place, room).await;
    state.check_pages(&node, room).await;
}

/// Emoji that loose collations take for one another; and one that is as long as may be.
pub async fn emoji_are_kept_apart(place: Place) {
    let node = place.node().await;
    let users = node.users(2).await;
    let room = node.room(RoomKind::Public, &users[0], &users[1..]).await;
    let (seq, _) = node.send(room, &users[0]).await;
    let long = "\u{10ffff}".repeat(limits::EMOJI_BYTES_MAX / 4);
    let emoji = [
        "👍", "👎", "e", "é", "e\u{301}", "E", "ß", "ss", "a", "a ", "👍🏽", "ｅ", "'", "\\", "\"",
        "%", "_", "?", &long,
    ];
    for (count, emoji) in (1..).zip(emoji) {
        assert!(
            changed(&node.react(room, users[0].id, seq, emoji, true).await),
            "{emoji:?}"
        );
        assert!(
            !changed(&node.react(room, users[0].id, seq, emoji, true).await),
            "{emoji:?}"
        );
        assert_eq!(node.message(room, seq).await.reactions.len(), count);
    }
    let last = limits::REACTION_KINDS_MAX - emoji.len();
    assert_eq!(last, 1, "one more finds a place");
    assert!(changed(
        &node.react(room, users[0].id, seq, "last", true).await
    ));
    let more = refused(&node.react(room, users[1].id, seq, "more", true).await);
    assert_eq!(more, Refused::TooManyReactions);
    assert!(changed(
        &node.react(room, users[1].id, seq, "👎", true).await
    ));
    let mut own = node
        .store
        .reactions_of(users[1].id, room, &[seq, seq + 1])
        .await
        .unwrap();
    assert_eq!(own.pop(), Some((seq, "👎".to_owned())));
    assert!(own.is_empty());
    for reaction in node.message(room, seq).await.reactions {
        assert_eq!(reaction.count, 1 + u64::from(reaction.emoji == "👎"));
    }
    for emoji in emoji {
        assert!(
            changed(&node.react(room, users[0].id, seq, emoji, false).await),
            "{emoji:?}"
        );
    }
    let left = node.message(room, seq).await.reactions.into_iter();
    let left: BTreeSet<_> = left.map(|reaction| reaction.emoji).collect();
    assert_eq!(left, BTreeSet::from(["👎", "last"].map(String::from)));
    let state = State::told(&node, room);
    state.check_tables(&place, room).await;
    state.check_pages(&node, room).await;
}

/// Where a user stands by what the tables of messages and mentions say: the unread mentions.
async fn check_unread(place: &Place, node: &Node, room: RoomId, user: &UserSummary) -> Vec<Seq> {
    let sql = format!(
        "SELECT DISTINCT seq FROM mentions WHERE room_id = {room} AND user_id IN (0, {user}) AND seq >
             (SELECT last_read_seq FROM room_members WHERE room_id = {room} AND user_id = {user})
         ORDER BY seq",
        user = user.id
    );
    let unread = place.numbers(&sql).await.concat();
    let standings = node.store.standings(user.id, None).await.unwrap();
    let standing = standings
        .iter()
        .find(|standing| standing.room_id == room)
        .unwrap();
    assert_eq!(standing.unread_mentions, unread.len() as u64);
    let newest = &unread[unread.len().saturating_sub(limits::MENTIONED_MAX)..];
    assert_eq!(standing.mentioned, newest, "rising");
    let shown = node
        .store
        .room(room, user.id)
        .await
        .unwrap()
        .unwrap()
        .mine
        .unwrap();
    assert_eq!(
        (shown.unread_mentions, &shown.mentioned[..]),
        (unread.len() as u64, newest)
    );
    let sql = format!(
        "SELECT seq, deleted_at IS NOT NULL FROM messages WHERE room_id = {room} AND seq >
             (SELECT last_read_seq FROM room_members WHERE room_id = {room} AND user_id = {user})
         ORDER BY seq",
        user = user.id
    );
    let above = place.numbers(&sql).await;
    let deleted = above.iter().filter(|row| row[1] == 1).map(|row| row[0]);
    let deleted: Vec<Seq> = deleted.collect();
    let newest = &deleted[deleted.len().saturating_sub(limits::MENTIONED_MAX)..];
    let left = (above.len() - deleted.len()) as u64;
    assert_eq!(standing.deletions, deleted.len() as u64);
    assert_eq!((standing.unread(), &standing.deleted[..]), (left, newest));
    assert_eq!((shown.unread, &shown.deleted[..]), (left, newest));
    unread
}

pub async fn mentions_are_unread_until_read(place: Place) {
    let node = place.node().await;
    let users = node.users(4).await;
    let [owner, ada, bob, stranger] = &users[..] else {
        unreachable!();
    };
    let room = node.room(RoomKind::Public, owner, &users[1..3]).await;
    let other = node.room(RoomKind::Public, owner, &users[1..3]).await;
    node.mention(other, owner, "@ada", mentions(&[ada])).await;
    let unread = async |user| check_unread(&place, &node, room, user).await;

    // 1: ada, bob and who isn't a member; 2: all, named too; 3: oneself; 4: nobody.
    node.mention(room, owner, "1", mentions(&[ada, bob, stranger]))
        .await;
    let both = Mentions {
        all: true,
        ..mentions(&[ada])
    };
    node.mention(room, owner, "2", both).await;
    node.mention(room, owner, "3", mentions(&[owner])).await;
    node.mention(room, owner, "4", Mentions::default()).await;
    assert_eq!(node.message(room, 1).await.mentions, mentions(&[ada, bob]));
    assert!(node.message(room, 2).await.mentions.all);
    assert_eq!(unread(ada).await, [1, 2]);
    assert_eq!(unread(bob).await, [1, 2]);
    assert_eq!(unread(owner).await, [] as [Seq; 0], "sending is reading");

    // Edits: away from ada, to all, and a message that mentioned nobody.
    node.edit(room, owner.id, 1, "1'", mentions(&[bob])).await;
    node.edit(room, owner.id, 4, "4'", mentions(&[ada])).await;
    assert_eq!(unread(ada).await, [2, 4]);
    node.edit(room, owner.id, 4, "4''", everyone()).await;
    assert_eq!(
        (unread(ada).await, unread(bob).await),
        (vec![2, 4], vec![1, 2, 4])
    );
    node.edit(room, owner.id, 2, "2'", mentions(&[bob])).await;
    assert_eq!(
        (unread(ada).await, unread(bob).await),
        (vec![4], vec![1, 2, 4])
    );
    // Below a marker an edit makes nothing unread.
    node.read(room, ada.id, 3).await;
    node.edit(room, owner.id, 3, "3'", mentions(&[ada])).await;
    assert_eq!(unread(ada).await, [4]);
    node.delete(room, owner.id, 4).await;
    assert_eq!((unread(ada).await, unread(bob).await), (vec![], vec![1, 2]));

    // A member who comes back has read all.
    node.leave(room, bob).await;
    assert!(
        node.store
            .standings(bob.id, Some(&[room]))
            .await
            .unwrap()
            .is_empty()
    );
    let away = node
        .mention(room, owner, "@bob", mentions(&[bob, ada]))
        .await;
    assert_eq!(node.message(room, away).await.mentions, mentions(&[ada]));
    node.join(room, bob).await;
    assert_eq!(unread(bob).await, [] as [Seq; 0]);
    node.edit(room, owner.id, away, "@bob again", mentions(&[bob]))
        .await;
    assert_eq!((unread(ada).await, unread(bob).await), (vec![], vec![]));

    // More than are named.
    let many = limits::MENTIONED_MAX as Seq + 7;
    for n in 0..many {
        let named = if n % 2 == 0 {
            everyone()
        } else {
            mentions(&[ada])
        };
        node.mention(room, owner, "@ada", named).await;
    }
    assert_eq!(unread(ada).await.len() as Seq, many);
    assert_eq!(unread(bob).await.len() as Seq, many.div_ceil(2));
    let all = node.store.standings(ada.id, None).await.unwrap();
    let of: Vec<_> = all.iter().map(|s| (s.room_id, s.unread_mentions)).collect();
    assert_eq!(of, [(room, many), (other, 1)], "by room");
    // Nearly all of them are deleted, from both ends, and what is left is read bit by bit.
    let last = node.store.standings(ada.id, Some(&[room])).await.unwrap()[0].last_seq;
    let first = last - many + 1;
    for seq in (first..first + 53).chain((last - 51..=last).rev()) {
        node.delete(room, owner.id, seq).await;
    }
    assert_eq!(unread(ada).await.len() as Seq, many - 105);
    for seq in [first, first + 50, last - 52, last - 50, last] {
        node.read(room, ada.id, seq).await;
        unread(ada).await;
    }
    assert_eq!(unread(ada).await, [] as [Seq; 0]);
    let state = State::told(&node, room);
    state.check_tables(&place, room).await;
    state.check_pages(&node, room).await;
}

/// In large rooms only owner and admins mean all.
pub async fn all_are_mentioned_by_few(place: Place) {
    let node = place.node().await;
    let users = node.users(limits::MENTION_ALL_ROOM_MAX as usize + 1).await;
    let last = users.len() - 1;
    let room = node
        .room(RoomKind::Public, &users[0], &users[1..last])
        .await;
    let means_all = async |seq| node.message(room, seq).await.mentions.all;
    let seq = node.mention(room, &users[1], "@all", everyone()).await;
    assert!(means_all(seq).await);
    node.join(room, &users[last]).await;
    let seq = node.mention(room, &users[1], "@all", everyone()).await;
    assert!(!means_all(seq).await);
    node.edit(room, users[1].id, seq, "@all!", everyone()).await;
    assert!(!means_all(seq).await);
    let seq = node.mention(room, &users[0], "@all", everyone()).await;
    assert!(means_all(seq).await);
    let rows = place
        .numbers(&format!(
            "SELECT user_id FROM mentions WHERE room_id = {room}"
        ))
        .await;
    assert_eq!(rows, [[0], [0]], "a row each, however many are meant");
    let standing = node
        .store
        .standings(users[2].id, None)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(standing.mentioned, [1, 3]);
}

pub async fn pins_by_page(place: Place) {
    let node = place.node().await;
    let users = node.users(2).await;
    let room = node.room(RoomKind::Public, &users[0], &users[1..]).await;
    let direct = node
        .store
        .direct_room(users[0].clone(), users[1].clone())
        .await;
    let direct = direct.unwrap().unwrap().room_id;
    for _ in 0..9 {
        node.send(room, &users[1]).await;
    }
    node.send(direct, &users[0]).await;
    assert_eq!(
        refused(&node.pin(room, users[1].id, 1, true).await),
        Refused::NotAdmin
    );
    assert!(
        changed(&node.pin(direct, users[1].id, 1, true).await),
        "both may"
    );
    for seq in [8, 2, 5, 9] {
        assert!(changed(&node.pin(room, users[0].id, seq, true).await));
        assert!(!changed(&node.pin(room, users[0].id, seq, true).await));
    }
    let page = async |after| {
        let (rev, messages, _) = node.store.pins(room, after, 2).await.unwrap().unwrap();
        assert_eq!(rev, node.head(room).await);
        assert!(messages.iter().all(|message| message.pinned_at.is_some()));
        messages
            .into_iter()
            .map(|message| message.seq)
            .collect::<Vec<_>>()
    };
    assert_eq!((page(0).await, page(5).await), (vec![2, 5], vec![8, 9]));
    assert!(changed(&node.pin(room, users[0].id, 5, false).await));
    assert_eq!(
        (page(0).await, page(8).await, page(9).await),
        (vec![2, 8], vec![9], vec![])
    );
    // An edit leaves the pin, a pin the text.
    node.edit(room, users[1].id, 2, "edited", Mentions::default())
        .await;
    assert_eq!(page(0).await, [2, 8]);
    let row = Row::of(&node.message(room, 2).await);
    assert!(row.pinned_at.is_some() && row.content.as_deref() == Some("edited"));
    assert!(
        node.store
            .pins(RoomId(999_999), 0, 2)
            .await
            .unwrap()
            .is_none()
    );
    for room in [room, direct] {
        let state = State::told(&node, room);
        state.check_tables(&place, room).await;
        state.check_pages(&node, room).await;
    }
}

/// A row that was edited by hand is an error, and the log goes on.
pub async fn a_broken_extra_is_an_error(place: Place) {
    let node = place.node().await;
    let users = node.users(2).await;
    let room = node.room(RoomKind::Public, &users[0], &users[1..]).await;
    for broken in [
        "not JSON",
        "[]",
        r#"{"reactions": -1}"#,
        r#"{"mentions": ["x"]}"#,
        "",
    ] {
        let (seq, _) = node.send(room, &users[0]).await;
        let sql = |extra: &str| {
            format!("UPDATE messages SET extra = '{extra}' WHERE room_id = {room} AND seq = {seq}")
        };
        place.meddle(&sql(broken)).await;
        let is_broken = |error| matches!(error, Some(Error::Broken(_)));
        assert!(
            is_broken(node.store.message(room, seq).await.err()),
            "{broken}"
        );
        assert!(
            is_broken(node.store.changes(room, 0).await.err()),
            "{broken}"
        );
        let react = hearth::store::Change::React {
            room_id: room,
            user_id: users[1].id,
            seq,
            emoji: "👍".into(),
            on: true,
        };
        let sent = async { node.send(room, &users[1]).await.0 };
        let (reacted, sent) = tokio::join!(node.store.append(react), sent);
        assert!(is_broken(reacted.err()), "{broken}");
        assert_eq!(sent, seq + 1, "others go on");
        place.meddle(&sql("{}")).await;
        assert!(changed(
            &node.react(room, users[1].id, seq, "👍", true).await
        ));
    }
    let told = node.told_of(room);
    let reacted = told.iter().filter(|event| match &event.body {
        EventBody::Updated(update) => matches!(update.what, What::Reacted { count: 1, .. }),
        _ => false,
    });
    assert_eq!(reacted.count(), 5);
    State::told(&node, room).check_tables(&place, room).await;
}

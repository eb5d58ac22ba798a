//! Commits without an answer, on MySQL: a proxy drops a COMMIT or its answer.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hearth::{
    protocol::{
        Rev, RoomId,
        rest::{RoomKind, UserSummary},
    },
    store::{Change, Error, EventBody, Location, NewRoom, Outcome, Refused},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use uuid::Uuid;

use crate::node::{Node, Place, refused, send};
use crate::patience::{Moment, PATIENCE, timeout};

/// What happens to a COMMIT.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Passes,
    /// It reaches the server, its answer is lost with the connection.
    AnswerLost,
    /// It is lost with the connection, which ends at both ends.
    Lost,
    /// As `Lost`, but the server doesn't notice: it holds the transaction's locks.
    LostUnnoticed,
    /// It reaches the server; nothing comes back, and the connection stays.
    Silence,
}

/// Counts COMMITs over all connections; `fate` decides each by its number.
struct Proxy {
    port: u16,
    commits: Arc<AtomicU64>,
}

type Decide = Arc<dyn Fn(u64) -> Fate + Send + Sync>;

async fn proxy(server: String, fate: Decide) -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let commits = Arc::new(AtomicU64::new(0));
    let counter = commits.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&server).await.unwrap();
            tokio::spawn(pass(client, server, counter.clone(), fate.clone()));
        }
    });
    Proxy { port, commits }
}

async fn pass(mut client: TcpStream, mut server: TcpStream, commits: Arc<AtomicU64>, fate: Decide) {
    let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(count @ 1..) = read else { return };
                // A COM_QUERY packet that is just this word.
                let commit = up[..count].ends_with(b"\x07\0\0\0\x03COMMIT");
                let fate = if commit {
                    fate(commits.fetch_add(1, Ordering::SeqCst) + 1)
                } else {
                    Fate::Passes
                };
                match fate {
                    Fate::Lost => return,
                    Fate::LostUnnoticed => {
                        drop(client);
                        tokio::time::sleep(Duration::from_secs(600)).await;
                        return;
                    }
                    _ => {}
                }
                if server.write_all(&up[..count]).await.is_err() {
                    return;
                }
                if fate == Fate::AnswerLost {
                    let _ = server.read(&mut down).await;
                    return;
                }
                if fate == Fate::Silence {
                    let _ = server.read(&mut down).await;
                    tokio::time::sleep(Duration::from_secs(60)).await;
                    return;
                }
            }
            read = server.read(&mut down) => {
                let Ok(count @ 1..) = read else { return };
                if client.write_all(&down[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// A node that reaches its database through the proxy.
async fn node(place: &Place, fate: Decide) -> (Node, Proxy) {
    let Location::Mysql(url) = &place.location else {
        unreachable!("these faults are the network's");
    };
    let (before, database) = url.rsplit_once('/').unwrap();
    let (user, server) = before.rsplit_once('@').unwrap();
    let proxy = proxy(server.to_owned(), fate).await;
    let url = format!("{user}@127.0.0.1:{}/{database}", proxy.port);
    let location = Location::Mysql(url);
    (Place { location }.node().await, proxy)
}

/// Everything told continues what was told before, up to the room's head.
async fn check_chain(node: &Node, room: RoomId) {
    let mut at = 0;
    for event in node.told_of(room) {
        assert_eq!(event.prev, at, "room {room} was told with a gap: {event:?}");
        at = event.rev;
    }
    assert_eq!(at, node.head(room).await, "room {room}: all is told");
}

/// Sends until it is stored: how often its outcome was unknown.
async fn send_surely(node: &Node, room: RoomId, sender: &UserSummary) -> (u64, Rev, usize) {
    let id = Uuid::new_v4();
    let mut unknown = 0;
    loop {
        match node.store.append(send(room, sender, id)).await {
            Ok(Outcome::Sent {
                seq,
                rev,
                duplicate,
                ..
            }) => {
                assert!(
                    !duplicate || unknown > 0,
                    "what was not unknown was not stored"
                );
                return (seq, rev, unknown);
            }
            Err(Error::Unknown(_)) => unknown += 1,
            Err(Error::Unavailable(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

pub async fn unknown_commits_are_told_and_never_doubled(place: Place) {
    // The first commits are those of the beginning.
    let fate = |n: u64| match n {
        0..80 => Fate::Passes,
        n if n % 17 == 0 => Fate::AnswerLost,
        n if n % 23 == 0 => Fate::Lost,
        150 => Fate::LostUnnoticed,
        _ => Fate::Passes,
    };
    let (node, proxy) = node(&place, Arc::new(fate)).await;
    let node = Arc::new(node);
    let users = node.users(9).await;
    let mut rooms = Vec::new();
    for _ in 0..3 {
        rooms.push(node.room(RoomKind::Public, &users[0], &users[1..8]).await);
    }
    let mut tasks = JoinSet::new();
    for user in &users[..8] {
        let (node, rooms, user) = (node.clone(), rooms.clone(), user.clone());
        tasks.spawn(async move {
            let mut acks = Vec::new();
            for n in 0..60 {
                let room = rooms[n % 3];
                let (seq, _, unknown) = send_surely(&node, room, &user).await;
                acks.push((room, seq, unknown));
            }
            acks
        });
    }
    let (guest, of_guest, room) = (users[8].clone(), node.clone(), rooms[0]);
    let coming_and_going = tokio::spawn(async move {
        for _ in 0..40 {
            let user = guest.clone();
            let _ = of_guest
                .store
                .append(Change::Join {
                    room_id: room,
                    user,
                })
                .await;
            let user = guest.clone();
            let _ = of_guest
                .store
                .append(Change::Leave {
                    room_id: room,
                    user,
                    heir: None,
                })
                .await;
        }
    });
    let (owner, of_owner) = (users[0].clone(), node.clone());
    let beginnings = tokio::spawn(async move {
        for n in 0..20 {
            let room = NewRoom {
                kind: RoomKind::Public,
                name: format!("room {n}"),
                topic: String::new(),
                owner: owner.clone(),
                members: Vec::new(),
            };
            match of_owner.store.create_room(room).await {
                Ok(made) => drop(made.unwrap()),
                Err(Error::Unknown(_) | Error::Unavailable(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    });
    let in_time = timeout(PATIENCE, tasks.join_all());
    let acks = in_time
        .await
        .expect("a lost transaction's locks are ended")
        .concat();
    coming_and_going.await.unwrap();
    beginnings.await.unwrap();
    let unknown: usize = acks.iter().map(|(.., unknown)| unknown).sum();
    let commits = proxy.commits.load(Ordering::SeqCst);
    assert!(
        unknown > 5,
        "{unknown} unknown outcomes in {commits} commits"
    );
    let mut of_room: HashMap<RoomId, Vec<u64>> = HashMap::new();
    for (room, seq, _) in acks {
        of_room.entry(room).or_default().push(seq);
    }
    for room in &rooms {
        let seqs = of_room.get_mut(room).unwrap();
        seqs.sort_unstable();
        assert!(
            seqs.iter().copied().eq(1..=160),
            "each message is there once"
        );
        node.check_room(*room).await;
    }
    // A beginning whose commit was lost may be told a little later.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let all: Vec<RoomId> = (1..40).map(RoomId).collect();
    for (room, ..) in node.store.heads(&all).await.unwrap() {
        check_chain(&node, room).await;
    }
    node.store.close().await;
}

pub async fn an_end_with_a_lost_answer_is_told(place: Place) {
    for fate in [Fate::AnswerLost, Fate::Lost] {
        let armed = Arc::new(AtomicU64::new(0));
        let arm = armed.clone();
        let decide = move |n: u64| match arm.load(Ordering::SeqCst) {
            at if at == n => fate,
            _ => Fate::Passes,
        };
        let (node, proxy) = node(&place, Arc::new(decide)).await;
        let user = node.user().await;
        let room = node.room(RoomKind::Public, &user, &[]).await;
        let (seq, _) = node.send(room, &user).await;
        armed.store(proxy.commits.load(Ordering::SeqCst) + 1, Ordering::SeqCst);
        let end = Change::DeleteRoom {
            room_id: room,
            by: user.id,
        };
        let answer = node.store.append(end).await;
        assert!(matches!(answer, Err(Error::Unknown(_))), "{answer:?}");
        // The next change is decided only after the lost commit was looked up and told.
        let (outcome, expected) = match fate {
            Fate::AnswerLost => (node.read(room, user.id, seq).await, Refused::NoRoom),
            _ => (node.leave(room, &user).await, Refused::NoHeir),
        };
        assert_eq!(refused(&outcome), expected);
        let told = node.told_of(room);
        let ended = matches!(told.last().unwrap().body, EventBody::Deleted { .. });
        assert_eq!(ended, fate == Fate::AnswerLost);
        check_chain(&node, room).await;
        node.store.close().await;
    }
}

pub async fn silence_is_unknown_and_heals(place: Place) {
    let armed = Arc::new(AtomicU64::new(0));
    let arm = armed.clone();
    let fate = move |n: u64| match arm.load(Ordering::SeqCst) {
        at if at == n => Fate::Silence,
        _ => Fate::Passes,
    };
    let (node, proxy) = node(&place, Arc::new(fate)).await;
    let user = node.user().await;
    let room = node.room(RoomKind::Public, &user, &[]).await;
    node.send(room, &user).await;
    armed.store(proxy.commits.load(Ordering::SeqCst) + 1, Ordering::SeqCst);
    let id = Uuid::new_v4();
    let began = Moment::now();
    let answer = node.store.append(send(room, &user, id)).await;
    assert!(matches!(answer, Err(Error::Unknown(_))), "{answer:?}");
    assert!(
        began.quiet_elapsed() < Duration::from_secs(6),
        "said before the asker's deadline"
    );
    let again = node.send_id(room, &user, id).await;
    assert!(
        matches!(
            again,
            Outcome::Sent {
                seq: 2,
                duplicate: true,
                ..
            }
        ),
        "{again:?}"
    );
    assert_eq!(node.send(room, &user).await.0, 3);
    check_chain(&node, room).await;
    node.store.close().await;
}

pub async fn a_database_that_is_away_is_unavailable(place: Place) {
    let armed = Arc::new(AtomicU64::new(u64::MAX));
    let arm = armed.clone();
    let fate = move |n: u64| {
        if arm.load(Ordering::SeqCst) <= n {
            Fate::Lost
        } else {
            Fate::Passes
        }
    };
    let (node, proxy) = node(&place, Arc::new(fate)).await;
    let user = node.user().await;
    let room = node.room(RoomKind::Public, &user, &[]).await;
    armed.store(proxy.commits.load(Ordering::SeqCst) + 1, Ordering::SeqCst);
    let ids = [Uuid::new_v4(), Uuid::new_v4()];
    let first = node.store.append(send(room, &user, ids[0])).await;
    assert!(matches!(first, Err(Error::Unknown(_))), "{first:?}");
    // While the outcome can't be read, nothing else is begun.
    let second = node.store.append(send(room, &user, ids[1])).await;
    assert!(matches!(second, Err(Error::Unavailable(_))), "{second:?}");
    armed.store(u64::MAX, Ordering::SeqCst);
    for (n, id) in (1..).zip(ids) {
        let outcome = loop {
            match node.store.append(send(room, &user, id)).await {
                Ok(outcome) => break outcome,
                Err(Error::Unavailable(_)) => {}
                other => panic!("{other:?}"),
            }
        };
        assert!(matches!(outcome, Outcome::Sent { seq, duplicate: false, .. } if seq == n));
    }
    check_chain(&node, room).await;
    node.store.close().await;
}

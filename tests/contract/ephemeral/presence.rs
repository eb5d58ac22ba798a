//! Presence as it is pushed: who comes online and who goes.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::support::{Account, Db, Moment, PATIENCE, Server, Socket, each_database, token::SECRET};

const INTERVAL: Duration = Duration::from_secs(2);
const GRACE: Duration = Duration::from_secs(5);

/// A socket that returns ephemeral frames, too.
pub async fn connect(account: &Account) -> Socket {
    hearing(account, "/ws").await
}

async fn hearing(account: &Account, path: &str) -> Socket {
    let mut socket = account.open(path).await;
    socket.ephemeral = true;
    socket.ready = socket.expect("ready").await;
    socket
}

fn ids(list: &Value) -> BTreeSet<u64> {
    let list = list.as_array().unwrap().iter();
    list.map(|id| id.as_u64().unwrap()).collect()
}

fn of(accounts: &[&Account]) -> BTreeSet<u64> {
    accounts.iter().map(|account| account.id).collect()
}

async fn close(mut socket: Socket) {
    socket.wire.close(None).await.unwrap();
    while socket.wire.next().await.is_some() {}
}

/// The next news, as online and offline.
async fn news(socket: &mut Socket) -> (BTreeSet<u64>, BTreeSet<u64>) {
    let frame = socket.expect("presence").await;
    assert_eq!(frame.as_object().unwrap().len(), 3, "{frame}");
    (ids(&frame["online"]), ids(&frame["offline"]))
}

/// Hears news until these have come and gone, and nobody else.
async fn hear(socket: &mut Socket, came: &[&Account], went: &[&Account]) {
    let (mut online, mut offline) = (BTreeSet::new(), BTreeSet::new());
    while (&online, &offline) != (&of(came), &of(went)) {
        let (came_now, went_now) = news(socket).await;
        online.extend(came_now);
        offline.extend(went_now);
        assert!(online.is_subset(&of(came)), "{online:?}");
        assert!(offline.is_subset(&of(went)), "{offline:?}");
    }
}

async fn direct(one: &Account, other: &Account) -> u64 {
    let body = json!({"user_id": other.id});
    let (status, room) = one.post("/api/chat/direct", body).await;
    assert_eq!(status, 201, "{room}");
    room["id"].as_u64().unwrap()
}

async fn add(by: &Account, room: u64, user_id: u64) {
    let path = format!("/api/chat/rooms/{room}/members");
    let (status, member) = by.post(&path, json!({"user_id": user_id})).await;
    assert_eq!(status, 201, "{member}");
}

/// Waits until the server has told a witness of something that happened after all that matters.
async fn after_all(by: &Account, witness: &mut Socket, with: &Account) -> Vec<Value> {
    let room = direct(by, with).await;
    let mut passed = Vec::new();
    loop {
        let frame = witness.frame().await;
        if frame["type"] == "added" && frame["room"]["id"] == room {
            return passed;
        }
        passed.push(frame);
    }
}

/// With two connections, a grace, and a return within it.
async fn coming_and_going_is_told_once(db: Db) {
    let server = Server::start(db).await;
    let [ada, bob] = [server.register("ada").await, server.register("bob").await];
    ada.create_room("hall", &[&bob]).await;
    let mut witness = connect(&ada).await;
    assert_eq!(ids(&witness.ready["online"]), of(&[&ada]));
    assert_eq!(witness.ready["online_truncated"], false);
    let first = connect(&bob).await;
    assert_eq!(ids(&first.ready["online"]), of(&[&ada, &bob]));
    assert_eq!(news(&mut witness).await, (of(&[&bob]), of(&[])));
    let second = connect(&bob).await;
    close(first).await;
    close(second).await;
    // Back within the grace, and gone again: told once, a grace after the last end.
    let third = connect(&bob).await;
    let ended = Instant::now();
    close(third).await;
    assert_eq!(news(&mut witness).await, (of(&[]), of(&[&bob])));
    assert!(ended.elapsed() >= GRACE, "{:?}", ended.elapsed());
    assert_eq!(witness.fence().await, [] as [Value; 0]);
    let _back = connect(&bob).await;
    assert_eq!(news(&mut witness).await, (of(&[&bob]), of(&[])));
}

/// Only direct rooms and small rooms that are shared now show anybody; a room socket shows its room.
async fn only_those_are_seen_with_whom_one_shares_a_room(db: Db) {
    let server = Server::start(db).await;
    let mut people = Vec::new();
    for name in ["ada", "bob", "carol", "dave", "stranger"] {
        people.push(server.register(name).await);
    }
    let [ada, bob, carol, dave, stranger] = &people[..] else {
        unreachable!()
    };
    let hall = ada.create_room("hall", &[bob, carol]).await;
    let attic = ada.create_room("attic", &[dave]).await;
    direct(ada, carol).await;
    let mut all = connect(ada).await;
    let mut one = hearing(ada, &format!("/ws/{attic}")).await;
    let mut outsider = connect(stranger).await;
    for socket in [&all, &one] {
        assert_eq!(ids(&socket.ready["online"]), of(&[ada]));
    }
    assert_eq!(ids(&outsider.ready["online"]), of(&[stranger]));
    // By a room socket one is online everywhere.
    let in_hall = hearing(bob, &format!("/ws/{hall}")).await;
    assert_eq!(ids(&in_hall.ready["online"]), of(&[ada, bob]));
    hear(&mut all, &[bob], &[]).await;
    let mut daves = connect(dave).await;
    assert_eq!(ids(&daves.ready["online"]), of(&[ada, dave]));
    for socket in [&mut all, &mut one] {
        hear(socket, &[dave], &[]).await;
    }
    // Whoever comes into a room is told who is there, and those are told of the newcomer.
    add(ada, hall, dave.id).await;
    hear(&mut daves, &[ada, bob], &[]).await;
    let mut carols = connect(carol).await;
    let everybody = of(&[ada, bob, carol, dave]);
    assert_eq!(ids(&carols.ready["online"]), everybody);
    // Dave is named to those in the hall once more.
    hear(&mut all, &[carol, dave], &[]).await;
    hear(&mut daves, &[carol], &[]).await;
    // In the hall no more, but in the direct room still.
    let leave = format!("/api/chat/rooms/{hall}/leave");
    assert_eq!(carol.act(&leave).await.0, 204);
    close(in_hall).await;
    hear(&mut all, &[], &[bob]).await;
    hear(&mut daves, &[], &[bob]).await;
    let end = carols.expect("removed").await;
    assert_eq!(end["room_id"], hall);
    close(all).await;
    close(one).await;
    hear(&mut carols, &[], &[ada]).await;
    hear(&mut daves, &[], &[ada]).await;
    let passed = after_all(ada, &mut outsider, stranger).await;
    assert_eq!(passed, [] as [Value; 0], "a stranger hears of nobody");
    assert_eq!(carols.fence().await, [] as [Value; 0]);
}

each_database!(
    coming_and_going_is_told_once,
    only_those_are_seen_with_whom_one_shares_a_room,
);

async fn crowd(server: &Server, size: usize) -> Vec<Account> {
    stream::iter(0..size)
        .map(|number| async move { server.register(&format!("guest{number}")).await })
        .buffer_unordered(16)
        .collect()
        .await
}

/// All at once.
async fn connect_all(accounts: &[Account]) -> Vec<Socket> {
    stream::iter(accounts)
        .map(Account::connect)
        .buffer_unordered(64)
        .collect()
        .await
}

/// A user who shares two small rooms with 270 people is told of all of them, by few frames of few ids.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_come_at_once_are_told_by_few_frames() {
    let server = Server::start(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let guests = crowd(&server, 270).await;
    for half in guests.chunks(135) {
        let (first, rest) = half.split_at(100);
        let room = ada
            .create_room("hall", &first.iter().collect::<Vec<_>>())
            .await;
        for guest in rest {
            add(&ada, room, guest.id).await;
        }
    }
    let mut witness = connect(&ada).await;
    let start = Moment::now();
    let coming = tokio::spawn(async move { (connect_all(&guests).await, guests) });
    let (mut online, mut frames) = (BTreeSet::new(), 0);
    while online.len() < 270 {
        // Requests in between make nothing come earlier.
        for frame in witness.fence().await {
            let (came, went) = (ids(&frame["online"]), ids(&frame["offline"]));
            assert!(came.len() + went.len() <= 200 && went.is_empty(), "{frame}");
            let before = online.len();
            online.extend(came.iter().copied());
            assert_eq!(online.len(), before + came.len(), "each once");
            frames += 1;
            let most = start.elapsed().as_secs_f64() / INTERVAL.as_secs_f64() + 1.0;
            assert!(
                f64::from(frames) <= most,
                "{frames} frames in {:?}",
                start.elapsed()
            );
        }
        assert!(start.quiet_elapsed() < PATIENCE, "{} of 270", online.len());
    }
    let (sockets, guests) = coming.await.unwrap();
    assert_eq!(online, guests.iter().map(|guest| guest.id).collect());
    let seen = ids(&sockets.last().unwrap().ready["online"]);
    assert!(seen.len() <= 136 && seen.contains(&ada.id));
    let (status, page) = ada.get("/api/users/online?limit=200").await;
    assert_eq!(
        (status, page["items"].as_array().unwrap().len()),
        (200, 200)
    );
}

/// A room above the bound shows nobody and tells nothing, from the moment that it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_room_tells_nothing() {
    let server = Server::start(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let guests = crowd(&server, 199).await;
    let (first, rest) = guests.split_at(100);
    let room = ada
        .create_room("hall", &first.iter().collect::<Vec<_>>())
        .await;
    for guest in rest {
        add(&ada, room, guest.id).await;
    }
    let mut witness = connect(&ada).await;
    let _early = connect(&guests[0]).await;
    let expected = (of(&[&guests[0]]), of(&[]));
    assert_eq!(
        news(&mut witness).await,
        expected,
        "of 200 members it is told"
    );
    add(&ada, room, bob.id).await;
    let late = connect_all(&guests[1..60]).await;
    let bobs = connect(&bob).await;
    for socket in late.iter().chain([&bobs]) {
        assert_eq!(ids(&socket.ready["online"]).len(), 1, "himself alone");
    }
    // The news of a small room would come after any of the large one's.
    direct(&ada, &bob).await;
    let expected = (of(&[&bob]), of(&[]));
    assert_eq!(news(&mut witness).await, expected);
    let (status, page) = ada.get("/api/users/online?limit=200").await;
    assert_eq!((status, page["items"].as_array().unwrap().len()), (200, 62));
}

/// A thousand people of a room of 10,000 come online at once, and are pushed to nobody of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_of_ten_thousand_come_unheard() {
    let mut server = Server::start_with(Db::Sqlite, &[("HEARTH_JWT_SECRET", SECRET)]).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let carol = server.register("carol").await;
    let room = ada.create_room("hall", &[&bob, &carol]).await;
    let guests = server.populate(room, &ada, 9_997, 1_000).await;
    let (_, shown) = ada.get(&format!("/api/chat/rooms/{room}")).await;
    assert_eq!(shown["member_count"], 10_000);
    let held = json!({ room.to_string(): shown["rev"] });
    let sync = json!({"type": "sync", "ref": 1, "rooms": held});
    let mut listeners = Vec::new();
    for account in [&ada, &bob, &carol] {
        let mut socket = connect(account).await;
        socket.send(sync.clone()).await;
        socket.expect("synced").await;
        listeners.push(socket);
    }
    let start = Instant::now();
    let mut sockets = connect_all(&guests).await;
    println!("{} came within {:?}", sockets.len(), start.elapsed());
    for socket in &mut sockets {
        socket.send(sync.clone()).await;
    }
    for socket in &mut sockets {
        assert_eq!(ids(&socket.ready["online"]).len(), 1, "himself alone");
        socket.expect("synced").await;
    }
    let (_, page) = ada.get("/api/users/online?limit=200").await;
    assert!(page["next"].is_string(), "they are online: {page}");
    // The news of a small room comes after all that the large one might have told, and it alone comes.
    direct(&ada, &bob).await;
    let mut frames = Vec::new();
    while frames
        .last()
        .is_none_or(|frame: &Value| frame["type"] != "presence")
    {
        frames.push(listeners[0].frame().await);
    }
    let told = frames.pop().unwrap();
    assert_eq!(
        (ids(&told["online"]), ids(&told["offline"])),
        (of(&[&bob]), of(&[]))
    );
    let path = format!("/api/chat/rooms/{room}/messages");
    assert_eq!(
        guests[0]
            .post(&path, json!({"content": "we are here"}))
            .await
            .0,
        201
    );
    // A user who shares no small room with anybody is told of nobody's presence: the next frame is a message in the large room.
    let last = &mut listeners[2];
    let frame = last.frame().await;
    assert_eq!(frame["type"], "message", "{frame}");
}

//! The room's task, by itself.

use futures_util::poll;
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::{
    hub::mailbox::Mailbox,
    limits::{ROOM_QUEUE_BYTES_MAX, ROOM_QUEUE_MAX},
    protocol::{Rev, RoomId, UserId, rest::UserSummary},
    store::{Event, MemberEvent},
};

async fn connected() -> (Arc<Mailbox>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap());
    let client = client.await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let mailbox = Mailbox::new(stream, Wire::WebSocket);
    mailbox.writable().await;
    (Arc::new(mailbox), client)
}

fn hub() -> Arc<Hub> {
    Hub::new(|_, _| 0)
}

fn subscriber(mailbox: &Arc<Mailbox>, at: Rev) -> Subscriber {
    Subscriber {
        mailbox: mailbox.clone(),
        user_id: UserId(1),
        at,
        verified: at,
    }
}

fn event(rev: Rev) -> Event {
    Event {
        room_id: RoomId(1),
        prev: rev - 1,
        rev,
        body: EventBody::Member(MemberEvent {
            user: UserSummary {
                id: UserId(2),
                username: "bob".into(),
                full_name: None,
            },
            role: None,
            joined_rev: 1,
            by: None,
            at: None,
            member_count: 1,
        }),
    }
}

/// Its members are closed with a code that invites a reconnect, the panic is counted, and the room can live again.
#[tokio::test]
async fn a_room_that_panics_closes_its_members_and_can_live_again() {
    let (mailbox, _client) = connected().await;
    let hub = hub();
    let lease = hub.lease(RoomId(1), &mailbox);
    let attached = lease.attach(subscriber(&mailbox, 7), Bytes::new()).await;
    assert_eq!(attached.unwrap(), Attached::Live);
    lease.handle.commands.send(Command::Panic).await.unwrap();
    lease.handle.commands.closed().await;
    assert_eq!(mailbox.backlog().close, Some(Close::RoomFailed));
    let attached = lease.attach(subscriber(&mailbox, 7), Bytes::new()).await;
    assert!(attached.is_err());

    while hub.rooms.contains_key(&RoomId(1)) {
        tokio::task::yield_now().await;
    }
    let lease = hub.lease(RoomId(1), &mailbox);
    let attached = lease.attach(subscriber(&mailbox, 7), Bytes::new()).await;
    assert_eq!(attached.unwrap(), Attached::Live);
    // And it ends when nobody subscribes any more.
    drop(lease);
    while hub.rooms.contains_key(&RoomId(1)) {
        tokio::task::yield_now().await;
    }
}

/// A connection whose session ends while its join waits in a room's queue hears nothing of the room.
#[tokio::test]
async fn who_waits_in_a_rooms_queue_hears_nothing_after_the_close() {
    let (mailbox, mut client) = connected().await;
    let (other, _) = connected().await;
    let hub = hub();
    let lease = hub.lease(RoomId(1), &mailbox);
    let others = hub.lease(RoomId(1), &other);
    let attached = others.attach(subscriber(&other, 0), Bytes::new()).await;
    assert_eq!(attached.unwrap(), Attached::Live);
    // The room's task runs when this one waits.
    lease.handle.publish(event(1));
    let greeting = Bytes::from_static(b"greeting");
    let mut attaching = Box::pin(lease.attach(subscriber(&mailbox, 0), greeting));
    assert!(poll!(attaching.as_mut()).is_pending());
    lease.handle.publish(event(2));
    mailbox.close(Close::Revoked);
    attaching.await.unwrap();
    lease.detach().await.unwrap();
    mailbox.last_word(Bytes::from_static(b"last word"));
    let mut read = [0; 9];
    client.read_exact(&mut read).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&read), "last word");
}

/// While a room's task is stuck, what waits for it takes bounded memory. Of the rest it learns that it exists.
#[tokio::test]
async fn what_waits_for_a_stuck_room_is_bounded() {
    for length in [8, 400, 4_000, 48_000, 2 * ROOM_QUEUE_BYTES_MAX] {
        let members: Arc<[UserId]> = vec![UserId(2); length / size_of::<UserId>()].into();
        let long = |rev| {
            let members = members.clone();
            let body = EventBody::Deleted { members };
            Event { body, ..event(rev) }
        };
        let (mailbox, _client) = connected().await;
        let hub = hub();
        let lease = hub.lease(RoomId(1), &mailbox);
        let handle = &lease.handle;
        // Its task runs when this one waits.
        let last = 5_000;
        (1..=last).for_each(|rev| handle.publish(long(rev)));
        let (one, held) = (
            long(1).bytes(),
            handle.waiting_bytes.load(Ordering::Acquire),
        );
        assert!(
            one >= length && held <= ROOM_QUEUE_BYTES_MAX.max(one),
            "{length}: {held}"
        );
        let places = (ROOM_QUEUE_BYTES_MAX / one).clamp(1, ROOM_QUEUE_MAX);
        let looks = usize::from(places < ROOM_QUEUE_MAX);
        let waiting = ROOM_QUEUE_MAX - handle.commands.capacity();
        assert_eq!((held / one, waiting), (places, places + looks), "{length}");
        assert_eq!(handle.head.load(Ordering::Acquire), last);
        while handle.waiting_bytes.load(Ordering::Acquire) > 0 {
            tokio::task::yield_now().await;
        }
    }
}

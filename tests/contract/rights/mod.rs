//! Who may do what (PROTOCOL.md section 7.8), as one table of actions, roles and kinds of rooms. REST answers as the table
//! says, and so does the socket where it has a frame for the action.

mod references;
mod routes;

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::support::{Account, Db, Server, Socket, each_database, uuid};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    Owner,
    Admin,
    Member,
    ExMember,
    Stranger,
    /// A stranger to the room: being an admin of the site gives no right in it.
    SiteAdmin,
}

const ROLES: [Role; 6] = [
    Role::Owner,
    Role::Admin,
    Role::Member,
    Role::ExMember,
    Role::Stranger,
    Role::SiteAdmin,
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Public,
    Private,
    Direct,
    Archived,
    ArchivedPrivate,
    Deleted,
}

const KINDS: [Kind; 6] = [
    Kind::Public,
    Kind::Private,
    Kind::Direct,
    Kind::Archived,
    Kind::ArchivedPrivate,
    Kind::Deleted,
];

/// What a user may try. "Own" and "others'" refer to a message's author.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Action {
    See,
    Join,
    Leave,
    ListMembers,
    ReadHistory,
    ReadPins,
    ReadReactions,
    Send,
    Reply,
    EditOwn,
    EditOthers,
    DeleteOwn,
    DeleteOthers,
    React,
    Unreact,
    Pin,
    Unpin,
    Mark,
    Notify,
    Invite,
    RemoveMember,
    RemoveAdmin,
    RemoveOwner,
    SetRole,
    HandOver,
    Rename,
    SetTopic,
    Archive,
    Unarchive,
    DeleteRoom,
}

use Action::*;

const ACTIONS: [Action; 30] = [
    See,
    Join,
    Leave,
    ListMembers,
    ReadHistory,
    ReadPins,
    ReadReactions,
    Send,
    Reply,
    EditOwn,
    EditOthers,
    DeleteOwn,
    DeleteOthers,
    React,
    Unreact,
    Pin,
    Unpin,
    Mark,
    Notify,
    Invite,
    RemoveMember,
    RemoveAdmin,
    RemoveOwner,
    SetRole,
    HandOver,
    Rename,
    SetTopic,
    Archive,
    Unarchive,
    DeleteRoom,
];

/// The table.
fn expected(action: Action, role: Role, kind: Kind) -> &'static str {
    let inside = matches!(role, Role::Owner | Role::Admin | Role::Member);
    let rules = matches!(role, Role::Owner | Role::Admin);
    let may = |may: bool| if may { "ok" } else { "forbidden" };
    match kind {
        Kind::Deleted => return "not_found",
        Kind::Private | Kind::Direct | Kind::ArchivedPrivate if !inside => return "not_found",
        Kind::Archived if !inside => return may(action == See),
        Kind::Public if !inside => return may(matches!(action, See | Join)),
        Kind::Archived | Kind::ArchivedPrivate => {
            let open = match action {
                See | ListMembers | ReadHistory | ReadPins | ReadReactions | Mark | Notify => true,
                // In it already.
                Join => true,
                Leave => true,
                RemoveOwner => role == Role::Owner,
                // It is already: who may, hears so.
                Archive | Unarchive => rules,
                _ => false,
            };
            return may(open);
        }
        Kind::Direct => {
            let closed = matches!(
                action,
                Leave
                    | Invite
                    | RemoveMember
                    | RemoveAdmin
                    | RemoveOwner
                    | SetRole
                    | HandOver
                    | Rename
                    | SetTopic
                    | Archive
                    | Unarchive
                    | DeleteRoom
                    | EditOthers
                    | DeleteOthers
            );
            return may(!closed);
        }
        Kind::Public | Kind::Private => {}
    }
    match action {
        See | Join | Leave | ListMembers | ReadHistory | ReadPins | ReadReactions | Send
        | Reply | EditOwn | DeleteOwn | React | Unreact | Mark | Notify | Invite => "ok",
        EditOthers => "forbidden",
        DeleteOthers | Pin | Unpin | RemoveMember | Rename | SetTopic | Archive | Unarchive => {
            may(rules)
        }
        RemoveAdmin => may(role == Role::Owner),
        // Oneself: as leaving, for there is an admin.
        RemoveOwner => may(role == Role::Owner),
        SetRole | HandOver | DeleteRoom => may(role == Role::Owner),
    }
}

struct Setup {
    server: Server,
    owner: Account,
    admin: Account,
    member: Account,
    former: Account,
    stranger: Account,
    site_admin: Account,
    /// A member and an admin to be removed, and a user to be invited.
    victim: Account,
    rival: Account,
    guest: Account,
    next: AtomicU64,
}

/// One room of a kind, and who acts in it.
struct Scene {
    room: u64,
    actor: Account,
    /// A user who sees the room whatever happens to the actor.
    witness: Account,
}

impl Setup {
    async fn start(db: Db) -> Self {
        let server = Server::start(db).await;
        let site_admin = server.admin("root").await;
        assert_eq!(site_admin.get("/api/me").await.1["role"], "admin");
        Self {
            site_admin,
            owner: server.register("owner").await,
            admin: server.register("admin").await,
            member: server.register("member").await,
            former: server.register("former").await,
            stranger: server.register("stranger").await,
            victim: server.register("victim").await,
            rival: server.register("rival").await,
            guest: server.register("guest").await,
            next: AtomicU64::new(1),
            server,
        }
    }

    fn actor(&self, role: Role) -> &Account {
        match role {
            Role::Owner => &self.owner,
            Role::Admin => &self.admin,
            Role::Member => &self.member,
            Role::ExMember => &self.former,
            Role::Stranger => &self.stranger,
            Role::SiteAdmin => &self.site_admin,
        }
    }

    /// The messages 1 to 5 are the owner's, the admin's, the member's, the former member's, the owner's;
    /// the last is pinned, and all have reacted to it. In a direct room all but the third are the other's.
    async fn scene(&self, role: Role, kind: Kind) -> Scene {
        if kind == Kind::Direct {
            return self.direct(role).await;
        }
        let (owner, admin) = (&self.owner, &self.admin);
        let secret = matches!(kind, Kind::Private | Kind::ArchivedPrivate);
        let people = [admin, &self.member, &self.former, &self.victim, &self.rival];
        let members: Vec<u64> = people.iter().map(|account| account.id).collect();
        let kind_of = if secret { "private" } else { "public" };
        let body = json!({"name": "room", "kind": kind_of, "members": members});
        let made = done(owner.post("/api/chat/rooms", body).await);
        let room = made["id"].as_u64().unwrap();
        let path = format!("/api/chat/rooms/{room}");
        for account in [admin, &self.rival] {
            let (path, body) = (
                format!("{path}/members/{}", account.id),
                json!({"role": "admin"}),
            );
            done(owner.request("PATCH", &path, Some(&body)).await);
        }
        for author in [owner, admin, &self.member, &self.former, owner] {
            done(
                author
                    .post(&format!("{path}/messages"), json!({"content": "text"}))
                    .await,
            );
        }
        self.decorate(&path, &[owner, admin, &self.member, &self.former])
            .await;
        done(
            owner
                .delete(&format!("{path}/members/{}", self.former.id))
                .await,
        );
        if matches!(kind, Kind::Archived | Kind::ArchivedPrivate) {
            done(
                owner
                    .request("PATCH", &path, Some(&json!({"archived": true})))
                    .await,
            );
        }
        if kind == Kind::Deleted {
            done(owner.delete(&path).await);
        }
        Scene {
            room,
            actor: self.actor(role).clone(),
            witness: self.victim.clone(),
        }
    }

    async fn direct(&self, role: Role) -> Scene {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let peer = self.server.register(&format!("peer{number}")).await;
        let made = done(
            peer.post("/api/chat/direct", json!({"user_id": self.member.id}))
                .await,
        );
        let room = made["id"].as_u64().unwrap();
        let path = format!("/api/chat/rooms/{room}");
        for author in [&peer, &peer, &self.member, &peer, &peer] {
            done(
                author
                    .post(&format!("{path}/messages"), json!({"content": "text"}))
                    .await,
            );
        }
        self.decorate(&path, &[&peer, &self.member]).await;
        Scene {
            room,
            actor: self.actor(role).clone(),
            witness: peer,
        }
    }

    async fn decorate(&self, path: &str, people: &[&Account]) {
        for account in people {
            let path = format!("{path}/messages/5/reactions/%F0%9F%8E%89");
            done(account.request("PUT", &path, None).await);
        }
        done(
            people[0]
                .request("PUT", &format!("{path}/messages/5/pin"), None)
                .await,
        );
    }

    /// Method, path below the room, body.
    fn by_rest(&self, action: Action, role: Role) -> (&'static str, String, Option<Value>) {
        let member = |account: &Account| format!("/members/{}", account.id);
        let message = |seq: u64| format!("/messages/{seq}");
        match action {
            See => ("GET", String::new(), None),
            Join => ("POST", "/join".into(), None),
            Leave => ("POST", "/leave".into(), None),
            ListMembers => ("GET", "/members".into(), None),
            ReadHistory => ("GET", "/messages".into(), None),
            ReadPins => ("GET", "/pins".into(), None),
            ReadReactions => ("GET", "/messages/5/reactions".into(), None),
            Send => ("POST", "/messages".into(), Some(json!({"content": "x"}))),
            Reply => {
                let body = json!({"content": "x", "reply_to": 1});
                ("POST", "/messages".into(), Some(body))
            }
            EditOwn => ("PATCH", message(own(role)), Some(json!({"content": "x"}))),
            EditOthers => (
                "PATCH",
                message(others(role)),
                Some(json!({"content": "x"})),
            ),
            DeleteOwn => ("DELETE", message(own(role)), None),
            DeleteOthers => ("DELETE", message(others(role)), None),
            React => ("PUT", "/messages/1/reactions/%F0%9F%91%8D".into(), None),
            Unreact => ("DELETE", "/messages/5/reactions/%F0%9F%8E%89".into(), None),
            Pin => ("PUT", "/messages/1/pin".into(), None),
            Unpin => ("DELETE", "/messages/5/pin".into(), None),
            Mark => ("POST", "/read".into(), Some(json!({"seq": 5}))),
            Notify => ("PATCH", "/me".into(), Some(json!({"notify": "none"}))),
            Invite => (
                "POST",
                "/members".into(),
                Some(json!({"user_id": self.guest.id})),
            ),
            RemoveMember => ("DELETE", member(&self.victim), None),
            RemoveAdmin => ("DELETE", member(&self.rival), None),
            RemoveOwner => ("DELETE", member(&self.owner), None),
            SetRole => (
                "PATCH",
                member(&self.victim),
                Some(json!({"role": "admin"})),
            ),
            HandOver => ("PATCH", member(&self.rival), Some(json!({"role": "owner"}))),
            Rename => ("PATCH", String::new(), Some(json!({"name": "new"}))),
            SetTopic => ("PATCH", String::new(), Some(json!({"topic": "new"}))),
            Archive => ("PATCH", String::new(), Some(json!({"archived": true}))),
            Unarchive => ("PATCH", String::new(), Some(json!({"archived": false}))),
            DeleteRoom => ("DELETE", String::new(), None),
        }
    }

    async fn rest(&self, action: Action, role: Role, scene: &Scene) -> String {
        let (method, path, body) = self.by_rest(action, role);
        let path = format!("/api/chat/rooms/{}{path}", scene.room);
        let (status, answer) = scene.actor.request(method, &path, body.as_ref()).await;
        let code = answer["code"].as_str().unwrap_or("ok");
        let class = match code {
            "ok" => 2,
            _ => 4,
        };
        assert_eq!(status / 100, class, "{method} {path}: {answer}");
        code.to_owned()
    }
}

/// The room's message that is the actor's, and one that isn't.
fn own(role: Role) -> u64 {
    match role {
        Role::Owner | Role::Stranger | Role::SiteAdmin => 1,
        Role::Admin => 2,
        Role::Member => 3,
        Role::ExMember => 4,
    }
}

fn others(role: Role) -> u64 {
    if role == Role::Owner { 3 } else { 1 }
}

/// The frame for it, where there is one.
fn frame(action: Action, role: Role, room: u64) -> Option<Value> {
    let frame = match action {
        Send => json!({"type": "message", "id": uuid(), "content": "x"}),
        Reply => json!({"type": "message", "id": uuid(), "content": "x", "reply_to": 1}),
        EditOwn => json!({"type": "edit", "seq": own(role), "content": "x"}),
        EditOthers => json!({"type": "edit", "seq": others(role), "content": "x"}),
        DeleteOwn => json!({"type": "delete", "seq": own(role)}),
        DeleteOthers => json!({"type": "delete", "seq": others(role)}),
        React => json!({"type": "react", "seq": 1, "emoji": "👍", "on": true}),
        Unreact => json!({"type": "react", "seq": 5, "emoji": "🎉", "on": false}),
        Mark => json!({"type": "read", "seq": 5}),
        _ => return None,
    };
    let mut frame = frame;
    frame["room_id"] = room.into();
    Some(frame)
}

fn done((status, answer): (u16, Value)) -> Value {
    assert!(matches!(status, 200 | 201 | 204), "{status}: {answer}");
    answer
}

async fn by_socket(
    action: Action,
    role: Role,
    scene: &Scene,
    socket: &mut Socket,
) -> Option<String> {
    let frame = frame(action, role, scene.room)?;
    let answer = socket.ask(frame).await;
    Some(match answer["type"].as_str().unwrap() {
        "ack" => "ok".into(),
        "error" => answer["code"].as_str().unwrap().into(),
        other => panic!("{other} is no answer: {answer}"),
    })
}

async fn rev(scene: &Scene) -> u64 {
    let path = format!("/api/chat/rooms/{}", scene.room);
    let (_, room) = scene.witness.get(&path).await;
    room["rev"].as_u64().unwrap_or_default()
}

async fn who_may_do_what(db: Db) {
    let setup = &Setup::start(db).await;
    let mut cells = Vec::new();
    for kind in KINDS {
        for role in ROLES {
            // A direct room has but members.
            let outside = matches!(role, Role::Stranger | Role::SiteAdmin);
            if kind != Kind::Direct || role == Role::Member || outside {
                cells.push((kind, role));
            }
        }
    }
    let faults = stream::iter(cells).map(|(kind, role)| async move {
        let mut faults = Vec::new();
        let mut scene = setup.scene(role, kind).await;
        let mut socket = scene.actor.connect().await;
        for action in ACTIONS {
            let expected = expected(action, role, kind);
            let before = rev(&scene).await;
            let rest = setup.rest(action, role, &scene).await;
            if rev(&scene).await != before {
                if rest != "ok" {
                    faults.push(format!(
                        "{action:?} by {role:?} in {kind:?}: refused, and done"
                    ));
                }
                scene = setup.scene(role, kind).await;
            }
            let before = rev(&scene).await;
            let answered = by_socket(action, role, &scene, &mut socket).await;
            if rev(&scene).await != before {
                scene = setup.scene(role, kind).await;
            }
            for (way, code) in [("REST", Some(rest)), ("the socket", answered)] {
                if let Some(code) = code
                    && code != expected
                {
                    faults.push(format!(
                        "{action:?} by {role:?} in {kind:?}: {way} says {code}, not {expected}"
                    ));
                }
            }
        }
        faults
    });
    let faults: Vec<Vec<String>> = faults.buffer_unordered(4).collect().await;
    let faults = faults.concat();
    assert!(faults.is_empty(), "{faults:#?}");
}

each_database!(who_may_do_what);

//! What is said of each route, in the order of the route table. A test compares the two.

use super::operation::{Content, Operation, delete, get, patch, post, put};
use crate::protocol::rest::{
    AddMemberBody, CreateInviteBody, CreateRoomBody, DeleteMeBody, DirectBody, EditBody, Found,
    Info, Invite, InviteMade, List, LogIn, LoginBody, Member, Message, PasswordBody, PatchMeBody,
    PatchMemberBody, PatchMineBody, PatchRoomBody, PatchUserBody, ReactionOf, ReadAnswer, ReadBody,
    RefreshBody, RegisterBody, ResetBody, Room, SendBody, Status, Tokens, User, UserSummary,
};

const HTML: Content = Content::Other("text/html");

/// All operations, by what they are about.
#[rustfmt::skip]
pub fn operations() -> Vec<(&'static str, Vec<Operation>)> {
    vec![
        ("accounts", vec![
            get("/api/info", "What this server is, and its limits").open().ok::<Info>(),
            post("/api/register", "Register, and log in").open()
                .takes::<RegisterBody>().created::<Tokens>().refuses(&[403, 409]),
            post("/api/login", "Log in").open()
                .takes::<LoginBody>().or_form().ok::<Tokens>().refuses(&[401]),
            post("/api/refresh", "Exchange a refresh token, of the body or of the cookie").open()
                .takes::<RefreshBody>().ok::<Tokens>().refuses(&[401, 403]),
            post("/api/logout", "End this log-in").no_content(),
            post("/api/logout/all", "End all of my log-ins").no_content(),
            post("/api/password/reset", "Set a new password by the code of a link").open()
                .takes::<ResetBody>().no_content(),
            get("/api/me", "Who I am").ok::<User>(),
            patch("/api/me", "Change my full name or e-mail").takes::<PatchMeBody>().ok::<User>().refuses(&[409]),
            delete("/api/me", "Delete my account").takes::<DeleteMeBody>().no_content().refuses(&[403]),
            post("/api/me/password", "Set a new password; my other log-ins end").takes::<PasswordBody>().no_content(),
            get("/api/me/sessions", "My log-ins, the last used first").ok::<List<LogIn>>(),
            delete("/api/me/sessions/{session}", "End one of my log-ins").no_content(),
            get("/api/users", "Users, by the beginning of one of their names or by ids").ok::<List<UserSummary>>(),
            get("/api/users/online", "The same, of those who are online").ok::<List<UserSummary>>(),
            get("/api/users/{user}", "A user").ok::<User>(),
            patch("/api/users/{user}", "Disable a user, or change his role on the site; for site admins")
                .takes::<PatchUserBody>().ok::<User>(),
            get("/api/invites", "My invites that can still be used; a site admin's: all").ok::<List<Invite>>(),
            post("/api/invites", "Invite people, perhaps into a room; its link is shown once")
                .takes::<CreateInviteBody>().created::<InviteMade>().refuses(&[403, 404]),
            delete("/api/invites/{invite}", "Revoke an invite").no_content(),
        ]),
        ("rooms", vec![
            get("/api/chat/rooms", "Rooms that I am in, or may join").ok::<List<Room>>(),
            post("/api/chat/rooms", "Make a room; its maker is the owner")
                .takes::<CreateRoomBody>().created::<Room>().refuses(&[403]),
            get("/api/chat/rooms/{room}", "A room").ok::<Room>(),
            patch("/api/chat/rooms/{room}", "Rename it, change its topic, archive it")
                .takes::<PatchRoomBody>().ok::<Room>(),
            delete("/api/chat/rooms/{room}", "Delete it").no_content(),
            patch("/api/chat/rooms/{room}/me", "What I want to be told of")
                .takes::<PatchMineBody>().ok::<Room>(),
            post("/api/chat/rooms/{room}/join", "Join a public room").ok::<Room>(),
            post("/api/chat/rooms/{room}/leave", "Leave a room").no_content(),
            get("/api/chat/rooms/{room}/members", "Its members, by the beginning of one of their names").ok::<List<Member>>(),
            post("/api/chat/rooms/{room}/members", "Add somebody, by `user_id` or by `username`; 200: he is a member already")
                .takes::<AddMemberBody>().created::<Member>().ok::<Member>(),
            patch("/api/chat/rooms/{room}/members/{user}", "Change a member's role")
                .takes::<PatchMemberBody>().ok::<Member>(),
            delete("/api/chat/rooms/{room}/members/{user}", "Remove a member; oneself: leave").no_content(),
            post("/api/chat/direct", "The room with one other, or with oneself; 200: it is there already")
                .takes::<DirectBody>().created::<Room>().ok::<Room>().refuses(&[403]),
        ]),
        ("messages", vec![
            get("/api/chat/rooms/{room}/pins", "Messages that are pinned, by rising `seq`").ok::<List<Message>>(),
            get("/api/chat/rooms/{room}/messages", "Messages by rising `seq`: the newest, or one of `before`, `after` and `around`")
                .ok::<List<Message>>(),
            post("/api/chat/rooms/{room}/messages", "Send a message; 200: its `id` was sent before")
                .takes::<SendBody>().created::<Message>().ok::<Message>(),
            patch("/api/chat/rooms/{room}/messages/{seq}", "Edit a message of mine")
                .takes::<EditBody>().ok::<Message>(),
            delete("/api/chat/rooms/{room}/messages/{seq}", "Delete a message; what is left of it").ok::<Message>(),
            get("/api/chat/rooms/{room}/messages/{seq}/reactions", "Who reacted, and with what").ok::<List<ReactionOf>>(),
            put("/api/chat/rooms/{room}/messages/{seq}/reactions/{emoji}", "React").ok::<Message>(),
            delete("/api/chat/rooms/{room}/messages/{seq}/reactions/{emoji}", "Take a reaction back").ok::<Message>(),
            put("/api/chat/rooms/{room}/messages/{seq}/pin", "Pin a message").ok::<Message>(),
            delete("/api/chat/rooms/{room}/messages/{seq}/pin", "Unpin a message").ok::<Message>(),
            post("/api/chat/rooms/{room}/read", "Mark all up to `seq` as read")
                .takes::<ReadBody>().ok::<ReadAnswer>(),
            get("/api/chat/search", "Messages in my rooms in which all of it stands, the newest first")
                .ok::<List<Found>>().refuses(&[404, 429]),
        ]),
        ("socket", vec![
            get("/ws", "A WebSocket for all of my rooms; its frames: `/api/protocol.json`").socket(),
            get("/ws/{room}", "A WebSocket for one room").socket(),
            get("/ws/rooms/{room}", "The same").socket(),
        ]),
        ("server", vec![
            get("/api/openapi.json", "This document").open().answers(200, Content::Other("application/json")),
            get("/api/protocol.json", "The JSON Schema of the socket's frames").open()
                .answers(200, Content::Other("application/schema+json")),
            get("/api/docs", "This document in Swagger UI").open().answers(200, HTML),
            get("/api/redoc", "This document in ReDoc").open().answers(200, HTML),
            get("/healthz", "Whether the process lives").open().ok::<Status>(),
            get("/readyz", "Whether its database answers").open().ok::<Status>(),
        ]),
    ]
}

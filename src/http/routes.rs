//! The table of all routes: method, path, handler, and what the API's documents say of it.

use std::sync::LazyLock;

use http::Method;
use serde_json::Value;

use super::{
    docs::openapi,
    handlers::{accounts, docs, invites, messages, rooms, search, server, sessions, socket},
    request::Call,
    response::HandlerResult,
    route::{Content, Route, delete, get, patch, post, put, unlisted},
};
use crate::protocol::rest::{
    AddMemberBody, CreateInviteBody, CreateRoomBody, DeleteMeBody, DirectBody, EditBody, FoundList,
    Info, Invite, InviteMade, List, LoginBody, Member, Message, PasswordBody, PatchMeBody,
    PatchMemberBody, PatchMineBody, PatchRoomBody, PatchUserBody, ReactionOf, ReadAnswer, ReadBody,
    RefreshBody, RegisterBody, ResetBody, Room, SendBody, Session, Status, Tokens, User,
    UserSummary,
};

const HTML: Content = Content::Other("text/html");

/// All routes, by what they are about.
pub static TABLE: LazyLock<[(&str, Vec<Route>); 5]> = LazyLock::new(|| {
    [
        ("accounts", accounts()),
        ("rooms", rooms()),
        ("messages", messages()),
        ("socket", sockets()),
        ("server", server()),
    ]
});

/// The OpenAPI document of the table.
pub fn document() -> Value {
    openapi::document(&*TABLE)
}

/// `/api/openapi.json`. It is here because the document describes the whole table, this route included.
async fn openapi_json(_: Call) -> HandlerResult {
    docs::openapi(document)
}

#[rustfmt::skip]
fn accounts() -> Vec<Route> {
    vec![
        get("/api/info", server::info, "The server's version, mode of registration and limits").open().ok::<Info>(),
        post("/api/register", accounts::register, "Register and log in").open()
            .takes::<RegisterBody>().created::<Tokens>().refuses(&[403, 409]),
        post("/api/login", accounts::login, "Log in").open()
            .takes::<LoginBody>().or_form().ok::<Tokens>().refuses(&[401]),
        post("/api/refresh", sessions::refresh, "Exchange a refresh token, from the body or from the cookie").open()
            .takes::<RefreshBody>().ok::<Tokens>().refuses(&[401, 403]),
        post("/api/logout", sessions::log_out, "End this session").no_content(),
        post("/api/logout/all", sessions::log_out_everywhere, "End all of my sessions").no_content(),
        post("/api/password/reset", accounts::reset_password, "Set a new password by the code of a link").open()
            .takes::<ResetBody>().no_content(),
        get("/api/me", accounts::me, "My account").ok::<User>(),
        patch("/api/me", accounts::patch_me, "Change my full name or e-mail address")
            .takes::<PatchMeBody>().ok::<User>().refuses(&[409]),
        delete("/api/me", accounts::delete_me, "Delete my account").takes::<DeleteMeBody>().no_content().refuses(&[403]),
        post("/api/me/password", sessions::change_password, "Set a new password; my other sessions end")
            .takes::<PasswordBody>().no_content(),
        get("/api/me/sessions", sessions::list, "My sessions, the most recently used first").ok::<List<Session>>(),
        delete("/api/me/sessions/{session}", sessions::end, "End one of my sessions").no_content(),
        get("/api/users", accounts::list, "Users, by the beginning of one of their names or by ids")
            .query(&["q", "ids", "cursor", "limit"]).ok::<List<UserSummary>>(),
        get("/api/users/online", accounts::online, "The same, limited to users who are online")
            .query(&["q", "ids", "cursor", "limit"]).ok::<List<UserSummary>>(),
        get("/api/users/{user}", accounts::show, "A user").ok::<User>(),
        patch("/api/users/{user}", accounts::patch, "Disable a user, or change their role on the site; for site admins")
            .takes::<PatchUserBody>().ok::<User>(),
        get("/api/invites", invites::list, "My invites that can still be used; for site admins: all")
            .query(&["cursor", "limit"]).ok::<List<Invite>>(),
        post("/api/invites", invites::create, "Create an invite, perhaps into a room; its link is shown once")
            .takes::<CreateInviteBody>().created::<InviteMade>().refuses(&[403, 404]),
        delete("/api/invites/{invite}", invites::delete, "Revoke an invite").no_content(),
    ]
}

#[rustfmt::skip]
fn rooms() -> Vec<Route> {
    vec![
        get("/api/chat/rooms", rooms::list, "Rooms that I am a member of, or may join")
            .query(&["scope", "q", "cursor", "limit"]).ok::<List<Room>>(),
        post("/api/chat/rooms", rooms::create, "Create a room and own it")
            .takes::<CreateRoomBody>().created::<Room>().refuses(&[403]),
        get("/api/chat/rooms/{room}", rooms::show, "A room").ok::<Room>(),
        patch("/api/chat/rooms/{room}", rooms::patch, "Rename a room, change its topic, archive it")
            .takes::<PatchRoomBody>().ok::<Room>(),
        delete("/api/chat/rooms/{room}", rooms::delete, "Delete a room").no_content(),
        patch("/api/chat/rooms/{room}/me", rooms::patch_mine, "Change what I am notified of in a room")
            .takes::<PatchMineBody>().ok::<Room>(),
        post("/api/chat/rooms/{room}/join", rooms::join, "Join a public room").ok::<Room>(),
        post("/api/chat/rooms/{room}/leave", rooms::leave, "Leave a room").no_content(),
        get("/api/chat/rooms/{room}/members", rooms::members, "A room's members, by the beginning of one of their names")
            .query(&["q", "cursor", "limit"]).ok::<List<Member>>(),
        post("/api/chat/rooms/{room}/members", rooms::add_member, "Add a user, by `user_id` or by `username`; 200: the user is a member already")
            .takes::<AddMemberBody>().created::<Member>().ok::<Member>(),
        patch("/api/chat/rooms/{room}/members/{user}", rooms::patch_member, "Change a member's role")
            .takes::<PatchMemberBody>().ok::<Member>(),
        delete("/api/chat/rooms/{room}/members/{user}", rooms::remove_member, "Remove a member; for oneself, as leaving").no_content(),
        post("/api/chat/direct", rooms::direct, "The direct room with a user, or with oneself; 200: it exists already")
            .takes::<DirectBody>().created::<Room>().ok::<Room>().refuses(&[403]),
    ]
}

#[rustfmt::skip]
fn messages() -> Vec<Route> {
    vec![
        get("/api/chat/rooms/{room}/pins", messages::pins, "Pinned messages, by rising `seq`")
            .query(&["cursor", "limit"]).ok::<List<Message>>(),
        get("/api/chat/rooms/{room}/messages", messages::list, "Messages by rising `seq`: the newest, or one of `before`, `after` and `around`")
            .query(&["before", "after", "around", "limit"]).ok::<List<Message>>(),
        post("/api/chat/rooms/{room}/messages", messages::post, "Send a message; 200: its `id` was sent before")
            .takes::<SendBody>().created::<Message>().ok::<Message>(),
        patch("/api/chat/rooms/{room}/messages/{seq}", messages::edit, "Edit a message of mine")
            .takes::<EditBody>().ok::<Message>(),
        delete("/api/chat/rooms/{room}/messages/{seq}", messages::delete, "Delete a message; answers what is left of it").ok::<Message>(),
        get("/api/chat/rooms/{room}/messages/{seq}/reactions", messages::reactions, "Who reacted, and with what")
            .query(&["cursor", "limit"]).ok::<List<ReactionOf>>(),
        put("/api/chat/rooms/{room}/messages/{seq}/reactions/{emoji}", messages::react, "React to a message").ok::<Message>(),
        delete("/api/chat/rooms/{room}/messages/{seq}/reactions/{emoji}", messages::unreact, "Remove a reaction of mine").ok::<Message>(),
        put("/api/chat/rooms/{room}/messages/{seq}/pin", messages::pin, "Pin a message").ok::<Message>(),
        delete("/api/chat/rooms/{room}/messages/{seq}/pin", messages::unpin, "Unpin a message").ok::<Message>(),
        post("/api/chat/rooms/{room}/read", messages::read, "Mark all messages up to `seq` as read")
            .takes::<ReadBody>().ok::<ReadAnswer>(),
        get("/api/chat/search", search::search, "Messages in my rooms that contain all of the query, the newest first; then those with words near it")
            .query(&["q", "room_id", "from", "since", "until", "near", "cursor", "limit"]).ok::<FoundList>().refuses(&[404, 429]),
    ]
}

#[rustfmt::skip]
fn sockets() -> Vec<Route> {
    vec![
        get("/ws", socket::all_rooms, "A WebSocket for all of my rooms; its frames: `/api/protocol.json`").socket(),
        get("/ws/{room}", socket::one_room, "A WebSocket for one room").socket(),
        get("/ws/rooms/{room}", socket::one_room, "The same").socket(),
    ]
}

#[rustfmt::skip]
fn server() -> Vec<Route> {
    vec![
        get("/api/openapi.json", openapi_json, "This document").open().answers(200, Content::Other("application/json")),
        get("/api/protocol.json", docs::protocol, "The JSON Schema of the socket's frames").open()
            .answers(200, Content::Other("application/schema+json")),
        get("/api/docs", docs::swagger_ui, "This document in Swagger UI").open().answers(200, HTML),
        unlisted(Method::GET, "/api/docs/docs.js", docs::asset),
        unlisted(Method::GET, "/api/docs/docs.css", docs::asset),
        unlisted(Method::GET, "/api/docs/swagger-ui-bundle.js", docs::asset),
        unlisted(Method::GET, "/api/docs/swagger-ui.css", docs::asset),
        get("/api/redoc", docs::redoc, "This document in ReDoc").open().answers(200, HTML),
        unlisted(Method::GET, "/api/redoc/redoc.standalone.js", docs::asset),
        get("/healthz", server::healthz, "Whether the process is alive").open().ok::<Status>(),
        get("/readyz", server::readyz, "Whether the server can answer requests").open().ok::<Status>(),
    ]
}

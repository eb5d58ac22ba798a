//! Those of a [`super::Crowd`] who change memberships and make rooms over REST, each trying again until he
//! knows what became of it.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::time::sleep;

use super::{Account, crowd::Shared, truth::number};

/// Acknowledgements between two changes of one membership, and between two new rooms.
const BETWEEN_CHANGES: u64 = 50;
const BETWEEN_ROOMS: u64 = 400;

/// One membership that is begun and ended in turn.
pub struct Toggle {
    pub by: Account,
    pub user_id: u64,
    pub by_himself: bool,
    pub room_id: u64,
}

impl Toggle {
    pub async fn run(self, shared: Arc<Shared>) {
        let mut present = false;
        let between = rand::random_range(BETWEEN_CHANGES..4 * BETWEEN_CHANGES);
        while shared.goes_on(between).await {
            self.change(!present).await;
            present = !present;
            shared.changed(self.room_id);
        }
    }

    /// Tries until the answer says that it is so; a repetition may find it done already.
    async fn change(&self, present: bool) {
        let members = format!("/api/chat/rooms/{}/members", self.room_id);
        let member = format!("{members}/{}", self.user_id);
        let user = json!({"user_id": self.user_id});
        let (method, path, body) = match (self.by_himself, present) {
            (true, true) => (
                "POST",
                format!("/api/chat/rooms/{}/join", self.room_id),
                None,
            ),
            (true, false) => (
                "POST",
                format!("/api/chat/rooms/{}/leave", self.room_id),
                None,
            ),
            (false, true) => ("POST", members, Some(&user)),
            (false, false) => ("DELETE", member, None),
        };
        let mut tried = false;
        loop {
            let answer = self.by.try_request(method, &path, body).await;
            match answer {
                Ok((200 | 201 | 204, _)) if !tried => return,
                Ok((200 | 201 | 204 | 403 | 404, _)) if tried => return,
                Ok((503, _)) | Err(_) => tried = true,
                Ok((status, problem)) => panic!("{method} {path}: {status} {problem}"),
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Makes rooms now and then. A making that is not answered is not repeated: the room may be there.
pub async fn make_rooms(owner: Account, members: Vec<Account>, shared: Arc<Shared>) {
    let ids: Vec<u64> = members.iter().map(|member| member.id).collect();
    let mut rooms = 0;
    while shared.goes_on(BETWEEN_ROOMS).await {
        rooms += 1;
        let kind = ["public", "private"][rooms % 2];
        let body = json!({"name": format!("made {rooms}"), "kind": kind, "members": ids});
        match owner
            .try_request("POST", "/api/chat/rooms", Some(&body))
            .await
        {
            Ok((201, room)) => {
                let made = ids.len() as u64 + 2;
                shared
                    .made
                    .lock()
                    .unwrap()
                    .insert(number(&room, "id"), made);
                shared.changes.send_modify(|changes| *changes += 1);
            }
            Ok((503, _)) | Err(_) => {}
            Ok((status, problem)) => panic!("a room can't be made: {status} {problem}"),
        }
    }
}

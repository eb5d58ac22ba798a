//! Who is online: the hub knows the ids, `chat` the names.

use super::gateway::Gateway;
use crate::{
    chat::PageOf,
    limits::{LIST_ITEMS_MAX, ONLINE_MAX},
    protocol::{
        UserId,
        error::Refusal,
        fold::{name_forms, sought_name},
        rest::{List, UserSummary},
    },
};

impl Gateway {
    /// Users who are online and one of whose names begins with `query` ([`sought_name`]), by rising id. A page is looked
    /// for among at most [`ONLINE_MAX`] users: it may be short, or empty, though others follow it.
    pub async fn users_online(
        &self,
        query: &str,
        at: PageOf,
    ) -> Result<List<UserSummary>, Refusal> {
        let prefix = sought_name(query);
        let mut page = List {
            items: Vec::new(),
            next: None,
            rev: None,
        };
        let (mut after, mut left) = (UserId(at.after), ONLINE_MAX);
        loop {
            let ids = self.hub.online_after(after, LIST_ITEMS_MAX.min(left));
            let Some(last) = ids.last() else {
                return Ok(page);
            };
            (after, left) = (*last, left - ids.len());
            let users = self.chat.users_by_ids(&ids).await?.items.into_iter();
            page.items.extend(users.filter(|user| {
                let forms = name_forms(&user.username, user.full_name.as_deref());
                forms.iter().any(|form| form.starts_with(&prefix))
            }));
            if page.items.len() > at.limit {
                page.items.truncate(at.limit);
                page.next = page.items.last().map(|user| user.id.to_string());
                return Ok(page);
            }
            if left == 0 {
                page.next = Some(after.to_string());
                return Ok(page);
            }
        }
    }

    /// Which of these users are online.
    pub async fn online_of(&self, mut ids: Vec<UserId>) -> Result<List<UserSummary>, Refusal> {
        ids.retain(|user_id| self.hub.is_online(*user_id));
        self.chat.users_by_ids(&ids).await
    }
}

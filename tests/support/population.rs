//! A room of many members, written directly to the database: registering 10,000 people would take minutes.

use ring::hmac::HMAC_SHA256;
use serde_json::json;

use super::{
    Account, Server,
    token::{self, SECRET},
};

impl Server {
    /// Gives a room that was just made, of `owner` and its first members, `count` more members, named
    /// `guest00000` and so on; the first `logged_in` of them have a session. The server is stopped
    /// meanwhile, and has to have been started with [`SECRET`].
    pub async fn populate(
        &mut self,
        room: u64,
        owner: &Account,
        count: u64,
        logged_in: u64,
    ) -> Vec<Account> {
        let (_, shown) = owner.get(&format!("/api/chat/rooms/{room}")).await;
        let rev = shown["rev"].as_u64().unwrap();
        let (header, claims) = token::open(&owner.token);
        self.stop().await;
        let first = 1_000_000;
        let (mut users, mut names) = (Vec::new(), Vec::new());
        let (mut members, mut sessions) = (Vec::new(), Vec::new());
        for n in 0..count {
            let (id, name) = (first + n, format!("guest{n:05}"));
            users.push(format!(
                "({id}, '{name}', '{name}', '{name}@example.org', '{name}@example.org', 'person', 'user', 1, 1, 1)"
            ));
            names.push(format!("('{name}', {id})"));
            let its = rev + 1 + n;
            members.push(format!("({room}, {id}, 'member', 1, 0, {its}, 0, {its})"));
            if n < logged_in {
                // The hash of no token at all; an id's digits are hex.
                sessions.push(format!(
                    "({id}, {id}, X'{id:08}', '', 1, 1, 99999999999999)"
                ));
            }
        }
        for (into, rows) in [
            (
                "users (id, username, username_key, email, email_key, kind, role, is_active, created_at, updated_at)",
                users,
            ),
            ("user_names (name, user_id)", names),
            (
                "room_members (room_id, user_id, role, joined_at, joined_seq, joined_rev, last_read_seq, rev)",
                members,
            ),
            (
                "auth_sessions (id, user_id, refresh_hash, user_agent, created_at, last_used_at, expires_at)",
                sessions,
            ),
        ] {
            if !rows.is_empty() {
                let rows = rows.join(", ");
                self.sql(&format!("INSERT INTO {into} VALUES {rows}")).await;
            }
        }
        self.sql(&format!(
            "UPDATE rooms SET rev = rev + {count}, member_count = member_count + {count} WHERE id = {room}"
        ))
        .await;
        self.restart().await;
        let account = |n| {
            let mut account = owner.clone();
            account.id = first + n;
            account.name = format!("guest{n:05}");
            let mut claims = claims.clone();
            claims["sub"] = json!(account.id.to_string());
            claims["sid"] = json!(account.id);
            account.token = token::sign(HMAC_SHA256, &header, &claims, SECRET);
            account
        };
        (0..logged_in).map(account).collect()
    }

    /// Makes `count` more rooms like this one, with its members, messages and mentions, and nothing left to be
    /// indexed. The server is stopped meanwhile.
    pub async fn multiply(&mut self, room: u64, count: u64) {
        self.stop().await;
        let digits = (0..10).map(|digit| format!("SELECT {digit} AS d"));
        let digits = digits.collect::<Vec<_>>().join(" UNION ALL ");
        let copies = format!(
            "(SELECT {room} + 1 + a.d + 10 * b.d + 100 * c.d AS copy FROM ({digits}) a, ({digits}) b, ({digits}) c) copies"
        );
        for (table, id, columns) in [
            (
                "rooms",
                "id",
                "kind, name, name_key, topic, created_by, created_at, last_seq, shown_seq, deleted_seq, rev, settings_rev, \
                 member_count",
            ),
            (
                "room_members",
                "room_id",
                "user_id, role, joined_at, joined_seq, joined_rev, last_read_seq, rev",
            ),
            (
                "messages",
                "room_id",
                "seq, rev, id, sender_id, kind, content, extra, created_at",
            ),
            ("mentions", "room_id", "user_id, seq"),
        ] {
            self.sql(&format!(
                "INSERT INTO {table} ({id}, {columns}) SELECT copy, {columns} FROM {table}, {copies}
                 WHERE {id} = {room} AND copy <= {room} + {count}"
            ))
            .await;
        }
        self.restart().await;
    }
}

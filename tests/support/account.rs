//! A person with a valid token, and what they do over REST.

use std::{net::SocketAddr, time::Duration};

use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use super::{PATIENCE, Socket, timeout};

/// A person with a valid token.
#[derive(Clone)]
pub struct Account {
    pub id: u64,
    pub name: String,
    pub token: String,
    /// The session's, as it was given; empty where it came as a cookie.
    pub refresh_token: String,
    pub(super) address: SocketAddr,
    pub(super) http: reqwest::Client,
}

impl Account {
    pub async fn try_request(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> reqwest::Result<(u16, Value)> {
        request(
            &self.http,
            self.address,
            method,
            path,
            Some(&self.token),
            body,
        )
        .await
    }

    pub async fn request(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        self.try_request(method, path, body)
            .await
            .expect("the server answers")
    }

    /// Asks as clients do: what is answered 503 is asked again. The first other answer, for which it has patience.
    pub async fn served(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let asking = async {
            loop {
                let answer = self.request(method, path, body).await;
                if answer.0 != 503 {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let served = timeout(PATIENCE, asking).await;
        served.unwrap_or_else(|_| panic!("{method} {path} is answered 503 for ever"))
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.request("GET", path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.request("POST", path, Some(&body)).await
    }

    pub async fn delete(&self, path: &str) -> (u16, Value) {
        self.request("DELETE", path, None).await
    }

    /// A POST without a body, as joining and leaving are.
    pub async fn act(&self, path: &str) -> (u16, Value) {
        self.request("POST", path, None).await
    }

    /// Posts `count` messages concurrently: `text 1` … in no certain order.
    pub async fn post_many(&self, room_id: u64, count: u64) {
        let path = format!("/api/chat/rooms/{room_id}/messages");
        stream::iter(1..=count)
            .map(|number| {
                let (path, body) = (path.as_str(), json!({"content": format!("text {number}")}));
                async move {
                    let (status, message) = self.post(path, body).await;
                    (status == 201).then_some(()).ok_or(message)
                }
            })
            .buffer_unordered(32)
            .try_collect::<()>()
            .await
            .unwrap();
    }

    /// A public room with these members; its id.
    pub async fn create_room(&self, name: &str, members: &[&Account]) -> u64 {
        let members: Vec<u64> = members.iter().map(|member| member.id).collect();
        let body = json!({"name": name, "kind": "public", "members": members});
        let (status, room) = self.post("/api/chat/rooms", body).await;
        assert_eq!(status, 201, "{room}");
        room["id"].as_u64().unwrap()
    }

    /// A socket for all rooms, its `ready` read.
    pub async fn connect(&self) -> Socket {
        let mut socket = self.open("/ws").await;
        socket.ready = socket.expect("ready").await;
        socket
    }

    /// A socket at this path, with the token in the query.
    pub async fn open(&self, path: &str) -> Socket {
        self.try_open(path).await.expect("the server upgrades")
    }

    /// As [`Account::open`], of a server that may not be there.
    pub async fn try_open(
        &self,
        path: &str,
    ) -> Result<Socket, tokio_tungstenite::tungstenite::Error> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let url = format!("ws://{}{path}{separator}token={}", self.address, self.token);
        Socket::try_open(&url).await
    }
}

/// One request: its status and its JSON (`null` for an empty body).
pub(super) async fn request(
    http: &reqwest::Client,
    address: SocketAddr,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Option<&Value>,
) -> reqwest::Result<(u16, Value)> {
    let method = method.parse().unwrap();
    let mut request = http.request(method, format!("http://{address}{path}"));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    let answer = async {
        let response = request.send().await?;
        Ok((response.status().as_u16(), response.text().await?))
    };
    let (status, text) = timeout(PATIENCE, answer)
        .await
        .unwrap_or_else(|_| panic!("no answer to {path} in time"))?;
    let body = if text.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&text).expect(&text)
    };
    Ok((status, body))
}

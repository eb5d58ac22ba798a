//! A server process on a port of its own.

use std::{
    net::SocketAddr,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::Arc,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::{Account, Db, Moment, PATIENCE, account::request, database::Schema, log::Log, timeout};

/// A running server. Dropping it kills the process and removes its data.
pub struct Server {
    child: Option<Child>,
    address: SocketAddr,
    settings: Vec<(String, String)>,
    log: Arc<Log>,
    http: reqwest::Client,
    dir: Arc<TempDir>,
    /// Dropped with the server.
    _schema: Option<Schema>,
}

/// Settings that make tests quick: limits by user are off, passwords are hashed lightly. The metrics can be read.
fn quick() -> Vec<(String, String)> {
    [
        ("HEARTH_RATE_LIMITS", "off"),
        ("HEARTH_ARGON2", "m=64,t=1,p=1"),
        ("HEARTH_LOG_FORMAT", "json"),
        ("HEARTH_LISTEN_METRICS", "127.0.0.1:0"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

impl Server {
    /// A fresh server on a fresh database.
    pub async fn start(db: Db) -> Self {
        Self::start_with(db, &[]).await
    }

    /// As [`Server::start`], with more settings; they win over the quick ones.
    pub async fn start_with(db: Db, settings: &[(&str, &str)]) -> Self {
        let schema = match db {
            Db::Sqlite => None,
            Db::MariaDb => Some(Schema::create().await),
        };
        let url = schema.as_ref().map(|schema| schema.url.clone());
        Self::start_on(url, schema, settings).await
    }

    /// On the MariaDB at this URL (with a database's name), which the test looks after.
    pub async fn start_on_url(url: &str, settings: &[(&str, &str)]) -> Self {
        Self::start_on(Some(url.to_owned()), None, settings).await
    }

    async fn start_on(
        url: Option<String>,
        schema: Option<Schema>,
        settings: &[(&str, &str)],
    ) -> Self {
        let mut all = quick();
        all.extend(url.map(|url| ("HEARTH_DATABASE_URL".to_owned(), url)));
        all.extend(
            settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let mut server = Self {
            child: None,
            address: "127.0.0.1:0".parse().unwrap(),
            settings: all,
            log: Arc::default(),
            http: reqwest::Client::new(),
            dir: Arc::new(TempDir::new().unwrap()),
            _schema: schema,
        };
        server.restart().await;
        server
    }

    /// The server's own directory: it runs there and keeps its data in `data`.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Another address that the process listens on in its present life, by its name in the line of log that tells of
    /// them: `listen.tcp`, `listen.metrics`.
    pub fn listens(&self, name: &str) -> Option<SocketAddr> {
        let log = self.log();
        let mut lines = log
            .lines()
            .rev()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let listening = lines
            .find(|line| line["fields"]["message"] == "listening")
            .expect("the server listens");
        let address = listening["fields"][name].as_str();
        address.map(|address| address.parse().unwrap())
    }

    /// The metrics, as Prometheus reads them.
    pub async fn metrics(&self) -> String {
        let address = self.listens("listen.metrics").expect("they are on");
        let answer = reqwest::get(format!("http://{address}/metrics")).await;
        let answer = answer.unwrap().error_for_status().unwrap();
        answer.text().await.unwrap()
    }

    /// The count of one of them, by its name and labels as they are written; 0 where there is none yet.
    pub async fn metric(&self, name: &str) -> u64 {
        let text = self.metrics().await;
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        let line = lines.find(|(named, _)| *named == name);
        line.map_or(0, |(_, value)| value.parse().unwrap())
    }

    /// The database's address, when it isn't the SQLite file in the data directory.
    pub fn database_url(&self) -> Option<&str> {
        let mut settings = self.settings.iter().rev();
        let setting = settings.find(|(name, _)| name == "HEARTH_DATABASE_URL");
        setting.map(|(_, url)| url.as_str())
    }

    /// The settings of its process; the later one of a name wins.
    pub fn settings(&self) -> impl Iterator<Item = (String, String)> {
        self.settings.iter().cloned()
    }

    /// A setting for the process' next life.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// All that the server has printed so far, of every life of it.
    pub fn log(&self) -> String {
        self.log.read()
    }

    pub fn pid(&self) -> Pid {
        let id = self
            .child
            .as_ref()
            .and_then(Child::id)
            .expect("the server runs");
        Pid::from_raw(id as i32)
    }

    /// Starts the process (again), on the port that it had, and waits until it listens.
    pub async fn restart(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let before = self.log().len();
        let output = self.log.follow();
        let child = Command::new(env!("CARGO_BIN_EXE_hearth"))
            .arg("serve")
            .env_clear()
            .envs(self.settings.iter().cloned())
            .env("HEARTH_LISTEN", self.address.to_string())
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        self.child = Some(child);
        match timeout(PATIENCE, self.log.listening(before)).await {
            Ok(Some(address)) => self.address = address,
            _ => panic!("the server doesn't listen:\n{}", self.log()),
        }
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// SIGKILL: the process has no last word.
    pub async fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().await.unwrap();
    }

    /// SIGTERM, and how the process ended.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        let mut child = self.child.take().expect("it runs");
        timeout(PATIENCE, child.wait())
            .await
            .expect("the server ends in time")
            .unwrap()
    }

    /// A site admin, made by the operator's command and then logged in.
    pub async fn admin(&self, name: &str) -> Account {
        let account = self.register(name).await;
        self.done(&["user", "promote", name]).await;
        account
    }

    /// An account; its password is `correct horse NAME`.
    pub async fn register(&self, name: &str) -> Account {
        let body = json!({
            "username": name,
            "email": format!("{name}@example.org"),
            "password": format!("correct horse {name}"),
        });
        let (status, tokens) = self
            .request("POST", "/api/register", None, Some(&body))
            .await;
        assert_eq!(status, 201, "{tokens}");
        self.account(&tokens)
    }

    /// Another session of an account whose password is `correct horse NAME`, or `correct horse`. What is answered 503 is
    /// asked again.
    pub async fn log_in(&self, name: &str) -> Account {
        let began = Moment::now();
        loop {
            let mut answers = Vec::new();
            for password in [&*format!("correct horse {name}"), "correct horse"] {
                let body = json!({"username": name, "password": password});
                let login = self.request("POST", "/api/login", None, Some(&body));
                match login.await {
                    (200, tokens) => return self.account(&tokens),
                    answer => answers.push(answer),
                }
            }
            let busy = answers.iter().any(|(status, _)| *status == 503);
            assert!(
                busy && began.quiet_elapsed() < PATIENCE,
                "{name} can't log in: {answers:?}"
            );
        }
    }

    /// Whom these tokens are of.
    pub fn account(&self, tokens: &Value) -> Account {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Account {
            id: tokens["user"]["id"].as_u64().unwrap(),
            name: text(&tokens["user"]["username"]),
            token: text(&tokens["access_token"]),
            refresh_token: text(&tokens["refresh_token"]),
            address: self.address,
            http: self.http.clone(),
        }
    }

    /// The same person on another node.
    pub fn here(&self, account: &Account) -> Account {
        let address = self.address;
        Account {
            address,
            ..account.clone()
        }
    }

    /// One request: its status and its JSON (`null` for an empty body).
    pub async fn request(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> (u16, Value) {
        request(&self.http, self.address, method, path, token, body)
            .await
            .expect("the server answers")
    }
}

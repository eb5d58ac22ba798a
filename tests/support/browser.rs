//! A headless Chromium, driven over the DevTools protocol.

use std::{process::Stdio, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, tungstenite::Message};

use super::{Moment, PATIENCE, timeout};

/// Killed, with its profile, when it is dropped.
pub struct Browser {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    next: u64,
    /// What pages reported: exceptions, errors on the console, in the log or by the content policy.
    pub complaints: Vec<Value>,
    _child: Child,
    _profile: TempDir,
}

/// A page with cookies and storage of its own.
pub struct Page {
    /// Chromium's name for the connection to it.
    session: Value,
}

impl Browser {
    pub async fn start() -> Self {
        let profile = TempDir::new().unwrap();
        let names = [
            "chromium-headless-shell",
            "chromium",
            "chromium-browser",
            "google-chrome",
        ];
        let child = names.iter().find_map(|name| {
            let mut command = Command::new(name);
            command.args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--disable-dev-shm-usage",
                "--remote-debugging-port=0",
            ]);
            command.arg(format!("--user-data-dir={}", profile.path().display()));
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped());
            command.kill_on_drop(true).spawn().ok()
        });
        let mut child = child.expect("Chromium is installed: `make setup`");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some(url) = line.strip_prefix("DevTools listening on ") {
                    return url.to_owned();
                }
            }
            panic!("Chromium ended");
        };
        let url = timeout(PATIENCE, address).await.expect("Chromium starts");
        // It writes more, which must be read.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let (stream, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        Self {
            stream,
            next: 0,
            complaints: Vec::new(),
            _child: child,
            _profile: profile,
        }
    }

    /// Calls a method, of a page's session if one is given; its result.
    async fn call(&mut self, session: Option<&Value>, method: &str, params: Value) -> Value {
        self.next += 1;
        let mut call = json!({"id": self.next, "method": method, "params": params});
        if let Some(session) = session {
            call["sessionId"] = session.clone();
        }
        self.stream
            .send(Message::text(call.to_string()))
            .await
            .unwrap();
        let answer = async {
            loop {
                let Some(Ok(message)) = self.stream.next().await else {
                    panic!("Chromium is gone")
                };
                let Message::Text(text) = message else {
                    continue;
                };
                let message: Value = serde_json::from_str(&text).unwrap();
                if message["id"] == self.next {
                    // An evaluation ends without a value when its page is left for another.
                    let good = message.get("error").is_none() || method == "Runtime.evaluate";
                    assert!(good, "{method}: {message}");
                    return message["result"].clone();
                }
                let params = &message["params"];
                let complaint = match message["method"].as_str().unwrap_or_default() {
                    "Runtime.exceptionThrown" | "Audits.issueAdded" => true,
                    "Runtime.consoleAPICalled" => {
                        params["type"] == "error" || params["type"] == "assert"
                    }
                    "Log.entryAdded" => params["entry"]["level"] == "error",
                    _ => false,
                };
                if complaint {
                    self.complaints.push(params.clone());
                }
            }
        };
        timeout(PATIENCE + Duration::from_secs(5), answer)
            .await
            .expect(method)
    }

    pub async fn open(&mut self, url: &str) -> Page {
        let context = self
            .call(None, "Target.createBrowserContext", json!({}))
            .await;
        let target = json!({"url": "about:blank", "browserContextId": context["browserContextId"]});
        let target = self.call(None, "Target.createTarget", target).await;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.call(None, "Target.attachToTarget", attach).await["sessionId"].clone();
        for domain in [
            "Runtime.enable",
            "Log.enable",
            "Page.enable",
            "Network.enable",
        ] {
            self.call(Some(&session), domain, json!({})).await;
        }
        let page = Page { session };
        self.call(Some(&page.session), "Page.navigate", json!({"url": url}))
            .await;
        // Its scripts have run then.
        let loaded = "location.href !== 'about:blank' && document.readyState === 'complete'";
        self.wait(&page, loaded).await;
        page
    }

    pub async fn evaluate(&mut self, page: &Page, expression: &str) -> Value {
        let params = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let result = self
            .call(Some(&page.session), "Runtime.evaluate", params)
            .await;
        assert!(
            result.get("exceptionDetails").is_none(),
            "{expression}: {result}"
        );
        result["result"]["value"].clone()
    }

    /// Waits until this is true in the page.
    pub async fn wait(&mut self, page: &Page, condition: &str) {
        let began = Moment::now();
        let expression = format!("Boolean({condition})");
        while self.evaluate(page, &expression).await != true {
            if began.quiet_elapsed() > PATIENCE {
                let text = self.evaluate(page, "document.body.innerText").await;
                panic!("never true: {condition}\n{text}\n{:?}", self.complaints);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Clicks on what this selector finds, once it is visible.
    pub async fn click(&mut self, page: &Page, selector: &str) {
        self.wait(
            page,
            &format!("document.querySelector(`{selector}`)?.checkVisibility()"),
        )
        .await;
        self.evaluate(
            page,
            &format!("document.querySelector(`{selector}`).click()"),
        )
        .await;
    }
}

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
    /// What pages complained of: exceptions, errors on the console, in the log or by the content policy.
    pub complaints: Vec<Value>,
    _child: Child,
    _profile: TempDir,
}

/// A page, in a context that it shares with its tabs alone: its cookies and its storage.
pub struct Page {
    session: Value,
    context: Value,
}

impl Browser {
    pub async fn start() -> Self {
        let profile = TempDir::new().unwrap();
        let names = ["chromium", "chromium-browser", "google-chrome"];
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
        // It writes on, and must find somebody who reads.
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
        self.open_in(context["browserContextId"].clone(), url).await
    }

    /// Another tab of this page's browser.
    pub async fn open_tab(&mut self, page: &Page, url: &str) -> Page {
        self.open_in(page.context.clone(), url).await
    }

    async fn open_in(&mut self, context: Value, url: &str) -> Page {
        let target = json!({"url": "about:blank", "browserContextId": context});
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
        let page = Page { session, context };
        self.call(Some(&page.session), "Page.navigate", json!({"url": url}))
            .await;
        // Its scripts have run then.
        let loaded = "location.href !== 'about:blank' && document.readyState === 'complete'";
        self.wait(&page, loaded).await;
        page
    }

    pub async fn reload(&mut self, page: &Page) {
        self.evaluate(page, "window.before = true").await;
        self.call(Some(&page.session), "Page.reload", json!({}))
            .await;
        self.wait(page, "!window.before && document.readyState === 'complete'")
            .await;
    }

    /// Lets none of the page's requests for these addresses through; `*` stands for anything.
    pub async fn block(&mut self, page: &Page, urls: &[&str]) {
        self.call(
            Some(&page.session),
            "Network.setBlockedURLs",
            json!({"urls": urls}),
        )
        .await;
    }

    /// The page's window as this large.
    pub async fn resize(&mut self, page: &Page, width: u32, height: u32) {
        self.call(
            Some(&page.session),
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}),
        )
        .await;
    }

    /// Shows the page, and hides the other tabs of its window.
    pub async fn bring_to_front(&mut self, page: &Page) {
        self.call(Some(&page.session), "Page.bringToFront", json!({}))
            .await;
        self.wait(page, "!document.hidden").await;
    }

    /// Closes the page, as its tab's cross does.
    pub async fn close(&mut self, page: Page) {
        self.call(Some(&page.session), "Page.close", json!({}))
            .await;
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

    /// Types into the field with this id, once it is to be seen.
    pub async fn fill(&mut self, page: &Page, id: &str, value: &str) {
        self.wait(
            page,
            &format!("document.getElementById('{id}')?.checkVisibility()"),
        )
        .await;
        let script = format!(
            "(() => {{ const field = document.getElementById('{id}'); field.focus(); field.value = {}; \
             field.dispatchEvent(new Event('input', {{bubbles: true}})); }})()",
            json!(value)
        );
        self.evaluate(page, &script).await;
    }

    /// Clicks on what this selector finds, once it is to be seen.
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

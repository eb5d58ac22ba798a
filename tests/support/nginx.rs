//! A private nginx in front of a server, as Debian packages it; `scripts/setup` installs it.

use std::{net::SocketAddr, path::Path, process::Stdio};

use tempfile::TempDir;
use tokio::{
    net::UnixStream,
    process::{Child, Command},
    time,
};

use super::{PATIENCE, Raw, timeout};

/// A running nginx, which keeps its connections to the server. Dropping it kills the process.
pub struct Nginx {
    _child: Child,
    dir: TempDir,
}

impl Nginx {
    /// Before the server at this address. It listens on a socket file, so that it needs no free port.
    pub async fn start(upstream: SocketAddr) -> Self {
        let dir = TempDir::new().unwrap();
        let at = dir.path().display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {at}/{name};\n"))
            .concat();
        let configuration = format!(
            "daemon off; master_process off; pid {at}/pid; error_log stderr;
             events {{ worker_connections 256; }}
             http {{
                 access_log off;
                 {temporary}
                 upstream hearth {{ server {upstream}; keepalive 16; }}
                 server {{
                     listen unix:{at}/socket;
                     location / {{
                         proxy_pass http://hearth;
                         proxy_http_version 1.1;
                         proxy_set_header Host $host;
                         proxy_set_header Connection \"\";
                     }}
                 }}
             }}"
        );
        let file = dir.path().join("nginx.conf");
        std::fs::write(&file, configuration).unwrap();
        let brought = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/nginx/usr/sbin/nginx");
        let program = if brought.exists() {
            brought
        } else {
            "nginx".into()
        };
        let child = Command::new(program)
            .args(["-e", "stderr", "-p"])
            .arg(dir.path())
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("nginx is there: scripts/setup brings it");
        let nginx = Self { _child: child, dir };
        let listening = async {
            while UnixStream::connect(nginx.socket()).await.is_err() {
                time::sleep(time::Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, listening).await.expect("nginx listens");
        nginx
    }

    fn socket(&self) -> std::path::PathBuf {
        self.dir.path().join("socket")
    }

    /// A client's connection to it.
    pub async fn connect(&self) -> Raw<UnixStream> {
        Raw::on(UnixStream::connect(self.socket()).await.unwrap())
    }
}

//! `hearth health`, which tells a container whether the server is alive.

use std::net::TcpListener as Deaf;

use tokio::{io::AsyncWriteExt, net::TcpListener};

use crate::support::{Db, Server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_follows_the_address() {
    let mut server = Server::start(Db::Sqlite).await;
    let port = server.address().port();
    let asked = async |server: &mut Server, listen: &str| {
        server.set("HEARTH_LISTEN", listen);
        let ran = server.command(&["health"], "").await;
        (ran.code, ran.out, ran.err)
    };
    let own = format!("127.0.0.1:{port}");
    // All addresses are reached by the loopback one.
    for listen in [own.clone(), format!("0.0.0.0:{port}")] {
        let healthy = (Some(0), format!("healthy: {own}\n"), String::new());
        assert_eq!(asked(&mut server, &listen).await, healthy, "{listen}");
    }
    // A listener that accepts and is silent, and one that answers something else.
    let deaf = Deaf::bind("127.0.0.1:0").unwrap();
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (silent, odd) = (deaf.local_addr().unwrap(), other.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = other.accept().await {
            let _ = stream.write_all(b"SSH-2.0-\x1b[2J\r\n").await;
        }
    });
    for (listen, why) in [
        (silent.to_string(), "no answer in 2 s"),
        (odd.to_string(), "it answers \"SSH-2.0-\\u{1b}[2J\""),
        ("127.0.0.1:0".into(), "port 0 is another one at each start"),
    ] {
        let (code, out, err) = asked(&mut server, &listen).await;
        assert_eq!((code, &*out), (Some(1), ""), "{err}");
        let expected = format!("hearth: no healthy server at {listen}: {why}");
        assert!(err.starts_with(&expected), "{err}");
    }
    server.kill().await;
    let (code, _, err) = asked(&mut server, &own).await;
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("refused"), "{err}");
}

/// It asks what the server listens on, whatever that is, and needs no shell.
#[test]
fn the_container_asks_by_the_program() {
    let image = include_str!("../../../Dockerfile");
    let check = image.lines().find(|line| line.starts_with("HEALTHCHECK"));
    assert!(check.is_some_and(|line| line.ends_with("CMD [\"hearth\", \"health\"]")));
    assert!(!image.contains("bash"), "{image}");
}

//! Requests from pages of other origins (CORS, cross-site sockets), and that nothing of the API is cached.

use reqwest::{
    Method, Response,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS,
        ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_METHOD,
        CACHE_CONTROL, ORIGIN, VARY,
    },
};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Error, client::IntoClientRequest},
};

use crate::support::{Account, Db, Server, api::operations};

const FRIEND: &str = "https://friend.example";

async fn friendly() -> (Server, Account) {
    let settings = [(
        "HEARTH_CORS_ORIGINS",
        "http://localhost:5173, https://friend.example",
    )];
    let server = Server::start_with(Db::Sqlite, &settings).await;
    let ada = server.register("ada").await;
    (server, ada)
}

async fn ask(server: &Server, method: Method, path: &str, origin: &str, token: &str) -> Response {
    let mut request = reqwest::Client::new()
        .request(method.clone(), server.url(path))
        .header(ORIGIN, origin)
        .bearer_auth(token);
    if method == Method::OPTIONS {
        request = request.header(ACCESS_CONTROL_REQUEST_METHOD, "DELETE");
    }
    request.send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_the_list_may_read() {
    let (server, ada) = friendly().await;
    for (origin, reads) in [
        (FRIEND, true),
        ("https://evil.example", false),
        ("null", false),
    ] {
        // Refused or not, found or not: the page of the list may read what it was answered.
        for (path, token, status) in [
            ("/api/me", &*ada.token, 200),
            ("/api/me", "x", 401),
            ("/api/nowhere", &ada.token, 404),
        ] {
            let answer = ask(&server, Method::GET, path, origin, token).await;
            assert_eq!(answer.status(), status);
            let headers = answer.headers();
            let told = headers.get(ACCESS_CONTROL_ALLOW_ORIGIN);
            assert_eq!(
                told.map(|told| told.to_str().unwrap()),
                reads.then_some(origin)
            );
            assert_eq!(
                headers.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS),
                reads
            );
            assert_eq!(headers[VARY], "Origin");
        }
        let answer = ask(&server, Method::OPTIONS, "/api/me", origin, "").await;
        let headers = answer.headers();
        assert_eq!(answer.status(), if reads { 204 } else { 405 });
        assert_eq!(headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN), reads);
        if reads {
            assert_eq!(
                headers[ACCESS_CONTROL_ALLOW_METHODS],
                "GET, HEAD, PATCH, DELETE"
            );
            assert_eq!(
                headers[ACCESS_CONTROL_ALLOW_HEADERS],
                "authorization, content-type"
            );
        }
    }
}

/// The answer to a page of this origin that opens a socket.
async fn open(server: &Server, account: &Account, origin: Option<&str>) -> u16 {
    let url = format!("ws://{}/ws?token={}", server.address(), account.token);
    let mut request = url.into_client_request().unwrap();
    if let Some(origin) = origin {
        request
            .headers_mut()
            .insert(ORIGIN, origin.parse().unwrap());
    }
    match connect_async(request).await {
        Ok(_) => 101,
        Err(Error::Http(answer)) => answer.status().as_u16(),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_elsewhere_open_no_socket() {
    let (server, ada) = friendly().await;
    for (origin, status) in [
        (None, 101),
        (Some(&*server.url("")), 101),
        (Some(FRIEND), 101),
        (Some("https://evil.example"), 403),
        (Some("null"), 403),
        (Some(&format!("{}.evil.example", server.url(""))), 403),
    ] {
        assert_eq!(open(&server, &ada, origin).await, status, "{origin:?}");
    }
}

/// Settings hold such names as people write them, browsers send them in ASCII.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn internationalised_names_are_our_own_and_those_of_the_list() {
    let settings = [
        ("HEARTH_PUBLIC_URL", "https://bücher.example"),
        ("HEARTH_CORS_ORIGINS", "https://Käse.example:8443"),
    ];
    let server = Server::start_with(Db::Sqlite, &settings).await;
    let ada = server.register("ada").await;
    let friend = "https://xn--kse-qla.example:8443";
    for (origin, status) in [
        ("https://xn--bcher-kva.example", 101),
        (friend, 101),
        ("https://xn--kse-qla.example", 403),
        (&*server.url(""), 403),
    ] {
        assert_eq!(open(&server, &ada, Some(origin)).await, status, "{origin}");
        let answer = ask(&server, Method::GET, "/api/me", origin, &ada.token).await;
        let told = answer.headers().get(ACCESS_CONTROL_ALLOW_ORIGIN);
        assert_eq!(told.is_some(), origin == friend, "{origin}");
    }
}

/// Whether it succeeds or not, nothing that the API answers is kept by anybody on the way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_the_api_is_kept() {
    let (server, ada) = friendly().await;
    let mut endpoints: Vec<(String, String)> = operations()
        .into_iter()
        .filter(|operation| operation.pattern.starts_with("/api/"))
        .map(|operation| (operation.method.clone(), operation.path(&[])))
        .collect();
    assert!(endpoints.len() > 30, "{endpoints:?}");
    endpoints.extend([
        ("DELETE".into(), "/api/info".into()),
        ("GET".into(), "/api/nowhere".into()),
    ]);
    // The route that ends the session comes after those that need it.
    endpoints.sort_by_key(|(method, _)| *method != "GET");
    for (method, path) in endpoints {
        for token in ["x", &ada.token] {
            let answer = ask(&server, method.parse().unwrap(), &path, FRIEND, token).await;
            let kept = &answer.headers()[CACHE_CONTROL];
            assert_eq!(kept, "no-store", "{method} {path}: {}", answer.status());
        }
    }
}

//! Three servers on one PostgreSQL behind nginx: restarts, a killed server, a PostgreSQL that restarts.
//!
//! Each test starts all of them: `cargo test` ignores them, and `tests/run` includes them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::app::{ANN, PASSWORD, PRODUCTION, TestApp};
use crate::http::{self, Response};
use crate::nginx::{Nginx, check_config};
use crate::postgres_server::PostgresServer;
use crate::sandbox::Sandbox;

/// One second of waiting for a connection, plus time for a busy machine.
const FAST: Duration = Duration::from_secs(3);

struct Nodes {
    nodes: Vec<TestApp>,
    nginx: Nginx,
    postgres: PostgresServer,
    http: Client,
}

/// What clients of a load saw until it was stopped.
struct Load {
    is_over: Arc<AtomicBool>,
    pages: Vec<JoinHandle<Vec<u16>>>,
    /// Statuses of logins by the API, and the tokens of those that succeeded.
    logins: Vec<JoinHandle<(Vec<u16>, Vec<String>)>>,
}

impl Nodes {
    async fn start() -> Self {
        let postgres = PostgresServer::start();
        let mut nodes = Vec::new();
        for _ in 0..3 {
            let mut sandbox = Sandbox::new().await;
            PRODUCTION.iter().for_each(|(name, value)| sandbox.set(name, value));
            sandbox.set("DATABASE_URL", &postgres.url());
            sandbox.set("TRUSTED_PROXIES", "127.0.0.1");
            sandbox.set("DRAIN_SECONDS", "1");
            nodes.push(TestApp::start_in(sandbox).await);
        }
        let ports: Vec<u16> = nodes.iter().map(|node| node.port).collect();
        Self { nodes, nginx: Nginx::start(&ports), postgres, http: http::client() }
    }

    fn client(&self) -> NginxClient {
        NginxClient { http: self.http.clone(), port: self.nginx.port }
    }

    /// Ann's API token.
    async fn sign_up(&self) -> String {
        let account = json!({ "email": ANN, "password": PASSWORD });
        let response = self.client().post("/api/createNewUser", &account).await;
        assert_eq!(response.status, 201, "{}\n{}", response.text(), self.nginx.log());
        response.json()["token"].as_str().unwrap().to_owned()
    }

    fn load(&self, token: &str) -> Load {
        let is_over = Arc::new(AtomicBool::new(false));
        let pages = (0..4).map(|_| {
            let (client, is_over, token) = (self.client(), Arc::clone(&is_over), token.to_owned());
            tokio::spawn(async move {
                let mut statuses = Vec::new();
                while !is_over.load(Ordering::Relaxed) {
                    for path in ["/api/userOrders", "/login"] {
                        statuses.push(client.get(path, &token).await.status);
                    }
                }
                statuses
            })
        });
        let logins = (0..2).map(|_| {
            let (client, is_over) = (self.client(), Arc::clone(&is_over));
            tokio::spawn(async move {
                let (mut statuses, mut tokens) = (Vec::new(), Vec::new());
                while !is_over.load(Ordering::Relaxed) {
                    let response = client.post("/api/login", &json!({ "email": ANN, "password": PASSWORD })).await;
                    statuses.push(response.status);
                    if response.status == 200 {
                        tokens.push(response.json()["token"].as_str().unwrap().to_owned());
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                (statuses, tokens)
            })
        });
        Load { pages: pages.collect(), logins: logins.collect(), is_over }
    }
}

/// A client of the site through nginx.
struct NginxClient {
    http: Client,
    port: u16,
}

impl NginxClient {
    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("http://127.0.0.1:{}{path}", self.port)).header("host", "shop.example")
    }

    async fn get(&self, path: &str, token: &str) -> Response {
        http::send(self.request(Method::GET, path).bearer_auth(token)).await
    }

    async fn post(&self, path: &str, body: &serde_json::Value) -> Response {
        http::send(self.request(Method::POST, path).json(body)).await
    }
}

impl Load {
    /// The statuses of pages and logins, and the tokens.
    async fn stop(self) -> (Vec<u16>, Vec<u16>, Vec<String>) {
        self.is_over.store(true, Ordering::Relaxed);
        let (mut pages, mut logins, mut tokens) = (Vec::new(), Vec::new(), Vec::new());
        for client in self.pages {
            pages.extend(client.await.unwrap());
        }
        for client in self.logins {
            let (statuses, of_client) = client.await.unwrap();
            logins.extend(statuses);
            tokens.extend(of_client);
        }
        (pages, logins, tokens)
    }
}

#[tokio::test]
#[ignore = "starts nginx and PostgreSQL, which tests/run installs"]
async fn rolling_restart_fails_no_request() {
    let mut site = Nodes::start().await;
    let token = site.sign_up().await;
    let load = site.load(&token);
    for node in &mut site.nodes {
        tokio::time::sleep(Duration::from_millis(500)).await;
        node.signal("TERM");
        while !node.has_stopped() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        node.restart().await;
    }
    let (pages, logins, tokens) = load.stop().await;
    assert!(pages.len() > 100 && logins.len() > 10, "{} pages, {} logins", pages.len(), logins.len());
    assert!(pages.iter().all(|status| *status == 200), "{pages:?}\n{}", site.nginx.log());
    assert!(logins.iter().all(|status| *status == 200), "{logins:?}\n{}", site.nginx.log());
    assert_eq!(tokens.len(), logins.len());
}

#[tokio::test]
#[ignore = "starts nginx and PostgreSQL, which tests/run installs"]
async fn killed_node_loses_no_acknowledged_write() {
    let mut site = Nodes::start().await;
    let token = site.sign_up().await;
    let load = site.load(&token);
    tokio::time::sleep(Duration::from_secs(1)).await;
    site.nodes[0].stop_with("KILL");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (pages, logins, tokens) = load.stop().await;
    assert!(pages.iter().all(|status| *status == 200), "{pages:?}\n{}", site.nginx.log());
    // A login that the killed node had received is not sent to another one.
    let failed = logins.iter().filter(|status| **status != 200).count();
    assert!(failed <= 2 && logins.last() == Some(&200), "{logins:?}\n{}", site.nginx.log());
    assert!(tokens.len() > 3, "{logins:?}");
    for token in tokens {
        for node in &site.nodes[1..] {
            let request = node.request(Method::GET, "/api/session").header("host", "shop.example");
            assert_eq!(http::send(request.bearer_auth(&token)).await.status, 200, "a session is lost");
        }
    }
}

#[tokio::test]
#[ignore = "starts nginx and PostgreSQL, which tests/run installs"]
async fn nodes_answer_503_without_postgres_and_recover() {
    let site = Nodes::start().await;
    let token = site.sign_up().await;
    let client = site.client();
    site.postgres.stop_immediately();
    for _ in 0..3 {
        let began = Instant::now();
        let response = client.get("/api/userOrders", &token).await;
        assert!(response.status == 503 && began.elapsed() < FAST, "{} after {:?}", response.status, began.elapsed());
    }
    assert_eq!(client.get("/login", &token).await.status, 200, "the login page needs no database");
    site.postgres.launch();
    let began = Instant::now();
    for _ in &site.nodes {
        while client.get("/api/userOrders", &token).await.status != 200 {
            assert!(began.elapsed() < FAST, "not back after {:?}", began.elapsed());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
#[ignore = "needs nginx, which tests/run installs"]
async fn nginx_accepts_the_delivered_configuration() {
    let certificate = rcgen::generate_simple_self_signed(["shop.example".to_owned()]).unwrap();
    let (accepts, output) = check_config(&certificate.cert.pem(), &certificate.signing_key.serialize_pem());
    assert!(accepts && !output.contains("[warn]"), "{output}");
}

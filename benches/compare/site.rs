//! A server with its data and with sessions of all customers.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use futures_util::{StreamExt, stream};
use reqwest::header::{HeaderMap, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};

use crate::build::Executable;
use crate::data::{self, Dataset, LARGE_CUSTOMERS, LARGE_ORDERS, PASSWORD, SMALL_CUSTOMERS};
use crate::options::Name;
use crate::server::{self, Cache, Server};

/// Logins at a time.
const PARALLEL: usize = 8;
/// Orders between two cursors: the largest page of the program's API.
const CURSOR_STEP: u32 = 100;

pub struct Site {
    pub executable: Executable,
    pub work: PathBuf,
    pub directory: PathBuf,
    /// The same at each start: the program's tokens name its origin.
    port: u16,
    /// By customer. Empty for the bare handler, which has no customers.
    pub sessions: Vec<Session>,
    /// Of each large customer, places in the list: values of `after`.
    pub cursors: Vec<Vec<String>>,
}

#[derive(Clone, Default)]
pub struct Session {
    pub cookie: String,
    pub bearer: Option<String>,
}

impl Site {
    pub async fn prepare(work: &Path, dataset: &Dataset, executable: Executable) -> Self {
        eprintln!("preparing {}", executable.name.label());
        let directory = work.join(executable.name.label());
        std::fs::remove_dir_all(&directory).ok();
        std::fs::create_dir_all(&directory).unwrap();
        let mut site = Self {
            executable,
            work: work.to_owned(),
            directory,
            port: server::free_port(),
            sessions: Vec::new(),
            cursors: Vec::new(),
        };
        if site.executable.name == Name::Bare {
            return site;
        }
        if site.executable.name.is_program() {
            site.import(dataset).await;
        } else {
            std::fs::copy(&dataset.database, site.directory.join("peers.db")).unwrap();
        }
        let server = site.start(Cache::Default).await;
        let visitor = Visitor::new(&server, site.executable.name);
        site.sessions =
            stream::iter(data::customers()).map(|customer| visitor.log_in(customer)).buffered(PARALLEL).collect().await;
        for customer in SMALL_CUSTOMERS..SMALL_CUSTOMERS + LARGE_CUSTOMERS {
            let session = &site.sessions[customer as usize];
            site.cursors.push(visitor.cursors(customer, session).await);
        }
        visitor.verify(&site.sessions).await;
        server.stop().await;
        site
    }

    pub async fn start(&self, cache: Cache) -> Server {
        Server::start(&self.executable, &self.work, &self.directory, self.port, cache).await
    }

    async fn import(&self, dataset: &Dataset) {
        self.run("migrate", None);
        let url = format!("sqlite://{}", self.directory.join("portal.db").display());
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        let user = |customer| {
            let (email, hash) = (data::email(customer), &dataset.password_hash);
            format!("('00000000-0000-7000-8000-{customer:012}', '{email}', '{hash}', 1000000000, 1000000000)")
        };
        let users: Vec<String> = data::customers().map(user).collect();
        let columns = "id, email, password_hash, created_at, verified_at";
        data::run(&mut connection, &format!("INSERT INTO users ({columns}) VALUES {}", users.join(", "))).await;
        connection.close().await.unwrap();
        self.run("import", Some(&dataset.export));
    }

    fn run(&self, name: &str, file: Option<&Path>) {
        let mut command = server::command(&self.executable, &self.directory);
        let status = command.arg(name).args(file).stdout(Stdio::null()).stderr(Stdio::inherit()).status().unwrap();
        assert!(status.success(), "{} {name} failed", self.executable.program.display());
    }

    /// Saves the program's answers: for the bare handler whole, for the others without the orders.
    pub async fn save_answers(&self) {
        let server = self.start(Cache::Default).await;
        let visitor = Visitor::new(&server, self.executable.name);
        let answers = self.work.join("answers");
        std::fs::create_dir_all(&answers).unwrap();
        let order = format!("/orders/{}", data::numbers(0).end - 1);
        let files = [
            ("list.html", "/orders"),
            ("order.html", &order),
            ("api.json", "/api/userOrders"),
            ("site.css", "/static/site.css"),
        ];
        for (file, path) in files {
            for (encoding, suffix) in [("identity", ""), ("br", ".br")] {
                let answer = visitor.get(path, &self.sessions[0], encoding).await;
                assert_eq!(answer.status(), 200, "{path}");
                std::fs::write(answers.join(format!("{file}{suffix}")), answer.bytes().await.unwrap()).unwrap();
            }
        }
        server.stop().await;
        let read = |file| std::fs::read_to_string(answers.join(file)).unwrap();
        let write = |file, text: &str| std::fs::write(answers.join(file), text).unwrap();
        let list = read("list.html");
        let first_row = list[..list.find("href=\"/orders/1").unwrap()].rfind("<tr").unwrap();
        let after_rows = first_row + list[first_row..].find("</tbody>").unwrap();
        write("list_head.html", &list[..first_row]);
        write("list_foot.html", &list[after_rows..]);
        let order = read("order.html");
        write("order_head.html", &order[..order.find("<h1").unwrap()]);
        write("order_foot.html", &order[order.find("</tbody>").unwrap()..]);
    }
}

struct Visitor {
    http: Client,
    origin: String,
    name: Name,
}

impl Visitor {
    fn new(server: &Server, name: Name) -> Self {
        let http = Client::builder().redirect(Policy::none()).no_gzip().build().unwrap();
        Self { http, origin: format!("http://{}", server.address), name }
    }

    async fn get(&self, path: &str, session: &Session, encoding: &str) -> Response {
        let mut request = self.http.get(format!("{}{path}", self.origin)).header("accept-encoding", encoding);
        if !session.cookie.is_empty() {
            request = request.header("cookie", &session.cookie);
        }
        if let Some(bearer) = &session.bearer {
            request = request.bearer_auth(bearer);
        }
        request.send().await.unwrap()
    }

    async fn submit_login(&self, email: &str, password: &str) -> Response {
        let fields = [("email", email), ("password", password)];
        self.http.post(format!("{}/login", self.origin)).form(&fields).send().await.unwrap()
    }

    async fn log_in(&self, customer: u32) -> Session {
        let email = data::email(customer);
        let answer = self.submit_login(&email, PASSWORD).await;
        assert!(answer.status().is_redirection(), "{}: login: {}", self.name.label(), answer.status());
        let cookie = cookies(answer.headers());
        let bearer = match self.name {
            Name::OrderPortal | Name::Baseline => Some(self.log_in_to_api(&email).await),
            // The same token as in the cookie.
            Name::Express1 | Name::Express2 => cookie.strip_prefix("session=").map(str::to_owned),
            Name::Axum | Name::Bare => None,
        };
        Session { cookie, bearer }
    }

    async fn log_in_to_api(&self, email: &str) -> String {
        let credentials = json!({ "email": email, "password": PASSWORD });
        let answer = self.http.post(format!("{}/api/login", self.origin)).json(&credentials).send().await.unwrap();
        answer.json::<Value>().await.unwrap()["token"].as_str().expect("a token").to_owned()
    }

    /// The first page has none.
    async fn cursors(&self, customer: u32, session: &Session) -> Vec<String> {
        if !self.name.is_program() {
            let newest = data::numbers(customer).end;
            return (1..LARGE_ORDERS / CURSOR_STEP).map(|step| (newest - step * CURSOR_STEP).to_string()).collect();
        }
        let mut cursors: Vec<String> = Vec::new();
        loop {
            let after = cursors.last().map(|cursor| format!("&after={cursor}")).unwrap_or_default();
            let path = format!("/api/userOrders?limit={CURSOR_STEP}{after}");
            let page: Value = self.get(&path, session, "identity").await.json().await.unwrap();
            match page["next"].as_str() {
                Some(next) => cursors.push(next.to_owned()),
                None => return cursors,
            }
        }
    }

    /// All servers do the same work: they show a customer's orders to that customer alone, until the session is revoked.
    async fn verify(&self, sessions: &[Session]) {
        let name = self.name.label();
        for (customer, session) in [(0, &sessions[0]), (SMALL_CUSTOMERS, &sessions[SMALL_CUSTOMERS as usize])] {
            let list = self.get("/orders", session, "identity").await.text().await.unwrap();
            let newest = data::numbers(customer).end - 20..data::numbers(customer).end;
            let are_listed = newest.clone().all(|number| list.contains(&format!("href=\"/orders/{number}\"")));
            assert!(
                are_listed && list.matches("href=\"/orders/1").count() == 20,
                "{name}: list of customer {customer}"
            );
            let api: Value = self.get("/api/userOrders", session, "identity").await.json().await.unwrap();
            assert_eq!(api["orders"].as_array().map(Vec::len), Some(20), "{name}: API list");
            let order = format!("/orders/{}", newest.start);
            assert_eq!(self.get(&order, session, "identity").await.status(), 200, "{name}: one order");
            assert_eq!(
                self.get(&order, &sessions[1], "identity").await.status(),
                404,
                "{name}: order of another customer"
            );
        }
        let wrong = self.submit_login(&data::email(2), "not the password").await.status();
        assert!(!wrong.is_redirection(), "{name}: login with a wrong password: {wrong}");
        let session = Session { bearer: None, ..self.log_in(2).await };
        let logout = self.http.post(format!("{}/logout", self.origin)).header("cookie", &session.cookie);
        let logout = logout.send().await.unwrap().status();
        assert!(logout.is_redirection(), "{name}: logout: {logout}");
        for session in [session, Session::default()] {
            let answer = self.get("/orders", &session, "identity").await;
            let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            assert!(location.is_some_and(|location| location.starts_with("/login")), "{name}: list without a session");
        }
    }
}

/// As a browser sends them.
fn cookies(headers: &HeaderMap) -> String {
    let cookies = headers.get_all(SET_COOKIE).iter().filter_map(|cookie| cookie.to_str().ok()?.split(';').next());
    cookies.collect::<Vec<_>>().join("; ")
}

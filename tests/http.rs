//! Requests and responses. Redirects are not followed; only a `Visitor` keeps cookies.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, redirect};
use serde_json::Value;

/// A response with its whole body.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}: {}", self.status, self.text()))
    }

    /// The value of the only header of that name, if present.
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.header_values(name);
        assert!(all.len() <= 1, "{} headers {name}: {all:?}", all.len());
        all.first().copied()
    }

    pub fn header_values(&self, name: &str) -> Vec<&str> {
        let of_name = self.headers.iter().filter(|(sent, _)| sent.eq_ignore_ascii_case(name));
        of_name.map(|(_, value)| value.as_str()).collect()
    }

    /// Status and `Location` together: `(303, "/login")`.
    pub fn redirect(&self) -> (u16, &str) {
        (self.status, self.header("location").unwrap_or_default())
    }

    /// The value of the session cookie, and its attributes in alphabetical order.
    pub fn session_cookie(&self) -> Option<(String, Vec<String>)> {
        let cookies = self.header_values("set-cookie");
        let mut of_session = cookies.iter().filter_map(|cookie| cookie.strip_prefix("__Host-session="));
        let cookie = of_session.next()?;
        assert!(of_session.next().is_none(), "two session cookies: {cookies:?}");
        let mut parts = cookie.split(';').map(|part| part.trim().to_owned());
        let value = parts.next().unwrap();
        let mut attributes: Vec<String> = parts.collect();
        attributes.sort();
        Some((value, attributes))
    }

    /// Whether this is a problem document (RFC 9457) with this status.
    pub fn is_problem(&self, status: u16) -> bool {
        self.status == status
            && self.header("content-type").is_some_and(|kind| kind.starts_with("application/problem+json"))
            && self.json()["status"] == status
            && self.json()["title"].as_str().is_some_and(|title| !title.is_empty())
    }

    /// Whether this is a page in the layout of the site.
    pub fn is_page(&self, status: u16) -> bool {
        self.status == status
            && self.header("content-type") == Some("text/html; charset=utf-8")
            && self.text().contains("<main id=\"main\"")
            && self.text().contains("/static/site.css")
    }
}

/// A client without redirects, cookies, proxy and decompression.
pub fn client() -> Client {
    let builder = Client::builder().redirect(redirect::Policy::none()).no_proxy().no_gzip();
    builder.timeout(Duration::from_secs(30)).build().unwrap()
}

pub async fn send(request: RequestBuilder) -> Response {
    let response = request.send().await.unwrap();
    let text = |value: &reqwest::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Response {
        status: response.status().as_u16(),
        headers: response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: response.bytes().await.unwrap().to_vec(),
    }
}

/// Sends bytes over a new connection and reads until the server closes it; `None` if it closes without a response.
pub fn send_raw(port: u16, request: &[u8]) -> Option<Response> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // The server may close before it has received everything.
    stream.write_all(request).ok();
    let mut received = Vec::new();
    stream.read_to_end(&mut received).ok();
    let end = received.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&received[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers =
        lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_owned(), value.to_owned()));
    Some(Response { status, headers: headers.collect(), body: received[end + 4..].to_vec() })
}

/// A client with a cookie jar, as a browser has.
#[derive(Clone)]
pub struct Visitor {
    http: Client,
    origin: String,
    cookies: Vec<(String, String)>,
}

impl Visitor {
    pub fn new(http: Client, origin: String) -> Self {
        Self { http, origin, cookies: Vec::new() }
    }

    pub async fn get(&mut self, path: &str) -> Response {
        let request = self.request(Method::GET, path);
        self.send(request).await
    }

    pub async fn log_in(&mut self, email: &str, password: &str) -> Response {
        self.post("/login", &[("email", email), ("password", password)]).await
    }

    pub async fn change_password(&mut self, current: &str, new: &str) -> Response {
        self.post("/account/password", &[("current_password", current), ("new_password", new)]).await
    }

    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Response {
        let request = self.request(Method::POST, path).form(fields);
        self.send(request).await
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.origin));
        if self.cookies.is_empty() {
            return request;
        }
        let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        request.header("cookie", pairs.join("; "))
    }

    /// Sends the request and keeps the cookies of the response.
    pub async fn send(&mut self, request: RequestBuilder) -> Response {
        let response = send(request).await;
        for cookie in response.header_values("set-cookie") {
            let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.retain(|(kept, _)| kept != name);
            if !attributes.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        response
    }

    /// The token in the session cookie.
    pub fn token(&self) -> String {
        let session = self.cookies.iter().find(|(name, _)| name == "__Host-session");
        session.expect("no session cookie").1.clone()
    }

    /// Replaces the cookies by a session cookie with this token.
    pub fn set_session_token(&mut self, token: &str) {
        self.cookies = vec![("__Host-session".to_owned(), token.to_owned())];
    }
}

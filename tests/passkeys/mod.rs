//! Passkeys without a browser, by an authenticator in software.

mod hostile;
mod login;
mod manage;
mod offer;
mod reauthentication;
mod recovery;
mod registration;

use reqwest::Method;
use scraper::{Html, Selector};
use serde_json::{Value, json};

use crate::app::{PASSWORD, TestApp};
use crate::authenticator::Passkey;
use crate::http::{self, Response, Visitor};

pub const START_LOGIN: &str = "/login/passkey/start";
pub const FINISH_LOGIN: &str = "/login/passkey/finish";
pub const START_REGISTRATION: &str = "/account/passkeys/start";
pub const FINISH_REGISTRATION: &str = "/account/passkeys/finish";
pub const START_REAUTHENTICATION: &str = "/account/passkeys/reauthenticate";

/// The origin that browsers see: `PUBLIC_URL`.
pub fn public_origin(app: &TestApp) -> String {
    format!("http://localhost:{}", app.port)
}

/// The same session in a browser at the public URL, where pages offer passkeys.
pub fn at_public_url(app: &TestApp, visitor: &Visitor) -> Visitor {
    let mut local = Visitor::new(http::client(), public_origin(app));
    local.set_session_token(&visitor.token());
    local
}

/// Sends JSON, as the script does.
pub async fn post_json(visitor: &mut Visitor, path: &str, body: &Value) -> Response {
    let request = visitor.request(Method::POST, path).json(body);
    visitor.send(request).await
}

/// The options of a new ceremony and its state.
pub async fn start(visitor: &mut Visitor, path: &str, fields: &[(&str, &str)]) -> (Value, Value) {
    let response = visitor.post(path, fields).await;
    assert_eq!(response.status, 200, "{path}: {}", response.text());
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let answer = response.json();
    (answer["publicKey"].clone(), answer["state"].clone())
}

/// Adds a passkey to the account of the visitor, who reauthenticates with the password.
pub async fn register(app: &TestApp, visitor: &mut Visitor) -> Passkey {
    let (options, state) = start(visitor, START_REGISTRATION, &[("password", PASSWORD)]).await;
    let passkey = Passkey::create(&options, &public_origin(app));
    let body = json!({ "state": state, "credential": passkey.attestation(&options) });
    let response = post_json(visitor, FINISH_REGISTRATION, &body).await;
    assert_eq!((response.status, response.json()), (200, json!({ "next": "/account/passkeys" })));
    passkey
}

/// An answer to a new login ceremony.
pub async fn login_answer(visitor: &mut Visitor, passkey: &mut Passkey) -> Value {
    let (options, state) = start(visitor, START_LOGIN, &[]).await;
    json!({ "state": state, "credential": passkey.assertion(&options) })
}

/// Logs in with the passkey.
pub async fn log_in(visitor: &mut Visitor, passkey: &mut Passkey) -> Response {
    let answer = login_answer(visitor, passkey).await;
    post_json(visitor, FINISH_LOGIN, &answer).await
}

/// The value of the field `passkey` of a sensitive form.
pub async fn reauthentication_field(visitor: &mut Visitor, passkey: &mut Passkey) -> String {
    let (options, state) = start(visitor, START_REAUTHENTICATION, &[]).await;
    json!({ "state": state, "credential": passkey.assertion(&options) }).to_string()
}

/// Asserts that the login is refused with the message of all failures.
pub fn assert_refused(response: &Response, context: &str) {
    assert_eq!(response.status, 401, "{context}: {}", response.text());
    let message = "Login with a passkey failed. Try again, or log in with your password.";
    assert_eq!(response.json()["error"], message, "{context}");
    assert!(response.session_cookie().is_none(), "{context}: a session was started");
}

/// The addresses of the passkeys on the list page.
pub async fn pages(visitor: &mut Visitor) -> Vec<String> {
    let page = Html::parse_document(&visitor.get("/account/passkeys").await.text());
    let links = Selector::parse("a[href^='/account/passkeys/']").unwrap();
    page.select(&links).map(|link| link.value().attr("href").unwrap().to_owned()).collect()
}

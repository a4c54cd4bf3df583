//! Two-step login: codes of an authenticator app, and recovery codes.

mod api;
mod hostile;
mod login;
mod losing_factors;
mod reauthentication;
mod recovery_codes;
mod secrets;
mod setup;
mod wrong_codes;

use totp_rs::{Builder, Secret, Totp};

use crate::app::{PASSWORD, TestApp};
use crate::http::{Response, Visitor};
use crate::token::now;

/// The subjects of mail about factors.
pub const ON: &str = "Two-step login is on";
pub const OFF: &str = "Two-step login is off";
pub const CODE_USED: &str = "A recovery code was used";
pub const CODES_REPLACED: &str = "New recovery codes were created";
pub const WRONG_CODE: &str = "Someone entered your password and a wrong code";
pub const REMOVED: &str = "Two-step login was removed from your account";

/// An app that has read the secret from the page.
pub struct Authenticator {
    totp: Totp,
    pub secret: String,
    /// The code that finished the setup.
    pub used: String,
}

impl Authenticator {
    /// Reads the secret from the page of the setup.
    pub fn of_page(page: &str) -> Self {
        let secret = attributes(page, "data-totp-secret").remove(0);
        Self::new(&secret)
    }

    pub fn new(secret: &str) -> Self {
        let builder = Builder::new().with_secret(Secret::try_from_base32(secret).unwrap());
        Self { totp: builder.build().unwrap(), secret: secret.to_owned(), used: String::new() }
    }

    /// The code of now, or of that many steps later.
    pub fn code(&self, steps: i64) -> String {
        self.totp.generate((now() + 30 * steps).unsigned_abs()).to_string()
    }

    /// The code of now, made usable again: a test cannot wait 30 seconds for each code.
    pub async fn fresh_code(&self, app: &TestApp) -> String {
        app.execute("UPDATE totp_factors SET last_step = 0").await;
        self.code(0)
    }

    /// A code that is wrong now.
    pub fn wrong_code(&self) -> String {
        let valid = [-2, -1, 0, 1, 2].map(|steps| self.code(steps));
        (0..).map(|number| format!("{number:06}")).find(|code| !valid.contains(code)).unwrap()
    }
}

/// The values of an attribute, in the order of the page.
pub fn attributes(page: &str, name: &str) -> Vec<String> {
    let start = format!(" {name}=\"");
    let values = page.split(&start).skip(1);
    values.map(|value| value.split('"').next().unwrap().to_owned()).collect()
}

/// The recovery codes of a page.
pub fn recovery_codes(page: &str) -> Vec<String> {
    attributes(page, "data-recovery-code")
}

/// Turns two-step login on; returns the app and the recovery codes.
pub async fn set_up(visitor: &mut Visitor) -> (Authenticator, Vec<String>) {
    let page = visitor.post("/account/mfa/start", &[("password", PASSWORD)]).await;
    assert!(page.is_page(200), "{}: {}", page.status, page.text());
    let mut app = Authenticator::of_page(&page.text());
    app.used = app.code(0);
    let page = visitor.post("/account/mfa/confirm", &[("code", &app.used)]).await;
    assert!(page.is_page(200), "{}: {}", page.status, page.text());
    (app, recovery_codes(&page.text()))
}

/// A logged-in visitor with a confirmed address and two-step login.
pub async fn two_step_customer(app: &TestApp, email: &str) -> (Visitor, Authenticator, Vec<String>) {
    let mut visitor = app.verified_customer(email).await;
    let (authenticator, codes) = set_up(&mut visitor).await;
    (visitor, authenticator, codes)
}

/// A visitor after the password.
pub async fn after_password(app: &TestApp, email: &str, password: &str) -> Visitor {
    let mut visitor = app.visitor();
    assert_eq!(visitor.log_in(email, password).await.redirect(), (303, "/login/code"));
    visitor
}

pub async fn send_code(visitor: &mut Visitor, code: &str) -> Response {
    visitor.post("/login/code", &[("code", code)]).await
}

//! Who someone is: sign-up, login, logout, forgotten passwords, the account page, and the operator's hand on accounts.
//!
//! Routes: `/signup`, `/login`, `/logout`, `/password/…`, `/verify`, `/not-me`, and below the guard `/account/…`. Hands out [`Accounts`] (what
//! pages and the API both call) and [`Email`].
//!
//! Invariants: an unknown address and a wrong password take the same time and read the same; no password leaves
//! [`Password`] but as an Argon2id hash; a new password ends every other session and every
//! mailed link that gives access or changes something, never a recovery link; a new address ends every other session; a link confirms an address
//! only in a session of the account that asked, or with its password ([`verify`]); a sensitive change takes the password in the same
//! form, always ([`reauthentication`]), and the owner of the address that the account had before can undo it ([`not_me`]).

mod activity;
mod change_email;
mod change_password;
mod delete;
mod devices;
mod export;
mod guessable;
mod known_browser;
mod login;
mod logout;
mod not_me;
mod notices;
mod overview;
mod password;
mod reauthentication;
mod reset;
mod signup;
mod stay;
mod store;
mod strength;
mod throttle;
mod time_zone;
mod unkept_cookie;
mod verify;

use std::future::{Ready, ready};
use std::pin::Pin;

use actix_web::middleware::from_fn;
use actix_web::{HttpResponse, web};

pub use crate::mail::{Email, EmailError};
pub use known_browser::{ClaimedBrowser, KnownBrowser};
pub use password::{Hasher, Password, PasswordError};
pub use signup::SignUpRefused;
pub use store::users;

use crate::clock::{Clock, UnixSeconds};
use crate::database::{self, Database, Transaction};
use crate::sessions::{Audience, CurrentUser, Ending, Issued, Sessions, cookie, guard};
use crate::web::{Client, Error, Zone, see_other};
use activity::{Entry, Event};
use strength::StrengthQueue;

/// Browsers and networks that were not used for so long are forgotten.
const KEPT_DAYS: i64 = 90;

type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T, database::Error>> + 'a>>;

/// What else happens in the transaction that makes an account: takes the user's id and the time.
pub type OnSignUp = for<'a> fn(&'a mut Transaction, &'a str, UnixSeconds, &'a Clock) -> Work<'a, ()>;

/// What the operator or the mailed link sets going when an address is shown to be someone's: takes the user's id and the
/// address, tells how many orders became theirs.
pub type OnVerified = for<'a> fn(&'a mut Transaction, &'a str, &'a str) -> Work<'a, u64>;

/// What an account loses with an address that turns out not to be its owner's: takes the user's id and the address.
pub type OnReleased = for<'a> fn(&'a mut Transaction, &'a str, &'a str) -> Work<'a, ()>;

/// What else goes when an account is deleted: takes the user's id.
pub type OnDeleted = for<'a> fn(&'a mut Transaction, &'a str) -> Work<'a, ()>;

/// What another feature holds about a user, for them to download.
pub type HeldAbout = for<'a> fn(&'a Database, &'a str) -> Work<'a, serde_json::Value>;

/// What other features do when something happens to an account. The server passes them, so that this feature need not know those.
#[derive(Clone, Copy)]
pub struct Hooks {
    /// When an account is made.
    pub on_sign_up: Option<OnSignUp>,
    /// When an address is shown to be someone's.
    pub on_verified: OnVerified,
    /// When an address turns out not to be the owner's.
    pub on_released: OnReleased,
    /// When an account is deleted.
    pub on_deleted: OnDeleted,
    /// The orders of a user.
    pub orders_of: HeldAbout,
}

/// Makes accounts and knows their owners. Clones share connections and the queue for hashing.
#[derive(Clone)]
pub struct Accounts {
    database: Database,
    clock: Clock,
    sessions: Sessions,
    hasher: Hasher,
    strength_queue: StrengthQueue,
    hooks: Hooks,
}

/// Where someone signs in and for how long.
pub struct Visit<'a> {
    /// The pages or the API.
    pub audience: Audience,
    /// When the session is to end by itself.
    pub ending: Ending,
    /// Where the request came from.
    pub client: &'a Client,
    /// The browser that it claims to come from.
    pub browser: Option<KnownBrowser>,
    /// The time zone that the browser tells.
    pub zone: Option<Zone>,
}

/// Someone who is signed in from now on.
pub struct SignedIn {
    /// The session's token.
    pub issued: Issued,
    browser: Option<KnownBrowser>,
}

impl SignedIn {
    fn set_cookies(&self, response: &mut HttpResponse, now: UnixSeconds) -> Result<(), Error> {
        set_session(response, &self.issued, now)?;
        match &self.browser {
            Some(browser) => response.add_cookie(&browser.cookie()).map_err(|error| Error::Internal(error.into())),
            None => Ok(()),
        }
    }
}

fn has_ended() -> Error {
    Error::Unauthorized("the session has ended".to_owned())
}

fn set_session(response: &mut HttpResponse, issued: &Issued, now: UnixSeconds) -> Result<(), Error> {
    response.add_cookie(&cookie::carry(issued, now)).map_err(|error| Error::Internal(error.into()))
}

impl Accounts {
    /// Accounts in `database`.
    pub fn new(database: Database, clock: Clock, sessions: Sessions, hasher: Hasher, hooks: Hooks) -> Self {
        Self { database, clock, sessions, hasher, strength_queue: StrengthQueue::new(), hooks }
    }

    /// The account that a request is signed in to, if it still is.
    async fn of(&self, user: &CurrentUser) -> Result<store::Account, Error> {
        let now = self.clock.now();
        store::find(&self.database, &user.user_id, &user.session_id, now).await?.ok_or_else(has_ended)
    }

    fn entry<'a>(&self, event: Event, client: &'a Client) -> Entry<'a> {
        Entry { id: self.clock.new_id(), event, client, at: self.clock.now() }
    }

    /// Writes an event alone.
    async fn record(&self, user_id: &str, event: Event, client: &Client) -> Result<(), database::Error> {
        let entry = self.entry(event, client);
        self.database.write_together(async |transaction| activity::record(transaction, user_id, &entry).await).await
    }

    /// The browser of a visit that has just been let in; scripts have none.
    async fn browser_of(&self, visit: &Visit<'_>) -> Result<Option<KnownBrowser>, Error> {
        match visit.audience {
            Audience::Api => Ok(None),
            Audience::Web => self.browser_after(visit.browser.as_ref()).await.map(Some),
        }
    }

    /// The cookie's value for a browser in which its owner was let in: the one that it has, if it is one of ours.
    async fn browser_after(&self, claimed: Option<&KnownBrowser>) -> Result<KnownBrowser, Error> {
        if let Some(browser) = claimed
            && store::browsers::is_ours(&self.database, &browser.hash()).await?
        {
            return Ok(browser.clone());
        }
        KnownBrowser::new().map_err(|error| Error::Internal(error.to_string().into()))
    }

    /// Maintenance: removes some of what nobody needs any more; tells of each step how many rows.
    pub async fn clean(&self) -> [(&'static str, Result<u64, database::Error>); 5] {
        let now = self.clock.now();
        let unused_since = now.plus(-KEPT_DAYS * 86_400);
        [
            ("old audit events", activity::delete_old(&self.database, now).await),
            ("audit events without an account", activity::delete_unowned(&self.database).await),
            ("rate limits", store::throttles::clean(&self.database, now).await),
            ("known browsers", store::browsers::clean(&self.database, unused_since).await),
            ("known networks", store::networks::delete_unused(&self.database, unused_since).await),
        ]
    }
}

/// Routes that need nobody to be signed in.
pub fn configure(routes: &mut web::ServiceConfig) {
    routes
        .service(web::resource("/signup").get(signup::form).post(signup::submit))
        .service(web::resource("/login").get(login::form).post(login::submit))
        .service(web::resource("/logout").post(logout::submit))
        .service(web::resource("/password/strength").post(strength::submit))
        .service(web::resource("/password/forgot").get(reset::forgot_form).post(reset::forgot_submit))
        .service(web::resource("/password/reset").get(reset::form).post(reset::submit))
        .service(web::resource("/verify").get(verify::form).post(verify::submit).wrap(from_fn(guard::reload_arrival)))
        .service(web::resource("/not-me").get(not_me::form).post(not_me::submit).wrap(from_fn(guard::reload_arrival)));
}

/// The way to a section of the account page. The address of a form is asked for, too: by who loads its answer again, or logs in
/// after the session ended under it.
fn section(address: &'static str) -> impl Fn() -> Ready<HttpResponse> + Clone {
    move || ready(see_other(address))
}

/// Routes for below `/account`, behind the guard.
pub fn configure_account(routes: &mut web::ServiceConfig) {
    routes
        .service(web::resource("").get(overview::show))
        .service(web::resource("/verification").get(section("/account#email")).post(verify::send_again))
        .service(web::resource("/password").get(section("/account#password")).post(change_password::submit))
        .service(web::resource("/email").get(section("/account#email")).post(change_email::submit))
        .service(web::resource("/sessions/end").get(section("/account#sessions")).post(devices::end_one))
        .service(web::resource("/sessions/end-others").get(section("/account#sessions")).post(devices::end_others))
        .service(web::resource("/activity").get(overview::all_activity))
        .service(web::resource("/export").get(section("/account#data")).post(export::submit))
        .service(web::resource("/delete").get(delete::form).post(delete::submit))
        .service(web::resource("/time-zone").get(time_zone::form).post(time_zone::submit))
        .service(web::resource("/stay").post(stay::submit));
}

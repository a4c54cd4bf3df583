//! Accounts: sign-up, login, logout, recovery, settings, and the operator's commands.
//!
//! | module | purpose | routes |
//! |---|---|---|
//! | `login/` | login, logout, sign-up, extending a session | `/login`, `/logout`, `/signup`, `/account/session/extend` |
//! | `recovery/` | mailed links: confirm an address, reset a password, undo a change | `/verify`, `/password/forgot`, `/password/reset`, `/not-me` |
//! | `mfa/` | factors besides the password | `/login/code`, `/account/mfa`, … |
//! | `settings/` | the account page and its forms | `/account/…` |
//! | `reauthentication.rs` | the check of all factors before a sensitive change | |
//! | `session_start.rs` | what every login ends with | |
//! | `password/` | password rules, hashing, strength meter, breached passwords | `/password/strength` |
//! | `rate_limits.rs` | the rate limits of logins and mail | |
//! | `trusted_browser/`, `trusted_network/` | where attackers' failures do not limit the owner | |
//! | `audit/` | the events of an account | |
//! | `metrics.rs` | metrics of logins | |
//! | `security_notice.rs` | mail about sensitive changes | |
//! | [`operator`] | `order-portal user …` | |
//! | `store.rs` | the table `users` | |
//!
//! Pages and API share [`Accounts`]. Accounts call `orders`, since the orders of a confirmed address become its user's; `orders` knows no account.
//!
//! Invariants:
//! - An unknown address and a wrong password get the same response in the same time.
//! - A password leaves [`Password`] only as an Argon2id hash.
//! - A new password revokes all other sessions and all mailed tokens, except recovery links. A new address revokes all other sessions.
//! - A mailed link confirms an address only in a session of the account that requested it, or with its password (`recovery/verify.rs`).
//! - A sensitive change always requires all factors in the same form, and the owner of the account's former address can undo it
//!   (`recovery/not_me.rs`).

mod audit;
mod login;
mod metrics;
mod mfa;
mod notice;
pub mod operator;
mod password;
mod rate_limits;
mod reauthentication;
mod recovery;
mod security_notice;
mod session_start;
mod settings;
mod store;
mod trusted_browser;
mod trusted_network;

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::{HttpResponse, web};

pub use audit::AuditRetention;
pub use login::{LogIn, SignUp, SignUpErrors};
pub use mfa::{Passkeys, SealingKeys, passkey_endpoints};
pub use notice::AccountNotice;
pub use password::{
    BreachedPasswords, BuildError, Built, FilterError, Hasher, Password, PasswordCheck, PasswordError,
    build_breached_passwords,
};
pub use session_start::{LoggedIn, LoginContext};
pub use trusted_browser::{ClaimedBrowser, TrustedBrowser};

use crate::clock::Clock;
use crate::database::{self, Database};
use crate::domain::{UnixSeconds, UserId, days};
use crate::rate_limit;
use crate::sessions::{CurrentUser, Sessions, guard};
use crate::web::{Client, Error, see_other};
use audit::{Event, NewAuditEvent};
use password::StrengthQueue;
use reauthentication::{ReauthErrors, ReauthForm, RotatedSession};

/// Trusted browsers and networks that were not used for this time are deleted.
const UNUSED_RETENTION: Duration = days(90);

/// Whether a new account starts with sample orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleOrders {
    Added,
    None,
}

/// What the operator has set.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    pub sample_orders: SampleOrders,
    pub audit_retention: AuditRetention,
}

/// The dependencies that all account features share. Clones share connections and the hashing queue.
#[derive(Clone)]
pub struct Accounts {
    database: Database,
    clock: Clock,
    sessions: Sessions,
    hasher: Hasher,
    strength_queue: StrengthQueue,
    policy: Policy,
    /// Shared, because keys of the library cannot be cloned.
    sealing_keys: Arc<SealingKeys>,
    passkeys: Arc<Passkeys>,
}

fn session_ended() -> Error {
    Error::Unauthorized("the session has ended".to_owned())
}

impl Accounts {
    pub fn new(
        database: Database,
        clock: Clock,
        sessions: Sessions,
        hasher: Hasher,
        policy: Policy,
        sealing_keys: SealingKeys,
        passkeys: Passkeys,
    ) -> Self {
        let (sealing_keys, passkeys) = (Arc::new(sealing_keys), Arc::new(passkeys));
        let strength_queue = StrengthQueue::new();
        Self { database, clock, sessions, hasher, strength_queue, policy, sealing_keys, passkeys }
    }

    /// The account of an authenticated request, if the session is still active.
    async fn find_account(&self, user: &CurrentUser) -> Result<store::Account, Error> {
        let now = self.clock.now();
        let account = store::find_by_session(&self.database, &user.user_id, &user.session_id, now).await?;
        account.ok_or_else(session_ended)
    }

    fn audit_event<'a>(&self, event: Event, client: &'a Client) -> NewAuditEvent<'a> {
        NewAuditEvent { id: self.clock.new_id(), event, client, at: self.clock.now() }
    }

    /// Earlier audit events are no longer shown.
    fn events_since(&self) -> UnixSeconds {
        self.policy.audit_retention.until(self.clock.now())
    }

    /// Records an event in a transaction of its own.
    async fn record(&self, user_id: &UserId, event: Event, client: &Client) -> Result<(), database::Error> {
        let new = self.audit_event(event, client);
        self.database.write_together(async |transaction| audit::record(transaction, user_id, &new).await).await
    }

    /// Maintenance: deletes a batch of expired rows of each kind; returns how many.
    pub async fn delete_expired(&self) -> [(&'static str, Result<u64, database::Error>); 9] {
        let now = self.clock.now();
        let unused_since = now - UNUSED_RETENTION;
        [
            ("old audit events", audit::delete_old(&self.database, self.events_since()).await),
            ("audit events without an account", audit::delete_unowned(&self.database).await),
            ("rate limits", rate_limit::delete_expired(&self.database, now).await),
            ("logins without a code", mfa::delete_expired_logins(&self.database, now).await),
            ("unfinished setups of factors", mfa::delete_expired_setups(&self.database, now).await),
            ("used passkey challenges", mfa::delete_used_challenges(&self.database, now).await),
            ("secrets under a previous key", self.reseal_factors().await),
            ("trusted browsers", trusted_browser::store::delete_unused(&self.database, unused_since).await),
            ("trusted networks", trusted_network::store::delete_unused(&self.database, unused_since).await),
        ]
    }
}

/// Registers the metrics of logins, their rate limits, and the hashing queue.
pub fn register_metrics() {
    metrics::register_metrics();
    password::metrics::register_metrics();
    rate_limit::register_metrics(rate_limits::REJECTING);
}

/// Public routes.
pub fn configure(routes: &mut web::ServiceConfig) {
    use login::{log_in, log_out, sign_up};
    use password::strength;
    use recovery::{not_me, reset, verify};
    let reload = guard::reload_from_same_site;
    routes
        .service(web::resource("/signup").get(sign_up::form).post(sign_up::submit))
        .service(web::resource("/login").get(log_in::form).post(log_in::submit))
        .service(web::resource("/logout").post(log_out::submit))
        .service(web::resource("/password/strength").post(strength::submit))
        .service(web::resource("/password/forgot").get(reset::forgot_form).post(reset::forgot_submit))
        .service(web::resource("/password/reset").get(reset::form).post(reset::submit))
        .service(web::resource("/verify").get(verify::form).post(verify::submit).wrap(from_fn(reload)))
        .service(web::resource("/not-me").get(not_me::form).post(not_me::submit).wrap(from_fn(reload)))
        .configure(mfa::configure);
}

/// Redirects to a section of the account page. Browsers request the URL of a form with GET when its response is reloaded, and after a
/// login that interrupted the form.
fn section(address: &'static str) -> impl Fn() -> Ready<HttpResponse> + Clone {
    move || ready(see_other(address))
}

/// Guarded routes below `/account`.
pub fn configure_account(routes: &mut web::ServiceConfig) {
    use login::extend_session;
    use recovery::verify;
    use settings::{
        account_page, change_email, change_password, data_export, delete_account, order_mails, sessions_page, time_zone,
    };
    routes
        .service(web::resource("").get(account_page::show))
        .service(web::resource("/verification").get(section("/account#email")).post(verify::send_again))
        .service(web::resource("/password").get(section("/account#password")).post(change_password::submit))
        .service(web::resource("/email").get(section("/account#email")).post(change_email::submit))
        .service(web::resource("/sessions/end").get(section("/account#sessions")).post(sessions_page::revoke_one))
        .service(
            web::resource("/sessions/end-others").get(section("/account#sessions")).post(sessions_page::revoke_others),
        )
        .service(web::resource("/activity").get(account_page::all_activity))
        .service(web::resource("/export").get(section("/account#data")).post(data_export::submit))
        .service(web::resource("/delete").get(delete_account::form).post(delete_account::submit))
        .service(web::resource("/order-mails").get(section("/account#order-mails")).post(order_mails::submit))
        .service(web::resource("/time-zone").get(time_zone::form).post(time_zone::submit))
        .service(web::resource("/session/extend").get(section("/account")).post(extend_session::submit))
        // The former address, for scripts that are still cached or open in a browser.
        .service(web::resource("/stay").get(section("/account")).post(extend_session::submit))
        .configure(mfa::configure_account);
}

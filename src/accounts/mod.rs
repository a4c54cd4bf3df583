//! Who someone is: sign-up, login, logout, and the operator's hand on accounts.
//!
//! Routes: `/signup`, `/login`, `/logout`. Hands out [`Accounts`] (what pages and the API both call) and [`Email`].
//!
//! Invariants: an unknown address and a wrong password take the same time and read the same; no password leaves
//! [`Password`] but as an Argon2id hash.

mod login;
mod logout;
mod password;
mod signup;
mod store;

use std::pin::Pin;

use actix_web::web;

pub use crate::mail::{Email, EmailError};
pub use password::{Hasher, Password, PasswordError};
pub use store::users;

use crate::clock::{Clock, UnixSeconds};
use crate::database::{self, Database, Transaction};
use crate::sessions::{Audience, Ending, Issued, Sessions};
use crate::web::{Client, Error};

/// What else happens in the transaction that makes an account: the server passes what other features offer, so that this
/// one need not know them.
pub type OnSignUp = for<'a> fn(
    &'a mut Transaction,
    &'a str,
    UnixSeconds,
    &'a Clock,
) -> Pin<Box<dyn Future<Output = Result<(), database::Error>> + 'a>>;

/// What the operator or the mailed link sets going when an address is shown to be someone's: takes the user's id and the
/// address, tells how many orders became theirs.
pub type OnVerified = for<'a> fn(
    &'a mut Transaction,
    &'a str,
    &'a str,
) -> Pin<Box<dyn Future<Output = Result<u64, database::Error>> + 'a>>;

/// Makes accounts and knows their owners. Clones share connections and the queue for hashing.
#[derive(Clone)]
pub struct Accounts {
    database: Database,
    clock: Clock,
    sessions: Sessions,
    hasher: Hasher,
    on_sign_up: Option<OnSignUp>,
}

/// Why no account was made: what to say beside each field.
#[derive(Debug, Default)]
pub struct SignUpRefused {
    /// What is wrong with the address.
    pub email: Option<String>,
    /// What is wrong with the password.
    pub password: Option<String>,
}

impl Accounts {
    /// Accounts in `database`; `on_sign_up` runs in the transaction that makes one.
    pub fn new(
        database: Database,
        clock: Clock,
        sessions: Sessions,
        hasher: Hasher,
        on_sign_up: Option<OnSignUp>,
    ) -> Self {
        Self { database, clock, sessions, hasher, on_sign_up }
    }

    /// Makes an account and signs its owner in.
    ///
    /// # Errors
    /// [`Error::Busy`] when too many passwords wait to be hashed, or the database's.
    pub async fn sign_up(
        &self,
        email: &str,
        password: &str,
        audience: Audience,
        client: &Client,
    ) -> Result<Result<Issued, SignUpRefused>, Error> {
        let (email, password) = match (Email::parse(email), Password::choose(password, email)) {
            (Ok(email), Ok(password)) => (email, password),
            (email, password) => return Ok(Err(refused(email.err(), password.err()))),
        };
        if store::exists(&self.database, &email).await? {
            return Ok(Err(taken()));
        }
        let hash = self.hasher.hash(password).await?;
        let Some(user_id) = self.add(&email, &hash).await? else {
            return Ok(Err(taken()));
        };
        tracing::info!(user = %user_id, "an account was made");
        let started = self.sessions.start(&user_id, &hash, audience, Ending::Idle, client).await?;
        started.map(Ok).ok_or_else(|| Error::Internal("the account just made is gone".into()))
    }

    async fn add(&self, email: &Email, hash: &str) -> Result<Option<String>, database::Error> {
        let (user_id, now) = (self.clock.new_id(), self.clock.now());
        self.database
            .write(async |transaction| {
                if !store::insert(transaction, &user_id, email, hash, now).await? {
                    return Ok(None);
                }
                if let Some(on_sign_up) = self.on_sign_up {
                    on_sign_up(transaction, &user_id, now, &self.clock).await?;
                }
                Ok(Some(user_id.clone()))
            })
            .await
    }

    /// Signs in whoever owns the address and knows its password; `None` for anyone else, without saying which is wrong.
    ///
    /// # Errors
    /// [`Error::Busy`] when too many passwords wait to be checked, or the database's.
    pub async fn log_in(
        &self,
        email: &str,
        password: &str,
        audience: Audience,
        ending: Ending,
        client: &Client,
    ) -> Result<Option<Issued>, Error> {
        let account = match Email::parse(email) {
            Ok(email) => store::find_by_email(&self.database, &email).await?,
            Err(_) => None,
        };
        let stored = account.as_ref().map(|account| account.password_hash.as_str());
        let is_right = self.hasher.verify(Password::offered(password), stored).await?;
        let Some(account) = account.filter(|_| is_right) else {
            tracing::info!("a sign-in failed");
            return Ok(None);
        };
        let hash = self.with_current_parameters(&account, password).await?;
        let started = self.sessions.start(&account.id, &hash, audience, ending, client).await?;
        tracing::info!(user = %account.id, done = started.is_some(), "a sign-in");
        Ok(started)
    }

    /// A hash made with older parameters is renewed while the password is at hand (OWASP Password Storage Cheat
    /// Sheet, "Upgrading the Work Factor").
    async fn with_current_parameters(&self, account: &store::Account, password: &str) -> Result<String, Error> {
        if self.hasher.is_current(&account.password_hash) {
            return Ok(account.password_hash.clone());
        }
        let renewed = self.hasher.hash(Password::offered(password)).await?;
        let is_stored = store::replace_hash(&self.database, &account.id, &account.password_hash, &renewed).await?;
        Ok(if is_stored { renewed } else { account.password_hash.clone() })
    }
}

fn refused(email: Option<EmailError>, password: Option<PasswordError>) -> SignUpRefused {
    SignUpRefused { email: email.map(|error| error.to_string()), password: password.map(|error| error.to_string()) }
}

fn taken() -> SignUpRefused {
    let email = Some("This address already has an account. Log in instead.".to_owned());
    SignUpRefused { email, password: None }
}

/// Routes of the pages.
pub fn configure(routes: &mut web::ServiceConfig) {
    routes
        .service(web::resource("/signup").get(signup::form).post(signup::submit))
        .service(web::resource("/login").get(login::form).post(login::submit))
        .service(web::resource("/logout").post(logout::submit));
}

//! Making an account.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::activity::{self, Event};
use super::{Accounts, ClaimedBrowser, EmailError, KnownBrowser, PasswordError, SignedIn, Visit, store, throttle};
use crate::clock::Clock;
use crate::database;
use crate::mail::{self, Email, Message, Occasion};
use crate::sessions::{Audience, CurrentUser, Ending, Issued, MaybeAuthenticated};
use crate::web::body::Form;
use crate::web::{Client, Error, Layout, Notice, Zone, page, see_other};

/// Why no account was made: what to say beside each field.
#[derive(Debug, Default)]
pub struct SignUpRefused {
    /// What is wrong with the address.
    pub email: Option<String>,
    /// What is wrong with the password.
    pub password: Option<String>,
}

#[derive(Template)]
#[template(path = "accounts/signup.html")]
struct SignupPage {
    layout: Layout,
    email: String,
    email_error: Option<String>,
    password_error: Option<String>,
}

pub(super) async fn form(layout: Layout, user: Option<CurrentUser>) -> Result<HttpResponse, Error> {
    if user.is_some() {
        return Ok(see_other("/orders"));
    }
    show(StatusCode::OK, layout, String::new(), SignUpRefused::default())
}

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct SignupForm {
    email: String,
    password: String,
    /// Filled in by the script.
    #[serde(default)]
    zone: String,
}

pub(super) async fn submit(
    client: Client,
    browser: ClaimedBrowser,
    accounts: web::Data<Accounts>,
    clock: web::Data<Clock>,
    MaybeAuthenticated { user, layout, body: Form(form) }: MaybeAuthenticated<Form<SignupForm>>,
) -> Result<HttpResponse, Error> {
    if user.is_some() {
        return Ok(see_other("/orders"));
    }
    let zone = Zone::parse(&form.zone);
    let visit = Visit { audience: Audience::Web, ending: Ending::Idle, client: &client, browser: browser.0, zone };
    match accounts.sign_up(&form.email, &form.password, visit).await? {
        Ok(signed_in) => {
            let mut response = see_other("/orders");
            signed_in.set_cookies(&mut response, clock.now())?;
            Notice::SignedUp.show_next(&mut response);
            Ok(response)
        }
        Err(refused) => show(StatusCode::UNPROCESSABLE_ENTITY, layout, form.email, refused),
    }
}

fn show(status: StatusCode, layout: Layout, email: String, refused: SignUpRefused) -> Result<HttpResponse, Error> {
    page(status, &SignupPage { layout, email, email_error: refused.email, password_error: refused.password })
}

/// Whether the mail that confirms the address leaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Confirmation {
    Sent,
    /// The address has had as many as it may.
    Capped,
}

impl Accounts {
    /// Makes an account, signs its owner in and sends a link that shows the address to be theirs.
    ///
    /// # Errors
    /// [`Error::Throttled`], [`Error::Busy`] when too many passwords wait to be hashed, or the database's.
    pub async fn sign_up(
        &self,
        email: &str,
        password: &str,
        visit: Visit<'_>,
    ) -> Result<Result<SignedIn, SignUpRefused>, Error> {
        throttle::count(&self.database, &self.clock, &throttle::of_sign_up(visit.client.address)).await?;
        let email = Email::parse(email);
        let known = email.as_ref().map(Email::as_str).unwrap_or_default();
        let chosen = self.hasher.choose(password, known).await?;
        let (email, password) = match (email, chosen) {
            (Ok(email), Ok(password)) => (email, password),
            (email, password) => return Ok(Err(refused(email.err(), password.err()))),
        };
        if store::is_taken(&self.database, &email, self.clock.now()).await? {
            return Ok(Err(taken()));
        }
        let hash = self.hasher.hash(password).await?;
        let browser = self.browser_of(&visit).await?;
        // Without the mail the account is made all the same: its page offers to send it again.
        let confirmation = match self.count_confirmation(&email).await {
            Ok(()) => Confirmation::Sent,
            Err(Error::Throttled { .. }) => Confirmation::Capped,
            Err(error) => return Err(error),
        };
        match self.add(&email, &hash, &visit, browser.as_ref(), confirmation).await? {
            Some(issued) => Ok(Ok(SignedIn { issued, browser })),
            None => Ok(Err(taken())),
        }
    }

    /// The account with its first session; `None` when somebody else has the address by now.
    async fn add(
        &self,
        email: &Email,
        hash: &str,
        visit: &Visit<'_>,
        browser: Option<&KnownBrowser>,
        confirmation: Confirmation,
    ) -> Result<Option<Issued>, database::Error> {
        let client = visit.client;
        let (user_id, now) = (self.clock.new_id(), self.clock.now());
        let network = throttle::network(client.address);
        let welcome = Message::Verify(Occasion::new(now, client));
        self.database
            .write_together(async |transaction| {
                if !store::insert(transaction, &user_id, email, hash, now).await? {
                    return Ok(None);
                }
                if let Some(on_sign_up) = self.hooks.on_sign_up {
                    on_sign_up(transaction, &user_id, now, &self.clock).await?;
                }
                if let Some(zone) = &visit.zone {
                    store::guess_zone(transaction, &user_id, zone).await?;
                }
                if let Some(browser) = browser {
                    store::browsers::remember(transaction, &user_id, &browser.hash(), now).await?;
                }
                store::networks::remember(transaction, &user_id, &network, now).await?;
                activity::record(transaction, &user_id, &self.entry(Event::SignedUp, client)).await?;
                if confirmation == Confirmation::Sent {
                    mail::post(transaction, &self.clock, email, Some(&user_id), &welcome).await?;
                }
                self.sessions.start(transaction, &user_id, hash, visit.audience, visit.ending, client).await
            })
            .await
    }
}

fn refused(email: Option<EmailError>, password: Option<PasswordError>) -> SignUpRefused {
    SignUpRefused { email: email.map(|error| error.to_string()), password: password.map(|error| error.to_string()) }
}

fn taken() -> SignUpRefused {
    let email = Some("This address already has an account. Log in instead.".to_owned());
    SignUpRefused { email, password: None }
}

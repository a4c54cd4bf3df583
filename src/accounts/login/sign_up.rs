//! `/signup`.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use crate::accounts::audit::{self, Event};
use crate::accounts::{
    AccountNotice, Accounts, ClaimedBrowser, LoggedIn, LoginContext, PasswordCheck, PasswordError, SampleOrders,
    TrustedBrowser, rate_limits, store, trusted_browser, trusted_network,
};
use crate::database;
use crate::domain::{Email, EmailError, UserId};
use crate::mail::{self, Message, RequestOrigin};
use crate::orders;
use crate::rate_limit;
use crate::sessions::{CurrentUser, Expiry, Issued, MaybeAuthenticated, NewSession};
use crate::web::body::Form;
use crate::web::{Client, Error, Layout, Notice, page, see_other};

/// The result of a sign-up.
pub enum SignUp {
    Created(LoggedIn),
    Rejected(SignUpErrors),
}

/// The messages for the fields of the form.
#[derive(Debug, Default)]
pub struct SignUpErrors {
    pub email: Option<String>,
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

pub async fn form(layout: Layout, user: Option<CurrentUser>) -> Result<HttpResponse, Error> {
    if user.is_some() {
        return Ok(see_other("/orders"));
    }
    render(StatusCode::OK, layout, String::new(), SignUpErrors::default())
}

#[derive(Deserialize)]
pub struct SignupForm {
    email: String,
    password: String,
    /// Set by the script.
    #[serde(default)]
    zone: String,
}

pub async fn submit(
    client: Client,
    browser: ClaimedBrowser,
    accounts: web::Data<Accounts>,
    MaybeAuthenticated { user, layout, body: Form(form) }: MaybeAuthenticated<Form<SignupForm>>,
) -> Result<HttpResponse, Error> {
    if user.is_some() {
        return Ok(see_other("/orders"));
    }
    let context = LoginContext::of_page(Expiry::Idle, &client, browser, &form.zone);
    match accounts.sign_up(&form.email, &form.password, context).await? {
        SignUp::Created(logged_in) => {
            let mut response = see_other("/orders");
            logged_in.set_cookies(&mut response)?;
            AccountNotice::SignedUp.show_next(&mut response);
            Ok(response)
        }
        SignUp::Rejected(errors) => render(StatusCode::UNPROCESSABLE_ENTITY, layout, form.email, errors),
    }
}

fn render(status: StatusCode, layout: Layout, email: String, errors: SignUpErrors) -> Result<HttpResponse, Error> {
    page(status, &SignupPage { layout, email, email_error: errors.email, password_error: errors.password })
}

/// Whether the mail that confirms the address is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ConfirmationMail {
    Sent,
    RateLimited,
}

impl Accounts {
    /// Creates an account, logs in, and sends a link that confirms the address.
    ///
    /// # Errors
    /// [`Error::RateLimited`], [`Error::Busy`] if the hashing queue is full, or the database's.
    pub async fn sign_up(&self, email: &str, password: &str, context: LoginContext<'_>) -> Result<SignUp, Error> {
        let counters = rate_limits::sign_up(context.client.address);
        rate_limit::count(&self.database, &self.clock, &counters).await?;
        let email = Email::parse(email);
        let known = email.as_ref().map(Email::as_str).unwrap_or_default();
        let checked = self.hasher.validate(password, known).await?;
        let (email, password) = match (email, checked) {
            (Ok(email), PasswordCheck::Accepted(password)) => (email, password),
            (email, checked) => return Ok(SignUp::Rejected(sign_up_errors(email.err(), checked.error()))),
        };
        if store::is_taken(&self.database, &email, self.clock.now()).await? {
            return Ok(SignUp::Rejected(email_is_taken()));
        }
        let hash = self.hasher.hash(password).await?;
        let browser = self.browser_of(&context).await?;
        // Without the mail the account is created anyway: its page offers to send the mail again.
        let confirmation = match self.count_confirmation(&email).await {
            Ok(()) => ConfirmationMail::Sent,
            Err(Error::RateLimited { .. }) => ConfirmationMail::RateLimited,
            Err(error) => return Err(error),
        };
        Ok(match self.create_account(&email, &hash, &context, browser.as_ref(), confirmation).await? {
            Some(issued) => SignUp::Created(LoggedIn { issued, browser }),
            None => SignUp::Rejected(email_is_taken()),
        })
    }

    /// Stores the account with its first session; `None` if somebody else has got the address meanwhile.
    async fn create_account(
        &self,
        email: &Email,
        password_hash: &str,
        context: &LoginContext<'_>,
        browser: Option<&TrustedBrowser>,
        confirmation: ConfirmationMail,
    ) -> Result<Option<Issued>, database::Error> {
        let LoginContext { audience, expiry, client, .. } = *context;
        let (user_id, now) = (UserId::new(self.clock.new_id()), self.clock.now());
        let shop_zone = self.sessions.default_zone();
        let network = trusted_network::hash(&user_id, &rate_limit::network(client.address));
        let message = Message::Verify(RequestOrigin::new(now, client));
        let new = NewSession { user_id: &user_id, password_hash, audience, expiry, client };
        self.database
            .write_together(async |transaction| {
                if !store::insert(transaction, &user_id, email, password_hash, now).await? {
                    return Ok(None);
                }
                if let Some(zone) = &context.zone {
                    store::set_detected_zone(transaction, &user_id, zone).await?;
                }
                match self.policy.sample_orders {
                    SampleOrders::Added => {
                        orders::add_samples(transaction, &user_id, shop_zone, now, &self.clock).await?;
                    }
                    SampleOrders::None => orders::start_totals(transaction, &user_id, shop_zone).await?,
                }
                if let Some(browser) = browser {
                    trusted_browser::store::TABLE.trust(transaction, &user_id, &browser.hash(), now).await?;
                }
                trusted_network::store::TABLE.trust(transaction, &user_id, &network, now).await?;
                audit::record(transaction, &user_id, &self.audit_event(Event::SignedUp, client)).await?;
                if confirmation == ConfirmationMail::Sent {
                    mail::enqueue(transaction, &self.clock, email, Some(&user_id), &message).await?;
                }
                self.sessions.start(transaction, &new).await
            })
            .await
    }
}

fn sign_up_errors(email: Option<EmailError>, password: Option<PasswordError>) -> SignUpErrors {
    SignUpErrors { email: email.map(|error| error.to_string()), password: password.map(|error| error.to_string()) }
}

fn email_is_taken() -> SignUpErrors {
    let email = Some("This address already has an account. Log in instead.".to_owned());
    SignUpErrors { email, password: None }
}

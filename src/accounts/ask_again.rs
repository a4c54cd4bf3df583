//! Asking for the password again before what could take an account over (ASVS 5.0 V7.5.1), unless it was given in the last ten
//! minutes. What was typed so far goes along, so nothing is lost.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use askama::Template;

use super::activity::Event;
use super::throttle::{self, Counter};
use super::{Accounts, Password, has_ended, set_session, store};
use crate::sessions::{CurrentUser, Issued};
use crate::web::{Client, Error, Layout, page};

/// Seconds for which a password that was given is enough.
const ENOUGH_FOR: i64 = 10 * 60;

/// What the customer is about to do.
pub(super) struct Question<'a> {
    /// `Change your e-mail address`
    pub title: &'a str,
    /// Where the form goes.
    pub action: &'a str,
    /// What it held besides the password.
    pub fields: Vec<(&'a str, &'a str)>,
    /// Whether a file comes of it: then the page stays, and its button may be pressed again.
    pub is_download: bool,
}

/// The customer is who they say.
pub(super) struct Confirmed {
    /// The session's id from now on.
    pub session_id: String,
    issued: Option<Issued>,
}

impl Confirmed {
    /// Has the answer carry the session on under its new id, if it got one; also where what was asked for failed after all: the old id
    /// is dead, and without the new one the customer would be logged out.
    pub(super) fn carry(
        &self,
        answer: Result<HttpResponse, Error>,
        accounts: &Accounts,
    ) -> Result<HttpResponse, Error> {
        let mut response = answer.unwrap_or_else(|error| error.error_response());
        if let Some(issued) = &self.issued {
            set_session(&mut response, issued, accounts.clock.now())?;
        }
        Ok(response)
    }
}

#[derive(Template)]
#[template(path = "accounts/ask_again.html")]
struct AskAgainPage {
    layout: Layout,
    title: String,
    action: String,
    fields: Vec<(String, String)>,
    is_download: bool,
    error: Option<String>,
}

impl Accounts {
    /// Lets the customer go on, or answers with the page that asks for the password.
    pub(super) async fn ask_again(
        &self,
        layout: &Layout,
        user: &CurrentUser,
        client: &Client,
        password: &str,
        question: Question<'_>,
    ) -> Result<Result<Confirmed, HttpResponse>, Error> {
        let account = self.of(user).await?;
        if self.clock.now().since(user.confirmed_at) < ENOUGH_FOR {
            return Ok(Ok(Confirmed { session_id: user.session_id.clone(), issued: None }));
        }
        let error = if password.is_empty() {
            None
        } else if self.is_password_of(&account, password, client).await? {
            return self.confirmed(user).await.map(Ok);
        } else {
            Some("That is not your password. Try again.".to_owned())
        };
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let asked = AskAgainPage {
            layout: layout.clone(),
            title: question.title.to_owned(),
            action: question.action.to_owned(),
            fields: question.fields.into_iter().map(owned).collect(),
            is_download: question.is_download,
            error,
        };
        page(StatusCode::UNPROCESSABLE_ENTITY, &asked).map(Err)
    }

    /// Notes in the session that the password was given.
    pub(super) async fn confirmed(&self, user: &CurrentUser) -> Result<Confirmed, Error> {
        let (session_id, issued) = self.sessions.confirm(user).await?.ok_or_else(has_ended)?;
        Ok(Confirmed { session_id, issued: Some(issued) })
    }

    /// Whether the password is the account's; tries are counted and wrong ones noted.
    pub(super) async fn is_password_of(
        &self,
        account: &store::Account,
        password: &str,
        client: &Client,
    ) -> Result<bool, Error> {
        let counters = [Counter::new(throttle::CONFIRM, &[&account.id])];
        throttle::count(&self.database, &self.clock, &counters).await?;
        if !self.hasher.verify(Password::offered(password), Some(&account.password_hash)).await? {
            self.record(&account.id, Event::ConfirmFailed, client).await?;
            return Ok(false);
        }
        self.database
            .write_together(async |transaction| store::throttles::give_back(transaction, &counters).await)
            .await?;
        Ok(true)
    }
}

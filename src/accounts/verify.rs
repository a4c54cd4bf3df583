//! Showing that an address is its owner's: the mailed link's page, and sending the link again.
//!
//! The page changes nothing: programs that look through mail follow links. Its button does.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::activity::{self, Event};
use super::{Accounts, store, throttle};
use crate::database;
use crate::mail::links::{self, Link, Purpose, Token};
use crate::mail::{self, Email, Message, Occasion};
use crate::sessions::{Authenticated, MaybeAuthenticated};
use crate::web::body::Form;
use crate::web::{Client, Error, Layout, NextPath, Notice, page, see_other};

#[derive(Template)]
#[template(path = "accounts/verify.html")]
struct VerifyPage {
    layout: Layout,
    token: String,
    email: String,
    is_change: bool,
}

#[derive(Template)]
#[template(path = "accounts/dead_link.html")]
struct DeadLinkPage {
    layout: Layout,
    /// Whether it was for a new password.
    is_reset: bool,
}

/// What the address of a mailed link carries.
#[derive(Deserialize)]
pub(super) struct LinkQuery {
    #[serde(default)]
    pub token: String,
}

pub(super) async fn form(
    layout: Layout,
    accounts: web::Data<Accounts>,
    query: web::Query<LinkQuery>,
) -> Result<HttpResponse, Error> {
    let link = accounts.link(&query.token).await?.filter(|(_, link)| link.purpose != Purpose::Reset);
    let Some((token, link)) = link else {
        return dead_link(StatusCode::NOT_FOUND, layout, Purpose::Verify);
    };
    let is_change = link.purpose == Purpose::ChangeEmail;
    let shown = VerifyPage { layout, token: token.as_str().to_owned(), email: link.email, is_change };
    without_referrer(page(StatusCode::OK, &shown)?)
}

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct VerifyForm {
    token: String,
}

pub(super) async fn submit(
    client: Client,
    accounts: web::Data<Accounts>,
    MaybeAuthenticated { user, layout, body: Form(form) }: MaybeAuthenticated<Form<VerifyForm>>,
) -> Result<HttpResponse, Error> {
    if !accounts.verify(&form.token, &client).await? {
        return dead_link(StatusCode::UNPROCESSABLE_ENTITY, layout, Purpose::Verify);
    }
    let mut response = see_other(if user.is_some() { "/orders" } else { "/login" });
    Notice::Verified.show_next(&mut response);
    Ok(response)
}

/// A page whose address holds a token: no more of it than this site's name goes anywhere. (With `no-referrer` browsers would not even
/// say whose form they send, and older ones say nothing else.)
pub(super) fn without_referrer(mut response: HttpResponse) -> Result<HttpResponse, Error> {
    response.headers_mut().insert(header::REFERRER_POLICY, header::HeaderValue::from_static("strict-origin"));
    Ok(response)
}

pub(super) fn dead_link(status: StatusCode, layout: Layout, purpose: Purpose) -> Result<HttpResponse, Error> {
    without_referrer(page(status, &DeadLinkPage { layout, is_reset: purpose == Purpose::Reset })?)
}

/// What the button "send again" sends.
#[derive(Deserialize)]
pub(super) struct SendAgainForm {
    #[serde(default)]
    next: String,
}

pub(super) async fn send_again(
    client: Client,
    accounts: web::Data<Accounts>,
    Authenticated { user, body: Form(form), .. }: Authenticated<Form<SendAgainForm>>,
) -> Result<HttpResponse, Error> {
    let account = accounts.of(&user).await?;
    let next = NextPath::parse(&form.next);
    let mut response = see_other(next.as_ref().map_or("/orders", NextPath::as_str));
    if account.verified_at.is_some() {
        Notice::Verified.show_next(&mut response);
        return Ok(response);
    }
    accounts.send_link(&account.email, Some(&user.user_id), &client, Message::Verify, None).await?;
    Notice::VerificationSent.show_next(&mut response);
    Ok(response)
}

impl Accounts {
    /// The link that a token stands for at this moment.
    pub(super) async fn link(&self, token: &str) -> Result<Option<(Token, Link)>, Error> {
        let Some(token) = Token::parse(token) else {
            return Ok(None);
        };
        let link = links::find(&self.database, &token, self.clock.now()).await?;
        Ok(link.map(|link| (token, link)))
    }

    /// Queues a message with a link; asking for it is counted.
    pub(super) async fn send_link(
        &self,
        recipient: &Email,
        user_id: Option<&str>,
        client: &Client,
        message: fn(Occasion) -> Message,
        event: Option<Event>,
    ) -> Result<(), Error> {
        let counters = throttle::of_mail(recipient.as_str(), client.address);
        throttle::count(&self.database, &self.clock, &counters).await?;
        let message = message(Occasion::new(self.clock.now(), client));
        let queued = self.database.write_together(async |transaction| {
            mail::post(transaction, &self.clock, recipient, user_id, &message).await?;
            if let Some(event) = event {
                activity::record_for_address(transaction, recipient, &self.entry(event, client)).await?;
            }
            Ok::<_, database::Error>(())
        });
        Ok(queued.await?)
    }

    /// Does what the link in the mail is for; tells whether the link held.
    async fn verify(&self, token: &str, client: &Client) -> Result<bool, Error> {
        let Some(token) = Token::parse(token) else {
            return Ok(false);
        };
        let now = self.clock.now();
        let done = self
            .database
            .write(async |transaction| {
                let Some(link) = links::redeem(transaction, &token, now).await? else {
                    return Ok::<_, database::Error>(false);
                };
                match link.purpose {
                    Purpose::Verify => self.take_as_owners(transaction, &link, client).await,
                    Purpose::ChangeEmail => self.change_address(transaction, &link, client).await,
                    // Taken back with the transaction: that link is for another page.
                    Purpose::Reset => Err(database::Error::RowNotFound),
                }
            })
            .await;
        match done {
            Err(database::Error::RowNotFound) => Ok(false),
            done => Ok(done?),
        }
    }

    async fn take_as_owners(
        &self,
        transaction: &mut database::Transaction,
        link: &Link,
        client: &Client,
    ) -> Result<bool, database::Error> {
        if !store::verify(transaction, &link.user_id, &link.email, self.clock.now()).await? {
            return Ok(false);
        }
        (self.hooks.on_verified)(transaction, &link.user_id, &link.email).await?;
        links::void(transaction, &link.user_id, Purpose::Verify).await?;
        activity::record(transaction, &link.user_id, &self.entry(Event::AddressVerified, client)).await?;
        Ok(true)
    }
}

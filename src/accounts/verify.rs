//! Showing that an address is its owner's: the mailed link's page, and sending the link again.
//!
//! The page changes nothing: programs that look through mail follow links. Its button does, in a session of the account that asked or
//! with that account's password. Anyone else may own the address and not the account: a stranger who signed up with it would
//! receive its orders on one click of its owner.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::activity::{self, Event};
use super::{Accounts, ClaimedBrowser, Password, Visit, store, throttle};
use crate::database;
use crate::mail::links::{self, Link, Purpose, Token};
use crate::mail::{self, Email, Message, Occasion};
use crate::sessions::{Audience, Authenticated, CurrentUser, Ending, MaybeAuthenticated};
use crate::web::body::Form;
use crate::web::{Client, Error, Layout, NextPath, Notice, page, see_other, wait_in_words};

/// One message for every wrong password, an empty one included.
const WRONG: &str = "That is not the password of the account. Try again.";

#[derive(Template)]
#[template(path = "accounts/verify.html")]
struct VerifyPage {
    layout: Layout,
    token: String,
    email: String,
    /// Whose account is to change, masked; `None` for a sign-up.
    changes: Option<String>,
    /// Whether the account's password is needed, because the request is in no session of the account.
    needs_password: bool,
    error: Option<String>,
}

#[derive(Template)]
#[template(path = "accounts/confirmed.html")]
struct ConfirmedPage {
    layout: Layout,
    email: String,
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
    user: Option<CurrentUser>,
    accounts: web::Data<Accounts>,
    query: web::Query<LinkQuery>,
) -> Result<HttpResponse, Error> {
    match accounts.open(&query.token, user.as_ref()).await? {
        Some(opened) => opened.show(StatusCode::OK, layout, None),
        None => dead_link(StatusCode::NOT_FOUND, layout, Purpose::Verify),
    }
}

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct VerifyForm {
    token: String,
    /// Of the account, where the request is in no session of it.
    #[serde(default)]
    password: String,
}

pub(super) async fn submit(
    client: Client,
    browser: ClaimedBrowser,
    accounts: web::Data<Accounts>,
    MaybeAuthenticated { user, layout, body: Form(form) }: MaybeAuthenticated<Form<VerifyForm>>,
) -> Result<HttpResponse, Error> {
    let Some(opened) = accounts.open(&form.token, user.as_ref()).await? else {
        return dead_link(StatusCode::UNPROCESSABLE_ENTITY, layout, Purpose::Verify);
    };
    if opened.link.is_done {
        return opened.show(StatusCode::UNPROCESSABLE_ENTITY, layout, None);
    }
    if opened.session_id.is_none() {
        let visit =
            Visit { audience: Audience::Web, ending: Ending::Idle, client: &client, browser: browser.0, zone: None };
        match accounts.is_login_password(&opened.account, &form.password, &visit).await {
            Ok(true) => {}
            Ok(false) => return opened.show(StatusCode::UNAUTHORIZED, layout, Some(WRONG.to_owned())),
            Err(Error::Throttled { retry_after }) => {
                let error = format!("Too many wrong passwords. Try again {}.", wait_in_words(retry_after));
                let mut response = opened.show(StatusCode::TOO_MANY_REQUESTS, layout, Some(error))?;
                response.headers_mut().insert(header::RETRY_AFTER, retry_after.into());
                return Ok(response);
            }
            Err(error) => return Err(error),
        }
    }
    if !accounts.verify(&opened, &client).await? {
        return dead_link(StatusCode::UNPROCESSABLE_ENTITY, layout, Purpose::Verify);
    }
    let mut response = see_other(if opened.session_id.is_some() { "/orders" } else { "/login" });
    Notice::Verified.show_next(&mut response);
    Ok(response)
}

/// A link that somebody opened.
struct Opened {
    token: Token,
    link: Link,
    account: store::Account,
    /// The session of the account that the request is in.
    session_id: Option<String>,
}

impl Opened {
    fn show(&self, status: StatusCode, layout: Layout, error: Option<String>) -> Result<HttpResponse, Error> {
        let email = self.link.email.clone();
        if self.link.is_done {
            return without_referrer(page(status, &ConfirmedPage { layout, email })?);
        }
        let shown = VerifyPage {
            layout,
            token: self.token.as_str().to_owned(),
            email,
            changes: (self.link.purpose == Purpose::ChangeEmail).then(|| masked(&self.account.email)),
            needs_password: self.session_id.is_none(),
            error,
        };
        without_referrer(page(status, &shown)?)
    }
}

/// `m…@example.com`
pub(super) fn masked(email: &Email) -> String {
    let (name, domain) = email.as_str().rsplit_once('@').unwrap_or_default();
    format!("{}…@{domain}", name.chars().next().unwrap_or_default())
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
    accounts.count_confirmation(&account.email).await?;
    accounts.send_link(&account.email, Some(&user.user_id), &client, Message::Verify).await?;
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
    ) -> Result<(), Error> {
        let counters = throttle::of_mail(recipient.as_str(), client.address);
        throttle::count(&self.database, &self.clock, &counters).await?;
        let message = message(Occasion::new(self.clock.now(), client));
        let queued = self.database.write_together(async |transaction| {
            mail::post(transaction, &self.clock, recipient, user_id, &message).await
        });
        Ok(queued.await.map(drop)?)
    }

    /// The link to confirm an address, and whether `user` is the owner of its account. One that is done is nobody else's business.
    async fn open(&self, token: &str, user: Option<&CurrentUser>) -> Result<Option<Opened>, Error> {
        let Some((token, link)) = self.link(token).await?.filter(|(_, link)| link.purpose != Purpose::Reset) else {
            return Ok(None);
        };
        let Some(account) = store::find_by_id(&self.database, &link.user_id).await? else {
            return Ok(None);
        };
        let session_id = user.filter(|user| user.user_id == link.user_id).map(|user| user.session_id.clone());
        let is_shown = session_id.is_some() || !link.is_done;
        Ok(is_shown.then_some(Opened { token, link, account, session_id }))
    }

    /// Whether the password is the account's; limited as a login, and noted as one when it is wrong.
    async fn is_login_password(
        &self,
        account: &store::Account,
        password: &str,
        visit: &Visit<'_>,
    ) -> Result<bool, Error> {
        let counters = self.login_counters(&account.email, Some(account), visit).await?;
        throttle::count(&self.database, &self.clock, &counters).await?;
        if !self.hasher.verify(Password::offered(password), Some(&account.password_hash)).await? {
            self.note_failure(&account.email, visit).await?;
            return Ok(false);
        }
        self.database
            .write_together(async |transaction| store::throttles::give_back(transaction, &counters).await)
            .await?;
        Ok(true)
    }

    /// Does what the link in the mail is for; tells whether the link held.
    async fn verify(&self, opened: &Opened, client: &Client) -> Result<bool, Error> {
        let (token, session_id, now) = (&opened.token, opened.session_id.as_deref(), self.clock.now());
        let done = self.database.write(async |transaction| {
            if let Some(session_id) = session_id
                && !store::has_live_session(transaction, &opened.account.id, session_id, now).await?
            {
                return Ok(false);
            }
            let Some(link) = links::redeem(transaction, token, now).await? else {
                return Ok::<_, database::Error>(false);
            };
            let is_done = match link.purpose {
                Purpose::Verify => self.take_as_owners(transaction, &link, client).await?,
                Purpose::ChangeEmail => self.change_address(transaction, &link, session_id, client).await?,
                Purpose::Reset => false,
            };
            if is_done {
                links::keep_as_done(transaction, token, &link, now).await?;
            }
            Ok(is_done)
        });
        Ok(done.await?)
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
        links::unqueue(transaction, &link.user_id, Purpose::Verify).await?;
        activity::record(transaction, &link.user_id, &self.entry(Event::AddressVerified, client)).await?;
        Ok(true)
    }
}

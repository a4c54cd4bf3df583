//! Parts that the pages of mailed links share.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header;
use askama::Template;
use serde::Deserialize;

use crate::accounts::Accounts;
use crate::domain::Email;
use crate::mail::tokens::{self, EmailToken, Purpose, Token};
use crate::web::{Error, Layout, page};

/// The query of a mailed link.
#[derive(Deserialize)]
pub struct LinkQuery {
    #[serde(default)]
    pub token: String,
}

#[derive(Template)]
#[template(path = "accounts/link_expired.html")]
struct LinkExpiredPage {
    layout: Layout,
    is_reset: bool,
}

pub(super) fn link_expired(status: StatusCode, layout: Layout, purpose: Purpose) -> Result<HttpResponse, Error> {
    without_referrer(page(status, &LinkExpiredPage { layout, is_reset: purpose == Purpose::Reset })?)
}

/// For a page whose URL contains a token: `Referer` has only the origin. With `no-referrer` browsers would not send the `Origin` of the
/// form, and older ones send nothing else that identifies it.
pub(super) fn without_referrer(mut response: HttpResponse) -> Result<HttpResponse, Error> {
    response.headers_mut().insert(header::REFERRER_POLICY, header::HeaderValue::from_static("strict-origin"));
    Ok(response)
}

/// `m…@example.com`
pub(super) fn masked(email: &Email) -> String {
    let (name, domain) = email.as_str().rsplit_once('@').unwrap_or_default();
    format!("{}…@{domain}", name.chars().next().unwrap_or_default())
}

impl Accounts {
    /// The stored token of a link, if it is valid now.
    pub(super) async fn find_token(&self, token: &str) -> Result<Option<(Token, EmailToken)>, Error> {
        let Some(token) = Token::parse(token) else {
            return Ok(None);
        };
        let stored = tokens::find(&self.database, &token, self.clock.now()).await?;
        Ok(stored.map(|stored| (token, stored)))
    }
}

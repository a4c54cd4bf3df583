//! Logging in.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::Accounts;
use crate::clock::Clock;
use crate::sessions::{Audience, CurrentUser, Ending, cookie};
use crate::web::body::Form;
use crate::web::{Client, Error, Layout, NextPath, page, see_other};

/// One message, whether or not the address is known.
const WRONG: &str = "The e-mail address and the password do not go together. Check both and try again.";

#[derive(Template)]
#[template(path = "accounts/login.html")]
struct LoginPage {
    layout: Layout,
    email: String,
    next: String,
    remember: bool,
    error: Option<String>,
}

/// What the address of the page may carry.
#[derive(Deserialize)]
pub(super) struct LoginQuery {
    next: Option<String>,
}

pub(super) async fn form(
    layout: Layout,
    user: Option<CurrentUser>,
    query: Option<web::Query<LoginQuery>>,
) -> Result<HttpResponse, Error> {
    if user.is_some() {
        return Ok(see_other("/orders"));
    }
    let next = query.and_then(|query| query.into_inner().next).and_then(|next| NextPath::parse(&next));
    let next = next.map(|next| next.as_str().to_owned()).unwrap_or_default();
    page(StatusCode::OK, &LoginPage { layout, email: String::new(), next, remember: false, error: None })
}

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct LoginForm {
    email: String,
    password: String,
    /// Any value but an empty one means "keep me signed in".
    #[serde(default)]
    remember: String,
    #[serde(default)]
    next: String,
}

pub(super) async fn submit(
    layout: Layout,
    client: Client,
    user: Option<CurrentUser>,
    accounts: web::Data<Accounts>,
    clock: web::Data<Clock>,
    Form(form): Form<LoginForm>,
) -> Result<HttpResponse, Error> {
    if user.is_some() {
        return Ok(see_other("/orders"));
    }
    let next = NextPath::parse(&form.next);
    let remember = !matches!(form.remember.as_str(), "" | "false" | "off" | "0");
    let ending = if remember { Ending::Fixed } else { Ending::Idle };
    match accounts.log_in(&form.email, &form.password, Audience::Web, ending, &client).await? {
        Some(issued) => {
            let mut response = see_other(next.as_ref().map_or("/orders", NextPath::as_str));
            response.add_cookie(&cookie::carry(&issued, clock.now())).map_err(|error| Error::Internal(error.into()))?;
            Ok(response)
        }
        None => {
            let next = next.map(|next| next.as_str().to_owned()).unwrap_or_default();
            let error = Some(WRONG.to_owned());
            page(StatusCode::UNAUTHORIZED, &LoginPage { layout, email: form.email, next, remember, error })
        }
    }
}

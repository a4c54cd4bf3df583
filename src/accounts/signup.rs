//! Making an account.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::{Accounts, SignUpRefused};
use crate::clock::Clock;
use crate::sessions::{Audience, CurrentUser, cookie};
use crate::web::body::Form;
use crate::web::{Client, Error, Layout, Notice, page, see_other};

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
}

pub(super) async fn submit(
    layout: Layout,
    client: Client,
    user: Option<CurrentUser>,
    accounts: web::Data<Accounts>,
    clock: web::Data<Clock>,
    Form(form): Form<SignupForm>,
) -> Result<HttpResponse, Error> {
    if user.is_some() {
        return Ok(see_other("/orders"));
    }
    match accounts.sign_up(&form.email, &form.password, Audience::Web, &client).await? {
        Ok(issued) => {
            let mut response = see_other("/orders");
            response.add_cookie(&cookie::carry(&issued, clock.now())).map_err(|error| Error::Internal(error.into()))?;
            Notice::SignedUp.show_next(&mut response);
            Ok(response)
        }
        Err(refused) => show(StatusCode::UNPROCESSABLE_ENTITY, layout, form.email, refused),
    }
}

fn show(status: StatusCode, layout: Layout, email: String, refused: SignUpRefused) -> Result<HttpResponse, Error> {
    page(status, &SignupPage { layout, email, email_error: refused.email, password_error: refused.password })
}

//! Ending sessions from the account page: one, or all others.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::Accounts;
use super::activity::{self, Event};
use super::ask_again::Question;
use crate::sessions::{self, CurrentUser, Sessions};
use crate::web::body::Form;
use crate::web::{Client, Error, Layout, Notice, see_other};

/// What the button beside a session sends.
#[derive(Deserialize)]
pub(super) struct EndForm {
    session: String,
    /// From the page that asks again.
    #[serde(default)]
    password: String,
}

pub(super) async fn end_one(
    layout: Layout,
    client: Client,
    user: CurrentUser,
    accounts: web::Data<Accounts>,
    sessions: web::Data<Sessions>,
    Form(form): Form<EndForm>,
) -> Result<HttpResponse, Error> {
    let question = Question {
        title: "End a session",
        action: "/account/sessions/end",
        fields: vec![("session", form.session.as_str())],
        is_download: false,
    };
    let confirmed = match accounts.ask_again(&layout, &user, &client, &form.password, question).await? {
        Ok(confirmed) => confirmed,
        Err(asked) => return Ok(asked),
    };
    let mut response = see_other("/account#sessions");
    confirmed.carry(&mut response, &accounts)?;
    // A session goes on under another id once the password was given in it: nobody is told that it ended when it did not.
    if sessions.end_one_of(&user.user_id, &form.session).await? {
        accounts.record(&user.user_id, Event::SessionEnded, &client).await?;
        Notice::SessionEnded.show_next(&mut response);
    }
    Ok(response)
}

/// What the button below all sessions sends.
#[derive(Deserialize)]
pub(super) struct EndOthersForm {
    /// From the page that asks again.
    #[serde(default)]
    password: String,
}

pub(super) async fn end_others(
    layout: Layout,
    client: Client,
    user: CurrentUser,
    accounts: web::Data<Accounts>,
    Form(form): Form<EndOthersForm>,
) -> Result<HttpResponse, Error> {
    let question = Question {
        title: "End all other sessions",
        action: "/account/sessions/end-others",
        fields: Vec::new(),
        is_download: false,
    };
    let confirmed = match accounts.ask_again(&layout, &user, &client, &form.password, question).await? {
        Ok(confirmed) => confirmed,
        Err(asked) => return Ok(asked),
    };
    let mut transaction = accounts.database.begin().await?;
    sessions::end_all_but(&mut transaction, &user.user_id, Some(&confirmed.session_id), accounts.clock.now()).await?;
    let entry = accounts.entry(Event::OtherSessionsEnded, &client);
    activity::record(&mut transaction, &user.user_id, &entry).await?;
    transaction.commit().await?;
    let mut response = see_other("/account#sessions");
    confirmed.carry(&mut response, &accounts)?;
    Notice::OthersEnded.show_next(&mut response);
    Ok(response)
}

//! Ending sessions from the account page: one, or all others.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::Accounts;
use super::activity::{self, Event};
use super::ask_again::Question;
use crate::database;
use crate::sessions::{self, Authenticated, CurrentUser};
use crate::web::body::Form;
use crate::web::{Client, Error, Notice, see_other};

/// What the button beside a session sends.
#[derive(Deserialize)]
pub(super) struct EndForm {
    session: String,
    /// From the page that asks again.
    #[serde(default)]
    password: String,
}

pub(super) async fn end_one(
    client: Client,
    accounts: web::Data<Accounts>,
    Authenticated { user, layout, body: Form(form) }: Authenticated<Form<EndForm>>,
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
    confirmed.carry(accounts.end_one(&user, &form.session, &client).await, &accounts)
}

/// What the button below all sessions sends.
#[derive(Deserialize)]
pub(super) struct EndOthersForm {
    /// From the page that asks again.
    #[serde(default)]
    password: String,
}

pub(super) async fn end_others(
    client: Client,
    accounts: web::Data<Accounts>,
    Authenticated { user, layout, body: Form(form) }: Authenticated<Form<EndOthersForm>>,
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
    confirmed.carry(accounts.end_others(&user, &confirmed.session_id, &client).await, &accounts)
}

impl Accounts {
    async fn end_one(&self, user: &CurrentUser, session_id: &str, client: &Client) -> Result<HttpResponse, Error> {
        let mut response = see_other("/account#sessions");
        // A session goes on under another id once the password was given in it: nobody is told that it ended when it did not.
        let ended = self.database.write_together(async |transaction| {
            let has_ended = self.sessions.end(transaction, &user.user_id, session_id).await?;
            if has_ended {
                let entry = self.entry(Event::SessionEnded, client);
                activity::record(transaction, &user.user_id, &entry).await?;
            }
            Ok::<_, database::Error>(has_ended)
        });
        if ended.await? {
            Notice::SessionEnded.show_next(&mut response);
        }
        Ok(response)
    }

    async fn end_others(&self, user: &CurrentUser, kept: &str, client: &Client) -> Result<HttpResponse, Error> {
        let ended = self.database.write_together(async |transaction| {
            sessions::end_all_but(transaction, &user.user_id, Some(kept), self.clock.now()).await?;
            let entry = self.entry(Event::OtherSessionsEnded, client);
            activity::record(transaction, &user.user_id, &entry).await
        });
        ended.await?;
        let mut response = see_other("/account#sessions");
        Notice::OthersEnded.show_next(&mut response);
        Ok(response)
    }
}

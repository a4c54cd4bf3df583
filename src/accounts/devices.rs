//! Ending sessions from the account page: one, or all others. It takes no password: whoever looks at a list with a stranger in it acts at
//! once, and a thief of a cookie can log its owner out by it and no more.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::Accounts;
use super::activity::{self, Event};
use crate::database;
use crate::sessions::{self, Authenticated, CurrentUser};
use crate::web::body::{Form, IgnoredBody};
use crate::web::{Client, Error, Notice, see_other};

/// What the button beside a session sends.
#[derive(Deserialize)]
pub(super) struct EndForm {
    session: String,
}

pub(super) async fn end_one(
    client: Client,
    accounts: web::Data<Accounts>,
    Authenticated { user, body: Form(form), .. }: Authenticated<Form<EndForm>>,
) -> Result<HttpResponse, Error> {
    accounts.end_one(&user, &form.session, &client).await
}

pub(super) async fn end_others(
    client: Client,
    accounts: web::Data<Accounts>,
    Authenticated { user, .. }: Authenticated<IgnoredBody>,
) -> Result<HttpResponse, Error> {
    accounts.end_others(&user, &client).await
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

    async fn end_others(&self, user: &CurrentUser, client: &Client) -> Result<HttpResponse, Error> {
        let ended = self.database.write_together(async |transaction| {
            sessions::end_all_but(transaction, &user.user_id, Some(&user.session_id), self.clock.now()).await?;
            let entry = self.entry(Event::OtherSessionsEnded, client);
            activity::record(transaction, &user.user_id, &entry).await
        });
        ended.await?;
        let mut response = see_other("/account#sessions");
        Notice::OthersEnded.show_next(&mut response);
        Ok(response)
    }
}

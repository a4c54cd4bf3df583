//! The forms that revoke sessions: one, or all others. They require no password: a customer who sees an unknown session must be able to
//! act at once, and a stolen cookie can do no more with them than log the owner out.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use crate::accounts::Accounts;
use crate::accounts::audit::{self, Event};
use crate::database;
use crate::domain::SessionId;
use crate::sessions::{self, Authenticated, CurrentUser};
use crate::web::body::{Form, IgnoredBody};
use crate::web::{Client, Error, Notice, see_other};

#[derive(Deserialize)]
pub struct RevokeForm {
    session: String,
}

pub async fn revoke_one(
    client: Client,
    accounts: web::Data<Accounts>,
    Authenticated { user, body: Form(form), .. }: Authenticated<Form<RevokeForm>>,
) -> Result<HttpResponse, Error> {
    accounts.revoke_one(&user, &form.session, &client).await
}

pub async fn revoke_others(
    client: Client,
    accounts: web::Data<Accounts>,
    Authenticated { user, .. }: Authenticated<IgnoredBody>,
) -> Result<HttpResponse, Error> {
    accounts.revoke_others(&user, &client).await
}

impl Accounts {
    async fn revoke_one(&self, user: &CurrentUser, session_id: &str, client: &Client) -> Result<HttpResponse, Error> {
        let mut response = see_other("/account#sessions");
        let Some(session_id) = SessionId::parse(session_id) else {
            return Ok(response);
        };
        // The session may have a new id after reauthentication. Then it was not revoked, and no notice says so.
        let revoked = self.database.write_together(async |transaction| {
            let is_revoked = self.sessions.revoke(transaction, &user.user_id, &session_id).await?;
            if is_revoked {
                let event = self.audit_event(Event::SessionRevoked, client);
                audit::record(transaction, &user.user_id, &event).await?;
            }
            Ok::<_, database::Error>(is_revoked)
        });
        if revoked.await? {
            Notice::SessionRevoked.show_next(&mut response);
        }
        Ok(response)
    }

    async fn revoke_others(&self, user: &CurrentUser, client: &Client) -> Result<HttpResponse, Error> {
        let revoked = self.database.write_together(async |transaction| {
            sessions::revoke_others(transaction, &user.user_id, Some(&user.session_id), self.clock.now()).await?;
            let event = self.audit_event(Event::OtherSessionsRevoked, client);
            audit::record(transaction, &user.user_id, &event).await
        });
        revoked.await?;
        let mut response = see_other("/account#sessions");
        Notice::OtherSessionsRevoked.show_next(&mut response);
        Ok(response)
    }
}

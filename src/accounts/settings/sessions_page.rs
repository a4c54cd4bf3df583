//! The forms that revoke sessions: one, or all others. They require no password: a customer who sees an unknown session must be able to
//! act at once, and a stolen cookie can do no more with them than log the owner out.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use crate::accounts::audit::{self, Event};
use crate::accounts::{AccountNotice, Accounts};
use crate::database;
use crate::domain::SessionId;
use crate::sessions::{self, Authenticated};
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
    let mut response = see_other("/account#sessions");
    let Some(session_id) = SessionId::parse(&form.session) else {
        return Ok(response);
    };
    // The session may have a new id after reauthentication. Then it was not revoked, and no notice says so.
    let event = accounts.audit_event(Event::SessionRevoked, &client);
    let revoked = accounts.database.write_together(async |transaction| {
        let is_revoked = accounts.sessions.revoke(transaction, &user.user_id, &session_id).await?;
        if is_revoked {
            audit::record(transaction, &user.user_id, &event).await?;
        }
        Ok::<_, database::Error>(is_revoked)
    });
    if revoked.await? {
        AccountNotice::SessionRevoked.show_next(&mut response);
    }
    Ok(response)
}

pub async fn revoke_others(
    client: Client,
    accounts: web::Data<Accounts>,
    Authenticated { user, .. }: Authenticated<IgnoredBody>,
) -> Result<HttpResponse, Error> {
    let event = accounts.audit_event(Event::OtherSessionsRevoked, &client);
    let revoked = accounts.database.write_together(async |transaction| {
        sessions::revoke_others(transaction, &user.user_id, Some(&user.session_id), event.at).await?;
        audit::record(transaction, &user.user_id, &event).await
    });
    revoked.await?;
    let mut response = see_other("/account#sessions");
    AccountNotice::OtherSessionsRevoked.show_next(&mut response);
    Ok(response)
}

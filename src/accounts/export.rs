//! Everything that is held about the customer, to download.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Accounts;
use super::activity::{self, Event, Happened};
use super::overview::{self, Problems};
use super::store;
use crate::clock::UnixSeconds;
use crate::mail::recoveries;
use crate::sessions::{ActiveSession, Audience, Authenticated, CurrentUser};
use crate::web::body::Form;
use crate::web::{Client, Error};

/// More events than 90 days can honestly hold.
const MOST_EVENTS: i64 = 100_000;

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct ExportForm {
    #[serde(default)]
    password: String,
}

pub(super) async fn submit(
    client: Client,
    accounts: web::Data<Accounts>,
    Authenticated { user, layout, body: Form(form) }: Authenticated<Form<ExportForm>>,
) -> Result<HttpResponse, Error> {
    let account = accounts.of(&user).await?;
    let reauthenticated = match accounts.reauthenticate(&user, &account, &form.password, &client).await? {
        Ok(reauthenticated) => reauthenticated,
        Err(error) => {
            let problems = Problems { export_password_error: Some(error), ..Problems::default() };
            return overview::show_again(layout, &user, &accounts, problems).await;
        }
    };
    let user = CurrentUser { session_id: reauthenticated.session_id.clone(), ..user };
    reauthenticated.set_cookie(accounts.download(&user, &client).await, &accounts)
}

impl Accounts {
    async fn download(&self, user: &CurrentUser, client: &Client) -> Result<HttpResponse, Error> {
        let held = self.held_about(user).await?;
        self.record(&user.user_id, Event::DataDownloaded, client).await?;
        let text = serde_json::to_string_pretty(&held).map_err(|error| Error::Internal(error.into()))?;
        Ok(HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "application/json; charset=utf-8"))
            .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"order-portal-data.json\""))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .body(text))
    }

    /// The account, its sessions, the browsers and networks that it knows, the addresses that are kept for it, its activity and its orders;
    /// times as RFC 3339, money in minor units.
    async fn held_about(&self, user: &CurrentUser) -> Result<Value, Error> {
        let account = self.of(user).await?;
        let sessions = self.sessions.list(&user.user_id).await?;
        let browsers = store::browsers::last_used(&self.database, &user.user_id).await?;
        let networks = store::networks::last_used(&self.database, &user.user_id).await?;
        let kept = recoveries::list(&self.database, &user.user_id, self.clock.now()).await?;
        let activity = activity::list(&self.database, &user.user_id, self.clock.now(), MOST_EVENTS).await?;
        Ok(json!({
            "account": {
                "id": account.id,
                "email": account.email.as_str(),
                "created_at": account.created_at.to_string(),
                "email_verified_at": account.verified_at.map(|at| at.to_string()),
                "time_zone": account.time_zone,
            },
            "sessions": sessions.iter().map(session).collect::<Vec<_>>(),
            "known_browsers": browsers.iter().map(last_used).collect::<Vec<_>>(),
            "known_networks": networks.iter().map(last_used).collect::<Vec<_>>(),
            "kept_addresses": kept.iter().map(kept_address).collect::<Vec<_>>(),
            "activity": activity.iter().map(event).collect::<Vec<_>>(),
            "orders": (self.hooks.orders_of)(&self.database, &user.user_id).await?,
        }))
    }
}

fn session(session: &ActiveSession) -> Value {
    json!({
        "used_by": if session.audience == Audience::Api { "api" } else { "browser" },
        "address": session.client_address,
        "user_agent": session.user_agent,
        "created_at": session.created_at.to_string(),
        "last_seen_at": session.last_seen_at.to_string(),
        "expires_at": session.expires_at.to_string(),
    })
}

fn last_used(at: &UnixSeconds) -> Value {
    json!({ "last_used_at": at.to_string() })
}

fn kept_address((email, until): &(String, UnixSeconds)) -> Value {
    json!({ "email": email, "until": until.to_string() })
}

fn event(happened: &Happened) -> Value {
    json!({
        "event": happened.event,
        "address": happened.client_address,
        "user_agent": happened.user_agent,
        "at": happened.at.to_string(),
    })
}

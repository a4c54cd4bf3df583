//! `/account/export`: all data that is stored about the customer, as JSON.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::account_page::{self, FormErrors};
use crate::accounts::audit::{self, AuditEvent, Event};
use crate::accounts::mfa::{self, FactorState, PasskeyLine};
use crate::accounts::{Accounts, ReauthForm, trusted_browser, trusted_network};
use crate::domain::UnixSeconds;
use crate::mail::recoveries;
use crate::orders;
use crate::sessions::{ActiveSession, Audience, Authenticated, CurrentUser};
use crate::web::body::Form;
use crate::web::{Client, Error};

/// More than an account has.
const MAX_EVENTS: i64 = 100_000;

pub async fn submit(
    client: Client,
    accounts: web::Data<Accounts>,
    Authenticated { user, layout, body: Form(form) }: Authenticated<Form<ReauthForm>>,
) -> Result<HttpResponse, Error> {
    let account = accounts.find_account(&user).await?;
    let rotated = match accounts.reauthenticate(&user, &account, &form, &client).await? {
        Ok(rotated) => rotated,
        Err(of_export) => {
            let errors = FormErrors { of_export, ..FormErrors::default() };
            return account_page::show_errors(layout, &user, &accounts, errors).await;
        }
    };
    let user = CurrentUser { session_id: rotated.session_id.clone(), ..user };
    rotated.set_cookie(accounts.download(&user, &layout.shop.name, &client).await)
}

impl Accounts {
    async fn download(&self, user: &CurrentUser, shop_name: &str, client: &Client) -> Result<HttpResponse, Error> {
        let data = self.export_data(user, shop_name).await?;
        self.record(&user.user_id, Event::DataExported, client).await?;
        let json = serde_json::to_string_pretty(&data).map_err(|error| Error::Internal(error.into()))?;
        Ok(HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "application/json; charset=utf-8"))
            .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"order-portal-data.json\""))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .body(json))
    }

    /// Times are RFC 3339, money is in minor units.
    async fn export_data(&self, user: &CurrentUser, shop_name: &str) -> Result<Value, Error> {
        let account = self.find_account(user).await?;
        let sessions = self.sessions.list(&user.user_id).await?;
        let order_mails_off_at = sessions.first().and_then(|session| session.order_mails_off_at);
        let password_breached_at = sessions.first().and_then(|session| session.password_breached_at);
        let browsers = trusted_browser::store::TABLE.last_used(&self.database, &user.user_id).await?;
        let networks = trusted_network::store::TABLE.last_used(&self.database, &user.user_id).await?;
        let reserved = recoveries::list(&self.database, &user.user_id, self.clock.now()).await?;
        let passkeys = mfa::list_passkeys(self.database.reader(), &user.user_id).await?;
        let factors = FactorState::find(&self.database, &user.user_id).await?;
        let events = audit::list(&self.database, &user.user_id, self.events_since(), MAX_EVENTS).await?;
        Ok(json!({
            "account": {
                "id": account.id.as_str(),
                "email": account.email.as_str(),
                "created_at": account.created_at.to_string(),
                "email_verified_at": account.verified_at.map(|at| at.to_string()),
                "time_zone": account.time_zone,
                "order_mails_off_at": order_mails_off_at.map(|at| at.to_string()),
                "password_breached_at": password_breached_at.map(|at| at.to_string()),
            },
            "sessions": sessions.iter().map(session).collect::<Vec<_>>(),
            "passkeys": passkeys.iter().map(passkey).collect::<Vec<_>>(),
            "two_step_login": {
                "authenticator_app_since": factors.totp_since.map(|at| at.to_string()),
                "recovery_codes_left": factors.recovery_codes_left,
            },
            "trusted_browsers": browsers.iter().map(last_used).collect::<Vec<_>>(),
            "trusted_networks": networks.iter().map(last_used).collect::<Vec<_>>(),
            "kept_addresses": reserved.iter().map(reserved_address).collect::<Vec<_>>(),
            "activity": events.iter().map(event).collect::<Vec<_>>(),
            "orders": orders::export_all(&self.database, &user.user_id, shop_name).await?,
            "reorder_requests": orders::export_reorder_requests(&self.database, &user.user_id).await?,
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

fn passkey(passkey: &PasskeyLine) -> Value {
    json!({
        "name": passkey.name,
        "created_at": passkey.created_at.to_string(),
        "last_used_at": passkey.last_used_at.map(|at| at.to_string()),
    })
}

fn last_used(at: &UnixSeconds) -> Value {
    json!({ "last_used_at": at.to_string() })
}

fn reserved_address((email, until): &(String, UnixSeconds)) -> Value {
    json!({ "email": email, "until": until.to_string() })
}

fn event(event: &AuditEvent) -> Value {
    json!({
        "event": event.event,
        "address": event.client_address,
        "user_agent": event.user_agent,
        "at": event.at.to_string(),
    })
}

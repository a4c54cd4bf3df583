//! `/account/passkeys`: the passkeys of an account, and the form that adds one.
//!
//! The script reports the list to the browser (WebAuthn level 3 section 5.1.10, signal methods), so that password managers hide removed
//! passkeys and show the current address.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use uuid::Uuid;

use super::MAX_PER_ACCOUNT;
use super::store::{self, PasskeyLine};
use crate::accounts::{Accounts, ReauthErrors};
use crate::domain::{Zone, format_date, format_date_time};
use crate::sessions::CurrentUser;
use crate::web::{Error, Layout, page};

#[derive(Template)]
#[template(path = "accounts/passkeys.html")]
struct PasskeysPage {
    layout: Layout,
    email: String,
    is_verified: bool,
    is_full: bool,
    has_totp: bool,
    offers_passkey: bool,
    passkeys: Vec<PasskeyView>,
    /// What the script reports to the browser, as JSON; empty if the account never had a passkey.
    signal: String,
    /// None: the script shows them beside its button.
    errors: ReauthErrors,
}

/// A passkey on a page.
pub(super) struct PasskeyView {
    pub id: String,
    pub name: String,
    pub added: String,
    pub last_used: Option<String>,
}

pub(super) fn view(passkey: &PasskeyLine, zone: &Zone) -> PasskeyView {
    PasskeyView {
        id: passkey.id.clone(),
        name: passkey.name.clone(),
        added: format_date(passkey.created_at, zone),
        last_used: passkey.last_used_at.map(|at| format_date_time(at, zone)),
    }
}

pub async fn show(layout: Layout, user: CurrentUser, accounts: web::Data<Accounts>) -> Result<HttpResponse, Error> {
    let account = accounts.find_account(&user).await?;
    let passkeys = store::list(accounts.database.reader(), &user.user_id).await?;
    let handle = store::find_handle(accounts.database.reader(), &user.user_id).await?;
    let zone = layout.zone();
    let signal = handle.map(|handle| accounts.signal(handle, account.email.as_str(), &passkeys));
    let view = PasskeysPage {
        email: account.email.as_str().to_owned(),
        is_verified: account.verified_at.is_some(),
        is_full: is_full(&passkeys),
        has_totp: account.has_totp(),
        offers_passkey: !passkeys.is_empty() && layout.passkeys.is_supported(),
        passkeys: passkeys.iter().map(|passkey| view(passkey, &zone)).collect(),
        signal: signal.unwrap_or_default(),
        layout,
        errors: ReauthErrors::default(),
    };
    page(StatusCode::OK, &view)
}

/// Whether the account has as many passkeys as it can have.
pub(super) fn is_full(passkeys: &[PasskeyLine]) -> bool {
    i64::try_from(passkeys.len()).is_ok_and(|count| count >= MAX_PER_ACCOUNT)
}

impl Accounts {
    fn signal(&self, handle: Uuid, email: &str, passkeys: &[PasskeyLine]) -> String {
        let ids: Vec<String> = passkeys.iter().map(|passkey| URL_SAFE_NO_PAD.encode(&passkey.credential_id)).collect();
        match self.passkeys.relying_party_id() {
            Err(_) => String::new(),
            Ok(rp_id) => json!({
                "rpId": rp_id, "userId": URL_SAFE_NO_PAD.encode(handle), "name": email, "allAcceptedCredentialIds": ids,
            })
            .to_string(),
        }
    }
}

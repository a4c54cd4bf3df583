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

use super::store::{self, PasskeyLine};
use super::{MAX_PER_ACCOUNT, PasskeyAvailability};
use crate::accounts::{Accounts, session_ended};
use crate::domain::{Zone, format_date, format_date_time};
use crate::sessions::CurrentUser;
use crate::web::{Error, Layout, page};

#[derive(Template)]
#[template(path = "accounts/passkeys.html")]
struct PasskeysPage {
    layout: Layout,
    availability: PasskeyAvailability,
    email: String,
    is_verified: bool,
    is_full: bool,
    passkeys: Vec<PasskeyView>,
    /// What the script reports to the browser, as JSON; empty if the account never had a passkey.
    signal: String,
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

pub async fn show(
    layout: Layout,
    user: CurrentUser,
    availability: PasskeyAvailability,
    accounts: web::Data<Accounts>,
) -> Result<HttpResponse, Error> {
    let passkeys = store::list(accounts.database.reader(), &user.user_id).await?;
    let handle = store::find_handle(accounts.database.reader(), &user.user_id).await?;
    let viewer = layout.viewer.clone().ok_or_else(session_ended)?;
    let zone = layout.zone();
    let signal = handle.map(|handle| accounts.signal(handle, &viewer.email, &passkeys));
    let view = PasskeysPage {
        layout,
        availability,
        is_verified: viewer.is_verified,
        email: viewer.email,
        is_full: passkeys.len() >= usize::try_from(MAX_PER_ACCOUNT).unwrap_or(usize::MAX),
        passkeys: passkeys.iter().map(|passkey| self::view(passkey, &zone)).collect(),
        signal: signal.unwrap_or_default(),
    };
    page(StatusCode::OK, &view)
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

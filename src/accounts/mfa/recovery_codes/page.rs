//! Shows new recovery codes, once.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::RecoveryCode;
use crate::accounts::mfa::overview::FactorForm;
use crate::accounts::{Accounts, ReauthForm};
use crate::mail::FactorChange;
use crate::sessions::Authenticated;
use crate::web::body::Form;
use crate::web::{Client, Error, Layout, page, see_other};

#[derive(Template)]
#[template(path = "accounts/mfa/recovery_codes.html")]
struct RecoveryCodesPage {
    layout: Layout,
    codes: Vec<String>,
    /// The codes as a data URL: the link that downloads them needs no script and no second request.
    download: String,
    /// Whether TOTP was turned on just now.
    is_setup: bool,
}

/// Whether the page follows the setup of TOTP.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::accounts::mfa) enum Occasion {
    Setup,
    Replaced,
}

pub(in crate::accounts::mfa) fn show(
    layout: Layout,
    codes: &[RecoveryCode],
    occasion: Occasion,
) -> Result<HttpResponse, Error> {
    let codes: Vec<String> = codes.iter().map(RecoveryCode::display).collect();
    let file = format!("Recovery codes for {}. Each works once.\n\n{}\n", layout.shop.name, codes.join("\n"));
    let download = format!("data:text/plain;charset=utf-8,{}", utf8_percent_encode(&file, NON_ALPHANUMERIC));
    let is_setup = occasion == Occasion::Setup;
    page(StatusCode::OK, &RecoveryCodesPage { layout, codes, download, is_setup })
}

/// Replaces the codes.
pub async fn replace(
    client: Client,
    accounts: web::Data<Accounts>,
    Authenticated { user, layout, body: Form(form) }: Authenticated<Form<ReauthForm>>,
) -> Result<HttpResponse, Error> {
    let account = accounts.find_account(&user).await?;
    if !account.has_totp() {
        return Ok(see_other("/account/mfa"));
    }
    let rotated = match accounts.reauthenticate(&user, &account, &form, &client).await? {
        Ok(rotated) => rotated,
        Err(errors) => {
            let (status, errors) = (StatusCode::UNPROCESSABLE_ENTITY, Some((FactorForm::RecoveryCodes, errors)));
            return accounts.render_factors(status, layout, &user, errors).await;
        }
    };
    let codes = super::generate()?;
    let replaced = accounts.database.write(async |transaction| {
        // A request that turned TOTP off meanwhile has removed the codes.
        if !accounts.is_still_on(transaction, &account, &rotated.session_id).await? {
            return Ok(false);
        }
        let now = accounts.clock.now();
        super::replace(transaction, &account.id, &codes, now).await?;
        let change = FactorChange::RecoveryCodesReplaced;
        accounts.record_factor_change(transaction, &account, change, (&client, now)).await?;
        Ok::<_, crate::database::Error>(true)
    });
    let response = match replaced.await {
        Ok(true) => show(layout, &codes, Occasion::Replaced),
        Ok(false) => Ok(see_other("/account/mfa")),
        Err(error) => Err(error.into()),
    };
    rotated.set_cookie(response)
}

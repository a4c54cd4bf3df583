//! `/account/mfa`: which factors are on, and the forms that change them.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::store::FactorState;
use crate::accounts::{Accounts, ReauthErrors, session_ended};
use crate::domain::format_date;
use crate::sessions::CurrentUser;
use crate::web::{Error, Layout, page};

/// The forms of the page.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FactorForm {
    Start,
    RecoveryCodes,
    Disable,
}

#[derive(Template)]
#[template(path = "accounts/mfa/overview.html")]
struct OverviewPage {
    layout: Layout,
    email: String,
    is_verified: bool,
    /// The date when TOTP was turned on.
    totp_since: Option<String>,
    recovery_codes_left: i64,
    offers_passkey: bool,
    start: ReauthErrors,
    recovery_codes: ReauthErrors,
    disable: ReauthErrors,
}

impl OverviewPage {
    /// Each message with the id of its field.
    fn summary(&self) -> Vec<(&'static str, &'static str)> {
        [
            ("start-password", self.start.password),
            ("codes-password", self.recovery_codes.password),
            ("codes-code", self.recovery_codes.code),
            ("disable-password", self.disable.password),
            ("disable-code", self.disable.code),
        ]
        .into_iter()
        .filter_map(|(field, error)| Some((field, error?)))
        .collect()
    }
}

pub async fn show(layout: Layout, user: CurrentUser, accounts: web::Data<Accounts>) -> Result<HttpResponse, Error> {
    accounts.render_factors(StatusCode::OK, layout, &user, None).await
}

impl Accounts {
    /// The page, with the errors of one of its forms.
    pub(super) async fn render_factors(
        &self,
        status: StatusCode,
        layout: Layout,
        user: &CurrentUser,
        errors: Option<(FactorForm, ReauthErrors)>,
    ) -> Result<HttpResponse, Error> {
        let state = FactorState::find(&self.database, &user.user_id).await?;
        let viewer = layout.viewer.clone().ok_or_else(session_ended)?;
        let zone = layout.zone();
        let errors_of = |form| errors.filter(|(of, _)| *of == form).map(|(_, errors)| errors).unwrap_or_default();
        let offers_passkey = state.passkeys > 0 && layout.passkeys.is_supported();
        let view = OverviewPage {
            layout,
            offers_passkey,
            email: viewer.email,
            is_verified: viewer.is_verified,
            totp_since: state.totp_since.map(|since| format_date(since, &zone)),
            recovery_codes_left: state.recovery_codes_left,
            start: errors_of(FactorForm::Start),
            recovery_codes: errors_of(FactorForm::RecoveryCodes),
            disable: errors_of(FactorForm::Disable),
        };
        page(status, &view)
    }
}

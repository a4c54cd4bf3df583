//! The setup of an authenticator app, and turning it off.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::{Factor, QrCode, SETUP_LIFETIME, TotpSecret, store};
use crate::accounts::mfa::overview::FactorForm;
use crate::accounts::mfa::recovery_codes::{self, page as codes_page};
use crate::accounts::mfa::second_step;
use crate::accounts::{
    AccountNotice, Accounts, ReauthForm, RotatedSession, rate_limits, session_ended, store as users,
};
use crate::database::{self, Transaction};
use crate::domain::{SessionId, UnixSeconds};
use crate::mail::FactorChange;
use crate::rate_limit;
use crate::sessions::{Authenticated, CurrentUser};
use crate::web::body::Form;
use crate::web::{Client, Error, Layout, Notice, page, see_other};

const WRONG: &str =
    "The code is incorrect. Enter the six digits that the app shows now, and check the time on your device.";
const NO_CODE: &str = "Enter the six digits that the app shows.";

#[derive(Template)]
#[template(path = "accounts/mfa/setup.html")]
struct SetupPage {
    layout: Layout,
    qr_code: QrCode,
    /// The secret for an app without camera, in Base32.
    secret: String,
    url: String,
    error: Option<&'static str>,
}

fn setup_page(
    status: StatusCode,
    layout: Layout,
    secret: &TotpSecret,
    account: &users::Account,
    error: Option<&'static str>,
) -> Result<HttpResponse, Error> {
    let url = secret.url(&layout.shop.name, &account.email)?;
    let view = SetupPage { layout, qr_code: QrCode::new(&url)?, secret: secret.base32(), url, error };
    page(status, &view)
}

pub async fn start(
    client: Client,
    accounts: web::Data<Accounts>,
    Authenticated { user, layout, body: Form(form) }: Authenticated<Form<ReauthForm>>,
) -> Result<HttpResponse, Error> {
    let account = accounts.find_account(&user).await?;
    if account.has_totp() {
        return Ok(see_other("/account/mfa"));
    }
    if account.verified_at.is_none() {
        // The page says to confirm the address first.
        return accounts.render_factors(StatusCode::UNPROCESSABLE_ENTITY, layout, &user, None).await;
    }
    let rotated = match accounts.reauthenticate(&user, &account, &form, &client).await? {
        Ok(rotated) => rotated,
        Err(errors) => {
            let (status, errors) = (StatusCode::UNPROCESSABLE_ENTITY, Some((FactorForm::Start, errors)));
            return accounts.render_factors(status, layout, &user, errors).await;
        }
    };
    let response = accounts.start_setup(layout, &account, &rotated).await;
    rotated.set_cookie(response)
}

#[derive(Deserialize)]
pub struct ConfirmForm {
    #[serde(default)]
    code: String,
}

/// Turns TOTP on with the first code. The setup was reauthenticated, and only its session can finish it.
pub async fn confirm(
    client: Client,
    accounts: web::Data<Accounts>,
    Authenticated { user, layout, body: Form(form) }: Authenticated<Form<ConfirmForm>>,
) -> Result<HttpResponse, Error> {
    let account = accounts.find_account(&user).await?;
    let Some((setup_end, secret)) = accounts.find_setup(&user).await? else {
        let mut response = see_other("/account/mfa");
        if !account.has_totp() {
            AccountNotice::SetupExpired.show_next(&mut response);
        }
        return Ok(response);
    };
    if form.code.trim().is_empty() {
        return setup_page(StatusCode::UNPROCESSABLE_ENTITY, layout, &secret, &account, Some(NO_CODE));
    }
    let counters = [rate_limits::reauthentication_code(&account.id)];
    rate_limit::count(&accounts.database, &accounts.clock, &counters).await?;
    let digits: String = form.code.chars().filter(|letter| !letter.is_whitespace() && *letter != '-').collect();
    let Some(step) = secret.step_of(&digits, accounts.clock.now()) else {
        return setup_page(StatusCode::UNPROCESSABLE_ENTITY, layout, &secret, &account, Some(WRONG));
    };
    let codes = recovery_codes::generate()?;
    let confirmed = accounts.database.write(async |transaction| {
        rate_limit::refund(transaction, &counters).await?;
        let now = accounts.clock.now();
        // A reset or a logout meanwhile ends the setup, too.
        let is_active = users::has_active_session(transaction, &account.id, &user.session_id, now).await?;
        if !is_active || !store::confirm(transaction, &account.id, &user.session_id, setup_end, step, now).await? {
            return Ok::<_, database::Error>(false);
        }
        recovery_codes::replace(transaction, &account.id, &codes, now).await?;
        accounts.record_factor_change(transaction, &account, FactorChange::TotpAdded, (&client, now)).await?;
        Ok(true)
    });
    match confirmed.await? {
        true => codes_page::show(layout, &codes, codes_page::Occasion::Setup),
        false => Ok(see_other("/account/mfa")),
    }
}

pub async fn disable(
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
            let (status, errors) = (StatusCode::UNPROCESSABLE_ENTITY, Some((FactorForm::Disable, errors)));
            return accounts.render_factors(status, layout, &user, errors).await;
        }
    };
    let disabled = accounts.database.write(async |transaction| {
        if !accounts.is_still_on(transaction, &account, &rotated.session_id).await? {
            return Ok::<_, database::Error>(());
        }
        second_step::remove_all(transaction, &account.id).await?;
        recovery_codes::remove_all(transaction, &account.id).await?;
        store::remove_all(transaction, &account.id).await?;
        accounts
            .record_factor_change(transaction, &account, FactorChange::TotpRemoved, (&client, accounts.clock.now()))
            .await
    });
    let response = disabled.await.map_err(Error::from).map(|()| {
        let mut response = see_other("/account/mfa");
        AccountNotice::TotpOff.show_next(&mut response);
        response
    });
    rotated.set_cookie(response)
}

impl Accounts {
    async fn start_setup(
        &self,
        layout: Layout,
        account: &users::Account,
        rotated: &RotatedSession,
    ) -> Result<HttpResponse, Error> {
        let secret = TotpSecret::generate()?;
        let sealed = self.sealing_keys.seal(account.id.as_str(), &secret.0);
        let sealed = sealed.map_err(|error| Error::Internal(error.into()))?;
        let ends_at = self.clock.now() + SETUP_LIFETIME;
        let started = self.database.write(async |transaction| {
            let (user_id, session_id) = (&account.id, &rotated.session_id);
            if !users::has_active_session(transaction, user_id, session_id, self.clock.now()).await? {
                return Ok::<_, database::Error>(None);
            }
            store::start_setup(transaction, user_id, &sealed, session_id, ends_at).await.map(Some)
        });
        match started.await? {
            Some(true) => setup_page(StatusCode::OK, layout, &secret, account, None),
            // TOTP was turned on in another browser.
            Some(false) => Ok(see_other("/account/mfa")),
            None => Err(session_ended()),
        }
    }

    /// The setup that this session can finish now: its end and its secret.
    async fn find_setup(&self, user: &CurrentUser) -> Result<Option<(UnixSeconds, TotpSecret)>, Error> {
        let found = store::find(self.database.reader(), &user.user_id).await?;
        let ends_at = |factor: &Factor| factor.setup_end(&user.session_id, self.clock.now());
        let Some((factor, ends_at)) = found.and_then(|factor| ends_at(&factor).map(|ends_at| (factor, ends_at))) else {
            return Ok(None);
        };
        Ok(self.open_secret(&user.user_id, &factor).map(|secret| (ends_at, secret)))
    }

    /// Whether the session is active and TOTP the one that the request has seen: checked in the transaction of a change.
    pub(in crate::accounts::mfa) async fn is_still_on(
        &self,
        transaction: &mut Transaction,
        account: &users::Account,
        session_id: &SessionId,
    ) -> Result<bool, database::Error> {
        let found = store::find(&mut *transaction, &account.id).await?;
        let is_same = found.is_some_and(|factor| factor.confirmed_at == account.totp_since);
        Ok(is_same && users::has_active_session(transaction, &account.id, session_id, self.clock.now()).await?)
    }
}

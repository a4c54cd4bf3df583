//! Adding a passkey: the form on the list page reauthenticates and starts the ceremony; the script answers it.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;
use webauthn_rs::prelude::RegisterPublicKeyCredential;

use super::ceremonies::AuthenticatorUser;
use super::list::is_full;
use super::name::PasskeyName;
use super::store::{self, NewPasskey};
use super::{MAX_PER_ACCOUNT, error_response, json_response, rate_limited};
use crate::accounts::store::Account;
use crate::accounts::{AccountNotice, Accounts, ReauthForm, store as users};
use crate::database;
use crate::domain::{SessionId, UserId};
use crate::mail::FactorChange;
use crate::sessions::{Authenticated, CurrentUser};
use crate::web::body::{Form, Json};
use crate::web::{Client, Error, Notice};

const UNCONFIRMED: &str = "Confirm your email address first. Then you can add a passkey.";
const TOO_MANY: &str = "Your account has as many passkeys as it can have. Remove one first.";
const FAILED: &str = "The passkey was not added. Try again.";

/// A state is valid only in the session that has reauthenticated.
fn purpose<'a>(user_id: &'a UserId, session_id: &'a SessionId) -> [&'a str; 3] {
    ["registration", user_id.as_str(), session_id.as_str()]
}

pub async fn start(
    client: Client,
    accounts: web::Data<Accounts>,
    Authenticated { user, body: Form(form), .. }: Authenticated<Form<ReauthForm>>,
) -> Result<HttpResponse, Error> {
    let account = accounts.find_account(&user).await?;
    if account.verified_at.is_none() {
        return Ok(error_response(StatusCode::UNPROCESSABLE_ENTITY, UNCONFIRMED));
    }
    let rotated = match accounts.reauthenticate(&user, &account, &form, &client).await {
        Ok(Ok(rotated)) => rotated,
        Err(Error::RateLimited { retry_after }) => return Ok(rate_limited(retry_after)),
        Err(error) => return Err(error),
        Ok(Err(errors)) => {
            let error = errors.password.or(errors.code).unwrap_or(FAILED);
            return Ok(error_response(StatusCode::UNPROCESSABLE_ENTITY, error));
        }
    };
    rotated.set_cookie(accounts.start_registration(&account, &rotated.session_id).await)
}

/// What the script sends.
#[derive(Deserialize)]
pub struct RegistrationAnswer {
    state: String,
    credential: RegisterPublicKeyCredential,
    /// The authenticator data as the browser reports it, for the name.
    #[serde(default)]
    authenticator_data: Option<String>,
}

pub async fn finish(
    client: Client,
    accounts: web::Data<Accounts>,
    Authenticated { user, body: Json(answer), .. }: Authenticated<Json<RegistrationAnswer>>,
) -> Result<HttpResponse, Error> {
    let account = accounts.find_account(&user).await?;
    if !accounts.add_passkey(&user, &account, &answer, &client).await? {
        return Ok(error_response(StatusCode::UNPROCESSABLE_ENTITY, FAILED));
    }
    let mut response = json_response(&json!({ "next": "/account/passkeys" }));
    AccountNotice::PasskeyAdded.show_next(&mut response);
    Ok(response)
}

impl Accounts {
    async fn start_registration(&self, account: &Account, session_id: &SessionId) -> Result<HttpResponse, Error> {
        let existing = store::list(self.database.reader(), &account.id).await?;
        if is_full(&existing) {
            return Ok(error_response(StatusCode::UNPROCESSABLE_ENTITY, TOO_MANY));
        }
        let handle = match store::find_handle(self.database.reader(), &account.id).await? {
            Some(handle) => handle,
            None => random_handle()?,
        };
        let user = AuthenticatorUser { handle, email: account.email.as_str() };
        let existing: Vec<Vec<u8>> = existing.into_iter().map(|passkey| passkey.credential_id).collect();
        let purpose = purpose(&account.id, session_id);
        Ok(json_response(&self.passkeys.start_registration(&purpose, &user, &existing, self.clock.now())?))
    }

    /// Stores the passkey of a valid answer; returns whether it did.
    async fn add_passkey(
        &self,
        user: &CurrentUser,
        account: &Account,
        answer: &RegistrationAnswer,
        client: &Client,
    ) -> Result<bool, Error> {
        let now = self.clock.now();
        let purpose = purpose(&user.user_id, &user.session_id);
        let Some(opened) = self.passkeys.open_registration(&purpose, &answer.state, now) else {
            return Ok(false);
        };
        let (handle, state) = &opened.state;
        let passkey = match self.passkeys.verify_registration(&answer.credential, state) {
            Ok(passkey) => passkey,
            Err(refusal) => {
                tracing::info!(reason = %refusal, "passkey registration refused");
                return Ok(false);
            }
        };
        let json = serde_json::to_string(&passkey).map_err(|error| Error::Internal(error.into()))?;
        let name = PasskeyName::guess(answer.authenticator_data.as_deref(), client);
        let added = self.database.write(async |transaction| {
            let is_valid = users::has_active_session(transaction, &account.id, &user.session_id, now).await?
                && store::use_challenge(transaction, &opened.challenge_id, opened.expires_at).await?
                && store::set_handle(transaction, &account.id, *handle).await?;
            if !is_valid {
                return Ok::<_, database::Error>(false);
            }
            let id = self.clock.new_id();
            let new =
                NewPasskey { id: &id, user_id: &account.id, passkey: &passkey, json: &json, name: &name, at: now };
            if !store::insert(transaction, &new, MAX_PER_ACCOUNT).await? {
                return Ok(false);
            }
            let change = FactorChange::PasskeyAdded { name: name.as_str().to_owned() };
            self.record_factor_change(transaction, account, change, (client, now)).await?;
            Ok(true)
        });
        Ok(added.await?)
    }
}

fn random_handle() -> Result<Uuid, Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Error::Internal(error.to_string().into()))?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
}

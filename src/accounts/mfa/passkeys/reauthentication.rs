//! A passkey as reauthentication: the form of a sensitive change has an assertion in the field `passkey` in place of the password.

use actix_web::{HttpResponse, web};

use super::assertion::{Assertion, VerifiedPasskey};
use super::{json_response, store};
use crate::accounts::audit::Event;
use crate::accounts::store::Account;
use crate::accounts::{Accounts, rate_limits};
use crate::domain::UserId;
use crate::rate_limit;
use crate::sessions::Authenticated;
use crate::web::body::IgnoredBody;
use crate::web::{Client, Error};

/// A state is valid only for the account that asked for it.
fn purpose(user_id: &UserId) -> [&str; 2] {
    ["reauthentication", user_id.as_str()]
}

/// Starts the ceremony for the passkeys of the account.
pub async fn start(
    accounts: web::Data<Accounts>,
    Authenticated { user, .. }: Authenticated<IgnoredBody>,
) -> Result<HttpResponse, Error> {
    let passkeys = store::list(accounts.database.reader(), &user.user_id).await?;
    let allowed: Vec<Vec<u8>> = passkeys.into_iter().map(|passkey| passkey.credential_id).collect();
    let started = accounts.passkeys.start_assertion(&purpose(&user.user_id), &allowed, accounts.clock.now())?;
    Ok(json_response(&started))
}

impl Accounts {
    /// Verifies an assertion of one of the account's passkeys in the field of a form. Counts the attempt and records a failed one, as for a
    /// password.
    pub(in crate::accounts) async fn verify_passkey(
        &self,
        account: &Account,
        field: &str,
        client: &Client,
    ) -> Result<Option<VerifiedPasskey>, Error> {
        let counters = [rate_limits::reauthentication(&account.id)];
        rate_limit::count(&self.database, &self.clock, &counters).await?;
        let Some(verified) = self.verify_field(account, field, client).await? else {
            self.record(&account.id, Event::ReauthenticationFailed, client).await?;
            return Ok(None);
        };
        self.database.write_together(async |transaction| rate_limit::refund(transaction, &counters).await).await?;
        Ok(Some(verified))
    }

    async fn verify_field(
        &self,
        account: &Account,
        field: &str,
        client: &Client,
    ) -> Result<Option<VerifiedPasskey>, Error> {
        let Ok(assertion) = serde_json::from_str::<Assertion>(field) else {
            return Ok(None);
        };
        let found = store::find_by_credential_id(&self.database, assertion.credential_id()).await?;
        let own = found.filter(|stored| stored.user_id == account.id);
        // Authenticators may leave the user handle out, because the ceremony named the passkeys.
        let Some(stored) = own.filter(|stored| assertion.names_owner_of(stored) != Some(false)) else {
            return Ok(None);
        };
        self.verify_assertion(&purpose(&account.id), &assertion, stored, client).await
    }
}

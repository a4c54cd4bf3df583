//! `/not-me`: "This was not me". The owner of an address takes the account back after somebody else has changed its password or address.
//!
//! The link is in the security notice about the change, which is sent to the address that the account had before. The button restores that
//! address and removes all access of others: sessions and API tokens, factors added since the change, trusted browsers and networks, mailed tokens, orders of later
//! addresses, and the password. The account then gets one mail with a link for a new password. [`recoveries`] describes which link
//! takes precedence.
//!
//! An attacker cannot take over somebody else's account with such a link: notices are sent only to confirmed addresses
//! ([`security_notice`](crate::accounts::security_notice)), and the new password requires the mail that the button sends.

use std::collections::BTreeSet;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::link_page::{LinkQuery, masked, without_referrer};
use crate::accounts::audit::{self, Event};
use crate::accounts::{AccountNotice, Accounts, mfa, rate_limits, store, trusted_browser, trusted_network};
use crate::database::{self, Transaction};
use crate::domain::UnixSeconds;
use crate::mail::recoveries::{self, Recovery};
use crate::mail::tokens::{self, Token};
use crate::mail::{self, Message, RequestOrigin};
use crate::orders;
use crate::sessions;
use crate::web::body::Form;
use crate::web::{Client, Error, Layout, Notice, page, see_other};

#[derive(Template)]
#[template(path = "accounts/not_me.html")]
struct NotMePage {
    layout: Layout,
    token: String,
    email: String,
    /// The current address of the account, masked, if it is another one.
    replaced: Option<String>,
}

#[derive(Template)]
#[template(path = "accounts/recovery_expired.html")]
struct RecoveryExpiredPage {
    layout: Layout,
}

pub async fn form(
    layout: Layout,
    accounts: web::Data<Accounts>,
    query: web::Query<LinkQuery>,
) -> Result<HttpResponse, Error> {
    let Some((token, recovery, account)) = accounts.find_recovery(&query.token).await? else {
        return recovery_expired(StatusCode::NOT_FOUND, layout);
    };
    let replaced = (account.email != recovery.email).then(|| masked(&account.email));
    let email = recovery.email.as_str().to_owned();
    without_referrer(page(StatusCode::OK, &NotMePage { layout, token: token.as_str().to_owned(), email, replaced })?)
}

fn recovery_expired(status: StatusCode, layout: Layout) -> Result<HttpResponse, Error> {
    without_referrer(page(status, &RecoveryExpiredPage { layout })?)
}

#[derive(Deserialize)]
pub struct NotMeForm {
    token: String,
}

pub async fn submit(
    layout: Layout,
    client: Client,
    accounts: web::Data<Accounts>,
    Form(form): Form<NotMeForm>,
) -> Result<HttpResponse, Error> {
    if !accounts.recover(&form.token, &client).await? {
        return recovery_expired(StatusCode::UNPROCESSABLE_ENTITY, layout);
    }
    let mut response = see_other("/login");
    AccountNotice::AccountSecured.show_next(&mut response);
    Ok(response)
}

impl Accounts {
    /// The recovery of a link and the account, if the link is valid now.
    async fn find_recovery(&self, token: &str) -> Result<Option<(Token, Recovery, store::Account)>, Error> {
        let Some(token) = Token::parse(token) else {
            return Ok(None);
        };
        let Some(recovery) = recoveries::find(self.database.reader(), &token, self.clock.now()).await? else {
            return Ok(None);
        };
        let account = store::find_by_id(self.database.reader(), &recovery.user_id).await?;
        Ok(account.map(|account| (token, recovery, account)))
    }

    /// Consumes the link and applies it; returns whether it was valid.
    async fn recover(&self, token: &str, client: &Client) -> Result<bool, Error> {
        let Some(token) = Token::parse(token) else {
            return Ok(false);
        };
        let now = self.clock.now();
        let recovered = self.database.write(async |transaction| {
            let Some(recovery) = recoveries::find(&mut *transaction, &token, now).await? else {
                return Ok(false);
            };
            let Some(account) = store::find_by_id(&mut *transaction, &recovery.user_id).await? else {
                return Ok(false);
            };
            if !self.restore_email(transaction, &account, &recovery, client, now).await? {
                return Ok::<_, database::Error>(false);
            }
            if self.revoke_all_access(transaction, &recovery, now).await? {
                audit::record(transaction, &account.id, &self.audit_event(Event::FactorsReset, client)).await?;
            }
            audit::record(transaction, &account.id, &self.audit_event(Event::AccountSecured, client)).await?;
            let message = Message::ResetAfterRecovery(RequestOrigin::new(now, client));
            mail::enqueue(transaction, &self.clock, &recovery.email, None, &message).await?;
            Ok(true)
        });
        Ok(recovered.await?)
    }

    /// Restores the address of the recovery, if the account has another one, and releases the orders of all later addresses. Returns
    /// whether the address was free; it is, because it is reserved for the account.
    async fn restore_email(
        &self,
        transaction: &mut Transaction,
        account: &store::Account,
        recovery: &Recovery,
        client: &Client,
        now: UnixSeconds,
    ) -> Result<bool, database::Error> {
        let email = &recovery.email;
        let is_restored = account.email != *email;
        if is_restored && !store::set_email(transaction, &account.id, email, now).await? {
            return Ok(false);
        }
        let consumed = recoveries::consume(transaction, recovery).await?;
        let mut later: BTreeSet<&str> = consumed.iter().map(String::as_str).collect();
        later.insert(account.email.as_str());
        for other in &later {
            // Without this, a notice merged with one whose link is now revoked would leave its reader without a link.
            rate_limits::reset_notices(transaction, other).await?;
            if *other != email.as_str() {
                orders::release(transaction, &account.id, other).await?;
            }
        }
        if is_restored {
            orders::claim(transaction, &account.id, email.as_str()).await?;
            audit::record(transaction, &account.id, &self.audit_event(Event::EmailRestored, client)).await?;
        }
        Ok(true)
    }

    /// Revokes everything that gives access to the account or exempts from the limits of untrusted logins; returns whether a factor was
    /// removed.
    async fn revoke_all_access(
        &self,
        transaction: &mut Transaction,
        recovery: &Recovery,
        now: UnixSeconds,
    ) -> Result<bool, database::Error> {
        let user_id = &recovery.user_id;
        store::set_password(transaction, user_id, None, self.hasher.unusable_hash()).await?;
        sessions::revoke_others(transaction, user_id, None, now).await?;
        tokens::revoke_all(transaction, user_id).await?;
        let is_factor_removed = mfa::remove_added_since(transaction, user_id, recovery.created_at).await?;
        trusted_browser::store::TABLE.delete_all(transaction, user_id).await?;
        trusted_network::store::TABLE.delete_all(transaction, user_id).await?;
        rate_limits::reset_account(transaction, user_id, &recovery.email).await?;
        Ok(is_factor_removed)
    }
}

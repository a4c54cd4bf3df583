//! A code as it is typed: of the authenticator app, or a recovery code. Wherever one is accepted, the other is, too.

use super::recovery_codes::{self, RecoveryCode};
use super::totp::{self, TotpSecret};
use crate::accounts::audit::{self, Event};
use crate::accounts::{Accounts, rate_limits, store};
use crate::database::{self, Transaction};
use crate::domain::{UnixSeconds, UserId};
use crate::mail::FactorChange;
use crate::rate_limit;
use crate::web::{Client, Error};

/// A well-formed code.
#[derive(Debug, PartialEq, Eq)]
enum Code {
    Totp(String),
    Recovery(RecoveryCode),
}

impl Code {
    /// Ignores spaces and dashes.
    fn parse(text: &str) -> Option<Self> {
        let is_separator = |letter: char| letter.is_whitespace() || matches!(letter, '-' | '\u{2010}'..='\u{2015}');
        let text: String = text.chars().filter(|letter| !is_separator(*letter)).collect();
        if text.len() == usize::from(totp::DIGITS) && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Self::Totp(text));
        }
        RecoveryCode::parse(&text).map(Self::Recovery)
    }
}

/// A code that is the account's and was not used yet. [`Accounts::consume_code`] decides whether it is the first to use it.
pub(in crate::accounts) enum MatchedCode {
    Totp { confirmed_at: UnixSeconds, step: i64 },
    Recovery { hash: Vec<u8> },
}

impl Accounts {
    /// The account's code in `text`, if it is one that may be used now.
    pub(in crate::accounts) async fn match_code(
        &self,
        user_id: &UserId,
        text: &str,
    ) -> Result<Option<MatchedCode>, Error> {
        match Code::parse(text) {
            None => Ok(None),
            Some(Code::Recovery(code)) => {
                let hash = code.hash();
                let is_stored = recovery_codes::exists(&self.database, user_id, &hash).await?;
                Ok(is_stored.then_some(MatchedCode::Recovery { hash }))
            }
            Some(Code::Totp(digits)) => {
                let Some(factor) = totp::find(self.database.reader(), user_id).await? else {
                    return Ok(None);
                };
                let (Some(confirmed_at), Some(secret)) = (factor.confirmed_at, self.open_secret(user_id, &factor))
                else {
                    return Ok(None);
                };
                let step = secret.step_of(&digits, self.clock.now()).filter(|step| *step > factor.last_step);
                Ok(step.map(|step| MatchedCode::Totp { confirmed_at, step }))
            }
        }
    }

    /// The secret of a factor. Without the key that encrypted it no code can be checked; recovery codes still work.
    pub(super) fn open_secret(&self, user_id: &UserId, factor: &totp::Factor) -> Option<TotpSecret> {
        let opened = self.sealing_keys.open(user_id.as_str(), &factor.sealed());
        if opened.is_none() {
            tracing::error!(
                user = user_id.as_str(),
                "the secret of a factor cannot be decrypted: add the TOKEN_SECRET of before to TOKEN_SECRET_PREVIOUS"
            );
        }
        opened.map(TotpSecret::from_bytes)
    }

    /// Uses the code up; returns whether nothing else has used it meanwhile. The owner is told about a recovery code.
    pub(in crate::accounts) async fn consume_code(
        &self,
        transaction: &mut Transaction,
        account: &store::Account,
        matched: &MatchedCode,
        client: &Client,
    ) -> Result<bool, database::Error> {
        let hash = match matched {
            MatchedCode::Totp { confirmed_at, step } => {
                return totp::accept_step(transaction, &account.id, *confirmed_at, *step).await;
            }
            MatchedCode::Recovery { hash } => hash,
        };
        if !recovery_codes::consume(transaction, &account.id, hash).await? {
            return Ok(false);
        }
        let left = recovery_codes::count(&mut *transaction, &account.id).await?;
        self.record_factor_change(
            transaction,
            account,
            FactorChange::RecoveryCodeUsed { left },
            (client, self.clock.now()),
        )
        .await?;
        Ok(true)
    }

    /// Records a wrong code after a correct password. The owner is told once a day: somebody knows the password.
    pub(in crate::accounts) async fn record_wrong_code(
        &self,
        transaction: &mut Transaction,
        account: &store::Account,
        client: &Client,
    ) -> Result<(), database::Error> {
        audit::record(transaction, &account.id, &self.audit_event(Event::WrongCode, client)).await?;
        let counter = rate_limits::wrong_code_notice(&account.email);
        if rate_limit::count_single(transaction, &counter, self.clock.now()).await? {
            self.notify_about_factors(transaction, account, FactorChange::WrongCode, (client, self.clock.now()))
                .await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_and_dashes_in_codes_are_ignored() {
        for text in ["123456", " 123 456 ", "123-456", "12\u{a0}34\u{2009}56", "123\u{2011}456\n"] {
            assert_eq!(Code::parse(text), Some(Code::Totp("123456".to_owned())), "{text:?}");
        }
        let plain = "abcdefgh0123456789jkmnpq";
        let expected = Some(Code::Recovery(RecoveryCode::parse(plain).unwrap()));
        for text in
            [plain, "abcd-efgh-0123-4567-89jk-mnpq", " ABCD EFGH 0123 4567 89JK MNPQ ", "abcdefgh-o123456789jkmnpq"]
        {
            assert_eq!(Code::parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn malformed_codes_are_rejected() {
        for text in ["", " ", "12345", "1234567", "12345a", "١٢٣٤٥٦", "１２３４５６", "123.456", "+12345", "-", "\0"]
        {
            assert_eq!(Code::parse(text), None, "{text:?}");
        }
    }
}

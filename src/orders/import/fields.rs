//! The values of one row: what a cell must hold, and what to say when it does not.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use super::error::ImportError;
use crate::clock::UnixSeconds;
use crate::mail::Email;
use crate::orders::money::{Currency, Money, MoneyError};
use crate::orders::order::OrderNumber;

/// Characters of a bad value that an error shows.
const SHOWN: usize = 60;
/// Shopify's words (`OrderDisplayFinancialStatus`); "unpaid" is the export's older one for pending.
const PAYMENT: [&str; 9] = [
    "authorized",
    "expired",
    "paid",
    "partially_paid",
    "partially_refunded",
    "pending",
    "refunded",
    "unpaid",
    "voided",
];
/// Shopify's words (`OrderDisplayFulfillmentStatus`), "partial" as the export has it, and "delivered".
const FULFILLMENT: [&str; 12] = [
    "delivered",
    "fulfilled",
    "in_progress",
    "on_hold",
    "open",
    "partial",
    "partially_fulfilled",
    "pending_fulfillment",
    "request_declined",
    "restocked",
    "scheduled",
    "unfulfilled",
];

/// One cell, and where it stands.
pub(super) struct Cell<'a> {
    pub file: &'a str,
    pub line: u64,
    pub column: &'static str,
    pub text: &'a str,
}

impl Cell<'_> {
    pub(super) fn error(&self, problem: impl Into<String>) -> ImportError {
        ImportError::Value { file: self.file.to_owned(), line: self.line, column: self.column, problem: problem.into() }
    }

    fn wrong(&self, takes: &str) -> ImportError {
        if self.text.is_empty() {
            return self.error(format!("it is empty; {takes}"));
        }
        let more = if self.text.chars().nth(SHOWN).is_some() { "…" } else { "" };
        let shown: String = self.text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
        self.error(format!("\"{shown}{more}\" {takes}"))
    }

    /// Any text but NUL, which PostgreSQL cannot store.
    pub(super) fn text(&self) -> Result<String, ImportError> {
        if self.text.contains('\0') {
            return Err(self.wrong("holds a NUL character; remove it"));
        }
        Ok(self.text.to_owned())
    }

    /// Text after the quote that keeps spreadsheets from reading a postcode as a number.
    pub(super) fn postcode(&self) -> Result<String, ImportError> {
        self.text().map(|text| text.strip_prefix('\'').map(str::to_owned).unwrap_or(text))
    }

    pub(super) fn number(&self) -> Result<OrderNumber, ImportError> {
        let name = self.text.trim();
        let takes = "is not an order number; write it like #1001, with letters, digits, -, _ and . only";
        OrderNumber::parse(name.strip_prefix('#').unwrap_or(name)).ok_or_else(|| self.wrong(takes))
    }

    pub(super) fn email(&self) -> Result<Option<Email>, ImportError> {
        if self.text.trim().is_empty() {
            return Ok(None);
        }
        Email::parse(self.text)
            .map(Some)
            .map_err(|_| self.wrong("is not an e-mail address; write it like name@example.com, or leave it empty"))
    }

    pub(super) fn currency(&self) -> Result<Currency, ImportError> {
        Currency::parse(self.text).ok_or_else(|| self.wrong("is not a currency; write its ISO 4217 code, like USD"))
    }

    pub(super) fn money(&self, currency: Currency) -> Result<Money, ImportError> {
        Money::parse(self.text, currency).map_err(|error| match error {
            MoneyError::Malformed => self.wrong("is not an amount; write it like 12.50"),
            MoneyError::TooFine => self.wrong(&format!(
                "has more decimals than {} knows; it takes {}",
                currency.code(),
                currency.decimals()
            )),
            MoneyError::TooLarge => self.wrong("is a larger amount than can be kept; check it"),
        })
    }

    pub(super) fn money_or_nothing(&self, currency: Currency) -> Result<Money, ImportError> {
        if self.text.is_empty() { Ok(Money::new(0, currency)) } else { self.money(currency) }
    }

    /// A count that can be multiplied with any amount.
    pub(super) fn quantity(&self) -> Result<i64, ImportError> {
        let is_number = !self.text.is_empty() && self.text.bytes().all(|byte| byte.is_ascii_digit());
        let quantity = self.text.parse::<i64>().ok().filter(|quantity| is_number && *quantity <= 1_000_000);
        quantity.ok_or_else(|| self.wrong("is not a quantity; write a whole number from 0 to 1000000"))
    }

    pub(super) fn time(&self) -> Result<UnixSeconds, ImportError> {
        let shopify = format_description!(
            "[year]-[month]-[day] [hour]:[minute]:[second] [offset_hour sign:mandatory][offset_minute]"
        );
        let read = OffsetDateTime::parse(self.text, shopify).or_else(|_| OffsetDateTime::parse(self.text, &Rfc3339));
        let takes = "is not a time; write it like 2024-03-01 10:00:00 +0000";
        read.map(UnixSeconds::from).map_err(|_| self.wrong(takes))
    }

    pub(super) fn time_or_never(&self) -> Result<Option<UnixSeconds>, ImportError> {
        if self.text.is_empty() { Ok(None) } else { self.time().map(Some) }
    }

    pub(super) fn payment(&self) -> Result<String, ImportError> {
        self.word("pending", &PAYMENT, "is not a payment state; write one of")
    }

    pub(super) fn fulfillment(&self) -> Result<String, ImportError> {
        self.word("unfulfilled", &FULFILLMENT, "is not a fulfilment state; write one of")
    }

    fn word(&self, when_empty: &str, words: &[&str], takes: &str) -> Result<String, ImportError> {
        let word = self.text.trim().to_lowercase().replace(' ', "_");
        match word.as_str() {
            "" => Ok(when_empty.to_owned()),
            known if words.contains(&known) => Ok(word),
            _ => Err(self.wrong(&format!("{takes} {}", words.join(", ")))),
        }
    }
}

//! Parses the cells of one row. An invalid value is an error that names the cell and the valid form.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use super::error::ImportError;
use crate::domain::{Currency, Email, Money, MoneyError, UnixSeconds};
use crate::orders::order::OrderNumber;

/// Characters of an invalid value in an error message.
const MAX_SHOWN_CHARS: usize = 60;
/// Shopify's `OrderDisplayFinancialStatus`; exports also have "unpaid", the older word for pending.
const PAYMENT_STATES: [&str; 9] = [
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
/// Shopify's `OrderDisplayFulfillmentStatus`, "partial" as exports write it, and "delivered".
const FULFILLMENT_STATES: [&str; 12] = [
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

/// A cell and its position.
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

    fn invalid(&self, expected: &str) -> ImportError {
        if self.text.is_empty() {
            return self.error(format!("it is empty; {expected}"));
        }
        let more = if self.text.chars().nth(MAX_SHOWN_CHARS).is_some() { "…" } else { "" };
        let shown: String = self.text.chars().take(MAX_SHOWN_CHARS).flat_map(char::escape_debug).collect();
        self.error(format!("\"{shown}{more}\" {expected}"))
    }

    /// Any text without NUL, which PostgreSQL cannot store.
    pub(super) fn text(&self) -> Result<String, ImportError> {
        if self.text.contains('\0') {
            return Err(self.invalid("contains a NUL character; remove it"));
        }
        Ok(self.text.to_owned())
    }

    /// Text without a leading quote, which exports add so that spreadsheet programs do not parse a postcode as a number.
    pub(super) fn postcode(&self) -> Result<String, ImportError> {
        self.text().map(|text| text.strip_prefix('\'').map(str::to_owned).unwrap_or(text))
    }

    pub(super) fn number(&self) -> Result<OrderNumber, ImportError> {
        let name = self.text.trim();
        let expected = "is not an order number; write it like #1001, with letters, digits, -, _ and . only";
        OrderNumber::parse(name.strip_prefix('#').unwrap_or(name)).ok_or_else(|| self.invalid(expected))
    }

    pub(super) fn email(&self) -> Result<Option<Email>, ImportError> {
        if self.text.trim().is_empty() {
            return Ok(None);
        }
        Email::parse(self.text)
            .map(Some)
            .map_err(|_| self.invalid("is not an e-mail address; write it like name@example.com, or leave it empty"))
    }

    pub(super) fn currency(&self) -> Result<Currency, ImportError> {
        Currency::parse(self.text).ok_or_else(|| self.invalid("is not a currency; write its ISO 4217 code, like USD"))
    }

    pub(super) fn money(&self, currency: Currency) -> Result<Money, ImportError> {
        Money::parse(self.text, currency).map_err(|error| match error {
            MoneyError::Malformed => self.invalid("is not an amount; write it like 12.50"),
            MoneyError::TooManyDecimals => self.invalid(&format!(
                "has more decimals than {} knows; it takes {}",
                currency.code(),
                currency.decimals()
            )),
            MoneyError::TooLarge => self.invalid("is a larger amount than can be kept; check it"),
        })
    }

    pub(super) fn optional_money(&self, currency: Currency) -> Result<Money, ImportError> {
        if self.text.is_empty() { Ok(Money::new(0, currency)) } else { self.money(currency) }
    }

    /// The limit ensures that quantity times price fits 64 bits.
    pub(super) fn quantity(&self) -> Result<i64, ImportError> {
        let is_number = !self.text.is_empty() && self.text.bytes().all(|byte| byte.is_ascii_digit());
        let quantity = self.text.parse::<i64>().ok().filter(|quantity| is_number && *quantity <= 1_000_000);
        quantity.ok_or_else(|| self.invalid("is not a quantity; write a whole number from 0 to 1000000"))
    }

    pub(super) fn time(&self) -> Result<UnixSeconds, ImportError> {
        let shopify = format_description!(
            "[year]-[month]-[day] [hour]:[minute]:[second] [offset_hour sign:mandatory][offset_minute]"
        );
        let parsed = OffsetDateTime::parse(self.text, shopify).or_else(|_| OffsetDateTime::parse(self.text, &Rfc3339));
        let expected = "is not a time; write it like 2024-03-01 10:00:00 +0000";
        parsed.map(UnixSeconds::from).map_err(|_| self.invalid(expected))
    }

    pub(super) fn optional_time(&self) -> Result<Option<UnixSeconds>, ImportError> {
        if self.text.is_empty() { Ok(None) } else { self.time().map(Some) }
    }

    pub(super) fn payment_state(&self) -> Result<String, ImportError> {
        self.state("pending", &PAYMENT_STATES, "is not a payment state; write one of")
    }

    pub(super) fn fulfillment_state(&self) -> Result<String, ImportError> {
        self.state("unfulfilled", &FULFILLMENT_STATES, "is not a fulfilment state; write one of")
    }

    fn state(&self, default: &str, states: &[&str], expected: &str) -> Result<String, ImportError> {
        let state = self.text.trim().to_lowercase().replace(' ', "_");
        match state.as_str() {
            "" => Ok(default.to_owned()),
            known if states.contains(&known) => Ok(state),
            _ => Err(self.invalid(&format!("{expected} {}", states.join(", ")))),
        }
    }
}

//! Amounts of money: whole numbers of a currency's minor unit, never floating point.

use std::fmt;

use super::Currency;

/// The largest amount that [`Money::parse`] accepts, in whole units of the currency: large enough for prices in rupiah or dong, and the
/// sum of tens of thousands of such amounts in minor units fits 64 bits.
const MAX_UNITS: i64 = 1_000_000_000_000;

/// An amount in one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

/// Why a text is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoneyError {
    /// Not digits with at most one point.
    Malformed,
    /// More than a trillion units of the currency.
    TooLarge,
}

/// A parsed amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParsedMoney {
    pub money: Money,
    /// Whether the text was finer than the currency.
    pub is_rounded: bool,
}

impl Money {
    /// `minor` units of `currency`: 1250 of USD are 12.50 dollars.
    pub fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    pub fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    /// Parses `12.50`, `-3`, `.5`: digits, at most one point, a sign, no separators. An amount that is finer than the currency's minor
    /// unit is rounded half to even.
    ///
    /// # Errors
    /// [`MoneyError`].
    pub fn parse(text: &str, currency: Currency) -> Result<ParsedMoney, MoneyError> {
        let (digits, is_negative) = match text.strip_prefix(['-', '\u{2212}']) {
            Some(digits) => (digits, true),
            None => (text.strip_prefix('+').unwrap_or(text), false),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let ends_with_point = fraction.is_empty() && digits.contains('.');
        let is_number = whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
        if digits.is_empty() || ends_with_point || !is_number {
            return Err(MoneyError::Malformed);
        }
        let decimals = currency.decimals();
        let (kept, beyond) = fraction.split_at(decimals.min(fraction.len()));
        let minor = format!("0{whole}{kept:0<decimals$}").parse::<i64>().map_err(|_| MoneyError::TooLarge)?;
        let minor = if rounds_up(beyond, minor) { minor.saturating_add(1) } else { minor };
        if minor > max_minor(currency) {
            return Err(MoneyError::TooLarge);
        }
        let minor = if is_negative { -minor } else { minor };
        let is_rounded = beyond.bytes().any(|byte| byte != b'0');
        Ok(ParsedMoney { money: Self { minor, currency }, is_rounded })
    }

    pub fn minor(self) -> i64 {
        self.minor
    }

    pub fn currency(self) -> Currency {
        self.currency
    }

    pub fn is_zero(self) -> bool {
        self.minor == 0
    }

    /// The sum; `None` for another currency or an overflow.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let minor = self.minor.checked_add(other.minor)?;
        (self.currency == other.currency).then_some(Self { minor, ..self })
    }

    /// The difference; `None` for another currency or an overflow.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        let minor = self.minor.checked_sub(other.minor)?;
        (self.currency == other.currency).then_some(Self { minor, ..self })
    }

    /// The product; `None` on overflow.
    pub fn checked_mul(self, factor: i64) -> Option<Self> {
        Some(Self { minor: self.minor.checked_mul(factor)?, ..self })
    }

    /// The sum of amounts in `currency`; `None` when one has another currency, or on overflow.
    pub fn checked_sum(currency: Currency, amounts: impl IntoIterator<Item = Self>) -> Option<Self> {
        amounts.into_iter().try_fold(Self::zero(currency), Self::checked_add)
    }

    #[must_use]
    pub fn negated(self) -> Self {
        Self { minor: self.minor.saturating_neg(), ..self }
    }

    /// Digits and a decimal point, for programs: `1234.50`.
    pub fn to_decimal_string(self) -> String {
        let (whole, fraction) = self.digits();
        let sign = if self.minor < 0 { "-" } else { "" };
        if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
    }

    /// Digits before and after the decimal point.
    fn digits(self) -> (String, String) {
        let decimals = self.currency.decimals();
        let mut whole = format!("{:0>width$}", self.minor.unsigned_abs(), width = decimals + 1);
        let fraction = whole.split_off(whole.len() - decimals);
        (whole, fraction)
    }
}

/// `$1,234.50`, `¥1,200`, `CHF 12.00` (with a no-break space); a negative amount begins with the minus sign U+2212.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = self.digits();
        if self.minor < 0 {
            f.write_str("\u{2212}")?;
        }
        match self.currency.symbol() {
            "" => write!(f, "{}\u{a0}", self.currency.code())?,
            symbol => f.write_str(symbol)?,
        }
        f.write_str(&group_thousands(&whole))?;
        if fraction.is_empty() { Ok(()) } else { write!(f, ".{fraction}") }
    }
}

fn max_minor(currency: Currency) -> i64 {
    MAX_UNITS * 10_i64.pow(u32::try_from(currency.decimals()).unwrap_or(0))
}

/// Whether the digits beyond the minor unit round it up: half to even.
fn rounds_up(beyond: &str, minor: i64) -> bool {
    let Some(first) = beyond.bytes().next() else { return false };
    let is_half = first == b'5' && beyond.bytes().skip(1).all(|byte| byte == b'0');
    if is_half { minor % 2 == 1 } else { first >= b'5' }
}

/// Inserts a comma before each group of three digits.
fn group_thousands(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `2,155`
pub fn format_count(number: i64) -> String {
    let sign = if number < 0 { "\u{2212}" } else { "" };
    format!("{sign}{}", group_thousands(&number.unsigned_abs().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(text: &str, code: &str) -> Result<Money, MoneyError> {
        Money::parse(text, Currency::parse(code).unwrap()).map(|parsed| parsed.money)
    }

    #[test]
    fn display_uses_the_decimals_of_the_currency() {
        let cases = [
            ("1234.5", "USD", "$1,234.50"),
            ("1200.00", "JPY", "¥1,200"),
            ("1234.567", "KWD", "KWD\u{a0}1,234.567"),
            ("0.05", "EUR", "€0.05"),
            ("0", "CHF", "CHF\u{a0}0.00"),
            ("1000000", "GBP", "£1,000,000.00"),
            ("123456", "JPY", "¥123,456"),
        ];
        for (text, code, shown) in cases {
            assert_eq!(money(text, code).unwrap().to_string(), shown);
        }
        assert_eq!(money("3", "USD").unwrap().negated().to_string(), "\u{2212}$3.00");
    }

    #[test]
    fn parse_rejects_malformed_amounts() {
        for text in
            ["", ".", "5.", "1.2.3", "-", "--1", "1-", "1,000.00", "12,50", "1e3", "NaN", " 1", "1 ", "١", "0x1", "$1"]
        {
            assert_eq!(money(text, "USD"), Err(MoneyError::Malformed), "{text:?}");
        }
        assert_eq!(money("99999999999999999999", "USD"), Err(MoneyError::TooLarge));
    }

    #[test]
    fn parse_accepts_signs_and_a_leading_point() {
        for (text, minor) in [("-12.50", -1250), ("\u{2212}1", -100), ("+1", 100), (".5", 50), ("-.05", -5), ("0", 0)] {
            assert_eq!(money(text, "USD").unwrap().minor(), minor, "{text}");
        }
    }

    #[test]
    fn parse_rounds_half_to_even() {
        let cases = [
            ("3.992", "EUR", 399, true),
            ("3.3333", "EUR", 333, true),
            ("0.005", "EUR", 0, true),
            ("0.015", "EUR", 2, true),
            ("0.0150001", "EUR", 2, true),
            ("0.0050001", "EUR", 1, true),
            ("-0.015", "EUR", -2, true),
            ("1200.50", "JPY", 1200, true),
            ("1200.00", "JPY", 1200, false),
            ("0.996", "EUR", 100, true),
        ];
        for (text, code, minor, is_rounded) in cases {
            let parsed = Money::parse(text, Currency::parse(code).unwrap()).unwrap();
            assert_eq!((parsed.money.minor(), parsed.is_rounded), (minor, is_rounded), "{text} {code}");
        }
    }

    #[test]
    fn parse_limits_amounts_by_value() {
        for code in ["USD", "JPY", "KWD", "IDR"] {
            assert!(money("1000000000000", code).is_ok(), "{code}");
            assert_eq!(money("1000000000001", code), Err(MoneyError::TooLarge), "{code}");
            assert_eq!(money("-1000000000001", code), Err(MoneyError::TooLarge), "{code}");
        }
    }

    #[test]
    fn decimal_string_has_the_decimals_of_the_currency_and_an_ascii_sign() {
        for (text, code, decimal, negated) in [
            ("1234.5", "USD", "1234.50", "-1234.50"),
            ("0.05", "USD", "0.05", "-0.05"),
            ("0", "USD", "0.00", "0.00"),
            ("1200", "JPY", "1200", "-1200"),
            ("0", "JPY", "0", "0"),
            ("1.5", "KWD", "1.500", "-1.500"),
        ] {
            let money = money(text, code).unwrap();
            assert_eq!(
                (money.to_decimal_string().as_str(), money.negated().to_decimal_string().as_str()),
                (decimal, negated)
            );
            assert_eq!(money.is_zero(), text == "0", "{text}");
        }
    }

    #[test]
    fn format_count_groups_by_three_with_a_minus_sign() {
        let shown = [0, 7, 999, 1000, 2155, 1_234_567, -1, -2155].map(format_count);
        assert_eq!(shown, ["0", "7", "999", "1,000", "2,155", "1,234,567", "\u{2212}1", "\u{2212}2,155"]);
    }

    #[test]
    fn arithmetic_stays_within_one_currency_and_64_bits() {
        let usd = |minor| Money::new(minor, Currency::parse("USD").unwrap());
        let eur = Money::new(1, Currency::parse("EUR").unwrap());
        assert_eq!(usd(5).checked_add(usd(-7)), Some(usd(-2)));
        assert_eq!(usd(5).checked_sub(usd(7)), Some(usd(-2)));
        assert_eq!(usd(5).checked_mul(3), Some(usd(15)));
        assert_eq!(Money::checked_sum(usd(0).currency(), [usd(1), usd(2), usd(3)]), Some(usd(6)));
        assert_eq!(Money::checked_sum(usd(0).currency(), []), Some(usd(0)));
        assert_eq!(usd(5).checked_add(eur), None);
        assert_eq!(usd(5).checked_sub(eur), None);
        assert_eq!(Money::checked_sum(usd(0).currency(), [usd(1), eur]), None);
        assert_eq!(usd(i64::MAX).checked_add(usd(1)), None);
        assert_eq!(usd(i64::MIN).checked_sub(usd(1)), None);
        assert_eq!(usd(i64::MAX).checked_mul(2), None);
    }
}

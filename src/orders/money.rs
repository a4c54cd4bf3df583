//! Amounts of money: whole numbers of a currency's minor unit, never floating point.

use std::fmt;

use iso_currency::Currency as Iso;

/// The largest amount that is taken, in minor units: sums of millions of them still fit 64 bits.
const LARGEST: i64 = 1_000_000_000_000;
/// Minor digits of a currency that ISO 4217 gives none, such as gold.
const NO_MINOR_UNIT: usize = 0;

/// A currency of ISO 4217.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Currency(Iso);

impl Currency {
    /// Reads a code of three letters: `USD`.
    pub fn parse(code: &str) -> Option<Self> {
        Iso::from_code(code).map(Self)
    }

    /// The code of three letters.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// Digits after the decimal point: 2 for most, 0 for JPY, 3 for KWD (ISO 4217, "exponent").
    pub fn decimals(self) -> usize {
        self.0.exponent().map_or(NO_MINOR_UNIT, usize::from)
    }

    /// What stands before an amount: a sign where everyone takes it for this currency, the code elsewhere ("$" alone
    /// would be twenty currencies).
    fn sign(self) -> &'static str {
        match self.code() {
            "USD" => "$",
            "EUR" => "€",
            "GBP" => "£",
            "JPY" => "¥",
            "INR" => "₹",
            "KRW" => "₩",
            "CAD" => "CA$",
            "AUD" => "A$",
            "NZD" => "NZ$",
            "BRL" => "R$",
            "MXN" => "MX$",
            _ => "",
        }
    }
}

/// An amount in one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

/// Why a text is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoneyError {
    /// Not digits with at most one point.
    Malformed,
    /// More digits after the point than the currency has, and not zeros.
    TooFine,
    /// Beyond a trillion minor units.
    TooLarge,
}

impl Money {
    /// `minor` units of `currency`: 1250 of USD are 12.50 dollars.
    pub fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Reads `12.50` as exports write it: digits, at most one point, no sign, no separators. Zeros beyond the currency's
    /// digits are let pass, so that yen may come as `1200.00`.
    ///
    /// # Errors
    /// [`MoneyError`].
    pub fn parse(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let ends_well = !fraction.is_empty() || !text.contains('.');
        if whole.is_empty() || !ends_well || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
            return Err(MoneyError::Malformed);
        }
        let decimals = currency.decimals();
        let (kept, beyond) = fraction.split_at(decimals.min(fraction.len()));
        if beyond.bytes().any(|byte| byte != b'0') {
            return Err(MoneyError::TooFine);
        }
        let minor = format!("{whole}{kept:0<decimals$}").parse::<i64>().map_err(|_| MoneyError::TooLarge)?;
        if minor > LARGEST { Err(MoneyError::TooLarge) } else { Ok(Self { minor, currency }) }
    }

    /// Minor units.
    pub fn minor(self) -> i64 {
        self.minor
    }

    /// The currency.
    pub fn currency(self) -> Currency {
        self.currency
    }

    /// Whether it is nothing.
    pub fn is_zero(self) -> bool {
        self.minor == 0
    }

    /// Digits with a point alone, for programs: `1234.50`.
    pub fn plain(self) -> String {
        let decimals = self.currency.decimals();
        let digits = format!("{:0>width$}", self.minor.unsigned_abs(), width = decimals + 1);
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        let sign = if self.minor < 0 { "-" } else { "" };
        if decimals == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
    }

    /// The same amount, taken off.
    #[must_use]
    pub fn negated(self) -> Self {
        Self { minor: self.minor.saturating_neg(), ..self }
    }
}

/// `$1,234.50`, `¥1,200`, `CHF 12.00` (with a space that does not break); negative with a true minus sign.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = self.currency.decimals();
        let digits = format!("{:0>width$}", self.minor.unsigned_abs(), width = decimals + 1);
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        if self.minor < 0 {
            f.write_str("\u{2212}")?;
        }
        match self.currency.sign() {
            "" => write!(f, "{}\u{a0}", self.currency.code())?,
            sign => f.write_str(sign)?,
        }
        f.write_str(&grouped(whole))?;
        if decimals == 0 { Ok(()) } else { write!(f, ".{fraction}") }
    }
}

/// Digits with a comma before each group of three.
fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count as people read it: `2,155`.
pub fn count(number: i64) -> String {
    let sign = if number < 0 { "\u{2212}" } else { "" };
    format!("{sign}{}", grouped(&number.unsigned_abs().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(text: &str, code: &str) -> Result<Money, MoneyError> {
        Money::parse(text, Currency::parse(code).unwrap())
    }

    #[test]
    fn amounts_are_shown_with_the_digits_of_their_currency() {
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
    fn what_is_no_amount_is_refused() {
        for text in
            ["", ".", ".5", "5.", "1.2.3", "-1", "+1", "1,000.00", "12,50", "1e3", "NaN", " 1", "1 ", "١", "0x1", "$1"]
        {
            assert_eq!(money(text, "USD"), Err(MoneyError::Malformed), "{text:?}");
        }
        assert_eq!(money("12.345", "USD"), Err(MoneyError::TooFine));
        assert_eq!(money("0.5", "JPY"), Err(MoneyError::TooFine));
        assert_eq!(money("99999999999999999999", "USD"), Err(MoneyError::TooLarge));
    }

    #[test]
    fn codes_outside_iso_4217_are_no_currency() {
        assert!(["", "usd", "EURO", "XYZ", "$"].iter().all(|code| Currency::parse(code).is_none()));
    }

    #[test]
    fn each_known_currency_has_its_own_sign() {
        let signs = [
            ("USD", "$"),
            ("EUR", "€"),
            ("GBP", "£"),
            ("JPY", "¥"),
            ("INR", "₹"),
            ("KRW", "₩"),
            ("CAD", "CA$"),
            ("AUD", "A$"),
            ("NZD", "NZ$"),
            ("BRL", "R$"),
            ("MXN", "MX$"),
            ("CHF", ""),
        ];
        for (code, sign) in signs {
            assert_eq!(Currency::parse(code).unwrap().sign(), sign, "{code}");
        }
    }

    #[test]
    fn amount_is_parsed_up_to_a_trillion_minor_units() {
        assert_eq!(money("10000000000.00", "USD").unwrap().minor(), 1_000_000_000_000);
        assert_eq!(money("10000000000.01", "USD"), Err(MoneyError::TooLarge));
        assert_eq!(money("9999999999.99", "USD").unwrap().minor(), 999_999_999_999);
        assert_eq!(money("20000000000", "USD"), Err(MoneyError::TooLarge));
    }

    #[test]
    fn plain_amount_has_the_decimals_of_its_currency_and_an_ascii_sign() {
        for (text, code, plain, negated) in [
            ("1234.5", "USD", "1234.50", "-1234.50"),
            ("0.05", "USD", "0.05", "-0.05"),
            ("0", "USD", "0.00", "0.00"),
            ("1200", "JPY", "1200", "-1200"),
            ("0", "JPY", "0", "0"),
            ("1.5", "KWD", "1.500", "-1.500"),
        ] {
            let money = money(text, code).unwrap();
            assert_eq!((money.plain().as_str(), money.negated().plain().as_str()), (plain, negated));
            assert_eq!(money.is_zero(), text == "0", "{text}");
        }
    }

    #[test]
    fn count_is_grouped_by_three_with_a_minus_sign() {
        let shown = [0, 7, 999, 1000, 2155, 1_234_567, -1, -2155].map(count);
        assert_eq!(shown, ["0", "7", "999", "1,000", "2,155", "1,234,567", "\u{2212}1", "\u{2212}2,155"]);
    }
}

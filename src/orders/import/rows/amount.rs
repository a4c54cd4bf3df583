//! Amounts as programs write them: `12.50`, `-3`, `.5`, `1,020.00`, `€12.50`, `(3.00)`, and with decimal commas where cells are separated
//! otherwise.

use std::borrow::Cow;

use crate::domain::{Currency, Money, MoneyError};

/// A parsed amount, in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Amount {
    pub minor: i64,
    /// Whether the cell was finer than the currency.
    pub is_rounded: bool,
}

/// # Errors
/// What is wrong with the value, and the valid form.
pub(super) fn parse(text: &str, currency: Currency, allows_decimal_comma: bool) -> Result<Amount, String> {
    // Also before a number, against its parsing by a spreadsheet program.
    let text = text.strip_prefix('\'').unwrap_or(text);
    let text = bare_number(text, currency);
    let text = without_spaces(&text);
    let decimal = with_decimal_point(&text, currency, allows_decimal_comma)?;
    match Money::parse(&decimal, currency) {
        Ok(parsed) => Ok(Amount { minor: parsed.money.minor(), is_rounded: parsed.is_rounded }),
        Err(MoneyError::Malformed) => Err("is not an amount; write it like 12.50".to_owned()),
        Err(MoneyError::TooLarge) => Err("is a larger amount than can be stored; check it".to_owned()),
    }
}

/// Without the sign or code of the order's currency, and with a minus before the digits: accounting programs write `(3.00)` and `3.00-`.
fn bare_number(text: &str, currency: Currency) -> Cow<'_, str> {
    if text.starts_with(|letter: char| letter.is_ascii_digit())
        && text.ends_with(|letter: char| letter.is_ascii_digit())
    {
        return Cow::Borrowed(text);
    }
    let in_brackets = text.strip_prefix('(').and_then(|text| text.strip_suffix(')'));
    let text = in_brackets.unwrap_or(text).trim();
    let bare = without_currency(text, currency);
    let (before, after) = (bare.strip_prefix(MINUS), bare.strip_suffix(MINUS));
    let number = before.or(after).unwrap_or(bare);
    // The sign stands outside or inside of the minus, not twice.
    let number = if bare.len() < text.len() { number } else { without_currency(number, currency) };
    match (in_brackets, before.or(after)) {
        // Negative twice.
        (Some(_), Some(_)) => Cow::Owned(format!("--{number}")),
        (None, None) => Cow::Borrowed(number),
        (Some(_), None) | (None, Some(_)) => Cow::Owned(format!("-{number}")),
    }
}

const MINUS: [char; 2] = ['-', '\u{2212}'];

fn without_currency(text: &str, currency: Currency) -> &str {
    let text = text.trim();
    let ends = |sign: &String| {
        let is_sign = |part: Option<&str>| !sign.is_empty() && part.is_some_and(|part| part.eq_ignore_ascii_case(sign));
        let tail = text.len().checked_sub(sign.len());
        match tail {
            Some(_) if is_sign(text.get(..sign.len())) => Some(text[sign.len()..].trim_start()),
            Some(tail) if is_sign(text.get(tail..)) => Some(text[..tail].trim_end()),
            _ => None,
        }
    };
    currency.signs().iter().find_map(ends).unwrap_or(text)
}

/// Marks between groups of thousands that are never decimal marks, as French, Scandinavian and Swiss programs write them. A comma counts in
/// whole numbers alone.
pub(super) fn is_thousands_mark(letter: char) -> bool {
    SPACES.contains(&letter) || letter == ','
}

const SPACES: [char; 6] = [' ', '\u{a0}', '\u{2009}', '\u{202f}', '\'', '\u{2019}'];

/// `1 020,00` and `1'020.00` without these marks, if they stand before groups of three.
fn without_spaces(text: &str) -> Cow<'_, str> {
    let Some(mark) = text.chars().find(|letter| SPACES.contains(letter)) else { return Cow::Borrowed(text) };
    let whole = text.find(['.', ',']).map_or(text, |end| &text[..end]);
    if are_thousands(whole, mark) { Cow::Owned(text.replace(mark, "")) } else { Cow::Borrowed(text) }
}

/// The amount with a decimal point and without separators of thousands.
fn with_decimal_point(text: &str, currency: Currency, allows_decimal_comma: bool) -> Result<String, String> {
    match (text.rfind(','), text.rfind('.')) {
        (None, Some(_)) if !allows_decimal_comma || text.matches('.').count() > 1 => Ok(text.to_owned()),
        (Some(comma), Some(point)) if comma < point && are_thousands(&text[..point], ',') => Ok(text.replace(',', "")),
        (Some(comma), Some(point)) if comma > point && allows_decimal_comma && are_thousands(&text[..comma], '.') => {
            Ok(text.replace('.', "").replace(',', "."))
        }
        (Some(_), None) if !allows_decimal_comma || text.matches(',').count() > 1 => Ok(text.to_owned()),
        // One mark alone, in a file that may have both.
        (Some(mark), None) | (None, Some(mark)) => {
            let fraction = text[mark + 1..].len();
            if fraction == 3 && currency.decimals() < 3 && text[..mark].trim_start_matches('-') != "0" {
                let (whole, rest) = (&text[..mark], &text[mark + 1..]);
                return Err(format!("is {whole}{rest}.00 or {whole}.{rest}; write it without separators of thousands"));
            }
            Ok(text.replace(',', "."))
        }
        (None, None) | (Some(_), Some(_)) => Ok(text.to_owned()),
    }
}

/// Whether the marks in these digits stand before each group of three.
fn are_thousands(whole: &str, mark: char) -> bool {
    let mut groups = whole.trim_start_matches(['-', '+', '\u{2212}']).split(mark);
    let first = groups.next().unwrap_or_default();
    (1..=3).contains(&first.len()) && groups.all(|group| group.len() == 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minor(text: &str, code: &str, allows_decimal_comma: bool) -> Option<i64> {
        parse(text, Currency::parse(code).unwrap(), allows_decimal_comma).ok().map(|amount| amount.minor)
    }

    #[test]
    fn amount_has_a_decimal_point() {
        for (text, amount) in [
            ("12.50", 1250),
            ("-12.5", -1250),
            (".5", 50),
            ("20", 2000),
            ("1,020.00", 102_000),
            ("1,234,567.8", 123_456_780),
            ("1 020.00", 102_000),
            ("-1\u{a0}020\u{a0}000", -102_000_000),
            ("1\u{202f}020.5", 102_050),
            ("1'020.00", 102_000),
            ("'12.50", 1250),
            ("€12.50", 1250),
            ("12.50 €", 1250),
            ("eur 12.50", 1250),
            ("12.50EUR", 1250),
            ("-€12.50", -1250),
            ("€ -12.50", -1250),
            ("(12.50)", -1250),
            ("(€1,020.00)", -102_000),
            ("12.50-", -1250),
            ("\u{2212}12.50", -1250),
        ] {
            assert_eq!(minor(text, "EUR", false), Some(amount), "{text}");
            assert_eq!(minor(text, "EUR", true), Some(amount), "{text}");
        }
        for text in [
            "12,50",
            "1,020",
            "1.020,00",
            "10,20.00",
            "1,0200.00",
            ",5",
            "$5",
            "5 USD",
            "(-5)",
            "--5",
            "-5-",
            "€",
            "€€5",
            "()",
            "nan",
            "1.2E+05",
            "",
            "1.2.3",
            "1 02.00",
            "12 50",
            "' ",
        ] {
            assert_eq!(minor(text, "EUR", false), None, "{text}");
        }
    }

    #[test]
    fn amount_may_have_a_decimal_comma_where_cells_are_separated_otherwise() {
        for (text, amount) in [
            ("1.020,00 €", 102_000),
            ("12,50", 1250),
            ("-0,5", -50),
            (",5", 50),
            ("1.020,00", 102_000),
            ("0,005", 0),
            ("1 020,00", 102_000),
        ] {
            assert_eq!(minor(text, "EUR", true), Some(amount), "{text}");
        }
        assert_eq!(minor("1,234", "KWD", true), Some(1234));
        let ambiguous = parse("1.020", Currency::parse("EUR").unwrap(), true).unwrap_err();
        assert!(ambiguous.contains("1020.00 or 1.020"), "{ambiguous}");
        assert_eq!(minor("1,020", "EUR", true), None);
    }
}

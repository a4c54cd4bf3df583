//! Parses the cells of one row. A problem says what is wrong and what the valid form is.

use strum::VariantArray;

use super::amount::{self, Amount, is_thousands_mark};
use super::row::without_padding;
use super::time_cell;
use crate::domain::{Currency, Email, UnixSeconds, Zone};
use crate::orders::import::columns::Column;
use crate::orders::import::quote::quote;
use crate::orders::order::{OrderName, without_hash};
use crate::orders::status::{FulfillmentStatus, PaymentStatus};

/// Quantities from minus this number to this number.
const MAX_QUANTITY: i64 = 1_000_000;

/// Codes that may look like numbers.
const CODE_COLUMNS: [Column; 6] = [
    Column::LineSku,
    Column::ShippingZip,
    Column::BillingZip,
    Column::ShippingPhone,
    Column::BillingPhone,
    Column::TrackingNumber,
];

/// A cell.
pub(super) struct Cell<'a> {
    pub column: Column,
    /// Without spaces around it.
    pub text: &'a str,
    /// As written in the file.
    pub raw: &'a str,
    pub allows_decimal_comma: bool,
}

/// Why a cell is invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CellProblem {
    pub column: Column,
    pub problem: String,
}

type Parsed<T> = Result<T, CellProblem>;

impl Cell<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(super) fn problem(&self, problem: impl Into<String>) -> CellProblem {
        CellProblem { column: self.column, problem: problem.into() }
    }

    pub(super) fn invalid(&self, expected: &str) -> CellProblem {
        if self.text.is_empty() {
            let advice = expected.split_once("; ").map_or(expected, |(_, advice)| advice);
            return self.problem(format!("the cell is empty; {advice}"));
        }
        self.problem(format!("{} {expected}", quote(self.text)))
    }

    /// Any text without NUL, which PostgreSQL cannot store.
    pub(super) fn text(&self) -> Parsed<String> {
        if self.raw.contains('\0') {
            return Err(self.invalid("contains a NUL character; remove it"));
        }
        Ok(without_padding(self.raw).to_owned())
    }

    /// Text without a leading quote, which exports add so that spreadsheet programs do not parse a postcode as a number.
    pub(super) fn code(&self) -> Parsed<String> {
        self.text().map(|_| without_point_zero(self.text.strip_prefix('\'').unwrap_or(self.text)).to_owned())
    }

    /// A link to show; empty unless it is https.
    pub(super) fn url(&self) -> Parsed<String> {
        let is_https =
            |url: &str| url::Url::parse(url).is_ok_and(|parsed| parsed.scheme() == "https" && parsed.host().is_some());
        // Of several parcels the first.
        let urls = self.text()?;
        let first = urls.split([' ', '\n', '\r', '\t']).next().unwrap_or_default().trim_end_matches([',', ';']);
        Ok(if is_https(first) { first.to_owned() } else { String::new() })
    }

    /// What a spreadsheet program made of the value, which is lost: `#NAME?`, `#####`, an id as `5.55E+12`.
    pub(super) fn damage(&self) -> Option<CellProblem> {
        let advice = "import the export as the shop wrote it, without saving it in a spreadsheet program";
        if is_spreadsheet_error(self.text) {
            return Some(
                self.invalid(&format!("is an error of a spreadsheet program in place of the value; {advice}")),
            );
        }
        let is_rounded = match self.column {
            Column::Id => is_scientific(self.text.trim_start_matches('\'')),
            // 1E5 may be the code itself.
            column if CODE_COLUMNS.contains(&column) => is_scientific(self.text) && self.text.contains('+'),
            _ => false,
        };
        is_rounded.then(|| self.invalid(&format!("was rounded by a spreadsheet program; {advice}")))
    }

    pub(super) fn name(&self) -> Parsed<OrderName> {
        let name = self.text.strip_prefix('\'').unwrap_or(self.text).trim_start();
        if is_spreadsheet_error(name) || (is_scientific(name) && name.contains('+')) {
            return Err(self.invalid(
                "is what a spreadsheet program made of the order name; import the export as the shop wrote it, without saving it in between",
            ));
        }
        if matches!(without_hash(name), "." | "..") {
            return Err(self.invalid(
                "cannot be an order name: browsers remove it from the address of a page; give the order another name in the file, such as \"order 1\"",
            ));
        }
        OrderName::parse(without_point_zero(name))
            .ok_or_else(|| self.invalid("is not an order name; write it like #1001, in up to 255 printable characters"))
    }

    /// The id of the shop's system; empty when it is lost, see [`Cell::damage`].
    pub(super) fn id(&self) -> Parsed<String> {
        let id = self.code()?;
        if self.damage().is_some() {
            return Ok(String::new());
        }
        if id.chars().count() > 100 {
            return Err(self.invalid("is longer than 100 characters"));
        }
        Ok(canonical_id(&id))
    }

    pub(super) fn email(&self) -> Parsed<Option<Email>> {
        if self.is_empty() {
            return Ok(None);
        }
        Email::parse(bare_email(self.text))
            .map(Some)
            .map_err(|_| self.invalid("is not an email address; write it like name@example.com, or leave it empty"))
    }

    pub(super) fn currency(&self) -> Parsed<Currency> {
        Currency::parse(&self.text.to_uppercase())
            .ok_or_else(|| self.invalid("is not a currency; write its ISO 4217 code, like USD"))
    }

    pub(super) fn money(&self, currency: Currency) -> Parsed<Amount> {
        amount::parse(self.text, currency, self.allows_decimal_comma).map_err(|expected| self.invalid(&expected))
    }

    pub(super) fn quantity(&self) -> Parsed<i64> {
        let text = self.text.strip_prefix('\'').unwrap_or(self.text);
        let (whole, fraction) = text.split_once(['.', ',']).unwrap_or((text, "0"));
        // A comma before three zeros is a separator of thousands, or a decimal comma.
        let has_two_readings = fraction == "000" && whole != "0" && (text.contains(',') || self.allows_decimal_comma);
        if has_two_readings {
            return Err(self.invalid(&format!("is {whole}000 or {whole}; write it without separators")));
        }
        let is_whole = !fraction.is_empty() && fraction.bytes().all(|byte| byte == b'0');
        let digits = whole.strip_prefix('-').unwrap_or(whole);
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let quantity = whole.parse::<i64>().ok().filter(|quantity| quantity.abs() <= MAX_QUANTITY);
        quantity.filter(|_| is_whole && is_number).ok_or_else(|| {
            self.invalid(&format!("is not a quantity; write a whole number from -{MAX_QUANTITY} to {MAX_QUANTITY}"))
        })
    }

    /// A time; without an offset it is in the shop's zone.
    pub(super) fn time(&self, zone: &Zone) -> Parsed<UnixSeconds> {
        time_cell::parse(self.text, zone).map_err(|expected| self.invalid(&expected))
    }

    pub(super) fn payment_status(&self) -> Parsed<PaymentStatus> {
        let word = status_word(self.text);
        // Squarespace and WooCommerce have words of their own. WooCommerce's one state tells payment and shipment.
        let status = match word.as_str() {
            "" | "on_hold" | "pending_payment" | "payment_pending" | "draft" | "checkout_draft" | "not_paid" => {
                Some(PaymentStatus::Pending)
            }
            "processing" | "completed" | "shipped" | "delivered" => Some(PaymentStatus::Paid),
            "cancelled" | "canceled" | "failed" => Some(PaymentStatus::Voided),
            word => word.parse().ok(),
        };
        status.ok_or_else(|| {
            self.invalid(&format!("is not a payment state; write one of {}", codes(PaymentStatus::VARIANTS)))
        })
    }

    pub(super) fn fulfillment_status(&self) -> Parsed<FulfillmentStatus> {
        let word = status_word(self.text);
        let status = match word.as_str() {
            "" | "pending" | "processing" | "refunded" | "failed" | "pending_payment" | "draft" | "checkout_draft"
            | "partially_paid" | "partially_refunded" => Some(FulfillmentStatus::Unfulfilled),
            "completed" | "shipped" => Some(FulfillmentStatus::Fulfilled),
            "cancelled" | "canceled" => Some(FulfillmentStatus::Restocked),
            word => word.parse().ok(),
        };
        status.ok_or_else(|| {
            self.invalid(&format!("is not a fulfilment state; write one of {}", codes(FulfillmentStatus::VARIANTS)))
        })
    }
}

/// `1.23E+12`.
fn is_scientific(text: &str) -> bool {
    let (mantissa, exponent) = text.split_once(['E', 'e']).unwrap_or(("", ""));
    let is_number =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || b".,".contains(&byte));
    is_number(mantissa) && is_number(exponent.trim_start_matches(['+', '-']))
}

/// `#NAME?`, `#N/A`, and `#####` for a column that is too narrow.
fn is_spreadsheet_error(text: &str) -> bool {
    const ERRORS: [&str; 8] = ["#NAME?", "#REF!", "#VALUE!", "#DIV/0!", "#N/A", "#NUM!", "#NULL!", "#ERROR!"];
    text.starts_with('#') && (ERRORS.contains(&text) || (text.len() > 2 && text.bytes().all(|byte| byte == b'#')))
}

fn codes<T: Copy + Into<&'static str>>(statuses: &[T]) -> String {
    statuses.iter().map(|status| (*status).into()).collect::<Vec<&str>>().join(", ")
}

/// WooCommerce's database has `wc-completed`.
fn status_word(text: &str) -> String {
    let word = text.to_lowercase().replace([' ', '-'], "_");
    word.strip_prefix("wc_").map(str::to_owned).unwrap_or(word)
}

/// A whole number that a program read and wrote as `1001.0`.
fn without_point_zero(text: &str) -> &str {
    let whole = text.split_once('.').filter(|(_, zeros)| !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0'));
    let is_number = |whole: &str| !whole.is_empty() && whole.bytes().all(|byte| byte.is_ascii_digit());
    whole.map(|(whole, _)| whole).filter(|whole| is_number(whole)).unwrap_or(text)
}

/// The address in `Ann <ann@example.com>` and `mailto:ann@example.com`.
fn bare_email(text: &str) -> &str {
    let text = text.strip_prefix('\'').unwrap_or(text);
    let in_brackets = text.strip_suffix('>').and_then(|text| text.split_once('<'));
    let text = in_brackets.map_or(text, |(_, address)| address);
    text.strip_prefix("mailto:").unwrap_or(text)
}

/// An id in one form, however a program wrote it. Shopify's API writes `gid://shopify/Order/5551112223334`.
pub(in crate::orders::import) fn canonical_id(id: &str) -> String {
    let id = id.strip_prefix("gid://shopify/Order/").unwrap_or(id);
    let id = without_point_zero(id);
    let digits: String = id.chars().filter(|letter| !is_thousands_mark(*letter)).collect();
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { digits } else { id.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(column: Column, text: &str) -> Cell<'_> {
        Cell { column, text, raw: text, allows_decimal_comma: false }
    }

    #[test]
    fn quantity_is_a_whole_number() {
        for (text, quantity) in
            [("2", 2), ("2.0", 2), ("2,00", 2), ("-1", -1), ("0", 0), ("1000000", 1_000_000), ("1.000", 1)]
        {
            assert_eq!(cell(Column::LineQuantity, text).quantity(), Ok(quantity), "{text}");
        }
        for text in ["", "0.5", "1.5", "two", "2.", "-", "+1", "1000001", "99999999999999999999", "1,000"] {
            assert!(cell(Column::LineQuantity, text).quantity().is_err(), "{text}");
        }
    }

    #[test]
    fn id_that_a_spreadsheet_program_rounded_is_unknown() {
        assert_eq!(cell(Column::Id, "5550001112223").id(), Ok("5550001112223".to_owned()));
        assert_eq!(cell(Column::Id, "'5550001112223.0").id(), Ok("5550001112223".to_owned()));
        for text in ["5.55E+12", "5,55E+12", "3E7"] {
            assert_eq!(cell(Column::Id, text).id(), Ok(String::new()), "{text}");
        }
        for text in ["gid://shopify/Order/5550001112223", "5,550,001,112,223", "5\u{a0}550\u{a0}001\u{a0}112\u{a0}223"]
        {
            assert_eq!(cell(Column::Id, text).id(), Ok("5550001112223".to_owned()), "{text}");
        }
        assert_eq!(cell(Column::Id, "cafe, 1").id(), Ok("cafe, 1".to_owned()));
    }

    #[test]
    fn value_that_a_spreadsheet_program_replaced_is_damaged() {
        let damaged =
            [(Column::Id, "5.55E+12"), (Column::Id, "#####"), (Column::LineName, "#NAME?"), (Column::LineSku, "#N/A")];
        for (column, text) in damaged {
            assert!(cell(column, text).damage().is_some(), "{text}");
        }
        for (column, text) in
            [(Column::LineName, "5.55E+12"), (Column::LineName, "#1"), (Column::Id, "7"), (Column::Id, "")]
        {
            assert_eq!(cell(column, text).damage(), None, "{text}");
        }
        for text in ["#NAME?", "####", "1.00E+15"] {
            assert!(cell(Column::Name, text).name().is_err(), "{text}");
        }
        for (text, name) in
            [("1001.0", "1001"), ("#1001.0", "#1001.0"), ("1001.1", "1001.1"), ("1E5", "1E5"), ("#", "#")]
        {
            assert_eq!(cell(Column::Name, text).name().unwrap().as_str(), name);
        }
    }

    #[test]
    fn link_is_https_or_dropped() {
        assert_eq!(cell(Column::TrackingUrl, "https://post.example/1").url(), Ok("https://post.example/1".to_owned()));
        for text in ["javascript:alert(1)", "http://post.example", "https://", "post.example"] {
            assert_eq!(cell(Column::TrackingUrl, text).url(), Ok(String::new()), "{text}");
        }
    }

    #[test]
    fn states_are_those_of_shopify_squarespace_and_woocommerce() {
        let payment = |text| cell(Column::FinancialStatus, text).payment_status().ok();
        assert_eq!(payment("Partially Refunded"), Some(PaymentStatus::PartiallyRefunded));
        assert_eq!(payment("PAID"), Some(PaymentStatus::Paid));
        assert_eq!(payment(""), Some(PaymentStatus::Pending));
        assert_eq!(payment("overdue"), None);
        let fulfillment = |text| cell(Column::FulfillmentStatus, text).fulfillment_status().ok();
        assert_eq!(fulfillment("pending"), Some(FulfillmentStatus::Unfulfilled));
        assert_eq!(fulfillment("shipped"), Some(FulfillmentStatus::Fulfilled));
        assert_eq!(fulfillment("lost"), None);
    }
}

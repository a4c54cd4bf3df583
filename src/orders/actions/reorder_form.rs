//! The form of "Order again": its lines, and the quantities that the customer submits.

use sha2::{Digest, Sha256};

use super::store::reorders::RequestedLine;
use crate::hex;
use crate::orders::detail::product_lines;
use crate::orders::order::OrderDetail;

/// Lines with a field for the quantity. An order may have more: a form of all would be larger than the server accepts.
const MAX_FIELDS: usize = 200;
/// The largest quantity of a line, unless the order has more.
const MAX_QUANTITY: i64 = 9_999;
const FIELD: &str = "quantity_";

/// A line of the review page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ReviewLine {
    /// The name of the field, such as `quantity_1`.
    pub field: String,
    pub name: String,
    pub sku: String,
    pub unit_price: String,
    /// As typed.
    pub quantity: String,
    pub max: i64,
    pub error: Option<String>,
}

/// The fields of the submitted form.
#[derive(Debug, Default)]
pub(super) struct SubmittedForm {
    pub key: String,
    /// What [`version`] was when the form was shown; empty if the form has no quantities.
    version: String,
    quantities: Vec<(usize, String)>,
}

/// What a valid form asks for, or the page that explains what is wrong.
pub(super) enum Submitted {
    Lines(Vec<RequestedLine>),
    Invalid(Review),
}

/// The lines of an order with their quantities.
pub(super) struct Review {
    pub lines: Vec<ReviewLine>,
    /// Lines without a field, which are requested as ordered.
    pub more: usize,
    pub version: String,
    /// About the form as a whole.
    pub error: Option<String>,
}

impl SubmittedForm {
    /// `None` when a field occurs twice or the key is missing.
    pub(super) fn parse(fields: Vec<(String, String)>) -> Option<Self> {
        let (mut key, mut version) = (None, None);
        let mut quantities: Vec<(usize, String)> = Vec::new();
        for (name, value) in fields {
            let is_new = match name.as_str() {
                "key" => key.replace(value).is_none(),
                "version" => version.replace(value).is_none(),
                _ => match name.strip_prefix(FIELD).and_then(|number| number.parse().ok()) {
                    Some(number) if quantities.iter().any(|(other, _)| *other == number) => false,
                    Some(number) => {
                        quantities.push((number, value));
                        true
                    }
                    None => true,
                },
            };
            if !is_new {
                return None;
            }
        }
        Some(Self { key: key?, version: version.unwrap_or_default(), quantities })
    }

    fn quantity(&self, number: usize) -> Option<&str> {
        self.quantities.iter().find(|(other, _)| *other == number).map(|(_, typed)| typed.trim())
    }

    /// Validates the quantities. A line without one is requested as ordered.
    pub(super) fn validate(&self, detail: &OrderDetail) -> Submitted {
        let mut review = review(detail);
        if !self.version.is_empty() && self.version != review.version {
            review.error = Some("The order has changed meanwhile. Check the quantities.".to_owned());
            return Submitted::Invalid(review);
        }
        let (mut lines, mut is_valid) = (Vec::new(), true);
        for (index, line) in product_lines(detail).into_iter().enumerate() {
            let field = review.lines.get_mut(index);
            let quantity = match (self.quantity(index + 1), field) {
                (Some(typed), Some(field)) => {
                    typed.clone_into(&mut field.quantity);
                    parse_quantity(typed, field.max).unwrap_or_else(|| {
                        field.error = Some(format!("Enter a whole number from 0 to {}.", field.max));
                        is_valid = false;
                        0
                    })
                }
                _ => line.quantity.max(0),
            };
            if quantity > 0 {
                lines.push(RequestedLine { sku: line.sku.clone(), name: line.name.clone(), quantity });
            }
        }
        if is_valid && lines.is_empty() {
            review.error = Some("Enter a quantity for at least one product.".to_owned());
        }
        if is_valid && !lines.is_empty() { Submitted::Lines(lines) } else { Submitted::Invalid(review) }
    }
}

fn parse_quantity(typed: &str, max: i64) -> Option<i64> {
    let is_number = typed.bytes().all(|byte| byte.is_ascii_digit());
    match typed {
        "" => Some(0),
        _ => typed.parse().ok().filter(|quantity| is_number && *quantity <= max),
    }
}

/// The lines with the quantities of the order. What was returned in exchange counts as none.
pub(super) fn review(detail: &OrderDetail) -> Review {
    let products = product_lines(detail);
    let lines = products.iter().take(MAX_FIELDS).enumerate().map(|(index, line)| ReviewLine {
        field: format!("{FIELD}{}", index + 1),
        name: line.name.clone(),
        sku: line.sku.clone(),
        unit_price: line.unit_price.to_string(),
        quantity: line.quantity.max(0).to_string(),
        max: line.quantity.max(MAX_QUANTITY),
        error: None,
    });
    Review {
        lines: lines.collect(),
        more: products.len().saturating_sub(MAX_FIELDS),
        version: version(detail),
        error: None,
    }
}

/// Changes with the products of the order, so that the quantities of a form that was shown before are not those of others.
fn version(detail: &OrderDetail) -> String {
    let mut hash = Sha256::new();
    for line in product_lines(detail) {
        hash.update(&line.sku);
        hash.update([0]);
        hash.update(&line.name);
        hash.update([0]);
    }
    hex::encode(&hash.finalize()[..8])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Money;
    use crate::orders::order::tests::order;
    use crate::orders::order::{OrderDetails, OrderLine, ShippingAddress};

    fn detail(quantities: &[i64]) -> OrderDetail {
        let order = order("paid", "fulfilled");
        let zero = Money::zero(order.currency());
        let line = |(index, quantity): (usize, &i64)| OrderLine {
            sku: String::new(),
            name: format!("Tea {}", index + 1),
            quantity: *quantity,
            unit_price: zero,
            discount: zero,
            fulfillment_status: String::new(),
        };
        let lines = quantities.iter().enumerate().map(line).collect();
        OrderDetail { order, lines, address: ShippingAddress::default(), details: OrderDetails::default(), shop: None }
    }

    fn form(fields: &[(&str, &str)]) -> SubmittedForm {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        SubmittedForm::parse([("key".to_owned(), "k".to_owned())].into_iter().chain(fields).collect()).unwrap()
    }

    /// The requested quantities, or the errors.
    fn validate(fields: &[(&str, &str)], quantities: &[i64]) -> Result<Vec<i64>, Vec<String>> {
        match form(fields).validate(&detail(quantities)) {
            Submitted::Lines(lines) => Ok(lines.iter().map(|line| line.quantity).collect()),
            Submitted::Invalid(review) => {
                let fields = review.lines.into_iter().filter_map(|line| line.error);
                Err(review.error.into_iter().chain(fields).collect())
            }
        }
    }

    #[test]
    fn absent_quantities_are_those_of_the_order() {
        assert_eq!(validate(&[], &[2, -1, 3]), Ok(vec![2, 3]));
        assert_eq!(validate(&[("quantity_2", "7"), ("other", "x")], &[2, 1, 3]), Ok(vec![2, 7, 3]));
        assert_eq!(validate(&[("quantity_1", " "), ("quantity_2", "0")], &[2, 1, 3]), Ok(vec![3]));
        assert_eq!(validate(&[("quantity_1", "20000")], &[20_000]), Ok(vec![20_000]));
    }

    #[test]
    fn invalid_quantities_are_errors() {
        for typed in ["-1", "+1", "1.5", "x", "10000", "99999999999999999999", "１"] {
            let error = "Enter a whole number from 0 to 9999.".to_owned();
            assert_eq!(validate(&[("quantity_1", typed)], &[2, 1]), Err(vec![error]), "{typed}");
        }
        for (fields, quantities) in [(&[("quantity_1", "0")][..], &[2][..]), (&[], &[-1]), (&[], &[])] {
            let error = "Enter a quantity for at least one product.".to_owned();
            assert_eq!(validate(fields, quantities), Err(vec![error]));
        }
    }

    #[test]
    fn quantities_of_other_products_are_not_requested() {
        let version = version(&detail(&[1, 2]));
        assert_eq!(validate(&[("version", &version), ("quantity_1", "5")], &[1, 2]), Ok(vec![5, 2]));
        assert!(validate(&[("version", &version), ("quantity_1", "5")], &[1, 2, 3]).is_err());
    }

    #[test]
    fn lines_beyond_200_have_no_field() {
        let detail = detail(&[1; 250]);
        let review = review(&detail);
        assert_eq!((review.lines.len(), review.more), (200, 50));
        assert_eq!(validate(&[("quantity_1", "0"), ("quantity_201", "0")], &[1; 250]).unwrap().len(), 249);
    }

    #[test]
    fn repeated_field_or_missing_key_is_rejected() {
        let fields = |fields: &[(&str, &str)]| {
            SubmittedForm::parse(fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
                .is_some()
        };
        assert!(fields(&[("key", "k")]) && !fields(&[]) && !fields(&[("key", "k"), ("key", "k")]));
        assert!(!fields(&[("key", "k"), ("quantity_1", "1"), ("quantity_1", "2")]));
    }
}

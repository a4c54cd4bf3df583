//! What the page says about an order besides lines, totals and events.

use crate::domain::Money;
use crate::orders::order::{BillingAddress, OrderDetail, OrderLine, ShippingAddress};
use crate::orders::status::OrderStatus;

/// A term and its value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fact {
    pub term: &'static str,
    pub value: String,
    /// An https URL behind the value.
    pub url: Option<String>,
}

/// The known facts of an order.
pub(super) fn facts(detail: &OrderDetail, unnamed_shop: &str) -> Vec<Fact> {
    let details = &detail.details;
    let money = |minor| Money::new(minor, detail.order.currency()).to_string();
    let taxes = details.taxes.iter().map(|tax| format!("{} {}", tax.name, money(tax.amount))).collect::<Vec<_>>();
    let tracking = [&details.tracking_company, &details.tracking_number].map(|text| text.trim());
    let tracking = tracking.join(" ").trim().to_owned();
    let url = Some(details.tracking_url.clone()).filter(|url| !url.is_empty());
    let tracking = if tracking.is_empty() && url.is_some() { "Track the parcel".to_owned() } else { tracking };
    let texts = [
        ("Shop", detail.shop_name(unnamed_shop).unwrap_or_default().to_owned(), None),
        ("Shipping method", details.shipping_method.clone(), None),
        ("Tracking", tracking, url),
        ("Payment method", details.payment_method.clone(), None),
        ("Discount code", details.discount_code.clone(), None),
        ("Taxes", taxes.join(", "), None),
    ];
    let known = texts.into_iter().filter(|(_, value, _)| !value.trim().is_empty());
    known.map(|(term, value, url)| Fact { term, value, url }).collect()
}

/// How many lines of a partly sent order are sent: `2 of 3 sent`; `None` when the export does not say.
pub(super) fn sent_lines(detail: &OrderDetail) -> Option<String> {
    let is_known = detail.lines.iter().any(|line| !line.fulfillment_status.is_empty());
    let sent = detail.lines.iter().filter(|line| line_state(line) == Some("Sent")).count();
    let is_partly_sent = detail.order.status == OrderStatus::PartlySent;
    (is_partly_sent && is_known).then(|| format!("{sent} of {} sent", detail.lines.len()))
}

/// The state of a line, for orders that are partly sent.
pub(super) fn line_state(line: &OrderLine) -> Option<&'static str> {
    match line.fulfillment_status.to_lowercase().as_str() {
        "fulfilled" | "delivered" => Some("Sent"),
        "partial" | "partially_fulfilled" => Some("Partly sent"),
        "restocked" => Some("Cancelled"),
        _ => None,
    }
}

/// The address as on a parcel, without unknown parts.
pub(in crate::orders) fn shipping_lines(address: &ShippingAddress, province_name: &str) -> Vec<String> {
    let province = province(&address.province, province_name);
    let ShippingAddress { name, company, address1, address2, zip, city, country, phone, .. } = address;
    address_lines([name, company, address1, address2, &zip_and_city(zip, city), province, country, phone])
}

/// The billing address; empty when it is not known.
pub(in crate::orders) fn billing_lines(detail: &OrderDetail) -> Vec<String> {
    billing_address_lines(&detail.details.billing_address, &detail.details.billing_province_name)
}

/// Whether the known billing address is the shipping address. It may lack the phone number, which is that of the delivery.
pub(super) fn is_billing_same(detail: &OrderDetail) -> bool {
    let (billing_name, shipping_name) = (&detail.details.billing_province_name, &detail.details.shipping_province_name);
    // The name of a province may be known for one of the two.
    let is_same_province = billing_name == shipping_name || billing_name.is_empty() || shipping_name.is_empty();
    let billing = billing_address_lines(&detail.details.billing_address, "");
    let mut shipping = detail.address.clone();
    let is_same = |shipping: &ShippingAddress| is_same_province && billing == shipping_lines(shipping, "");
    if billing.is_empty() || is_same(&shipping) {
        return !billing.is_empty();
    }
    shipping.phone.clear();
    is_same(&shipping)
}

fn billing_address_lines(address: &BillingAddress, province_name: &str) -> Vec<String> {
    let province = province(&address.province, province_name);
    let BillingAddress { name, company, address1, address2, zip, city, country, phone, .. } = address;
    address_lines([name, company, address1, address2, &zip_and_city(zip, city), province, country, phone])
}

/// The name if it is known, else the code.
fn province<'a>(code: &'a str, name: &'a str) -> &'a str {
    if name.is_empty() { code } else { name }
}

fn zip_and_city(zip: &str, city: &str) -> String {
    [zip, city].map(str::trim).join(" ")
}

fn address_lines<const N: usize>(lines: [&str; N]) -> Vec<String> {
    lines.into_iter().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::order::tests::order;
    use crate::orders::order::{NamedTax, OrderDetails};

    fn detail(details: OrderDetails, states: &[&str]) -> OrderDetail {
        let zero = Money::zero(order("paid", "partial").currency());
        let line = |state: &&str| OrderLine {
            sku: String::new(),
            name: "Tea".to_owned(),
            quantity: 1,
            unit_price: zero,
            discount: zero,
            fulfillment_status: (*state).to_owned(),
        };
        let lines = states.iter().map(line).collect();
        OrderDetail {
            order: order("paid", "partial"),
            lines,
            address: ShippingAddress::default(),
            details,
            shop: Some("Tea Shop".to_owned()),
        }
    }

    #[test]
    fn only_known_facts_are_listed() {
        let of_only_shop = OrderDetail { shop: None, ..detail(OrderDetails::default(), &[]) };
        assert!(facts(&of_only_shop, "Tea").is_empty());
        let details = OrderDetails {
            taxes: vec![NamedTax { name: "VAT 19%".to_owned(), amount: 399 }],
            tracking_url: "https://post.example/1".to_owned(),
            ..OrderDetails::default()
        };
        let facts = facts(&detail(details, &[]), "Tea");
        let texts: Vec<(&str, &str)> = facts.iter().map(|fact| (fact.term, fact.value.as_str())).collect();
        assert_eq!(texts, [("Shop", "Tea Shop"), ("Tracking", "Track the parcel"), ("Taxes", "VAT 19% $3.99")]);
        assert_eq!(facts[1].url.as_deref(), Some("https://post.example/1"));
    }

    #[test]
    fn sent_lines_are_counted_when_the_export_knows_them() {
        assert_eq!(sent_lines(&detail(OrderDetails::default(), &["", ""])), None);
        let partly = detail(OrderDetails::default(), &["fulfilled", "unfulfilled", "fulfilled"]);
        assert_eq!(sent_lines(&partly).as_deref(), Some("2 of 3 sent"));
    }

    #[test]
    fn address_has_no_empty_lines() {
        let address = ShippingAddress {
            name: "Ann ".into(),
            zip: "51100".into(),
            city: "Reims".into(),
            province: "GES".into(),
            ..ShippingAddress::default()
        };
        assert_eq!(shipping_lines(&address, "Grand Est"), ["Ann", "51100 Reims", "Grand Est"]);
        assert!(shipping_lines(&ShippingAddress::default(), "").is_empty());
    }

    #[test]
    fn billing_address_is_the_shipping_address_with_or_without_its_phone() {
        let mut detail = detail(OrderDetails::default(), &[]);
        assert!(!is_billing_same(&detail), "no address is known");
        detail.details.billing_address.name = "Ann".to_owned();
        assert!(!is_billing_same(&detail));
        detail.address.name = "Ann".to_owned();
        assert!(is_billing_same(&detail));
        detail.address.phone = "0123".to_owned();
        assert!(is_billing_same(&detail));
        detail.details.billing_address.phone = "0124".to_owned();
        assert!(!is_billing_same(&detail));
        detail.details.billing_address.phone.clear();
        // The same address, with the province's name on one side only.
        (detail.details.billing_address.province, detail.address.province) = ("NY".to_owned(), "NY".to_owned());
        detail.details.shipping_province_name = "New York".to_owned();
        assert!(is_billing_same(&detail));
        detail.details.billing_province_name = "North Yorkshire".to_owned();
        assert!(!is_billing_same(&detail));
        assert_eq!(billing_lines(&detail), ["Ann", "North Yorkshire"]);
    }
}

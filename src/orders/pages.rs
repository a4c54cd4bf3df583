//! The list of a customer's orders, and one order.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::order::{Address, Order, OrderDetail, OrderLine, OrderNumber};
use super::store::{self, Cursor, From, Part};
use super::{PAGE, count};
use crate::database::Database;
use crate::sessions::CurrentUser;
use crate::web::words::{day, moment};
use crate::web::{Error, Layout, page, see_other};

#[derive(Template)]
#[template(path = "orders/list.html")]
struct ListPage {
    layout: Layout,
    orders: Vec<Row>,
    newer: Option<String>,
    older: Option<String>,
}

/// A line of the list, in words.
struct Row {
    url: String,
    number: String,
    placed_at: String,
    placed_on: String,
    status: &'static str,
    status_class: &'static str,
    items: String,
    total: String,
}

/// Where in the list the page stands; at most one of the two.
#[derive(Deserialize)]
pub(super) struct Place {
    after: Option<String>,
    before: Option<String>,
}

pub(super) async fn list(
    user: CurrentUser,
    layout: Layout,
    place: Option<web::Query<Place>>,
    database: web::Data<Database>,
) -> Result<HttpResponse, Error> {
    let Some(from) = place.and_then(|place| wanted(&place)) else {
        return Ok(see_other("/orders"));
    };
    let mut from = from;
    let mut part = store::list(&database, &user.user_id, &from, PAGE).await?;
    // Stepping up to the newest orders shows a whole first page, however few lay above.
    if matches!(from, From::Before(_)) && !part.has_more {
        from = From::Start;
        part = store::list(&database, &user.user_id, &from, PAGE).await?;
    }
    let (newer, older) = neighbours(&from, &part);
    let orders = part.orders.iter().map(row).collect();
    page(StatusCode::OK, &ListPage { layout, orders, newer, older })
}

fn wanted(place: &Place) -> Option<From> {
    match (&place.after, &place.before) {
        (None, None) => Some(From::Start),
        (Some(after), None) => Cursor::parse(after).map(From::After),
        (None, Some(before)) => Cursor::parse(before).map(From::Before),
        (Some(_), Some(_)) => None,
    }
}

fn neighbours(from: &From, part: &Part) -> (Option<String>, Option<String>) {
    let newer = part.orders.first().map(|order| format!("/orders?before={}", Cursor::at(order)));
    let older = part.orders.last().map(|order| format!("/orders?after={}", Cursor::at(order)));
    match from {
        From::Start => (None, older.filter(|_| part.has_more)),
        From::After(_) => (newer, older.filter(|_| part.has_more)),
        From::Before(_) => (newer.filter(|_| part.has_more), older),
    }
}

fn row(order: &Order) -> Row {
    Row {
        url: format!("/orders/{}", utf8_percent_encode(order.number.as_str(), UNRESERVED)),
        number: format!("#{}", order.number.as_str()),
        placed_at: order.placed_at.to_string(),
        placed_on: day(order.placed_at),
        status: order.status().label(),
        status_class: order.status().as_str(),
        items: count(order.line_count),
        total: order.total.to_string(),
    }
}

/// What needs no escape in a path (RFC 3986 section 2.3).
const UNRESERVED: &percent_encoding::AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[derive(Template)]
#[template(path = "orders/detail.html")]
struct DetailPage {
    layout: Layout,
    number: String,
    status: &'static str,
    status_class: &'static str,
    placed_at: String,
    placed_on: String,
    lines: Vec<LineRow>,
    subtotal: String,
    discount: Option<String>,
    shipping: String,
    taxes: String,
    total: String,
    refunded: Option<String>,
    events: Vec<Event>,
    address: Vec<String>,
}

struct LineRow {
    name: String,
    sku: String,
    quantity: String,
    unit_price: String,
    amount: String,
    discount: Option<String>,
}

struct Event {
    what: &'static str,
    at: String,
    on: String,
}

pub(super) async fn detail(
    user: CurrentUser,
    layout: Layout,
    number: web::Path<String>,
    database: web::Data<Database>,
) -> Result<HttpResponse, Error> {
    let number = OrderNumber::parse(&number).ok_or(Error::NotFound)?;
    let found = store::find(&database, &user.user_id, &number).await?.ok_or(Error::NotFound)?;
    page(StatusCode::OK, &detail_page(layout, &found))
}

fn detail_page(layout: Layout, found: &OrderDetail) -> DetailPage {
    let order = &found.order;
    let unless_zero = |money: super::Money| (!money.is_zero()).then(|| money.negated().to_string());
    DetailPage {
        layout,
        number: format!("#{}", order.number.as_str()),
        status: order.status().label(),
        status_class: order.status().as_str(),
        placed_at: order.placed_at.to_string(),
        placed_on: day(order.placed_at),
        lines: found.lines.iter().map(line_row).collect(),
        subtotal: order.subtotal.to_string(),
        discount: unless_zero(order.discount),
        shipping: order.shipping.to_string(),
        taxes: order.taxes.to_string(),
        total: order.total.to_string(),
        refunded: unless_zero(order.refunded),
        events: events(order),
        address: address_lines(&found.address),
    }
}

fn line_row(line: &OrderLine) -> LineRow {
    LineRow {
        name: line.name.clone(),
        sku: line.sku.clone(),
        quantity: count(line.quantity),
        unit_price: line.unit_price.to_string(),
        amount: line.amount().to_string(),
        discount: (!line.discount.is_zero()).then(|| line.discount.negated().to_string()),
    }
}

/// What happened and when, in the order in which it did.
fn events(order: &Order) -> Vec<Event> {
    let known = [
        ("Placed", Some(order.placed_at)),
        ("Paid", order.paid_at),
        ("Sent", order.fulfilled_at),
        ("Cancelled", order.cancelled_at),
    ];
    let mut happened: Vec<_> = known.into_iter().filter_map(|(what, at)| at.map(|at| (what, at))).collect();
    happened.sort_by_key(|(_, at)| *at);
    happened.into_iter().map(|(what, at)| Event { what, at: at.to_string(), on: moment(at) }).collect()
}

/// The address as on a parcel, without the parts that are not known.
fn address_lines(address: &Address) -> Vec<String> {
    let city = [address.zip.as_str(), address.city.as_str()].map(str::trim).join(" ");
    let lines = [
        &address.name,
        &address.company,
        &address.address1,
        &address.address2,
        &city,
        &address.province,
        &address.country,
        &address.phone,
    ];
    lines.into_iter().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_what_is_known_and_no_empty_lines() {
        let address = Address { name: "Ann ".into(), zip: "51100".into(), city: "Reims".into(), ..Address::default() };
        assert_eq!(address_lines(&address), ["Ann", "51100 Reims"]);
        assert!(address_lines(&Address::default()).is_empty());
    }
}

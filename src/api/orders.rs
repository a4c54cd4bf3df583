//! A customer's orders.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::accounts::no_store;
use super::bearer::BearerUser;
use super::openapi::Problem;
use crate::clock::{Clock, UnixSeconds};
use crate::database::{self, Database, Transaction};
use crate::orders::{self, Asked, Cursor, Filter, From, Order, OrderDetail, OrderLine, OrderNumber, PAGE, Wrong};
use crate::web::{Error, Zone};

/// The most orders that one answer holds.
const MOST: u32 = 100;

/// Which orders.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// How many, from 1 to 100; 20 if left out.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    limit: Option<String>,
    /// `next` of the answer before.
    after: Option<String>,
    /// Words that must stand in the order's number, or in a product's name or sku.
    q: Option<String>,
    /// placed, processing, `partly_sent`, sent, delivered, cancelled or refunded.
    status: Option<String>,
    /// `this-year` or `last-year`, in UTC; or range, with dates.
    period: Option<String>,
    /// The first date (UTC).
    #[param(example = "2026-01-01", format = Date)]
    from: Option<String>,
    /// The last date (UTC).
    #[param(example = "2026-12-31", format = Date)]
    to: Option<String>,
    /// newest (first; if left out), oldest, highest or lowest (total first).
    sort: Option<String>,
}

impl Wanted {
    fn filter(&self, now: UnixSeconds) -> Result<Filter, Error> {
        let asked = Asked {
            q: self.q.clone(),
            status: self.status.clone(),
            period: self.period.clone(),
            from: self.from.clone(),
            to: self.to.clone(),
            sort: self.sort.clone(),
        };
        asked.read(&Zone::utc(), now).map_err(|wrong| Error::BadRequest(reasons(wrong)))
    }
}

fn reasons(wrong: Wrong) -> String {
    let named = [("", wrong.other), ("q: ", wrong.q), ("from: ", wrong.from), ("to: ", wrong.to)];
    let said = named.into_iter().filter_map(|(name, reason)| reason.map(|reason| format!("{name}{reason}")));
    said.collect::<Vec<_>>().join(" ")
}

/// Some of the customer's orders, in the order that was asked for.
#[derive(Serialize, ToSchema)]
pub(super) struct OrderList {
    orders: Vec<OrderSummary>,
    /// What to send as `after` for the orders that follow; null at the end.
    next: Option<String>,
}

/// An order without its lines. Times are RFC 3339, amounts integers in the currency's minor unit.
#[derive(Serialize, ToSchema)]
pub(super) struct OrderSummary {
    #[schema(example = "10248")]
    number: String,
    /// One word for people: placed, processing (paid, not sent), `partly_sent`, sent, delivered, cancelled or refunded.
    #[schema(example = "sent")]
    status: &'static str,
    /// Shopify's word for the payment.
    #[schema(example = "paid")]
    payment_status: String,
    /// Shopify's word for the fulfilment.
    #[schema(example = "fulfilled")]
    fulfillment_status: String,
    #[schema(example = "1996-07-04T12:00:00Z", format = "date-time")]
    placed_at: String,
    #[schema(format = "date-time")]
    paid_at: Option<String>,
    #[schema(format = "date-time")]
    fulfilled_at: Option<String>,
    #[schema(format = "date-time")]
    cancelled_at: Option<String>,
    /// ISO 4217.
    #[schema(example = "USD")]
    currency: &'static str,
    subtotal: i64,
    shipping: i64,
    taxes: i64,
    discount: i64,
    #[schema(example = 47238)]
    total: i64,
    line_count: i64,
}

/// An order with its lines and where it goes.
#[derive(Serialize, ToSchema)]
pub(super) struct OrderAnswer {
    #[serde(flatten)]
    order: OrderSummary,
    lines: Vec<Line>,
    shipping_address: ShippingAddress,
}

/// One line of an order.
#[derive(Serialize, ToSchema)]
pub(super) struct Line {
    sku: String,
    name: String,
    quantity: i64,
    unit_price: i64,
    /// Off the whole line.
    discount: i64,
}

/// Where an order goes; parts that are not known are empty.
#[derive(Serialize, ToSchema)]
pub(super) struct ShippingAddress {
    name: String,
    company: String,
    address1: String,
    address2: String,
    zip: String,
    city: String,
    province: String,
    country: String,
    phone: String,
}

/// The customer's orders, or those that a filter leaves, page by page.
#[utoipa::path(get, path = "/api/userOrders", tag = "orders", operation_id = "userOrders", params(Wanted), security(("bearer" = [])), responses(
    (status = 200, description = "The orders", body = OrderList),
    (status = 400, description = "A limit, cursor or filter that makes no sense, and why", body = Problem, content_type = "application/problem+json"),
    (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "A token that does not hold", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(
    caller: BearerUser,
    wanted: Result<web::Query<Wanted>, actix_web::Error>,
    database: web::Data<Database>,
    clock: web::Data<Clock>,
) -> Result<HttpResponse, Error> {
    let wanted = wanted.map_err(|_| Error::BadRequest("give each parameter at most once".to_owned()))?;
    let filter = wanted.filter(clock.now())?;
    let limit = match &wanted.limit {
        None => PAGE,
        Some(text) => {
            limit(text).ok_or_else(|| Error::BadRequest(format!("limit takes a whole number from 1 to {MOST}")))?
        }
    };
    let from = match &wanted.after {
        None => From::Start,
        Some(text) => Cursor::parse(text, filter.sort()).map(From::After).ok_or_else(|| {
            Error::BadRequest("after takes what the answer before gave as next, with the same sort".to_owned())
        })?,
    };
    let user_id = &caller.user.user_id;
    let part = database.read(async |snapshot| orders::list(snapshot, user_id, &filter, &from, limit).await).await?;
    let next = part.orders.last().filter(|_| part.has_more).map(|order| Cursor::at(order, filter.sort()).to_string());
    let orders = part.orders.into_iter().map(summary).collect();
    Ok(no_store(&mut HttpResponse::Ok()).json(OrderList { orders, next }))
}

fn limit(text: &str) -> Option<u32> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|limit| is_number && (1..=MOST).contains(limit))
}

/// One of the customer's orders.
#[utoipa::path(get, path = "/api/userOrders/{number}", tag = "orders", operation_id = "userOrder", security(("bearer" = [])),
    params(("number" = String, Path, description = "Without the #", example = "10248")), responses(
    (status = 200, description = "The order", body = OrderAnswer),
    (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "A token that does not hold", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "The customer has no such order", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn find(
    caller: BearerUser,
    number: web::Path<String>,
    database: web::Data<Database>,
) -> Result<HttpResponse, Error> {
    let number = OrderNumber::parse(&number).ok_or(Error::NotFound)?;
    let user_id = &caller.user.user_id;
    let found = database.read(async |snapshot| orders::find(snapshot, user_id, &number).await).await?;
    let found = found.ok_or(Error::NotFound)?;
    Ok(no_store(&mut HttpResponse::Ok()).json(answer(found)))
}

/// An order as its customer downloads it: what this API shows, and the rest that is held.
#[derive(Serialize)]
struct HeldOrder {
    #[serde(flatten)]
    answer: OrderAnswer,
    refunded: i64,
    cancellation_asked_at: Option<String>,
    /// The number of the order that it repeats.
    copy_of: Option<String>,
}

/// All orders of a user with all that is held of them, newest first.
///
/// # Errors
/// The database's.
pub async fn orders_of(database: &Database, user_id: &str) -> Result<serde_json::Value, database::Error> {
    database.read(async |snapshot| all_orders(snapshot, user_id).await).await
}

async fn all_orders(snapshot: &mut Transaction, user_id: &str) -> Result<serde_json::Value, database::Error> {
    let mut all = Vec::new();
    let (filter, mut from) = (Filter::default(), From::Start);
    loop {
        let part = orders::list(snapshot, user_id, &filter, &from, MOST).await?;
        let last = part.orders.last().filter(|_| part.has_more).map(|order| Cursor::at(order, filter.sort()));
        let mut lines = orders::lines_of(snapshot, &part.orders).await?;
        let mut addresses = orders::addresses_of(snapshot, &part.orders).await?;
        for order in part.orders {
            let (lines, address) = (lines.remove(&order.id), addresses.remove(&order.id));
            all.push(held(OrderDetail {
                order,
                lines: lines.unwrap_or_default(),
                address: address.unwrap_or_default(),
            }));
        }
        match last {
            Some(cursor) => from = From::After(cursor),
            None => return serde_json::to_value(all).map_err(|error| database::Error::Encode(error.into())),
        }
    }
}

fn summary(order: Order) -> OrderSummary {
    let time = |at: Option<UnixSeconds>| at.map(|at| at.to_string());
    OrderSummary {
        number: order.number.as_str().to_owned(),
        status: order.status.as_str(),
        placed_at: order.placed_at.to_string(),
        paid_at: time(order.paid_at),
        fulfilled_at: time(order.fulfilled_at),
        cancelled_at: time(order.cancelled_at),
        currency: order.currency().code(),
        subtotal: order.subtotal.minor(),
        shipping: order.shipping.minor(),
        taxes: order.taxes.minor(),
        discount: order.discount.minor(),
        total: order.total.minor(),
        line_count: order.line_count,
        payment_status: order.payment_status,
        fulfillment_status: order.fulfillment_status,
    }
}

fn held(found: OrderDetail) -> HeldOrder {
    let order = &found.order;
    HeldOrder {
        refunded: order.refunded.minor(),
        cancellation_asked_at: order.cancellation_asked_at.map(|at| at.to_string()),
        copy_of: order.copy_of.as_ref().map(|number| number.as_str().to_owned()),
        answer: answer(found),
    }
}

fn answer(found: OrderDetail) -> OrderAnswer {
    let to = found.address;
    OrderAnswer {
        order: summary(found.order),
        lines: found.lines.into_iter().map(line).collect(),
        shipping_address: ShippingAddress {
            name: to.name,
            company: to.company,
            address1: to.address1,
            address2: to.address2,
            zip: to.zip,
            city: to.city,
            province: to.province,
            country: to.country,
            phone: to.phone,
        },
    }
}

fn line(line: OrderLine) -> Line {
    let (unit_price, discount) = (line.unit_price.minor(), line.discount.minor());
    Line { sku: line.sku, name: line.name, quantity: line.quantity, unit_price, discount }
}

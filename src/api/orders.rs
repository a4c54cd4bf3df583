//! `/api/userOrders`, and the orders of a user's data export.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::bearer::BearerUser;
use super::problem::{Problem, no_store};
use crate::clock::{Clock, UnixSeconds};
use crate::database::{self, Database, Transaction};
use crate::orders::{
    self, Cursor, Filter, FilterErrors, FilterParams, Order, OrderDetail, OrderLine, OrderNumber, OrderStatus,
    PAGE_SIZE, PageStart, ShippingAddress,
};
use crate::web::{Error, Zone};

/// Orders in one response.
const MAX_LIMIT: u32 = 100;

/// The query of the list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// How many, from 1 to 100; 20 if left out.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    limit: Option<String>,
    /// `next` of the previous page.
    after: Option<String>,
    // IntoParams cannot flatten: the handler lists this type itself.
    #[serde(flatten)]
    #[param(ignore)]
    filter: FilterParams,
}

impl ListParams {
    fn filter(&self, now: UnixSeconds) -> Result<Filter, Error> {
        self.filter.parse(&Zone::utc(), now).map_err(|errors| Error::BadRequest(join_errors(errors)))
    }

    fn limit(&self) -> Result<u32, Error> {
        let Some(text) = &self.limit else { return Ok(PAGE_SIZE) };
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let limit = text.parse().ok().filter(|limit| is_number && (1..=MAX_LIMIT).contains(limit));
        limit.ok_or_else(|| Error::BadRequest(format!("limit takes a whole number from 1 to {MAX_LIMIT}")))
    }

    fn start(&self, filter: &Filter) -> Result<PageStart, Error> {
        let Some(text) = &self.after else { return Ok(PageStart::First) };
        Cursor::parse(text, filter.sort()).map(PageStart::After).ok_or_else(|| {
            Error::BadRequest("after takes what the answer before gave as next, with the same sort".to_owned())
        })
    }
}

fn join_errors(errors: FilterErrors) -> String {
    let named = [("", errors.other), ("q: ", errors.q), ("from: ", errors.from), ("to: ", errors.to)];
    let named = named.into_iter().filter_map(|(name, error)| error.map(|error| format!("{name}{error}")));
    named.collect::<Vec<_>>().join(" ")
}

/// One page of the customer's orders.
#[derive(Serialize, ToSchema)]
pub(super) struct OrderList {
    orders: Vec<OrderSummary>,
    /// The value of `after` for the next page; null on the last page.
    next: Option<String>,
}

/// An order without its lines. Times are RFC 3339, amounts are integers in the currency's minor unit.
#[derive(Serialize, ToSchema)]
pub(super) struct OrderSummary {
    #[schema(example = "10248")]
    number: String,
    /// `processing` is paid and not sent.
    #[schema(value_type = StatusWord)]
    status: &'static str,
    /// Shopify's payment state.
    #[schema(example = "paid")]
    payment_status: String,
    /// Shopify's fulfilment state.
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

/// The schema of a status.
struct StatusWord;

impl PartialSchema for StatusWord {
    fn schema() -> RefOr<Schema> {
        let words = OrderStatus::ALL.map(OrderStatus::as_str);
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).examples(["sent"]).into()
    }
}

impl ToSchema for StatusWord {}

/// An order with its lines and its shipping address.
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
    /// The discount on the whole line.
    discount: i64,
}

/// List the customer's orders that match a filter, page by page.
#[utoipa::path(get, path = "/api/userOrders", tag = "orders", operation_id = "userOrders", params(ListParams, FilterParams), security(("bearer" = [])), responses(
    (status = 200, description = "The orders", body = OrderList),
    (status = 400, description = "An invalid limit, cursor or filter", body = Problem, content_type = "application/problem+json"),
    (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "An invalid, expired or revoked token", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(
    caller: BearerUser,
    params: Result<web::Query<ListParams>, actix_web::Error>,
    database: web::Data<Database>,
    clock: web::Data<Clock>,
) -> Result<HttpResponse, Error> {
    let params = params.map_err(|_| Error::BadRequest("give each parameter at most once".to_owned()))?;
    let filter = params.filter(clock.now())?;
    let limit = params.limit()?;
    let start = params.start(&filter)?;
    let user_id = &caller.user.user_id;
    let page =
        database.read(async |snapshot| orders::find_page(snapshot, user_id, &filter, &start, limit).await).await?;
    let next = page.orders.last().filter(|_| page.has_more).map(|order| Cursor::at(order, filter.sort()).to_string());
    let orders = page.orders.into_iter().map(order_summary).collect();
    Ok(no_store(&mut HttpResponse::Ok()).json(OrderList { orders, next }))
}

/// Get one of the customer's orders.
#[utoipa::path(get, path = "/api/userOrders/{number}", tag = "orders", operation_id = "userOrder", security(("bearer" = [])),
    params(("number" = String, Path, description = "Without the #", example = "10248")), responses(
    (status = 200, description = "The order", body = OrderAnswer),
    (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "An invalid, expired or revoked token", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "The customer has no such order", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn find(
    caller: BearerUser,
    number: web::Path<String>,
    database: web::Data<Database>,
) -> Result<HttpResponse, Error> {
    let number = OrderNumber::parse(&number).ok_or(Error::NotFound)?;
    let user_id = &caller.user.user_id;
    let detail = database.read(async |snapshot| orders::find_order(snapshot, user_id, &number).await).await?;
    let detail = detail.ok_or(Error::NotFound)?;
    Ok(no_store(&mut HttpResponse::Ok()).json(order_response(detail)))
}

/// An order in a data export: the API's response, and the other stored values.
#[derive(Serialize)]
struct ExportedOrder {
    #[serde(flatten)]
    response: OrderAnswer,
    refunded: i64,
    cancellation_asked_at: Option<String>,
    #[serde(rename = "copy_of")]
    reordered_from: Option<String>,
}

/// All orders of a user with all stored values, newest first, for a data export.
pub async fn export_orders(database: &Database, user_id: &str) -> Result<serde_json::Value, database::Error> {
    database.read(async |snapshot| find_all_orders(snapshot, user_id).await).await
}

async fn find_all_orders(snapshot: &mut Transaction, user_id: &str) -> Result<serde_json::Value, database::Error> {
    let mut all = Vec::new();
    let (filter, mut start) = (Filter::default(), PageStart::First);
    loop {
        let page = orders::find_page(snapshot, user_id, &filter, &start, MAX_LIMIT).await?;
        let last = page.orders.last().filter(|_| page.has_more).map(|order| Cursor::at(order, filter.sort()));
        let mut lines = orders::lines_by_order(snapshot, &page.orders).await?;
        let mut addresses = orders::addresses_by_order(snapshot, &page.orders).await?;
        for order in page.orders {
            let lines = lines.remove(&order.id).unwrap_or_default();
            let address = addresses.remove(&order.id).unwrap_or_default();
            all.push(exported_order(OrderDetail { order, lines, address }));
        }
        match last {
            Some(cursor) => start = PageStart::After(cursor),
            None => return serde_json::to_value(all).map_err(|error| database::Error::Encode(error.into())),
        }
    }
}

fn exported_order(detail: OrderDetail) -> ExportedOrder {
    let order = &detail.order;
    ExportedOrder {
        refunded: order.refunded.minor(),
        cancellation_asked_at: order.cancellation_asked_at.map(|at| at.to_string()),
        reordered_from: order.reordered_from.as_ref().map(|number| number.as_str().to_owned()),
        response: order_response(detail),
    }
}

fn order_response(detail: OrderDetail) -> OrderAnswer {
    OrderAnswer {
        order: order_summary(detail.order),
        lines: detail.lines.into_iter().map(line).collect(),
        shipping_address: detail.address,
    }
}

fn order_summary(order: Order) -> OrderSummary {
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

fn line(line: OrderLine) -> Line {
    let (unit_price, discount) = (line.unit_price.minor(), line.discount.minor());
    Line { sku: line.sku, name: line.name, quantity: line.quantity, unit_price, discount }
}

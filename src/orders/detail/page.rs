//! GET `/orders/{number}`.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::breakdown::{TotalRow, breakdown, tip_lines};
use super::facts::{Fact, billing_lines, facts, line_state, sent_lines, shipping_lines};
use super::store::{self, FoundOrder, OrderLink};
use super::timeline::{Event, timeline};
use crate::database::Database;
use crate::domain::{Zone, format_count, format_date, format_date_time};
use crate::orders::idempotency::IdempotencyKey;
use crate::orders::order::{OrderLine, OrderNumber};
use crate::orders::status::OrderStatus;
use crate::orders::url::order_url;
use crate::sessions::CurrentUser;
use crate::web::{Error, Layout, page, see_other};

#[derive(Template)]
#[template(path = "orders/detail.html")]
struct DetailPage {
    layout: Layout,
    /// Why the submitted action failed.
    error: Option<String>,
    number: String,
    url: String,
    status: &'static str,
    status_class: &'static str,
    placed_at: String,
    placed_on: String,
    reordered_from: Option<Link>,
    lines: Vec<LineRow>,
    totals: Vec<TotalRow>,
    notes: Vec<String>,
    events: Vec<EventRow>,
    address: Vec<String>,
    billing: Vec<String>,
    facts: Vec<Fact>,
    /// `2 of 3 sent`.
    sent: Option<String>,
    cancellation_asked_on: Option<String>,
    can_be_cancelled: bool,
    key: String,
    newer: Option<Link>,
    older: Option<Link>,
}

struct Link {
    url: String,
    number: String,
}

struct LineRow {
    name: String,
    sku: String,
    quantity: String,
    unit_price: String,
    amount: String,
    discount: Option<String>,
    state: Option<&'static str>,
}

struct EventRow {
    label: String,
    /// Machine-readable, and as shown.
    at: Option<(String, String)>,
    is_pending: bool,
}

pub async fn show(
    user: CurrentUser,
    layout: Layout,
    number: web::Path<String>,
    database: web::Data<Database>,
) -> Result<HttpResponse, Error> {
    let found = find(&database, &user, &number).await?;
    render(StatusCode::OK, layout, &found, None)
}

/// GET on the URL of an action: a reload of its response, or a login after the session ended before the form was sent.
pub async fn redirect_to_order(number: web::Path<String>) -> Result<HttpResponse, Error> {
    OrderNumber::parse(&number).map(|number| see_other(&order_url(&number))).ok_or(Error::NotFound)
}

/// The user's order of this number, else [`Error::NotFound`].
pub async fn find(database: &Database, user: &CurrentUser, number: &str) -> Result<FoundOrder, Error> {
    let number = OrderNumber::parse(number).ok_or(Error::NotFound)?;
    let found =
        database.read(async |snapshot| store::find_with_neighbours(snapshot, &user.user_id, &number).await).await?;
    found.ok_or(Error::NotFound)
}

/// Renders the page, with an error if an action failed.
pub fn render(
    status: StatusCode,
    layout: Layout,
    found: &FoundOrder,
    error: Option<String>,
) -> Result<HttpResponse, Error> {
    let FoundOrder { detail, newer, older, original, shop, reports_deliveries } = found;
    let order = &detail.order;
    let key = IdempotencyKey::generate().map_err(|error| Error::Internal(error.to_string().into()))?;
    let zone = layout.zone();
    let (totals, notes) = breakdown(detail);
    // A tip is one of the totals.
    let tips: Vec<&OrderLine> = tip_lines(detail).collect();
    let lines = detail.lines.iter().filter(|line| !tips.iter().any(|tip| std::ptr::eq(*tip, *line)));
    let view = DetailPage {
        layout,
        error,
        number: order.name.to_string(),
        url: order_url(&order.number),
        status: order.status.label(),
        status_class: order.status.as_str(),
        placed_at: order.placed_at.to_string(),
        placed_on: format_date(order.placed_at, &zone),
        reordered_from: original.as_ref().map(link),
        lines: lines.map(|line| line_row(line, order.status)).collect(),
        totals,
        notes,
        events: timeline(order, *reports_deliveries).into_iter().map(|event| event_row(event, &zone)).collect(),
        address: shipping_lines(&detail.address, &detail.details.shipping_province_name),
        billing: billing_lines(detail),
        facts: facts(detail, shop),
        sent: sent_lines(detail),
        cancellation_asked_on: order.pending_cancellation().map(|at| format_date(at, &zone)),
        can_be_cancelled: order.can_be_cancelled(),
        key: key.as_str().to_owned(),
        newer: newer.as_ref().map(link),
        older: older.as_ref().map(link),
    };
    page(status, &view)
}

fn link((number, name): &OrderLink) -> Link {
    Link { url: order_url(number), number: name.to_string() }
}

fn line_row(line: &OrderLine, status: OrderStatus) -> LineRow {
    LineRow {
        name: line.name.clone(),
        sku: line.sku.clone(),
        quantity: format_count(line.quantity),
        unit_price: line.unit_price.to_string(),
        amount: line.amount().map(|amount| amount.to_string()).unwrap_or_default(),
        discount: (!line.discount.is_zero()).then(|| line.discount.negated().to_string()),
        state: line_state(line).filter(|_| status == OrderStatus::PartlySent),
    }
}

fn event_row(event: Event, zone: &Zone) -> EventRow {
    let at = event.at.map(|at| (at.to_string(), format_date_time(at, zone)));
    EventRow { label: event.label, at, is_pending: event.is_pending }
}

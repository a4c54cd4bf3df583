//! GET `/orders/{number}`.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::breakdown::{TotalRow, breakdown};
use super::customer_note::{CustomerNote, customer_note};
use super::facts::{Fact, billing_lines, facts, is_billing_same, sent_lines, shipping_lines};
use super::lines::{LinePages, LineRow, line_rows};
use super::store::{self, FoundOrder, OrderLink};
use super::timeline::{Event, timeline};
use crate::database::Database;
use crate::domain::{Zone, format_date, format_date_time};
use crate::orders::cancellation::{Cancellation, Verdict};
use crate::orders::order::OrderNumber;
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
    is_paid: bool,
    currency: &'static str,
    placed_at: String,
    placed_on: String,
    reordered_from: Option<Link>,
    lines: Vec<LineRow>,
    line_pages: Option<LinePages>,
    totals: Vec<TotalRow>,
    notes: Vec<String>,
    events: Vec<EventRow>,
    address: Vec<String>,
    billing: Vec<String>,
    is_billing_same: bool,
    facts: Vec<Fact>,
    customer_note: Option<CustomerNote>,
    /// `2 of 3 sent`.
    sent: Option<String>,
    cancellation: Option<CancellationView>,
    can_be_cancelled: bool,
    reorder_requested_on: Option<String>,
    newer: Option<Link>,
    older: Option<Link>,
}

/// An open cancellation request.
struct CancellationView {
    requested_on: String,
    reason: String,
    state: RequestState,
    /// The day of the answer.
    answered_on: String,
}

enum RequestState {
    Pending,
    Accepted,
    Declined,
}

/// Which part of the lines is shown, from 1.
#[derive(Default, Deserialize)]
pub(in crate::orders) struct PageQuery {
    lines: Option<usize>,
}

struct Link {
    url: String,
    number: String,
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
    query: Result<web::Query<PageQuery>, actix_web::Error>,
    database: web::Data<Database>,
) -> Result<HttpResponse, Error> {
    let found = find(&database, &user, &number).await?;
    let part = query.ok().and_then(|query| query.lines).unwrap_or(1);
    render(StatusCode::OK, layout, &found, part, None)
}

/// GET on the URL of a form without a page of its own: a reload of its response, or a login after the session ended before the form was sent.
pub async fn redirect_to_order(number: web::Path<String>) -> Result<HttpResponse, Error> {
    OrderNumber::parse(&number).map(|number| see_other(&order_url(&number))).ok_or(Error::NotFound)
}

/// The user's order of this number, else [`Error::NotFound`].
pub async fn find(database: &Database, user: &CurrentUser, number: &str) -> Result<FoundOrder, Error> {
    let number = OrderNumber::parse(number).ok_or(Error::NotFound)?;
    let found = store::find_with_neighbours(database, &user.user_id, &number).await?;
    found.ok_or(Error::NotFound)
}

/// Renders the page with this part of the lines, and with an error if an action failed.
pub fn render(
    status: StatusCode,
    layout: Layout,
    found: &FoundOrder,
    part: usize,
    error: Option<String>,
) -> Result<HttpResponse, Error> {
    let FoundOrder { detail, newer, older, original, reports_deliveries, reorder_requested_at } = found;
    let order = &detail.order;
    let (zone, shows_notes) = (layout.zone(), layout.shop.shows_notes);
    let facts = facts(detail, &layout.shop.name);
    let (totals, notes) = breakdown(detail);
    let (lines, line_pages) = line_rows(detail, part);
    let view = DetailPage {
        layout,
        error,
        number: order.name.to_string(),
        url: order_url(&order.number),
        status: order.status.label(),
        status_class: order.status.as_str(),
        is_paid: order.payment_status.was_paid(),
        currency: order.currency().code(),
        placed_at: order.placed_at.to_string(),
        placed_on: format_date(order.placed_at, &zone),
        reordered_from: original.as_ref().map(link),
        lines,
        line_pages,
        totals,
        notes,
        events: timeline(order, *reports_deliveries).into_iter().map(|event| event_row(event, &zone)).collect(),
        address: shipping_lines(&detail.address, &detail.details.shipping_province_name),
        billing: billing_lines(detail),
        is_billing_same: is_billing_same(detail),
        facts,
        customer_note: customer_note(detail, shows_notes),
        sent: sent_lines(detail),
        cancellation: order.open_cancellation().map(|cancellation| cancellation_view(cancellation, &zone)),
        can_be_cancelled: order.can_be_cancelled(),
        reorder_requested_on: reorder_requested_at.map(|at| format_date(at, &zone)),
        newer: newer.as_ref().map(link),
        older: older.as_ref().map(link),
    };
    page(status, &view)
}

fn cancellation_view(cancellation: &Cancellation, zone: &Zone) -> CancellationView {
    let answer = cancellation.answer;
    CancellationView {
        requested_on: format_date(cancellation.requested_at, zone),
        reason: cancellation.reason.clone(),
        state: match answer.map(|answer| answer.verdict) {
            None => RequestState::Pending,
            Some(Verdict::Accepted) => RequestState::Accepted,
            Some(Verdict::Declined) => RequestState::Declined,
        },
        answered_on: answer.map(|answer| format_date(answer.at, zone)).unwrap_or_default(),
    }
}

fn link((number, name): &OrderLink) -> Link {
    Link { url: order_url(number), number: name.to_string() }
}

fn event_row(event: Event, zone: &Zone) -> EventRow {
    let at = event.at.map(|at| (at.to_string(), format_date_time(at, zone)));
    EventRow { label: event.label, at, is_pending: event.is_pending }
}

//! One order: what happened to it, what it holds, what it costs, where it goes, what can be done with it.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::breakdown::{self, SumRow};
use super::count;
use super::idempotency::IdempotencyKey;
use super::order::{Address, Order, OrderDetail, OrderLine, OrderNumber};
use super::pages::url;
use super::store;
use super::timeline::{self, Event};
use crate::database::Database;
use crate::sessions::CurrentUser;
use crate::web::words::{day, moment};
use crate::web::{Error, Layout, Zone, page, see_other};

#[derive(Template)]
#[template(path = "orders/detail.html")]
struct DetailPage {
    layout: Layout,
    /// Why what was asked for was not done.
    refusal: Option<String>,
    number: String,
    url: String,
    status: &'static str,
    status_class: &'static str,
    placed_at: String,
    placed_on: String,
    copy_of: Option<Link>,
    lines: Vec<LineRow>,
    sums: Vec<SumRow>,
    notes: Vec<String>,
    events: Vec<EventView>,
    address: Vec<String>,
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
}

struct EventView {
    what: String,
    at: Option<(String, String)>,
    is_ahead: bool,
}

pub(super) async fn show(
    user: CurrentUser,
    layout: Layout,
    number: web::Path<String>,
    database: web::Data<Database>,
) -> Result<HttpResponse, Error> {
    let found = find(&database, &user, &number).await?;
    render(StatusCode::OK, layout, &user, &database, &found, None).await
}

/// The address of a form is asked for, too: by who loads its answer again, or logs in after the session ended under it.
pub(super) async fn back(number: web::Path<String>) -> Result<HttpResponse, Error> {
    OrderNumber::parse(&number).map(|number| see_other(&url(&number))).ok_or(Error::NotFound)
}

/// The customer's order of that number.
pub(super) async fn find(database: &Database, user: &CurrentUser, number: &str) -> Result<OrderDetail, Error> {
    let number = OrderNumber::parse(number).ok_or(Error::NotFound)?;
    let found = database.read(async |snapshot| store::find(snapshot, &user.user_id, &number).await).await?;
    found.ok_or(Error::NotFound)
}

/// The page, with a reason when something was asked for in vain.
pub(super) async fn render(
    status: StatusCode,
    layout: Layout,
    user: &CurrentUser,
    database: &Database,
    found: &OrderDetail,
    refusal: Option<String>,
) -> Result<HttpResponse, Error> {
    let order = &found.order;
    let (newer, older) =
        database.read(async |snapshot| store::neighbours(snapshot, &user.user_id, order).await).await?;
    let key = IdempotencyKey::new().map_err(|error| Error::Internal(error.to_string().into()))?;
    let zone = layout.zone();
    let (sums, notes) = breakdown::breakdown(found);
    let shown = DetailPage {
        layout,
        refusal,
        number: format!("#{}", order.number.as_str()),
        url: url(&order.number),
        status: order.status.label(),
        status_class: order.status.as_str(),
        placed_at: order.placed_at.to_string(),
        placed_on: day(order.placed_at, &zone),
        copy_of: order.copy_of.as_ref().map(link),
        lines: found.lines.iter().map(line_row).collect(),
        sums,
        notes,
        events: timeline::timeline(order).into_iter().map(|event| event_view(event, &zone)).collect(),
        address: address_lines(&found.address),
        cancellation_asked_on: cancellation_asked_on(order, &zone),
        can_be_cancelled: order.can_be_cancelled(),
        key: key.as_str().to_owned(),
        newer: newer.as_ref().map(link),
        older: older.as_ref().map(link),
    };
    page(status, &shown)
}

fn link(number: &OrderNumber) -> Link {
    Link { url: url(number), number: format!("#{}", number.as_str()) }
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

fn event_view(event: Event, zone: &Zone) -> EventView {
    EventView { what: event.what, at: event.at.map(|at| (at.to_string(), moment(at, zone))), is_ahead: event.is_ahead }
}

/// While it is neither sent nor called off yet.
fn cancellation_asked_on(order: &Order, zone: &Zone) -> Option<String> {
    order.cancellation_asked_at.filter(|_| order.status.can_be_cancelled()).map(|at| day(at, zone))
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

//! The list of a customer's orders: found, filtered, sorted, summed up.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::chart::{self, Chart};
use super::cursor::Cursor;
use super::filter::{Asked, Filter, Period, Sort, Wrong};
use super::money::Money;
use super::order::{Order, OrderNumber, Status};
use super::spending::{Spending, spending};
use super::store::{self, From, Part};
use super::{PAGE, count};
use crate::clock::Clock;
use crate::database::{self, Database, Transaction};
use crate::sessions::CurrentUser;
use crate::web::words::day;
use crate::web::{Error, Layout, Zone, page};

#[derive(Template)]
#[template(path = "orders/list.html")]
struct ListPage {
    layout: Layout,
    /// `None` when there is nothing to filter: the customer has no order at all.
    form: Option<FilterForm>,
    /// `None` when the filter makes no sense.
    results: Option<Results>,
}

/// What the filter leaves.
struct Results {
    orders: Vec<Row>,
    /// How many, and what they cost: `37 orders, $1,234.50`.
    summary: String,
    left: Option<String>,
    charts: Vec<Chart>,
    previous: Option<Step>,
    following: Option<Step>,
    spreadsheet: String,
}

/// A line of the list, in words.
struct Row {
    url: String,
    number: String,
    placed_at: String,
    placed_on: String,
    status: &'static str,
    status_class: &'static str,
    is_cancellation_asked: bool,
    items: String,
    total: String,
}

/// The way to the page before or after.
struct Step {
    url: String,
    label: &'static str,
}

/// The form above the list, as it was sent.
struct FilterForm {
    q: String,
    statuses: Vec<Choice>,
    periods: Vec<Choice>,
    from: String,
    to: String,
    sorts: Vec<Choice>,
    is_narrow: bool,
    wrong: Wrong,
}

struct Choice {
    value: &'static str,
    label: &'static str,
    is_chosen: bool,
}

/// What the address of the page may carry: a filter, and where in the list the page stands, at most one of the two.
#[derive(Deserialize)]
pub(super) struct Place {
    #[serde(flatten)]
    asked: Asked,
    after: Option<String>,
    before: Option<String>,
}

pub(super) async fn list(
    user: CurrentUser,
    layout: Layout,
    place: Result<web::Query<Place>, actix_web::Error>,
    database: web::Data<Database>,
    clock: web::Data<Clock>,
) -> Result<HttpResponse, Error> {
    let place = place.map_err(|_| Error::BadRequest("give each part of the filter once".to_owned()))?.into_inner();
    let zone = layout.zone();
    let filter = match place.asked.read(&zone, clock.now()) {
        Ok(filter) => filter,
        Err(Wrong { other: Some(reason), .. }) => return Err(Error::BadRequest(reason)),
        Err(wrong) => {
            let form = Some(form(&place.asked, true, wrong));
            return page(StatusCode::UNPROCESSABLE_ENTITY, &ListPage { layout, form, results: None });
        }
    };
    let from = wanted(&place, filter.sort())?;
    // One snapshot: the sums must agree with the rows below them.
    let found = database.read(async |snapshot| {
        let Some(spending) = spending(snapshot, &user.user_id, &filter, &zone).await? else {
            return Ok(None);
        };
        let (from, part) = part(snapshot, &user.user_id, &filter, from.clone()).await?;
        Ok::<_, database::Error>(Some((spending, from, part)))
    });
    let Some((spending, from, part)) = found.await? else {
        return page(StatusCode::OK, &ListPage { layout, form: None, results: None });
    };
    let form = Some(form(&place.asked, filter.is_narrow(), Wrong::default()));
    let results = Some(results(&place.asked, &filter, &from, &part, &spending, &zone));
    page(StatusCode::OK, &ListPage { layout, form, results })
}

fn wanted(place: &Place, sort: Sort) -> Result<From, Error> {
    let broken =
        || Error::BadRequest("the place in the list is cut off or was altered; begin at the first page".to_owned());
    match (&place.after, &place.before) {
        (None, None) => Ok(From::Start),
        (Some(after), None) => Cursor::parse(after, sort).map(From::After).ok_or_else(broken),
        (None, Some(before)) => Cursor::parse(before, sort).map(From::Before).ok_or_else(broken),
        (Some(_), Some(_)) => Err(broken()),
    }
}

async fn part(
    snapshot: &mut Transaction,
    user_id: &str,
    filter: &Filter,
    from: From,
) -> Result<(From, Part), database::Error> {
    let part = store::list(snapshot, user_id, filter, &from, PAGE).await?;
    // Stepping up to the beginning shows a whole first page, however few lay above.
    if matches!(from, From::Before(_)) && !part.has_more {
        let part = store::list(snapshot, user_id, filter, &From::Start, PAGE).await?;
        return Ok((From::Start, part));
    }
    Ok((from, part))
}

fn results(asked: &Asked, filter: &Filter, from: &From, part: &Part, spending: &Spending, zone: &Zone) -> Results {
    let (previous, following) = neighbours(asked, filter.sort(), from, part);
    Results {
        orders: part.orders.iter().map(|order| row(order, zone)).collect(),
        summary: summary(spending),
        left: left(spending),
        charts: spending.currencies.iter().filter_map(chart::chart).collect(),
        previous,
        following,
        spreadsheet: address("/orders.csv", asked, None),
    }
}

fn row(order: &Order, zone: &Zone) -> Row {
    Row {
        url: url(&order.number),
        number: format!("#{}", order.number.as_str()),
        placed_at: order.placed_at.to_string(),
        placed_on: day(order.placed_at, zone),
        status: order.status.label(),
        status_class: order.status.as_str(),
        is_cancellation_asked: order.cancellation_asked_at.is_some() && order.status.can_be_cancelled(),
        items: count(order.line_count),
        total: order.total.to_string(),
    }
}

/// Where an order stands.
pub(super) fn url(number: &OrderNumber) -> String {
    format!("/orders/{}", utf8_percent_encode(number.as_str(), UNRESERVED))
}

/// What needs no escape in a path (RFC 3986 section 2.3).
const UNRESERVED: &percent_encoding::AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn summary(spending: &Spending) -> String {
    let orders = if spending.orders == 1 { "order" } else { "orders" };
    let sums: Vec<Money> = spending.currencies.iter().map(|currency| currency.total).collect();
    match sums.as_slice() {
        [] => format!("{} {orders}", count(spending.orders)),
        sums => format!("{} {orders}, {}", count(spending.orders), listed(sums)),
    }
}

/// What is left of the sum where orders were called off or refunded.
fn left(spending: &Spending) -> Option<String> {
    let spent: Vec<Money> = spending.currencies.iter().map(|currency| currency.spent).collect();
    let is_less = spending.currencies.iter().any(|currency| currency.spent != currency.total);
    is_less.then(|| format!("{} after cancellations and refunds", listed(&spent)))
}

fn listed(amounts: &[Money]) -> String {
    let said: Vec<String> = amounts.iter().map(ToString::to_string).collect();
    match said.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => said.concat(),
    }
}

fn neighbours(asked: &Asked, sort: Sort, from: &From, part: &Part) -> (Option<Step>, Option<Step>) {
    let (before, after) = match sort {
        Sort::Newest => ("Newer", "Older"),
        Sort::Oldest => ("Older", "Newer"),
        Sort::Highest => ("Higher", "Lower"),
        Sort::Lowest => ("Lower", "Higher"),
    };
    let step = |name, order: Option<&Order>, label| {
        order.map(|order| Step { url: address("/orders", asked, Some((name, Cursor::at(order, sort)))), label })
    };
    let previous = step("before", part.orders.first(), before);
    let following = step("after", part.orders.last(), after);
    match from {
        From::Start => (None, following.filter(|_| part.has_more)),
        From::After(_) => (previous, following.filter(|_| part.has_more)),
        From::Before(_) => (previous.filter(|_| part.has_more), following),
    }
}

fn address(path: &str, asked: &Asked, place: Option<(&str, Cursor)>) -> String {
    let place = place.map(|(name, cursor)| format!("{name}={cursor}"));
    let parts: Vec<String> =
        [Some(asked.query()).filter(|query| !query.is_empty()), place].into_iter().flatten().collect();
    if parts.is_empty() { path.to_owned() } else { format!("{path}?{}", parts.join("&")) }
}

fn form(asked: &Asked, is_narrow: bool, wrong: Wrong) -> FilterForm {
    let typed = |value: &Option<String>| value.clone().unwrap_or_default();
    let status = asked.status.as_deref().unwrap_or_default().trim();
    let sort = asked.sort.as_deref().unwrap_or_default().trim();
    let period = asked.period().flatten();
    FilterForm {
        q: typed(&asked.q),
        statuses: Status::ALL
            .map(|known| Choice { value: known.as_str(), label: known.label(), is_chosen: known.as_str() == status })
            .into(),
        periods: Period::ALL
            .map(|(known, value, label)| Choice { value, label, is_chosen: period == Some(known) })
            .into(),
        from: typed(&asked.from),
        to: typed(&asked.to),
        sorts: Sort::ALL.map(|(_, value, label)| Choice { value, label, is_chosen: value == sort }).into(),
        is_narrow,
        wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::super::money::Currency;
    use super::super::spending::InCurrency;
    use super::*;

    #[test]
    fn the_summary_names_each_currency() {
        let of = |code: &str, minor| InCurrency {
            total: Money::new(minor, Currency::parse(code).unwrap()),
            spent: Money::new(minor - 1, Currency::parse(code).unwrap()),
            months: Vec::new(),
            has_earlier: false,
        };
        let said = |orders, currencies| summary(&Spending { orders, currencies });
        assert_eq!(said(0, Vec::new()), "0 orders");
        assert_eq!(said(1, vec![of("USD", 1250)]), "1 order, $12.50");
        let three = vec![of("EUR", 100), of("JPY", 1200), of("USD", 1250)];
        assert_eq!(said(1200, three), "1,200 orders, €1.00, ¥1,200 and $12.50");
        let refunded = Spending { orders: 1, currencies: vec![of("USD", 1250)] };
        assert_eq!(left(&refunded).unwrap(), "$12.49 after cancellations and refunds");
    }
}

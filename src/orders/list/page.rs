//! GET `/orders`.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use strum::VariantArray;

use super::chart::{self, Chart};
use super::cursor::Cursor;
use super::filter::{Filter, FilterErrors, FilterParams, Period, parse_date};
use super::found::{FoundList, find_list};
use super::sort::Sort;
use super::status_filter::StatusFilter;
use super::store::{ListedOrder, OrderPage, PageStart};
use super::totals::OrderTotals;
use crate::clock::Clock;
use crate::database::Database;
use crate::domain::{Money, UnixSeconds, Zone, format_count, format_date, format_date_time};
use crate::orders::url::order_url;
use crate::orders::{CacheKey, ResponseCache};
use crate::sessions::CurrentUser;
use crate::web::compression::Coding;
use crate::web::{Error, Layout, page};

const HTML_CONTENT_TYPE: &str = "text/html; charset=utf-8";

#[derive(Template)]
#[template(path = "orders/list.html")]
struct ListPage {
    layout: Layout,
    /// Which parts of the query are ignored.
    notice: Option<String>,
    /// `None` when the customer has no orders.
    form: Option<FilterForm>,
    /// The orders that match the valid part of the filter. `None` when the customer has no orders.
    results: Option<Results>,
}

struct Results {
    orders: Vec<ListRow>,
    /// `37 orders, $1,234.50`
    summary: String,
    /// The sums without cancelled orders and refunds, if they differ.
    net_summary: Option<String>,
    charts: Vec<Chart>,
    /// `1–20 of 31`; `None` if the place of the page in the list is not known.
    position: Option<String>,
    previous: Option<PageLink>,
    next: Option<PageLink>,
    csv_url: String,
    /// When the shop's last import ended, machine-readable and as shown.
    updated: Option<(String, String)>,
}

struct ListRow {
    url: String,
    number: String,
    /// `None` for a customer with orders of one shop.
    shop: Option<String>,
    placed_at: String,
    placed_on: String,
    status: &'static str,
    status_class: &'static str,
    is_cancellation_requested: bool,
    /// `Clay mug, Saucer and 2 more`
    products: String,
    /// The number of pieces.
    items: String,
    total: String,
}

struct PageLink {
    url: String,
    label: &'static str,
}

/// The filter form with the submitted values.
struct FilterForm {
    q: String,
    statuses: Vec<SelectOption>,
    periods: Vec<SelectOption>,
    from: DateField,
    to: DateField,
    sorts: Vec<SelectOption>,
    is_active: bool,
    /// Filters besides the search, which are folded.
    active_count: usize,
    /// Whether the folded filters are shown.
    is_open: bool,
    errors: FilterErrors,
}

struct DateField {
    value: String,
    /// A date field discards other text, which must be shown again to be corrected.
    input_type: &'static str,
}

struct SelectOption {
    value: &'static str,
    label: &'static str,
    is_selected: bool,
}

/// The query of the URL: a filter, and at most one cursor.
#[derive(Debug, Deserialize)]
pub struct ListQuery {
    #[serde(flatten)]
    params: FilterParams,
    after: Option<String>,
    before: Option<String>,
}

pub async fn show(
    request: HttpRequest,
    user: CurrentUser,
    layout: Layout,
    query: Result<web::Query<ListQuery>, actix_web::Error>,
    (database, clock, responses): (web::Data<Database>, web::Data<Clock>, web::Data<ResponseCache>),
) -> Result<HttpResponse, Error> {
    let mut query = query.map_err(|_| Error::BadRequest("each filter can be given only once".to_owned()))?.into_inner();
    let notice = notice_about_unknown(&query.params.remove_unknown_codes());
    let zone = layout.zone();
    let (filter, errors) = query.params.parse_valid(&zone, clock.now());
    let is_valid = errors.is_empty();
    let start = page_start(&query, filter.sort())?;
    let key = cache_key(&request, &user, &layout, (&query, &filter), clock.now());
    let key = key.filter(|_| notice.is_none() && is_valid);
    if let Some(stored) = key.as_ref().and_then(|key| responses.find(key)) {
        return Ok(stored.respond(HTML_CONTENT_TYPE));
    }
    let (version, found) = find_list(&database, &user.user_id, &filter, start, &zone).await?;
    let valid_params = query.params.without_invalid(&errors);
    let has_form = found.is_some() || !is_valid;
    let form = has_form.then(|| filter_form(&query.params, filter.is_active() || !is_valid, errors));
    let shown = (&zone, layout.shop.name.as_str());
    let results = found.map(|found| results(&valid_params, &filter, &found, user.last_import_at, shown));
    let view = ListPage { layout, notice, form, results };
    match key {
        Some(key) => Ok(responses.store(key, version, view.render()?.into_bytes()).respond(HTML_CONTENT_TYPE)),
        None if is_valid => page(StatusCode::OK, &view),
        None => page(StatusCode::UNPROCESSABLE_ENTITY, &view),
    }
}

fn notice_about_unknown(unknown: &[&str]) -> Option<String> {
    let it = if unknown.len() == 1 { "it" } else { "them" };
    let (last, others) = unknown.split_last()?;
    let names = if others.is_empty() { (*last).to_owned() } else { format!("{} and {last}", others.join(", ")) };
    Some(format!("This link has an unknown {names}. The list is shown without {it}."))
}

/// The key of the response in memory. `None` if it is not kept: with a notice, which is shown once, and for a search, which is seldom repeated.
fn cache_key(
    request: &HttpRequest,
    user: &CurrentUser,
    layout: &Layout,
    (query, filter): (&ListQuery, &Filter),
    now: UnixSeconds,
) -> Option<CacheKey> {
    let viewer = layout.viewer.as_ref().filter(|_| layout.notice.is_none() && !filter.is_search())?;
    // Periods like "this year" depend on the day.
    let day = viewer.zone.date(now).to_string();
    let verified = if viewer.is_verified { "verified" } else { "" };
    // Not the query of the URL: parameters without a meaning must not lead to copies of the same list.
    let query = format!("{query:?}");
    let updated = user.last_import_at.map(|at| at.to_string()).unwrap_or_default();
    let context = ["/orders", &query, &viewer.email, verified, viewer.zone.name(), &day, &updated];
    Some(CacheKey::new(user, &context, Coding::accepted(request)))
}

fn page_start(query: &ListQuery, sort: Sort) -> Result<PageStart, Error> {
    let invalid = || Error::BadRequest("the link to this page is not valid; start at the first page".to_owned());
    match (&query.after, &query.before) {
        (None, None) => Ok(PageStart::First),
        (Some(after), None) => Cursor::parse(after, sort).map(PageStart::After).ok_or_else(invalid),
        (None, Some(before)) => Cursor::parse(before, sort).map(PageStart::Before).ok_or_else(invalid),
        (Some(_), Some(_)) => Err(invalid()),
    }
}

fn filter_form(params: &FilterParams, is_active: bool, errors: FilterErrors) -> FilterForm {
    let submitted = |value: &Option<String>| value.clone().unwrap_or_default();
    let status = params.status.as_deref().unwrap_or_default().trim();
    let sort = params.sort.as_deref().unwrap_or_default().trim();
    let period = params.period().map(Period::as_str).unwrap_or_default();
    FilterForm {
        q: submitted(&params.q),
        statuses: options(StatusFilter::label, status),
        periods: options(Period::label, period),
        from: date_field(submitted(&params.from)),
        to: date_field(submitted(&params.to)),
        sorts: options(Sort::label, sort),
        is_active,
        active_count: params.active_count(),
        is_open: errors.from.is_some() || errors.to.is_some(),
        errors,
    }
}

fn date_field(value: String) -> DateField {
    let is_date = value.is_empty() || parse_date(&value).is_some();
    DateField { value, input_type: if is_date { "date" } else { "text" } }
}

fn options<T>(label: fn(T) -> &'static str, selected: &str) -> Vec<SelectOption>
where
    T: VariantArray + Copy + Into<&'static str>,
{
    let option = |variant: &T| {
        let value = (*variant).into();
        SelectOption { value, label: label(*variant), is_selected: value == selected }
    };
    T::VARIANTS.iter().map(option).collect()
}

fn results(
    params: &FilterParams,
    filter: &Filter,
    found: &FoundList,
    last_import_at: Option<UnixSeconds>,
    (zone, unnamed_shop): (&Zone, &str),
) -> Results {
    let FoundList { totals, has_several_shops, start, page } = found;
    let places = places(start, page, filter.sort(), totals.order_count);
    let (previous, next) = page_links(params, filter.sort(), start, page, places);
    let shop = |order: &ListedOrder| {
        let name = if order.shop.is_empty() { unnamed_shop } else { &order.shop };
        has_several_shops.then(|| name.to_owned())
    };
    Results {
        orders: page.orders.iter().map(|order| list_row(order, shop(order), zone)).collect(),
        summary: summary(totals),
        net_summary: net_summary(totals),
        charts: totals.currencies.iter().filter_map(chart::chart).collect(),
        position: places.map(|places| format_position(places, totals.order_count)),
        previous,
        next,
        csv_url: list_url("/orders.csv", params, None),
        updated: last_import_at.map(|at| (at.to_string(), format_date_time(at, zone))),
    }
}

fn list_row(order: &ListedOrder, shop: Option<String>, zone: &Zone) -> ListRow {
    ListRow {
        url: order_url(&order.number),
        number: order.name.to_string(),
        shop,
        placed_at: order.placed_at.to_string(),
        placed_on: format_date(order.placed_at, zone),
        status: order.status.label(),
        status_class: order.status.as_str(),
        is_cancellation_requested: order.cancellation_asked_at.is_some() && order.status.can_be_cancelled(),
        products: order.summary.clone(),
        items: format_count(order.piece_count),
        total: order.total.to_string(),
    }
}

/// The places of the first and the last order of the page in the list. Known on the first and the last page, and where the cursor has it.
/// One that no longer fits, because orders were added or removed, is left out.
fn places(start: &PageStart, page: &OrderPage<ListedOrder>, sort: Sort, count: i64) -> Option<(i64, i64)> {
    let shown = i64::try_from(page.orders.len()).ok().filter(|shown| (1..=count).contains(shown))?;
    let first = match start {
        PageStart::First => 1,
        PageStart::After(_) if !page.has_more => count - shown + 1,
        PageStart::After(cursor) => cursor.position(sort)?.checked_add(1)?,
        PageStart::Before(cursor) => cursor.position(sort)?.checked_sub(shown)?,
    };
    let last = first.checked_add(shown - 1)?;
    let is_last_page = matches!(start, PageStart::After(_)) && !page.has_more;
    let fits = matches!(start, PageStart::First) || is_last_page || (first > 1 && last < count);
    fits.then_some((first, last))
}

fn format_position((first, last): (i64, i64), count: i64) -> String {
    let [first, last, count] = [first, last, count].map(format_count);
    format!("{first}–{last} of {count}")
}

fn summary(totals: &OrderTotals) -> String {
    let noun = if totals.order_count == 1 { "order" } else { "orders" };
    let count = format!("{} {noun}", format_count(totals.order_count));
    let sums: Vec<Money> = totals.currencies.iter().map(|currency| currency.total).collect();
    if sums.is_empty() { count } else { format!("{count}, {}", format_amounts(&sums)) }
}

fn net_summary(totals: &OrderTotals) -> Option<String> {
    let spent: Vec<Money> = totals.currencies.iter().map(|currency| currency.spent).collect();
    let differs = totals.currencies.iter().any(|currency| currency.spent != currency.total);
    differs.then(|| format!("{} after cancellations and refunds", format_amounts(&spent)))
}

/// `€1.00, ¥1,200 and $12.50`
fn format_amounts(amounts: &[Money]) -> String {
    let amounts: Vec<String> = amounts.iter().map(ToString::to_string).collect();
    match amounts.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => amounts.concat(),
    }
}

fn page_links(
    params: &FilterParams,
    sort: Sort,
    start: &PageStart,
    page: &OrderPage<ListedOrder>,
    places: Option<(i64, i64)>,
) -> (Option<PageLink>, Option<PageLink>) {
    let (before, after) = match sort {
        Sort::Newest => ("Newer", "Older"),
        Sort::Oldest => ("Older", "Newer"),
        Sort::Highest => ("Higher", "Lower"),
        Sort::Lowest => ("Lower", "Higher"),
    };
    let link = |name, order: Option<&ListedOrder>, place: Option<i64>, label| {
        let cursor = order?.cursor(sort);
        let cursor = match place {
            Some(place) => cursor.with_position(place, sort),
            None => cursor,
        };
        Some(PageLink { url: list_url("/orders", params, Some((name, cursor))), label })
    };
    let previous = link("before", page.orders.first(), places.map(|(first, _)| first), before);
    let next = link("after", page.orders.last(), places.map(|(_, last)| last), after);
    match start {
        PageStart::First => (None, next.filter(|_| page.has_more)),
        PageStart::After(_) => (previous, next.filter(|_| page.has_more)),
        PageStart::Before(_) => (previous.filter(|_| page.has_more), next),
    }
}

fn list_url(path: &str, params: &FilterParams, cursor: Option<(&str, Cursor)>) -> String {
    let filter = Some(params.to_query_string()).filter(|query| !query.is_empty());
    let cursor = cursor.map(|(name, cursor)| format!("{name}={cursor}"));
    let query: Vec<String> = [filter, cursor].into_iter().flatten().collect();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
}

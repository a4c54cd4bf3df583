//! `/api/userOrders`.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::bearer::BearerUser;
use super::problem::{Problem, no_store};
use crate::clock::Clock;
use crate::database::Database;
use crate::domain::{UnixSeconds, Zone};
use crate::orders::{
    self, CacheKey, Cursor, Filter, FilterErrors, FilterParams, OrderNumber, OrderResponse, OrderSummary, PAGE_SIZE,
    PageStart, ResponseCache,
};
use crate::web::compression::Coding;
use crate::web::{Error, Site};

const JSON: &str = "application/json";
/// Orders in one response.
const MAX_LIMIT: u32 = 100;

/// The query of the list.
#[derive(Debug, Deserialize, IntoParams)]
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

/// List the customer's orders that match a filter, page by page.
#[utoipa::path(get, path = "/api/userOrders", tag = "orders", operation_id = "userOrders", params(ListParams, FilterParams), security(("bearer" = [])), responses(
    (status = 200, description = "The orders", body = OrderList),
    (status = 400, description = "An invalid limit, cursor or filter", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(
    request: HttpRequest,
    caller: BearerUser,
    params: Result<web::Query<ListParams>, actix_web::Error>,
    (database, clock, responses): (web::Data<Database>, web::Data<Clock>, web::Data<ResponseCache>),
) -> Result<HttpResponse, Error> {
    let params = params.map_err(|_| Error::BadRequest("give each parameter at most once".to_owned()))?;
    let filter = params.filter(clock.now())?;
    let limit = params.limit()?;
    let start = params.start(&filter)?;
    // Periods like "this year" depend on the day.
    let day = clock.now().utc().date().to_string();
    let query = format!("{params:?}");
    let context = ["/api/userOrders", &query, &day];
    let key = (!filter.is_search()).then(|| CacheKey::new(&caller.user, &context, Coding::accepted(&request)));
    if let Some(stored) = key.as_ref().and_then(|key| responses.find(key)) {
        return Ok(stored.respond(JSON));
    }
    let user_id = &caller.user.user_id;
    let (version, page) =
        orders::find_page(database.engine(), database.reader(), user_id, &filter, &start, limit).await?;
    let next = page.orders.last().filter(|_| page.has_more).map(|order| Cursor::at(order, filter.sort()).to_string());
    let list = OrderList { orders: page.orders.into_iter().map(OrderSummary::from).collect(), next };
    let Some(key) = key else { return Ok(no_store(&mut HttpResponse::Ok()).json(list)) };
    let json = serde_json::to_vec(&list).map_err(|error| Error::Internal(error.into()))?;
    Ok(responses.store(key, version, json).respond(JSON))
}

/// Get one of the customer's orders.
#[utoipa::path(get, path = "/api/userOrders/{number}", tag = "orders", operation_id = "userOrder", security(("bearer" = [])),
    params(("number" = String, Path, description = "Without the #", example = "10248")), responses(
    (status = 200, description = "The order", body = OrderResponse),
    (status = 404, description = "The customer has no such order", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn find(
    caller: BearerUser,
    number: web::Path<String>,
    (database, site): (web::Data<Database>, web::Data<Site>),
) -> Result<HttpResponse, Error> {
    let number = OrderNumber::parse(&number).ok_or(Error::NotFound)?;
    let detail = orders::find_order(&database, &caller.user.user_id, &number).await?.ok_or(Error::NotFound)?;
    let order = OrderResponse::new(detail, &site.shop.name);
    let order = if site.shop.shows_notes { order } else { order.without_note() };
    Ok(no_store(&mut HttpResponse::Ok()).json(order))
}

//! `/orders/{number}/again`: ask the shop to send the products of an order again. The review page shows them with quantities to change and
//! the prices of then. A request is no order: it has no number, status or price.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::notice::OrderNotice;
use super::reorder_form::{Review, ReviewLine, Submitted, SubmittedForm, review};
use super::store::reorders::{self as store, RequestedLine};
use super::submission::{DAY, MAX_PER_DAY, Outcome, Submission, key_reused, limit, new_key, parse_key};
use crate::clock::Clock;
use crate::database::{self, Database};
use crate::domain::format_date;
use crate::mail::{AboutOrder, RequestOrigin, ToShop, mail_lines};
use crate::orders::detail;
use crate::orders::idempotency::IdempotencyKey;
use crate::orders::order::Order;
use crate::orders::url::order_url;
use crate::sessions::{Authenticated, CurrentUser};
use crate::web::body::Form;
use crate::web::{Client, Error, Layout, Notice, page, see_other};

#[derive(Template)]
#[template(path = "orders/again.html")]
struct ReviewPage {
    layout: Layout,
    number: String,
    url: String,
    key: String,
    placed_on: String,
    is_verified: bool,
    lines: Vec<ReviewLine>,
    more: usize,
    version: String,
    error: Option<String>,
}

impl ReviewPage {
    /// Each error with the id of its field.
    fn errors(&self) -> impl Iterator<Item = (&str, &str)> {
        let first = self.lines.first().map_or("main", |line| line.field.as_str());
        let whole = self.error.iter().map(move |error| (first, error.as_str()));
        whole.chain(self.lines.iter().filter_map(|line| Some((line.field.as_str(), line.error.as_deref()?))))
    }
}

pub async fn form(
    user: CurrentUser,
    layout: Layout,
    number: web::Path<String>,
    database: web::Data<Database>,
) -> Result<HttpResponse, Error> {
    let found = detail::find(&database, &user, &number).await?;
    let review = review(&found.detail);
    render(StatusCode::OK, layout, &found.detail.order, review)
}

fn render(status: StatusCode, layout: Layout, order: &Order, review: Review) -> Result<HttpResponse, Error> {
    let view = ReviewPage {
        number: order.name.to_string(),
        url: order_url(&order.number),
        key: new_key()?,
        placed_on: format_date(order.placed_at, &layout.zone()),
        is_verified: is_verified(&layout),
        layout,
        lines: review.lines,
        more: review.more,
        version: review.version,
        error: review.error,
    };
    page(status, &view)
}

fn is_verified(layout: &Layout) -> bool {
    layout.viewer.as_ref().is_some_and(|viewer| viewer.is_verified)
}

pub async fn submit(
    client: Client,
    number: web::Path<String>,
    (database, clock): (web::Data<Database>, web::Data<Clock>),
    Authenticated { user, layout, body: Form(fields) }: Authenticated<Form<Vec<(String, String)>>>,
) -> Result<HttpResponse, Error> {
    let found = detail::find(&database, &user, &number).await?;
    let order = &found.detail.order;
    // An unconfirmed address may belong to another person, and the shop would write to it.
    if !is_verified(&layout) {
        let mut response = see_other(&format!("{}/again", order_url(&order.number)));
        OrderNotice::ConfirmFirst.show_next(&mut response);
        return Ok(response);
    }
    let unreadable = || Error::BadRequest("the form lacks a field or has one twice; load the page again".to_owned());
    let form = SubmittedForm::parse(fields).ok_or_else(unreadable)?;
    let key = parse_key(&form.key)?;
    let lines = match form.validate(&found.detail) {
        Submitted::Lines(lines) => lines,
        Submitted::Invalid(review) => return render(StatusCode::UNPROCESSABLE_ENTITY, layout, order, review),
    };
    let origin = RequestOrigin::new(clock.now(), &client);
    let submission = Submission { database: &database, clock: &clock, user: &user, layout: &layout, order, origin };
    match submission.request_reorder(&key, &lines).await? {
        Outcome::Done | Outcome::Repeated => {
            let mut response = see_other(&order_url(&order.number));
            OrderNotice::ReorderRequested.show_next(&mut response);
            Ok(response)
        }
        Outcome::KeyReused => Err(key_reused()),
        Outcome::TooMany { retry_after } => Err(Error::RateLimited { retry_after }),
        Outcome::NotPossible => Err(Error::NotFound),
    }
}

impl Submission<'_> {
    async fn request_reorder(&self, key: &IdempotencyKey, lines: &[RequestedLine]) -> Result<Outcome, database::Error> {
        let quantities: Vec<String> = lines.iter().map(|line| line.quantity.to_string()).collect();
        let request = format!("again {} {}", self.order.id.as_str(), quantities.join(","));
        let (user_id, id) = (&self.user.user_id, self.clock.new_id());
        self.database
            .write(async |transaction| {
                if let Some(outcome) = self.stored_outcome(transaction, key, &request).await? {
                    return Ok(outcome);
                }
                let now = self.clock.now();
                let nth = store::nth_latest(transaction, user_id, MAX_PER_DAY, now.plus(-DAY)).await?;
                if let Some(limited) = limit(nth, now) {
                    return Ok(limited);
                }
                store::insert(transaction, &id, (user_id, &self.order.id), lines, now).await?;
                let (number, path, customer) = (self.name(), self.path(), self.customer());
                let lines = mail_lines(lines.iter().map(RequestedLine::describe));
                let origin = self.origin.clone();
                let to_shop = ToShop::ReorderRequested {
                    origin: origin.clone(),
                    number: self.name_for_shop(transaction).await?,
                    customer,
                    lines: lines.clone(),
                };
                self.mail_shop(transaction, to_shop).await?;
                self.mail_customer(transaction, AboutOrder::ReorderRequested { origin, number, path, lines }).await?;
                self.store_outcome(transaction, key, &request).await?;
                Ok(Outcome::Done)
            })
            .await
    }
}

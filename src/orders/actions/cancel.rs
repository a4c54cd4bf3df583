//! `/orders/{number}/cancel`: ask the shop to cancel an order, and withdraw that.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::notice::OrderNotice;
use super::store::cancellations as store;
use super::submission::{DAY, MAX_PER_DAY, Outcome, Submission, key_reused, limit, new_key, parse_key};
use crate::clock::Clock;
use crate::database::{self, Database};
use crate::domain::{Zone, format_date};
use crate::mail::{AboutOrder, RequestOrigin, ToShop};
use crate::orders::cancellation::{Answer, MAX_REASON_CHARS, Reason, Verdict};
use crate::orders::detail;
use crate::orders::idempotency::{self, IdempotencyKey};
use crate::orders::monthly_totals::Changes;
use crate::orders::order::Order;
use crate::orders::status::OrderStatus;
use crate::orders::url::order_url;
use crate::sessions::{Authenticated, CurrentUser};
use crate::web::body::{Form, IgnoredBody};
use crate::web::{Client, Error, Layout, Notice, page, see_other};

#[derive(Template)]
#[template(path = "orders/cancel.html")]
struct CancelPage {
    layout: Layout,
    number: String,
    url: String,
    key: String,
    max_reason_chars: usize,
    /// As typed.
    reason: String,
    error: Option<String>,
}

#[derive(Deserialize)]
pub struct CancelForm {
    key: String,
    #[serde(default)]
    reason: String,
}

/// GET: what a cancellation means, with the form. Of an order that cannot be cancelled, its page with the reason.
pub async fn form(
    user: CurrentUser,
    layout: Layout,
    number: web::Path<String>,
    database: web::Data<Database>,
) -> Result<HttpResponse, Error> {
    let found = detail::find(&database, &user, &number).await?;
    let order = &found.detail.order;
    if order.pending_cancellation().is_some() {
        return Ok(see_other(&order_url(&order.number)));
    }
    if let Some(refusal) = refusal(order, &layout.zone()) {
        return detail::render(StatusCode::OK, layout, &found, 1, Some(refusal));
    }
    render(StatusCode::OK, layout, order, String::new(), None)
}

fn render(
    status: StatusCode,
    layout: Layout,
    order: &Order,
    reason: String,
    error: Option<String>,
) -> Result<HttpResponse, Error> {
    let view = CancelPage {
        layout,
        number: order.name.to_string(),
        url: order_url(&order.number),
        key: new_key()?,
        max_reason_chars: MAX_REASON_CHARS,
        reason,
        error,
    };
    page(status, &view)
}

/// Why the customer cannot request a cancellation; `None` if they can.
fn refusal(order: &Order, zone: &Zone) -> Option<String> {
    let answer = order.cancellation.as_ref().and_then(|cancellation| cancellation.answer);
    let text = match order.status {
        OrderStatus::Placed | OrderStatus::Processing => {
            let Answer { verdict, at } = answer?;
            let verdict = match verdict {
                Verdict::Accepted => "accepted",
                Verdict::Declined => "declined",
            };
            return Some(format!("The shop {verdict} the cancellation on {}.", format_date(at, zone)));
        }
        OrderStatus::Cancelled => "The order is already cancelled.",
        OrderStatus::Refunded => "The order is already refunded.",
        OrderStatus::PaymentVoided | OrderStatus::Expired => "The order was not paid, so the shop does not send it.",
        OrderStatus::Delivered => "The order was delivered, so it cannot be cancelled. To return it, contact the shop.",
        OrderStatus::PartlySent | OrderStatus::Sent => {
            "The order is on its way, so it cannot be cancelled. To return it, contact the shop."
        }
    };
    Some(text.to_owned())
}

/// POST: stores the request and notifies the shop.
pub async fn submit(
    client: Client,
    number: web::Path<String>,
    (database, clock): (web::Data<Database>, web::Data<Clock>),
    Authenticated { user, layout, body: Form(form) }: Authenticated<Form<CancelForm>>,
) -> Result<HttpResponse, Error> {
    let found = detail::find(&database, &user, &number).await?;
    let order = &found.detail.order;
    let key = parse_key(&form.key)?;
    let Some(reason) = Reason::parse(&form.reason) else {
        let error = format!("Give the reason in at most {MAX_REASON_CHARS} characters.");
        return render(StatusCode::UNPROCESSABLE_ENTITY, layout, order, form.reason, Some(error));
    };
    let origin = RequestOrigin::new(clock.now(), &client);
    let submission = Submission { database: &database, clock: &clock, user: &user, layout: &layout, order, origin };
    let outcome = submission.request_cancellation(&key, &reason).await?;
    respond(outcome, OrderNotice::CancellationRequested, layout, &user, &database, &number).await
}

/// POST `…/cancel/undo`: withdraws the request, unless the shop has answered it.
pub async fn undo(
    client: Client,
    number: web::Path<String>,
    (database, clock): (web::Data<Database>, web::Data<Clock>),
    Authenticated { user, layout, body: _ }: Authenticated<IgnoredBody>,
) -> Result<HttpResponse, Error> {
    let found = detail::find(&database, &user, &number).await?;
    let origin = RequestOrigin::new(clock.now(), &client);
    let order = &found.detail.order;
    let submission = Submission { database: &database, clock: &clock, user: &user, layout: &layout, order, origin };
    let outcome = submission.withdraw_cancellation().await?;
    respond(outcome, OrderNotice::CancellationWithdrawn, layout, &user, &database, &number).await
}

async fn respond(
    outcome: Outcome,
    notice: OrderNotice,
    layout: Layout,
    user: &CurrentUser,
    database: &Database,
    number: &str,
) -> Result<HttpResponse, Error> {
    match outcome {
        Outcome::KeyReused => return Err(key_reused()),
        Outcome::TooMany { retry_after } => return Err(Error::RateLimited { retry_after }),
        Outcome::Done | Outcome::Repeated | Outcome::NotPossible => {}
    }
    // As it is now: the shop may have sent the order since the form was loaded, and another page may have done the same.
    let found = detail::find(database, user, number).await?;
    let order = &found.detail.order;
    let has_request = order.pending_cancellation().is_some();
    let is_as_wanted = match notice {
        OrderNotice::CancellationRequested => has_request,
        _ => order.cancellation.is_none(),
    };
    if is_as_wanted || matches!(outcome, Outcome::Repeated) {
        let mut response = see_other(&order_url(&order.number));
        if is_as_wanted {
            notice.show_next(&mut response);
        }
        return Ok(response);
    }
    let refusal = refusal(order, &layout.zone());
    detail::render(StatusCode::UNPROCESSABLE_ENTITY, layout, &found, 1, refusal)
}

impl Submission<'_> {
    async fn request_cancellation(&self, key: &IdempotencyKey, reason: &Reason) -> Result<Outcome, database::Error> {
        let request = format!("cancel {}", self.order.id.as_str());
        let (user_id, id) = (&self.user.user_id, &self.order.id);
        self.database
            .write(async |transaction| {
                if let Some(outcome) = self.stored_outcome(transaction, key, &request).await? {
                    return Ok(outcome);
                }
                let now = self.clock.now();
                let since = now.plus(-DAY);
                let nth = idempotency::store::nth_latest(transaction, user_id, "cancel ", MAX_PER_DAY, since).await?;
                if let Some(limited) = limit(nth, now) {
                    return Ok(limited);
                }
                if !store::request_cancellation(transaction, user_id, id, reason, now).await? {
                    // Also when another page has requested it. No key is stored for it: repeating it changes nothing.
                    return Ok(Outcome::NotPossible);
                }
                let (origin, reason) = (self.origin.clone(), reason.as_str().to_owned());
                let (number, path, customer) = (self.name(), self.path(), self.customer());
                let to_shop = ToShop::CancellationRequested {
                    origin: origin.clone(),
                    number: self.name_for_shop(transaction).await?,
                    customer,
                    reason: reason.clone(),
                };
                self.mail_shop(transaction, to_shop).await?;
                let to_customer = AboutOrder::CancellationRequested { origin, number, path, reason };
                self.mail_customer(transaction, to_customer).await?;
                self.store_outcome(transaction, key, &request).await?;
                let mut changes = Changes::default();
                changes.mark_changed(user_id);
                changes.record(transaction).await?;
                Ok(Outcome::Done)
            })
            .await
    }

    async fn withdraw_cancellation(&self) -> Result<Outcome, database::Error> {
        let (user_id, id) = (&self.user.user_id, &self.order.id);
        self.database
            .write(async |transaction| {
                if !store::withdraw_cancellation(transaction, user_id, id).await? {
                    return Ok(Outcome::NotPossible);
                }
                let (number, path, customer) = (self.name(), self.path(), self.customer());
                let number_for_shop = self.name_for_shop(transaction).await?;
                let to_shop =
                    ToShop::CancellationWithdrawn { origin: self.origin.clone(), number: number_for_shop, customer };
                self.mail_shop(transaction, to_shop).await?;
                let to_customer = AboutOrder::CancellationWithdrawn { origin: self.origin.clone(), number, path };
                self.mail_customer(transaction, to_customer).await?;
                let mut changes = Changes::default();
                changes.mark_changed(user_id);
                changes.record(transaction).await?;
                Ok(Outcome::Done)
            })
            .await
    }
}

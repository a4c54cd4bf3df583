//! POST `/orders/{number}/cancel` and `/orders/{number}/again`.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::OrderNotice;
use super::store;
use crate::clock::Clock;
use crate::database::{self, Database, Transaction};
use crate::domain::Email;
use crate::mail::{self, AboutOrder, Message, RequestOrigin};
use crate::orders::detail;
use crate::orders::idempotency::{self, IdempotencyKey};
use crate::orders::monthly_totals::Changes;
use crate::orders::order::{OrderDetail, OrderId, OrderNumber};
use crate::orders::status::OrderStatus;
use crate::orders::url::order_url;
use crate::sessions::{Authenticated, CurrentUser};
use crate::web::body::Form;
use crate::web::escape::without_bidi_controls;
use crate::web::{Client, Error, Layout, Notice, see_other};

/// Reorders of one customer in a day: more than anyone needs, too few to flood a shop.
const MAX_REORDERS_PER_DAY: i64 = 50;
const DAY: i64 = 86_400;
/// Lines of an order in a mail, and characters of each.
const MAX_MAIL_LINES: usize = 30;
const MAX_MAIL_LINE_CHARS: usize = 120;

#[derive(Deserialize)]
pub struct ActionForm {
    key: String,
}

#[derive(Clone, Copy)]
pub enum OrderAction {
    Cancel,
    Reorder,
}

enum Outcome {
    /// The action is done, by this request or by an earlier one with the same key; the order to show.
    Done(OrderNumber),
    /// The order can no longer be cancelled.
    TooLate,
    /// The key came with another request before.
    KeyReused,
    /// The limit of reorders is reached; another one is possible after so many seconds.
    TooManyReorders { retry_after: i64 },
    /// The order is gone since it was read.
    NotFound,
}

/// A submitted action with all that it needs.
struct ActionRequest<'a> {
    database: &'a Database,
    clock: &'a Clock,
    user: &'a CurrentUser,
    detail: &'a OrderDetail,
    key: IdempotencyKey,
    /// The user's email, if it is verified.
    email: Option<Email>,
    origin: RequestOrigin,
}

pub async fn submit(
    action: OrderAction,
    client: Client,
    number: web::Path<String>,
    (database, clock): (web::Data<Database>, web::Data<Clock>),
    Authenticated { user, layout, body: Form(form) }: Authenticated<Form<ActionForm>>,
) -> Result<HttpResponse, Error> {
    let found = detail::find(&database, &user, &number).await?;
    let invalid_key = || Error::BadRequest("the form's key is missing or was altered; load the order again".to_owned());
    let request = ActionRequest {
        database: &database,
        clock: &clock,
        user: &user,
        detail: &found.detail,
        key: IdempotencyKey::parse(&form.key).ok_or_else(invalid_key)?,
        email: verified_email(&layout),
        origin: RequestOrigin::new(clock.now(), &client),
    };
    let (outcome, notice) = match action {
        OrderAction::Cancel => (request.cancel().await?, OrderNotice::CancellationRequested),
        OrderAction::Reorder => (request.reorder().await?, OrderNotice::Reordered),
    };
    respond(outcome, notice, layout, &user, &database, &found.detail).await
}

fn verified_email(layout: &Layout) -> Option<Email> {
    let viewer = layout.viewer.as_ref().filter(|viewer| viewer.is_verified)?;
    Email::parse(&viewer.email).ok()
}

async fn respond(
    outcome: Outcome,
    notice: OrderNotice,
    layout: Layout,
    user: &CurrentUser,
    database: &Database,
    detail: &OrderDetail,
) -> Result<HttpResponse, Error> {
    match outcome {
        Outcome::Done(number) => {
            let mut response = see_other(&order_url(&number));
            notice.show_next(&mut response);
            Ok(response)
        }
        Outcome::TooLate => {
            // The shop may have sent the order since the page was loaded.
            let found = detail::find(database, user, detail.order.number.as_str()).await?;
            let error = Some(too_late(found.detail.order.status).to_owned());
            detail::render(StatusCode::UNPROCESSABLE_ENTITY, layout, &found, 1, error)
        }
        Outcome::KeyReused => Err(Error::BadRequest(
            "the form was sent before with something else in it; load the order again".to_owned(),
        )),
        Outcome::TooManyReorders { retry_after } => Err(Error::RateLimited { retry_after }),
        Outcome::NotFound => Err(Error::NotFound),
    }
}

fn too_late(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::Cancelled => "The order is cancelled already.",
        OrderStatus::Refunded => "The order is refunded already.",
        OrderStatus::PaymentVoided | OrderStatus::Expired => "The order was not paid, so the shop does not send it.",
        OrderStatus::Delivered => {
            "The order has arrived, so it cannot be cancelled. The shop tells you how to send it back."
        }
        _ => "The order is on its way, so it cannot be cancelled any more. The shop tells you how to send it back.",
    }
}

impl ActionRequest<'_> {
    async fn cancel(&self) -> Result<Outcome, database::Error> {
        let order = &self.detail.order;
        let request = format!("cancel {}", order.id.as_str());
        self.database
            .write(async |transaction| {
                if let Some(outcome) = self.stored_outcome(transaction, &request).await? {
                    return Ok(outcome);
                }
                let now = self.clock.now();
                let is_new = store::request_cancellation(transaction, &self.user.user_id, &order.id, now).await?;
                // A request from another page counts too. No response is stored for it: repeating it changes nothing.
                if order.pending_cancellation().is_some() {
                    return Ok(Outcome::Done(order.number.clone()));
                }
                if !is_new {
                    return Ok(Outcome::TooLate);
                }
                let mut changes = Changes::default();
                changes.mark_changed(&self.user.user_id);
                let (origin, number) = (self.origin.clone(), order.name.to_string());
                self.enqueue_mail(transaction, AboutOrder::CancellationAsked { origin, number }).await?;
                self.finish(transaction, &request, order.number.clone(), changes).await
            })
            .await
    }

    async fn reorder(&self) -> Result<Outcome, Error> {
        let order = &self.detail.order;
        let request = format!("again {}", order.id.as_str());
        let new_id = OrderId::generate(self.clock);
        // Not in the transaction: all customers who reorder at the same time would conflict at the counter.
        let number = store::next_reorder_number(self.database).await?;
        let number = number.ok_or_else(|| Error::Internal("no free number for a reorder".into()))?;
        let outcome = self.database.write(async |transaction| {
            if let Some(outcome) = self.stored_outcome(transaction, &request).await? {
                return Ok(outcome);
            }
            let (now, user_id) = (self.clock.now(), &self.user.user_id);
            let limiting =
                store::nth_latest_placed_at(transaction, user_id, MAX_REORDERS_PER_DAY, now.plus(-DAY)).await?;
            if let Some(placed_at) = limiting {
                return Ok(Outcome::TooManyReorders { retry_after: placed_at.plus(DAY).since(now).clamp(1, DAY) });
            }
            let Some(placed) = store::copy_order(transaction, user_id, &order.id, (&new_id, &number), now).await?
            else {
                return Ok(Outcome::NotFound);
            };
            let mut changes = Changes::default();
            changes.add(user_id, placed);
            self.enqueue_mail(transaction, self.confirmation(&number)).await?;
            self.finish(transaction, &request, number.clone(), changes).await
        });
        Ok(outcome.await?)
    }

    /// The outcome of an earlier request with the same key.
    async fn stored_outcome(
        &self,
        transaction: &mut Transaction,
        request: &str,
    ) -> Result<Option<Outcome>, database::Error> {
        let stored = idempotency::store::find_response(transaction, &self.user.user_id, &self.key).await?;
        Ok(stored.map(|stored| match stored.number {
            Some(number) if stored.request == request => Outcome::Done(number),
            _ => Outcome::KeyReused,
        }))
    }

    /// The last step of the transaction: stores the outcome for requests with the same key, and records the changes of orders.
    async fn finish(
        &self,
        transaction: &mut Transaction,
        request: &str,
        number: OrderNumber,
        changes: Changes,
    ) -> Result<Outcome, database::Error> {
        let (user_id, now) = (&self.user.user_id, self.clock.now());
        idempotency::store::store_response(transaction, user_id, &self.key, request, &number, now).await?;
        changes.record(transaction).await?;
        Ok(Outcome::Done(number))
    }

    async fn enqueue_mail(&self, transaction: &mut Transaction, message: AboutOrder) -> Result<(), database::Error> {
        let Some(email) = &self.email else { return Ok(()) };
        let (user_id, message) = (Some(self.user.user_id.as_str()), Message::AboutOrder(message));
        mail::enqueue(transaction, self.clock, email, user_id, &message).await.map(drop)
    }

    fn confirmation(&self, number: &OrderNumber) -> AboutOrder {
        let order = &self.detail.order;
        let lines = self.detail.lines.iter().take(MAX_MAIL_LINES);
        let mut mail_lines: Vec<String> =
            lines.map(|line| format!("{} × {}", line.quantity, mail_line(&line.name))).collect();
        if self.detail.lines.len() > MAX_MAIL_LINES {
            mail_lines.push(format!("and {} more", self.detail.lines.len() - MAX_MAIL_LINES));
        }
        AboutOrder::PlacedAgain {
            origin: self.origin.clone(),
            number: format!("#{}", number.as_str()),
            copy_of: order.name.to_string(),
            lines: mail_lines,
            total: order.total.to_string(),
        }
    }
}

/// A name as one short line. Without its line breaks a name cannot forge further lines of the mail.
fn mail_line(name: &str) -> String {
    let name = without_bidi_controls(name);
    let mut letters = name.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let mut line: String = letters.by_ref().take(MAX_MAIL_LINE_CHARS).collect();
    if letters.next().is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_line_has_no_control_characters_and_is_short() {
        assert_eq!(mail_line("Tea\r\nBcc: everyone\u{1b}[31m\u{202e}"), "Tea  Bcc: everyone [31m");
        assert_eq!(mail_line(&"漢".repeat(120)), "漢".repeat(120));
        assert_eq!(mail_line(&"漢".repeat(121)), format!("{}…", "漢".repeat(120)));
    }
}

//! What a customer can do to an order: ask for it to be called off, and order the same again.
//!
//! Each is one transaction in which the form's key is looked up first, so that whatever is sent twice is done once.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::detail;
use super::idempotency::IdempotencyKey;
use super::order::{OrderDetail, OrderNumber, Status};
use super::pages::url;
use super::store::actions as store;
use crate::clock::Clock;
use crate::database::{self, Database, Transaction};
use crate::mail::{self, AboutOrder, Email, Message, Occasion};
use crate::sessions::{Authenticated, CurrentUser};
use crate::web::body::Form;
use crate::web::escape::without_bidi_controls;
use crate::web::{Client, Error, Layout, Notice, see_other};

/// Orders that one customer may place here in a day: enough for anyone, too few to flood a shop with.
const A_DAY: i64 = 50;
const DAY: i64 = 86_400;
/// What a mail shows of an order at most: lines, and characters of each.
const LINES_TOLD: usize = 30;
const LETTERS_TOLD: usize = 120;

/// What the buttons send.
#[derive(Deserialize)]
pub(super) struct ActionForm {
    key: String,
}

/// How it went.
enum Outcome {
    /// Done now or when the form came first; the order to show.
    Done(OrderNumber),
    /// The order cannot be called off any more.
    TooLate,
    /// The key came with something else before.
    KeyIsTaken,
    /// So many in one day; one more after so many seconds.
    TooMany { wait: i64 },
}

/// Who does what to which order.
struct Action<'a> {
    database: &'a Database,
    clock: &'a Clock,
    user: &'a CurrentUser,
    found: &'a OrderDetail,
    key: IdempotencyKey,
    /// Where mail goes, if that address was shown to be theirs.
    email: Option<Email>,
    occasion: Occasion,
}

/// What the customer wants done.
#[derive(Clone, Copy)]
pub(super) enum Deed {
    /// The order called off.
    Cancel,
    /// The same ordered again.
    OrderAgain,
}

pub(super) async fn submit(
    deed: Deed,
    client: Client,
    number: web::Path<String>,
    (database, clock): (web::Data<Database>, web::Data<Clock>),
    Authenticated { user, layout, body: Form(form) }: Authenticated<Form<ActionForm>>,
) -> Result<HttpResponse, Error> {
    let found = detail::find(&database, &user, &number).await?;
    let action = action(&database, &clock, &user, &found, &form, &layout, &client)?;
    let (outcome, notice) = match deed {
        Deed::Cancel => (action.cancel().await?, Notice::CancellationAsked),
        Deed::OrderAgain => (action.order_again().await?, Notice::OrderedAgain),
    };
    answer(outcome, notice, layout, &user, &database, &found).await
}

fn action<'a>(
    database: &'a Database,
    clock: &'a Clock,
    user: &'a CurrentUser,
    found: &'a OrderDetail,
    form: &ActionForm,
    layout: &Layout,
    client: &Client,
) -> Result<Action<'a>, Error> {
    let no_key = || Error::BadRequest("the form's key is missing or was altered; load the order again".to_owned());
    let key = IdempotencyKey::parse(&form.key).ok_or_else(no_key)?;
    let email = layout.viewer.as_ref().filter(|viewer| viewer.verified);
    let email = email.and_then(|viewer| Email::parse(&viewer.email).ok());
    Ok(Action { database, clock, user, found, key, email, occasion: Occasion::new(clock.now(), client) })
}

async fn answer(
    outcome: Outcome,
    notice: Notice,
    layout: Layout,
    user: &CurrentUser,
    database: &Database,
    found: &OrderDetail,
) -> Result<HttpResponse, Error> {
    match outcome {
        Outcome::Done(number) => {
            let mut response = see_other(&url(&number));
            notice.show_next(&mut response);
            Ok(response)
        }
        Outcome::TooLate => {
            // It may have been sent since the page was loaded.
            let found = detail::find(database, user, found.order.number.as_str()).await?;
            let refusal = Some(too_late(found.order.status).to_owned());
            detail::render(StatusCode::UNPROCESSABLE_ENTITY, layout, user, database, &found, refusal).await
        }
        Outcome::KeyIsTaken => Err(Error::BadRequest(
            "the form was sent before with something else in it; load the order again".to_owned(),
        )),
        Outcome::TooMany { wait } => Err(Error::Throttled { retry_after: wait }),
    }
}

fn too_late(status: Status) -> &'static str {
    match status {
        Status::Cancelled => "The order is cancelled already.",
        Status::Refunded => "The order is refunded already.",
        Status::Delivered => {
            "The order has arrived, so it cannot be cancelled. The shop tells you how to send it back."
        }
        _ => "The order is on its way, so it cannot be cancelled any more. The shop tells you how to send it back.",
    }
}

impl Action<'_> {
    async fn cancel(&self) -> Result<Outcome, database::Error> {
        let order = &self.found.order;
        let request = format!("cancel {}", order.id);
        self.database
            .write(async |transaction| {
                if let Some(outcome) = self.answered_before(transaction, &request).await? {
                    return Ok(outcome);
                }
                let now = self.clock.now();
                let is_new = store::ask_to_cancel(transaction, &self.user.user_id, &order.id, now).await?;
                // Asked for from another page before is as good.
                let was_asked = order.cancellation_asked_at.is_some() && order.status.can_be_cancelled();
                if !is_new && !was_asked {
                    return Ok(Outcome::TooLate);
                }
                // What is asked for already stays so however often it is asked for: there is no answer to remember.
                if was_asked {
                    return Ok(Outcome::Done(order.number.clone()));
                }
                let number = format!("#{}", order.number.as_str());
                self.tell(transaction, AboutOrder::CancellationAsked { occasion: self.occasion.clone(), number })
                    .await?;
                self.done(transaction, &request, order.number.clone()).await
            })
            .await
    }

    async fn order_again(&self) -> Result<Outcome, database::Error> {
        let order = &self.found.order;
        let request = format!("again {}", order.id);
        let new_id = self.clock.new_id();
        let number = store::free_number(self.database).await?;
        self.database
            .write(async |transaction| {
                if let Some(outcome) = self.answered_before(transaction, &request).await? {
                    return Ok(outcome);
                }
                let now = self.clock.now();
                let user_id = &self.user.user_id;
                let in_the_way = store::earliest_of_latest(transaction, user_id, A_DAY, now.plus(-DAY)).await?;
                if let Some(placed_at) = in_the_way {
                    return Ok(Outcome::TooMany { wait: placed_at.plus(DAY).since(now).clamp(1, DAY) });
                }
                if !store::copy(transaction, user_id, &order.id, (&new_id, &number), now).await? {
                    return Err(database::Error::RowNotFound);
                }
                self.tell(transaction, self.confirmation(&number)).await?;
                self.done(transaction, &request, number.clone()).await
            })
            .await
    }

    async fn answered_before(
        &self,
        transaction: &mut Transaction,
        request: &str,
    ) -> Result<Option<Outcome>, database::Error> {
        let before = store::answered_before(transaction, &self.user.user_id, self.key.as_str()).await?;
        let outcome = |(asked, answer): (String, String)| match OrderNumber::parse(&answer) {
            Some(number) if asked == request => Outcome::Done(number),
            _ => Outcome::KeyIsTaken,
        };
        Ok(before.map(outcome))
    }

    async fn done(
        &self,
        transaction: &mut Transaction,
        request: &str,
        number: OrderNumber,
    ) -> Result<Outcome, database::Error> {
        let now = self.clock.now();
        store::remember_answer(transaction, &self.user.user_id, self.key.as_str(), request, &number, now).await?;
        Ok(Outcome::Done(number))
    }

    async fn tell(&self, transaction: &mut Transaction, message: AboutOrder) -> Result<(), database::Error> {
        match &self.email {
            Some(email) => {
                let message = Message::AboutOrder(message);
                mail::post(transaction, self.clock, email, Some(&self.user.user_id), &message).await.map(drop)
            }
            None => Ok(()),
        }
    }

    fn confirmation(&self, number: &OrderNumber) -> AboutOrder {
        let order = &self.found.order;
        let lines = self.found.lines.iter();
        let mut lines_told: Vec<String> =
            lines.take(LINES_TOLD).map(|line| format!("{} × {}", line.quantity, told(&line.name))).collect();
        if self.found.lines.len() > LINES_TOLD {
            lines_told.push(format!("and {} more", self.found.lines.len() - LINES_TOLD));
        }
        AboutOrder::PlacedAgain {
            occasion: self.occasion.clone(),
            number: format!("#{}", number.as_str()),
            copy_of: format!("#{}", order.number.as_str()),
            lines: lines_told,
            total: order.total.to_string(),
        }
    }
}

/// A name as one line of a letter, and not a long one: line ends within it would begin lines that nobody here wrote.
fn told(name: &str) -> String {
    let name = without_bidi_controls(name);
    let mut letters = name.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let mut told: String = letters.by_ref().take(LETTERS_TOLD).collect();
    if letters.next().is_some() {
        told.push('…');
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_of_a_letter() {
        assert_eq!(told("Tea\r\nBcc: everyone\u{1b}[31m\u{202e}"), "Tea  Bcc: everyone [31m");
        assert_eq!(told(&"漢".repeat(120)), "漢".repeat(120));
        assert_eq!(told(&"漢".repeat(121)), format!("{}…", "漢".repeat(120)));
    }
}

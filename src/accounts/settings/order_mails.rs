//! `/account/order-mails`: whether the customer gets mail when an import changes the state of an order. The shop decides by `ORDER_MAILS`
//! whether it sends any.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use crate::accounts::{AccountNotice, Accounts, store};
use crate::sessions::Authenticated;
use crate::web::body::Form;
use crate::web::{Error, Notice, see_other};

#[derive(Deserialize)]
pub struct OrderMailsForm {
    order_mails: Switch,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Switch {
    On,
    Off,
}

pub async fn submit(
    accounts: web::Data<Accounts>,
    Authenticated { user, body: Form(form), .. }: Authenticated<Form<OrderMailsForm>>,
) -> Result<HttpResponse, Error> {
    let (off_at, notice) = match form.order_mails {
        Switch::On => (None, AccountNotice::OrderMailsOn),
        Switch::Off => (Some(accounts.clock.now()), AccountNotice::OrderMailsOff),
    };
    store::set_order_mails_off(&accounts.database, &user.user_id, off_at).await?;
    let mut response = see_other("/account#order-mails");
    notice.show_next(&mut response);
    Ok(response)
}

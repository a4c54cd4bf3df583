//! In which time zone the customer reads times: chosen here, or else told by the browser at login.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::{Accounts, store};
use crate::sessions::{Authenticated, CurrentUser};
use crate::web::body::Form;
use crate::web::{Error, Layout, Notice, Zone, page, see_other};

#[derive(Template)]
#[template(path = "accounts/time_zone.html")]
struct TimeZonePage {
    layout: Layout,
    zones: Vec<String>,
    chosen: String,
    error: Option<&'static str>,
}

pub(super) async fn form(layout: Layout, _: CurrentUser) -> Result<HttpResponse, Error> {
    show(StatusCode::OK, layout, None)
}

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct ZoneForm {
    zone: String,
}

pub(super) async fn submit(
    accounts: web::Data<Accounts>,
    Authenticated { user, layout, body: Form(form) }: Authenticated<Form<ZoneForm>>,
) -> Result<HttpResponse, Error> {
    let Some(zone) = Zone::parse(&form.zone) else {
        return show(StatusCode::UNPROCESSABLE_ENTITY, layout, Some("Choose one of the places in the list."));
    };
    store::choose_zone(&accounts.database, &user.user_id, &zone, accounts.clock.now()).await?;
    let mut response = see_other("/account#time-zone");
    Notice::ZoneChanged.show_next(&mut response);
    Ok(response)
}

fn show(status: StatusCode, layout: Layout, error: Option<&'static str>) -> Result<HttpResponse, Error> {
    let chosen = layout.zone().name().to_owned();
    page(status, &TimeZonePage { layout, zones: Zone::all(), chosen, error })
}

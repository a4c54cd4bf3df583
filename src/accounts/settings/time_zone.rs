//! `/account/time-zone`: the time zone in which the customer reads times. Without a choice it is the zone that the browser reports at login.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use crate::accounts::{AccountNotice, Accounts, store};
use crate::domain::Zone;
use crate::orders;
use crate::sessions::{Authenticated, CurrentUser};
use crate::web::body::Form;
use crate::web::{Error, Layout, Notice, page, see_other};

#[derive(Template)]
#[template(path = "accounts/time_zone.html")]
struct TimeZonePage {
    layout: Layout,
    zones: Vec<ZoneOption>,
    chosen: String,
    error: Option<&'static str>,
}

struct ZoneOption {
    name: String,
    /// `Europe/Berlin (UTC+02:00)`, with the offset of today.
    label: String,
}

pub async fn form(layout: Layout, accounts: web::Data<Accounts>, _: CurrentUser) -> Result<HttpResponse, Error> {
    render(StatusCode::OK, layout, &accounts, None)
}

#[derive(Deserialize)]
pub struct ZoneForm {
    zone: String,
}

pub async fn submit(
    accounts: web::Data<Accounts>,
    Authenticated { user, layout, body: Form(form) }: Authenticated<Form<ZoneForm>>,
) -> Result<HttpResponse, Error> {
    let Some(zone) = Zone::parse(&form.zone) else {
        return render(StatusCode::UNPROCESSABLE_ENTITY, layout, &accounts, Some("Choose a time zone from the list."));
    };
    let (user_id, now) = (&user.user_id, accounts.clock.now());
    let stored = accounts.database.write(async |transaction| {
        store::set_chosen_zone(transaction, user_id, &zone, now).await?;
        orders::zone_changed(transaction, user_id).await
    });
    stored.await?;
    let mut response = see_other("/account#time-zone");
    AccountNotice::TimeZoneChanged.show_next(&mut response);
    Ok(response)
}

fn render(
    status: StatusCode,
    layout: Layout,
    accounts: &Accounts,
    error: Option<&'static str>,
) -> Result<HttpResponse, Error> {
    let (chosen, now) = (layout.zone().name().to_owned(), accounts.clock.now());
    let zones = Zone::all();
    let zones = zones.iter().filter_map(|name| Zone::parse(name));
    let zones = zones.map(|zone| ZoneOption { label: zone.label(now), name: zone.name().to_owned() }).collect();
    page(status, &TimeZonePage { layout, zones, chosen, error })
}

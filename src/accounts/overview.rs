//! The account page: everything that a customer can see and change of their own account.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::Accounts;
use super::activity::{self, Happened};
use crate::clock::UnixSeconds;
use crate::sessions::{ActiveSession, Audience, CurrentUser};
use crate::web::words::{day, moment};
use crate::web::{Error, Layout, Zone, page, user_agent};

/// Events on the account page; all of them have a page of their own.
const LATEST: i64 = 6;
/// Events on that page.
const MOST: i64 = 300;

/// What was wrong with a form that the page shows again.
#[derive(Default)]
pub(super) struct Problems {
    /// The new address as it was typed.
    pub email: String,
    pub email_error: Option<String>,
    pub email_password_error: Option<String>,
    pub current_password_error: Option<String>,
    pub new_password_error: Option<String>,
    pub export_password_error: Option<String>,
}

impl Problems {
    /// Each message with the id of its field, in the order of the page.
    fn summary(&self) -> Vec<(&'static str, &str)> {
        [
            ("current-password", &self.current_password_error),
            ("new-password", &self.new_password_error),
            ("new-email", &self.email_error),
            ("email-password", &self.email_password_error),
            ("export-password", &self.export_password_error),
        ]
        .into_iter()
        .filter_map(|(field, error)| Some((field, error.as_deref()?)))
        .collect()
    }
}

#[derive(Template)]
#[template(path = "accounts/overview.html")]
struct OverviewPage {
    layout: Layout,
    email: String,
    is_verified: bool,
    since: String,
    sessions: Vec<SessionView>,
    activity: Vec<EventView>,
    zone: String,
    problems: Problems,
}

struct SessionView {
    id: String,
    device: String,
    address: String,
    is_current: bool,
    is_api: bool,
    begun: TimeView,
    last_seen: TimeView,
}

struct EventView {
    what: String,
    /// Device and address, or the shop.
    source: String,
    at: TimeView,
}

struct TimeView {
    machine: String,
    words: String,
}

fn time_view(at: UnixSeconds, zone: &Zone) -> TimeView {
    TimeView { machine: at.to_string(), words: moment(at, zone) }
}

pub(super) async fn show(
    layout: Layout,
    user: CurrentUser,
    accounts: web::Data<Accounts>,
) -> Result<HttpResponse, Error> {
    render(StatusCode::OK, layout, &user, &accounts, Problems::default()).await
}

/// The page with what was wrong with one of its forms.
pub(super) async fn show_again(
    layout: Layout,
    user: &CurrentUser,
    accounts: &Accounts,
    problems: Problems,
) -> Result<HttpResponse, Error> {
    render(StatusCode::UNPROCESSABLE_ENTITY, layout, user, accounts, problems).await
}

async fn render(
    status: StatusCode,
    layout: Layout,
    user: &CurrentUser,
    accounts: &Accounts,
    problems: Problems,
) -> Result<HttpResponse, Error> {
    let account = accounts.of(user).await?;
    let sessions = accounts.sessions.list(&user.user_id).await?;
    let activity = activity::list(&accounts.database, &user.user_id, accounts.clock.now(), LATEST).await?;
    let zone = layout.zone();
    let shown = OverviewPage {
        layout,
        email: account.email.as_str().to_owned(),
        is_verified: account.verified_at.is_some(),
        since: day(account.created_at, &zone),
        sessions: sessions.into_iter().map(|session| session_view(session, &user.session_id, &zone)).collect(),
        activity: activity.iter().map(|happened| event_view(happened, &zone)).collect(),
        zone: zone.name().to_owned(),
        problems,
    };
    page(status, &shown)
}

fn session_view(session: ActiveSession, current: &str, zone: &Zone) -> SessionView {
    SessionView {
        is_current: session.id == current,
        is_api: session.audience == Audience::Api,
        id: session.id,
        device: user_agent::in_words(&session.user_agent),
        address: session.client_address,
        begun: time_view(session.created_at, zone),
        last_seen: time_view(session.last_seen_at, zone),
    }
}

fn event_view(happened: &Happened, zone: &Zone) -> EventView {
    let source = if happened.is_by_operator() {
        "The shop".to_owned()
    } else {
        format!("{} · {}", user_agent::in_words(&happened.user_agent), happened.client_address)
    };
    EventView { what: activity::in_words(&happened.event).to_owned(), source, at: time_view(happened.at, zone) }
}

#[derive(Template)]
#[template(path = "accounts/activity.html")]
struct ActivityPage {
    layout: Layout,
    activity: Vec<EventView>,
}

pub(super) async fn all_activity(
    layout: Layout,
    user: CurrentUser,
    accounts: web::Data<Accounts>,
) -> Result<HttpResponse, Error> {
    let activity = activity::list(&accounts.database, &user.user_id, accounts.clock.now(), MOST).await?;
    let zone = layout.zone();
    let activity = activity.iter().map(|happened| event_view(happened, &zone)).collect();
    page(StatusCode::OK, &ActivityPage { layout, activity })
}

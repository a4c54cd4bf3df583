//! `/account` and `/account/activity`.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::store::find_factors_and_events;
use crate::accounts::audit::{self, AuditEvent};
use crate::accounts::{Accounts, ReauthErrors, session_ended};
use crate::domain::{SessionId, UnixSeconds, Zone, format_date, format_date_time};
use crate::sessions::{ActiveSession, Audience, CurrentUser};
use crate::web::{Error, Layout, page, user_agent};

/// Events on the account page.
const RECENT_EVENTS: i64 = 6;
/// Events on the activity page.
const MAX_EVENTS: i64 = 300;

/// The errors of the page's forms.
#[derive(Default)]
pub struct FormErrors {
    /// The new address as it was typed.
    pub email: String,
    pub email_error: Option<String>,
    pub of_email: ReauthErrors,
    pub of_password: ReauthErrors,
    pub new_password_error: Option<String>,
    pub of_export: ReauthErrors,
}

impl FormErrors {
    /// Each message with the id of its field, in the order of the page.
    fn summary(&self) -> Vec<(&'static str, &str)> {
        [
            ("new-email", self.email_error.as_deref()),
            ("email-password", self.of_email.password),
            ("email-code", self.of_email.code),
            ("current-password", self.of_password.password),
            ("new-password", self.new_password_error.as_deref()),
            ("password-code", self.of_password.code),
            ("export-password", self.of_export.password),
            ("export-code", self.of_export.code),
        ]
        .into_iter()
        .filter_map(|(field, error)| Some((field, error?)))
        .collect()
    }
}

#[derive(Template)]
#[template(path = "accounts/account.html")]
struct AccountPage {
    layout: Layout,
    email: String,
    is_verified: bool,
    since: String,
    sessions: Vec<SessionView>,
    events: Vec<EventView>,
    /// Of the events, as in "the last 90 days".
    period: String,
    zone: String,
    /// Whether a login showed that the password is in the list of breached ones.
    is_breached: bool,
    has_totp: bool,
    recovery_codes_left: i64,
    passkeys: i64,
    offers_passkey: bool,
    /// Whether the customer gets order mail; `None` if the shop sends none.
    order_mails: Option<bool>,
    errors: FormErrors,
}

struct SessionView {
    id: String,
    device: String,
    address: String,
    is_current: bool,
    is_api: bool,
    created: TimeView,
    last_seen: TimeView,
}

struct EventView {
    label: String,
    /// Device and address, or the shop.
    source: String,
    at: TimeView,
}

struct TimeView {
    rfc3339: String,
    text: String,
}

fn time_view(at: UnixSeconds, zone: &Zone) -> TimeView {
    TimeView { rfc3339: at.to_string(), text: format_date_time(at, zone) }
}

pub async fn show(layout: Layout, user: CurrentUser, accounts: web::Data<Accounts>) -> Result<HttpResponse, Error> {
    render(StatusCode::OK, layout, &user, &accounts, FormErrors::default()).await
}

/// The page with the errors of one of its forms.
pub(super) async fn show_errors(
    layout: Layout,
    user: &CurrentUser,
    accounts: &Accounts,
    errors: FormErrors,
) -> Result<HttpResponse, Error> {
    render(StatusCode::UNPROCESSABLE_ENTITY, layout, user, accounts, errors).await
}

async fn render(
    status: StatusCode,
    layout: Layout,
    user: &CurrentUser,
    accounts: &Accounts,
    errors: FormErrors,
) -> Result<HttpResponse, Error> {
    let sessions = accounts.sessions.list(&user.user_id).await?;
    // The session of the request is one of them, unless it was revoked meanwhile.
    let any = sessions.first().ok_or_else(session_ended)?;
    let (account_created_at, is_off) = (any.account_created_at, any.order_mails_off_at.is_some());
    let is_breached = any.password_breached_at.is_some();
    let order_mails = layout.shop.order_mails.then_some(!is_off);
    let viewer = layout.viewer.clone().ok_or_else(session_ended)?;
    let (factors, events) =
        find_factors_and_events(&accounts.database, &user.user_id, accounts.events_since(), RECENT_EVENTS).await?;
    let zone = layout.zone();
    let offers_passkey = factors.passkeys > 0 && layout.passkeys.is_supported();
    let view = AccountPage {
        layout,
        email: viewer.email,
        is_verified: viewer.is_verified,
        since: format_date(account_created_at, &zone),
        sessions: sessions.into_iter().map(|session| session_view(session, &user.session_id, &zone)).collect(),
        events: events.iter().map(|event| event_view(event, &zone)).collect(),
        period: accounts.policy.audit_retention.in_words(),
        zone: zone.name().to_owned(),
        offers_passkey,
        passkeys: factors.passkeys,
        is_breached,
        has_totp: factors.totp_since.is_some(),
        recovery_codes_left: factors.recovery_codes_left,
        order_mails,
        errors,
    };
    page(status, &view)
}

fn session_view(session: ActiveSession, current: &SessionId, zone: &Zone) -> SessionView {
    SessionView {
        is_current: session.id == *current,
        is_api: session.audience == Audience::Api,
        id: session.id.into_string(),
        device: user_agent::describe(&session.user_agent),
        address: session.client_address,
        created: time_view(session.created_at, zone),
        last_seen: time_view(session.last_seen_at, zone),
    }
}

fn event_view(event: &AuditEvent, zone: &Zone) -> EventView {
    let source = if event.is_by_operator() {
        "The shop".to_owned()
    } else {
        format!("{} · {}", user_agent::describe(&event.user_agent), event.client_address)
    };
    EventView { label: audit::label(&event.event).to_owned(), source, at: time_view(event.at, zone) }
}

#[derive(Template)]
#[template(path = "accounts/activity.html")]
struct ActivityPage {
    layout: Layout,
    events: Vec<EventView>,
    /// As in "the last 90 days".
    period: String,
}

pub async fn all_activity(
    layout: Layout,
    user: CurrentUser,
    accounts: web::Data<Accounts>,
) -> Result<HttpResponse, Error> {
    let events = audit::list(&accounts.database, &user.user_id, accounts.events_since(), MAX_EVENTS).await?;
    let zone = layout.zone();
    let events = events.iter().map(|event| event_view(event, &zone)).collect();
    let period = accounts.policy.audit_retention.in_words();
    page(StatusCode::OK, &ActivityPage { layout, events, period })
}

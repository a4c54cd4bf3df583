//! Time zones, reported by the browser or chosen: times, days, months and years in the zone.

use std::time::{Duration, Instant};

use crate::app::{ANN, BOB, PASSWORD, TestApp};
use crate::csv_export::rows;
use crate::http::Visitor;
use crate::orders::{list, numbers};
use crate::sandbox::Sandbox;
use crate::shop::{Row, order};

fn placed(number: &str, at: &str) -> Row {
    order(number, ANN).with("Created at", at)
}

/// A verified, logged-in customer whose browser reports that zone.
async fn app_in(zone: &str, rows: &[Row]) -> (TestApp, Visitor) {
    let app = TestApp::start().await;
    let mut ann = app.visitor();
    let response = ann.post("/signup", &[("email", ANN), ("password", PASSWORD), ("zone", zone)]).await;
    assert_eq!(response.redirect(), (303, "/orders"), "{}", response.text());
    app.run_ok(&["user", "verify", ANN]);
    app.import(rows);
    (app, ann)
}

/// Logs in from a browser in that zone.
async fn log_in(app: &TestApp, zone: &str) -> Visitor {
    let mut ann = app.visitor();
    let response = ann.post("/login", &[("email", ANN), ("password", PASSWORD), ("zone", zone)]).await;
    assert_eq!(response.redirect(), (303, "/orders"), "{}", response.text());
    ann
}

/// The zone in the page's footer.
async fn zone_name(visitor: &mut Visitor) -> String {
    let page = list(visitor, "/orders").await;
    let (_, rest) = page.split_once("Time zone: <a href=\"/account#time-zone\">").unwrap();
    rest.split('<').next().unwrap().to_owned()
}

/// The order numbers of a date range.
async fn in_range(visitor: &mut Visitor, from: &str, to: &str) -> Vec<String> {
    numbers(&list(visitor, &format!("/orders?from={from}&to={to}&sort=oldest")).await)
}

#[tokio::test]
async fn sign_up_and_login_store_the_browsers_time_zone() {
    let (app, mut ann) = app_in("America/New_York", &[]).await;
    assert_eq!(zone_name(&mut ann).await, "New York");
    let mut other = log_in(&app, "Asia/Tokyo").await;
    assert_eq!(zone_name(&mut other).await, "Tokyo");
    assert_eq!(zone_name(&mut ann).await, "Tokyo", "the zone is the account's, not the session's");
    for page in ["/signup", "/login"] {
        let form = app.get(page).await.text();
        assert!(form.contains("<input type=\"hidden\" name=\"zone\""), "{page} has no zone field:\n{form}");
    }
}

#[tokio::test]
async fn invalid_time_zone_is_ignored() {
    let (app, mut ann) = app_in("Europe/Berlin", &[]).await;
    let long = "Europe/".repeat(1_000);
    for zone in ["", "Berlin", "Europe/Atlantis", "../../etc/passwd", "Europe/Berlin\0", "<b>", "GMT+1", "utc", &long] {
        log_in(&app, zone).await;
        assert_eq!(zone_name(&mut ann).await, "Berlin", "{zone:?} was stored");
    }
    let without = app.log_in(ANN, PASSWORD).await;
    assert_eq!(without.status, 303);
    assert_eq!(zone_name(&mut ann).await, "Berlin");
    let mut bob = app.customer(BOB).await;
    assert_eq!(zone_name(&mut bob).await, "UTC");
}

#[tokio::test]
async fn chosen_time_zone_is_not_replaced_by_the_browsers() {
    let (app, mut ann) = app_in("Europe/Berlin", &[]).await;
    let form = list(&mut ann, "/account/time-zone").await;
    let summer = form.contains("<option value=\"Europe/Berlin\" selected>Europe/Berlin (UTC+02:00)");
    assert!(summer || form.contains("<option value=\"Europe/Berlin\" selected>Europe/Berlin (UTC+01:00)"), "{form}");
    assert!(form.contains(">Asia/Tokyo (UTC+09:00)"), "{form}");
    for zone in ["", "Berlin", "Europe/Atlantis", "<b>"] {
        let refused = ann.post("/account/time-zone", &[("zone", zone)]).await;
        assert!(refused.is_page(422) && refused.text().contains("Choose a time zone"), "{zone:?}");
        assert!(!refused.text().contains("<b>"));
    }
    let chosen = ann.post("/account/time-zone", &[("zone", "Pacific/Auckland")]).await;
    assert_eq!(chosen.redirect(), (303, "/account#time-zone"));
    assert!(list(&mut ann, "/account").await.contains("Your time zone was changed."));
    assert_eq!(zone_name(&mut ann).await, "Auckland");
    let mut again = log_in(&app, "Asia/Tokyo").await;
    assert_eq!(zone_name(&mut again).await, "Auckland");
    assert!(
        list(&mut again, "/account/time-zone")
            .await
            .contains("<option value=\"Pacific/Auckland\" selected>Pacific/Auckland")
    );
}

#[tokio::test]
async fn times_are_shown_in_the_zone_with_utc_in_markup() {
    let sent = placed("#1", "2024-12-31 23:30:00 +0000")
        .with("Paid at", "2024-12-31 22:59:00 +0000")
        .with("Fulfilled at", "2025-07-01 22:15:00 +0000");
    let (app, mut ann) = app_in("Europe/Berlin", &[sent]).await;
    let shown = list(&mut ann, "/orders").await;
    assert!(shown.contains("<time datetime=\"2024-12-31T23:30:00Z\">1 January 2025</time>"), "{shown}");
    let detail = list(&mut ann, "/orders/1").await;
    for time in [
        "<time datetime=\"2024-12-31T23:30:00Z\">1 January 2025</time>",
        "<time datetime=\"2024-12-31T23:30:00Z\">1 January 2025, 00:30</time>",
        "<time datetime=\"2024-12-31T22:59:00Z\">31 December 2024, 23:59</time>",
        "<time datetime=\"2025-07-01T22:15:00Z\">2 July 2025, 00:15</time>",
    ] {
        assert!(detail.contains(time), "{time} is not on the page:\n{detail}");
    }
    let export = ann.get("/orders.csv").await;
    assert!(export.text().contains("Placed (Europe/Berlin)"), "{}", export.text());
    assert_eq!(rows(&export)[0][1], "2025-01-01 00:30");
    let json = app.api_get("/api/userOrders/1", &app.api_token(ANN).await).await.json();
    assert_eq!(json["placed_at"], "2024-12-31T23:30:00Z", "the API must return UTC");
}

#[tokio::test]
async fn account_page_shows_times_in_the_zone() {
    let (app, mut ann) = app_in("Pacific/Kiritimati", &[]).await;
    // Noon in UTC is the next day there, 14 hours ahead.
    for table in ["sessions SET last_seen_at", "sessions SET created_at", "audit_events SET at"] {
        app.execute(&format!("UPDATE {table} = 1709208000")).await;
    }
    let page = list(&mut ann, "/account").await;
    assert!(page.contains("<time datetime=\"2024-02-29T12:00:00Z\">1 March 2024, 02:00</time>"), "{page}");
    assert!(page.contains("Pacific/Kiritimati"), "{page}");
}

#[tokio::test]
async fn filters_use_days_months_and_years_of_the_zone() {
    let rows = [
        placed("#1", "2024-12-31 22:59:59 +0000"),
        placed("#2", "2024-12-31 23:30:00 +0000"),
        placed("#3", "2025-01-01 22:59:59 +0000"),
        placed("#4", "2025-01-01 23:00:00 +0000"),
        placed("#5", "2025-01-31 23:00:00 +0000"),
    ];
    let (app, mut ann) = app_in("Europe/Berlin", &rows).await;
    assert_eq!(in_range(&mut ann, "2024-12-31", "2024-12-31").await, ["1"]);
    assert_eq!(in_range(&mut ann, "2025-01-01", "2025-01-01").await, ["2", "3"]);
    assert_eq!(in_range(&mut ann, "2025-01-01", "2025-12-31").await, ["2", "3", "4", "5"]);
    let month = |page: &str, name: &str| {
        let (_, row) = page.split_once(&format!("<th scope=\"row\">{name}<td>"))?;
        Some(row.split('<').next().unwrap().to_owned())
    };
    let page = list(&mut ann, "/orders").await;
    let counted = |page: &str| ["December 2024", "January 2025", "February 2025"].map(|name| month(page, name));
    let some = |count: &str| Some(count.to_owned());
    assert_eq!(counted(&page), [some("1"), some("3"), some("1")]);

    ann.post("/account/time-zone", &[("zone", "UTC")]).await;
    assert_eq!(in_range(&mut ann, "2024-12-31", "2024-12-31").await, ["1", "2"]);
    assert_eq!(in_range(&mut ann, "2025-01-01", "2025-01-01").await, ["3", "4"]);
    assert_eq!(counted(&list(&mut ann, "/orders").await), [some("2"), some("3"), None]);
    // The API has no zone.
    let token = app.api_token(ANN).await;
    ann.post("/account/time-zone", &[("zone", "Europe/Berlin")]).await;
    let json = app.api_get("/api/userOrders?from=2025-01-01&to=2025-01-01", &token).await.json();
    assert_eq!(json["orders"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn this_year_and_last_year_start_in_the_zone() {
    // The year starts in Kiritimati 14 hours before UTC, and in Honolulu 10 hours after UTC.
    let now = time::OffsetDateTime::now_utc();
    let this_year = |hours: i64| (now + time::Duration::hours(hours)).year();
    let year = this_year(14);
    let rows = [
        placed("#1", &format!("{}-12-31 09:59:59 +0000", year - 1)),
        placed("#2", &format!("{}-12-31 10:00:00 +0000", year - 1)),
    ];
    let (_app, mut ann) = app_in("Pacific/Kiritimati", &rows).await;
    assert_eq!(numbers(&list(&mut ann, "/orders?period=this-year").await), ["2"]);
    assert_eq!(numbers(&list(&mut ann, "/orders?period=last-year").await), ["1"]);
    ann.post("/account/time-zone", &[("zone", "Pacific/Honolulu")]).await;
    let period = if this_year(-10) == year { "last-year" } else { "this-year" };
    assert_eq!(numbers(&list(&mut ann, &format!("/orders?period={period}")).await), ["2", "1"]);
}

#[tokio::test]
async fn day_of_a_clock_change_is_complete() {
    // Berlin: 31 March 2024 has 23 hours, 27 October 25.
    let rows = [
        placed("#1", "2024-03-30 22:59:59 +0000"),
        placed("#2", "2024-03-30 23:00:00 +0000"),
        placed("#3", "2024-03-31 21:59:59 +0000"),
        placed("#4", "2024-03-31 22:00:00 +0000"),
        placed("#5", "2024-10-26 22:00:00 +0000"),
        placed("#6", "2024-10-27 22:59:59 +0000"),
        placed("#7", "2024-10-27 23:00:00 +0000"),
    ];
    let (_app, mut ann) = app_in("Europe/Berlin", &rows).await;
    assert_eq!(in_range(&mut ann, "2024-03-31", "2024-03-31").await, ["2", "3"]);
    assert_eq!(in_range(&mut ann, "2024-10-27", "2024-10-27").await, ["5", "6"]);
}

/// The zone of each account's totals, and their months.
async fn totals(app: &TestApp) -> Vec<(String, String, i64)> {
    sqlx::query_as(
        "SELECT u.email, v.totals_zone, t.month FROM users u JOIN order_versions v ON v.user_id = u.id
         JOIN order_totals t ON t.user_id = u.id WHERE t.order_count <> 0 ORDER BY u.email, t.month",
    )
    .fetch_all(&app.database().await)
    .await
    .unwrap()
}

#[tokio::test]
async fn stored_totals_follow_the_zone_of_the_shop() {
    let mut sandbox = Sandbox::new().await;
    sandbox.set("SHOP_TIME_ZONE", "Europe/Berlin");
    let mut app = TestApp::start_in(sandbox).await;
    let mut ann = app.verified_customer(ANN).await;
    let mut bob = app.visitor();
    bob.post("/signup", &[("email", BOB), ("password", PASSWORD), ("zone", "America/New_York")]).await;
    app.run_ok(&["user", "verify", BOB]);
    // March in Berlin, April in Tokyo, and the year's end of 2023 in New York.
    let placed_by = |number: &str, email: &str, at: &str| order(number, email).with("Created at", at);
    app.import(&[placed_by("#1", ANN, "2024-03-31 16:00:00 +0000"), placed_by("#2", BOB, "2024-01-01 04:00:00 +0000")]);
    let row =
        |email: &str, zone: &str, year: i64, month: i64| (email.to_owned(), zone.to_owned(), year * 12 + month - 1);
    let of_bob = row(BOB, "America/New_York", 2023, 12);
    assert_eq!(totals(&app).await, [row(ANN, "Europe/Berlin", 2024, 3), of_bob.clone()]);
    assert!(list(&mut ann, "/orders").await.contains("1 order, €29.90"));

    app.stop_with("TERM");
    app.set("SHOP_TIME_ZONE", "Asia/Tokyo");
    app.restart().await;
    assert!(list(&mut ann, "/orders").await.contains("1 order, €29.90"));
    let expected = [row(ANN, "Asia/Tokyo", 2024, 4), of_bob];
    let began = Instant::now();
    while totals(&app).await != expected {
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", totals(&app).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(list(&mut ann, "/orders?period=range&from=2024-04-01&to=2024-04-30").await.contains("1 order, €29.90"));
}

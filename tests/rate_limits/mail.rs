//! Limits of the mail that a visitor can cause.

use futures_util::future::join_all;

use super::{app, forgot, retry_after, set_attempts};
use crate::app::{ANN, BOB, PASSWORD};
use crate::mailbox::{self, RESET};

#[tokio::test]
async fn reset_request_is_not_limited_by_account() {
    let app = app().await;
    app.customer(ANN).await;
    for email in [ANN, "nobody@example.com"] {
        for number in 0..60 {
            let response = forgot(&app, &format!("203.0.113.{}", number % 3), email).await;
            assert_eq!(response.redirect(), (303, "/password/forgot?sent=1"), "request {number}");
        }
    }
    let events = "audit_events WHERE event = 'password-reset-asked' AND user_id IS NOT NULL";
    assert_eq!(app.count(events).await, 1, "more than one audit event");
}

#[tokio::test]
async fn one_reset_mail_is_sent_in_twelve_minutes() {
    let app = app().await;
    app.customer(ANN).await;
    let sent = async || {
        mailbox::wait_for_empty_queue(&app).await;
        mailbox::mails_to(&app, ANN, RESET).len()
    };
    for (number, address) in ["203.0.113.1", "203.0.113.1", "203.0.113.2"].into_iter().enumerate() {
        assert_eq!(forgot(&app, address, ANN).await.status, 303);
        assert_eq!(sent().await, 1, "request {number}");
    }
    let database = app.database().await;
    let interval = "SELECT blocked_until - last_at FROM rate_limits WHERE key LIKE 'reset-mail:%'";
    assert_eq!(sqlx::query_scalar::<_, i64>(interval).fetch_one(&database).await.unwrap(), 720);
    app.execute("UPDATE rate_limits SET blocked_until = blocked_until - 720, resets_at = resets_at - 720").await;
    for _ in 0..2 {
        assert_eq!(forgot(&app, "203.0.113.1", ANN).await.status, 303);
        assert_eq!(sent().await, 2);
    }
}

#[tokio::test]
async fn concurrent_reset_requests_send_one_mail() {
    let app = app().await;
    app.customer(ANN).await;
    let responses = join_all((0..20).map(|_| forgot(&app, "203.0.113.1", ANN))).await;
    assert!(responses.iter().all(|response| response.status == 303));
    mailbox::wait_for_empty_queue(&app).await;
    assert_eq!(mailbox::mails_to(&app, ANN, RESET).len(), 1);
}

#[tokio::test]
async fn reset_mail_to_many_addresses_is_limited_by_network() {
    let app = app().await;
    app.customer(ANN).await;
    assert_eq!(forgot(&app, "203.0.113.1", BOB).await.status, 303);
    set_attempts(&app, "mail-address", 28).await;
    for email in ["carol@example.com", "dan@example.com"] {
        assert_eq!(forgot(&app, "203.0.113.1", email).await.status, 303);
    }
    let limited = forgot(&app, "203.0.113.1", ANN).await;
    assert!(limited.is_page(429) && retry_after(&limited) <= 60);
    assert!(limited.text().contains("try again in"), "{}", limited.text());
    assert_eq!(forgot(&app, "203.0.113.1", BOB).await.status, 303, "a request that queues no mail is limited");
    assert_eq!(forgot(&app, "203.0.113.2", ANN).await.status, 303);
    assert_eq!(mailbox::mail_to(&app, ANN, RESET).await.to, ANN, "the rejected request used up the limit");
}

#[tokio::test]
async fn email_change_mail_is_limited() {
    let app = app().await;
    let mut visitor = app.customer(ANN).await;
    let fields = [("email", "new@example.com"), ("password", PASSWORD)];
    for _ in 0..5 {
        assert_eq!(visitor.post("/account/email", &fields).await.redirect(), (303, "/account#email"));
    }
    assert!(visitor.post("/account/email", &fields).await.is_page(429));
}

//! `ORDER_MAILS`: mail to customers when an import changes the state of their orders, and the switch in the account.

use crate::actions::subjects_to;
use crate::app::{ANN, BOB, TestApp};
use crate::http::Visitor;
use crate::mailbox::{self, SentMail};
use crate::shop::{Row, order, unsent};

async fn start(rows: &[Row]) -> (TestApp, Visitor) {
    let app = TestApp::start_with(&[("ORDER_MAILS", "true")]).await;
    let ann = app.verified_customer(ANN).await;
    app.import(rows);
    (app, ann)
}

fn cancelled(number: &str, email: &str) -> Row {
    unsent(number, email).with("Cancelled at", "2024-03-09 10:00:00 +0000")
}

fn refunded(number: &str, email: &str) -> Row {
    unsent(number, email).with("Financial Status", "refunded").with("Refunded Amount", "29.90")
}

/// The mails about changed orders to an address.
async fn order_mails(app: &TestApp, email: &str) -> Vec<SentMail> {
    mailbox::wait_for_empty_queue(app).await;
    let mails = mailbox::mails(app).into_iter().filter(|mail| mail.to == email);
    mails.filter(|mail| mail.subject.starts_with("Order")).collect()
}

#[tokio::test]
async fn changed_state_is_mailed_once_per_customer_and_import() {
    let rows = [
        unsent("#1", ANN),
        unsent("#2", ANN),
        unsent("#3", ANN),
        unsent("#4", ANN),
        order("#5", ANN),
        unsent("#6", BOB),
    ];
    let (app, _ann) = start(&rows).await;
    app.verified_customer(BOB).await;
    assert!(order_mails(&app, ANN).await.is_empty(), "the first import was mailed");

    app.import(&[
        order("#1", ANN),
        cancelled("#2", ANN),
        refunded("#3", ANN),
        unsent("#4", ANN),
        order("#5", ANN),
        order("#6", BOB),
    ]);
    let mails = order_mails(&app, ANN).await;
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].subject, "Orders #3, #2, #1: new status");
    for text in ["#1: sent", "#2: cancelled", "#3: refunded", "/account#order-mails"] {
        assert!(mails[0].text.contains(text) && mails[0].html.contains(text), "{text}: {}", mails[0].text);
    }
    assert!(!mails[0].text.contains("#4") && !mails[0].text.contains("#5"), "{}", mails[0].text);
    let mails = order_mails(&app, BOB).await;
    assert_eq!(mails.iter().map(|mail| mail.subject.as_str()).collect::<Vec<_>>(), ["Order #6: sent"]);
    let link = format!("{}/orders/6", app.setting("PUBLIC_URL"));
    assert!(mails[0].text.contains(&link) && mails[0].html.contains(&format!("href=\"{link}\"")), "{}", mails[0].text);

    // The same file again; a change that is not of the state; states without mail; an order that is new.
    app.run_ok(&["import", "orders.csv"]);
    let delivered = order("#1", ANN).with("Fulfillment Status", "delivered");
    let partly = unsent("#4", ANN).with("Fulfillment Status", "partial");
    app.import(&[delivered, partly, order("#5", ANN).with("Total", "31.00"), order("#7", ANN)]);
    assert_eq!((order_mails(&app, ANN).await.len(), order_mails(&app, BOB).await.len()), (1, 1));
    assert_eq!(app.count("order_state_changes").await, 0);
}

#[tokio::test]
async fn only_confirmed_addresses_get_order_mail() {
    let (app, _ann) = start(&[unsent("#1", ANN), unsent("#2", BOB), unsent("#3", "carol@example.com")]).await;
    app.customer(BOB).await;
    app.verified_customer("carol@example.com").await;
    app.run_ok(&["user", "disable", "carol@example.com"]);
    // The owner changes with the state: nobody is told about an order that is not theirs.
    app.import(&[order("#1", BOB), order("#2", BOB), order("#3", "carol@example.com")]);
    for email in [ANN, BOB, "carol@example.com"] {
        assert!(order_mails(&app, email).await.is_empty(), "{email}");
    }
    assert_eq!(app.count("order_state_changes").await, 0);
}

#[tokio::test]
async fn customer_turns_order_mail_off_and_on() {
    let (app, mut ann) = start(&[unsent("#1", ANN), unsent("#2", ANN), unsent("#3", ANN)]).await;
    let page = ann.get("/account").await.text();
    assert!(page.contains("id=\"order-mails\"") && page.contains("Turn off order emails"), "{page}");
    for (switch, shown, number) in [("off", "Order emails are off.", "#1"), ("on", "Order emails are on.", "#2")] {
        let response = ann.post("/account/order-mails", &[("order_mails", switch)]).await;
        assert_eq!(response.redirect(), (303, "/account#order-mails"));
        assert!(ann.get("/account").await.text().contains(shown));
        app.import(&[order(number, ANN)]);
    }
    let subjects: Vec<String> = order_mails(&app, ANN).await.into_iter().map(|mail| mail.subject).collect();
    assert_eq!(subjects, ["Order #2: sent"]);
    for fields in [&[("order_mails", "maybe")][..], &[]] {
        assert!(ann.post("/account/order-mails", fields).await.is_page(400));
    }
}

#[tokio::test]
async fn without_the_setting_no_order_mail_is_sent() {
    let (app, mut ann) = TestApp::start_with_orders(&[unsent("#1", ANN)]).await;
    assert!(!ann.get("/account").await.text().contains("order-mails"));
    let left = "INSERT INTO order_state_changes (order_id, user_id, status) SELECT id, user_id, 'sent' FROM orders";
    assert_eq!(app.execute(left).await, 1);
    app.import(&[order("#1", ANN)]);
    assert!(order_mails(&app, ANN).await.is_empty());
    assert_eq!(app.count("order_state_changes").await, 0, "an old change would be mailed later");
}

#[tokio::test]
async fn changes_of_a_stopped_import_are_mailed_by_the_next_one() {
    let (app, _ann) = start(&[unsent("#1", ANN), unsent("#2", ANN)]).await;
    // What the transactions of an import that stopped have stored.
    let stopped = "INSERT INTO order_state_changes (order_id, user_id, status) SELECT id, user_id, 'sent' FROM orders WHERE number = '1'";
    assert_eq!(app.execute("UPDATE orders SET status = 'sent' WHERE number = '1'").await, 1);
    assert_eq!(app.execute(stopped).await, 1);
    app.import(&[order("#1", ANN), order("#2", ANN)]);
    let subjects: Vec<String> = subjects_to(&app, ANN).await;
    assert_eq!(subjects.iter().filter(|subject| *subject == "Orders #2, #1: new status").count(), 1, "{subjects:?}");
}

#[tokio::test]
async fn mail_of_many_customers_is_queued_in_batches() {
    let (app, _ann) = start(&[]).await;
    let emails: Vec<String> = (0..120).map(|index| format!("customer{index}@example.com")).collect();
    let users = emails.iter().map(|email| format!("('{email}', '{email}', '', 0, 1)")).collect::<Vec<_>>().join(", ");
    app.execute(&format!("INSERT INTO users (id, email, password_hash, created_at, verified_at) VALUES {users}")).await;
    let rows = |row: fn(&str, &str) -> Row| -> Vec<Row> {
        emails.iter().enumerate().map(|(index, email)| row(&format!("#{index}"), email)).collect()
    };
    app.import(&rows(unsent));
    app.import(&rows(order));
    mailbox::wait_for_empty_queue(&app).await;
    let mut recipients: Vec<String> = mailbox::mails(&app).into_iter().map(|mail| mail.to).collect();
    recipients.retain(|to| to != ANN);
    recipients.sort();
    recipients.dedup();
    assert_eq!(recipients.len(), 120);
}

//! Every change of orders counts up the version of the customers who see them, keeps their totals, and shows on another server at the next
//! request, although lists are kept in memory.

use std::collections::BTreeMap;

use crate::actions::{reorder, submit};
use crate::app::{PASSWORD, TestApp};
use crate::http::Visitor;
use crate::mailbox::{self, CONFIRM, CONFIRM_NEW, RESET};
use crate::sandbox::{Sandbox, free_port};
use crate::shop::{Row, order};

const ANN: &str = "ann@example.com";
const BOB: &str = "bob@example.com";
const ADDRESS_CHANGED: &str = "Your e-mail address was changed";
const NEW: &str = "a quiet harbour at dusk";

/// What is stored about the customers' orders: by user, the version, and the text of all rows.
type Stored = BTreeMap<String, (i64, Vec<String>)>;

/// Two servers on one database. Changes are made through the first; the second has its list in memory before each of them.
struct Shop {
    first: TestApp,
    second: TestApp,
    before: Stored,
}

impl Shop {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let mut first = Sandbox::new().await;
        settings.iter().for_each(|(name, value)| first.set(name, value));
        let mut second = Sandbox::new().await;
        for name in ["DATABASE_URL", "PUBLIC_URL"] {
            second.set(name, first.setting(name));
        }
        // Either server delivers the mail.
        second.set("MAIL_URL", &format!("file://{}", first.path().join("data/mail").display()));
        let first = TestApp::start_in(first).await;
        let second = TestApp::start_in(second).await;
        Self { first, second, before: Stored::new() }
    }

    /// The customer's list on the second server.
    async fn list(&self, token: &str) -> String {
        let mut visitor = self.second.visitor();
        visitor.set_session_token(token);
        visitor.get("/orders").await.text()
    }

    async fn stored(&self) -> Stored {
        let pool = self.first.database().await;
        let users: Vec<(String, i64)> = sqlx::query_as(
            "SELECT u.id, COALESCE(v.version, 0) FROM users u LEFT JOIN order_versions v ON v.user_id = u.id",
        )
        .fetch_all(&pool)
        .await
        .unwrap();
        let mut stored = Stored::new();
        for (id, version) in users {
            let orders: Vec<(String, i64, String, String, i64, i64, Option<i64>, String)> = sqlx::query_as(
                "SELECT number, placed_at, status, currency, total, refunded, cancellation_asked_at, ship_name FROM orders
                 WHERE user_id = $1 ORDER BY id",
            )
            .bind(&id)
            .fetch_all(&pool)
            .await
            .unwrap();
            stored.insert(id, (version, orders.iter().map(|order| format!("{order:?}")).collect()));
        }
        stored
    }

    /// After a change: customers with other rows have another version, and all totals are those of the rows.
    async fn assert_changed(&mut self, change: &str) {
        let now = self.stored().await;
        let mut changed = 0;
        for (id, (version, rows)) in &now {
            let (before, rows_before) = self.before.get(id).cloned().unwrap_or_default();
            if *rows != rows_before {
                changed += 1;
                assert!(*version > before, "{change}: the orders changed and the version did not");
            }
        }
        assert!(changed > 0, "{change} changed no orders");
        self.before = now;
        self.assert_totals(change).await;
    }

    async fn assert_totals(&self, change: &str) {
        let pool = self.first.database().await;
        let stored: Vec<(String, String, String, i64, i64, i64)> = sqlx::query_as(
            "SELECT t.user_id, t.currency, t.status, CAST(SUM(t.order_count) AS BIGINT), CAST(SUM(t.total) AS BIGINT),
                    CAST(SUM(t.spent) AS BIGINT)
             FROM order_totals t JOIN order_versions v ON v.user_id = t.user_id AND v.totals_zone <> ''
             WHERE t.order_count <> 0 GROUP BY t.user_id, t.currency, t.status ORDER BY 1, 2, 3",
        )
        .fetch_all(&pool)
        .await
        .unwrap();
        let expected: Vec<(String, String, String, i64, i64, i64)> = sqlx::query_as(
            "SELECT o.user_id, o.currency, o.status, COUNT(*), CAST(SUM(o.total) AS BIGINT),
                    CAST(SUM(CASE WHEN o.status = 'cancelled' THEN 0 ELSE o.total - o.refunded END) AS BIGINT)
             FROM orders o JOIN order_versions v ON v.user_id = o.user_id AND v.totals_zone <> ''
             GROUP BY o.user_id, o.currency, o.status ORDER BY 1, 2, 3",
        )
        .fetch_all(&pool)
        .await
        .unwrap();
        assert_eq!(stored, expected, "{change}");
    }

    fn import(&self, rows: &[Row]) {
        self.first.import(rows);
    }
}

/// An order of 29.90 that can be cancelled.
fn unsent(number: &str, email: &str) -> Row {
    order(number, email).with("Fulfillment Status", "unfulfilled").with("Fulfilled at", "")
}

#[tokio::test]
async fn import_changes_show_on_another_server_at_the_next_request() {
    let mut shop = Shop::start(&[("DEMO_ORDERS", "false")]).await;
    let ann = shop.first.verified_customer(ANN).await.token();
    let bob = shop.first.verified_customer(BOB).await.token();
    assert!(shop.list(&ann).await.contains("No orders yet") && shop.list(&bob).await.contains("No orders yet"));
    shop.before = shop.stored().await;

    shop.import(&[unsent("#1", ANN), order("#2", ANN)]);
    shop.assert_changed("new orders").await;
    assert!(shop.list(&ann).await.contains("2 orders, €59.80"));

    let more = (3..40).map(|number| order(&format!("#{number}"), ANN)).collect::<Vec<_>>();
    shop.import(&more);
    shop.assert_changed("further orders").await;
    assert!(shop.list(&ann).await.contains("39 orders, €1,166.10"));

    let refunded = order("#2", ANN).with("Financial Status", "partially_refunded").with("Refunded Amount", "9.90");
    shop.import(&[refunded, unsent("#1", ANN).with("Cancelled at", "2024-03-02 10:00:00 +0000")]);
    shop.assert_changed("a refund and a cancellation").await;
    let page = shop.list(&ann).await;
    assert!(page.contains("€1,126.30 after cancellations and refunds"), "{page}");

    shop.import(&[order("#2", BOB).with("Created at", "2023-01-01 10:00:00 +0000").with("Currency", "USD")]);
    shop.assert_changed("another owner, month and currency").await;
    assert!(shop.list(&ann).await.contains("38 orders, €1,136.20"));
    assert!(shop.list(&bob).await.contains("1 order, $29.90"));

    shop.before = shop.stored().await;
    shop.import(&[order("#3", ANN)]);
    assert_eq!(shop.stored().await, shop.before, "an unchanged order changes no version");
}

#[tokio::test]
async fn changes_by_customers_show_on_another_server_at_the_next_request() {
    let mut shop = Shop::start(&[("DEMO_ORDERS", "true")]).await;
    let mut ann: Visitor = shop.first.customer(ANN).await;
    shop.assert_changed("sign-up with samples").await;
    assert!(shop.list(&ann.token()).await.contains("24 orders"));

    shop.import(&[unsent("#1", ANN), order("#2", ANN)]);
    let confirm = mailbox::mail_to(&shop.first, ANN, CONFIRM).await;
    assert_eq!(ann.post("/verify", &[("token", confirm.token())]).await.status, 303);
    shop.assert_changed("verification, which removes samples").await;
    assert!(shop.list(&ann.token()).await.contains("2 orders, €59.80"));

    assert_eq!(submit(&mut ann, "1", "cancel").await.status, 303);
    shop.assert_changed("cancellation request").await;
    assert!(shop.list(&ann.token()).await.contains("cancellation asked for"));

    reorder(&mut ann, "2").await;
    shop.assert_changed("reorder").await;
    assert!(shop.list(&ann.token()).await.contains("3 orders, €89.70"));

    let zone = [("zone", "Pacific/Auckland")];
    assert_eq!(ann.post("/account/time-zone", &zone).await.status, 303);
    let page = shop.list(&ann.token()).await;
    assert!(page.contains("Auckland") && page.contains("3 orders, €89.70"), "{page}");
    shop.assert_totals("change of the zone").await;

    shop.import(&[order("#3", "new@example.com")]);
    assert_eq!(ann.post("/account/email", &[("email", "new@example.com"), ("password", PASSWORD)]).await.status, 303);
    let confirm = mailbox::mail_to(&shop.first, "new@example.com", CONFIRM_NEW).await;
    assert_eq!(ann.post("/verify", &[("token", confirm.token())]).await.status, 303);
    shop.assert_changed("change of the address").await;
    assert!(shop.list(&ann.token()).await.contains("4 orders, €119.60"));

    let undo = mailbox::mail_to(&shop.first, ANN, ADDRESS_CHANGED).await;
    assert_eq!(shop.first.visitor().post("/not-me", &[("token", undo.token())]).await.status, 303);
    shop.assert_changed("undone change of the address").await;
    let reset = mailbox::mail_to(&shop.first, ANN, RESET).await;
    let mut ann = shop.first.visitor();
    ann.post("/password/reset", &[("token", reset.token()), ("password", NEW)]).await;
    assert_eq!(ann.post("/login", &[("email", ANN), ("password", NEW)]).await.status, 303);
    assert!(shop.list(&ann.token()).await.contains("3 orders, €89.70"));

    shop.first.run_ok(&["user", "delete", ANN]);
    shop.import(&[order("#2", ANN)]);
    assert_eq!(shop.stored().await, Stored::new());
}

#[tokio::test]
async fn orders_claimed_by_a_reset_or_the_operator_show_at_the_next_request() {
    let mut shop = Shop::start(&[("DEMO_ORDERS", "false")]).await;
    shop.import(&[order("#1", ANN), order("#2", BOB)]);
    let ann = shop.first.customer(ANN).await.token();
    let bob = shop.first.customer(BOB).await.token();
    shop.before = shop.stored().await;
    assert!(shop.list(&ann).await.contains("No orders yet") && shop.list(&bob).await.contains("No orders yet"));

    shop.first.run_ok(&["user", "verify", ANN]);
    shop.assert_changed("user verify").await;
    assert!(shop.list(&ann).await.contains("1 order, €29.90"));

    shop.first.visitor().post("/password/forgot", &[("email", BOB)]).await;
    let reset = mailbox::mail_to(&shop.first, BOB, RESET).await;
    let mut bob = shop.first.visitor();
    bob.post("/password/reset", &[("token", reset.token()), ("password", NEW)]).await;
    shop.assert_changed("password reset").await;
    assert_eq!(bob.post("/login", &[("email", BOB), ("password", NEW)]).await.status, 303);
    assert!(shop.list(&bob.token()).await.contains("1 order, €29.90"));
}

/// Reads a metric of one value.
fn metric(port: u16, name: &str) -> i64 {
    let request = format!("GET /metrics HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
    let text = crate::http::send_raw(port, request.as_bytes()).unwrap().text();
    let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).split(' ').nth(1).unwrap().parse().unwrap()
}

/// The fewest statements of ten requests: the server's own tasks add some.
async fn fewest_statements(port: u16, mut request: impl AsyncFnMut()) -> i64 {
    let mut fewest = i64::MAX;
    for _ in 0..10 {
        let before = metric(port, "db_statements_total");
        request().await;
        fewest = fewest.min(metric(port, "db_statements_total") - before);
    }
    fewest
}

#[tokio::test]
async fn pages_take_few_statements() {
    let port = free_port();
    let settings = [("METRICS_ADDR", &*format!("127.0.0.1:{port}")), ("DEMO_ORDERS", "false")];
    let app = TestApp::start_with(&settings).await;
    let mut ann = app.verified_customer(ANN).await;
    app.import(&crate::shop::orders(60, ANN));
    let token = app.api_token(ANN).await;

    let hits = metric(port, "response_cache_hits_total");
    assert_eq!(fewest_statements(port, async || drop(ann.get("/orders").await)).await, 1, "list in memory");
    // The first page shows a notice, the second is stored.
    assert_eq!(metric(port, "response_cache_hits_total"), hits + 8);
    let mut day = 0;
    let miss = async || {
        day += 1;
        let page = ann.get(&format!("/orders?sort=oldest&x={day}")).await;
        assert_eq!(page.status, 200);
    };
    assert!(fewest_statements(port, miss).await <= 3, "list that is not in memory");
    assert!(fewest_statements(port, async || drop(ann.get("/orders/5001").await)).await <= 3, "one order");
    assert!(fewest_statements(port, async || drop(ann.get("/account").await)).await <= 3, "account page");
    let list = async || assert_eq!(app.api_get("/api/userOrders", &token).await.status, 200);
    assert_eq!(fewest_statements(port, list).await, 1, "list of the API in memory");
    let login = async || {
        let fields = [("email", ANN), ("password", PASSWORD)];
        assert_eq!(app.visitor().post("/login", &fields).await.status, 303);
    };
    assert!(fewest_statements(port, login).await <= 8, "login");
}

//! A change of orders increments the version of their owners, updates their totals, and is visible on another server at the next request,
//! although lists are cached in memory.

use std::collections::BTreeMap;

use crate::actions::{reorder, submit};
use crate::app::{ANN, BOB, OTHER_PASSWORD, PASSWORD, TestApp};
use crate::http::Visitor;
use crate::mailbox::{self, CONFIRM, CONFIRM_NEW, RESET};
use crate::notices::ADDRESS_CHANGED;
use crate::sandbox::{Sandbox, free_port};
use crate::shop::{self, Row, line, order, unsent};

/// On the list.
const REQUESTED: &str = "Cancellation requested</span>";

/// The version and the rows of each user.
type Versions = BTreeMap<String, (i64, Vec<String>)>;

/// Two servers with one database. The first makes each change; the second has the list in its cache before.
struct TwoServers {
    first: TestApp,
    second: TestApp,
    before: Versions,
}

impl TwoServers {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let mut sandbox = Sandbox::new().await;
        settings.iter().for_each(|(name, value)| sandbox.set(name, value));
        let mut second = Sandbox::new().await;
        for name in ["DATABASE_URL", "PUBLIC_URL"] {
            second.set(name, sandbox.setting(name));
        }
        // Both servers deliver mail.
        second.set("MAIL_URL", &format!("file://{}", sandbox.path().join("data/mail").display()));
        let first = TestApp::start_in(sandbox).await;
        let second = TestApp::start_in(second).await;
        Self { first, second, before: Versions::new() }
    }

    /// The list of the customer on the second server.
    async fn list(&self, token: &str) -> String {
        let mut visitor = self.second.visitor();
        visitor.set_session_token(token);
        visitor.get("/orders").await.text()
    }

    async fn versions(&self) -> Versions {
        let pool = self.first.database().await;
        let users: Vec<(String, i64)> = sqlx::query_as(
            "SELECT u.id, COALESCE(v.version, 0) FROM users u LEFT JOIN order_versions v ON v.user_id = u.id",
        )
        .fetch_all(&pool)
        .await
        .unwrap();
        let mut versions = Versions::new();
        for (id, version) in users {
            let orders: Vec<(String, i64, String, String, i64, i64, Option<i64>, String, String, i64)> =
                sqlx::query_as(
                    "SELECT number, placed_at, status, currency, total, refunded, cancellation_asked_at,
                     ship_name || COALESCE(cancellation_answer, ''), summary, piece_count
                 FROM orders WHERE user_id = $1 ORDER BY id",
                )
                .bind(&id)
                .fetch_all(&pool)
                .await
                .unwrap();
            versions.insert(id, (version, orders.iter().map(|order| format!("{order:?}")).collect()));
        }
        versions
    }

    /// Asserts that users with changed rows have a new version, and that the totals match the rows.
    async fn assert_changed(&mut self, change: &str) {
        let now = self.versions().await;
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
                    CAST(SUM(CASE WHEN o.status IN ('cancelled', 'payment_voided', 'expired') THEN 0 ELSE o.total - o.refunded END) AS BIGINT)
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

#[tokio::test]
async fn imported_changes_are_visible_on_another_server_at_once() {
    let mut servers = TwoServers::start(&[("DEMO_ORDERS", "false")]).await;
    let ann = servers.first.verified_customer(ANN).await.token();
    let bob = servers.first.verified_customer(BOB).await.token();
    assert!(servers.list(&ann).await.contains("No orders yet") && servers.list(&bob).await.contains("No orders yet"));
    servers.before = servers.versions().await;

    servers.import(&[unsent("#1", ANN), order("#2", ANN)]);
    servers.assert_changed("new orders").await;
    assert!(servers.list(&ann).await.contains("2 orders, €59.80"));

    servers.import(&[order("#2", ANN).with("Lineitem name", "Clay mug"), line("#2", ANN, "Saucer")]);
    servers.assert_changed("other products").await;
    assert!(servers.list(&ann).await.contains("Clay mug, Saucer"));

    let more = (3..40).map(|number| order(&format!("#{number}"), ANN)).collect::<Vec<_>>();
    servers.import(&more);
    servers.assert_changed("further orders").await;
    assert!(servers.list(&ann).await.contains("39 orders, €1,166.10"));

    let refunded = order("#2", ANN).with("Financial Status", "partially_refunded").with("Refunded Amount", "9.90");
    servers.import(&[refunded, unsent("#1", ANN).with("Cancelled at", "2024-03-02 10:00:00 +0000")]);
    servers.assert_changed("a refund and a cancellation").await;
    let page = servers.list(&ann).await;
    assert!(page.contains("€1,126.30 after cancellations and refunds"), "{page}");

    servers.import(&[order("#2", BOB).with("Created at", "2023-01-01 10:00:00 +0000").with("Currency", "USD")]);
    servers.assert_changed("another owner, month and currency").await;
    assert!(servers.list(&ann).await.contains("38 orders, €1,136.20"));
    assert!(servers.list(&bob).await.contains("1 order, $29.90"));

    servers.before = servers.versions().await;
    servers.import(&[order("#3", ANN)]);
    assert_eq!(servers.versions().await, servers.before, "an unchanged order has a new version");
}

#[tokio::test]
async fn changes_by_customers_are_visible_on_another_server() {
    let mut servers = TwoServers::start(&[("DEMO_ORDERS", "true")]).await;
    let mut ann: Visitor = servers.first.customer(ANN).await;
    servers.assert_changed("sign-up with samples").await;
    assert!(servers.list(&ann.token()).await.contains("24 orders"));

    servers.import(&[unsent("#1", ANN), order("#2", ANN)]);
    let confirm = mailbox::mail_to(&servers.first, ANN, CONFIRM).await;
    assert_eq!(ann.post("/verify", &[("token", confirm.token())]).await.status, 303);
    servers.assert_changed("verification, which removes samples").await;
    assert!(servers.list(&ann.token()).await.contains("2 orders, €59.80"));

    assert_eq!(submit(&mut ann, "1", "cancel").await.status, 303);
    servers.assert_changed("cancellation request").await;
    assert!(servers.list(&ann.token()).await.contains(REQUESTED));
    assert_eq!(ann.post("/orders/1/cancel/undo", &[]).await.status, 303);
    servers.assert_changed("withdrawn cancellation request").await;
    assert!(!servers.list(&ann.token()).await.contains(REQUESTED));

    reorder(&mut ann, "2").await;
    assert_eq!(servers.versions().await, servers.before, "a request to order again changes orders");
    servers.import(&[order("#4", ANN)]);
    servers.assert_changed("another order").await;
    assert!(servers.list(&ann.token()).await.contains("3 orders, €89.70"));

    let zone = [("zone", "Pacific/Auckland")];
    assert_eq!(ann.post("/account/time-zone", &zone).await.status, 303);
    let page = servers.list(&ann.token()).await;
    assert!(page.contains("Auckland") && page.contains("3 orders, €89.70"), "{page}");
    servers.assert_totals("change of the zone").await;

    servers.import(&[order("#3", "new@example.com")]);
    assert_eq!(ann.post("/account/email", &[("email", "new@example.com"), ("password", PASSWORD)]).await.status, 303);
    let confirm = mailbox::mail_to(&servers.first, "new@example.com", CONFIRM_NEW).await;
    assert_eq!(ann.post("/verify", &[("token", confirm.token())]).await.status, 303);
    servers.assert_changed("change of the address").await;
    assert!(servers.list(&ann.token()).await.contains("4 orders, €119.60"));

    let notice = mailbox::mail_to(&servers.first, ANN, ADDRESS_CHANGED).await;
    assert_eq!(servers.first.visitor().post("/not-me", &[("token", notice.token())]).await.status, 303);
    servers.assert_changed("undone change of the address").await;
    let reset = mailbox::mail_to(&servers.first, ANN, RESET).await;
    let mut ann = servers.first.visitor();
    ann.post("/password/reset", &[("token", reset.token()), ("password", OTHER_PASSWORD)]).await;
    assert_eq!(ann.log_in(ANN, OTHER_PASSWORD).await.status, 303);
    assert!(servers.list(&ann.token()).await.contains("3 orders, €89.70"));

    servers.first.run_ok(&["user", "delete", ANN]);
    servers.import(&[order("#2", ANN)]);
    assert_eq!(servers.versions().await, Versions::new());
}

#[tokio::test]
async fn answers_of_the_shop_are_visible_on_another_server() {
    let mut servers = TwoServers::start(&[("DEMO_ORDERS", "false")]).await;
    let mut ann = servers.first.verified_customer(ANN).await;
    servers.import(&[unsent("#1", ANN), unsent("#2", ANN)]);
    for (number, answer) in [("1", "done"), ("2", "decline")] {
        submit(&mut ann, number, "cancel").await;
        servers.before = servers.versions().await;
        assert!(servers.list(&ann.token()).await.contains(REQUESTED));
        servers.first.run_ok(&["orders", "cancellations", answer, number]);
        servers.assert_changed(answer).await;
        assert!(!servers.list(&ann.token()).await.contains(REQUESTED));
    }
}

#[tokio::test]
async fn orders_assigned_by_reset_or_operator_are_visible_at_once() {
    let mut servers = TwoServers::start(&[("DEMO_ORDERS", "false")]).await;
    servers.import(&[order("#1", ANN), order("#2", BOB)]);
    let ann = servers.first.customer(ANN).await.token();
    let bob = servers.first.customer(BOB).await.token();
    servers.before = servers.versions().await;
    assert!(servers.list(&ann).await.contains("No orders yet") && servers.list(&bob).await.contains("No orders yet"));

    servers.first.run_ok(&["user", "verify", ANN]);
    servers.assert_changed("user verify").await;
    assert!(servers.list(&ann).await.contains("1 order, €29.90"));

    servers.first.visitor().post("/password/forgot", &[("email", BOB)]).await;
    let reset = mailbox::mail_to(&servers.first, BOB, RESET).await;
    let mut bob = servers.first.visitor();
    bob.post("/password/reset", &[("token", reset.token()), ("password", OTHER_PASSWORD)]).await;
    servers.assert_changed("password reset").await;
    assert_eq!(bob.log_in(BOB, OTHER_PASSWORD).await.status, 303);
    assert!(servers.list(&bob.token()).await.contains("1 order, €29.90"));

    servers.first.run_ok(&["user", "link", ANN, "2"]);
    servers.assert_changed("user link, which takes the order from its owner").await;
    assert!(servers.list(&ann).await.contains("2 orders, €59.80"));
    assert!(servers.list(&bob.token()).await.contains("No orders yet"));
}

/// The value of a metric.
fn metric(port: u16, name: &str) -> i64 {
    let request = format!("GET /metrics HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
    let text = crate::http::send_raw(port, request.as_bytes()).unwrap().text();
    let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).split(' ').nth(1).unwrap().parse().unwrap()
}

/// The fewest statements of ten requests, because background tasks add statements.
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
async fn pages_need_few_statements() {
    let port = free_port();
    let settings = [("METRICS_ADDR", &*format!("127.0.0.1:{port}")), ("DEMO_ORDERS", "false")];
    let app = TestApp::start_with(&settings).await;
    let mut ann = app.verified_customer(ANN).await;
    app.import(&shop::orders(60, ANN));
    let token = app.api_token(ANN).await;

    let hits = metric(port, "response_cache_hits_total");
    assert_eq!(fewest_statements(port, async || drop(ann.get("/orders").await)).await, 1, "cached list");
    // The first page has a notice and is not cached; the second is stored.
    assert_eq!(metric(port, "response_cache_hits_total"), hits + 8);
    // A parameter without a meaning leads to the same list.
    let mut number = 0;
    let repeated = async || {
        number += 1;
        assert_eq!(ann.get(&format!("/orders?x={number}")).await.status, 200);
    };
    assert_eq!(fewest_statements(port, repeated).await, 1, "cached list");
    assert_eq!(metric(port, "response_cache_hits_total"), hits + 18);
    let mut filters = ["newest", "oldest", "highest", "lowest"]
        .into_iter()
        .flat_map(|sort| ["sent", "placed", "delivered"].map(|status| format!("/orders?sort={sort}&status={status}")));
    let miss = async || assert_eq!(ann.get(&filters.next().unwrap()).await.status, 200);
    assert_eq!(fewest_statements(port, miss).await, 2, "list that is not cached");
    assert!(fewest_statements(port, async || drop(ann.get("/orders/5001").await)).await <= 2, "one order");
    assert!(fewest_statements(port, async || drop(ann.get("/account").await)).await <= 3, "account page");
    let list = async || assert_eq!(app.api_get("/api/userOrders", &token).await.status, 200);
    assert_eq!(fewest_statements(port, list).await, 1, "cached list of the API");
    let mut limits = 1..=100;
    let miss = async || {
        let url = format!("/api/userOrders?limit={}", limits.next().unwrap());
        assert_eq!(app.api_get(&url, &token).await.status, 200);
    };
    assert_eq!(fewest_statements(port, miss).await, 2, "list of the API that is not cached");
    let login = async || assert_eq!(app.log_in(ANN, PASSWORD).await.status, 303);
    let count = fewest_statements(port, login).await;
    assert!(count <= 8, "login: {count} statements");
}

//! What customers do to an order, once however often it is sent: ask to cancel it, order the same again.

use std::time::{Duration, Instant};

use mail_parser::MessageParser;
use reqwest::Method;
use serde_json::Value;

use crate::app::TestApp;
use crate::http::{Answer, Visitor, send};
use crate::orders::{import, list, numbers};
use crate::shop::{Row, line, order};

const ANN: &str = "ann@example.com";
const BOB: &str = "bob@example.com";
/// Mail leaves each second.
const MAIL_COMES_WITHIN: Duration = Duration::from_secs(20);

/// An order that can still be cancelled.
fn waiting(number: &str, email: &str) -> Row {
    order(number, email).with("Fulfillment Status", "unfulfilled").with("Fulfilled at", "")
}

async fn app_with(rows: &[Row]) -> (TestApp, Visitor) {
    let app = TestApp::start().await;
    let ann = app.verified_customer(ANN).await;
    import(&app, rows);
    (app, ann)
}

/// The key in the form of that action on an order's page.
fn key(page: &str, action: &str) -> Option<String> {
    let form = page.split("<form ").find(|form| form.contains(&format!("/{action}\"")))?;
    Some(form.split("name=\"key\" value=\"").nth(1)?.split('"').next()?.to_owned())
}

/// Opens the order and presses the button.
pub async fn press(visitor: &mut Visitor, number: &str, action: &str) -> Answer {
    let page = list(visitor, &format!("/orders/{number}")).await;
    let key = key(&page, action).unwrap_or_else(|| panic!("no way to {action} on {page}"));
    visitor.post(&format!("/orders/{number}/{action}"), &[("key", &key)]).await
}

/// Presses "Order again"; answers the new order's number.
pub async fn again(visitor: &mut Visitor, number: &str) -> String {
    let answer = press(visitor, number, "again").await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.header("location").unwrap().strip_prefix("/orders/").unwrap().to_owned()
}

/// The numbers that the operator reads in one of the lists of things to do.
fn to_do(app: &TestApp, which: &str) -> Vec<String> {
    let said = app.done(&["orders", which]);
    let lines = said.lines().filter(|line| line.starts_with('#'));
    lines.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

/// A letter that left: to whom, its subject, its text and its HTML.
pub struct Sent {
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: String,
}

fn sent(app: &TestApp) -> Vec<Sent> {
    let Ok(folder) = std::fs::read_dir(app.path().join("data/mail")) else { return Vec::new() };
    let files = folder.map(|file| file.unwrap().path()).filter(|file| file.extension().is_some_and(|end| end == "eml"));
    let read = |file| {
        let bytes = std::fs::read(file).unwrap();
        let message = MessageParser::default().parse(&bytes).unwrap();
        Sent {
            to: message.to().unwrap().first().unwrap().address().unwrap().to_owned(),
            subject: message.subject().unwrap().to_owned(),
            text: message.body_text(0).unwrap().into_owned(),
            html: message.body_html(0).unwrap().into_owned(),
        }
    };
    files.map(read).collect()
}

/// Waits for the letter with that subject to that address.
pub async fn letter(app: &TestApp, to: &str, subject: &str) -> Sent {
    let began = Instant::now();
    loop {
        if let Some(letter) = sent(app).into_iter().find(|letter| letter.to == to && letter.subject == subject) {
            return letter;
        }
        assert!(began.elapsed() < MAIL_COMES_WITHIN, "no letter \"{subject}\" to {to}: {}", app.logs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn all_mail_has_left(app: &TestApp) {
    let began = Instant::now();
    while count(app, "SELECT COUNT(*) FROM mail_queue").await > 0 {
        assert!(began.elapsed() < MAIL_COMES_WITHIN, "mail does not leave: {}", app.logs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn count(app: &TestApp, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&app.database().await).await.unwrap()
}

#[tokio::test]
async fn asking_to_cancel_shows_with_the_order_and_reaches_the_operator_and_the_mailbox() {
    let (app, mut ann) = app_with(&[waiting("#1", ANN), waiting("#2", ANN).with("Financial Status", "pending")]).await;
    assert_eq!(to_do(&app, "cancellations"), Vec::<String>::new());
    assert!(app.done(&["orders", "cancellations"]).contains("no customer asks"));
    for number in ["1", "2"] {
        let answer = press(&mut ann, number, "cancel").await;
        assert_eq!(answer.leads_to(), (303, format!("/orders/{number}").as_str()));
        let page = list(&mut ann, &format!("/orders/{number}")).await;
        assert!(page.contains("The shop knows that you want to cancel"), "no notice:\n{page}");
        assert!(
            page.contains("You asked to cancel this order on ") && page.contains(">You asked to cancel<"),
            "{page}"
        );
        assert_eq!(key(&page, "cancel"), None, "it can be asked for twice");
        assert!(key(&page, "again").is_some());
    }
    assert_eq!(list(&mut ann, "/orders").await.matches("cancellation asked for").count(), 2);
    assert_eq!(to_do(&app, "cancellations"), ["#1", "#2"]);
    let said = app.done(&["orders", "cancellations"]);
    assert!(said.contains(ANN) && said.contains("€29.90") && said.contains("processing"), "{said}");
    let letter = letter(&app, ANN, "You asked to cancel an order").await;
    assert!(letter.text.contains("cancel order #") && letter.html.contains("cancel order #"));
}

#[tokio::test]
async fn mail_about_orders_goes_to_verified_addresses_only() {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true")]).await;
    let mut ann = app.customer(ANN).await;
    let mut bob = app.verified_customer(BOB).await;
    for visitor in [&mut ann, &mut bob] {
        let newest = numbers(&list(visitor, "/orders").await)[0].clone();
        assert_eq!(press(visitor, &newest, "cancel").await.status, 303);
        again(visitor, &newest).await;
    }
    // Letters leave one after another, so Ann's would have come before Bob's last.
    letter(&app, BOB, "Your order is placed").await;
    let anns: Vec<String> =
        sent(&app).into_iter().filter(|letter| letter.to == ANN).map(|letter| letter.subject).collect();
    assert_eq!(anns, ["Confirm your e-mail address"]);
}

#[tokio::test]
async fn an_order_that_left_the_shop_cannot_be_cancelled_and_the_page_says_why() {
    let over = |number: &str, fulfillment: &str| order(number, ANN).with("Fulfillment Status", fulfillment);
    let cases = [
        (over("#1", "fulfilled"), "on its way"),
        (over("#2", "partial"), "on its way"),
        (over("#3", "delivered"), "has arrived"),
        (over("#4", "unfulfilled").with("Cancelled at", "2024-03-02 10:00:00 +0000"), "cancelled already"),
        (over("#5", "unfulfilled").with("Financial Status", "refunded"), "refunded already"),
    ];
    let (app, mut ann) = app_with(&cases.clone().map(|(row, _)| row)).await;
    for (index, (_, reason)) in cases.into_iter().enumerate() {
        let path = format!("/orders/{}", index + 1);
        assert_eq!(key(&list(&mut ann, &path).await, "cancel"), None, "{path} offers it");
        let answer = ann.post(&format!("{path}/cancel"), &[("key", "a-key-of-my-own")]).await;
        assert!(answer.is_page(422), "{path}: {}", answer.status);
        let page = answer.text();
        assert!(page.contains("role=\"alert\"") && page.contains(reason), "{path}:\n{page}");
        assert!(page.contains(&format!("<h1>Order #{}</h1>", index + 1)), "the order is not shown again");
    }
    assert_eq!(to_do(&app, "cancellations"), Vec::<String>::new());
    assert_eq!(count(&app, "SELECT COUNT(*) FROM orders WHERE cancellation_asked_at IS NOT NULL").await, 0);
}

#[tokio::test]
async fn what_the_shop_did_meanwhile_comes_first() {
    let (app, mut ann) = app_with(&[waiting("#1", ANN), waiting("#2", ANN)]).await;
    let stale = key(&list(&mut ann, "/orders/1").await, "cancel").unwrap();
    press(&mut ann, "2", "cancel").await;
    import(&app, &[order("#1", ANN), order("#2", ANN)]);
    let refused = ann.post("/orders/1/cancel", &[("key", &stale)]).await;
    assert!(refused.is_page(422) && refused.text().contains("on its way"), "{}", refused.text());
    assert!(refused.text().contains("status-sent"), "the page does not show what the shop did");
    assert_eq!(to_do(&app, "cancellations"), Vec::<String>::new(), "what is sent cannot be stopped any more");
    let page = list(&mut ann, "/orders/2").await;
    assert!(!page.contains("You asked to cancel this order on") && page.contains(">You asked to cancel<"), "{page}");
    assert!(!list(&mut ann, "/orders").await.contains("cancellation asked for"));
    // Should the shop take it back, the wish still stands.
    import(&app, &[waiting("#2", ANN)]);
    assert_eq!(to_do(&app, "cancellations"), ["#2"]);
    import(&app, &[waiting("#2", ANN).with("Cancelled at", "2024-03-09 10:00:00 +0000")]);
    assert_eq!(to_do(&app, "cancellations"), Vec::<String>::new());
}

/// Sends the form eight times at once.
async fn eightfold(visitor: &Visitor, path: &str, key: &str) -> Vec<Answer> {
    let request = || visitor.request(Method::POST, path).form(&[("key", key)]);
    let sendings: Vec<_> = (0..8).map(|_| tokio::spawn(send(request()))).collect();
    let mut answers = Vec::new();
    for sending in sendings {
        answers.push(sending.await.unwrap());
    }
    answers
}

#[tokio::test]
async fn a_form_that_is_sent_again_is_done_once() {
    let (app, mut ann) = app_with(&[waiting("#1", ANN)]).await;
    let page = list(&mut ann, "/orders/1").await;
    for action in ["again", "cancel"] {
        let (path, key) = (format!("/orders/1/{action}"), key(&page, action).unwrap());
        let mut answers = eightfold(&ann, &path, &key).await;
        answers.push(ann.post(&path, &[("key", &key)]).await);
        let first = answers[0].leads_to();
        assert_eq!(first.0, 303, "{action}: {}", answers[0].text());
        for answer in &answers {
            assert_eq!(answer.leads_to(), first, "{action}: {}", answer.text());
        }
    }
    assert_eq!(numbers(&list(&mut ann, "/orders").await).len(), 2, "one order was placed, and one was there");
    all_mail_has_left(&app).await;
    let subjects: Vec<String> = sent(&app).into_iter().map(|letter| letter.subject).collect();
    for subject in ["Your order is placed", "You asked to cancel an order"] {
        assert_eq!(subjects.iter().filter(|sent| *sent == subject).count(), 1, "{subject}: {subjects:?}");
    }
}

#[tokio::test]
async fn two_open_pages_ask_to_cancel_one_order_once() {
    let (app, mut ann) = app_with(&[waiting("#1", ANN)]).await;
    let (one, other) = (list(&mut ann, "/orders/1").await, list(&mut ann, "/orders/1").await);
    let keys = [key(&one, "cancel").unwrap(), key(&other, "cancel").unwrap()];
    assert_ne!(keys[0], keys[1]);
    for key in &keys {
        assert_eq!(ann.post("/orders/1/cancel", &[("key", key)]).await.leads_to(), (303, "/orders/1"));
    }
    assert_eq!(to_do(&app, "cancellations"), ["#1"]);
}

#[tokio::test]
async fn the_operators_lists_head_each_column_by_what_it_holds() {
    let (app, mut ann) = app_with(&[waiting("#1", ANN)]).await;
    again(&mut ann, "1").await;
    press(&mut ann, "1", "cancel").await;
    for (list, when) in [("placed", "PLACED"), ("cancellations", "ASKED")] {
        let said = app.done(&["orders", list]);
        let columns: Vec<&str> = said.lines().next().unwrap().split_whitespace().collect();
        assert_eq!(columns, ["ORDER", "CUSTOMER", when, "STATUS", "TOTAL", "REPEATS"]);
    }
}

#[tokio::test]
async fn a_key_serves_one_form_only() {
    let (app, mut ann) = app_with(&[waiting("#1", ANN), waiting("#2", ANN), waiting("#3", BOB)]).await;
    let key = key(&list(&mut ann, "/orders/1").await, "again").unwrap();
    assert_eq!(ann.post("/orders/1/again", &[("key", &key)]).await.status, 303);
    for path in ["/orders/1/cancel", "/orders/2/again", "/orders/2/cancel"] {
        let answer = ann.post(path, &[("key", &key)]).await;
        assert!(answer.is_page(400) && answer.text().contains("load the order again"), "{path}: {}", answer.text());
    }
    assert_eq!(to_do(&app, "cancellations"), Vec::<String>::new());
    assert_eq!(to_do(&app, "placed").len(), 1);
    // Another customer's keys are their own, even when they are the same.
    let mut bob = app.verified_customer(BOB).await;
    assert_eq!(bob.post("/orders/3/again", &[("key", &key)]).await.status, 303);
    assert_eq!(to_do(&app, "placed").len(), 2);
}

#[tokio::test]
async fn forms_without_a_proper_key_are_refused() {
    let (app, mut ann) = app_with(&[waiting("#1", ANN)]).await;
    let long = "a".repeat(65);
    for action in ["again", "cancel"] {
        let path = format!("/orders/1/{action}");
        for key in ["", "short", "has spaces in it", "nul\0nul\0nul", "ключ-ключ", "key'; --", &long] {
            assert!(ann.post(&path, &[("key", key)]).await.is_page(400), "{action} with {key:?}");
        }
        assert!(ann.post(&path, &[]).await.is_page(400), "{action} without a key");
        assert!(ann.post(&path, &[("key", "one-good-key"), ("key", "another-key")]).await.is_page(400));
        assert_eq!(
            ann.get(&path).await.leads_to(),
            (303, "/orders/1"),
            "{action}: whoever loads it again sees the order"
        );
    }
    assert_eq!(
        count(
            &app,
            "SELECT COUNT(*) FROM orders WHERE cancellation_asked_at IS NOT NULL OR reordered_from IS NOT NULL"
        )
        .await,
        0
    );
}

#[tokio::test]
async fn nobody_acts_on_another_customers_order() {
    let (app, mut ann) = app_with(&[waiting("#1", ANN), waiting("#2", BOB)]).await;
    app.verified_customer(BOB).await;
    for number in ["2", "3", "%23", "%00"] {
        for action in ["again", "cancel"] {
            let answer = ann.post(&format!("/orders/{number}/{action}"), &[("key", "a-key-of-my-own")]).await;
            assert!(answer.is_page(404), "{action} {number}: {}", answer.status);
        }
    }
    for action in ["again", "cancel"] {
        let answer = app.visitor().post(&format!("/orders/1/{action}"), &[("key", "a-key-of-my-own")]).await;
        assert!(answer.status == 303 && answer.header("location").unwrap().starts_with("/login"), "{}", answer.status);
    }
    assert_eq!(
        count(
            &app,
            "SELECT COUNT(*) FROM orders WHERE cancellation_asked_at IS NOT NULL OR reordered_from IS NOT NULL"
        )
        .await,
        0
    );
}

#[tokio::test]
async fn forged_requests_are_refused() {
    let (app, mut ann) = app_with(&[waiting("#1", ANN)]).await;
    let page = list(&mut ann, "/orders/1").await;
    for action in ["again", "cancel"] {
        let key = key(&page, action).unwrap();
        for (header, value) in
            [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("origin", "https://evil.example")]
        {
            let request = ann.request(Method::POST, &format!("/orders/1/{action}")).header(header, value);
            let answer = send(request.form(&[("key", &key)])).await;
            assert!(answer.is_page(403), "{action} {header}: {value}: {}", answer.status);
        }
    }
    assert_eq!(
        count(
            &app,
            "SELECT COUNT(*) FROM orders WHERE cancellation_asked_at IS NOT NULL OR reordered_from IS NOT NULL"
        )
        .await,
        0
    );
}

#[tokio::test]
async fn ordering_again_copies_what_was_bought_where_it_went_and_what_it_cost() {
    let bought = order("#1", ANN)
        .with("Discount Amount", "3.00")
        .with("Taxes", "1.00")
        .with("Total", "27.90")
        .with("Financial Status", "partially_refunded")
        .with("Refunded Amount", "5.00")
        .with("Lineitem discount", "1.50");
    let (app, mut ann) = app_with(&[bought, line("#1", ANN, "Pen")]).await;
    let number = again(&mut ann, "1").await;
    assert!(number.strip_prefix('W').is_some_and(|rest| rest.parse::<u32>().is_ok()), "{number}");
    let page = list(&mut ann, &format!("/orders/{number}")).await;
    assert!(page.contains("Your order is placed: the same again."), "no notice:\n{page}");
    assert!(page.contains("The same as <a href=\"/orders/1\">#1</a>"), "{page}");

    let token = app.api_token(ANN).await;
    let of = async |number: &str| app.api_get(&format!("/api/userOrders/{number}"), &token).await.json();
    let (old, new) = (of("1").await, of(&number).await);
    for part in
        ["lines", "shipping_address", "currency", "subtotal", "shipping", "taxes", "discount", "total", "line_count"]
    {
        assert_eq!(new[part], old[part], "{part}");
    }
    assert_eq!((&new["number"], &new["status"]), (&number.as_str().into(), &"placed".into()));
    assert_eq!((&new["payment_status"], &new["fulfillment_status"]), (&"pending".into(), &"unfulfilled".into()));
    assert!([&new["paid_at"], &new["fulfilled_at"], &new["cancelled_at"]].iter().all(|at| at.is_null()), "{new}");
    assert!(new["placed_at"].as_str() > old["placed_at"].as_str(), "{new}");
    assert!(!page.contains("Refunded"), "what went back then does not go back again:\n{page}");
    assert_eq!(numbers(&list(&mut ann, "/orders").await), [number.as_str(), "1"]);
    assert_eq!(
        numbers(&list(&mut ann, &format!("/orders?q=pen+{number}")).await),
        [number.as_str()],
        "it is not found"
    );

    let letter = letter(&app, ANN, "Your order is placed").await;
    for part in [format!("#{number}").as_str(), "order #1", "2 × Notebook, ruled", "1 × Pen", "€27.90"] {
        assert!(letter.text.contains(part) && letter.html.contains(part), "{part} is not in {}", letter.text);
    }
    let second = again(&mut ann, &number).await;
    assert_ne!(second, number, "each has a number of its own");
}

#[tokio::test]
async fn the_operator_reads_what_was_placed_until_the_shop_exports_it() {
    let (app, mut ann) = app_with(&[order("#1", ANN)]).await;
    assert!(app.done(&["orders", "placed"]).contains("no order placed here waits"));
    let (one, other) = (again(&mut ann, "1").await, again(&mut ann, "1").await);
    assert_eq!(to_do(&app, "placed"), [format!("#{one}"), format!("#{other}")]);
    let said = app.done(&["orders", "placed"]);
    assert!(said.contains(ANN) && said.contains("€29.90") && said.contains("#1"), "{said}");

    let before = app.done(&["import", "orders.csv"]);
    assert!(before.contains("0 changed"), "an export that does not know of it touches it: {before}");
    import(&app, &[order(&format!("#{one}"), ANN).with("Total", "31.00").with("Lineitem name", "Notebook, plain")]);
    assert_eq!(to_do(&app, "placed"), [format!("#{other}")]);
    let page = list(&mut ann, &format!("/orders/{one}")).await;
    assert!(page.contains("status-sent") && page.contains("€31.00") && page.contains("Notebook, plain"), "{page}");
    assert!(page.contains("The same as <a href=\"/orders/1\">"), "{page}");
    assert_eq!(numbers(&list(&mut ann, "/orders?q=plain").await), [one.as_str()]);
    assert_eq!(numbers(&list(&mut ann, "/orders").await).len(), 3);
}

#[tokio::test]
async fn numbers_that_the_shop_uses_itself_are_passed_over() {
    let (app, mut ann) = app_with(&[order("#1", ANN)]).await;
    let first: u32 = again(&mut ann, "1").await[1..].parse().unwrap();
    let taken: Vec<Row> = (1..4).map(|step| order(&format!("#W{}", first + step), BOB)).collect();
    import(&app, &taken);
    assert_eq!(again(&mut ann, "1").await, format!("W{}", first + 4));
}

#[tokio::test]
async fn the_51st_order_of_a_day_is_put_off_until_the_first_is_a_day_old() {
    let (app, mut ann) = app_with(&[order("#1", ANN), order("#2", BOB)]).await;
    let key = key(&list(&mut ann, "/orders/1").await, "again").unwrap();
    let first = again(&mut ann, "1").await;
    for index in 1..50 {
        let answer = ann.post("/orders/1/again", &[("key", &format!("order-{index:03}"))]).await;
        assert_eq!(answer.status, 303, "order {index}: {}", answer.text());
    }
    let refused = ann.post("/orders/1/again", &[("key", &key)]).await;
    assert!(refused.is_page(429), "{}", refused.status);
    let wait: i64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((86_400 - 600..=86_400).contains(&wait), "all 50 are fresh, so it takes a day: {wait}");
    assert!(refused.text().contains("in 24 hours"), "{}", refused.text());
    assert_eq!(to_do(&app, "placed").len(), 50);
    assert_eq!(ann.post("/orders/1/again", &[("key", "order-001")]).await.status, 303, "what is done stays answered");
    let mut bob = app.verified_customer(BOB).await;
    again(&mut bob, "2").await;

    let a_day_ago = "UPDATE orders SET placed_at = placed_at - 86400 WHERE number = $1";
    sqlx::query(a_day_ago).bind(first).execute(&app.database().await).await.unwrap();
    assert_eq!(ann.post("/orders/1/again", &[("key", &key)]).await.status, 303, "a day later it works");
}

#[tokio::test]
async fn customers_who_order_at_the_same_moment_get_an_order_each() {
    let app = TestApp::start().await;
    let emails: Vec<String> = (0..4).map(|index| format!("customer{index}@example.com")).collect();
    let rows: Vec<Row> = emails.iter().enumerate().map(|(index, email)| order(&format!("#{index}"), email)).collect();
    import(&app, &rows);
    let mut sendings = Vec::new();
    for (index, email) in emails.iter().enumerate() {
        let visitor = app.verified_customer(email).await;
        for turn in 0..3 {
            let key = format!("turn-{turn:03}");
            let request = visitor.request(Method::POST, &format!("/orders/{index}/again")).form(&[("key", &key)]);
            sendings.push(request);
        }
    }
    let sendings: Vec<_> = sendings.into_iter().map(|request| tokio::spawn(send(request))).collect();
    let mut placed = Vec::new();
    for sending in sendings {
        let answer = sending.await.unwrap();
        assert_eq!(answer.status, 303, "{}", answer.text());
        placed.push(answer.header("location").unwrap().to_owned());
    }
    placed.sort();
    placed.dedup();
    assert_eq!(placed.len(), 12, "two orders share a number");
    let copies = "SELECT COUNT(*) FROM orders o JOIN orders c ON c.reordered_from = o.number AND c.user_id = o.user_id";
    assert_eq!(count(&app, copies).await, 12, "someone has another's order");
}

#[tokio::test]
async fn samples_can_be_ordered_again_and_go_with_the_samples() {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true")]).await;
    let mut ann = app.customer(ANN).await;
    let newest = numbers(&list(&mut ann, "/orders").await)[0].clone();
    let number = again(&mut ann, &newest).await;
    assert_eq!(numbers(&list(&mut ann, "/orders").await)[0], number);
    assert_eq!(to_do(&app, "placed"), [format!("#{number}")]);
    import(&app, &[order("#1", ANN)]);
    app.done(&["user", "verify", ANN]);
    assert_eq!(to_do(&app, "placed"), Vec::<String>::new());
    assert_eq!(numbers(&list(&mut ann, "/orders").await), ["1"]);
    let orders: Value = app.api_get("/api/userOrders", &app.api_token(ANN).await).await.json();
    assert_eq!(orders["orders"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn asking_to_cancel_what_was_asked_for_already_leaves_nothing_behind() {
    let (app, mut ann) = app_with(&[waiting("#1", ANN)]).await;
    for number in 0..20 {
        let answer = ann.post("/orders/1/cancel", &[("key", &format!("another-key-{number}"))]).await;
        assert_eq!(answer.leads_to(), (303, "/orders/1"));
    }
    assert_eq!(count(&app, "SELECT COUNT(*) FROM idempotency_keys").await, 1);
}

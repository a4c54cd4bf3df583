//! Cancellation requests: the page, the request, its withdrawal, and the shop's answer.

use crate::actions::{SHOP, key, open, pending_requests, send_concurrently, subjects_to, submit, with_shop};
use crate::app::{ANN, BOB, TestApp};
use crate::csv_export;
use crate::mailbox;
use crate::orders::{list, numbers};
use crate::shop::{order, unsent};

const REQUESTED: &str = "<strong>Cancellation requested</strong>";

#[tokio::test]
async fn cancellation_request_reaches_page_operator_and_both_mailboxes() {
    let (app, mut ann) = with_shop(&[unsent("#1", ANN), unsent("#2", ANN).with("Financial Status", "pending")]).await;
    assert!(app.run_ok(&["orders", "cancellations"]).contains("no pending cancellation requests"));
    for number in ["1", "2"] {
        let order_page = list(&mut ann, &format!("/orders/{number}")).await;
        assert!(order_page.contains(&format!("href=\"/orders/{number}/cancel\"")), "{order_page}");
        let page = open(&mut ann, number, "cancel").await;
        for text in ["The order stays as it is until the shop answers", "Reason (optional)", "we email it to"] {
            assert!(page.contains(text), "{text}: {page}");
        }
        let fields = [("key", key(&page).unwrap()), ("reason", "Too\r\nlate & <b>".to_owned())];
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        let response = ann.post(&format!("/orders/{number}/cancel"), &fields).await;
        assert_eq!(response.redirect(), (303, format!("/orders/{number}").as_str()));
        let page = list(&mut ann, &format!("/orders/{number}")).await;
        for text in
            ["class=\"notice\"", REQUESTED, ">Cancellation requested<", "Your reason: Too late &#38; &#60;b&#62;"]
        {
            assert!(page.contains(text), "{text}: {page}");
        }
        assert!(!page.contains(&format!("/orders/{number}/cancel\"")), "a second request is offered");
        assert_eq!(ann.get(&format!("/orders/{number}/cancel")).await.redirect().0, 303);
    }
    assert_eq!(list(&mut ann, "/orders").await.matches("class=\"asked\">Cancellation requested").count(), 2);
    assert_eq!(pending_requests(&app, "cancellations"), ["#1", "#2"]);
    let output = app.run_ok(&["orders", "cancellations"]);
    for text in [ANN, "€29.90", "processing", "Too late & <b>"] {
        assert!(output.contains(text), "{output}");
    }
    mailbox::wait_for_empty_queue(&app).await;
    let mail = mailbox::mail_to(&app, ANN, "Cancellation requested: order #1").await;
    let link = format!("{}/orders/1", app.setting("PUBLIC_URL"));
    assert!(mail.text.contains(&link) && mail.html.contains(&format!("href=\"{link}\"")), "{}", mail.text);
    assert!(mail.text.contains("Your reason: Too late & <b>"), "{}", mail.text);
    let mail = mailbox::mail_to(&app, SHOP, "Cancellation requested: order #2").await;
    for text in [ANN, "Reason: Too late & <b>", "order-portal orders cancellations done"] {
        assert!(mail.text.contains(text), "{text}: {}", mail.text);
    }
}

#[tokio::test]
async fn undo_withdraws_the_request_until_the_shop_has_answered() {
    let (app, mut ann) = with_shop(&[unsent("#1", ANN), unsent("#2", ANN), order("#3", ANN)]).await;
    let first_key = key(&open(&mut ann, "1", "cancel").await).unwrap();
    assert_eq!(ann.post("/orders/1/cancel", &[("key", &first_key)]).await.status, 303);
    assert!(list(&mut ann, "/orders/1").await.contains("action=\"/orders/1/cancel/undo\""));
    for _ in 0..2 {
        assert_eq!(ann.post("/orders/1/cancel/undo", &[]).await.redirect(), (303, "/orders/1"));
        let page = list(&mut ann, "/orders/1").await;
        assert!(page.contains("Your cancellation request was withdrawn") && !page.contains(REQUESTED), "{page}");
        assert!(page.contains("href=\"/orders/1/cancel\""), "a new request is not offered");
    }
    assert_eq!(pending_requests(&app, "cancellations"), Vec::<String>::new());
    assert!(!list(&mut ann, "/orders").await.contains("Cancellation requested</span>"));
    // The form of the withdrawn request, sent again, makes no new one and does not claim it.
    assert_eq!(ann.post("/orders/1/cancel", &[("key", &first_key)]).await.status, 303);
    let page = list(&mut ann, "/orders/1").await;
    assert!(!page.contains(REQUESTED) && !page.contains("was sent to the shop"), "{page}");
    assert_eq!(submit(&mut ann, "1", "cancel").await.status, 303);
    assert_eq!(pending_requests(&app, "cancellations"), ["#1"]);

    assert_eq!(submit(&mut ann, "2", "cancel").await.status, 303);
    app.run_ok(&["orders", "cancellations", "decline", "2"]);
    let rejected = ann.post("/orders/2/cancel/undo", &[]).await;
    assert!(rejected.is_page(422) && rejected.text().contains("The shop declined the cancellation on"));
    app.import(&[order("#1", ANN)]);
    let rejected = ann.post("/orders/1/cancel/undo", &[]).await;
    assert!(rejected.is_page(422) && rejected.text().contains("on its way"), "{}", rejected.text());
    let subjects = subjects_to(&app, SHOP).await;
    let requested = "Cancellation requested: order #1";
    let withdrawn = "Cancellation request withdrawn: order #1";
    assert_eq!(subjects, [requested, withdrawn, requested, "Cancellation requested: order #2"]);
    assert!(subjects_to(&app, ANN).await.contains(&withdrawn.to_owned()));
}

#[tokio::test]
async fn answer_reaches_the_order_page_and_the_mailbox() {
    let (app, mut ann) = TestApp::start_with_orders(&[unsent("#1", ANN), unsent("#2", ANN)]).await;
    let token = app.api_token(ANN).await;
    for (number, command, word, answer) in
        [("1", "done", "accepted", "accepted"), ("2", "decline", "declined", "declined")]
    {
        let none = app.run(&["orders", "cancellations", command, number]);
        assert!(none.is_one_line_error(1) && none.stderr.contains("has no cancellation request"), "{none:?}");
        submit(&mut ann, number, "cancel").await;
        let output = app.run_ok(&["orders", "cancellations", command, &format!("#{number}")]);
        assert!(output.contains(&format!("order #{number} is {word}; a mail to the customer is queued")), "{output}");
        let page = list(&mut ann, &format!("/orders/{number}")).await;
        assert!(page.contains(&format!("<strong>The shop {word} the cancellation</strong> on ")), "{page}");
        // Only the shop's export changes the status.
        assert!(page.contains("status-processing") && !page.contains("/cancel"), "{page}");
        let json = app.api_get(&format!("/api/userOrders/{number}"), &token).await.json();
        assert_eq!((&json["status"], &json["cancellation_answer"]), (&"processing".into(), &answer.into()));
        let again = app.run(&["orders", "cancellations", "done", number]);
        assert!(
            again.is_one_line_error(1) && again.stderr.contains(&format!("answered already: {answer}")),
            "{again:?}"
        );
        let rejected = ann.post(&format!("/orders/{number}/cancel"), &[("key", "a-generated-key")]).await;
        assert!(rejected.is_page(422) && rejected.text().contains(&format!("The shop {word}")), "{}", rejected.text());
        let opened = ann.get(&format!("/orders/{number}/cancel")).await;
        assert!(opened.is_page(200) && opened.text().contains(&format!("The shop {word} the cancellation on")));
        let mail = mailbox::mail_to(&app, ANN, &format!("Cancellation {word}: order #{number}")).await;
        assert!(mail.text.contains(&format!("/orders/{number}")), "{}", mail.text);
        let shown = app.run_ok(&["orders", "show", number]);
        assert!(shown.contains(&format!("answer        {answer} 20")), "{shown}");
    }
    assert_eq!(pending_requests(&app, "cancellations"), Vec::<String>::new());
    assert!(!list(&mut ann, "/orders").await.contains("Cancellation requested</span>"));
    // The export decides.
    let cancelled = |number| unsent(number, ANN).with("Cancelled at", "2024-03-09 10:00:00 +0000");
    app.import(&[cancelled("#1"), order("#2", ANN)]);
    for number in ["1", "2"] {
        let page = list(&mut ann, &format!("/orders/{number}")).await;
        assert!(!page.contains("class=\"asked\"") && page.contains("by the shop</span>"), "{page}");
    }
    let settled = app.run(&["orders", "cancellations", "done", "2"]);
    assert!(settled.is_one_line_error(1) && settled.stderr.contains("answered already"), "{settled:?}");
}

#[tokio::test]
async fn answer_to_a_number_of_several_orders_changes_nothing() {
    let app = TestApp::start_with(&[("SHOP_CONTACT", "help@shop.example")]).await;
    let mut ann = app.verified_customer(ANN).await;
    for shop in ["North", "South"] {
        app.write("orders.csv", crate::shop::export(&[unsent("#1", ANN)]));
        app.run_ok(&["import", "--shop", shop, "orders.csv"]);
    }
    submit(&mut ann, "1", "cancel").await;
    let ambiguous = app.run(&["orders", "cancellations", "done", "1"]);
    assert!(ambiguous.is_one_line_error(1) && ambiguous.stderr.contains("several orders have the number 1"));
    assert_eq!(pending_requests(&app, "cancellations"), ["#1"]);
    let ids: Vec<&str> = ambiguous.stderr.split(" (#1").filter_map(|part| part.rsplit(' ').next()).collect();
    let answers: Vec<i32> =
        ids[..2].iter().map(|id| app.run(&["orders", "cancellations", "done", id]).status).collect();
    assert_eq!(answers.iter().sum::<i32>(), 1, "one of two orders has a request: {answers:?}");
    let (id, shop) = if answers[0] == 0 { (ids[0], "North") } else { (ids[1], "South") };
    let subject = format!("Cancellation requested: order #1 (Id {id}, {shop})");
    mailbox::mail_to(&app, "help@shop.example", &subject).await;
    assert_eq!(pending_requests(&app, "cancellations"), Vec::<String>::new());
    for number in ["nothing", "", "%"] {
        let unknown = app.run(&["orders", "cancellations", "decline", number]);
        assert!(unknown.is_one_line_error(1), "{number}: {unknown:?}");
    }
}

#[tokio::test]
async fn answer_to_a_sample_is_not_mailed_to_an_unconfirmed_address() {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true")]).await;
    let mut ann = app.customer(ANN).await;
    let newest = numbers(&list(&mut ann, "/orders").await)[0].clone();
    app.customer(BOB).await;
    submit(&mut ann, &newest, "cancel").await;
    let output = app.run_ok(&["orders", "cancellations", "decline", &newest]);
    assert!(output.contains("no mail is sent"), "{output}");
    assert!(list(&mut ann, &format!("/orders/{newest}")).await.contains("The shop declined the cancellation"));
    assert_eq!(subjects_to(&app, ANN).await, [mailbox::CONFIRM]);
}

#[tokio::test]
async fn of_undo_and_answer_at_the_same_time_one_takes_effect() {
    let rows: Vec<_> = (0..6).map(|index| unsent(&format!("#{index}"), ANN)).collect();
    let (app, mut ann) = TestApp::start_with_orders(&rows).await;
    for number in 0..6 {
        let number = number.to_string();
        submit(&mut ann, &number, "cancel").await;
        let path = format!("/orders/{number}/cancel/undo");
        let mut command = app.command(&["orders", "cancellations", "done", &number]);
        let command = tokio::task::spawn_blocking(move || command.output().unwrap());
        let (responses, answer) = tokio::join!(send_concurrently(&ann, &path, &[]), command);
        let answer = answer.unwrap();
        let is_undone = responses.iter().filter(|response| response.status == 303).count();
        let page = list(&mut ann, &format!("/orders/{number}")).await;
        if answer.status.success() {
            assert_eq!(is_undone, 0, "an undo and the answer took effect");
            assert!(page.contains("The shop accepted"), "{page}");
        } else {
            assert_eq!(is_undone, 8, "neither the undo nor the answer took effect");
            assert!(!page.contains("class=\"asked\""), "{page}");
        }
    }
}

#[tokio::test]
async fn requests_are_a_filter_of_page_api_and_csv() {
    let rows = [unsent("#1", ANN), unsent("#2", ANN), unsent("#3", ANN), order("#4", ANN), unsent("#5", ANN)];
    let (app, mut ann) = TestApp::start_with_orders(&rows).await;
    for number in ["1", "2", "3"] {
        submit(&mut ann, number, "cancel").await;
    }
    app.run_ok(&["orders", "cancellations", "decline", "2"]);
    app.import(&[order("#3", ANN)]);
    let query = "status=cancellation_requested";
    let page = list(&mut ann, &format!("/orders?{query}")).await;
    assert_eq!(numbers(&page), ["1"]);
    assert!(
        page.contains("<option value=\"cancellation_requested\" selected>Cancellation requested</option>"),
        "{page}"
    );
    assert!(page.contains("1 order, €29.90"), "{page}");
    let token = app.api_token(ANN).await;
    let orders = app.api_get(&format!("/api/userOrders?{query}"), &token).await.json();
    assert_eq!(orders["orders"].as_array().unwrap().len(), 1);
    assert!(orders["orders"][0]["cancellation_requested_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(csv_export::rows(&ann.get(&format!("/orders.csv?{query}")).await).len(), 1);
    assert_eq!(ann.post("/orders/1/cancel/undo", &[]).await.status, 303);
    assert!(list(&mut ann, &format!("/orders?{query}")).await.contains("No matching orders"));
    let json = app.api_get("/api/userOrders/1", &token).await.json();
    assert!(json["cancellation_requested_at"].is_null() && json["cancellation_answer"].is_null(), "{json}");
}

#[tokio::test]
async fn reason_of_more_than_500_characters_is_422() {
    let (app, mut ann) = TestApp::start_with_orders(&[unsent("#1", ANN)]).await;
    let long = "é".repeat(501);
    let response = ann.post("/orders/1/cancel", &[("key", "a-generated-key"), ("reason", &long)]).await;
    let page = response.text();
    assert!(response.is_page(422) && page.contains("id=\"reason-error\"") && page.contains(&long), "{page}");
    assert_eq!(app.count("orders WHERE cancellation_asked_at IS NOT NULL").await, 0);
    let reason = "é".repeat(500);
    let response = ann.post("/orders/1/cancel", &[("key", "a-generated-key"), ("reason", &reason)]).await;
    assert_eq!(response.status, 303);
}

#[tokio::test]
async fn sent_order_cannot_be_cancelled_and_the_page_says_why() {
    let processed = |number: &str, fulfillment: &str| order(number, ANN).with("Fulfillment Status", fulfillment);
    let cases = [
        (processed("#1", "fulfilled"), "on its way"),
        (processed("#2", "partial"), "on its way"),
        (processed("#3", "delivered"), "was delivered"),
        (processed("#4", "unfulfilled").with("Cancelled at", "2024-03-02 10:00:00 +0000"), "already cancelled"),
        (processed("#5", "unfulfilled").with("Financial Status", "refunded"), "already refunded"),
    ];
    let (app, mut ann) = TestApp::start_with_orders(&cases.clone().map(|(row, _)| row)).await;
    for (index, (_, reason)) in cases.into_iter().enumerate() {
        let path = format!("/orders/{}", index + 1);
        assert!(!list(&mut ann, &path).await.contains("/cancel"), "{path} offers a cancellation");
        let opened = ann.get(&format!("{path}/cancel")).await;
        let response = ann.post(&format!("{path}/cancel"), &[("key", "a-generated-key")]).await;
        assert!(opened.is_page(200) && response.is_page(422), "{path}: {} {}", opened.status, response.status);
        for page in [opened.text(), response.text()] {
            assert!(page.contains("role=\"alert\"") && page.contains(reason), "{path}:\n{page}");
            assert!(page.contains(&format!("<h1>Order #{}</h1>", index + 1)), "the order is not shown");
        }
    }
    assert_eq!(pending_requests(&app, "cancellations"), Vec::<String>::new());
    assert_eq!(app.count("orders WHERE cancellation_asked_at IS NOT NULL").await, 0);
}

#[tokio::test]
async fn import_after_page_load_decides_about_a_cancellation() {
    let (app, mut ann) = TestApp::start_with_orders(&[unsent("#1", ANN), unsent("#2", ANN)]).await;
    let stale = key(&open(&mut ann, "1", "cancel").await).unwrap();
    submit(&mut ann, "2", "cancel").await;
    app.import(&[order("#1", ANN), order("#2", ANN)]);
    let rejected = ann.post("/orders/1/cancel", &[("key", &stale)]).await;
    assert!(rejected.is_page(422) && rejected.text().contains("on its way"), "{}", rejected.text());
    assert!(rejected.text().contains("status-sent"), "the page does not show the new status");
    assert_eq!(pending_requests(&app, "cancellations"), Vec::<String>::new(), "a sent order is pending");
    let settled = app.run(&["orders", "cancellations", "done", "2"]);
    assert!(settled.is_one_line_error(1) && settled.stderr.contains("is settled: its status is sent"), "{settled:?}");
    let page = list(&mut ann, "/orders/2").await;
    assert!(!page.contains(REQUESTED) && page.contains(">Cancellation requested<"), "{page}");
    assert!(!list(&mut ann, "/orders").await.contains("Cancellation requested</span>"));
    // A withdrawn shipment makes the request pending again.
    app.import(&[unsent("#2", ANN)]);
    assert_eq!(pending_requests(&app, "cancellations"), ["#2"]);
    app.import(&[unsent("#2", ANN).with("Cancelled at", "2024-03-09 10:00:00 +0000")]);
    assert_eq!(pending_requests(&app, "cancellations"), Vec::<String>::new());
}

#[tokio::test]
async fn cancellation_from_two_pages_is_one_request() {
    let (app, mut ann) = with_shop(&[unsent("#1", ANN)]).await;
    let keys =
        [open(&mut ann, "1", "cancel").await, open(&mut ann, "1", "cancel").await].map(|page| key(&page).unwrap());
    assert_ne!(keys[0], keys[1]);
    for key in &keys {
        assert_eq!(ann.post("/orders/1/cancel", &[("key", key)]).await.redirect(), (303, "/orders/1"));
    }
    for number in 0..20 {
        let response = ann.post("/orders/1/cancel", &[("key", &format!("another-key-{number}"))]).await;
        assert_eq!(response.redirect(), (303, "/orders/1"));
    }
    assert_eq!(app.count("idempotency_keys").await, 1, "repeated requests are stored");
    assert_eq!(pending_requests(&app, "cancellations"), ["#1"]);
    assert_eq!(subjects_to(&app, SHOP).await, ["Cancellation requested: order #1"]);
}

#[tokio::test]
async fn rate_limit_allows_50_cancellation_requests_in_24_hours() {
    let (app, mut ann) = with_shop(&[unsent("#1", ANN)]).await;
    for index in 0..50 {
        let response = ann.post("/orders/1/cancel", &[("key", &format!("cancel-{index:03}"))]).await;
        assert_eq!(response.status, 303, "request {index}: {}", response.text());
        assert_eq!(ann.post("/orders/1/cancel/undo", &[]).await.status, 303);
    }
    let rejected = ann.post("/orders/1/cancel", &[("key", "cancel-050")]).await;
    assert!(rejected.is_page(429) && rejected.header("retry-after").is_some(), "{}", rejected.status);
    assert_eq!(app.count("orders WHERE cancellation_asked_at IS NOT NULL").await, 0);
    app.execute("UPDATE idempotency_keys SET created_at = created_at - 86400").await;
    assert_eq!(ann.post("/orders/1/cancel", &[("key", "cancel-050")]).await.status, 303);
}

#[tokio::test]
async fn requests_are_not_mailed_to_a_contact_page() {
    let app = TestApp::start_with(&[("SHOP_CONTACT", "https://shop.example/contact")]).await;
    let mut ann = app.verified_customer(ANN).await;
    app.import(&[unsent("#1", ANN)]);
    submit(&mut ann, "1", "cancel").await;
    mailbox::wait_for_empty_queue(&app).await;
    assert!(mailbox::mails(&app).iter().all(|mail| mail.to == ANN));
}

#[tokio::test]
async fn request_of_a_former_owner_does_not_pass_to_the_next_one() {
    let (app, mut ann) = with_shop(&[unsent("#1", ANN), unsent("#2", ANN)]).await;
    let mut bob = app.verified_customer(BOB).await;
    for number in ["1", "2"] {
        let key = key(&open(&mut ann, number, "cancel").await).unwrap();
        let fields = [("key", key.as_str()), ("reason", "It is a present for Bob")];
        assert_eq!(ann.post(&format!("/orders/{number}/cancel"), &fields).await.status, 303);
    }
    assert_eq!(pending_requests(&app, "cancellations"), ["#1", "#2"]);
    app.import(&[unsent("#1", BOB), unsent("#2", ANN)]);
    app.run_ok(&["user", "link", BOB, "2"]);
    for number in ["1", "2"] {
        let page = list(&mut bob, &format!("/orders/{number}")).await;
        assert!(!page.contains("a present for Bob") && !page.contains(REQUESTED), "{number}: {page}");
        assert!(page.contains(&format!("/orders/{number}/cancel")), "{number} cannot be cancelled: {page}");
    }
    assert_eq!(pending_requests(&app, "cancellations"), Vec::<String>::new());
}

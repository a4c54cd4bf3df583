//! Filters with unknown or invalid values, and malformed cursors.

use crate::app::{ANN, BOB, TestApp};
use crate::csv_export::rows;
use crate::filters::parameter;
use crate::orders::{link, list, numbers};
use crate::shop;

#[tokio::test]
async fn unknown_code_in_a_filter_is_ignored_with_a_notice() {
    let (app, mut ann) = TestApp::start_with_orders(&shop::orders(25, ANN)).await;
    let without_filter = numbers(&list(&mut ann, "/orders").await);
    assert_eq!(without_filter.len(), 20);
    for (query, notice) in [
        ("status=lost", "unknown status. The list is shown without it."),
        ("status=SENT", "unknown status. "),
        ("status=%22%3E%3Cb%3E", "unknown status. "),
        ("sort=random", "unknown sort order. "),
        ("sort=newest%00", "unknown sort order. "),
        ("period=soon", "unknown period. "),
        ("status=lost&sort=random", "unknown status and sort order. The list is shown without them."),
        ("status=lost&sort=random&period=soon", "unknown status, period and sort order. "),
    ] {
        // The second response must not differ: the first is not kept in memory.
        for _ in 0..2 {
            let page = list(&mut ann, &format!("/orders?{query}")).await;
            assert!(page.contains("<p class=\"notice\" role=\"status\"") && page.contains(notice), "{query}:\n{page}");
            assert_eq!(numbers(&page), without_filter, "{query}");
            assert!(!page.contains(" selected>"), "{query}:\n{page}");
            let next = list(&mut ann, &link(&page, "next").unwrap()).await;
            assert!(!next.contains("class=\"notice\""), "the link to the next page keeps {query}");
        }
    }
    let known_part = list(&mut ann, "/orders?status=lost&sort=oldest&period=soon&to=2024-01-01").await;
    assert!(known_part.contains("unknown status and period. ") && known_part.contains("value=\"2024-01-01\""));
    assert_eq!(numbers(&known_part)[0], "5000");
    assert!(known_part.contains(">24 orders, "), "the dates are ignored, too:\n{known_part}");
    let invalid = ann.get("/orders?status=lost&from=x").await;
    assert!(invalid.is_page(422) && invalid.text().contains("unknown status. "), "{}", invalid.text());
    assert!(ann.get("/orders?status=lost&after=x").await.is_page(400), "a malformed cursor");
    assert!(!list(&mut ann, "/orders").await.contains("class=\"notice\""));
    let mut bob = app.customer(BOB).await;
    bob.get("/orders").await;
    let none = list(&mut bob, "/orders?status=lost").await;
    assert!(none.contains("unknown status. ") && none.contains("No orders yet"), "{none}");
}

#[tokio::test]
async fn repeated_filter_is_400_and_unknown_one_only_in_the_api() {
    let (app, mut ann) = TestApp::start_with_orders(&shop::orders(3, ANN)).await;
    let token = app.api_token(ANN).await;
    for (query, expected) in [
        (
            "status=lost",
            "takes one of placed, processing, partly_sent, sent, delivered, cancelled, refunded, payment_voided, expired, cancellation_requested",
        ),
        ("status=SENT", "takes one of"),
        ("sort=random", "takes one of newest, oldest, highest, lowest"),
        ("sort=newest%00", "takes one of"),
        ("period=soon", "takes one of this-year, last-year, range"),
        ("q=a&q=b", "once"),
        ("status=sent&status=placed", "once"),
    ] {
        if expected == "once" {
            let page = ann.get(&format!("/orders?{query}")).await;
            assert!(page.is_page(400) && page.text().contains(expected), "{query}: {} {}", page.status, page.text());
        }
        let export = ann.get(&format!("/orders.csv?{query}")).await;
        if expected == "once" {
            assert!(
                export.is_page(400) && export.header("content-disposition").is_none(),
                "{query}: {}",
                export.status
            );
        } else {
            assert_eq!((export.status, rows(&export).len()), (200, 3), "{query}: the export is not that of the list");
        }
        let problem = app.api_get(&format!("/api/userOrders?{query}"), &token).await;
        assert!(problem.is_problem(400) && problem.text().contains(expected), "{query}: {}", problem.text());
    }
}

#[tokio::test]
async fn invalid_filter_is_422_with_a_message_at_its_field() {
    let (app, mut ann) = TestApp::start_with_orders(&shop::orders(3, ANN)).await;
    let token = app.api_token(ANN).await;
    let (long, many) = ("q".repeat(201), "a b c d e f g h i j k");
    let all = numbers(&ann.get("/orders?sort=oldest").await.text());
    assert_eq!(all.len(), 3);
    for (query, field, value) in [
        (parameter("from", "31.12.2024"), "from", "31.12.2024"),
        (parameter("from", "2024-02-30"), "from", "2024-02-30"),
        (parameter("from", "0"), "from", "0"),
        (parameter("from", "+2024-01-01"), "from", "+2024-01-01"),
        (parameter("from", "1969-12-31"), "from", "1969-12-31"),
        (parameter("to", "0002-01-01"), "to", "0002-01-01"),
        (parameter("to", "2024-13-01"), "to", "2024-13-01"),
        (parameter("to", "99999-01-01"), "to", "99999-01-01"),
        (parameter("to", "\u{664}"), "to", "\u{664}"),
        ("from=2024-03-02&to=2024-03-01".to_owned(), "to", "2024-03-01"),
        (parameter("q", &long), "q", &long),
        (parameter("q", many), "q", many),
    ] {
        let response = ann.get(&format!("/orders?{query}&sort=oldest")).await;
        assert!(response.is_page(422), "{query}: {}", response.status);
        let page = response.text();
        let input = page.split(&format!("<input id=\"{field}\"")).nth(1).unwrap().split('>').next().unwrap();
        assert!(input.contains(&format!("value=\"{value}\"")), "{query}: {input}");
        assert!(input.contains("aria-invalid=\"true\"") && input.contains("autofocus"), "{query}: {input}");
        assert!(page.contains(&format!("<a href=\"#{field}\">")), "{query}: no link to the field:\n{page}");
        assert!(page.contains("<option value=\"oldest\" selected>"), "the form does not keep the sort");
        let valid_rest = if query.starts_with("from=2024-03-02") { &[][..] } else { &all };
        assert_eq!(numbers(&page), valid_rest, "{query}: the list is not that of the valid rest");
        let problem = app.api_get(&format!("/api/userOrders?{query}"), &token).await;
        assert!(problem.is_problem(400) && problem.text().contains(&format!("{field}: ")), "{}", problem.text());
        assert!(ann.get(&format!("/orders.csv?{query}")).await.is_page(400));
    }
    let both = ann.get("/orders?from=x&to=y").await.text();
    assert_eq!(both.matches("aria-invalid").count(), 2);
    assert_eq!(both.matches("autofocus").count(), 1, "two fields have autofocus");
}

#[tokio::test]
async fn invalid_filter_keeps_the_list_of_the_valid_rest_and_its_links() {
    let (_app, mut ann) = TestApp::start_with_orders(&shop::orders(25, ANN)).await;
    let valid = ann.get("/orders?status=sent&sort=oldest").await.text();
    let partly = ann.get("/orders?status=sent&sort=oldest&from=31.12.2024").await;
    assert!(partly.is_page(422), "{}", partly.status);
    assert_eq!((numbers(&partly.text()), numbers(&valid).len()), (numbers(&valid), 20));
    let next = link(&partly.text(), "next").unwrap();
    assert!(!next.contains("from="), "the next page is that of the invalid filter: {next}");
    assert_eq!(numbers(&ann.get(&next).await.text()).len(), 5);
    let first_only = ann.get("/orders?from=2024-01-02&to=2024-01-01").await;
    assert!(first_only.is_page(422));
    assert_eq!(numbers(&first_only.text()), numbers(&ann.get("/orders?from=2024-01-02").await.text()));
}

#[tokio::test]
async fn malformed_or_foreign_cursor_is_400() {
    let (app, mut ann) = TestApp::start_with_orders(&shop::orders(25, ANN)).await;
    let token = app.api_token(ANN).await;
    let first = list(&mut ann, "/orders").await;
    let (_, cursor) =
        link(&first, "next").unwrap().split_once("after=").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert_eq!(
        ann.get(&format!("/orders?sort=oldest&after={cursor}")).await.status,
        200,
        "the cursor is rejected for the opposite order"
    );
    let middle = cursor.len() / 2;
    let not_plain = format!("{}.{}", &cursor[..middle], &cursor[middle + 1..]);
    for (query, cursor) in [
        ("", &cursor[..cursor.len() - 1]),
        ("", &cursor[1..]),
        ("", &not_plain),
        ("", &format!("{cursor}0")),
        ("", &cursor.to_uppercase()),
        ("sort=highest&", &cursor),
        ("sort=lowest&", &cursor),
        ("", ""),
        ("", "%00"),
        ("", "%F0%9F%A6%86"),
        ("", "%ff"),
        ("", "-1"),
        ("", "1_2_3"),
        ("", "99999999999999999999999999"),
    ] {
        for name in ["after", "before"] {
            let response = ann.get(&format!("/orders?{query}{name}={cursor}")).await;
            assert!(response.is_page(400), "{query}{name}={cursor}: {}", response.status);
        }
        let response = app.api_get(&format!("/api/userOrders?{query}after={cursor}"), &token).await;
        assert!(response.is_problem(400), "{query}after={cursor}: {}", response.text());
    }
    for query in [format!("after={cursor}&before={cursor}"), format!("after={cursor}&after={cursor}")] {
        assert!(ann.get(&format!("/orders?{query}")).await.is_page(400), "{query}");
    }
}

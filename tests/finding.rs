//! Finding orders: by words, status and dates, in each order, with what they come to.

use time::OffsetDateTime;

use crate::app::TestApp;
use crate::http::Visitor;
use crate::orders::{import, link, list, numbers};
use crate::shop::{self, Row, export, line, order};

const ANN: &str = "ann@example.com";

/// A query of an address, its value escaped.
fn asking(name: &str, value: &str) -> String {
    let value = percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
    format!("{name}={value}")
}

pub async fn app_with(rows: &[Row]) -> (TestApp, Visitor) {
    let app = TestApp::start().await;
    let ann = app.verified_customer(ANN).await;
    import(&app, rows);
    (app, ann)
}

/// The numbers on the first page of what the query asks for; the API finds the same.
async fn found(app: &TestApp, ann: &mut Visitor, token: &str, query: &str) -> Vec<String> {
    let shown = numbers(&list(ann, &format!("/orders?{query}")).await);
    let answer = app.api_get(&format!("/api/userOrders?{query}"), token).await.json();
    let told: Vec<String> =
        answer["orders"].as_array().unwrap().iter().map(|order| order["number"].as_str().unwrap().to_owned()).collect();
    assert_eq!(shown, told, "page and API differ about {query}");
    shown
}

fn placed(number: &str, at: &str) -> Row {
    order(number, ANN).with("Created at", at)
}

fn product(number: &str, sku: &str, name: &str) -> Row {
    order(number, ANN).with("Lineitem sku", sku).with("Lineitem name", name)
}

#[tokio::test]
async fn words_find_an_order_by_its_number_its_products_and_their_skus() {
    let rows = [
        product("#1001", "GT-28", "Rössle Sauerkraut"),
        product("#1002", "PA_62", "Tarte au sucre"),
        product("#1003", "CO-1", "Cola, 100% sugar free"),
        product("#1004", "LB-1", r"Labels for C:\temp"),
        product("#11001", "MP-1", "Stadtplan, jede Straße"),
        product("#EU-7", "TE-1", "Chai"),
        line("#EU-7", ANN, "ΜΈΛΙ ΚΑΙ ΟΔΌΣ"),
    ];
    let (app, mut ann) = app_with(&rows).await;
    let token = app.api_token(ANN).await;
    let cases: [(&str, &[&str]); 27] = [
        ("1001", &["1001", "11001"]),
        ("#1001", &["1001"]),
        ("#eu-7", &["EU-7"]),
        ("sauerkraut", &["1001"]),
        ("gt-28", &["1001"]),
        ("rossle", &["1001"]),
        ("RÖSSLE", &["1001"]),
        ("Ro\u{308}ssle", &["1001"]),
        ("ＲＯＳＳＬＥ", &["1001"]),
        ("kraut ross 1001 gt", &["1001"]),
        ("  rossle\t sauerkraut ", &["1001"]),
        ("rossle tarte", &[]),
        ("STRASSE", &["11001"]),
        ("straße", &["11001"]),
        ("STRAẞE", &["11001"]),
        ("οδος", &["EU-7"]),
        ("Οδός chai", &["EU-7"]),
        ("%", &["1003"]),
        ("100%", &["1003"]),
        ("_", &["1002"]),
        ("pa_62", &["1002"]),
        ("pa%62", &[]),
        ("p__62", &[]),
        (r"\", &["1004"]),
        (r"c:\temp", &["1004"]),
        ("' OR '1'='1", &[]),
        ("1001 #1001", &["1001"]),
    ];
    for (words, expected) in cases {
        let mut seen = found(&app, &mut ann, &token, &asking("q", words)).await;
        seen.sort();
        assert_eq!(seen, expected, "{words:?}");
    }
}

#[tokio::test]
async fn no_word_matches_across_two_products() {
    let (app, mut ann) = app_with(&[product("#1", "A1", "Green"), line("#1", ANN, "house")]).await;
    let token = app.api_token(ANN).await;
    assert_eq!(found(&app, &mut ann, &token, "q=greenhouse").await, Vec::<String>::new());
    assert_eq!(found(&app, &mut ann, &token, "q=house+green").await, ["1"]);
}

#[tokio::test]
async fn a_word_is_found_however_far_down_an_order_it_stands() {
    // Short of what an index holds by one, just as long, and one too long: 11 characters come before the first product.
    let product_of = |number: &str, length: usize| {
        let name = format!("{}walrus", "x".repeat(length - 11 - "walrus".len()));
        product(number, "", &name).with("Lineitem sku", "ABC12")
    };
    let mut rows = vec![
        product_of("#449", 449),
        product_of("#450", 450),
        product_of("#451", 451),
        product("#7", "NB-1", &format!("{} walrus {}", "w".repeat(470), "x".repeat(9_500))),
        product("#8", "NB-1", &"漢".repeat(10_000)),
    ];
    rows.extend((0..40).map(|index| line("#8", ANN, &format!("Candle number {index}, made of wax"))));
    rows.push(line("#8", ANN, "Walrus made of felt"));
    let (app, mut ann) = app_with(&rows).await;
    let token = app.api_token(ANN).await;
    let mut seen = found(&app, &mut ann, &token, "q=walrus").await;
    seen.sort();
    assert_eq!(seen, ["449", "450", "451", "7", "8"]);
    assert_eq!(found(&app, &mut ann, &token, "q=candle+felt+39").await, ["8"]);
}

#[tokio::test]
async fn each_status_can_be_asked_for_alone() {
    let blank = |number: &str| {
        let row = order(number, ANN).with("Financial Status", "pending").with("Paid at", "");
        row.with("Fulfillment Status", "unfulfilled").with("Fulfilled at", "")
    };
    let paid = |number: &str| blank(number).with("Financial Status", "paid");
    let rows = [
        ("placed", "Placed", blank("#1")),
        ("processing", "Processing", paid("#2")),
        ("partly_sent", "Partly sent", paid("#3").with("Fulfillment Status", "partial")),
        ("sent", "Sent", paid("#4").with("Fulfillment Status", "fulfilled")),
        ("delivered", "Delivered", paid("#5").with("Fulfillment Status", "delivered")),
        ("cancelled", "Cancelled", paid("#6").with("Cancelled at", "2024-03-02 10:00:00 +0000")),
        ("refunded", "Refunded", blank("#7").with("Financial Status", "refunded")),
    ];
    let (app, mut ann) = app_with(&rows.clone().map(|(_, _, row)| row)).await;
    let token = app.api_token(ANN).await;
    for (index, (word, label, _)) in rows.into_iter().enumerate() {
        let query = format!("status={word}");
        assert_eq!(found(&app, &mut ann, &token, &query).await, [(index + 1).to_string()], "{word}");
        let page = list(&mut ann, &format!("/orders?{query}")).await;
        assert!(page.contains(&format!("<option value=\"{word}\" selected>{label}</option>")), "{word}:\n{page}");
        assert!(page.contains(&format!("status-{word}\">{label}<")), "{word}:\n{page}");
    }
    assert_eq!(found(&app, &mut ann, &token, "status=").await.len(), 7);
}

#[tokio::test]
async fn years_and_ranges_hold_their_first_and_their_last_moment() {
    let year = OffsetDateTime::now_utc().year();
    let rows = [
        placed("#1", &format!("{}-12-31 23:59:59 +0000", year - 2)),
        placed("#2", &format!("{}-01-01 00:00:00 +0000", year - 1)),
        placed("#3", &format!("{}-12-31 23:59:59 +0000", year - 1)),
        placed("#4", &format!("{year}-01-01 00:00:00 +0000")),
        placed("#5", "2004-02-28 23:59:59 +0000"),
        placed("#6", "2004-02-29 00:00:00 +0000"),
        placed("#7", "2004-02-29 23:59:59 +0000"),
        placed("#8", "2004-03-01 00:00:00 +0000"),
    ];
    let (app, mut ann) = app_with(&rows).await;
    let token = app.api_token(ANN).await;
    let first_day = format!("from={year}-01-01&to={year}-01-01");
    let cases: [(&str, &[&str]); 11] = [
        ("period=this-year", &["4"]),
        ("period=last-year", &["3", "2"]),
        ("period=this-year&from=2004-01-01", &["4"]),
        (&first_day, &["4"]),
        ("from=2004-02-29&to=2004-02-29", &["7", "6"]),
        ("period=range&from=2004-02-29&to=2004-03-01", &["8", "7", "6"]),
        ("to=2004-02-28", &["5"]),
        ("from=2004-03-01", &["4", "3", "2", "1", "8"]),
        ("period=range", &["4", "3", "2", "1", "8", "7", "6", "5"]),
        ("from=2004-03-02&to=2004-12-31", &[]),
        ("from=0000-01-01&to=9999-12-31", &["4", "3", "2", "1", "8", "7", "6", "5"]),
    ];
    for (query, expected) in cases {
        assert_eq!(found(&app, &mut ann, &token, query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn the_list_comes_in_each_order() {
    let rows = [
        ("#1", "2024-03-01 10:00:00 +0000", "30.00"),
        ("#2", "2024-03-02 10:00:00 +0000", "9.00"),
        ("#3", "2024-03-03 10:00:00 +0000", "100.00"),
    ];
    let (app, mut ann) = app_with(&rows.map(|(number, at, total)| placed(number, at).with("Total", total))).await;
    let token = app.api_token(ANN).await;
    for (sort, expected) in [
        ("", ["3", "2", "1"]),
        ("newest", ["3", "2", "1"]),
        ("oldest", ["1", "2", "3"]),
        ("highest", ["3", "1", "2"]),
        ("lowest", ["2", "1", "3"]),
    ] {
        assert_eq!(found(&app, &mut ann, &token, &format!("sort={sort}")).await, expected, "{sort}");
    }
}

#[tokio::test]
async fn what_was_asked_for_survives_in_the_form_the_pager_and_the_spreadsheets_link() {
    let mut rows = shop::orders(45, ANN);
    rows.push(product("#1", "X-1", "Something else"));
    let (_app, mut ann) = app_with(&rows).await;
    let parts = ["q=notebook%2C%20nb%2D1", "status=sent", "from=2024%2D01%2D01", "to=2024%2D12%2D31", "sort=lowest"];
    let first = list(&mut ann, &format!("/orders?{}", parts.join("&"))).await;
    let second = list(&mut ann, &link(&first, "next").unwrap()).await;
    let third = list(&mut ann, &link(&second, "next").unwrap()).await;
    assert_eq!((link(&first, "prev"), link(&third, "next")), (None, None));
    let lowest_first: Vec<String> = (5000..5045).map(|number| number.to_string()).collect();
    assert_eq!([numbers(&first), numbers(&second), numbers(&third)].concat(), lowest_first);
    let back = list(&mut ann, &link(&third, "prev").unwrap()).await;
    assert_eq!(numbers(&back), numbers(&second));
    for page in [&first, &second, &third, &back] {
        assert!(page.contains("45 orders, €"), "{page}");
        for typed in [
            "value=\"notebook, nb-1\"",
            "<option value=\"sent\" selected>",
            "<option value=\"range\" selected>",
            "value=\"2024-01-01\"",
            "value=\"2024-12-31\"",
            "<option value=\"lowest\" selected>",
        ] {
            assert!(page.contains(typed), "{typed} is not on the page:\n{page}");
        }
        let spreadsheet = page.split("href=\"/orders.csv?").nth(1).unwrap().split('"').next().unwrap();
        let steps = [link(page, "prev"), link(page, "next")].into_iter().flatten();
        for address in steps.chain([spreadsheet.replace("&#38;", "&")]) {
            for part in parts {
                assert!(address.contains(part), "{part} is lost in {address}");
            }
        }
    }
}

#[tokio::test]
async fn nothing_found_and_nothing_there_are_told_apart() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let none = list(&mut ann, "/orders?q=walrus").await;
    assert!(none.contains("No orders yet") && !none.contains("No order matches"), "{none}");
    import(&app, &shop::orders(3, ANN));
    let unmatched = list(&mut ann, "/orders?q=walrus&status=sent").await;
    assert!(unmatched.contains("No order matches") && !unmatched.contains("No orders yet"), "{unmatched}");
    assert!(unmatched.contains("<a href=\"/orders\">show all orders</a>"), "no way out of the filter:\n{unmatched}");
    assert!(unmatched.contains("value=\"walrus\""), "the filter is lost");
    let all = list(&mut ann, "/orders").await;
    assert!(!all.contains("No order"), "{all}");
}

#[tokio::test]
async fn the_sums_are_told_by_currency_and_again_without_what_was_cancelled_or_refunded() {
    let costs = |number: &str, currency: &str, total: &str| {
        order(number, ANN).with("Currency", currency).with("Total", total).with("Subtotal", total).with("Shipping", "0")
    };
    let yen = |number: &str| costs(number, "JPY", "1200").with("Lineitem price", "1200");
    let rows = [
        costs("#1", "EUR", "1000.00"),
        costs("#2", "EUR", "234.50").with("Cancelled at", "2024-03-02 10:00:00 +0000"),
        costs("#3", "USD", "50.00").with("Financial Status", "partially_refunded").with("Refunded Amount", "12.34"),
        costs("#4", "USD", "20.00").with("Financial Status", "refunded").with("Refunded Amount", "20.00"),
        yen("#5"),
    ];
    let (_app, mut ann) = app_with(&rows).await;
    let all = list(&mut ann, "/orders").await;
    assert!(all.contains(">5 orders, €1,234.50, ¥1,200 and $70.00<"), "{all}");
    assert!(all.contains(">€1,000.00, ¥1,200 and $37.66 after cancellations and refunds<"), "{all}");
    let one = list(&mut ann, "/orders?q=%235").await;
    assert!(one.contains(">1 order, ¥1,200<") && !one.contains("after cancellations"), "{one}");
    let cancelled = list(&mut ann, "/orders?status=cancelled").await;
    assert!(cancelled.contains(">1 order, €234.50<"), "{cancelled}");
    assert!(cancelled.contains(">€0.00 after cancellations and refunds<"), "{cancelled}");
    assert_eq!(all.matches("<svg").count(), 3, "one chart a currency");
}

#[tokio::test]
async fn words_that_no_form_of_ours_sends_are_refused_with_what_they_take() {
    let (app, mut ann) = app_with(&shop::orders(3, ANN)).await;
    let token = app.api_token(ANN).await;
    for (query, takes) in [
        ("status=lost", "takes one of placed, processing, partly_sent, sent, delivered, cancelled, refunded"),
        ("status=SENT", "takes one of"),
        ("sort=random", "takes one of newest, oldest, highest, lowest"),
        ("sort=newest%00", "takes one of"),
        ("period=soon", "takes one of this-year, last-year, range"),
        ("q=a&q=b", "once"),
        ("status=sent&status=placed", "once"),
    ] {
        let page = ann.get(&format!("/orders?{query}")).await;
        assert!(page.is_page(400) && page.text().contains(takes), "{query}: {} {}", page.status, page.text());
        let problem = app.api_get(&format!("/api/userOrders?{query}"), &token).await;
        assert!(problem.is_problem(400) && problem.text().contains(takes), "{query}: {}", problem.text());
    }
}

#[tokio::test]
async fn dates_and_words_that_make_no_sense_are_shown_again_with_a_message_at_their_field() {
    let (app, mut ann) = app_with(&shop::orders(3, ANN)).await;
    let token = app.api_token(ANN).await;
    let (long, many) = ("q".repeat(201), "a b c d e f g h i j k");
    for (query, field, typed) in [
        (asking("from", "31.12.2024"), "from", "31.12.2024"),
        (asking("from", "2024-02-30"), "from", "2024-02-30"),
        (asking("from", "0"), "from", "0"),
        (asking("from", "+2024-01-01"), "from", "+2024-01-01"),
        (asking("to", "2024-13-01"), "to", "2024-13-01"),
        (asking("to", "99999-01-01"), "to", "99999-01-01"),
        (asking("to", "\u{664}"), "to", "\u{664}"),
        ("from=2024-03-02&to=2024-03-01".to_owned(), "to", "2024-03-01"),
        (asking("q", &long), "q", &long),
        (asking("q", many), "q", many),
    ] {
        let answer = ann.get(&format!("/orders?{query}&sort=oldest")).await;
        assert!(answer.is_page(422), "{query}: {}", answer.status);
        let page = answer.text();
        let input = page.split(&format!("<input id=\"{field}\"")).nth(1).unwrap().split('>').next().unwrap();
        assert!(input.contains(&format!("value=\"{typed}\"")), "{query}: {input}");
        assert!(input.contains("aria-invalid=\"true\"") && input.contains("autofocus"), "{query}: {input}");
        assert!(page.contains(&format!("<a href=\"#{field}\">")), "{query}: no way to the field:\n{page}");
        assert!(page.contains("<option value=\"oldest\" selected>"), "the rest of the filter is lost");
        assert!(numbers(&page).is_empty(), "orders are shown for a filter that makes no sense");
        let problem = app.api_get(&format!("/api/userOrders?{query}"), &token).await;
        assert!(problem.is_problem(400) && problem.text().contains(&format!("{field}: ")), "{}", problem.text());
        assert!(ann.get(&format!("/orders.csv?{query}")).await.is_page(400));
    }
    let both = ann.get("/orders?from=x&to=y").await.text();
    assert_eq!(both.matches("aria-invalid").count(), 2);
    assert_eq!(both.matches("autofocus").count(), 1, "two fields want the focus");
}

#[tokio::test]
async fn places_that_were_cut_altered_or_made_for_another_list_are_refused() {
    let (app, mut ann) = app_with(&shop::orders(25, ANN)).await;
    let token = app.api_token(ANN).await;
    let first = list(&mut ann, "/orders").await;
    let (_, place) =
        link(&first, "next").unwrap().split_once("after=").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert_eq!(ann.get(&format!("/orders?sort=oldest&after={place}")).await.status, 200, "dates serve both directions");
    let middle = place.len() / 2;
    let digit = if &place[middle..=middle] == "0" { "1" } else { "0" };
    let altered = format!("{}{digit}{}", &place[..middle], &place[middle + 1..]);
    for (query, place) in [
        ("", &place[..place.len() - 1]),
        ("", &place[1..]),
        ("", &altered),
        ("", &format!("{place}0")),
        ("", &place.to_uppercase()),
        ("sort=highest&", &place),
        ("sort=lowest&", &place),
        ("", ""),
        ("", "%00"),
        ("", "%F0%9F%A6%86"),
    ] {
        for name in ["after", "before"] {
            let answer = ann.get(&format!("/orders?{query}{name}={place}")).await;
            assert!(answer.is_page(400), "{query}{name}={place}: {}", answer.status);
        }
        let answer = app.api_get(&format!("/api/userOrders?{query}after={place}"), &token).await;
        assert!(answer.is_problem(400), "{query}after={place}: {}", answer.text());
    }
    assert!(ann.get(&format!("/orders?after={place}&before={place}")).await.is_page(400));
}

#[tokio::test]
async fn another_customers_place_leads_to_none_of_their_orders() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut bob = app.verified_customer("bob@example.com").await;
    import(&app, &shop::orders(25, ANN));
    app.write("bob.csv", export(&[order("#1", "bob@example.com").with("Created at", "2023-01-01 10:00:00 +0000")]));
    app.done(&["import", "bob.csv"]);
    let next = link(&list(&mut ann, "/orders").await, "next").unwrap();
    assert_eq!(numbers(&list(&mut bob, &next).await), ["1"]);
    assert_eq!(numbers(&list(&mut bob, "/orders?q=notebook").await), ["1"]);
}

#[tokio::test]
async fn the_api_describes_what_its_list_can_be_asked_for() {
    let app = TestApp::start().await;
    let document = app.get("/api/openapi.json").await.json();
    let parameters = document["paths"]["/api/userOrders"]["get"]["parameters"].as_array().unwrap();
    let mut names: Vec<&str> = parameters.iter().map(|parameter| parameter["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["after", "from", "limit", "period", "q", "sort", "status", "to"]);
    for parameter in parameters {
        assert_eq!((&parameter["in"], &parameter["required"]), (&"query".into(), &false.into()), "{parameter}");
        assert!(parameter["description"].as_str().is_some_and(|text| !text.is_empty()), "{parameter}");
    }
    let of = |name: &str| parameters.iter().find(|parameter| parameter["name"] == name).unwrap().to_string();
    for word in ["placed", "processing", "partly_sent", "sent", "delivered", "cancelled", "refunded"] {
        assert!(of("status").contains(word), "{word} is not described");
    }
    assert!(of("sort").contains("highest") && of("period").contains("last-year") && of("from").contains("date"));
}

#[tokio::test]
async fn the_apis_pages_follow_filter_and_order() {
    let (app, _) = app_with(&[shop::orders(30, ANN), vec![product("#1", "X-1", "Else")]].concat()).await;
    let token = app.api_token(ANN).await;
    let asked = "q=notebook&status=sent&from=2024-01-01&sort=highest&limit=7";
    let (mut seen, mut path) = (Vec::new(), format!("/api/userOrders?{asked}"));
    loop {
        let page = app.api_get(&path, &token).await.json();
        let orders = page["orders"].as_array().unwrap().iter();
        seen.extend(orders.map(|order| order["number"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/userOrders?{asked}&after={next}");
    }
    assert_eq!(seen, (5000..5030).rev().map(|number| number.to_string()).collect::<Vec<_>>());
}

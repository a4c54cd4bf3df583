//! Orders with hostile data: pages, mail and exports show it as text.

use serde_json::Value;

use crate::actions::reorder;
use crate::app::{ANN, TestApp};
use crate::csv_export::rows;
use crate::http::Visitor;
use crate::mailbox;
use crate::orders::{link, list, numbers};
use crate::shop::{Row, export, line, order};

/// Hostile values for product names, article numbers and address fields.
const NAMES: [&str; 16] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "x' onmouseover='alert(1)",
    "</svg><svg onload=alert(1)>",
    "</th></tr></table><h1>Free</h1>",
    "<!-- and no end",
    "]]><![CDATA[",
    "&lt;b&gt; &amp;amp; &#60;i&#62;",
    "{{ 7 * 7 }} {% raw %} ${7*7} %s %n",
    "a \u{202e}live si txet siht\u{200f}\u{2066} z",
    "👩‍👩‍👧‍👦 🧀 e\u{301}\u{301}\u{301}",
    "=cmd|' /C calc'!A0",
    "@SUM(A1:A9)",
    "a\u{b}b\u{1b}[31mred\u{7f}",
    "one\r\nBcc: everyone@example.com\r\n\r\ntwo",
    "x'; DROP TABLE orders; --",
];

/// An order with this text in each free-text column.
pub fn filled(number: &str, text: &str) -> [Row; 2] {
    let columns = [
        "Lineitem name",
        "Lineitem sku",
        "Shipping Name",
        "Shipping Company",
        "Shipping Address1",
        "Shipping Address2",
        "Shipping City",
        "Shipping Province",
        "Shipping Country",
        "Shipping Phone",
    ];
    let first = columns.into_iter().fold(order(number, ANN), |row, column| row.with(column, text));
    [first, line(number, ANN, text)]
}

/// The text as pages show it: without bidirectional control characters.
fn without_bidi_controls(text: &str) -> String {
    text.replace(['\u{202e}', '\u{200f}', '\u{2066}'], "")
}

/// The names of a page's elements, in order.
fn elements(page: &str) -> Vec<&str> {
    let tags = page.split('<').skip(1);
    tags.map(|tag| tag.split(|letter: char| !letter.is_alphanumeric() && !"/!-".contains(letter)).next().unwrap())
        .collect()
}

/// The page with its character references decoded.
fn decode_entities(page: &str) -> String {
    let named = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#34;", "\""),
        ("&#39;", "'"),
    ];
    let text = named.into_iter().fold(page.to_owned(), |text, (entity, letter)| text.replace(entity, letter));
    text.replace("&amp;", "&").replace("&#38;", "&")
}

async fn app_with(rows: &[Row]) -> (TestApp, Visitor) {
    let (app, mut ann) = TestApp::start_with_orders(rows).await;
    // The first page after the sign-up has a notice.
    list(&mut ann, "/orders").await;
    (app, ann)
}

#[tokio::test]
async fn hostile_order_data_is_text_on_every_page() {
    let plain = filled("#99", "Plain text");
    let hostile = NAMES.iter().enumerate().flat_map(|(index, text)| filled(&format!("#{index}"), text));
    let (app, mut ann) = app_with(&hostile.chain(plain).collect::<Vec<_>>()).await;
    let token = app.api_token(ANN).await;
    // The first and the last order have fewer links to neighbours.
    let without_pager = |page: &str| page.split("<nav class=\"pager\"").next().unwrap().to_owned();
    let expected = without_pager(&list(&mut ann, "/orders/99").await);
    for (index, text) in NAMES.iter().enumerate() {
        let page = without_pager(&list(&mut ann, &format!("/orders/{index}")).await);
        assert_eq!(elements(&page), elements(&expected), "{text:?} adds or removes elements:\n{page}");
        let decoded = decode_entities(&page);
        let shown = without_bidi_controls(text);
        assert_eq!(decoded.matches(&shown).count(), 11, "{text:?} is changed:\n{page}");
        let json: Value = app.api_get(&format!("/api/userOrders/{index}"), &token).await.json();
        assert_eq!((&json["lines"][0]["name"], &json["lines"][1]["name"]), (&Value::from(*text), &Value::from(*text)));
        assert_eq!(
            (&json["lines"][0]["sku"], &json["shipping_address"]["city"]),
            (&Value::from(*text), &Value::from(*text))
        );
    }
    let shown = list(&mut ann, "/orders").await;
    assert_eq!(numbers(&shown).len(), NAMES.len() + 1);
    let export = rows(&ann.get("/orders.csv").await);
    for text in NAMES {
        let text = without_bidi_controls(text);
        assert!(
            export.iter().any(|row| row[6] == format!("2 × {text}; 1 × {text}")),
            "{text:?} is not in the CSV export"
        );
    }
}

#[tokio::test]
async fn hostile_order_data_is_text_in_mail() {
    let rows: Vec<Row> = NAMES.iter().map(|text| line("#1", ANN, text)).collect();
    let (app, mut ann) =
        app_with(&[vec![order("#1", ANN)], rows, vec![line("#1", ANN, &"W".repeat(10_000))]].concat()).await;
    reorder(&mut ann, "1").await;
    let mail = mailbox::mail_to(&app, ANN, "Request to order again: order #1").await;
    for raw in ["<script", "<img", "<svg", "<h1>", "<!-- "] {
        assert!(!mail.html.contains(raw), "{raw} in {}", mail.html);
    }
    let decoded = decode_entities(&mail.html);
    for text in NAMES {
        // Mail shows a name on one line, without control characters.
        let text: String = without_bidi_controls(text)
            .replace("\r\n", "  ")
            .chars()
            .map(|letter| if letter.is_control() { ' ' } else { letter })
            .collect();
        let own_line = |line: &str| line.trim_end() == format!("1 × {text}").trim_end();
        assert!(mail.text.lines().any(own_line), "{text:?} is not in the text:\n{}", mail.text);
        assert!(decoded.contains(&format!("1 × {text}")), "{text:?} is not in the HTML:\n{}", mail.html);
    }
    assert!(mail.text.len() < 8_000 && mail.text.contains("WWW…"), "a long name is not shortened");
}

#[tokio::test]
async fn hostile_search_is_text_in_the_form() {
    let (_app, mut ann) = app_with(&[order("#1", ANN)]).await;
    let plain = list(&mut ann, "/orders?q=nothing+like+it").await;
    for text in NAMES {
        let query = percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC);
        let response = ann.get(&format!("/orders?q={query}")).await;
        let page = response.text();
        if text.split_whitespace().count() > 10 {
            assert!(response.is_page(422) && page.contains("id=\"q-error\""), "{text:?}: {}\n{page}", response.status);
        } else {
            assert!(
                response.is_page(200) && elements(&page) == elements(&plain),
                "{text:?}: {}\n{page}",
                response.status
            );
        }
        let value = page.split("<input id=\"q\"").nth(1).unwrap().split("value=\"").nth(1).unwrap();
        assert_eq!(decode_entities(value.split('"').next().unwrap()), without_bidi_controls(text));
    }
}

#[tokio::test]
async fn very_long_names_are_shown_everywhere() {
    let names = [
        "W".repeat(10_000),
        "漢".repeat(10_000),
        "👩‍👩‍👧‍👦".repeat(1_500),
        "a b".repeat(3_500),
        format!("x{}x", "\u{202e}".repeat(10_000)),
    ];
    let mut orders: Vec<Row> =
        names.iter().enumerate().flat_map(|(index, name)| filled(&format!("#{index}"), name)).collect();
    orders.push(order("#7", ANN));
    orders.extend((0..999).map(|index| line("#7", ANN, &format!("Line {index} of very many"))));
    let (app, mut ann) = app_with(&orders).await;
    let token = app.api_token(ANN).await;
    for (index, name) in names.iter().enumerate() {
        let shown = without_bidi_controls(name);
        assert!(list(&mut ann, &format!("/orders/{index}")).await.contains(&shown));
        let json = app.api_get(&format!("/api/userOrders/{index}"), &token).await.json();
        assert_eq!(json["lines"][0]["name"], name.as_str());
        reorder(&mut ann, &index.to_string()).await;
    }
    let (mut path, mut lines) = (Some("/orders/7".to_owned()), 0);
    while let Some(next) = path {
        let page = list(&mut ann, &next).await;
        assert!(page.len() < 120_000, "a part of the lines is {} bytes", page.len());
        lines += page.matches("data-label=\"Item\"").count();
        let (_, pager) = page.split_once("aria-label=\"Pages of items\"").unwrap();
        path = pager.split("</nav>").next().and_then(|pager| link(pager, "next"));
    }
    assert_eq!(lines, 1_000);
    reorder(&mut ann, "7").await;
    let orders = list(&mut ann, "/orders").await;
    assert_eq!(numbers(&orders).len(), 6);
    assert!(orders.len() < 15_000, "the list is {} bytes", orders.len());
    let export = rows(&ann.get("/orders.csv").await);
    assert_eq!(export.len(), 6);
    // The limit of Excel.
    assert!(export.iter().flatten().all(|cell| cell.encode_utf16().count() <= 32_767), "a cell is too long");
}

#[tokio::test]
async fn import_rejects_nul_in_every_column() {
    let app = TestApp::start().await;
    for column in
        ["Lineitem name", "Lineitem sku", "Shipping Name", "Shipping Address1", "Shipping City", "Shipping Zip"]
    {
        let rows = [order("#1", ANN), line("#1", ANN, "Pen"), order("#2", ANN).with(column, "a\0b@example.com")];
        app.write("orders.csv", export(&rows));
        let output = app.run(&["import", "orders.csv"]);
        assert_eq!((output.status, output.stderr.trim_end().lines().count()), (1, 2), "{column}: {output:?}");
        assert!(
            output.stderr.contains("orders.csv, line 4") && output.stderr.contains(&format!("\"{column}\"")),
            "{output:?}"
        );
    }
    for column in ["Lineitem name", "Lineitem sku"] {
        let rows = [order("#1", ANN), line("#1", ANN, "Pen").with(column, "\0")];
        app.write("orders.csv", export(&rows));
        let output = app.run(&["import", "orders.csv"]);
        assert!(output.status == 1 && output.stderr.contains("line 3") && output.stderr.contains(column), "{output:?}");
    }
    app.write("orders.csv", export(&[order("#1", ANN).with("Email", "a\0b@example.com")]));
    let output = app.run(&["import", "orders.csv"]);
    assert!(output.status == 0 && output.stderr.contains("orders.csv, line 2, column \"Email\""), "{output:?}");
}

//! Orders whose data was made to break something: it is shown as text, everywhere.

use serde_json::Value;

use crate::actions::{again, letter};
use crate::app::TestApp;
use crate::orders::{import, list, numbers};
use crate::shop::{Row, export, line, order};
use crate::spreadsheet::rows;

const ANN: &str = "ann@example.com";

/// What a product may be called, or an address or a sku.
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
    "\u{202e}live si txet siht\u{200f}\u{2066}",
    "👩‍👩‍👧‍👦 🧀 e\u{301}\u{301}\u{301}",
    "=cmd|' /C calc'!A0",
    "@SUM(A1:A9)",
    "a\u{b}b\u{1b}[31mred\u{7f}",
    "one\r\nBcc: everyone@example.com\r\n\r\ntwo",
    "x'; DROP TABLE orders; --",
];

/// An order in which everything that a shop can write freely is that text.
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

/// The text as people see it: without characters that change the order in which it is shown.
fn without_bidi_controls(text: &str) -> String {
    text.replace(['\u{202e}', '\u{200f}', '\u{2066}'], "")
}

/// The names of a page's elements, in order.
fn elements(page: &str) -> Vec<&str> {
    let tags = page.split('<').skip(1);
    tags.map(|tag| tag.split(|letter: char| !letter.is_alphanumeric() && !"/!-".contains(letter)).next().unwrap())
        .collect()
}

/// The page's characters as a browser shows them, its tags among them.
fn as_read(page: &str) -> String {
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

async fn app_with(rows: &[Row]) -> (TestApp, crate::http::Visitor) {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    // The first page welcomes and is one paragraph longer.
    list(&mut ann, "/orders").await;
    import(&app, rows);
    (app, ann)
}

#[tokio::test]
async fn whatever_a_shop_writes_is_text_on_every_page() {
    let plain = filled("#99", "Plain text");
    let made = NAMES.iter().enumerate().flat_map(|(index, text)| filled(&format!("#{index}"), text));
    let (app, mut ann) = app_with(&made.chain(plain).collect::<Vec<_>>()).await;
    let token = app.api_token(ANN).await;
    // The orders before and after are other links in the first and the last.
    let bare = |page: &str| page.split("<nav class=\"pager\"").next().unwrap().to_owned();
    let expected = bare(&list(&mut ann, "/orders/99").await);
    for (index, text) in NAMES.iter().enumerate() {
        let page = bare(&list(&mut ann, &format!("/orders/{index}")).await);
        assert_eq!(elements(&page), elements(&expected), "{text:?} makes or swallows elements:\n{page}");
        let read = as_read(&page);
        // Browsers and this client alike read \r\n as it was sent.
        let seen = without_bidi_controls(text);
        assert_eq!(read.matches(&seen).count(), 11, "{text:?} is not shown as it is:\n{page}");
        let told: Value = app.api_get(&format!("/api/userOrders/{index}"), &token).await.json();
        assert_eq!((&told["lines"][0]["name"], &told["lines"][1]["name"]), (&Value::from(*text), &Value::from(*text)));
        assert_eq!(
            (&told["lines"][0]["sku"], &told["shipping_address"]["city"]),
            (&Value::from(*text), &Value::from(*text))
        );
    }
    let shown = list(&mut ann, "/orders").await;
    assert_eq!(numbers(&shown).len(), NAMES.len() + 1);
    let sheet = rows(&ann.get("/orders.csv").await);
    for text in NAMES {
        let text = without_bidi_controls(text);
        assert!(
            sheet.iter().any(|row| row[6] == format!("2 × {text}; 1 × {text}")),
            "{text:?} is not in the spreadsheet"
        );
    }
}

#[tokio::test]
async fn whatever_a_shop_writes_is_text_in_mail() {
    let rows: Vec<Row> = NAMES.iter().map(|text| line("#1", ANN, text)).collect();
    let (app, mut ann) =
        app_with(&[vec![order("#1", ANN)], rows, vec![line("#1", ANN, &"W".repeat(10_000))]].concat()).await;
    again(&mut ann, "1").await;
    let letter = letter(&app, ANN, "Your order is placed").await;
    for raw in ["<script", "<img", "<svg", "<h1>", "<!-- "] {
        assert!(!letter.html.contains(raw), "{raw} in {}", letter.html);
    }
    let read = as_read(&letter.html);
    for text in NAMES {
        // A name is one line of the letter: it neither begins another nor moves a terminal's cursor.
        let text: String = without_bidi_controls(text)
            .replace("\r\n", "  ")
            .chars()
            .map(|letter| if letter.is_control() { ' ' } else { letter })
            .collect();
        let own_line = |line: &str| line.trim_end() == format!("1 × {text}").trim_end();
        assert!(letter.text.lines().any(own_line), "{text:?} is not in the text:\n{}", letter.text);
        assert!(read.contains(&format!("1 × {text}")), "{text:?} is not in the HTML:\n{}", letter.html);
    }
    assert!(letter.text.len() < 8_000 && letter.text.contains("WWW…"), "a long name is told at length");
    assert!(letter.text.contains("Total: €29.90"), "{}", letter.text);
}

#[tokio::test]
async fn what_is_searched_for_comes_back_as_text() {
    let (_app, mut ann) = app_with(&[order("#1", ANN)]).await;
    let plain = list(&mut ann, "/orders?q=nothing+like+it").await;
    for text in NAMES {
        let query = percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC);
        let answer = ann.get(&format!("/orders?q={query}")).await;
        let page = answer.text();
        if text.split_whitespace().count() > 10 {
            assert!(answer.is_page(422) && page.contains("id=\"q-error\""), "{text:?}: {}\n{page}", answer.status);
        } else {
            assert!(answer.is_page(200) && elements(&page) == elements(&plain), "{text:?}: {}\n{page}", answer.status);
        }
        let value = page.split("<input id=\"q\"").nth(1).unwrap().split("value=\"").nth(1).unwrap();
        assert_eq!(as_read(value.split('"').next().unwrap()), without_bidi_controls(text));
    }
}

#[tokio::test]
async fn very_long_names_break_no_page() {
    let names =
        ["W".repeat(10_000), "漢".repeat(10_000), "👩‍👩‍👧‍👦".repeat(1_500), "a ".repeat(5_000), "\u{202e}".repeat(10_000)];
    let mut made: Vec<Row> =
        names.iter().enumerate().flat_map(|(index, name)| filled(&format!("#{index}"), name)).collect();
    made.push(order("#7", ANN));
    made.extend((0..999).map(|index| line("#7", ANN, &format!("Line {index} of very many"))));
    let (app, mut ann) = app_with(&made).await;
    let token = app.api_token(ANN).await;
    for (index, name) in names.iter().enumerate() {
        let seen = without_bidi_controls(name);
        assert!(list(&mut ann, &format!("/orders/{index}")).await.contains(&seen));
        let told = app.api_get(&format!("/api/userOrders/{index}"), &token).await.json();
        assert_eq!(told["lines"][0]["name"], name.as_str());
        again(&mut ann, &index.to_string()).await;
    }
    assert_eq!(list(&mut ann, "/orders/7").await.matches("data-label=\"Item\"").count(), 1_000);
    again(&mut ann, "7").await;
    let orders = list(&mut ann, "/orders").await;
    assert_eq!(numbers(&orders).len(), 12);
    assert!(orders.len() < 15_000, "the list is {} bytes", orders.len());
    let sheet = rows(&ann.get("/orders.csv").await);
    assert_eq!(sheet.len(), 12);
    // More is more than a cell of Excel takes.
    assert!(sheet.iter().flatten().all(|cell| cell.encode_utf16().count() <= 32_767), "a cell is too long");
}

#[tokio::test]
async fn a_nul_is_refused_wherever_it_stands() {
    let app = TestApp::start().await;
    for column in [
        "Lineitem name",
        "Lineitem sku",
        "Shipping Name",
        "Shipping Address1",
        "Shipping City",
        "Shipping Zip",
        "Email",
    ] {
        let rows = [order("#1", ANN), line("#1", ANN, "Pen"), order("#2", ANN).with(column, "a\0b@example.com")];
        app.write("orders.csv", export(&rows));
        let ran = app.run(&["import", "orders.csv"]);
        assert_eq!((ran.status, ran.stderr.trim_end().lines().count()), (1, 1), "{column}: {ran:?}");
        assert!(ran.stderr.contains("orders.csv, line 4") && ran.stderr.contains(&format!("\"{column}\"")), "{ran:?}");
    }
    for line_of_two in ["Lineitem name", "Lineitem sku"] {
        let rows = [order("#1", ANN), line("#1", ANN, "Pen").with(line_of_two, "\0")];
        app.write("orders.csv", export(&rows));
        let ran = app.run(&["import", "orders.csv"]);
        assert!(ran.status == 1 && ran.stderr.contains("line 3") && ran.stderr.contains(line_of_two), "{ran:?}");
    }
}

//! The totals of sample data on pages, compared with totals that this file computes from the CSV itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::app::TestApp;
use crate::http::Visitor;
use crate::orders::{link, list, numbers};

pub const CUSTOMERS: [&str; 3] = ["savea@northwind.example", "ernsh@northwind.example", "quick@northwind.example"];

/// The export of the sample shop Northwind: 830 orders of 89 customers.
pub fn sample_orders() -> PathBuf {
    let named = std::env::var_os("ORDERS_SAMPLE_DATA").map(PathBuf::from);
    named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/northwind_orders_export.csv"))
}

/// The sum of all totals in the file, in cents.
fn total_in_file(file: &Path) -> i64 {
    let mut reader = csv::Reader::from_path(file).unwrap();
    let total = reader.headers().unwrap().iter().position(|header| header == "Total").unwrap();
    let rows = reader.records().map(Result::unwrap).filter(|row| !row[total].is_empty());
    rows.map(|row| row[total].replace('.', "").parse::<i64>().unwrap()).sum()
}

/// The totals of a customer in the file; amounts in cents.
#[derive(Debug, Default)]
pub struct Expected {
    /// By number.
    pub totals: BTreeMap<String, i64>,
    /// Orders and cents by month: `1996-07`.
    months: BTreeMap<String, (usize, i64)>,
    spent: i64,
}

impl Expected {
    pub fn total(&self) -> i64 {
        self.totals.values().sum()
    }
}

/// Only the first row of an order has its totals.
pub fn expected(email: &str) -> Expected {
    let mut reader = csv::Reader::from_path(sample_orders()).unwrap();
    let headers = reader.headers().unwrap().clone();
    let column = |name: &str| headers.iter().position(|header| header == name).unwrap();
    let names = ["Name", "Email", "Total", "Created at", "Cancelled at", "Refunded Amount", "Currency"];
    let [name, customer, total, created, cancelled, refunded, currency] = names.map(column);
    let cents = |text: &str| if text.is_empty() { 0 } else { text.replace('.', "").parse::<i64>().unwrap() };
    let mut expected = Expected::default();
    for row in reader.records().map(Result::unwrap).filter(|row| &row[customer] == email && !row[total].is_empty()) {
        assert_eq!((&row[currency], row[total].split('.').nth(1).unwrap().len()), ("USD", 2));
        assert!(row[created].ends_with("+0000"), "a time is not UTC");
        expected.totals.insert(row[name].trim_start_matches('#').to_owned(), cents(&row[total]));
        let spent = if row[cancelled].is_empty() { cents(&row[total]) - cents(&row[refunded]) } else { 0 };
        let month = expected.months.entry(row[created][..7].to_owned()).or_default();
        *month = (month.0 + 1, month.1 + spent);
        expected.spent += spent;
    }
    assert!(!expected.totals.is_empty(), "{email} has no orders");
    expected
}

/// `$1,234.50`.
pub fn dollars(cents: i64) -> String {
    let mut whole = (cents / 100).to_string();
    let mut at = whole.len();
    while at > 3 {
        at -= 3;
        whole.insert(at, ',');
    }
    format!("${whole}.{:02}", cents % 100)
}

/// The texts after each occurrence of an opening tag.
fn cells<'a>(page: &'a str, opening: &str) -> Vec<&'a str> {
    page.split(opening).skip(1).map(|rest| rest.split('<').next().unwrap().trim()).collect()
}

async fn assert_pages_add_up(ann: &mut Visitor, expected: &Expected) {
    let (mut path, mut seen) = (Some("/orders".to_owned()), BTreeMap::new());
    while let Some(next) = path {
        let page = list(ann, &next).await;
        let orders = if expected.totals.len() == 1 { "order" } else { "orders" };
        let summary = format!(">{} {orders}, {}<", expected.totals.len(), dollars(expected.total()));
        assert!(page.contains(&summary), "{summary} is not on {page}");
        assert_eq!(page.contains("after cancellations"), expected.spent != expected.total());
        let totals = cells(&page, "<td class=\"total number\">");
        seen.extend(numbers(&page).into_iter().zip(totals.into_iter().map(str::to_owned)));
        assert_months_add_up(&page, expected);
        path = link(&page, "next");
    }
    let totals = expected.totals.iter().map(|(number, cents)| (number.clone(), dollars(*cents)));
    assert_eq!(seen, totals.collect());
    for (number, cents) in &expected.totals {
        let page = list(ann, &format!("/orders/{number}")).await;
        let (_, rest) = page.split_once("class=\"grand\"").unwrap();
        assert_eq!(cells(rest, "class=\"number\">")[0], dollars(*cents), "order {number}");
    }
}

/// Compares the table below the chart.
fn assert_months_add_up(page: &str, expected: &Expected) {
    const NAMES: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let (_, chart) = page.split_once("<figure class=\"chart\" data-chart>").unwrap();
    let rows = chart.split("</figure>").next().unwrap().split("<th scope=\"row\">").skip(1);
    let shown: Vec<Vec<&str>> =
        rows.map(|row| row.split("<td>").map(|cell| cell.split('<').next().unwrap().trim()).collect()).collect();
    let month = |(month, (orders, cents)): (&String, &(usize, i64))| {
        let (year, number) = month.split_once('-').unwrap();
        [format!("{} {year}", NAMES[number.parse::<usize>().unwrap() - 1]), orders.to_string(), dollars(*cents)]
    };
    assert_eq!(shown, expected.months.iter().rev().map(month).collect::<Vec<_>>());
}

#[tokio::test]
#[ignore = "needs the sample orders; tests/run includes it when they are there"]
async fn sample_orders_are_imported_completely_and_once() {
    let app = TestApp::start().await;
    let file = sample_orders();
    let path = file.to_str().unwrap();
    let counts = "830 orders with 2,155 lines: ";
    assert_eq!(app.first_line(&["import", path]), format!("{counts}830 new, 0 changed, 0 unchanged"));
    let sums: (i64, i64, i64) =
        sqlx::query_as("SELECT COUNT(*), CAST(SUM(total) AS BIGINT), (SELECT COUNT(*) FROM order_lines) FROM orders")
            .fetch_one(&app.database().await)
            .await
            .unwrap();
    assert_eq!(sums, (830, total_in_file(&file), 2155));
    assert_eq!(app.first_line(&["import", path]), format!("{counts}0 new, 0 changed, 830 unchanged"));
}

#[tokio::test]
#[ignore = "needs the sample orders; tests/run includes it when they are there"]
async fn sample_orders_add_up_on_list_detail_and_chart() {
    let app = TestApp::start().await;
    app.run_ok(&["import", sample_orders().to_str().unwrap()]);
    for email in CUSTOMERS {
        let mut visitor = app.verified_customer(email).await;
        assert_pages_add_up(&mut visitor, &expected(email)).await;
    }
}

#[tokio::test]
#[ignore = "needs the sample orders; tests/run includes it when they are there"]
async fn sample_orders_add_up_by_year() {
    let app = TestApp::start().await;
    app.run_ok(&["import", sample_orders().to_str().unwrap()]);
    let mut visitor = app.verified_customer(CUSTOMERS[0]).await;
    let all = expected(CUSTOMERS[0]);
    let mut sum = 0;
    for year in ["1996", "1997", "1998"] {
        let months = all.months.iter().filter(|(month, _)| month.starts_with(year));
        let (orders, cents) = months.fold((0, 0), |(orders, cents), (_, month)| (orders + month.0, cents + month.1));
        let page = list(&mut visitor, &format!("/orders?from={year}-01-01&to={year}-12-31")).await;
        assert!(page.contains(&format!(">{orders} orders, {}<", dollars(cents))), "{year}: {page}");
        sum += cents;
    }
    assert_eq!(sum, all.spent);
}

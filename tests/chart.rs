//! The chart of spending by month, with histories longer than a chart.

use crate::app::{ANN, TestApp};
use crate::orders::list;
use crate::shop::{Row, order};

fn placed(number: u32, month: &str, currency: &str) -> Row {
    let row = order(&format!("#{number}"), ANN).with("Created at", &format!("{month}-15 12:00:00 +0000"));
    row.with("Currency", currency).with("Subtotal", "10.00").with("Shipping", "0.00").with("Total", "10.00")
}

/// Month, orders and amount of each table row below the chart of the currency, the latest first.
fn rows(page: &str, currency: &str) -> Vec<String> {
    let charts = page.split("<figure class=\"chart\" data-chart>").skip(1);
    let mut matching = charts.filter(|chart| chart.contains(&format!("({currency})</figcaption>")));
    let chart = matching.next().unwrap_or_default().split("</figure>").next().unwrap();
    let rows = chart.split("<th scope=\"row\">").skip(1);
    rows.map(|row| row.split("</tbody>").next().unwrap().trim().replace("<td>", " ").replace("\n<tr>", "")).collect()
}

/// Euros in three months of 2012, dollars in two months of 2020, nothing in between.
fn two_currencies() -> Vec<Row> {
    let euros = ["2012-01", "2012-02", "2012-04"].iter().zip(1..).map(|(month, number)| placed(number, month, "EUR"));
    let dollars = ["2020-05", "2020-06"].iter().zip(10..).map(|(month, number)| placed(number, month, "USD"));
    euros.chain(dollars).collect()
}

#[tokio::test]
async fn chart_ends_with_the_last_month_of_its_currency() {
    let (_app, mut ann) = TestApp::start_with_orders(&two_currencies()).await;
    let page = list(&mut ann, "/orders").await;
    assert_eq!(rows(&page, "EUR"), ["April 2012 1 €10.00", "February 2012 1 €10.00", "January 2012 1 €10.00"]);
    assert_eq!(rows(&page, "USD"), ["June 2020 1 $10.00", "May 2020 1 $10.00"]);
}

#[tokio::test]
async fn chart_ends_with_the_last_month_before_an_end_date() {
    let (_app, mut ann) = TestApp::start_with_orders(&two_currencies()).await;
    let page = list(&mut ann, "/orders?from=2000-01-01&to=2019-12-31").await;
    assert_eq!(rows(&page, "EUR"), ["April 2012 1 €10.00", "February 2012 1 €10.00", "January 2012 1 €10.00"]);
    assert!(rows(&page, "USD").is_empty());
}

#[tokio::test]
async fn months_before_the_chart_count_in_the_total_only() {
    let months = (0..48).map(|month| format!("{}-{:02}", 2016 + month / 12, 1 + month % 12));
    let history: Vec<Row> = months.zip(1..).map(|(month, number)| placed(number, &month, "EUR")).collect();
    let (_app, mut ann) = TestApp::start_with_orders(&history).await;
    let page = list(&mut ann, "/orders").await;
    assert!(page.contains("48 orders, €480.00"));
    let shown = rows(&page, "EUR");
    assert_eq!((shown.len(), shown[35].as_str()), (36, "January 2017 1 €10.00"));
    assert!(page.contains("For earlier months, filter by date."));
}

#[tokio::test]
async fn chart_comes_after_the_list_and_its_links() {
    let history: Vec<Row> = (1..=25).map(|number| placed(number, "2024-03", "EUR")).collect();
    let (_app, mut ann) = TestApp::start_with_orders(&history).await;
    let page = list(&mut ann, "/orders").await;
    let positions =
        ["class=\"count\"", "<table class=\"orders\"", "rel=\"next\"", "href=\"/orders.csv\"", " data-chart>"];
    let positions =
        positions.map(|text| page.find(text).unwrap_or_else(|| panic!("{text} is not on the page:\n{page}")));
    assert!(positions.is_sorted(), "{positions:?}");
    assert_eq!(page.matches(" data-chart>").count(), 1);
}

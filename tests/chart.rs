//! Spending by month, over histories longer than a chart.

use crate::finding::app_with;
use crate::orders::list;
use crate::shop::{Row, order};

const ANN: &str = "ann@example.com";

fn placed(number: u32, month: &str, currency: &str) -> Row {
    let row = order(&format!("#{number}"), ANN).with("Created at", &format!("{month}-15 12:00:00 +0000"));
    row.with("Currency", currency).with("Subtotal", "10.00").with("Shipping", "0.00").with("Total", "10.00")
}

/// Month, orders and amount of each row below the chart of that currency, the latest first.
fn rows(page: &str, currency: &str) -> Vec<String> {
    let charts = page.split("<figure class=\"chart\">").skip(1);
    let mut of_currency = charts.filter(|chart| chart.contains(&format!("<span>{currency}</span>")));
    let chart = of_currency.next().unwrap_or_default().split("</figure>").next().unwrap();
    let rows = chart.split("<th scope=\"row\">").skip(1);
    rows.map(|row| row.split("</tbody>").next().unwrap().trim().replace("<td>", " ").replace("\n<tr>", "")).collect()
}

/// Euros in three months of 2012, and eight years of nothing before dollars in 2020.
fn two_currencies() -> Vec<Row> {
    let euros = ["2012-01", "2012-02", "2012-04"].iter().zip(1..).map(|(month, number)| placed(number, month, "EUR"));
    let dollars = ["2020-05", "2020-06"].iter().zip(10..).map(|(month, number)| placed(number, month, "USD"));
    euros.chain(dollars).collect()
}

#[tokio::test]
async fn a_currency_that_ended_years_ago_keeps_its_months_apart() {
    let (_app, mut ann) = app_with(&two_currencies()).await;
    let page = list(&mut ann, "/orders").await;
    assert_eq!(rows(&page, "EUR"), ["April 2012 1 €10.00", "February 2012 1 €10.00", "January 2012 1 €10.00"]);
    assert_eq!(rows(&page, "USD"), ["June 2020 1 $10.00", "May 2020 1 $10.00"]);
}

#[tokio::test]
async fn dates_that_end_years_after_the_last_order_within_them_keep_its_months_apart() {
    let (_app, mut ann) = app_with(&two_currencies()).await;
    let page = list(&mut ann, "/orders?from=2000-01-01&to=2019-12-31").await;
    assert_eq!(rows(&page, "EUR"), ["April 2012 1 €10.00", "February 2012 1 €10.00", "January 2012 1 €10.00"]);
    assert!(rows(&page, "USD").is_empty());
}

#[tokio::test]
async fn what_lies_before_a_chart_counts_in_the_sum_and_not_in_its_first_month() {
    let months = (0..48).map(|month| format!("{}-{:02}", 2016 + month / 12, 1 + month % 12));
    let history: Vec<Row> = months.zip(1..).map(|(month, number)| placed(number, &month, "EUR")).collect();
    let (_app, mut ann) = app_with(&history).await;
    let page = list(&mut ann, "/orders").await;
    assert!(page.contains("48 orders, €480.00"));
    let shown = rows(&page, "EUR");
    assert_eq!((shown.len(), shown[35].as_str()), (36, "January 2017 1 €10.00"));
    assert!(page.contains("Earlier months: choose dates above."));
}

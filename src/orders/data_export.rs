//! The orders in a user's data export.

use serde::Serialize;

use super::json::OrderResponse;
use super::list::{self, Cursor, Filter, PageStart};
use super::order::OrderDetail;
use super::store::{self, OrderParts};
use crate::database::{self, Database, Transaction};

/// Orders read by one statement.
const BATCH: u32 = 100;

/// An order in a data export: the API's response, and the other stored values.
#[derive(Serialize)]
struct ExportedOrder {
    #[serde(flatten)]
    response: OrderResponse,
    cancellation_asked_at: Option<String>,
    cancellation_reason: Option<String>,
    cancellation_answered_at: Option<String>,
    #[serde(rename = "copy_of")]
    reordered_from: Option<String>,
}

/// All orders of a user with all stored values, newest first, for a data export.
pub async fn export_all(
    database: &Database,
    user_id: &str,
    unnamed_shop: &str,
) -> Result<serde_json::Value, database::Error> {
    database.read(async |snapshot| find_all_orders(snapshot, user_id, unnamed_shop).await).await
}

async fn find_all_orders(
    snapshot: &mut Transaction,
    user_id: &str,
    unnamed_shop: &str,
) -> Result<serde_json::Value, database::Error> {
    let mut all = Vec::new();
    let (filter, mut start) = (Filter::default(), PageStart::First);
    loop {
        let (_, page) = list::find_page(snapshot.engine(), &mut *snapshot, user_id, &filter, &start, BATCH).await?;
        let last = page.orders.last().filter(|_| page.has_more).map(|order| Cursor::at(order, filter.sort()));
        let mut lines = store::lines_by_order(snapshot, &page.orders).await?;
        let mut parts = store::parts_by_order(snapshot, &page.orders).await?;
        for order in page.orders {
            let lines = lines.remove(&order.id).unwrap_or_default();
            let OrderParts { address, details, shop } = parts.remove(&order.id).unwrap_or_default();
            all.push(exported_order(OrderDetail { order, lines, address, details, shop }, unnamed_shop));
        }
        match last {
            Some(cursor) => start = PageStart::After(cursor),
            None => return serde_json::to_value(all).map_err(|error| database::Error::Encode(error.into())),
        }
    }
}

fn exported_order(detail: OrderDetail, unnamed_shop: &str) -> ExportedOrder {
    let order = &detail.order;
    let cancellation = order.cancellation.as_ref();
    ExportedOrder {
        cancellation_asked_at: cancellation.map(|cancellation| cancellation.requested_at.to_string()),
        cancellation_reason: cancellation.map(|cancellation| cancellation.reason.clone()),
        cancellation_answered_at: cancellation.and_then(|cancellation| Some(cancellation.answer?.at.to_string())),
        reordered_from: order.reordered_from.as_ref().map(|number| number.as_str().to_owned()),
        response: OrderResponse::new(detail, unnamed_shop),
    }
}

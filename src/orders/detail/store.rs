//! The queries of one order.

use sqlx::AssertSqlSafe;

use crate::database::{Database, Error};
use crate::domain::{Currency, Money, UnixSeconds};
use crate::orders::order::{Order, OrderDetail, OrderLine, OrderName, OrderNumber, ShippingAddress};
use crate::orders::store::{ADDRESS_COLUMNS, ORDER_COLUMNS, OrderRow, SHOP_COLUMN, parse_details, unreadable};

/// Of the table `l`.
const LINE_COLUMNS: &str = "l.sku, l.name, l.quantity, l.unit_price, l.discount, l.fulfillment_status";

#[derive(sqlx::FromRow)]
struct DetailRow {
    #[sqlx(flatten)]
    order: OrderRow,
    #[sqlx(flatten)]
    address: ShippingAddress,
    details: String,
    lines: String,
    original_name: Option<String>,
    shop: Option<String>,
    reports_deliveries: i64,
    reorder_requested_at: Option<UnixSeconds>,
    newer: Option<String>,
    older: Option<String>,
}

/// An order that a page links to.
pub(super) type OrderLink = (OrderNumber, OrderName);

/// An order with the user's next newer and next older order, and the one that it repeats.
pub struct FoundOrder {
    pub detail: OrderDetail,
    pub newer: Option<OrderLink>,
    pub older: Option<OrderLink>,
    pub original: Option<OrderLink>,
    /// Whether the shop's exports say when an order is delivered.
    pub reports_deliveries: bool,
    /// The customer's latest request to order it again that the shop has not marked as done.
    pub reorder_requested_at: Option<UnixSeconds>,
}

/// The user's order of this number.
pub async fn find_order(
    database: &Database,
    user_id: &str,
    number: &OrderNumber,
) -> Result<Option<OrderDetail>, Error> {
    Ok(find_with_neighbours(database, user_id, number).await?.map(|found| found.detail))
}

/// The same with the orders before and after it: one statement, so all of it is consistent.
pub(super) async fn find_with_neighbours(
    database: &Database,
    user_id: &str,
    number: &OrderNumber,
) -> Result<Option<FoundOrder>, Error> {
    let lines = database.engine().json_rows(LINE_COLUMNS, "l.position");
    // Number and name are one value, separated by a line break, which neither has.
    let sql = format!(
        "SELECT {ORDER_COLUMNS}, {ADDRESS_COLUMNS}, details,
             {SHOP_COLUMN}, CAST((SELECT COUNT(*) FROM counters c WHERE c.name = 'deliveries:' || o.shop) AS BIGINT)
                 + CASE WHEN source = 'sample' THEN 1 ELSE 0 END AS reports_deliveries,
             (SELECT MAX(r.created_at) FROM reorder_requests r
              WHERE r.order_id = o.id AND r.user_id = o.user_id AND r.done_at IS NULL) AS reorder_requested_at,
             (SELECT {lines} FROM order_lines l WHERE l.order_id = o.id) AS lines,
             (SELECT n.name FROM orders n WHERE n.user_id = $1 AND n.number = o.reordered_from) AS original_name,
             (SELECT n.number || '\n' || n.name FROM orders n WHERE n.user_id = $2 AND (n.placed_at, n.id) > (o.placed_at, o.id)
              ORDER BY n.placed_at, n.id LIMIT 1) AS newer,
             (SELECT n.number || '\n' || n.name FROM orders n WHERE n.user_id = $3 AND (n.placed_at, n.id) < (o.placed_at, o.id)
              ORDER BY n.placed_at DESC, n.id DESC LIMIT 1) AS older
         FROM orders o WHERE user_id = $4 AND number = $5"
    );
    let mut query = sqlx::query_as(AssertSqlSafe(sql));
    for _ in 0..4 {
        query = query.bind(user_id);
    }
    let row: Option<DetailRow> = query.bind(number.as_str()).fetch_optional(database.reader()).await?;
    row.map(FoundOrder::from_row).transpose()
}

impl FoundOrder {
    fn from_row(row: DetailRow) -> Result<Self, Error> {
        let order = Order::try_from(row.order)?;
        let lines = parse_lines(&row.lines, order.currency())?;
        let original = order.reordered_from.clone().zip(row.original_name.as_deref().and_then(OrderName::parse));
        let details = parse_details(&row.details)?;
        let detail = OrderDetail { order, lines, address: row.address, details, shop: row.shop };
        Ok(Self {
            detail,
            newer: order_link(row.newer),
            older: order_link(row.older),
            original,
            reports_deliveries: row.reports_deliveries > 0,
            reorder_requested_at: row.reorder_requested_at,
        })
    }
}

fn parse_lines(json: &str, currency: Currency) -> Result<Vec<OrderLine>, Error> {
    type Line = (String, String, i64, i64, i64, String);
    let lines: Vec<Line> = serde_json::from_str(json).map_err(|_| unreadable("lines"))?;
    let money = |minor| Money::new(minor, currency);
    let line = |(sku, name, quantity, unit_price, discount, fulfillment_status)| OrderLine {
        sku,
        name,
        quantity,
        unit_price: money(unit_price),
        discount: money(discount),
        fulfillment_status,
    };
    Ok(lines.into_iter().map(line).collect())
}

fn order_link(text: Option<String>) -> Option<OrderLink> {
    let text = text?;
    let (number, name) = text.split_once('\n')?;
    OrderNumber::parse(number).zip(OrderName::parse(name))
}

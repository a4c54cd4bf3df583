//! Reads stored orders with everything that an export says about them.

use std::collections::HashMap;

use sqlx::any::AnyRow;
use sqlx::{FromRow, Row};

use super::select_each;
use crate::database::{Error, Transaction};
use crate::domain::Currency;
use crate::orders::import::fields::{FIELDS, Storage, Value};
use crate::orders::import::imported::{LineValues, OrderValues};
use crate::orders::store::unreadable;

/// The values of a stored order.
pub(in crate::orders::import) struct StoredOrder {
    pub values: OrderValues,
    pub lines: Vec<LineValues>,
}

/// The orders with these ids, by id.
pub(in crate::orders::import) async fn find_stored(
    transaction: &mut Transaction,
    ids: &[&str],
) -> Result<HashMap<String, StoredOrder>, Error> {
    let keys: Vec<[&str; 1]> = ids.iter().map(|id| [*id]).collect();
    let columns: Vec<&str> = FIELDS.iter().filter_map(|field| stored_column(field.storage)).collect();
    let select = format!("SELECT id, details, {} FROM orders WHERE id = {{}}", columns.join(", "));
    let rows: Vec<ValuesRow> = select_each(transaction, &select, &keys).await?;
    let mut lines = find_lines(transaction, &keys).await?;
    let orders = rows.into_iter().map(|ValuesRow { id, values }| {
        let lines = lines.remove(&id).unwrap_or_default();
        (id, StoredOrder { values, lines })
    });
    Ok(orders.collect())
}

/// The lines of orders, in their order.
pub(in crate::orders::import) async fn find_lines(
    transaction: &mut Transaction,
    ids: &[[&str; 1]],
) -> Result<HashMap<String, Vec<LineValues>>, Error> {
    let select = "SELECT order_id, position, sku, name, quantity, unit_price, discount, fulfillment_status
                  FROM order_lines WHERE order_id = {}";
    let mut rows: Vec<LineRow> = select_each(transaction, select, ids).await?;
    rows.sort_by_key(|row| row.position);
    let mut lines: HashMap<String, Vec<LineValues>> = HashMap::new();
    for row in rows {
        let (sku, name, fulfillment_status) = (row.sku, row.name, row.fulfillment_status);
        let (quantity, unit_price, discount) = (row.quantity, row.unit_price, row.discount);
        let line = LineValues { sku, name, quantity, unit_price, discount, fulfillment_status };
        lines.entry(row.order_id).or_default().push(line);
    }
    Ok(lines)
}

#[derive(FromRow)]
struct LineRow {
    order_id: String,
    position: i64,
    sku: String,
    name: String,
    quantity: i64,
    unit_price: i64,
    discount: i64,
    fulfillment_status: String,
}

pub(super) fn stored_column(storage: Storage) -> Option<&'static str> {
    if let Storage::Column(name) = storage { Some(name) } else { None }
}

struct ValuesRow {
    id: String,
    values: OrderValues,
}

impl<'r> FromRow<'r, AnyRow> for ValuesRow {
    fn from_row(row: &'r AnyRow) -> Result<Self, Error> {
        let currency: String = row.try_get("currency")?;
        let mut values = OrderValues::new(Currency::parse(&currency).ok_or_else(|| unreadable("currency"))?);
        let details: String = row.try_get("details")?;
        values.details = serde_json::from_str(&details).map_err(|_| unreadable("details"))?;
        for field in &FIELDS {
            let Some(column) = stored_column(field.storage) else { continue };
            match &field.value {
                Value::Email(lens) => *(lens.get_mut)(&mut values) = row.try_get(column)?,
                Value::Time(lens) | Value::Money(lens) => *(lens.get_mut)(&mut values) = row.try_get(column)?,
                Value::OptionalTime(lens) | Value::OptionalMoney(lens) => {
                    *(lens.get_mut)(&mut values) = row.try_get(column)?;
                }
                Value::Payment(lens) => {
                    let code: String = row.try_get(column)?;
                    *(lens.get_mut)(&mut values) = code.parse().map_err(|_| unreadable(column))?;
                }
                Value::Fulfillment(lens) => {
                    let code: String = row.try_get(column)?;
                    *(lens.get_mut)(&mut values) = code.parse().map_err(|_| unreadable(column))?;
                }
                Value::Text(lens) | Value::Code(lens) | Value::Url(lens) => {
                    *(lens.get_mut)(&mut values) = row.try_get(column)?;
                }
                Value::Currency(_) | Value::Taxes(_) => {}
            }
        }
        Ok(Self { id: row.try_get("id")?, values })
    }
}

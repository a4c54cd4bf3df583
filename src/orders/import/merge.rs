//! Merges a later export of an order into what is known: a column that the export does not have leaves the value alone. Lists what an
//! order loses and gains.

use super::columns::{Column, ColumnSet};
use super::fields::FIELDS;
use super::imported::{ImportedOrder, LineValues, OrderValues};
use super::quote::quote;
use crate::domain::{Currency, Money};

/// The values of a later export over those of an earlier one in the same import.
pub(super) fn merge_imported(earlier: ImportedOrder, mut later: ImportedOrder) -> ImportedOrder {
    later.lines = merge_lines(&earlier.lines, later.columns, &later.lines);
    later.values = merge_values(earlier.values, later.columns, &later.values);
    if later.external_id.is_empty() {
        later.external_id = earlier.external_id;
    }
    later.columns = later.columns.union(earlier.columns);
    later
}

pub(super) fn merge_values(mut known: OrderValues, columns: ColumnSet, later: &OrderValues) -> OrderValues {
    FIELDS.iter().filter(|field| columns.contains(field.column)).for_each(|field| field.value.copy(later, &mut known));
    known
}

/// A line keeps what the export does not have, as long as its product is the same.
pub(super) fn merge_lines(known: &[LineValues], columns: ColumnSet, later: &[LineValues]) -> Vec<LineValues> {
    let merge = |(index, line): (usize, &LineValues)| {
        let mut merged = line.clone();
        if let Some(known) = known.get(index).filter(|known| known.name == line.name) {
            let is_absent = |column| !columns.contains(column);
            if is_absent(Column::LineSku) {
                merged.sku.clone_from(&known.sku);
            }
            if is_absent(Column::LineDiscount) {
                merged.discount = known.discount;
            }
            if is_absent(Column::LineFulfillmentStatus) {
                merged.fulfillment_status.clone_from(&known.fulfillment_status);
            }
        }
        merged
    };
    later.iter().enumerate().map(merge).collect()
}

/// What changes from one version of an order to another, one text for each value.
pub(super) fn differences(
    (values, lines): (&OrderValues, &[LineValues]),
    (later_values, later_lines): (&OrderValues, &[LineValues]),
) -> Vec<String> {
    let changes = FIELDS.iter().filter_map(|field| {
        let (before, after) = (field.value.show(values), field.value.show(later_values));
        difference(field.column.name(), &before, &after)
    });
    let mut all: Vec<String> = changes.collect();
    for index in 0..lines.len().max(later_lines.len()) {
        match (lines.get(index), later_lines.get(index)) {
            (Some(before), Some(after)) => {
                let before = line_texts(before, values.currency);
                let after = line_texts(after, later_values.currency);
                let changed = before.iter().zip(&after).filter_map(|((column, before), (_, after))| {
                    difference(column.name(), before, after).map(|text| format!("line {}: {text}", index + 1))
                });
                all.extend(changed);
            }
            (Some(line), None) => all.push(format!("loses line {}: {}", index + 1, line_words(line))),
            (None, Some(line)) => all.push(format!("gains line {}: {}", index + 1, line_words(line))),
            (None, None) => {}
        }
    }
    all
}

fn difference(name: &str, before: &str, after: &str) -> Option<String> {
    match (before, after) {
        _ if before == after => None,
        ("", _) => Some(format!("gains {name} {}", quote(after))),
        (_, "") => Some(format!("loses {name} {}", quote(before))),
        _ => Some(format!("{name} {} becomes {}", quote(before), quote(after))),
    }
}

fn line_texts(line: &LineValues, currency: Currency) -> [(Column, String); 6] {
    let money = |minor| Money::new(minor, currency).to_decimal_string();
    [
        (Column::LineName, line.name.clone()),
        (Column::LineSku, line.sku.clone()),
        (Column::LineQuantity, line.quantity.to_string()),
        (Column::LinePrice, money(line.unit_price)),
        (Column::LineDiscount, money(line.discount)),
        (Column::LineFulfillmentStatus, line.fulfillment_status.clone()),
    ]
}

fn line_words(line: &LineValues) -> String {
    format!("{} × {}", line.quantity, quote(&line.name))
}

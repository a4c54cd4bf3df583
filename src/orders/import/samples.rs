//! Parses the sample orders as an export.

use std::collections::HashSet;

use super::error::ImportError;
use super::file::ImportFile;
use super::imported::ImportedOrder;
use super::rows::{OrderReader, ReadOptions};
use crate::domain::Zone;

/// The orders of an export that is compiled in.
///
/// # Errors
/// The text is no export.
pub(in crate::orders) fn parse_samples(text: &'static str) -> Result<Vec<ImportedOrder>, ImportError> {
    let files = [ImportFile::from_text(text)?];
    let (zone, none) = (Zone::utc(), HashSet::new());
    let reading = ReadOptions { files: &files, mappings: &[], zone: &zone };
    let mut reader = OrderReader::new(&reading, &none);
    let mut orders = Vec::new();
    while let Some(named) = reader.next()? {
        orders.extend(named.assembled.orders);
    }
    Ok(orders)
}

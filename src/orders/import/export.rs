//! Reads an export: finds the columns, groups rows into orders.

use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::hash_map::{Entry, HashMap};

use super::blocks::{BlockReader, is_file_changed};
use super::error::ImportError;
use super::fields::Cell;
use super::seen_numbers::SeenNumbers;
use crate::domain::{Currency, Money, UnixSeconds};
use crate::orders::monthly_totals::OrderAmounts;
use crate::orders::order::{OrderNumber, OrderStatus, ShippingAddress};

const REQUIRED_COLUMNS: [&str; 13] = [
    "Name",
    "Email",
    "Financial Status",
    "Fulfillment Status",
    "Currency",
    "Subtotal",
    "Shipping",
    "Taxes",
    "Total",
    "Created at",
    "Lineitem quantity",
    "Lineitem name",
    "Lineitem price",
];
const OPTIONAL_COLUMNS: [&str; 16] = [
    "Paid at",
    "Fulfilled at",
    "Cancelled at",
    "Discount Amount",
    "Refunded Amount",
    "Lineitem sku",
    "Lineitem discount",
    "Shipping Name",
    "Shipping Company",
    "Shipping Address1",
    "Shipping Address2",
    "Shipping Zip",
    "Shipping City",
    "Shipping Province",
    "Shipping Country",
    "Shipping Phone",
];
/// Only the first row of an order has a value in one of these columns.
const FIRST_ROW_COLUMNS: [&str; 5] = ["Total", "Subtotal", "Financial Status", "Currency", "Shipping"];

/// An order of the export; money in minor units, times in Unix seconds. The content hash covers the serialized form: a change of the
/// fields or of their order makes the next import update every order.
#[derive(Clone, Serialize)]
pub(super) struct ImportedOrder {
    pub number: String,
    pub email: Option<String>,
    pub placed_at: i64,
    pub paid_at: Option<i64>,
    pub fulfilled_at: Option<i64>,
    pub cancelled_at: Option<i64>,
    pub payment_status: String,
    pub fulfillment_status: String,
    #[serde(serialize_with = "serialize_code")]
    pub currency: Currency,
    pub subtotal: i64,
    pub shipping: i64,
    pub taxes: i64,
    pub discount: i64,
    pub refunded: i64,
    pub total: i64,
    pub address: ShippingAddress,
    pub lines: Vec<ImportedLine>,
}

#[derive(Clone, Serialize)]
pub(super) struct ImportedLine {
    pub sku: String,
    pub name: String,
    pub quantity: i64,
    pub unit_price: i64,
    pub discount: i64,
}

impl ImportedOrder {
    /// The SHA-256 of all values of the order: equal if the order did not change since the last import.
    pub(super) fn content_hash(&self) -> Vec<u8> {
        let content = serde_json::to_vec(self).unwrap_or_default();
        Sha256::digest(content).to_vec()
    }

    pub(super) fn status(&self) -> OrderStatus {
        OrderStatus::derive(&self.payment_status, &self.fulfillment_status, self.cancelled_at.is_some())
    }

    /// What the order counts in the totals of its owner.
    pub(super) fn counted(&self) -> OrderAmounts {
        OrderAmounts {
            placed_at: UnixSeconds::new(self.placed_at),
            status: self.status(),
            total: Money::new(self.total, self.currency),
            refunded: Money::new(self.refunded, self.currency),
        }
    }
}

pub(super) struct ExportReader<'a> {
    file: &'a str,
    reader: Reader<BlockReader<'a>>,
    columns: HashMap<&'static str, usize>,
    row: StringRecord,
    line: u64,
}

enum RowKind {
    /// The first row of an order, with the order's own values.
    Order(Box<ImportedOrder>),
    /// Another line. It is parsed later, with the currency of its order.
    Line,
}

impl<'a> ExportReader<'a> {
    /// Reads the header row.
    pub(super) fn open(file: &'a str, content: BlockReader<'a>) -> Result<Self, ImportError> {
        let mut reader = ReaderBuilder::new().buffer_capacity(1 << 16).from_reader(content);
        let names = reader.headers().map_err(|error| read_error(file, error))?.clone();
        if names.iter().all(str::is_empty) {
            return Err(ImportError::Empty { file: file.to_owned() });
        }
        let columns = columns(file, &names)?;
        Ok(Self { file, reader, columns, row: StringRecord::new(), line: 1 })
    }

    /// The orders of an export with contiguous rows, each with the number of bytes read so far; [`ImportError::NonContiguousRows`] at
    /// the first row of an order that ended before.
    pub(super) fn into_orders(mut self) -> impl Iterator<Item = Result<(ImportedOrder, u64), ImportError>> + use<'a> {
        let mut seen = SeenNumbers::default();
        let mut current: Option<ImportedOrder> = None;
        let mut is_finished = false;
        std::iter::from_fn(move || {
            while !is_finished {
                match self.next_row() {
                    Ok(None) => {
                        is_finished = true;
                        let bytes = self.reader.position().byte();
                        return current.take().map(|order| Ok((order, bytes)));
                    }
                    Ok(Some((number, kind))) => {
                        let continues = current.as_ref().is_some_and(|order| order.number == number);
                        let is_repeated = !continues && !seen.insert(&number);
                        match (kind, current.as_mut()) {
                            _ if is_repeated => {
                                return Some(stop(&mut is_finished, ImportError::NonContiguousRows));
                            }
                            (RowKind::Line, Some(order)) if continues => match self.line(order.currency) {
                                Ok(line) => order.lines.push(line),
                                Err(error) => return Some(stop(&mut is_finished, error)),
                            },
                            (RowKind::Line, _) => {
                                return Some(stop(&mut is_finished, self.missing_first_row(&number)));
                            }
                            (RowKind::Order(_), _) if continues => {
                                return Some(stop(&mut is_finished, self.duplicate_order(&number)));
                            }
                            (RowKind::Order(order), _) => {
                                let bytes = self.reader.position().byte();
                                if let Some(complete) = current.replace(*order) {
                                    return Some(Ok((complete, bytes)));
                                }
                            }
                        }
                    }
                    Err(error) => return Some(stop(&mut is_finished, error)),
                }
            }
            None
        })
    }

    /// All orders, sorted by their first rows, whether their rows are contiguous or not.
    pub(super) fn read_all(mut self) -> Result<Vec<ImportedOrder>, ImportError> {
        let mut orders: Vec<ImportedOrder> = Vec::new();
        let mut indexes: HashMap<String, usize> = HashMap::new();
        while let Some((number, kind)) = self.next_row()? {
            match (kind, indexes.entry(number)) {
                (RowKind::Order(order), Entry::Vacant(entry)) => {
                    entry.insert(orders.len());
                    orders.push(*order);
                }
                (RowKind::Line, Entry::Occupied(entry)) => {
                    let order = &mut orders[*entry.get()];
                    order.lines.push(self.line(order.currency)?);
                }
                (RowKind::Order(_), Entry::Occupied(entry)) => return Err(self.duplicate_order(entry.key())),
                (RowKind::Line, Entry::Vacant(entry)) => return Err(self.missing_first_row(entry.key())),
            }
        }
        Ok(orders)
    }

    fn missing_first_row(&self, number: &str) -> ImportError {
        let problem = format!(
            "a line of order #{number} comes before the order's first row, the one with its Total; export the orders again"
        );
        self.cell("Total").error(problem)
    }

    fn duplicate_order(&self, number: &str) -> ImportError {
        self.cell("Name").error(format!("order #{number} is in the file twice; remove one of them"))
    }

    fn next_row(&mut self) -> Result<Option<(String, RowKind)>, ImportError> {
        let mut row = std::mem::take(&mut self.row);
        let read = self.reader.read_record(&mut row);
        self.row = row;
        if !read.map_err(|error| read_error(self.file, error))? {
            return Ok(None);
        }
        self.line = self.row.position().map_or(self.line, csv::Position::line);
        let number = self.cell("Name").number()?;
        let is_first = FIRST_ROW_COLUMNS.iter().any(|column| !self.cell(column).text.is_empty());
        let kind = if is_first { RowKind::Order(Box::new(self.order(&number)?)) } else { RowKind::Line };
        Ok(Some((number.as_str().to_owned(), kind)))
    }

    fn cell<'c>(&'c self, column: &'static str) -> Cell<'c> {
        let text = self.columns.get(column).and_then(|index| self.row.get(*index)).unwrap_or_default();
        Cell { file: self.file, line: self.line, column, text }
    }

    fn order(&self, number: &OrderNumber) -> Result<ImportedOrder, ImportError> {
        let currency = self.cell("Currency").currency()?;
        let time = |column| self.cell(column).optional_time().map(|at| at.map(crate::domain::UnixSeconds::get));
        let money = |column| self.cell(column).optional_money(currency).map(Money::minor);
        Ok(ImportedOrder {
            number: number.as_str().to_owned(),
            email: self.cell("Email").email()?.map(|email| email.as_str().to_owned()),
            placed_at: self.cell("Created at").time()?.get(),
            paid_at: time("Paid at")?,
            fulfilled_at: time("Fulfilled at")?,
            cancelled_at: time("Cancelled at")?,
            payment_status: self.cell("Financial Status").payment_state()?,
            fulfillment_status: self.cell("Fulfillment Status").fulfillment_state()?,
            currency,
            subtotal: self.cell("Subtotal").money(currency)?.minor(),
            shipping: money("Shipping")?,
            taxes: money("Taxes")?,
            discount: money("Discount Amount")?,
            refunded: money("Refunded Amount")?,
            total: self.cell("Total").money(currency)?.minor(),
            address: self.address()?,
            lines: vec![self.line(currency)?],
        })
    }

    fn address(&self) -> Result<ShippingAddress, ImportError> {
        let text = |column| self.cell(column).text();
        Ok(ShippingAddress {
            name: text("Shipping Name")?,
            company: text("Shipping Company")?,
            address1: text("Shipping Address1")?,
            address2: text("Shipping Address2")?,
            zip: self.cell("Shipping Zip").postcode()?,
            city: text("Shipping City")?,
            province: text("Shipping Province")?,
            country: text("Shipping Country")?,
            phone: self.cell("Shipping Phone").postcode()?,
        })
    }

    fn line(&self, currency: Currency) -> Result<ImportedLine, ImportError> {
        let name = self.cell("Lineitem name");
        Ok(ImportedLine {
            sku: self.cell("Lineitem sku").text()?,
            name: name.text()?,
            quantity: self.cell("Lineitem quantity").quantity()?,
            unit_price: self.cell("Lineitem price").money(currency)?.minor(),
            discount: self.cell("Lineitem discount").optional_money(currency)?.minor(),
        })
    }
}

fn serialize_code<S: serde::Serializer>(currency: &Currency, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(currency.code())
}

fn stop<T>(is_finished: &mut bool, error: ImportError) -> Result<T, ImportError> {
    *is_finished = true;
    Err(error)
}

fn columns(file: &str, names: &StringRecord) -> Result<HashMap<&'static str, usize>, ImportError> {
    let error = |column, problem| ImportError::Column { file: file.to_owned(), column, problem };
    let mut columns = HashMap::new();
    for column in REQUIRED_COLUMNS.into_iter().chain(OPTIONAL_COLUMNS) {
        let mut indexes = names.iter().enumerate().filter(|(_, name)| name.trim() == column).map(|(index, _)| index);
        if let Some(index) = indexes.next() {
            columns.insert(column, index);
        } else if REQUIRED_COLUMNS.contains(&column) {
            return Err(error(column, "the column is missing"));
        }
        if indexes.next().is_some() {
            return Err(error(column, "the column is there twice"));
        }
    }
    Ok(columns)
}

fn read_error(file: &str, error: csv::Error) -> ImportError {
    let line = error.position().map_or(1, csv::Position::line);
    let file = file.to_owned();
    match error.into_kind() {
        ErrorKind::Io(source) if is_file_changed(&source) => ImportError::Changed { file },
        ErrorKind::Io(source) => ImportError::Unreadable { file, source },
        ErrorKind::Utf8 { .. } => {
            ImportError::Row { file, line, problem: "the row is not UTF-8 text; save the file as UTF-8".to_owned() }
        }
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            let problem =
                format!("the row has {len} cells where the first has {expected_len}; check its quotes and commas");
            ImportError::Row { file, line, problem }
        }
        _ => ImportError::Row { file, line, problem: "the row cannot be read; export the orders again".to_owned() },
    }
}

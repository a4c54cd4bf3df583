//! Reading an export: which columns there are, which rows make one order.

use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::hash_map::{Entry, HashMap};

use super::blocks::{Blocks, is_change};
use super::error::ImportError;
use super::fields::Cell;
use super::met_numbers::MetNumbers;
use crate::orders::money::{Currency, Money};
use crate::orders::order::{Address, OrderNumber};

/// Columns that every export has.
const NEEDED: [&str; 13] = [
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
/// Columns that are read where they are there.
const OPTIONAL: [&str; 16] = [
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
/// An order's first row is told from those that follow by one of these being there.
const FIRST_ROW: [&str; 5] = ["Total", "Subtotal", "Financial Status", "Currency", "Shipping"];

/// An order as the export tells it; money in minor units, times in Unix seconds.
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
    #[serde(serialize_with = "code")]
    pub currency: Currency,
    pub subtotal: i64,
    pub shipping: i64,
    pub taxes: i64,
    pub discount: i64,
    pub refunded: i64,
    pub total: i64,
    pub address: Address,
    pub lines: Vec<ImportedLine>,
}

/// A line as the export tells it.
#[derive(Clone, Serialize)]
pub(super) struct ImportedLine {
    pub sku: String,
    pub name: String,
    pub quantity: i64,
    pub unit_price: i64,
    pub discount: i64,
}

impl ImportedOrder {
    /// Stands for everything that the export says: the same when nothing changed.
    pub(super) fn fingerprint(&self) -> Vec<u8> {
        let said = serde_json::to_vec(self).unwrap_or_default();
        Sha256::digest(said).to_vec()
    }
}

/// An export that is being read.
pub(super) struct Export<'a> {
    file: &'a str,
    reader: Reader<Blocks<'a>>,
    columns: HashMap<&'static str, usize>,
    row: StringRecord,
    line: u64,
}

/// What a row is to its order.
enum Part {
    First(Box<ImportedOrder>),
    /// A further line, which is read once the order's currency is known.
    Further,
}

impl<'a> Export<'a> {
    /// Reads the row of column names.
    pub(super) fn open(file: &'a str, content: Blocks<'a>) -> Result<Self, ImportError> {
        let mut reader = ReaderBuilder::new().buffer_capacity(1 << 16).from_reader(content);
        let names = reader.headers().map_err(|error| reading_failed(file, error))?.clone();
        if names.iter().all(str::is_empty) {
            return Err(ImportError::Empty { file: file.to_owned() });
        }
        let columns = columns(file, &names)?;
        Ok(Self { file, reader, columns, row: StringRecord::new(), line: 1 })
    }

    /// Orders whose rows stand together, each with the bytes read so far; [`ImportError::Scattered`] at the first row that
    /// belongs to an order further up.
    pub(super) fn into_orders(mut self) -> impl Iterator<Item = Result<(ImportedOrder, u64), ImportError>> + use<'a> {
        let mut met = MetNumbers::default();
        let mut open: Option<ImportedOrder> = None;
        let mut is_over = false;
        std::iter::from_fn(move || {
            while !is_over {
                match self.next_part() {
                    Ok(None) => {
                        is_over = true;
                        let bytes = self.reader.position().byte();
                        return open.take().map(|order| Ok((order, bytes)));
                    }
                    Ok(Some((number, part))) => {
                        let continues = open.as_ref().is_some_and(|order| order.number == number);
                        let is_back = !continues && !met.insert(&number);
                        match (part, open.as_mut()) {
                            _ if is_back => {
                                return Some(stop(&mut is_over, ImportError::Scattered));
                            }
                            (Part::Further, Some(order)) if continues => match self.line(order.currency) {
                                Ok(line) => order.lines.push(line),
                                Err(error) => return Some(stop(&mut is_over, error)),
                            },
                            (Part::Further, _) => {
                                return Some(stop(&mut is_over, self.no_first_row(&number)));
                            }
                            (Part::First(_), _) if continues => {
                                return Some(stop(&mut is_over, self.twice(&number)));
                            }
                            (Part::First(order), _) => {
                                let bytes = self.reader.position().byte();
                                if let Some(done) = open.replace(*order) {
                                    return Some(Ok((done, bytes)));
                                }
                            }
                        }
                    }
                    Err(error) => return Some(stop(&mut is_over, error)),
                }
            }
            None
        })
    }

    /// All orders, wherever their rows stand, in the order of their first rows.
    pub(super) fn gather(mut self) -> Result<Vec<ImportedOrder>, ImportError> {
        let mut orders: Vec<ImportedOrder> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        while let Some((number, part)) = self.next_part()? {
            match (part, places.entry(number)) {
                (Part::First(order), Entry::Vacant(place)) => {
                    place.insert(orders.len());
                    orders.push(*order);
                }
                (Part::Further, Entry::Occupied(place)) => {
                    let order = &mut orders[*place.get()];
                    order.lines.push(self.line(order.currency)?);
                }
                (Part::First(_), Entry::Occupied(place)) => return Err(self.twice(place.key())),
                (Part::Further, Entry::Vacant(place)) => return Err(self.no_first_row(place.key())),
            }
        }
        Ok(orders)
    }

    fn no_first_row(&self, number: &str) -> ImportError {
        let problem = format!(
            "a line of order #{number} stands before the order's first row, the one with its Total; export the orders again"
        );
        self.cell("Total").error(problem)
    }

    fn twice(&self, number: &str) -> ImportError {
        self.cell("Name").error(format!("order #{number} is in the file twice; remove one of them"))
    }

    fn next_part(&mut self) -> Result<Option<(String, Part)>, ImportError> {
        let mut row = std::mem::take(&mut self.row);
        let read = self.reader.read_record(&mut row);
        self.row = row;
        if !read.map_err(|error| reading_failed(self.file, error))? {
            return Ok(None);
        }
        self.line = self.row.position().map_or(self.line, csv::Position::line);
        let number = self.cell("Name").number()?;
        let is_first = FIRST_ROW.iter().any(|column| !self.cell(column).text.is_empty());
        let part = if is_first { Part::First(Box::new(self.order(&number)?)) } else { Part::Further };
        Ok(Some((number.as_str().to_owned(), part)))
    }

    fn cell<'c>(&'c self, column: &'static str) -> Cell<'c> {
        let text = self.columns.get(column).and_then(|index| self.row.get(*index)).unwrap_or_default();
        Cell { file: self.file, line: self.line, column, text }
    }

    fn order(&self, number: &OrderNumber) -> Result<ImportedOrder, ImportError> {
        let currency = self.cell("Currency").currency()?;
        let time = |column| self.cell(column).time_or_never().map(|at| at.map(crate::clock::UnixSeconds::get));
        let money = |column| self.cell(column).money_or_nothing(currency).map(Money::minor);
        Ok(ImportedOrder {
            number: number.as_str().to_owned(),
            email: self.cell("Email").email()?.map(|email| email.as_str().to_owned()),
            placed_at: self.cell("Created at").time()?.get(),
            paid_at: time("Paid at")?,
            fulfilled_at: time("Fulfilled at")?,
            cancelled_at: time("Cancelled at")?,
            payment_status: self.cell("Financial Status").payment()?,
            fulfillment_status: self.cell("Fulfillment Status").fulfillment()?,
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

    fn address(&self) -> Result<Address, ImportError> {
        let text = |column| self.cell(column).text();
        Ok(Address {
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
            discount: self.cell("Lineitem discount").money_or_nothing(currency)?.minor(),
        })
    }
}

fn code<S: serde::Serializer>(currency: &Currency, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(currency.code())
}

fn stop<T>(is_over: &mut bool, error: ImportError) -> Result<T, ImportError> {
    *is_over = true;
    Err(error)
}

fn columns(file: &str, names: &StringRecord) -> Result<HashMap<&'static str, usize>, ImportError> {
    let wrong = |column, problem| ImportError::Column { file: file.to_owned(), column, problem };
    let mut columns = HashMap::new();
    for column in NEEDED.into_iter().chain(OPTIONAL) {
        let mut places = names.iter().enumerate().filter(|(_, name)| name.trim() == column).map(|(index, _)| index);
        if let Some(place) = places.next() {
            columns.insert(column, place);
        } else if NEEDED.contains(&column) {
            return Err(wrong(column, "the column is missing"));
        }
        if places.next().is_some() {
            return Err(wrong(column, "the column is there twice"));
        }
    }
    Ok(columns)
}

fn reading_failed(file: &str, error: csv::Error) -> ImportError {
    let line = error.position().map_or(1, csv::Position::line);
    let file = file.to_owned();
    match error.into_kind() {
        ErrorKind::Io(source) if is_change(&source) => ImportError::Changed { file },
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

//! The list as a spreadsheet: CSV (RFC 4180), written while it is read, a few hundred orders at a time, however many there are.

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, web};
use csv::{Terminator, WriterBuilder};
use futures_util::stream;
use time::macros::format_description;

use super::cursor::Cursor;
use super::filter::{Asked, Filter, Wrong};
use super::money::Money;
use super::order::{Order, OrderLine};
use super::store::{self, From};
use crate::clock::{Clock, UnixSeconds};
use crate::database::{self, Database};
use crate::sessions::CurrentUser;
use crate::web::escape::without_bidi_controls;
use crate::web::{Error, Layout, Zone};

/// Orders that are read at once.
const BATCH: u32 = 200;
/// Tells spreadsheets that the text is UTF-8.
const BYTE_ORDER_MARK: &str = "\u{feff}";
/// What a spreadsheet takes for the beginning of a formula (OWASP, "CSV Injection"), the wide forms among them.
const FORMULA: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];
/// What may begin a cell within one.
const SEPARATORS: [char; 4] = [';', '\t', '\r', '\n'];
/// Below the 32,767 that a cell of Excel holds, in units of UTF-16: a smiley is two.
const LONGEST_CELL: usize = 32_000;

pub(super) async fn download(
    user: CurrentUser,
    layout: Layout,
    asked: Result<web::Query<Asked>, actix_web::Error>,
    database: web::Data<Database>,
    clock: web::Data<Clock>,
) -> Result<HttpResponse, Error> {
    let asked = asked.map_err(|_| Error::BadRequest("give each part of the filter once".to_owned()))?;
    let zone = layout.zone();
    let filter = asked.read(&zone, clock.now()).map_err(|wrong| Error::BadRequest(first_reason(wrong)))?;
    let sheet =
        Sheet { database: database.as_ref().clone(), user_id: user.user_id, filter, zone, next: Some(From::Start) };
    let heading = sheet.heading()?;
    let rows = stream::try_unfold((sheet, Some(heading)), |(mut sheet, heading)| async move {
        if let Some(heading) = heading {
            return Ok(Some((heading, (sheet, None))));
        }
        let rows = sheet.next_rows().await?;
        Ok::<_, actix_web::Error>(rows.map(|rows| (rows, (sheet, None))))
    });
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/csv; charset=utf-8"))
        .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"orders.csv\""))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .streaming(rows))
}

fn first_reason(wrong: Wrong) -> String {
    [wrong.other, wrong.q, wrong.from, wrong.to].into_iter().flatten().next().unwrap_or_default()
}

/// A spreadsheet that is being written.
struct Sheet {
    database: Database,
    user_id: String,
    filter: Filter,
    zone: Zone,
    /// Where to read on; `None` at the end.
    next: Option<From>,
}

impl Sheet {
    fn heading(&self) -> Result<Bytes, Error> {
        let placed = format!("Placed ({})", self.zone.name());
        let columns = [
            "Order",
            &placed,
            "Status",
            "Payment",
            "Fulfilment",
            "Items",
            "Products",
            "Currency",
            "Subtotal",
            "Shipping",
            "Taxes",
            "Discount",
            "Refunded",
            "Total",
        ];
        let mut text = BYTE_ORDER_MARK.as_bytes().to_vec();
        text.extend(written([columns.map(str::to_owned)])?);
        Ok(text.into())
    }

    async fn next_rows(&mut self) -> Result<Option<Bytes>, Error> {
        let Some(from) = self.next.take() else {
            return Ok(None);
        };
        let (user_id, filter) = (&self.user_id, &self.filter);
        let read = self.database.read(async |snapshot| {
            let part = store::list(snapshot, user_id, filter, &from, BATCH).await?;
            let lines = store::lines_of(snapshot, &part.orders).await?;
            Ok::<_, database::Error>((part, lines))
        });
        let (part, lines) = read.await?;
        let last = part.orders.last().filter(|_| part.has_more);
        self.next = last.map(|order| From::After(Cursor::at(order, self.filter.sort())));
        let of = |order: &Order| lines.get(&order.id).map(Vec::as_slice).unwrap_or_default();
        let rows = part.orders.iter().map(|order| cells(order, of(order), &self.zone));
        Ok(Some(written(rows)?.into()))
    }
}

fn cells(order: &Order, lines: &[OrderLine], zone: &Zone) -> [String; 14] {
    let products: Vec<String> = lines.iter().map(|line| format!("{} × {}", line.quantity, line.name)).collect();
    [
        format!("#{}", order.number.as_str()),
        placed(order.placed_at, zone),
        order.status.label().to_owned(),
        order.payment_status.clone(),
        order.fulfillment_status.clone(),
        order.line_count.to_string(),
        products.join("; "),
        order.currency().code().to_owned(),
        order.subtotal.plain(),
        order.shipping.plain(),
        order.taxes.plain(),
        order.discount.plain(),
        order.refunded.plain(),
        Money::plain(order.total),
    ]
}

/// `2024-03-01 11:00`, which spreadsheets take for a time.
fn placed(at: UnixSeconds, zone: &Zone) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]");
    zone.local(at).format(format).unwrap_or_else(|_| at.to_string())
}

fn written<const N: usize>(rows: impl IntoIterator<Item = [String; N]>) -> Result<Vec<u8>, Error> {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    for row in rows {
        writer.write_record(row.map(|cell| neutralize(&cell))).map_err(|error| Error::Internal(error.into()))?;
    }
    writer.into_inner().map_err(|error| Error::Internal(error.to_string().into()))
}

/// The cell as text: a quote keeps what looks like a formula from being one. A spreadsheet may also begin a cell at a semicolon, a tab
/// or a line end, as where the comma stands in decimals: it then takes no notice of quotes around the whole. One
/// that begins with a space is text.
fn neutralize(cell: &str) -> String {
    let cell = without_bidi_controls(cell);
    let cell = if cell.len() > LONGEST_CELL { shortened(&cell) } else { cell };
    let cell = if cell.starts_with(FORMULA) { format!("'{cell}") } else { cell };
    // Most have none, and are long to look through letter by letter.
    if SEPARATORS.iter().any(|separator| cell.contains(*separator)) { neutralize_parts(&cell) } else { cell }
}

fn neutralize_parts(cell: &str) -> String {
    let mut text = String::with_capacity(cell.len() + 1);
    let mut begins_part = false;
    for letter in cell.chars() {
        let is_separator = SEPARATORS.contains(&letter);
        if begins_part && !is_separator && FORMULA.contains(&letter) {
            text.push('\'');
        }
        text.push(letter);
        begins_part = is_separator;
    }
    text
}

fn shortened(cell: &str) -> String {
    let mut room = LONGEST_CELL;
    let fits = |letter: &char| {
        let left = room.checked_sub(letter.len_utf16());
        room = left.unwrap_or(room);
        left.is_some()
    };
    cell.chars().take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_formula_is_text() {
        for cell in ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "＝1"] {
            assert_eq!(neutralize(cell), format!("'{cell}"));
        }
        assert_eq!(neutralize("1 × =1+1, -2"), "1 × =1+1, -2");
    }

    #[test]
    fn formula_after_a_separator_within_a_cell_is_text() {
        let cells = [
            ("Pen;=1+1", "Pen;'=1+1"),
            ("Pen;\u{202e}@SUM(A1)", "Pen;'@SUM(A1)"),
            ("Pen\t+1", "Pen\t'+1"),
            ("Pen\r\n-1", "Pen\r\n'-1"),
            ("1 × Pen; -1 × Cup", "1 × Pen; -1 × Cup"),
            ("one\r\n\r\ntwo", "one\r\n\r\ntwo"),
        ];
        for (cell, expected) in cells {
            assert_eq!(neutralize(cell), expected);
        }
    }

    #[test]
    fn no_cell_is_longer_than_excel_takes() {
        for letter in ["a", "é", "漢", "🧀"] {
            assert_eq!(neutralize(&letter.repeat(50_000)).encode_utf16().count(), LONGEST_CELL);
        }
        let short = "漢".repeat(20_000);
        assert_eq!(neutralize(&short), short);
    }

    #[test]
    fn quotes_commas_and_line_ends_stay_within_their_cell() {
        let text = written([["a \"b\", c\nd".to_owned(), "e".to_owned()]]).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "\"a \"\"b\"\", c\nd\",e\r\n");
    }
}

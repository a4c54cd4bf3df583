//! GET `/orders.csv`: the filtered list as CSV (RFC 4180). The response is streamed, a few hundred orders at a time, so that memory use
//! does not depend on its length.

mod columns;

use std::sync::Arc;

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, web};
use csv::{Terminator, WriterBuilder};
use futures_util::stream;

use self::columns::Cell;
use crate::clock::Clock;
use crate::config::Shop;
use crate::database::{self, Database};
use crate::domain::Zone;
use crate::orders::list::{Cursor, Filter, FilterErrors, FilterParams, PageStart, find_page};
use crate::orders::order::OrderDetail;
use crate::orders::store::{OrderParts, lines_by_order, parts_by_order};
use crate::sessions::CurrentUser;
use crate::web::escape::without_bidi_controls;
use crate::web::{Error, Layout};

/// Orders in one query.
const BATCH_SIZE: u32 = 200;
/// Makes spreadsheet programs read the file as UTF-8.
const BYTE_ORDER_MARK: &str = "\u{feff}";
/// First characters that make a spreadsheet program treat a cell as a formula (OWASP, "CSV Injection"), with their fullwidth forms.
const FORMULA_STARTS: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];
/// Where a spreadsheet program may begin another cell within one.
const SEPARATORS: [char; 4] = [';', '\t', '\r', '\n'];
/// Units of UTF-16. Excel allows 32,767.
const MAX_CELL_LENGTH: usize = 32_000;
/// Ends a cell that was cut.
const CUT_MARK: &str = "… (cut)";

pub(super) async fn download(
    user: CurrentUser,
    layout: Layout,
    params: Result<web::Query<FilterParams>, actix_web::Error>,
    database: web::Data<Database>,
    clock: web::Data<Clock>,
) -> Result<HttpResponse, Error> {
    let params = params.map_err(|_| Error::BadRequest("each filter can be given only once".to_owned()))?;
    let mut params = params.into_inner();
    params.remove_unknown_codes();
    let zone = layout.zone();
    let filter = params.parse(&zone, clock.now()).map_err(|errors| Error::BadRequest(first_error(errors)))?;
    let (database, user_id, next) = (database.as_ref().clone(), user.user_id.into_string(), Some(PageStart::First));
    let export = CsvExport { database, user_id, filter, zone, shop: layout.shop, next };
    let header_row = export.header_row()?;
    let rows = stream::try_unfold((export, Some(header_row)), |(mut export, header_row)| async move {
        if let Some(header_row) = header_row {
            return Ok(Some((header_row, (export, None))));
        }
        let rows = export.next_rows().await?;
        Ok::<_, actix_web::Error>(rows.map(|rows| (rows, (export, None))))
    });
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/csv; charset=utf-8"))
        .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"orders.csv\""))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .streaming(rows))
}

fn first_error(errors: FilterErrors) -> String {
    [errors.other, errors.q, errors.from, errors.to].into_iter().flatten().next().unwrap_or_default()
}

/// An export in progress.
struct CsvExport {
    database: Database,
    user_id: String,
    filter: Filter,
    zone: Zone,
    shop: Arc<Shop>,
    /// The start of the next batch; `None` at the end.
    next: Option<PageStart>,
}

impl CsvExport {
    fn header_row(&self) -> Result<Bytes, Error> {
        let mut text = BYTE_ORDER_MARK.as_bytes().to_vec();
        text.extend(to_csv([columns::names(&self.zone, self.shop.shows_notes)])?);
        Ok(text.into())
    }

    async fn next_rows(&mut self) -> Result<Option<Bytes>, Error> {
        let Some(start) = self.next.take() else {
            return Ok(None);
        };
        let (user_id, filter) = (&self.user_id, &self.filter);
        let read = self.database.read(async |snapshot| {
            let (_, page) = find_page(snapshot.engine(), &mut *snapshot, user_id, filter, &start, BATCH_SIZE).await?;
            let lines = lines_by_order(snapshot, &page.orders).await?;
            let parts = parts_by_order(snapshot, &page.orders).await?;
            Ok::<_, database::Error>((page, lines, parts))
        });
        let (page, mut lines, mut parts) = read.await?;
        let last = page.orders.last().filter(|_| page.has_more);
        self.next = last.map(|order| PageStart::After(Cursor::at(order, self.filter.sort())));
        let rows = page.orders.into_iter().map(|order| {
            let lines = lines.remove(&order.id).unwrap_or_default();
            let OrderParts { address, details, shop } = parts.remove(&order.id).unwrap_or_default();
            columns::cells(&OrderDetail { order, lines, address, details, shop }, &self.zone, &self.shop)
        });
        Ok(Some(to_csv(rows)?.into()))
    }
}

fn to_csv(rows: impl IntoIterator<Item = Vec<Cell>>) -> Result<Vec<u8>, Error> {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    for row in rows {
        let cells = row.into_iter().map(|cell| match cell {
            Cell::Text(text) => neutralize_formula(&text),
            Cell::Number(number) => number,
        });
        writer.write_record(cells).map_err(|error| Error::Internal(error.into()))?;
    }
    writer.into_inner().map_err(|error| Error::Internal(error.to_string().into()))
}

/// Prefixes what a spreadsheet program would treat as a formula with a quote. A program may also begin a cell at a semicolon, tab or line
/// end, for example where the comma is the decimal separator; it then ignores the quotes around the whole cell. A cell that begins with
/// a space is text.
fn neutralize_formula(cell: &str) -> String {
    let cell = without_bidi_controls(cell);
    let cell = if cell.len() > MAX_CELL_LENGTH { truncate(&cell) } else { cell };
    let cell = if cell.starts_with(FORMULA_STARTS) { format!("'{cell}") } else { cell };
    // Most cells have no separator, and this check is faster than the loop.
    if SEPARATORS.iter().any(|separator| cell.contains(*separator)) { neutralize_parts(&cell) } else { cell }
}

fn neutralize_parts(cell: &str) -> String {
    let mut text = String::with_capacity(cell.len() + 1);
    let mut begins_part = false;
    for letter in cell.chars() {
        let is_separator = SEPARATORS.contains(&letter);
        if begins_part && !is_separator && FORMULA_STARTS.contains(&letter) {
            text.push('\'');
        }
        text.push(letter);
        // A quote there is read as an empty quoted text.
        begins_part = is_separator || (begins_part && letter == '"');
    }
    text
}

fn truncate(cell: &str) -> String {
    let mut remaining = MAX_CELL_LENGTH;
    let fits = |letter: &char| {
        let rest = remaining.checked_sub(letter.len_utf16());
        remaining = rest.unwrap_or(remaining);
        rest.is_some()
    };
    let kept: String = cell.chars().take_while(fits).collect();
    if kept.len() == cell.len() { kept } else { kept + CUT_MARK }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formula_is_prefixed_with_a_quote() {
        for cell in ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "＝1"] {
            assert_eq!(neutralize_formula(cell), format!("'{cell}"));
        }
        assert_eq!(neutralize_formula("1 × =1+1, -2"), "1 × =1+1, -2");
    }

    #[test]
    fn formula_after_a_separator_is_prefixed_with_a_quote() {
        let cells = [
            ("Pen;=1+1", "Pen;'=1+1"),
            ("Pen;\u{202e}@SUM(A1)", "Pen;'@SUM(A1)"),
            ("Pen\t+1", "Pen\t'+1"),
            ("Pen\r\n-1", "Pen\r\n'-1"),
            ("1 × Pen; -1 × Cup", "1 × Pen; -1 × Cup"),
            ("one\r\n\r\ntwo", "one\r\n\r\ntwo"),
            ("Pen;\"=1", "Pen;\"'=1"),
            ("Pen;\"\"@x;\"y", "Pen;\"\"'@x;\"y"),
        ];
        for (cell, expected) in cells {
            assert_eq!(neutralize_formula(cell), expected);
        }
    }

    #[test]
    fn cell_is_truncated_to_what_excel_allows() {
        for letter in ["a", "é", "漢", "🧀"] {
            let cell = neutralize_formula(&letter.repeat(50_000));
            let kept = cell.strip_suffix(CUT_MARK).expect("a cut cell has no mark");
            assert_eq!(kept.encode_utf16().count(), MAX_CELL_LENGTH);
        }
        // Three bytes each, but one unit.
        let short = "漢".repeat(MAX_CELL_LENGTH);
        assert_eq!(neutralize_formula(&short), short);
    }
}

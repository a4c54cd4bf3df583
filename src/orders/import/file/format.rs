//! How a file separates its cells: by comma, semicolon or tab, or as a first line `sep=;` says.

use csv::{ByteRecord, ReaderBuilder};

use crate::orders::import::columns::is_known_name;

/// The separator of cells, and what comes before the header row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::orders::import) struct Format {
    pub delimiter: u8,
    /// Byte-order marks, the line `sep=`, lines with a title.
    pub skipped_bytes: usize,
    pub skipped_lines: u64,
    /// Whether lines with a title come before the header row.
    pub has_title: bool,
}

const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Lines before the header row, such as the title of a report.
const MAX_TITLE_LINES: usize = 20;
/// A row with so many names of columns is a header row.
const HEADER_NAMES: usize = 5;

impl Format {
    pub(super) fn of_commas() -> Self {
        Self { delimiter: b',', skipped_bytes: 0, skipped_lines: 0, has_title: false }
    }

    /// From the beginning of the text: the separator under which the header row has the most known names.
    pub(super) fn detect(start: &str) -> Self {
        let text = start.trim_start_matches('\u{feff}');
        let skipped_bytes = start.len() - text.len();
        let declared = declared(text);
        let after = declared.map_or(text, |(_, length)| &text[length..]);
        let offset = skipped_bytes + text.len() - after.len();
        let skipped_lines = u64::from(declared.is_some());
        let first = best_delimiter(after);
        let format = |delimiter| Self { delimiter, skipped_bytes: offset, skipped_lines, has_title: false };
        if let Some((delimiter, _)) = declared
            && (known_names(after, delimiter) > 0 || first.1 == 0)
        {
            return format(delimiter);
        }
        if first.1 < HEADER_NAMES
            && let Some((delimiter, line, position)) = find_header(after)
        {
            let skipped_lines = skipped_lines + line;
            return Self { skipped_bytes: offset + position, skipped_lines, has_title: true, ..format(delimiter) };
        }
        format(first.0)
    }

    /// For the operator; `None` for a comma.
    pub(in crate::orders::import) fn delimiter_name(self) -> Option<String> {
        match self.delimiter {
            b',' => None,
            b';' => Some("semicolons".to_owned()),
            b'\t' => Some("tabs".to_owned()),
            other => Some(format!("\"{}\"", char::from(other).escape_default())),
        }
    }
}

/// The separator of Excel's `sep=;` and the length of that line.
fn declared(text: &str) -> Option<(u8, usize)> {
    let line = text.split(['\n', '\r']).next()?;
    let (name, value) = line.trim_matches('"').split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("sep") {
        return None;
    }
    let delimiter = if value.starts_with('\t') { b'\t' } else { *value.trim().as_bytes().first()? };
    Some((delimiter, line.len() + line_break(&text[line.len()..])))
}

/// The length of the line break at the beginning.
fn line_break(text: &str) -> usize {
    if text.starts_with("\r\n") { 2 } else { usize::from(!text.is_empty()) }
}

/// The separator, line and position of the first row below the first that is a header row.
fn find_header(text: &str) -> Option<(u8, u64, usize)> {
    let mut position = 0;
    for line in 1..=MAX_TITLE_LINES {
        let rest = &text[position..];
        let length = rest.find(['\n', '\r'])?;
        position += length + line_break(&rest[length..]);
        let (delimiter, names) = best_delimiter(&text[position..]);
        if names >= HEADER_NAMES {
            return Some((delimiter, line as u64, position));
        }
    }
    None
}

/// The separator under which the first row has the most known names, and their number. Of equal ones the first.
fn best_delimiter(text: &str) -> (u8, usize) {
    let candidates = DELIMITERS.into_iter().rev().map(|delimiter| (delimiter, known_names(text, delimiter)));
    candidates.max_by_key(|(_, names)| *names).filter(|(_, names)| *names > 0).unwrap_or((b',', 0))
}

fn known_names(text: &str, delimiter: u8) -> usize {
    // A line that is empty is no row to the reader.
    if text.starts_with(['\n', '\r']) {
        return 0;
    }
    header_names(text, delimiter).iter().filter(|name| is_known_name(name)).count()
}

fn header_names(start: &str, delimiter: u8) -> Vec<String> {
    let mut reader = ReaderBuilder::new().has_headers(false).delimiter(delimiter).from_reader(start.as_bytes());
    let mut record = ByteRecord::new();
    match reader.read_byte_record(&mut record) {
        Ok(true) => record.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiter_is_the_one_with_the_most_known_names() {
        for (text, delimiter) in [
            ("Name,Email,Total\n", b','),
            ("Name;Email;Total\n1;2,5;3,5\n", b';'),
            ("\"Name\"\t\"Email\"\tTotal\n", b'\t'),
            ("Name;\"a,b,c,d\";Email;x\n", b';'),
            ("nothing known; here\n", b','),
        ] {
            assert_eq!(Format::detect(text), Format { delimiter, ..Format::of_commas() }, "{text}");
        }
    }

    #[test]
    fn first_line_may_declare_the_delimiter() {
        for (text, delimiter, skipped_bytes) in [
            ("sep=;\nName;Email\n", b';', 6),
            ("\u{feff}sep=;\r\nName;Email\n", b';', 10),
            ("\"sep=,\"\nName,Email\n", b',', 8),
            ("Sep = ;\nName;Email\n", b';', 8),
            // It is wrong.
            ("sep=;\nName,Email\n", b',', 6),
            ("sep=\t\rName\tEmail", b'\t', 6),
        ] {
            let expected = Format { delimiter, skipped_bytes, skipped_lines: 1, has_title: false };
            assert_eq!(Format::detect(text), expected, "{text:?}");
        }
    }

    #[test]
    fn header_row_may_come_after_marks_and_titles() {
        let header = "Name;Email;Total;Taxes;Currency\n";
        for (before, skipped_lines) in
            [("\u{feff}\u{feff}", 0), ("Orders\n", 1), ("\u{feff}Orders;;\r\nMay;\r\n\r\n", 3)]
        {
            let format = Format::detect(&format!("{before}{header}"));
            let (skipped_bytes, has_title) = (before.len(), skipped_lines > 0);
            assert_eq!(format, Format { delimiter: b';', skipped_bytes, skipped_lines, has_title }, "{before:?}");
        }
        // The first row has names, although few: the message is about that row.
        assert!(!Format::detect("Order no.;Email;Total\n1;2;3\n").has_title);
    }
}

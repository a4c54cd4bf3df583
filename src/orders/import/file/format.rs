//! How a file separates its cells: by comma, semicolon or tab, or as a first line `sep=;` says.

use csv::{ByteRecord, ReaderBuilder};

use crate::orders::import::columns::is_known_name;

/// The separator of cells, and how many lines come before the header row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::orders::import) struct Format {
    pub delimiter: u8,
    /// The line `sep=`, in bytes; 0 without one.
    pub skipped_bytes: usize,
    pub skipped_lines: u64,
}

const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

impl Format {
    /// From the beginning of the text: the separator under which the header row has the most known names.
    pub(super) fn detect(start: &str) -> Self {
        if let Some(format) = Self::declared(start) {
            return format;
        }
        let known = |delimiter: &u8| header_names(start, *delimiter).iter().filter(|name| is_known_name(name)).count();
        // Of equal ones the first.
        let best = DELIMITERS.into_iter().rev().max_by_key(known).unwrap_or(b',');
        let delimiter = if known(&best) == 0 { b',' } else { best };
        Self { delimiter, skipped_bytes: 0, skipped_lines: 0 }
    }

    /// Excel's `sep=;`.
    fn declared(start: &str) -> Option<Self> {
        let text = start.trim_start_matches('\u{feff}');
        let line = text.split(['\n', '\r']).next()?;
        let value =
            line.trim_matches('"').strip_prefix("sep=").or_else(|| line.trim_matches('"').strip_prefix("SEP="))?;
        let delimiter = if value.starts_with('\t') { b'\t' } else { *value.trim().as_bytes().first()? };
        let after = &text[line.len()..];
        let line_break = if after.starts_with("\r\n") { 2 } else { usize::from(!after.is_empty()) };
        let skipped_bytes = start.len() - text.len() + line.len() + line_break;
        Some(Self { delimiter, skipped_bytes, skipped_lines: 1 })
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
            assert_eq!(Format::detect(text), Format { delimiter, skipped_bytes: 0, skipped_lines: 0 }, "{text}");
        }
    }

    #[test]
    fn first_line_may_declare_the_delimiter() {
        for (text, delimiter, skipped_bytes) in [
            ("sep=;\nName;Email\n", b';', 6),
            ("\u{feff}sep=;\r\nName;Email\n", b';', 10),
            ("\"sep=,\"\nName,Email\n", b',', 8),
            ("sep=\t\rName\tEmail", b'\t', 6),
        ] {
            assert_eq!(Format::detect(text), Format { delimiter, skipped_bytes, skipped_lines: 1 }, "{text:?}");
        }
    }
}

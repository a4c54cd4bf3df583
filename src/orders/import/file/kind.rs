//! Names a file that is not a CSV file by its first bytes.

const SAVE_AS: &str = "open it in a spreadsheet program and save it as CSV UTF-8";

/// What the file is, and what to do.
pub(super) fn not_a_csv(start: &[u8]) -> Option<(&'static str, &'static str)> {
    let contains = |part: &[u8]| start.windows(part.len()).any(|window| window == part);
    if start.starts_with(b"PK\x03\x04") {
        let workbook: [&[u8]; 4] = [b"[Content_Types].xml", b"xl/", b"_rels/.rels", b"docProps/"];
        return Some(match () {
            () if workbook.iter().any(|part| contains(part)) => ("an Excel workbook (xlsx)", SAVE_AS),
            () if contains(b"mimetypeapplication/vnd.oasis") => ("an OpenDocument spreadsheet (ods)", SAVE_AS),
            () if contains(b"Index/Document.iwa") => ("a Numbers document", SAVE_AS),
            () => ("a zip archive", "unpack it and import the CSV file in it"),
        });
    }
    let known: [(&[u8], _, _); 13] = [
        (b"PK\x05\x06", "an empty zip archive", "download the export again"),
        (b"\x1f\x8b", "compressed with gzip", "unpack it: gzip -dc FILE | order-portal import -"),
        (b"\xd0\xcf\x11\xe0", "an Excel workbook (xls)", SAVE_AS),
        (b"BZh", "compressed with bzip2", "unpack it: bzip2 -dc FILE | order-portal import -"),
        (b"\xfd7zXZ", "compressed with xz", "unpack it: xz -dc FILE | order-portal import -"),
        (b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it: zstd -dc FILE | order-portal import -"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it and import the CSV file in it"),
        (b"Rar!", "a RAR archive", "unpack it and import the CSV file in it"),
        (b"%PDF", "a PDF document", "export the orders as CSV"),
        (b"\x89PNG", "an image", "export the orders as CSV"),
        (b"\xff\xd8\xff", "an image", "export the orders as CSV"),
        (b"SQLite format 3\0", "an SQLite database", "export the orders as CSV"),
        (b"PGDMP", "a PostgreSQL dump", "export the orders as CSV"),
    ];
    known.iter().find(|(magic, ..)| start.starts_with(magic)).map(|(_, kind, advice)| (*kind, *advice))
}

/// The same for text that is not CSV.
pub(super) fn text_not_a_csv(start: &str) -> Option<(&'static str, &'static str)> {
    let text = start.trim_start_matches('\u{feff}').trim_start();
    let lower: String = text.chars().take(1_000).flat_map(char::to_lowercase).collect();
    match text.chars().next() {
        Some('<') if lower.contains("<!doctype html") || lower.contains("<html") => Some((
            "an HTML page",
            "it may be the login page of the shop: log in, download the export again and import that file",
        )),
        Some('<') if lower.starts_with("<table") || lower.contains("schemas-microsoft-com:office:spreadsheet") => {
            Some(("a table that is named as an Excel workbook", SAVE_AS))
        }
        Some('<') => Some(("an XML file", "export the orders as CSV")),
        Some('{') if lower.starts_with(r"{\rtf") => Some(("a rich text document", "export the orders as CSV")),
        Some('{' | '[') if is_json(text) => {
            Some(("a JSON file", "export the orders as CSV: in Shopify, Orders, Export, CSV"))
        }
        _ => None,
    }
}

/// Whether a value, a name or an end follows the bracket.
fn is_json(text: &str) -> bool {
    let next = text.chars().skip(1).find(|letter| !letter.is_whitespace());
    next.is_none_or(|next| "{}[]\"-".contains(next) || next.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_named() {
        let cases: [(&[u8], &str); 8] = [
            (b"PK\x03\x04....docProps/app.xml", "Excel"),
            (b"PK\x03\x04....Index/Document.iwa", "Numbers"),
            (b"PK\x05\x06", "empty zip"),
            (b"PK\x03\x04....[Content_Types].xml", "Excel"),
            (b"PK\x03\x04....orders.csv", "zip"),
            (b"\x1f\x8b\x08", "gzip"),
            (b"\xd0\xcf\x11\xe0\xa1", "Excel"),
            (b"%PDF-1.7", "PDF"),
        ];
        for (start, kind) in cases {
            assert!(not_a_csv(start).unwrap().0.contains(kind), "{kind}");
        }
        let spreadsheet = "<?xml?><Workbook xmlns=\"urn:schemas-microsoft-com:office:spreadsheet\">";
        for (start, kind) in [
            ("  \n{\"orders\": []}", "JSON"),
            ("{\\rtf1 Name", "rich text"),
            ("<!DOCTYPE html>", "HTML"),
            ("<!-- page --><html>", "HTML"),
            ("<table><tr>", "table"),
            (spreadsheet, "table"),
            ("<?xml version", "XML"),
        ] {
            assert!(text_not_a_csv(start).unwrap().0.contains(kind), "{kind}");
        }
        assert!(text_not_a_csv("[InternetShortcut]\nURL=https://shop.example").is_none());
        assert!(not_a_csv(b"Name,Email").is_none() && text_not_a_csv("\"Name\",Email").is_none());
    }
}

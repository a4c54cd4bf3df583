//! The note of an order, which the page shows where the shop wants it (`SHOW_CUSTOMER_NOTE`).

use crate::orders::order::OrderDetail;

/// Characters and lines of a note that is not folded.
const MAX_OPEN_CHARS: usize = 400;
const MAX_OPEN_LINES: usize = 6;
/// Characters of a folded note that show what it is about.
const START_CHARS: usize = 80;
/// Shopify's limit. A longer note comes from elsewhere and is cut.
const MAX_CHARS: usize = 5_000;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct CustomerNote {
    pub text: String,
    /// Of a long note, which is folded.
    pub start: Option<String>,
}

pub(super) fn customer_note(detail: &OrderDetail, shows_notes: bool) -> Option<CustomerNote> {
    // One kind of line break, so that pages show one.
    let text = detail.details.note.trim().replace("\r\n", "\n").replace('\r', "\n");
    if !shows_notes || text.is_empty() {
        return None;
    }
    let is_long = text.chars().nth(MAX_OPEN_CHARS).is_some() || text.lines().nth(MAX_OPEN_LINES).is_some();
    let start = is_long.then(|| shorten(text.lines().next().unwrap_or_default(), START_CHARS));
    Some(CustomerNote { text: shorten(&text, MAX_CHARS), start })
}

fn shorten(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::order::tests::order;
    use crate::orders::order::{OrderDetails, ShippingAddress};

    fn note(text: &str, shows_notes: bool) -> Option<CustomerNote> {
        let details = OrderDetails { note: text.to_owned(), ..OrderDetails::default() };
        let (address, shop) = (ShippingAddress::default(), None);
        customer_note(
            &OrderDetail { order: order("paid", "open"), lines: Vec::new(), address, details, shop },
            shows_notes,
        )
    }

    #[test]
    fn note_is_shown_only_where_the_shop_wants_it() {
        assert_eq!(note("Ring twice", false), None);
        assert_eq!(note(" \n", true), None);
        let short = CustomerNote { text: "Ring\ntwice".to_owned(), start: None };
        assert_eq!(note("Ring\r\ntwice\r\n", true), Some(short));
    }

    #[test]
    fn long_note_is_folded_and_a_huge_one_is_cut() {
        let lines = note(&"a\n".repeat(7), true).unwrap();
        assert_eq!(lines.start.as_deref(), Some("a"));
        let huge = note(&"é".repeat(9_000), true).unwrap();
        assert_eq!((huge.text.chars().count(), huge.start.unwrap().chars().count()), (5_001, 81));
    }
}

//! Cursors: positions in a sorted list, as URLs and API responses carry them.

use sha2::{Digest, Sha256};

use super::sort::{Sort, SortKey};
use crate::domain::{Money, UnixSeconds};
use crate::hex;
use crate::orders::order::{Order, OrderId};

/// The position of one order in a list: its sort key and its id.
///
/// Its text ends with a checksum, so that a cursor that was cut or mistyped is rejected. The checksum protects no secret: a forged
/// cursor only leads to another position in the caller's own list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Unix seconds or minor units.
    pub(super) value: i64,
    pub(super) id: OrderId,
    key: SortKey,
}

impl Cursor {
    /// The position of the order in a list that is sorted so.
    pub fn at(order: &Order, sort: Sort) -> Self {
        Self::new(&order.id, order.placed_at, order.total, sort)
    }

    pub(super) fn new(id: &OrderId, placed_at: UnixSeconds, total: Money, sort: Sort) -> Self {
        let key = sort.key();
        let value = match key {
            SortKey::PlacedAt => placed_at.get(),
            SortKey::Total => total.minor(),
        };
        Self { value, id: id.clone(), key }
    }

    /// Parses a cursor of a list with the same sort key; the direction may differ.
    pub fn parse(text: &str, sort: Sort) -> Option<Self> {
        let key = sort.key();
        let mut parts = text.strip_prefix(prefix(key))?.split('_');
        let (Some(value), Some(id), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return None;
        };
        let cursor = Self { value: value.parse().ok()?, id: OrderId::parse(id)?, key };
        // The comparison includes the checksum, and rejects other spellings of the number.
        (cursor.to_string() == text).then_some(cursor)
    }
}

fn prefix(key: SortKey) -> char {
    match key {
        SortKey::PlacedAt => 'd',
        SortKey::Total => 't',
    }
}

/// Letters, digits, `-` and `_` only: URLs need no escapes.
impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let position = format!("{}{}_{}", prefix(self.key), self.value, self.id.as_str());
        let checksum = hex::encode(&Sha256::digest(&position)[..4]);
        write!(f, "{position}_{checksum}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(value: i64, id: &str) -> Cursor {
        Cursor { value, id: OrderId::parse(id).unwrap(), key: SortKey::PlacedAt }
    }

    #[test]
    fn cursor_parses_for_lists_with_the_same_sort_key_only() {
        let cursor = cursor(-5, "0190-ab");
        let text = cursor.to_string();
        assert_eq!(Cursor::parse(&text, Sort::Newest), Some(cursor.clone()));
        assert_eq!(Cursor::parse(&text, Sort::Oldest), Some(cursor));
        assert_eq!(Cursor::parse(&text, Sort::Highest), None);
    }

    #[test]
    fn cut_altered_or_malformed_cursor_is_rejected() {
        let text = cursor(836_481_600, "0190-ab").to_string();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'7' { b'8' } else { b'7' };
            assert_eq!(Cursor::parse(&String::from_utf8(bytes).unwrap(), Sort::Newest), None, "at {at}");
            assert_eq!(Cursor::parse(&text[..at], Sort::Newest), None, "cut at {at}");
        }
        for text in ["", "x", "d", "d1", "d_a_b", "d1_a", "d99999999999999999999_a_b", "d1_\u{e9}_b", "d+1_a_b"] {
            assert_eq!(Cursor::parse(text, Sort::Newest), None, "{text:?}");
        }
    }

    #[test]
    fn other_spelling_of_a_cursor_is_rejected() {
        let text = cursor(5, &"a".repeat(64)).to_string();
        assert!(Cursor::parse(&text, Sort::Newest).is_some());
        for other in
            [text.replacen("d5", "d05", 1), text.replacen("d5", "d+5", 1), format!("{text}_"), format!("{text}_x")]
        {
            assert_eq!(Cursor::parse(&other, Sort::Newest), None, "{other}");
        }
    }

    #[test]
    fn cursor_at_an_order_has_the_value_of_the_sort_key() {
        let mut order = crate::orders::order::tests::order("paid", "fulfilled");
        order.total = Money::new(-7, order.total.currency());
        for sort in Sort::ALL {
            let value = if sort.key() == SortKey::PlacedAt { 10 } else { -7 };
            assert_eq!(Cursor::at(&order, sort), Cursor { value, id: order.id.clone(), key: sort.key() });
        }
    }
}

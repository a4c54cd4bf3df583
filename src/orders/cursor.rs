//! A place in a customer's list, which stands in addresses and in the API's answers.

use sha2::{Digest, Sha256};

use super::filter::Sort;
use super::order::Order;
use crate::hex;

/// A place in a list of one order: between the order that it names and the next.
///
/// It carries a few digits of a hash over itself. Nothing secret depends on them: whoever alters a place only stands elsewhere in
/// their own list. They tell a place that was cut or mistyped from a real one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// What the list is in order of: Unix seconds or minor units.
    pub(super) key: i64,
    pub(super) id: String,
    by: By,
}

/// What a place is a place among.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Date,
    Total,
}

impl By {
    fn sign(self) -> char {
        match self {
            Self::Date => 'd',
            Self::Total => 't',
        }
    }
}

impl Cursor {
    /// The place at that order.
    pub fn at(order: &Order, sort: Sort) -> Self {
        let by = sort.by();
        let key = match by {
            By::Date => order.placed_at.get(),
            By::Total => order.total.minor(),
        };
        Self { key, id: order.id.clone(), by }
    }

    /// Reads what [`Display`](std::fmt::Display) wrote for a list in that order.
    pub fn parse(text: &str, sort: Sort) -> Option<Self> {
        let by = sort.by();
        let mut parts = text.strip_prefix(by.sign())?.split('_');
        let (key, id, check) = (parts.next()?, parts.next()?, parts.next()?);
        let is_id = (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !is_id || parts.next().is_some() {
            return None;
        }
        let cursor = Self { key: key.parse().ok()?, id: id.to_owned(), by };
        (cursor.check() == check && cursor.to_string() == text).then_some(cursor)
    }

    fn check(&self) -> String {
        let digest = Sha256::digest(format!("{}{}_{}", self.by.sign(), self.key, self.id));
        hex::encode(&digest[..4])
    }
}

/// Letters, digits, `-` and `_` only, so that it stands in an address as it is.
impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}_{}_{}", self.by.sign(), self.key, self.id, self.check())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written_and_only_for_its_list() {
        let cursor = Cursor { key: -5, id: "0190-ab".to_owned(), by: By::Date };
        let text = cursor.to_string();
        assert_eq!(Cursor::parse(&text, Sort::Newest), Some(cursor.clone()));
        assert_eq!(Cursor::parse(&text, Sort::Oldest), Some(cursor));
        assert_eq!(Cursor::parse(&text, Sort::Highest), None);
    }

    #[test]
    fn a_place_that_was_tampered_with_is_none() {
        let text = Cursor { key: 836_481_600, id: "0190-ab".to_owned(), by: By::Date }.to_string();
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
    fn cursor_with_a_malformed_id_or_number_is_refused_though_its_check_is_right() {
        let written = |id: &str| Cursor { key: 5, id: id.to_owned(), by: By::Date }.to_string();
        for id in ["a.b", "a b", "\u{e9}", "", &"a".repeat(65)] {
            assert_eq!(Cursor::parse(&written(id), Sort::Newest), None, "{id:?}");
        }
        let text = written(&"a".repeat(64));
        assert!(Cursor::parse(&text, Sort::Newest).is_some());
        for other in
            [text.replacen("d5", "d05", 1), text.replacen("d5", "d+5", 1), format!("{text}_"), format!("{text}_x")]
        {
            assert_eq!(Cursor::parse(&other, Sort::Newest), None, "{other}");
        }
    }

    #[test]
    fn cursor_at_an_order_holds_the_key_that_the_list_is_sorted_by() {
        let mut order = crate::orders::order::tests::order("paid", "fulfilled");
        order.total = crate::orders::money::Money::new(-7, order.total.currency());
        for (sort, _, _) in Sort::ALL {
            let key = if sort.by() == By::Date { 10 } else { -7 };
            assert_eq!(Cursor::at(&order, sort), Cursor { key, id: "0190-ab".to_owned(), by: sort.by() });
        }
    }
}

//! Cursors: positions in a sorted list, as URLs and API responses carry them.

use super::sort::{Sort, SortKey};
use crate::domain::{Money, UnixSeconds};
use crate::orders::order::{Order, OrderId};

/// The position of one order in a list: its sort key and its id. It is not signed: a forged cursor only leads to another position in the
/// caller's own list.
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
        let (value, id) = text.strip_prefix(prefix(key))?.strip_suffix('_')?.split_once('_')?;
        let cursor = Self { value: value.parse().ok()?, id: OrderId::parse(id)?, key };
        // Rejects other spellings of the number.
        (cursor.to_string() == text).then_some(cursor)
    }
}

fn prefix(key: SortKey) -> char {
    match key {
        SortKey::PlacedAt => 'd',
        SortKey::Total => 't',
    }
}

/// Letters, digits, `-` and `_` only: URLs need no escapes. The last `_` shows that nothing was cut off.
impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}_{}_", prefix(self.key), self.value, self.id.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(value: i64) -> Cursor {
        Cursor { value, id: OrderId::parse("0190-ab").unwrap(), key: SortKey::PlacedAt }
    }

    #[test]
    fn cursor_parses_for_lists_with_the_same_sort_key_only() {
        let cursor = cursor(-5);
        let text = cursor.to_string();
        assert_eq!(Cursor::parse(&text, Sort::Newest), Some(cursor.clone()));
        assert_eq!(Cursor::parse(&text, Sort::Oldest), Some(cursor));
        assert_eq!(Cursor::parse(&text, Sort::Highest), None);
    }

    #[test]
    fn cut_or_malformed_cursor_is_rejected() {
        let text = cursor(836_481_600).to_string();
        for at in 0..text.len() {
            assert_eq!(Cursor::parse(&text[..at], Sort::Newest), None, "cut at {at}");
            assert_eq!(Cursor::parse(&text[at + 1..], Sort::Newest), None, "begins after {at}");
        }
        let others =
            ["", "x", "d", "d1", "d1_", "d1__", "d1_a", "d_", "d_a_", "d1_\u{e9}_"].map(str::to_owned).into_iter();
        let numbers = ["", "a", "99999999999999999999", "+5", "05", "-0"].map(|number| format!("d{number}_a_"));
        for text in others.chain(numbers).chain([format!("{text}_"), format!("{text}0"), text.to_uppercase()]) {
            assert_eq!(Cursor::parse(&text, Sort::Newest), None, "{text:?}");
        }
    }

    #[test]
    fn cursor_at_an_order_has_the_value_of_the_sort_key() {
        let mut order = crate::orders::order::tests::order("paid", "fulfilled");
        order.total = Money::new(-7, order.total.currency());
        for &sort in Sort::ALL {
            let value = if sort.key() == SortKey::PlacedAt { 10 } else { -7 };
            assert_eq!(Cursor::at(&order, sort), Cursor { value, id: order.id.clone(), key: sort.key() });
        }
    }
}

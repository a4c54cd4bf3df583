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
    /// The place of the order in the list when the page with this cursor was made, counted from 1. It is shown and nothing else.
    position: Option<Position>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    number: i64,
    is_descending: bool,
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
        Self { value, id: id.clone(), key, position: None }
    }

    pub(super) fn with_position(self, number: i64, sort: Sort) -> Self {
        Self { position: Some(Position { number, is_descending: sort.is_descending() }), ..self }
    }

    /// The place in the list that is sorted so, counted from 1; `None` if the cursor does not have it.
    pub(super) fn position(&self, sort: Sort) -> Option<i64> {
        self.position.filter(|position| position.is_descending == sort.is_descending()).map(|position| position.number)
    }

    /// Parses a cursor of a list with the same sort key; the direction may differ.
    pub fn parse(text: &str, sort: Sort) -> Option<Self> {
        let key = sort.key();
        let (position, rest) = Position::parse_prefix(text.strip_prefix(prefix(key))?.strip_suffix('_')?)?;
        let (value, id) = rest.split_once('_')?;
        let cursor = Self { value: value.parse().ok()?, id: OrderId::parse(id)?, key, position };
        // Rejects other spellings of the numbers.
        (cursor.to_string() == text).then_some(cursor)
    }
}

impl Position {
    /// Parses `p21_` or `q21_`, if the text begins so; returns the rest of the text.
    fn parse_prefix(text: &str) -> Option<(Option<Self>, &str)> {
        let Some(after) = text.strip_prefix(['p', 'q']) else { return Some((None, text)) };
        let (number, rest) = after.split_once('_')?;
        let number = number.parse().ok().filter(|number| *number > 0)?;
        Some((Some(Self { number, is_descending: text.starts_with('p') }), rest))
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}_", if self.is_descending { 'p' } else { 'q' }, self.number)
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
        let position = self.position.map(|position| position.to_string()).unwrap_or_default();
        write!(f, "{}{position}{}_{}_", prefix(self.key), self.value, self.id.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(value: i64) -> Cursor {
        Cursor { value, id: OrderId::parse("0190-ab").unwrap(), key: SortKey::PlacedAt, position: None }
    }

    #[test]
    fn position_holds_for_the_direction_of_its_list_only() {
        for (sort, opposite, text) in
            [(Sort::Newest, Sort::Oldest, "dp21_5_0190-ab_"), (Sort::Oldest, Sort::Newest, "dq21_5_0190-ab_")]
        {
            let cursor = cursor(5).with_position(21, sort);
            assert_eq!(cursor.to_string(), text);
            let parsed = [sort, opposite].map(|sort| Cursor::parse(text, sort).unwrap().position(sort));
            assert_eq!(parsed, [Some(21), None]);
        }
        assert_eq!(Cursor::parse("d5_0190-ab_", Sort::Newest).unwrap().position(Sort::Newest), None);
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
        let with_position = cursor(836_481_600).with_position(21, Sort::Newest).to_string();
        for text in [&text, &with_position] {
            for at in 0..text.len() {
                assert_eq!(Cursor::parse(&text[..at], Sort::Newest), None, "cut at {at}");
                assert_eq!(Cursor::parse(&text[at + 1..], Sort::Newest), None, "begins after {at}");
            }
        }
        let others =
            ["", "x", "d", "d1", "d1_", "d1__", "d1_a", "d_", "d_a_", "d1_\u{e9}_"].map(str::to_owned).into_iter();
        let numbers = ["", "a", "99999999999999999999", "+5", "05", "-0"].map(|number| format!("d{number}_a_"));
        let positions =
            ["", "a", "99999999999999999999", "+5", "05", "0", "-1"].map(|number| format!("dp{number}_1_a_"));
        for text in
            others.chain(numbers).chain(positions).chain([format!("{text}_"), format!("{text}0"), text.to_uppercase()])
        {
            assert_eq!(Cursor::parse(&text, Sort::Newest), None, "{text:?}");
        }
    }

    #[test]
    fn cursor_at_an_order_has_the_value_of_the_sort_key() {
        let mut order = crate::orders::order::tests::order("paid", "fulfilled");
        order.total = Money::new(-7, order.total.currency());
        for &sort in Sort::ALL {
            let value = if sort.key() == SortKey::PlacedAt { 10 } else { -7 };
            let expected = Cursor { value, id: order.id.clone(), key: sort.key(), position: None };
            assert_eq!(Cursor::at(&order, sort), expected);
        }
    }
}

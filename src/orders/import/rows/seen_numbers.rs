//! The order numbers that were read already. Numbers are mostly consecutive, so a compressed bitmap of a million takes kilobytes.

use std::collections::HashMap;

use roaring::RoaringTreemap;

/// The trailing digits of order numbers, by the prefix before them.
#[derive(Default)]
pub(in crate::orders::import) struct SeenNumbers(HashMap<String, RoaringTreemap>);

impl SeenNumbers {
    /// Inserts a number; returns whether it is new.
    pub(in crate::orders::import) fn insert(&mut self, number: &str) -> bool {
        let (prefix, digits) = split(number);
        match self.0.get_mut(prefix) {
            Some(seen) => seen.insert(digits),
            None => self.0.entry(prefix.to_owned()).or_default().insert(digits),
        }
    }
}

/// `EU-1001` is `EU-` and 1001. Leading zeros belong to the prefix: `007` and `7` are two numbers.
fn split(number: &str) -> (&str, u64) {
    let digits_start = number.trim_end_matches(|letter: char| letter.is_ascii_digit()).len();
    let zeros = number[digits_start..].len() - number[digits_start..].trim_start_matches('0').len();
    let (prefix, digits) = number.split_at(digits_start + zeros);
    // Without digits, or with more than fit 64 bits, the whole number is the prefix.
    digits.parse().map_or((number, u64::MAX), |digits| (prefix, digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_new_once() {
        let numbers = [
            "7",
            "07",
            "007",
            "0",
            "00",
            "",
            "EU-7",
            "EU-07",
            "EU-",
            "99999999999999999999",
            "99999999999999999998",
            "7a",
            "\u{661}7",
        ];
        let mut seen = SeenNumbers::default();
        assert!(numbers.iter().all(|number| seen.insert(number)));
        assert!(numbers.iter().all(|number| !seen.insert(number)));
    }
}

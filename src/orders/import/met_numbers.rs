//! Which orders of an export were met already. Numbers follow each other closely, so that a million of them take some kilobytes.

use std::collections::HashMap;

use roaring::RoaringTreemap;

/// Order numbers, by what stands before the digits at their end.
#[derive(Default)]
pub(super) struct MetNumbers(HashMap<String, RoaringTreemap>);

impl MetNumbers {
    /// Adds a number; tells whether it was not there yet.
    pub(super) fn insert(&mut self, number: &str) -> bool {
        let (prefix, digits) = parts(number);
        match self.0.get_mut(prefix) {
            Some(met) => met.insert(digits),
            None => self.0.entry(prefix.to_owned()).or_default().insert(digits),
        }
    }
}

/// `EU-1001` is `EU-` and 1001. Zeros before other digits belong to what stands before: `007` and `7` are two numbers.
fn parts(number: &str) -> (&str, u64) {
    let before = number.trim_end_matches(|letter: char| letter.is_ascii_digit()).len();
    let zeros = number[before..].len() - number[before..].trim_start_matches('0').len();
    let (prefix, digits) = number.split_at(before + zeros);
    // Without digits, or with more of them than fit, the whole stands for itself.
    digits.parse().map_or((number, u64::MAX), |digits| (prefix, digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_met_once_however_alike_they_look() {
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
        let mut met = MetNumbers::default();
        assert!(numbers.iter().all(|number| met.insert(number)));
        assert!(numbers.iter().all(|number| !met.insert(number)));
    }
}

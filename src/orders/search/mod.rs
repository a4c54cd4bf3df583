//! Full-text search in a customer's orders: order number, article numbers, product names.
//!
//! The stored text and the query are folded alike: case, accents and compatibility forms do not matter. Every word of the query must
//! occur, in any order. Why this is a `LIKE` on an indexed prefix: `docs/decisions/search-uses-one-index.md`.

pub(super) mod store;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Characters of the text that the indexes contain.
const PREFIX_CHARS: usize = 450;
/// Characters of one line's article number and name that can be found.
const MAX_LINE_CHARS: usize = 500;
/// Separates the parts of the text, so that no word matches across two of them.
const SEPARATOR: char = '\n';

/// The searchable text of one order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SearchText {
    pub prefix: String,
    /// The whole text, if it is longer than the prefix.
    pub full: Option<String>,
}

impl SearchText {
    /// From an order's number and the article number and name of each line.
    pub(super) fn new<'a>(number: &str, lines: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut full = fold(&format!("#{number}"));
        for (sku, name) in lines {
            let line: String = format!("{sku} {name}").chars().take(MAX_LINE_CHARS).collect();
            full.push(SEPARATOR);
            full.push_str(&fold(&line));
        }
        let prefix: String = full.chars().take(PREFIX_CHARS).collect();
        Self { full: (prefix.len() < full.len()).then_some(full), prefix }
    }
}

/// The words of a query as patterns for `LIKE … ESCAPE '\'`.
pub(super) fn like_patterns(query: &str) -> Vec<String> {
    let escape = |word: &str| word.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    fold(query).split_whitespace().map(|word| format!("%{}%", escape(word))).collect()
}

/// Removes case, compatibility forms and accents (Unicode NFKD without marks). Lower case alone is not enough: through upper case and
/// back, letters with one capital become one letter (`ß` becomes `ss`, both forms of sigma become one).
fn fold(text: &str) -> String {
    let letters = text.nfkd().filter(|letter| !is_combining_mark(*letter));
    let lower = letters.flat_map(char::to_lowercase).flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    lower.map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_query_are_folded_alike() {
        let text = SearchText::new("EU-7", [("GT-1", "Rössle Sauerkraut"), ("", "ＦＵＬＬ width İstanbul")]);
        assert_eq!(text.prefix, "#eu-7\ngt-1 rossle sauerkraut\n full width istanbul");
        assert_eq!(like_patterns("RÖSSLE  kraut"), ["%rossle%", "%kraut%"]);
        assert_eq!(
            like_patterns("STRASSE Straße STRAẞE ΟΔΟΣ οδός"),
            ["%strasse%", "%strasse%", "%strasse%", "%οδοσ%", "%οδοσ%"]
        );
        assert!(like_patterns(" \t\n").is_empty());
    }

    #[test]
    fn like_wildcards_in_a_query_are_escaped() {
        assert_eq!(like_patterns(r"100% a_b \"), [r"%100\%%", r"%a\_b%", r"%\\%"]);
    }

    #[test]
    fn prefix_of_a_long_text_fits_an_index_row() {
        let name = "漢".repeat(10_000);
        let text = SearchText::new("1", [("", name.as_str()), ("", "the last line")]);
        assert_eq!(text.prefix.chars().count(), PREFIX_CHARS);
        assert!(text.prefix.len() <= 2_000 && text.full.unwrap().ends_with("the last line"));
        assert_eq!(SearchText::new("1", [("a", "b")]).full, None);
    }
}

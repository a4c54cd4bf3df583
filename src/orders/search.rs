//! Finding an order by what the customer remembers of it: its number, a product, a sku.
//!
//! What is searched and what is searched for are folded alike: without case, without accents, without regard to how a letter is
//! encoded. Each word must stand somewhere, in any order.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Characters of the text that indexes hold; `LENGTH(search_head)` tells in SQL whether there is more.
pub(super) const HEAD: usize = 450;
/// Characters of one line's sku and name that are searched: nobody looks for the thousandth.
const LINE: usize = 500;
/// What parts of the text stand apart by, so that no word matches across them.
const APART: char = '\n';

/// Searched text of one order: the head, and the whole where that is longer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Searched {
    pub head: String,
    pub whole: Option<String>,
}

/// The searched text of an order with that number and these skus and names.
pub(super) fn searched<'a>(number: &str, lines: impl IntoIterator<Item = (&'a str, &'a str)>) -> Searched {
    let mut whole = fold(&format!("#{number}"));
    for (sku, name) in lines {
        let line: String = format!("{sku} {name}").chars().take(LINE).collect();
        whole.push(APART);
        whole.push_str(&fold(&line));
    }
    let head: String = whole.chars().take(HEAD).collect();
    Searched { whole: (head.len() < whole.len()).then_some(whole), head }
}

/// The words of a search, as patterns for `LIKE … ESCAPE '\'`.
pub(super) fn patterns(text: &str) -> Vec<String> {
    let escaped = |word: &str| word.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    fold(text).split_whitespace().map(|word| format!("%{}%", escaped(word))).collect()
}

/// Without case, compatibility forms and accents (Unicode NFKD without marks). Through upper case and back, letters that have one
/// capital become one: `ß` is `ss`, a sigma is the same within a word and at its end.
fn fold(text: &str) -> String {
    let letters = text.nfkd().filter(|letter| !is_combining_mark(*letter));
    let small = letters.flat_map(char::to_lowercase).flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    small.map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_search_are_folded_alike() {
        let text = searched("EU-7", [("GT-1", "Rössle Sauerkraut"), ("", "ＦＵＬＬ width İstanbul")]);
        assert_eq!(text.head, "#eu-7\ngt-1 rossle sauerkraut\n full width istanbul");
        assert_eq!(patterns("RÖSSLE  kraut"), ["%rossle%", "%kraut%"]);
        assert_eq!(
            patterns("STRASSE Straße STRAẞE ΟΔΟΣ οδός"),
            ["%strasse%", "%strasse%", "%strasse%", "%οδοσ%", "%οδοσ%"]
        );
        assert!(patterns(" \t\n").is_empty());
    }

    #[test]
    fn signs_with_a_meaning_in_patterns_are_searched_for_as_they_are() {
        assert_eq!(patterns(r"100% a_b \"), [r"%100\%%", r"%a\_b%", r"%\\%"]);
    }

    #[test]
    fn long_text_has_a_head_that_an_index_takes_and_stands_whole_beside_it() {
        let name = "漢".repeat(10_000);
        let text = searched("1", [("", name.as_str()), ("", "the last line")]);
        assert_eq!(text.head.chars().count(), HEAD);
        assert!(text.head.len() <= 2_000 && text.whole.unwrap().ends_with("the last line"));
        assert_eq!(searched("1", [("a", "b")]).whole, None);
    }
}

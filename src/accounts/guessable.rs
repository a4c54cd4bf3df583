//! Passwords that are guessed first: the most common ones, and what is made of the address or of the site's name alone (ASVS 5.0
//! V6.2.4, V6.2.11). zxcvbn estimates the rest; it knows other lists and takes digits at the end of a word for more than they are.

use std::collections::HashSet;
use std::sync::LazyLock;

/// `common_passwords/SOURCES.md` says where it comes from.
static COMMON: LazyLock<HashSet<&str>> = LazyLock::new(|| include_str!("common_passwords/list.txt").lines().collect());

/// Words of this site in every installation.
const SITE_WORDS: [&str; 3] = ["order", "orders", "portal"];
/// Shorter words stand in too many others.
const SHORTEST_WORD: usize = 3;

/// Why a password is guessed first, if it is.
pub(super) fn reason(password: &str, email: &str, site_words: &[String]) -> Option<&'static str> {
    let password = password.to_lowercase();
    if COMMON.contains(password.as_str()) {
        return Some("It is one of the most common passwords. Add another word or two.");
    }
    let site_words = site_words.iter().map(String::as_str).chain(SITE_WORDS);
    let words: Vec<String> = words(email).chain(site_words).map(letters).collect();
    is_made_of(&letters(&password), &words)
        .then_some("It is made of your e-mail address or of this site's name. Add another word or two.")
}

/// The words between an address's punctuation.
pub(super) fn words(email: &str) -> impl Iterator<Item = &str> {
    email.split(|letter: char| !letter.is_alphanumeric()).filter(|word| word.len() >= SHORTEST_WORD)
}

/// Without digits, years and punctuation: what is left of `alfki2026!` is `alfki`.
fn letters(text: &str) -> String {
    text.chars().filter(|letter| letter.is_alphabetic()).flat_map(char::to_lowercase).collect()
}

/// Whether the text consists of nothing but those words, one or several.
fn is_made_of(text: &str, words: &[String]) -> bool {
    let mut is_end = vec![false; text.len() + 1];
    is_end[0] = true;
    for start in 0..text.len() {
        if !is_end[start] {
            continue;
        }
        for word in words.iter().filter(|word| word.len() >= SHORTEST_WORD && text[start..].starts_with(*word)) {
            is_end[start + word.len()] = true;
        }
    }
    !text.is_empty() && is_end[text.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_guessable(password: &str) -> bool {
        reason(password, "alfki+2@blauer-see.example", &["orders.shop.example".to_owned(), "shop".to_owned()]).is_some()
    }

    #[test]
    fn common_passwords_are_guessable_in_either_case() {
        assert!(COMMON.len() >= 10_000 && COMMON.iter().all(|password| password.chars().count() >= 8));
        for password in ["1g2w3e4r", "1G2w3E4r", "gwerty123", "homelesspa", "target123", "zag12wsx", "trustno1"] {
            assert!(is_guessable(password), "{password}");
        }
    }

    #[test]
    fn words_of_address_and_site_are_guessable_with_digits_years_and_punctuation() {
        for password in [
            "orderportal1",
            "Order-Portal 2026!",
            "portal12345",
            "alfki2026!",
            "2026alfki",
            "ALFKI.alfki",
            "al-f-ki-99",
            "blauersee#7",
            "alfki@blauer-see.example",
            "shop-orders-1",
        ] {
            assert!(is_guessable(password), "{password}");
        }
    }

    #[test]
    fn other_words_beside_them_are_not() {
        for password in [
            "alfki counts grey herons",
            "portal of tin frogs",
            "seven calm herons",
            "84629471035",
            "alfkis",
            "\u{e9}alfki",
        ] {
            assert!(!is_guessable(password), "{password}");
        }
    }
}

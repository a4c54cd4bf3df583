//! Passwords that attackers try first: the most common ones, and those made only of words of the address or the site's name (ASVS 5.0
//! V6.2.4, V6.2.11). zxcvbn estimates the others; it has other lists and overrates digits after a word.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Source: `common_passwords/SOURCES.md`.
static COMMON: LazyLock<HashSet<&str>> = LazyLock::new(|| include_str!("common_passwords/list.txt").lines().collect());

/// Words in the name of every installation.
const SITE_WORDS: [&str; 3] = ["order", "orders", "portal"];
/// Shorter words are part of too many others.
const MIN_WORD_BYTES: usize = 3;

/// The reason to reject the password; `None` if it is not one of these.
pub(super) fn reason(password: &str, email: &str, site_words: &[String]) -> Option<&'static str> {
    let password = password.to_lowercase();
    if COMMON.contains(password.as_str()) {
        return Some("It is one of the most common passwords. Add another word or two.");
    }
    let site_words = site_words.iter().map(String::as_str).chain(SITE_WORDS);
    let words: Vec<String> = words(email).chain(site_words).map(letters).collect();
    is_made_of(&letters(&password), &words)
        .then_some("It contains mainly your email address or this site's name. Add another word or two.")
}

/// The words of an address, without punctuation.
pub(super) fn words(email: &str) -> impl Iterator<Item = &str> {
    email.split(|letter: char| !letter.is_alphanumeric()).filter(|word| word.len() >= MIN_WORD_BYTES)
}

/// Only the letters: `alfki` for `alfki2026!`.
fn letters(text: &str) -> String {
    text.chars().filter(|letter| letter.is_alphabetic()).flat_map(char::to_lowercase).collect()
}

/// Whether the text consists only of those words, in any number.
fn is_made_of(text: &str, words: &[String]) -> bool {
    let mut is_end = vec![false; text.len() + 1];
    is_end[0] = true;
    for start in 0..text.len() {
        if !is_end[start] {
            continue;
        }
        for word in words.iter().filter(|word| word.len() >= MIN_WORD_BYTES && text[start..].starts_with(*word)) {
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
    fn common_password_is_guessable_in_either_case() {
        assert!(COMMON.len() >= 10_000 && COMMON.iter().all(|password| password.chars().count() >= 8));
        for password in ["1g2w3e4r", "1G2w3E4r", "gwerty123", "homelesspa", "target123", "zag12wsx", "trustno1"] {
            assert!(is_guessable(password), "{password}");
        }
    }

    #[test]
    fn words_of_address_and_site_with_digits_are_guessable() {
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
    fn password_with_other_words_is_not_guessable() {
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

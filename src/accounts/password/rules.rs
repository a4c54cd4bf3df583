//! The rules for new passwords.

use unicode_normalization::UnicodeNormalization;

use super::guessable;

/// Characters after NFC (NIST SP 800-63B-4 section 3.1.1.2; ASVS 5.0 V6.2.1 and V6.2.9).
const MIN_LENGTH: usize = 8;
const MAX_LENGTH: usize = 256;
/// On zxcvbn's scale from 0 to 4: 2 is "somewhat guessable", over a million guesses.
const MIN_SCORE: zxcvbn::Score = zxcvbn::Score::Two;
/// zxcvbn's time grows with the length, and more characters do not weaken a password.
const MAX_SCORED_CHARS: usize = 72;
/// The characters that zxcvbn reads as letters ("l33t"), and how many different ones are scored: all ten digits are.
const LETTER_SUBSTITUTES: &str = "4@8({[<369!1|70$5+%2";
const MAX_SUBSTITUTES: usize = 10;
/// How many words of the address are scored, and their longest length in bytes.
const MAX_EMAIL_WORDS: usize = 8;
const MAX_WORD_BYTES: usize = 64;

/// A password in NFC. It is never displayed and stored only as a hash.
pub struct Password(String);

/// Why a new password is rejected, as a message for the user.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error("Enter a password.")]
    Missing,
    #[error("Use at least 8 characters. Several words in a row are easy to remember.")]
    TooShort,
    #[error("Use at most 256 characters.")]
    TooLong,
    /// With the reason.
    #[error("That password is too easy to guess. {0}")]
    Guessable(String),
    #[error(
        "That password is in a list of passwords that were stolen from other sites. Attackers try these first. Choose another one."
    )]
    Breached,
}

impl Password {
    /// A password that is only compared, so no rules apply.
    pub fn unchecked(text: &str) -> Self {
        Self(text.nfc().collect())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// A new password for an account with that address. `site_words` are parts of the site's name.
    pub(super) fn validate(text: &str, email: &str, site_words: &[String]) -> Result<Self, PasswordError> {
        let password = Self::unchecked(text);
        let estimate = password.estimate(email, site_words);
        password.check_rules(&estimate, email, site_words).map(|()| password)
    }

    pub(super) fn check_rules(
        &self,
        estimate: &zxcvbn::Entropy,
        email: &str,
        site_words: &[String],
    ) -> Result<(), PasswordError> {
        if let Some(error) = Self::length_error(&self.0) {
            return Err(error);
        }
        if let Some(reason) = guessable::reason(&self.0, email, site_words) {
            return Err(PasswordError::Guessable(reason.to_owned()));
        }
        if estimate.score() < MIN_SCORE {
            return Err(PasswordError::Guessable(reason(estimate)));
        }
        Ok(())
    }

    /// The error of the length alone, which is fast to check.
    pub(in crate::accounts) fn length_error(text: &str) -> Option<PasswordError> {
        match text.nfc().count() {
            0 => Some(PasswordError::Missing),
            length if length < MIN_LENGTH => Some(PasswordError::TooShort),
            length if length > MAX_LENGTH => Some(PasswordError::TooLong),
            _ => None,
        }
    }

    /// How hard the password is to guess for somebody who knows the address and the site (ASVS 5.0 V6.2.4, V6.2.11).
    pub(super) fn estimate(&self, email: &str, site_words: &[String]) -> zxcvbn::Entropy {
        let scored = limit_substitutes(self.0.chars().take(MAX_SCORED_CHARS));
        let words = guessable::words(email).filter(|word| word.len() <= MAX_WORD_BYTES);
        let mut context: Vec<&str> = words.take(MAX_EMAIL_WORDS).collect();
        context.extend(Some(email).filter(|email| email.len() <= MAX_WORD_BYTES));
        context.extend(["order-portal", "order portal", "orders", "portal"]);
        context.extend(site_words.iter().map(String::as_str));
        zxcvbn::zxcvbn(&scored, &context)
    }
}

/// Replaces letter substitutes after the first ten different ones. zxcvbn tries all their combinations, which takes seconds with twenty
/// different ones, and no real word has so many.
fn limit_substitutes(text: impl Iterator<Item = char>) -> String {
    let mut seen: Vec<char> = Vec::with_capacity(MAX_SUBSTITUTES);
    let replace = |letter: char| {
        if !LETTER_SUBSTITUTES.contains(letter) || seen.contains(&letter) {
            return letter;
        }
        if seen.len() == MAX_SUBSTITUTES {
            return char::REPLACEMENT_CHARACTER;
        }
        seen.push(letter);
        letter
    };
    text.map(replace).collect()
}

fn reason(estimate: &zxcvbn::Entropy) -> String {
    let feedback = estimate.feedback();
    let warning = feedback.and_then(zxcvbn::feedback::Feedback::warning).map(|warning| warning.to_string());
    let advice = feedback.and_then(|feedback| feedback.suggestions().first()).map(ToString::to_string);
    let sentences: Vec<String> = warning.into_iter().chain(advice).collect();
    if sentences.is_empty() { "Add another word or two.".to_owned() } else { sentences.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(text: &str) -> Option<PasswordError> {
        Password::validate(text, "savea@northwind.example", &["northwind".to_owned(), "herring".to_owned()]).err()
    }

    #[test]
    fn password_length_is_counted_in_characters() {
        assert_eq!(error_of("kürzer!"), Some(PasswordError::TooShort));
        assert_eq!(error_of(&"ä".repeat(257)), Some(PasswordError::TooLong));
        assert_eq!(error_of(""), Some(PasswordError::Missing));
        assert_eq!(error_of("Grüße aus Köln 47"), None);
    }

    #[test]
    fn guessable_password_is_rejected_with_the_reason() {
        for text in
            ["password", "12345678", "qwertyuiop", "northwind", "herring1", "savea@northwind.example", "aaaaaaaaaaaa"]
        {
            let Some(PasswordError::Guessable(reason)) = error_of(text) else { panic!("{text} was accepted") };
            assert!(!reason.is_empty());
        }
    }

    #[test]
    fn estimate_is_fast_for_every_password_and_address() {
        let password = format!("4@8({{[<369!10$5+7%2|{}", "0".repeat(52));
        let words: Vec<String> = (3..=52).map(|length| "o".repeat(length)).collect();
        let start = std::time::Instant::now();
        Password::unchecked(&password).estimate(&words.join("."), &[]);
        let elapsed = start.elapsed();
        assert!(elapsed < std::time::Duration::from_secs(2), "{elapsed:?}; without limits it takes nine seconds");
        assert!(error_of("1234567890").is_some() && error_of("0987654321").is_some());
    }

    #[test]
    fn long_password_of_any_characters_is_accepted() {
        assert_eq!(error_of("correct horse battery staple"), None);
        assert_eq!(error_of(&"🦀 Krabben laufen seitwärts ".repeat(9)), None);
    }
}

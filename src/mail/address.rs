//! An e-mail address.

use std::fmt;

use email_address::{EmailAddress, Options};
use unicode_normalization::UnicodeNormalization;

/// The longest address that mail can be sent to, in bytes (RFC 5321 section 4.5.3.1.3, less the angle brackets).
const LONGEST: usize = 254;

/// An address that mail can be sent to, trimmed, NFC and in lower case, so that one person has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(String);

/// Why a text is no address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// Nothing was typed.
    #[error("Enter your e-mail address.")]
    Missing,
    /// It does not read like an address.
    #[error("Enter an e-mail address like name@example.com.")]
    Malformed,
    /// Longer than mail allows.
    #[error("That address is too long: mail takes at most 254 characters.")]
    TooLong,
}

impl Email {
    /// Reads an address as RFC 5321 and RFC 6531 write it, without display name, comment, quotes or literal host.
    ///
    /// # Errors
    /// What is wrong, in words for the person who typed it.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        let address: String = text.trim().nfc().collect::<String>().to_lowercase();
        if address.is_empty() {
            return Err(EmailError::Missing);
        }
        if address.len() > LONGEST {
            return Err(EmailError::TooLong);
        }
        let options = Options::default().with_required_tld().without_display_text().without_domain_literal();
        let is_plain = !address.chars().any(|letter| letter.is_control() || letter.is_whitespace() || letter == '"');
        match EmailAddress::parse_with_options(&address, options) {
            Ok(_) if is_plain => Ok(Self(address)),
            _ => Err(EmailError::Malformed),
        }
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_person_has_one_address_however_it_is_typed() {
        assert_eq!(Email::parse(" Savea@Northwind.Example ").unwrap().as_str(), "savea@northwind.example");
        assert_eq!(Email::parse("u\u{308}@example.com"), Email::parse("\u{fc}@example.com"));
    }

    #[test]
    fn what_mail_cannot_be_sent_to_is_refused() {
        for text in [
            "a",
            "@",
            "a@",
            "@b.example",
            "a@b",
            "a b@c.example",
            "a@b..example",
            "a@[127.0.0.1]",
            "A <a@b.example>",
            "a@b.example\0",
            "a@b.example\r\nBcc: c@d.example",
            "\"a b\"@c.example",
            "a@b@c.example",
        ] {
            assert_eq!(Email::parse(text), Err(EmailError::Malformed), "{text:?}");
        }
        assert_eq!(Email::parse("  "), Err(EmailError::Missing));
        assert_eq!(Email::parse(&format!("{}@b.example", "a".repeat(300))), Err(EmailError::TooLong));
    }
}

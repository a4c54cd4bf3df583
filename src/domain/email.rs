//! Email addresses.

use std::borrow::Cow;
use std::fmt;

use email_address::{EmailAddress, Options};
use unicode_normalization::UnicodeNormalization;

/// RFC 5321 section 4.5.3.1.3, less the angle brackets.
const MAX_BYTES: usize = 254;
/// RFC 5321 section 4.5.3.1.1.
const MAX_LOCAL_PART_BYTES: usize = 64;

/// A valid address: trimmed, NFC and in lower case, so that one person has one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(String);

/// Why a text is not an address. The messages are for the person who typed it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    #[error("Enter your email address.")]
    Missing,
    #[error("Enter a valid email address, like name@example.com.")]
    Malformed,
    #[error("Use an email address of at most 254 characters.")]
    TooLong,
}

impl Email {
    /// Parses the syntax of RFC 5321 and RFC 6531 without display name, comment, quotes or address literal. Dots are allowed anywhere
    /// before the `@`: mobile carriers assigned addresses like `taro..yama@docomo.ne.jp`, and their servers accept them.
    ///
    /// # Errors
    /// [`EmailError`].
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        let address: String = text.trim().nfc().collect::<String>().to_lowercase();
        if address.is_empty() {
            return Err(EmailError::Missing);
        }
        if address.len() > MAX_BYTES {
            return Err(EmailError::TooLong);
        }
        let options = Options::default().with_required_tld().without_display_text().without_domain_literal();
        let (local, domain) = address.rsplit_once('@').ok_or(EmailError::Malformed)?;
        let fits = quote_local_part(local).len() <= MAX_LOCAL_PART_BYTES;
        let without_dots = format!("{}@{domain}", local.replace('.', ""));
        let is_plain = !address.chars().any(|letter| letter.is_control() || letter.is_whitespace() || letter == '"');
        match EmailAddress::parse_with_options(&without_dots, options) {
            Ok(_) if is_plain && fits => Ok(Self(address)),
            _ => Err(EmailError::Malformed),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The local part in SMTP: a quoted string (RFC 5321 section 4.1.2) where the dots do not separate atoms.
pub fn quote_local_part(local: &str) -> Cow<'_, str> {
    if local.split('.').any(str::is_empty) { format!("\"{local}\"").into() } else { local.into() }
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
    fn address_is_trimmed_lower_case_and_nfc() {
        assert_eq!(Email::parse(" Savea@Northwind.Example ").unwrap().as_str(), "savea@northwind.example");
        assert_eq!(Email::parse("u\u{308}@example.com"), Email::parse("\u{fc}@example.com"));
    }

    #[test]
    fn dots_are_allowed_anywhere_in_the_local_part() {
        for text in
            ["taro..yama@docomo.ne.jp", "x.@ezweb.ne.jp", ".x@ezweb.ne.jp", "a...b.@docomo.ne.jp", "a.b@c.example"]
        {
            assert_eq!(Email::parse(text).map(|email| email.0), Ok(text.to_owned()));
        }
        assert_eq!(quote_local_part("a.b"), "a.b");
        assert_eq!(quote_local_part("x."), "\"x.\"");
        let long = |dots: &str| Email::parse(&format!("{}{dots}@b.example", "a".repeat(62)));
        assert!(long("").is_ok() && long(".a").is_ok());
        assert_eq!(long("."), Err(EmailError::Malformed), "65 bytes with its quotes");
    }

    #[test]
    fn invalid_address_is_rejected_with_the_reason() {
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
            "a@b..c@d.example",
            "..@b.example",
            "a..\"b@c.example",
            "a..\\b@c.example",
            "a..(b)@c.example",
            "a..<b@c.example>",
            "a.. b@c.example",
            "a.b@.c.example",
            "a.b@c.example.",
        ] {
            assert_eq!(Email::parse(text), Err(EmailError::Malformed), "{text:?}");
        }
        assert_eq!(Email::parse("  "), Err(EmailError::Missing));
        assert_eq!(Email::parse(&format!("{}@b.example", "a".repeat(300))), Err(EmailError::TooLong));
    }
}

//! `SECURITY_CONTACT`, shown in `/.well-known/security.txt`.

use std::fmt;

use lettre::Address;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Characters that are not escaped in a `mailto:` URI (RFC 6068 section 2).
const IN_MAILTO: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'+').remove(b'!').remove(b'@');

/// The URI of the `Contact` field (RFC 9116 section 2.5.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityContact(String);

impl SecurityContact {
    /// Accepts an email address, or a URL with scheme `https` or `mailto`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_one_word = text.bytes().all(|byte| byte.is_ascii_graphic());
        match url::Url::parse(text) {
            Ok(url) if is_one_word && url.scheme() == "https" => Some(Self(url.into())),
            Ok(url) if is_one_word && url.scheme() == "mailto" && has_address(url.path()) => Some(Self(url.into())),
            Ok(_) => None,
            Err(_) => text.parse().ok().map(|address| Self(mailto_uri(&address))),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecurityContact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) fn mailto_uri(address: &Address) -> String {
    format!("mailto:{}", utf8_percent_encode(address.as_ref(), IN_MAILTO))
}

fn has_address(path: &str) -> bool {
    let path = percent_encoding::percent_decode_str(path).decode_utf8();
    path.is_ok_and(|path| path.parse::<Address>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_address_and_url_become_a_uri() {
        let cases = [
            ("security@shop.example", "mailto:security@shop.example"),
            ("security+web@shop.example", "mailto:security+web@shop.example"),
            ("50%?@shop.example", "mailto:50%25%3F@shop.example"),
            ("mailto:security@shop.example", "mailto:security@shop.example"),
            ("https://shop.example/security", "https://shop.example/security"),
            ("https://shop.example", "https://shop.example/"),
        ];
        for (text, uri) in cases {
            assert_eq!(SecurityContact::parse(text).as_ref().map(SecurityContact::as_str), Some(uri), "{text}");
        }
    }

    #[test]
    fn other_contacts_are_rejected() {
        let others = [
            "",
            "security",
            "@shop.example",
            "http://shop.example/security",
            "javascript:alert(1)",
            "tel:+49-1",
            "mailto:",
            "mailto:security",
            "https://",
            "https://shop.example/a b",
            "https://shop.example/\nExpires: never",
            "security@shop.example\nContact: mailto:other@evil.example",
            "a@shop.example, b@shop.example",
        ];
        for text in others {
            assert_eq!(SecurityContact::parse(text), None, "{text:?}");
        }
    }
}

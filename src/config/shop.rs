//! What customers see of the shop: `SHOP_NAME`, `SHOP_URL`, `SHOP_CONTACT`, `SHOP_LINKS`, `SHOP_LOGO`, `SHOP_ACCENT`, `SHOW_CUSTOMER_NOTE`;
//! and whether it sends `ORDER_MAILS`.
//!
//! URLs are kept as written, because pages and mails show them.

use std::fmt;
use std::path::Path;

use lettre::Address;

use super::accent::Accent;
use super::logo::Logo;
use super::reader::Reader;
use super::security_contact::mailto_uri;
use crate::domain::Email;

pub(super) const DEFAULT_NAME: &str = "Order portal";
/// Characters of a name or a label.
const MAX_LABEL_CHARS: usize = 80;

/// What customers see of the shop.
#[derive(Clone, Debug)]
pub struct Shop {
    pub name: String,
    /// The shop's own site.
    pub url: Option<HttpsUrl>,
    pub contact: Option<ShopContact>,
    /// Further links of the footer.
    pub links: Vec<ShopLink>,
    pub logo: Option<Logo>,
    pub accent: Option<Accent>,
    /// Whether the note of an order is shown to its customer.
    pub shows_notes: bool,
    /// Whether customers get mail when an import changes the state of their orders, unless they turn it off.
    pub order_mails: bool,
}

impl Default for Shop {
    fn default() -> Self {
        Self {
            name: DEFAULT_NAME.to_owned(),
            url: None,
            contact: None,
            links: Vec::new(),
            logo: None,
            accent: None,
            shows_notes: false,
            order_mails: false,
        }
    }
}

impl Reader<'_> {
    pub(super) fn shop(&mut self) -> Shop {
        let takes = format!("a name of at most {MAX_LABEL_CHARS} characters on one line, like Ann's Tea Shop");
        let name = self.parsed_or(
            "SHOP_NAME",
            &takes,
            |text| is_label(text).then(|| text.to_owned()),
            DEFAULT_NAME.to_owned(),
        );
        let url = self.parsed("SHOP_URL", "an https URL, like https://shop.example", HttpsUrl::parse);
        let takes = "a mail address or an https URL, like help@shop.example or https://shop.example/contact";
        let contact = self.parsed("SHOP_CONTACT", takes, ShopContact::parse);
        let takes = "Label=URL pairs with https URLs, separated by commas, like Imprint=https://shop.example/imprint,Privacy=https://shop.example/privacy";
        let links = self.parsed("SHOP_LINKS", takes, ShopLinks::parse);
        let links = links.map(|links| links.0).unwrap_or_default();
        let logo = self.logo();
        let takes = "a CSS colour, like #0b6650 or oklch(50% 0.1 165)";
        let accent = self.parsed("SHOP_ACCENT", takes, Accent::parse);
        let shows_notes = self.one_of("SHOW_CUSTOMER_NOTE", &[("true", true), ("false", false)], false);
        let order_mails = self.one_of("ORDER_MAILS", &[("true", true), ("false", false)], false);
        Shop { name, url, contact, links, logo, accent, shows_notes, order_mails }
    }

    fn logo(&mut self) -> Option<Logo> {
        let name = "SHOP_LOGO";
        let path = (self.get)(name);
        let logo = path.as_deref().map(|path| Logo::read(Path::new(path.trim())));
        self.show(name, path.as_ref());
        match (path, logo?) {
            (_, Ok(logo)) => Some(logo),
            (path, Err(problem)) => {
                let takes = format!("a PNG, WebP or SVG file of at most 200 KB; {problem}");
                self.wrong(name, &path.unwrap_or_default(), &takes);
                None
            }
        }
    }
}

/// An absolute `https` URL without credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpsUrl(String);

impl HttpsUrl {
    fn parse(text: &str) -> Option<Self> {
        let url = url::Url::parse(text).ok()?;
        let is_one_word = !text.chars().any(|letter| letter.is_whitespace() || letter.is_control());
        let is_open = url.username().is_empty() && url.password().is_none();
        // The url crate also accepts spellings like https:/shop.example.
        (text.starts_with("https://") && is_one_word && is_open).then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for HttpsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where customers ask for help. Displayed as the operator wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShopContact {
    Address(Address),
    Url(HttpsUrl),
}

impl ShopContact {
    fn parse(text: &str) -> Option<Self> {
        match HttpsUrl::parse(text) {
            Some(url) => Some(Self::Url(url)),
            None => text.parse().ok().filter(|_| Email::parse(text).is_ok()).map(Self::Address),
        }
    }

    /// The address that mail to the shop goes to.
    pub fn email(&self) -> Option<Email> {
        match self {
            Self::Address(address) => Email::parse(address.as_ref()).ok(),
            Self::Url(_) => None,
        }
    }

    /// The target of a link.
    pub fn href(&self) -> String {
        match self {
            Self::Address(address) => mailto_uri(address),
            Self::Url(url) => url.to_string(),
        }
    }
}

impl fmt::Display for ShopContact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Url(url) => url.fmt(f),
        }
    }
}

/// A link of the footer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShopLink {
    pub label: String,
    pub url: HttpsUrl,
}

struct ShopLinks(Vec<ShopLink>);

impl ShopLinks {
    fn parse(text: &str) -> Option<Self> {
        let link = |pair: &str| {
            let (label, url) = pair.split_once('=')?;
            let label = Some(label.trim()).filter(|label| is_label(label))?.to_owned();
            Some(ShopLink { label, url: HttpsUrl::parse(url.trim())? })
        };
        text.split_terminator(',').map(link).collect::<Option<_>>().map(Self)
    }
}

impl fmt::Display for ShopLinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<String> = self.0.iter().map(|link| format!("{}={}", link.label, link.url)).collect();
        f.write_str(&pairs.join(","))
    }
}

fn is_label(text: &str) -> bool {
    (1..=MAX_LABEL_CHARS).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn href(text: &str) -> Option<String> {
        ShopContact::parse(text).map(|contact| contact.href())
    }

    #[test]
    fn contact_is_a_mail_address_or_an_https_url() {
        for (text, uri) in [
            ("help@shop.example", "mailto:help@shop.example"),
            ("50%?@shop.example", "mailto:50%25%3F@shop.example"),
            ("https://shop.example", "https://shop.example"),
            ("https://shop.example/help?from=orders", "https://shop.example/help?from=orders"),
        ] {
            assert_eq!(href(text).as_deref(), Some(uri), "{text}");
            assert_eq!(ShopContact::parse(text).unwrap().to_string(), text);
        }
        for text in
            ["", "help", "http://shop.example", "tel:+49-1", "mailto:help@shop.example", "a@b.example, c@d.example"]
        {
            assert_eq!(href(text), None, "{text}");
        }
    }

    #[test]
    fn https_url_is_absolute_without_credentials() {
        for text in ["https://shop.example", "https://shop.example/a,b?c=d#e", "https://läden.example/ü"] {
            assert_eq!(HttpsUrl::parse(text).map(|url| url.to_string()).as_deref(), Some(text));
        }
        for text in [
            "",
            "shop.example",
            "/imprint",
            "http://shop.example",
            "javascript:alert(1)",
            "https:/shop.example",
            "https://",
            "https://shop.example/a b",
            "https://shop.example/\nx",
            "https://ann:password@shop.example",
        ] {
            assert_eq!(HttpsUrl::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn links_are_pairs_of_label_and_https_url() {
        let labels = |text: &str| {
            let links = ShopLinks::parse(text)?.0;
            Some(links.into_iter().map(|link| format!("{} {}", link.label, link.url)).collect::<Vec<_>>())
        };
        let both = ["Imprint https://shop.example/i?a=b", "Terms & more https://shop.example/t"];
        let both: Vec<String> = both.map(str::to_owned).into();
        for text in [
            "Imprint=https://shop.example/i?a=b,Terms & more=https://shop.example/t",
            " Imprint = https://shop.example/i?a=b , Terms & more = https://shop.example/t,",
        ] {
            assert_eq!(labels(text).as_ref(), Some(&both), "{text}");
        }
        for text in [
            "Imprint",
            "Imprint=",
            "=https://shop.example",
            "https://shop.example",
            "Imprint=http://shop.example",
            "Imprint=javascript:alert(1)",
            "Imprint=https://shop.example,,Terms=https://shop.example/t",
        ] {
            assert_eq!(labels(text), None, "{text}");
        }
    }
}

//! Where to go after logging in.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What may stand in a query value as it is (RFC 3986 section 3.4) and in a path segment alike.
const QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const LONGEST: usize = 2048;

/// A path on this site, with its query: an open redirect cannot be made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextPath(String);

impl NextPath {
    /// Takes `/…`, but neither `//…` nor `/\…`, which browsers read as another host; nor anything but visible ASCII,
    /// because browsers drop tabs and line ends (WHATWG URL, "basic URL parser") and a header takes nothing else.
    pub fn parse(text: &str) -> Option<Self> {
        let on_this_site = text.starts_with('/') && !text.starts_with("//") && !text.contains('\\');
        let plain = text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_graphic());
        (on_this_site && plain).then(|| Self(text.to_owned()))
    }

    /// The path and query.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The login page that leads back here.
    pub fn login_address(&self) -> String {
        format!("/login?next={}", utf8_percent_encode(&self.0, QUERY_VALUE))
    }
}

#[cfg(test)]
mod tests {
    use super::NextPath;

    #[test]
    fn paths_on_this_site_are_taken() {
        for path in ["/", "/orders", "/orders/10248?x=1&y=2", "/account#password", "/orders/%F0%9F%8E%81"] {
            assert_eq!(NextPath::parse(path).unwrap().as_str(), path);
        }
    }

    #[test]
    fn everything_that_a_browser_takes_for_another_host_is_ignored() {
        let others = [
            "",
            "orders",
            "//evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "https://evil.example",
            "/\t/evil.example",
            "/\n//evil.example",
            "/a\\..\\evil",
            " /orders",
            "/ü",
            "javascript:alert(1)",
            "/a b",
        ];
        for path in others {
            assert_eq!(NextPath::parse(path), None, "{path:?}");
        }
    }

    #[test]
    fn the_login_page_gets_the_whole_path_as_one_value() {
        let next = NextPath::parse("/orders?after=a&b=c+d").unwrap();
        assert_eq!(next.login_address(), "/login?next=%2Forders%3Fafter%3Da%26b%3Dc%2Bd");
    }
}

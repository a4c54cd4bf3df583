//! The `next` parameter: the path to return to after login.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Characters that are not escaped in a query value (RFC 3986 section 3.4) or a path segment.
const QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const MAX_BYTES: usize = 2048;

/// A path on this site with its query, never an open redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextPath(String);

impl NextPath {
    /// Accepts `/…`, but not `//…` or `/\…`, which browsers treat as another host; visible ASCII only, because browsers drop tabs and line ends
    /// (WHATWG URL, "basic URL parser").
    pub fn parse(text: &str) -> Option<Self> {
        let is_on_this_site = text.starts_with('/') && !text.starts_with("//") && !text.contains('\\');
        let is_plain = text.len() <= MAX_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic());
        (is_on_this_site && is_plain).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL of the login page that returns here.
    pub fn login_url(&self) -> String {
        format!("/login?next={}", utf8_percent_encode(&self.0, QUERY_VALUE))
    }
}

#[cfg(test)]
mod tests {
    use super::NextPath;

    #[test]
    fn next_accepts_paths_on_this_site() {
        for path in ["/", "/orders", "/orders/10248?x=1&y=2", "/account#password", "/orders/%F0%9F%8E%81"] {
            assert_eq!(NextPath::parse(path).unwrap().as_str(), path);
        }
    }

    #[test]
    fn next_rejects_other_hosts() {
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
    fn login_url_escapes_the_whole_path() {
        let next = NextPath::parse("/orders?after=a&b=c+d").unwrap();
        assert_eq!(next.login_url(), "/login?next=%2Forders%3Fafter%3Da%26b%3Dc%2Bd");
    }
}

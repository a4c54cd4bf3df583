//! The URL of an order's page.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::order::OrderNumber;

/// What must be escaped in a path: all but the unreserved characters (RFC 3986 section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(super) fn order_url(number: &OrderNumber) -> String {
    format!("/orders/{}", utf8_percent_encode(number.as_str(), RESERVED))
}

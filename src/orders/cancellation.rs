//! A customer's request to cancel an order, and the shop's answer. Neither changes the status of the order, which is what the shop's export says.

use strum::{EnumString, IntoStaticStr};

use crate::domain::UnixSeconds;
use crate::web::escape::without_bidi_controls;

/// Characters of a reason.
pub(super) const MAX_REASON_CHARS: usize = 500;

/// A request to cancel an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancellation {
    pub requested_at: UnixSeconds,
    /// May be empty.
    pub reason: String,
    pub answer: Option<Answer>,
}

/// The shop's answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub verdict: Verdict,
    pub at: UnixSeconds,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Verdict {
    Accepted,
    Declined,
}

impl Verdict {
    /// The code in the database and in JSON.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Why a customer wants to cancel: one line of text, possibly empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reason(String);

impl Reason {
    /// Line breaks and control characters become spaces. `None` for more than 500 characters.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = without_bidi_controls(text).replace(char::is_control, " ");
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        (text.chars().count() <= MAX_REASON_CHARS).then_some(Self(text))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_is_one_line_of_at_most_500_characters() {
        for (text, reason) in
            [("", ""), (" \r\n ", ""), ("Too\r\nlate,  sorry\0", "Too late, sorry"), ("a\u{202e}b", "ab")]
        {
            assert_eq!(Reason::parse(text), Some(Reason(reason.to_owned())), "{text:?}");
        }
        assert!(Reason::parse(&"é".repeat(500)).is_some());
        assert_eq!(Reason::parse(&"é".repeat(501)), None);
    }

    #[test]
    fn verdict_codes_are_stable() {
        assert_eq!([Verdict::Accepted, Verdict::Declined].map(Verdict::as_str), ["accepted", "declined"]);
    }
}

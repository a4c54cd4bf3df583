//! Values of files in messages.

/// Characters of a value in a message.
const MAX_SHOWN_CHARS: usize = 60;

/// The value in quotes, shortened, with its control characters escaped.
pub(super) fn quote(text: &str) -> String {
    let more = if text.chars().nth(MAX_SHOWN_CHARS).is_some() { "…" } else { "" };
    let shown: String = text.chars().take(MAX_SHOWN_CHARS).flat_map(char::escape_debug).collect();
    format!("\"{shown}{more}\"")
}

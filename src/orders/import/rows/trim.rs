//! Removes what stands around the values of cells.

/// Without white space and invisible characters around it.
pub(super) fn trim(text: &str) -> &str {
    let trimmed = text.trim();
    if trimmed.is_ascii() {
        return trimmed;
    }
    trimmed.trim_matches(|letter: char| letter.is_whitespace() || is_invisible(letter))
}

/// A text without spaces and invisible characters around it. Tabs and line breaks are part of it.
pub(super) fn without_padding(text: &str) -> &str {
    text.trim_matches(|letter: char| [' ', '\u{a0}'].contains(&letter) || is_invisible(letter))
}

/// Zero-width characters and marks of direction, which texts have that were copied from a page.
fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

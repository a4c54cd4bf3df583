//! Escaping of everything that a template puts into a page or an HTML mail; `askama.toml` names it.

use std::fmt;

use askama::filters::{Escaper, Html};

/// Characters that change the order in which other text is shown (Unicode property `Bidi_Control`). A name that contains one can look
/// like another name, and change how the text after it is shown.
const BIDI_CONTROLS: [char; 12] = [
    '\u{61c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}',
    '\u{2067}', '\u{2068}', '\u{2069}',
];

/// The text without bidirectional control characters.
pub fn without_bidi_controls(text: &str) -> String {
    if text.is_ascii() { text.to_owned() } else { text.replace(BIDI_CONTROLS, "") }
}

/// HTML without bidirectional control characters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Page;

impl Escaper for Page {
    fn write_escaped_str<W: fmt::Write>(&self, mut dest: W, text: &str) -> fmt::Result {
        if text.is_ascii() {
            return Html.write_escaped_str(dest, text);
        }
        text.split(BIDI_CONTROLS).try_for_each(|part| Html.write_escaped_str(&mut dest, part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_text_is_escaped_without_bidi_controls() {
        let mut page = String::new();
        Page.write_escaped_str(&mut page, "\u{202e}gpj.<b>\u{2066}é \u{5d0}\u{200f}'&\"").unwrap();
        Page.write_escaped_char(&mut page, '\u{202d}').unwrap();
        assert_eq!(page, "gpj.&#60;b&#62;é \u{5d0}&#39;&#38;&#34;");
    }
}

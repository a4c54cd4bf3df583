//! `SHOP_LOGO`: an image file, read and recognized once, at start.

use std::io::Read;
use std::path::Path;

const MAX_BYTES: u64 = 200 * 1024;

/// A format that browsers show in `<img>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Png,
    WebP,
    Svg,
}

/// The shop's logo.
#[derive(Clone, Debug)]
pub struct Logo {
    format: Format,
    pub content: Vec<u8>,
}

impl Logo {
    /// Reads and recognizes the file.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let cannot_read = |error| format!("the file cannot be read: {error}");
        let file = std::fs::File::open(path).map_err(cannot_read)?;
        let mut content = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut content).map_err(cannot_read)?;
        if content.len() as u64 > MAX_BYTES {
            return Err("the file is larger".to_owned());
        }
        let format = Format::of(&content).ok_or("the file is none of these")?;
        Ok(Self { format, content })
    }

    /// The name under which the file is served.
    pub fn file_name(&self) -> &'static str {
        match self.format {
            Format::Png => "shop-logo.png",
            Format::WebP => "shop-logo.webp",
            Format::Svg => "shop-logo.svg",
        }
    }
}

impl Format {
    /// The format by the content, which browsers believe more than the name.
    fn of(content: &[u8]) -> Option<Self> {
        if content.starts_with(b"\x89PNG\r\n\x1a\n") {
            return Some(Self::Png);
        }
        if content.starts_with(b"RIFF") && content.get(8..12) == Some(b"WEBP") {
            return Some(Self::WebP);
        }
        let text = std::str::from_utf8(content).ok()?;
        is_svg(text.trim_start_matches('\u{feff}')).then_some(Self::Svg)
    }
}

/// Whether the root element of the document is `svg`, after declarations and comments.
fn is_svg(text: &str) -> bool {
    let mut rest = text.trim_start();
    loop {
        let end = match rest {
            _ if rest.starts_with("<?") => "?>",
            _ if rest.starts_with("<!--") => "-->",
            _ if rest.starts_with("<!DOCTYPE svg") => ">",
            _ => break,
        };
        let Some((_, after)) = rest.split_once(end) else { return false };
        rest = after.trim_start();
    }
    let name_ends = |after: &str| after.starts_with(|letter: char| letter == '>' || letter.is_ascii_whitespace());
    // Without the namespace, browsers show nothing.
    rest.strip_prefix("<svg").is_some_and(name_ends) && rest.contains("http://www.w3.org/2000/svg")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_is_recognized_by_content() {
        let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\"/>".replace("/>", " viewBox=\"0 0 1 1\"></svg>");
        let declared = format!("\u{feff}<?xml version=\"1.0\"?>\n<!-- a > b -->\n<!DOCTYPE svg>{svg}");
        for (content, format) in [
            (&b"\x89PNG\r\n\x1a\n...."[..], Some(Format::Png)),
            (b"RIFF\x10\0\0\0WEBPVP8 ", Some(Format::WebP)),
            (b"RIFF\x10\0\0\0WAVEfmt ", None),
            (svg.as_bytes(), Some(Format::Svg)),
            (declared.as_bytes(), Some(Format::Svg)),
            (b"<svg></svg>", None),
            (b"<svgx xmlns=\"http://www.w3.org/2000/svg\">", None),
            (b"<!-- <svg xmlns=\"http://www.w3.org/2000/svg\">", None),
            (b"<!doctype html><svg xmlns=\"http://www.w3.org/2000/svg\">", None),
            (b"<html><svg xmlns=\"http://www.w3.org/2000/svg\"></svg></html>", None),
            (b"\xff\xd8\xff\xe0 JFIF", None),
            (b"GIF89a", None),
            (b"", None),
        ] {
            assert_eq!(Format::of(content), format, "{}", String::from_utf8_lossy(content));
        }
    }
}

//! `SHOP_ACCENT`: the hue and the chroma of a CSS colour.

use std::fmt;

/// Below this chroma a colour is grey and its hue is noise.
const GREY: f32 = 0.01;

/// Hue and chroma of the shop's colour, in OKLCH. The lightness is that of the design, so that contrast holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accent {
    /// Degrees; `None` for grey.
    pub hue: Option<f32>,
    pub chroma: f32,
}

impl Accent {
    /// Parses any CSS colour without transparency.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let color = csscolorparser::parse(text).ok().filter(|color| color.a >= 1.0)?;
        let [_, chroma, hue, _] = color.to_oklcha();
        let is_valid = hue.is_finite() && (0.0..=1.0).contains(&chroma);
        is_valid.then(|| Self { hue: (chroma >= GREY).then(|| hue.to_degrees().rem_euclid(360.0)), chroma })
    }
}

impl fmt::Display for Accent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.hue {
            Some(hue) => write!(f, "hue {hue:.0}, chroma {:.3}", self.chroma),
            None => f.write_str("grey"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn css_colors_have_hue_and_chroma() {
        for (text, shown) in [
            ("#f00", "hue 29, chroma 0.258"),
            ("#FF0000", "hue 29, chroma 0.258"),
            ("red", "hue 29, chroma 0.258"),
            ("rgb(255 0 0)", "hue 29, chroma 0.258"),
            ("hsl(240, 100%, 50%)", "hue 264, chroma 0.313"),
            ("oklch(55% 0.15 250)", "hue 250, chroma 0.150"),
            ("oklch(0.55 0.15 -110)", "hue 250, chroma 0.150"),
            ("#888", "grey"),
            ("#fff", "grey"),
        ] {
            assert_eq!(Accent::parse(text).map(|accent| accent.to_string()).as_deref(), Some(shown), "{text}");
        }
        for text in [
            "",
            "brick",
            "#12",
            "#ggg",
            "rgb(1 2",
            "#ff000080",
            "transparent",
            "var(--x)",
            "red; color: blue",
            "oklch(50% 99 20)",
        ] {
            assert_eq!(Accent::parse(text), None, "{text}");
        }
    }
}

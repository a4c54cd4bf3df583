//! The shop's accent colour: the tokens of `site.css` that depend on it.
//!
//! Hue and chroma are the shop's, lightness is the design's. Chroma is reduced to what sRGB can show at that lightness: browsers would cut each
//! channel, which changes the contrast.

use csscolorparser::Color;

use crate::config::Accent;

/// The hue of the design.
const OWN_HUE: f32 = 165.0;
const OWN_ACCENT: Accent = Accent { hue: Some(OWN_HUE), chroma: 0.083 };
/// Lightness in the light and in the dark scheme.
const ACCENT: (f32, f32) = (0.39, 0.84);
const ACCENT_STRONG: (f32, f32) = (0.32, 0.90);
/// `--on-accent` of the dark scheme: lightness and chroma.
const ON_ACCENT_DARK: (f32, f32) = (0.20, 0.03);
/// `--sheet` of the dark scheme: lightness and chroma.
const DARK_SHEET: (f32, f32) = (0.23, 0.014);

/// Rules that replace the tokens of the stylesheet.
pub(super) fn stylesheet(accent: &Accent) -> String {
    let hue = accent.hue.unwrap_or(OWN_HUE);
    let color = |lightness: f32| {
        let chroma = chroma_in_gamut(lightness, accent.chroma, hue);
        format!("oklch({:.0}% {chroma:.4} {hue:.1})", lightness * 100.0)
    };
    let both = |(light, dark): (f32, f32)| format!("light-dark({}, {})", color(light), color(dark));
    format!(
        "\n@layer tokens {{\n  :root {{ --hue: {hue:.1}; --accent: {}; --accent-strong: {}; }}\n}}\n",
        both(ACCENT),
        both(ACCENT_STRONG)
    )
}

/// The colours of a mail, as mail programs read them. A mail has no stylesheet of its own.
pub struct MailColors {
    /// Of buttons and links in the light scheme.
    pub accent: String,
    /// The same in the dark scheme.
    pub accent_dark: String,
    /// Text on the dark scheme's buttons.
    pub on_accent_dark: String,
    pub page_dark: String,
}

impl MailColors {
    pub fn new(accent: Option<&Accent>) -> Self {
        let accent = accent.copied().unwrap_or(OWN_ACCENT);
        let hue = accent.hue.unwrap_or(OWN_HUE);
        let color = |lightness: f32, chroma: f32| {
            to_hex(lightness, chroma_in_gamut(lightness, chroma.min(accent.chroma), hue), hue)
        };
        Self {
            accent: color(ACCENT.0, accent.chroma),
            accent_dark: color(ACCENT.1, accent.chroma),
            on_accent_dark: color(ON_ACCENT_DARK.0, ON_ACCENT_DARK.1),
            page_dark: theme_color_dark(Some(&accent)),
        }
    }
}

/// The accent of the light scheme, for images.
pub(super) fn hex(accent: &Accent) -> String {
    let hue = accent.hue.unwrap_or(OWN_HUE);
    to_hex(ACCENT.0, chroma_in_gamut(ACCENT.0, accent.chroma, hue), hue)
}

/// The colour of the header in the dark scheme, for the browser's own bars.
pub(super) fn theme_color_dark(accent: Option<&Accent>) -> String {
    let (lightness, chroma) = DARK_SHEET;
    to_hex(lightness, chroma, accent.and_then(|accent| accent.hue).unwrap_or(OWN_HUE))
}

/// The largest chroma up to `wanted` that sRGB has.
fn chroma_in_gamut(lightness: f32, wanted: f32, hue: f32) -> f32 {
    let is_in_gamut = |chroma: f32| {
        let Color { r, g, b, .. } = Color::from_oklcha(lightness, chroma, hue.to_radians(), 1.0);
        [r, g, b].iter().all(|channel| (0.0..=1.0).contains(channel))
    };
    if is_in_gamut(wanted) {
        return wanted;
    }
    let (mut inside, mut outside) = (0.0, wanted);
    for _ in 0..16 {
        let middle = f32::midpoint(inside, outside);
        if is_in_gamut(middle) { inside = middle } else { outside = middle }
    }
    inside
}

fn to_hex(lightness: f32, chroma: f32, hue: f32) -> String {
    Color::from_oklcha(lightness, chroma, hue.to_radians(), 1.0).clamp().to_css_hex().to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const SITE: &str = include_str!("../../static/site.css");

    /// The colours of the stylesheet in one scheme, with the accent's rules after its own.
    fn tokens(accent: &Accent, scheme: usize) -> HashMap<String, Color> {
        let hue = format!("{:.1}", accent.hue.unwrap_or(OWN_HUE));
        let css = format!("{SITE}{}", stylesheet(accent)).replace("var(--hue)", &hue);
        let declarations = css.split(['{', ';']).filter_map(|text| text.trim().strip_prefix("--")?.split_once(": "));
        let colors = declarations.filter_map(|(name, value)| {
            let (light, dark) = value.strip_prefix("light-dark(")?.strip_suffix(")")?.split_once("), ")?;
            let color = csscolorparser::parse(&[format!("{light})"), dark.to_owned()][scheme]).unwrap();
            Some((name.to_owned(), color))
        });
        colors.collect()
    }

    /// The contrast ratio of WCAG 2.
    fn contrast(one: &Color, other: &Color) -> f32 {
        let luminance = |color: &Color| {
            let [r, g, b, _] = color.clamp().to_linear_rgba();
            0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05
        };
        let (one, other) = (luminance(one), luminance(other));
        one.max(other) / one.min(other)
    }

    #[test]
    fn contrast_holds_for_any_hue_and_chroma() {
        let own = Accent { hue: Some(OWN_HUE), chroma: 0.083 };
        let grey = Accent { hue: None, chroma: 0.0 };
        let any = (0_u16..360)
            .flat_map(|hue| [0.01, 0.1, 0.2, 0.4].map(|chroma| Accent { hue: Some(f32::from(hue)), chroma }));
        for accent in any.chain([own, grey]) {
            for scheme in [0, 1] {
                let tokens = tokens(&accent, scheme);
                let check = |pairs: &[(&str, &[&str])], least: f32| {
                    for (front, backs) in pairs {
                        for back in *backs {
                            let ratio = contrast(&tokens[*front], &tokens[*back]);
                            assert!(ratio >= least, "{front} on {back}: {ratio}, {accent}, scheme {scheme}");
                        }
                    }
                };
                let surfaces = &["paper", "sheet", "tint"][..];
                check(
                    &[("ink", surfaces), ("ink-soft", surfaces), ("accent", surfaces), ("accent-strong", surfaces)],
                    7.0,
                );
                check(
                    &[
                        ("on-accent", &["accent", "accent-strong", "danger"]),
                        ("danger", &["paper", "sheet", "danger-tint"]),
                    ],
                    7.0,
                );
                check(&[("edge", surfaces)], 3.0);
            }
        }
    }

    #[test]
    fn contrast_of_mail_holds_for_any_hue_and_chroma() {
        let any = (0_u16..360)
            .flat_map(|hue| [0.01, 0.1, 0.2, 0.4].map(|chroma| Accent { hue: Some(f32::from(hue)), chroma }));
        let parse = |text: &str| csscolorparser::parse(text).unwrap();
        for accent in any.chain([OWN_ACCENT, Accent { hue: None, chroma: 0.0 }]) {
            let colors = MailColors::new(Some(&accent));
            let [on_dark, dark, page] =
                [&colors.on_accent_dark, &colors.accent_dark, &colors.page_dark].map(|color| parse(color));
            for (front, back) in [
                (&parse("#fff"), &parse(&colors.accent)),
                (&on_dark, &dark),
                (&dark, &page),
                (&parse("#e8efeb"), &page),
                (&parse("#c3cfc9"), &page),
            ] {
                let ratio = contrast(front, back);
                assert!(ratio >= 7.0, "{front} on {back}: {ratio}, {accent}");
            }
        }
        assert_eq!(MailColors::new(None).accent, hex(&OWN_ACCENT));
    }

    #[test]
    fn accent_has_the_hue_of_the_shop_within_the_gamut() {
        let css = stylesheet(&Accent { hue: Some(29.0), chroma: 0.4 });
        assert!(css.contains("--hue: 29.0;") && !css.contains("0.4000"), "{css}");
        assert_eq!(hex(&Accent { hue: None, chroma: 0.0 }), "#454545");
        assert_eq!(theme_color_dark(None), "#171f1b");
    }
}

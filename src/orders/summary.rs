//! What an order is in a few words, for lists: "Clay mug, Saucer and 2 more". Migration 0013 writes the same text in SQL, so a change here
//! needs a migration.

use std::collections::HashSet;

/// Characters of the only name in a summary.
const MAX_CHARS: usize = 120;
/// Characters of each of two names. With ", " and " and 1,000,000 more" both fit [`MAX_CHARS`].
const MAX_CHARS_OF_TWO: usize = 50;

/// What a list shows about the lines of an order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Summary {
    /// Empty without lines.
    pub text: String,
    /// The quantities of the lines. Pieces that were taken back do not count.
    pub piece_count: i64,
}

impl Summary {
    /// From the name and the quantity of each line.
    pub(super) fn new<'a>(lines: impl IntoIterator<Item = (&'a str, i64)>) -> Self {
        let (mut names, mut known) = (Vec::new(), HashSet::new());
        let mut piece_count = 0_i64;
        for (name, quantity) in lines {
            piece_count = piece_count.saturating_add(quantity.max(0));
            if !name.is_empty() && known.insert(name) {
                names.push(name);
            }
        }
        Self { text: text(&names), piece_count }
    }
}

fn text(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [name] => shorten(name, MAX_CHARS),
        [first, second, others @ ..] => {
            let both = [first, second].map(|name| shorten(name, MAX_CHARS_OF_TWO)).join(", ");
            if others.is_empty() { both } else { format!("{both} and {} more", others.len()) }
        }
    }
}

fn shorten(name: &str, max_chars: usize) -> String {
    if name.chars().count() <= max_chars {
        return name.to_owned();
    }
    let start: String = name.chars().take(max_chars - 1).collect();
    format!("{}…", start.trim_end_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(names: &[&str]) -> String {
        Summary::new(names.iter().map(|name| (*name, 1))).text
    }

    #[test]
    fn summary_has_two_distinct_names_and_counts_the_others() {
        assert_eq!(summary(&[]), "");
        assert_eq!(summary(&[""]), "");
        assert_eq!(summary(&["Clay mug", "Clay mug"]), "Clay mug");
        assert_eq!(summary(&["Clay mug", "", "Saucer"]), "Clay mug, Saucer");
        assert_eq!(
            summary(&["Clay mug", "Saucer", "Clay mug", "Teapot", "Tray", "Saucer"]),
            "Clay mug, Saucer and 2 more"
        );
    }

    #[test]
    fn long_names_are_cut_at_their_characters() {
        let long = "é".repeat(200);
        assert_eq!(summary(&[&long]), format!("{}…", "é".repeat(119)));
        assert_eq!(summary(&[&long, "Saucer"]), format!("{}…, Saucer", "é".repeat(49)));
        assert_eq!(summary(&[&"é".repeat(120)]), "é".repeat(120));
        assert_eq!(summary(&[&format!("{} b{long}", "a".repeat(48)), "b"]), format!("{}…, b", "a".repeat(48)));
        let names: Vec<String> = (0..2_000).map(|index| format!("{long}{index}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert!(summary(&names).chars().count() <= MAX_CHARS);
    }

    #[test]
    fn pieces_that_were_taken_back_do_not_count() {
        let summary = Summary::new([("Mug", 3), ("Mug", -1), ("Saucer", 0)]);
        assert_eq!(summary, Summary { text: "Mug, Saucer".to_owned(), piece_count: 3 });
    }
}

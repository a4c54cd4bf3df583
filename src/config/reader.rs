//! Reads single settings, and collects their errors and the summary.

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use super::secrets::SecretFile;

pub(super) struct Reader<'a> {
    pub get: &'a dyn Fn(&str) -> Option<String>,
    pub secret_file: SecretFile,
    pub errors: Vec<String>,
    /// Name and value of each setting that was read, without secrets.
    pub summary: Vec<(&'static str, String)>,
}

impl Reader<'_> {
    pub fn wrong(&mut self, name: &str, value: &str, takes: &str) {
        let shown: String = value.chars().take(80).flat_map(char::escape_debug).collect();
        self.errors.push(format!("{name} holds \"{shown}\"; it takes {takes}"));
    }

    pub fn wrong_secret(&mut self, name: &str, problem: &str) {
        self.errors.push(format!("{name} {problem}; make one with: order-portal secret"));
    }

    /// One of several words.
    pub fn one_of<T: Copy + PartialEq>(&mut self, name: &'static str, words: &[(&str, T)], default: T) -> T {
        let mut chosen = default;
        if let Some(value) = (self.get)(name) {
            match words.iter().find(|(word, _)| *word == value.trim()) {
                Some((_, meaning)) => chosen = *meaning,
                None => {
                    let takes: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                    self.wrong(name, &value, &takes.join(" or "));
                }
            }
        }
        let word = words.iter().find(|(_, meaning)| *meaning == chosen).map(|(word, _)| *word);
        self.show(name, word);
        chosen
    }

    /// A whole number within a range.
    pub fn number(&mut self, name: &'static str, default: i64, range: RangeInclusive<i64>) -> i64 {
        let mut number = default;
        if let Some(value) = (self.get)(name) {
            match value.trim().parse().ok().filter(|number| range.contains(number)) {
                Some(parsed) => number = parsed,
                None => self.wrong(name, &value, &format!("a whole number from {} to {}", range.start(), range.end())),
            }
        }
        self.show(name, Some(number));
        number
    }

    /// An address with a port.
    pub fn address(&mut self, name: &'static str) -> Option<SocketAddr> {
        let takes = "an address with a port, like 127.0.0.1:8080 or [::1]:8080";
        self.parsed(name, takes, |value| value.parse().ok())
    }

    /// A value in a syntax of its own. `takes` describes it for the error.
    pub fn parsed<T: Display>(
        &mut self,
        name: &'static str,
        takes: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let value = (self.get)(name);
        let parsed = value.as_deref().and_then(|value| parse(value.trim()));
        if let (Some(value), None) = (&value, &parsed) {
            self.wrong(name, value, takes);
        }
        self.show(name, parsed.as_ref());
        parsed
    }

    /// The same with a default.
    pub fn parsed_or<T: Display>(
        &mut self,
        name: &'static str,
        takes: &str,
        parse: impl Fn(&str) -> Option<T>,
        default: T,
    ) -> T {
        if (self.get)(name).is_some() {
            return self.parsed(name, takes, parse).unwrap_or(default);
        }
        self.show(name, Some(&default));
        default
    }

    /// Adds a setting to the summary.
    pub fn show(&mut self, name: &'static str, value: Option<impl Display>) {
        self.summary.push((name, value.map_or_else(|| "not set".to_owned(), |value| value.to_string())));
    }
}

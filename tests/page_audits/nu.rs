//! The Nu HTML checker, which validates HTML and CSS.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{documents, tools};

/// What the checker of CSS does not know (all of them standard).
const UNKNOWN_CSS: [&str; 2] = ["Property “container-type” doesn't exist.", "Property “vector-effect” doesn't exist."];

/// A warning about the upper bound of a date field, without which years of six digits can be typed.
const UPPER_BOUND: &str = "Potentially bad value “9999-12-31” for attribute “max”";

/// What mail programs need and the checker rejects in a mail: Outlook for Windows ignores the styles that replace these attributes.
const MAIL_ONLY: [&str; 3] =
    ["is obsolete", "Property “mso-padding-alt” doesn't exist", "Property “supported-color-schemes” doesn't exist"];

/// The messages about the files, warnings included.
fn check(options: &[&str], files: &[PathBuf]) -> Vec<String> {
    let mut java = Command::new("java");
    java.arg("-jar").arg(tools().join("node_modules/vnu-jar/build/dist/vnu.jar"));
    let output = java.args(["--format", "gnu", "--stdout"]).args(options).args(files).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Writes the document; returns its file.
fn save(directory: &Path, name: &str, text: &str) -> PathBuf {
    let file = directory.join(name);
    std::fs::write(&file, text).unwrap();
    file
}

#[tokio::test]
#[ignore = "needs Java and the Nu HTML checker; tests/run includes it"]
async fn every_page_is_valid_html() {
    let documents = documents().await;
    let directory = tempfile::tempdir().unwrap();
    let files = documents.iter().enumerate();
    let files = files.map(|(index, document)| save(directory.path(), &format!("{index}.html"), &document.html));
    let mut failures = Vec::new();
    for message in check(&[], &files.collect::<Vec<_>>()) {
        let (file, rest) = message.split_once(".html").unwrap();
        let index: usize = file.rsplit('/').next().unwrap().parse().unwrap();
        let document = &documents[index];
        let is_known = message.contains(UPPER_BOUND)
            || (!document.is_page() && MAIL_ONLY.iter().any(|known| message.contains(known)));
        if !is_known {
            failures.push(format!("{}{rest}", document.state));
        }
    }
    assert!(failures.is_empty(), "{} messages:\n{}", failures.len(), failures.join("\n"));
}

/// The stylesheet without the rules that the checker does not know, and with containers as media: otherwise it skips what they contain.
fn checkable(css: &str) -> String {
    let is_known =
        |line: &&str| !["@view-transition", "::view-transition"].iter().any(|rule| line.trim_start().starts_with(rule));
    css.lines().filter(is_known).collect::<Vec<_>>().join("\n").replace("@container (", "@media (")
}

fn css_messages(css: &str) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let mut messages = check(&["--css"], &[save(directory.path(), "site.css", css)]);
    messages.retain(|message| !UNKNOWN_CSS.iter().any(|unknown| message.contains(unknown)));
    messages
}

#[test]
#[ignore = "needs Java and the Nu HTML checker; tests/run includes it"]
fn stylesheet_is_valid_css() {
    let css = checkable(include_str!("../../static/site.css"));
    assert_eq!(css_messages(&css), Vec::<String>::new());
}

#[test]
#[ignore = "needs Java and the Nu HTML checker; tests/run includes it"]
fn checker_reports_invalid_html_and_css() {
    let directory = tempfile::tempdir().unwrap();
    let html = "<!doctype html>\n<html lang=\"en\"><title>x</title><table role=\"table\"><tr><td>x</table>";
    let messages = check(&[], &[save(directory.path(), "x.html", html)]);
    assert!(messages.iter().any(|message| message.contains("role")), "{messages:?}");
    let css = checkable("@container (width < 9rem) {\na { colour: red; }\n}");
    assert_eq!(css_messages(&css).len(), 1, "{:?}", css_messages(&css));
}

//! Every page in each of its states: well-formed HTML with title, heading, labels, valid links, and input shown as text.

mod account;
mod anonymous;
mod errors;
pub mod mail;
mod mfa;
mod orders;
mod passkeys;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::html::faults;
use crate::http::Response;
use crate::shop_identity;

/// The length of a long input.
const LONG: usize = 5_000;

/// Template, a text that only it contains, and the test that renders it.
const TEMPLATES: [(&str, &str, &str); 42] = [
    ("_brand.html", "<img class=\"logo\" src=\"", "logo"),
    ("_contact.html", "<a class=\"contact\" href=\"", "shop"),
    ("_verify_banner.html", "<button class=\"plain\" type=\"submit\">Send again</button>", "orders"),
    ("accounts/_activity.html", "<p class=\"where\"><time datetime=\"", "account"),
    ("accounts/activity.html", "Do you not recognize something?", "account"),
    ("accounts/confirmed.html", "You do not need to do anything else.", "anonymous"),
    ("accounts/link_expired.html", "Links in emails work once and for a limited time", "anonymous"),
    ("accounts/delete.html", "Delete my account", "account"),
    ("accounts/forgot.html", "Enter your email address, and we will send", "anonymous"),
    ("accounts/forgot_sent.html", "we sent an email with a link to it", "anonymous"),
    ("accounts/login.html", "id=\"remember-help\"", "anonymous"),
    ("accounts/not_me.html", "action=\"/not-me\"", "anonymous"),
    ("accounts/recovery_expired.html", "The link in a security email works once", "anonymous"),
    ("accounts/account.html", "<section id=\"time-zone\"", "account"),
    ("accounts/_order_mails.html", "Turn off order emails", "account"),
    ("accounts/reset.html", "action=\"/password/reset\"", "anonymous"),
    ("accounts/signup.html", "Use the address that you order with.", "anonymous"),
    ("accounts/time_zone.html", "Dates and times are shown in this time zone", "account"),
    ("accounts/verify.html", "action=\"/verify\"", "anonymous"),
    ("accounts/_reauthentication.html", "A code from your authenticator app, or a recovery code.", "mfa"),
    ("accounts/mfa/login_code.html", "The six digits from the app. Without your device", "mfa"),
    ("accounts/mfa/overview.html", "your password alone is not enough", "mfa"),
    ("accounts/mfa/recovery_codes.html", "Save your recovery codes", "mfa"),
    ("accounts/mfa/setup.html", "Scan the code with an authenticator app", "mfa"),
    ("accounts/_passkey_script.html", "defer fetchpriority=\"low\"", "passkeys"),
    ("accounts/passkeys.html", "A passkey logs you in with your fingerprint", "passkeys"),
    ("accounts/passkey.html", "You can no longer log in with a removed passkey.", "passkeys"),
    ("same_site_reload.html", "http-equiv=\"refresh\"", "errors"),
    ("error.html", "<p class=\"code\">Error ", "errors"),
    ("front.html", "<section class=\"front\">", "anonymous"),
    ("layout.html", "<a class=\"skip\" href=\"#main\">", "anonymous"),
    ("mail/inbox.html", "Only the development server has this page.", "mail"),
    ("mail/email.html", "<div class=\"email-text\">", "mail"),
    ("mail/message.html", "Or copy this address into the browser", "mail"),
    ("mail/message.txt", "\n--\n", "mail"),
    ("orders/_chart.html", "<figure class=\"chart\" data-chart>", "orders"),
    ("orders/_requests.html", "The shop accepted the cancellation", "orders"),
    ("orders/again.html", "Send request to the shop", "orders"),
    ("orders/cancel.html", "Request cancellation</button>", "orders"),
    ("orders/detail.html", "<h2 id=\"lines\">", "orders"),
    ("orders/list.html", "<h1 id=\"orders\">", "orders"),
    ("orders/list.html", "<h2>No orders yet</h2>", "orders"),
];

#[test]
fn template_table_has_every_template() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let mut files = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() { open.push(entry) } else { files.push(entry) }
        }
    }
    let name = |file: &Path| file.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
    let existing: BTreeSet<String> = files.iter().map(|file| name(file)).collect();
    assert_eq!(existing, TEMPLATES.iter().map(|(file, _, _)| (*file).to_owned()).collect());
    for (template, words, _) in TEMPLATES {
        let contains = |file: &&PathBuf| std::fs::read_to_string(file).unwrap().contains(words);
        let matching: Vec<String> = files.iter().filter(contains).map(|file| name(file)).collect();
        assert_eq!(matching, [template], "{words:?}");
    }
}

/// The pages that one test has checked.
pub struct Pages {
    test: &'static str,
    seen: BTreeSet<&'static str>,
    failures: Vec<String>,
    documents: Vec<Document>,
}

/// A page in one of its states.
pub struct Document {
    pub state: String,
    pub html: String,
}

impl Document {
    /// Whether it is a page of the site and not a mail.
    pub fn is_page(&self) -> bool {
        self.html.contains("<link rel=\"stylesheet\"")
    }
}

/// Every page in each of its states.
pub async fn documents() -> Vec<Document> {
    let pages = [
        account::account_pages().await,
        anonymous::anonymous_pages().await,
        anonymous::production_pages().await,
        errors::error_pages().await,
        mail::mail_pages().await,
        mfa::mfa_pages().await,
        orders::order_pages().await,
        orders::sample_pages().await,
        passkeys::passkey_pages().await,
        passkeys::offer_page().await,
        shop_identity::logo_pages().await,
    ];
    let unseen = TEMPLATES.iter().filter(|(_, words, _)| !pages.iter().any(|pages| pages.seen.contains(words)));
    assert_eq!(unseen.collect::<Vec<_>>(), Vec::<&(&str, &str, &str)>::new(), "never rendered");
    pages.into_iter().flat_map(|pages| pages.documents).collect()
}

impl Pages {
    pub fn new(test: &'static str) -> Self {
        Self { test, seen: BTreeSet::new(), failures: Vec::new(), documents: Vec::new() }
    }

    /// Checks a page, and that it contains the texts of its state.
    pub fn check(&mut self, state: &str, response: &Response, status: u16, expected: &[&str]) {
        let html = response.text();
        if response.status != status || response.header("content-type") != Some("text/html; charset=utf-8") {
            self.failures.push(format!("{state}: {} {:?}: {html}", response.status, response.header("content-type")));
            return;
        }
        self.check_html(state, &html, expected);
    }

    fn check_html(&mut self, state: &str, html: &str, expected: &[&str]) {
        let missing = expected.iter().filter(|words| !html.contains(**words));
        self.failures.extend(missing.map(|words| format!("{state}: {words:?} is not on the page: {html}")));
        self.failures.extend(faults(html).into_iter().map(|fault| format!("{state}: {fault}")));
        self.record(html);
        let state = format!("{}: {state}", self.test);
        self.documents.push(Document { state, html: html.to_owned() });
    }

    fn record(&mut self, text: &str) {
        self.seen.extend(TEMPLATES.iter().map(|(_, words, _)| *words).filter(|words| text.contains(words)));
    }

    pub fn finish(self) {
        assert!(self.failures.is_empty(), "{} failures:\n{}", self.failures.len(), self.failures.join("\n"));
        let of_test = TEMPLATES.iter().filter(|(_, _, test)| *test == self.test);
        let unseen: Vec<_> = of_test.filter(|(_, words, _)| !self.seen.contains(words)).collect();
        assert!(unseen.is_empty(), "never rendered: {unseen:?}");
    }
}

/// The text as escaped by the templates.
pub fn escaped(text: &str) -> String {
    let characters = text.chars().map(|character| match character {
        '<' | '>' | '&' | '"' | '\'' => format!("&#{};", u32::from(character)),
        other => other.to_string(),
    });
    characters.collect()
}

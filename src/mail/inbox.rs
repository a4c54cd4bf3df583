//! `/dev/mail`: what was sent, for the developer to read and follow. Mounted in development alone.

use std::path::Path;

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpResponse, web};
use askama::Template;
use mail_parser::MessageParser;

use super::Transport;
use crate::web::{Error, Layout, page};

/// How many of the newest are listed.
const LISTED: usize = 50;

#[derive(Template)]
#[template(path = "mail/inbox.html")]
struct InboxPage {
    layout: Layout,
    /// Whether a mail server takes the letters, so that none is here.
    server: bool,
    letters: Vec<LetterLine>,
}

struct LetterLine {
    id: String,
    to: String,
    subject: String,
    sent_at: String,
}

#[derive(Template)]
#[template(path = "mail/letter.html")]
struct LetterPage {
    layout: Layout,
    line: LetterLine,
    lines: Vec<TextLine>,
}

/// A line of the text part: words, or an address to follow.
enum TextLine {
    Words(String),
    Link(String),
}

/// Routes.
pub fn configure_development(routes: &mut web::ServiceConfig) {
    routes
        .service(web::resource("/dev/mail").get(inbox))
        .service(web::resource("/dev/mail/{id}").get(letter))
        .service(web::resource("/dev/mail/{id}/html").get(html_part));
}

async fn inbox(layout: Layout, transport: web::Data<Transport>) -> Result<HttpResponse, Error> {
    let Some(folder) = transport.folder() else {
        return page(StatusCode::OK, &InboxPage { layout, server: true, letters: Vec::new() });
    };
    let mut ids = ids_in(folder);
    // Ids sort by time.
    ids.sort_unstable_by(|one, other| other.cmp(one));
    let letters = ids.iter().take(LISTED).filter_map(|id| read(folder, id)).map(|letter| letter.line).collect();
    page(StatusCode::OK, &InboxPage { layout, server: false, letters })
}

async fn letter(layout: Layout, transport: web::Data<Transport>, id: web::Path<String>) -> Result<HttpResponse, Error> {
    let letter = transport.folder().and_then(|folder| read(folder, &id)).ok_or(Error::NotFound)?;
    let of_line = |line: &str| match line.starts_with("http://") || line.starts_with("https://") {
        true => TextLine::Link(line.to_owned()),
        false => TextLine::Words(line.to_owned()),
    };
    page(StatusCode::OK, &LetterPage { layout, line: letter.line, lines: letter.text.lines().map(of_line).collect() })
}

/// The HTML part as a mail program shows it: its own inline styles, no scripts, no frame.
async fn html_part(transport: web::Data<Transport>, id: web::Path<String>) -> Result<HttpResponse, Error> {
    let letter = transport.folder().and_then(|folder| read(folder, &id)).ok_or(Error::NotFound)?;
    Ok(HttpResponse::Ok()
        .insert_header(header::ContentType::html())
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; object-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox allow-top-navigation-by-user-activation",
        ))
        .body(letter.html))
}

struct Letter {
    line: LetterLine,
    text: String,
    html: String,
}

fn ids_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| name.strip_suffix(".eml").map(str::to_owned)).collect()
}

fn read(folder: &Path, id: &str) -> Option<Letter> {
    let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let bytes = is_id.then(|| std::fs::read(folder.join(format!("{id}.eml"))).ok())??;
    let mail = MessageParser::default().parse(&bytes)?;
    let to = mail.to().and_then(|to| to.first()).and_then(|to| to.address()).unwrap_or_default();
    Some(Letter {
        line: LetterLine {
            id: id.to_owned(),
            to: to.to_owned(),
            subject: mail.subject().unwrap_or_default().to_owned(),
            sent_at: mail.date().map(mail_parser::DateTime::to_rfc3339).unwrap_or_default(),
        },
        text: mail.body_text(0).unwrap_or_default().into_owned(),
        html: mail.body_html(0).unwrap_or_default().into_owned(),
    })
}

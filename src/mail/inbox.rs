//! `/dev/mail`: sent mail, with links to follow. Mounted in development only.

use std::path::Path;

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpResponse, web};
use askama::Template;
use mail_parser::MessageParser;

use super::Transport;
use crate::web::{Error, Layout, page};

const MAX_LISTED: usize = 50;

#[derive(Template)]
#[template(path = "mail/inbox.html")]
struct InboxPage {
    layout: Layout,
    /// Whether mail goes to an SMTP server, so that there are no files.
    is_smtp: bool,
    emails: Vec<EmailSummary>,
}

struct EmailSummary {
    id: String,
    to: String,
    subject: String,
    sent_at: String,
}

#[derive(Template)]
#[template(path = "mail/email.html")]
struct EmailPage {
    layout: Layout,
    summary: EmailSummary,
    lines: Vec<TextLine>,
}

/// A line of the text part.
enum TextLine {
    Text(String),
    Link(String),
}

pub fn configure_development(routes: &mut web::ServiceConfig) {
    routes
        .service(web::resource("/dev/mail").get(inbox))
        .service(web::resource("/dev/mail/{id}").get(email))
        .service(web::resource("/dev/mail/{id}/html").get(html_part));
}

async fn inbox(layout: Layout, transport: web::Data<Transport>) -> Result<HttpResponse, Error> {
    let Some(directory) = transport.directory() else {
        return page(StatusCode::OK, &InboxPage { layout, is_smtp: true, emails: Vec::new() });
    };
    let mut ids = ids_in(directory);
    // Ids sort by time.
    ids.sort_unstable_by(|one, other| other.cmp(one));
    let emails = ids.iter().take(MAX_LISTED).filter_map(|id| read(directory, id)).map(|email| email.summary).collect();
    page(StatusCode::OK, &InboxPage { layout, is_smtp: false, emails })
}

async fn email(layout: Layout, transport: web::Data<Transport>, id: web::Path<String>) -> Result<HttpResponse, Error> {
    let email = transport.directory().and_then(|directory| read(directory, &id)).ok_or(Error::NotFound)?;
    let text_line = |line: &str| match line.starts_with("http://") || line.starts_with("https://") {
        true => TextLine::Link(line.to_owned()),
        false => TextLine::Text(line.to_owned()),
    };
    page(
        StatusCode::OK,
        &EmailPage { layout, summary: email.summary, lines: email.text.lines().map(text_line).collect() },
    )
}

/// The HTML part as a mail program shows it: with its inline styles, without scripts.
async fn html_part(transport: web::Data<Transport>, id: web::Path<String>) -> Result<HttpResponse, Error> {
    let email = transport.directory().and_then(|directory| read(directory, &id)).ok_or(Error::NotFound)?;
    Ok(HttpResponse::Ok()
        .insert_header(header::ContentType::html())
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; object-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox allow-top-navigation-by-user-activation",
        ))
        .body(email.html))
}

struct SentEmail {
    summary: EmailSummary,
    text: String,
    html: String,
}

fn ids_in(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| name.strip_suffix(".eml").map(str::to_owned)).collect()
}

fn read(directory: &Path, id: &str) -> Option<SentEmail> {
    let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let bytes = is_id.then(|| std::fs::read(directory.join(format!("{id}.eml"))).ok())??;
    let mail = MessageParser::default().parse(&bytes)?;
    let to = mail.to().and_then(|to| to.first()).and_then(|to| to.address()).unwrap_or_default();
    Some(SentEmail {
        summary: EmailSummary {
            id: id.to_owned(),
            to: to.to_owned(),
            subject: mail.subject().unwrap_or_default().to_owned(),
            sent_at: mail.date().map(mail_parser::DateTime::to_rfc3339).unwrap_or_default(),
        },
        text: mail.body_text(0).unwrap_or_default().into_owned(),
        html: mail.body_html(0).unwrap_or_default().into_owned(),
    })
}

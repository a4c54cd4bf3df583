//! Serves rendered pages to a browser, so that it loads states that a visitor seldom reaches.

use std::path::Path;

use actix_files::Files;
use actix_web::{App, HttpServer};
use tempfile::TempDir;

use crate::pages::Document;

/// A server of saved pages and of the stylesheet, script and icons that they name.
pub struct SavedPages {
    pub origin: String,
    _directory: TempDir,
}

impl SavedPages {
    pub fn serve(documents: &[Document]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (index, document) in documents.iter().enumerate() {
            // The reload page would leave itself.
            let html = document.html.replace("http-equiv=\"refresh\"", "http-equiv=\"disabled\"");
            let html = html.replace("/static/shop-logo.png", "/static/favicon.ico");
            std::fs::write(directory.path().join(format!("{index}.html")), html).unwrap();
        }
        let pages = directory.path().to_owned();
        let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("static");
        let app = move || {
            App::new().service(Files::new("/static", &assets)).service(Files::new("/", &pages).prefer_utf8(true))
        };
        let server = HttpServer::new(app).workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
        let origin = format!("http://{}", server.addrs()[0]);
        tokio::spawn(server.run());
        Self { origin, _directory: directory }
    }
}

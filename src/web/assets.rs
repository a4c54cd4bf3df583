//! Static files: read once at the start for their hashes, then served by actix-files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::{self, Bytes};
use sha2::{Digest, Sha256};

use super::Site;
use crate::hex;

/// Files without which no page looks right.
const REQUIRED: [&str; 4] = ["site.css", "site.js", "icon.svg", FAVICON];
const FAVICON: &str = "favicon.ico";

/// The folder of static files and the hash of each file's content.
#[derive(Clone, Debug)]
pub struct Assets {
    folder: PathBuf,
    hashes: HashMap<String, String>,
    favicon: Bytes,
}

impl Assets {
    /// Reads the folder; files in folders of it are served, too, but without a hash.
    ///
    /// # Errors
    /// One line that says what is missing and what to do.
    pub fn load(folder: &Path) -> Result<Self, String> {
        let shown = folder.display();
        let mend = "start the program where the folder stands, or set STATIC_DIR";
        let entries = std::fs::read_dir(folder)
            .map_err(|error| format!("cannot read the static files in {shown}: {error}; {mend}"))?;
        let (mut hashes, mut favicon) = (HashMap::new(), Bytes::new());
        for entry in entries.flatten().filter(|entry| entry.path().is_file()) {
            let name = entry.file_name().to_string_lossy().into_owned();
            let content = std::fs::read(entry.path())
                .map_err(|error| format!("cannot read {shown}/{name}: {error}; mend its permissions"))?;
            hashes.insert(name.clone(), hash(&content));
            if name == FAVICON {
                favicon = content.into();
            }
        }
        match REQUIRED.iter().find(|name| !hashes.contains_key(**name)) {
            Some(name) => Err(format!("{shown} has no {name}; {mend}")),
            None => Ok(Self { folder: folder.to_owned(), hashes, favicon }),
        }
    }

    /// The folder, for actix-files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The icon in the format that browsers take at `/favicon.ico`.
    pub fn favicon(&self) -> Bytes {
        self.favicon.clone()
    }

    /// Where browsers find a file: its content's hash is in the address, so it may be kept for a year.
    pub fn address(&self, name: &str) -> String {
        match self.hashes.get(name) {
            Some(hash) => format!("/static/{name}?v={hash}"),
            None => format!("/static/{name}"),
        }
    }

    fn is_current(&self, path: &str, query: &str) -> bool {
        let hash = path.strip_prefix("/static/").and_then(|name| self.hashes.get(name));
        hash.is_some_and(|hash| query.strip_prefix("v=") == Some(hash))
    }
}

fn hash(content: &[u8]) -> String {
    hex::encode(&Sha256::digest(content)[..8])
}

/// Middleware around actix-files: a year for an address with the right hash, asking again for any other.
///
/// # Errors
/// Those of what it wraps.
pub async fn cache(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let site = request.app_data::<web::Data<Site>>();
    let is_current = site.is_some_and(|site| site.assets.is_current(request.path(), request.query_string()));
    let mut response = next.call(request).await?;
    let keep = if is_current { "public, max-age=31536000, immutable" } else { "no-cache" };
    if response.status().is_success() || response.status().is_redirection() {
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    }
    Ok(response)
}

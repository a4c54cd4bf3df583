//! Static files, read, hashed and compressed once, at the start: those of a directory, or those that are compiled into the program.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use actix_web::http::header::EntityTag;
use actix_web::web::Bytes;
use sha2::{Digest, Sha256};

use super::accent;
use super::compression::{Coding, Effort};
use crate::config::Shop;
use crate::hex;

/// The files of `static/`, for a program that runs without the directory.
static COMPILED: [(&str, &[u8]); 6] = [
    (FAVICON, include_bytes!("../../static/favicon.ico")),
    ("icon.svg", include_bytes!("../../static/icon.svg")),
    ("passkeys.js", include_bytes!("../../static/passkeys.js")),
    ("robots.txt", include_bytes!("../../static/robots.txt")),
    ("site.css", include_bytes!("../../static/site.css")),
    ("site.js", include_bytes!("../../static/site.js")),
];
/// Files that the pages need.
const REQUIRED: [&str; 5] = ["site.css", "site.js", "passkeys.js", "icon.svg", FAVICON];
const FAVICON: &str = "favicon.ico";
/// The colour in `icon.svg` that an accent of the shop replaces.
const ICON_COLOR: &str = "#0b6650";
/// Larger files are served from disk.
const MAX_BYTES_IN_MEMORY: u64 = 256 * 1024;

/// The static files, by their path in the directory, with the shop's logo and colour.
#[derive(Clone, Debug)]
pub struct Assets {
    folder: Option<PathBuf>,
    files: HashMap<String, Asset>,
    logo_url: Option<String>,
    theme_color_dark: String,
}

impl Assets {
    /// Reads the directory and its subdirectories, or the compiled files without one, and adds the shop's logo and colour.
    ///
    /// # Errors
    /// One line with the missing file and the fix.
    pub fn load(folder: Option<&Path>, shop: &Shop) -> Result<Self, String> {
        let files = folder.map_or_else(|| Ok(compiled_files()), read_files)?;
        let theme_color_dark = accent::theme_color_dark(shop.accent.as_ref());
        let mut assets = Self { folder: folder.map(Path::to_owned), files, logo_url: None, theme_color_dark };
        assets.add_identity(shop);
        Ok(assets)
    }

    fn add_identity(&mut self, shop: &Shop) {
        if let Some(accent) = &shop.accent {
            self.change("site.css", |css| css + &accent::stylesheet(accent));
            self.change("icon.svg", |icon| icon.replace(ICON_COLOR, &accent::hex(accent)));
        }
        if let Some(logo) = &shop.logo {
            let asset = Asset::new(logo.file_name(), logo.content.clone().into());
            self.logo_url = Some(asset.url.clone());
            self.files.insert(logo.file_name().to_owned(), asset);
        }
    }

    fn change(&mut self, name: &str, edit: impl Fn(String) -> String) {
        if let Some(asset) = self.files.get_mut(name)
            && let Ok(text) = String::from_utf8(asset.plain.to_vec())
        {
            *asset = Asset::new(name, edit(text).into());
        }
    }

    /// The directory, for actix-files. `None` if the compiled files are served.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The icon for `/favicon.ico`.
    pub fn favicon(&self) -> Bytes {
        self.files.get(FAVICON).map(|icon| icon.plain.clone()).unwrap_or_default()
    }

    /// The URL of a file, with its content hash, so that browsers can cache it for a year.
    pub fn url(&self, name: &str) -> String {
        match self.files.get(name) {
            Some(asset) => asset.url.clone(),
            None => format!("/static/{name}"),
        }
    }

    /// The URL of the shop's logo.
    pub fn logo_url(&self) -> Option<String> {
        self.logo_url.clone()
    }

    /// The colour of the browser's bars in the dark scheme.
    pub fn theme_color_dark(&self) -> String {
        self.theme_color_dark.clone()
    }

    /// The file for the path of a request.
    pub(super) fn find(&self, path: &str) -> Option<&Asset> {
        self.files.get(path.strip_prefix("/static/")?)
    }
}

fn compiled_files() -> HashMap<String, Asset> {
    let asset =
        |(name, content): &(&str, &'static [u8])| ((*name).to_owned(), Asset::new(name, Bytes::from_static(content)));
    COMPILED.iter().map(asset).collect()
}

fn read_files(folder: &Path) -> Result<HashMap<String, Asset>, String> {
    let shown = folder.display();
    let fix = "set STATIC_DIR to the directory of the static files, or leave it out to serve those of the program";
    let cannot_read = |error| format!("cannot read the static files in {shown}: {error}; {fix}");
    let mut files = HashMap::new();
    for name in list_files(folder, "").map_err(cannot_read)? {
        let asset = Asset::load(folder, &name)
            .map_err(|error| format!("cannot read {shown}/{name}: {error}; change its permissions"))?;
        files.extend(asset.map(|asset| (name, asset)));
    }
    match REQUIRED.iter().find(|name| !files.contains_key(**name)) {
        Some(name) => Err(format!("{shown} has no {name}; {fix}")),
        None => Ok(files),
    }
}

/// The paths of all files below `folder`, relative to it. Hidden files are not served.
fn list_files(folder: &Path, prefix: &str) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        if entry.file_type()?.is_dir() {
            names.extend(list_files(&entry.path(), &format!("{prefix}{name}/"))?);
        } else if entry.path().is_file() {
            names.push(format!("{prefix}{name}"));
        }
    }
    Ok(names)
}

/// A file in memory. Each representation has its own strong `ETag`.
#[derive(Clone, Debug)]
pub(super) struct Asset {
    /// With the content hash, so that browsers can cache it for a year.
    url: String,
    pub content_type: String,
    hash: String,
    plain: Bytes,
    brotli: Option<Bytes>,
    gzip: Option<Bytes>,
    /// `None` when the content is not that of a file in the directory.
    file: Option<(PathBuf, SystemTime)>,
}

impl Asset {
    /// Reads the file `name` in `folder`; `None` if it is too large for memory.
    fn load(folder: &Path, name: &str) -> std::io::Result<Option<Self>> {
        let file = folder.join(name);
        let metadata = std::fs::metadata(&file)?;
        if metadata.len() > MAX_BYTES_IN_MEMORY {
            return Ok(None);
        }
        let mut asset = Self::new(name, Bytes::from(std::fs::read(&file)?));
        asset.file = metadata.modified().ok().map(|modified| (file, modified));
        Ok(Some(asset))
    }

    fn new(name: &str, plain: Bytes) -> Self {
        let hash = hex::encode(&Sha256::digest(&plain)[..8]);
        Self {
            url: format!("/static/{name}?v={hash}"),
            content_type: content_type(name),
            hash,
            brotli: Coding::Brotli.compress(&plain, Effort::File),
            gzip: Coding::Gzip.compress(&plain, Effort::File),
            plain,
            file: None,
        }
    }

    /// The representation in that coding, or the plain one if it has none.
    pub fn representation(&self, coding: Option<Coding>) -> Representation {
        let compressed = coding.and_then(|coding| {
            let content = match coding {
                Coding::Brotli => self.brotli.clone(),
                Coding::Gzip => self.gzip.clone(),
            };
            Some(Representation { content: content?, tag: self.tag(Some(coding)), coding: Some(coding) })
        });
        compressed.unwrap_or_else(|| Representation { content: self.plain.clone(), tag: self.tag(None), coding: None })
    }

    fn tag(&self, coding: Option<Coding>) -> EntityTag {
        let hash = &self.hash;
        EntityTag::new_strong(match coding {
            None => hash.clone(),
            Some(Coding::Brotli) => format!("{hash}-br"),
            Some(Coding::Gzip) => format!("{hash}-gz"),
        })
    }

    /// Whether the query of a request has the current content hash.
    pub fn is_current(&self, query: &str) -> bool {
        query.strip_prefix("v=") == Some(self.hash.as_str())
    }

    /// Whether this is the content of a file on disk, which is unchanged.
    pub fn is_on_disk(&self) -> bool {
        self.file.as_ref().is_some_and(|(file, modified)| {
            std::fs::metadata(file)
                .is_ok_and(|now| now.len() == self.plain.len() as u64 && now.modified().ok() == Some(*modified))
        })
    }
}

pub(super) struct Representation {
    pub content: Bytes,
    pub tag: EntityTag,
    pub coding: Option<Coding>,
}

fn content_type(name: &str) -> String {
    let extension = Path::new(name).extension().unwrap_or_default().to_string_lossy();
    let kind = actix_files::file_extension_to_mime(&extension);
    if kind.type_() == "text" || kind.subtype() == "javascript" {
        format!("{kind}; charset=utf-8")
    } else {
        kind.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_static_files_are_compiled_in() {
        let mut on_disk = list_files(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/static")), "").unwrap();
        on_disk.sort();
        assert_eq!(on_disk, COMPILED.map(|(name, _)| name));
    }
}

//! Static files, read, hashed and compressed once, at the start.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use actix_web::http::header::EntityTag;
use actix_web::web::Bytes;
use sha2::{Digest, Sha256};

use super::compression::{Coding, Effort};
use crate::hex;

/// Files without which no page looks right.
const REQUIRED: [&str; 4] = ["site.css", "site.js", "icon.svg", FAVICON];
const FAVICON: &str = "favicon.ico";
/// Larger files stay on the disk.
const LARGEST_IN_MEMORY: u64 = 256 * 1024;

/// The folder of static files, and each file in it by its path there.
#[derive(Clone, Debug)]
pub struct Assets {
    folder: PathBuf,
    files: HashMap<String, Asset>,
}

impl Assets {
    /// Reads the folder, and those in it.
    ///
    /// # Errors
    /// One line that says what is missing and what to do.
    pub fn load(folder: &Path) -> Result<Self, String> {
        let shown = folder.display();
        let fix = "start the program where the folder stands, or set STATIC_DIR";
        let cannot_read = |error| format!("cannot read the static files in {shown}: {error}; {fix}");
        let mut files = HashMap::new();
        for name in names_below(folder, "").map_err(cannot_read)? {
            let asset = Asset::load(folder, &name)
                .map_err(|error| format!("cannot read {shown}/{name}: {error}; change its permissions"))?;
            files.extend(asset.map(|asset| (name, asset)));
        }
        match REQUIRED.iter().find(|name| !files.contains_key(**name)) {
            Some(name) => Err(format!("{shown} has no {name}; {fix}")),
            None => Ok(Self { folder: folder.to_owned(), files }),
        }
    }

    /// The folder, for actix-files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The icon in the format that browsers take at `/favicon.ico`.
    pub fn favicon(&self) -> Bytes {
        self.files.get(FAVICON).map(|icon| icon.plain.clone()).unwrap_or_default()
    }

    /// Where browsers find a file: its content's hash is in the address, so it may be kept for a year.
    pub fn address(&self, name: &str) -> String {
        match self.files.get(name) {
            Some(asset) => format!("/static/{name}?v={}", asset.hash),
            None => format!("/static/{name}"),
        }
    }

    /// The file at the path of a request.
    pub(super) fn at(&self, path: &str) -> Option<&Asset> {
        self.files.get(path.strip_prefix("/static/")?)
    }
}

/// The paths of all files below `folder`, relative to it. Hidden ones are served to nobody.
fn names_below(folder: &Path, prefix: &str) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        if entry.file_type()?.is_dir() {
            names.extend(names_below(&entry.path(), &format!("{prefix}{name}/"))?);
        } else if entry.path().is_file() {
            names.push(format!("{prefix}{name}"));
        }
    }
    Ok(names)
}

/// One file in memory. Each of its representations has a strong `ETag` of its own.
#[derive(Clone, Debug)]
pub(super) struct Asset {
    pub content_type: String,
    hash: String,
    plain: Bytes,
    brotli: Option<Bytes>,
    gzip: Option<Bytes>,
    file: PathBuf,
    modified: Option<SystemTime>,
}

impl Asset {
    /// Reads the file `name` in `folder`; `None` when it is too large for memory.
    fn load(folder: &Path, name: &str) -> std::io::Result<Option<Self>> {
        let file = folder.join(name);
        let metadata = std::fs::metadata(&file)?;
        if metadata.len() > LARGEST_IN_MEMORY {
            return Ok(None);
        }
        let plain = Bytes::from(std::fs::read(&file)?);
        Ok(Some(Self {
            content_type: content_type(name),
            hash: hex::encode(&Sha256::digest(&plain)[..8]),
            brotli: Coding::Brotli.compress(&plain, Effort::File),
            gzip: Coding::Gzip.compress(&plain, Effort::File),
            plain,
            file,
            modified: metadata.modified().ok(),
        }))
    }

    /// The content in that coding, if there is one that is smaller, with its tag.
    pub fn representation(&self, coding: Option<Coding>) -> Representation {
        let packed = coding.and_then(|coding| {
            let content = match coding {
                Coding::Brotli => self.brotli.clone(),
                Coding::Gzip => self.gzip.clone(),
            };
            Some(Representation { content: content?, tag: self.tag(Some(coding)), coding: Some(coding) })
        });
        packed.unwrap_or_else(|| Representation { content: self.plain.clone(), tag: self.tag(None), coding: None })
    }

    fn tag(&self, coding: Option<Coding>) -> EntityTag {
        let hash = &self.hash;
        EntityTag::new_strong(match coding {
            None => hash.clone(),
            Some(Coding::Brotli) => format!("{hash}-br"),
            Some(Coding::Gzip) => format!("{hash}-gz"),
        })
    }

    /// Whether the query of a request names this content.
    pub fn is_current(&self, query: &str) -> bool {
        query.strip_prefix("v=") == Some(self.hash.as_str())
    }

    /// Whether the file on the disk still is what was read.
    pub fn is_on_disk(&self) -> bool {
        std::fs::metadata(&self.file)
            .is_ok_and(|now| now.len() == self.plain.len() as u64 && now.modified().ok() == self.modified)
    }
}

/// What is sent of a file.
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

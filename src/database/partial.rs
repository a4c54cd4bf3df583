//! A file that appears under its name only when it is complete: until then it is written beside it, as `.NAME.partial-…`. Who is
//! killed meanwhile leaves that one behind, and the next attempt for the same name removes it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// The file while it is written; removed when it is dropped.
pub(super) struct PartialFile {
    partial: NamedTempFile,
    target: PathBuf,
}

impl PartialFile {
    /// An empty one, which its owner alone can read.
    pub fn create(target: &Path) -> Result<Self> {
        let directory = directory_of(target);
        let prefix = prefix(target)?;
        remove_abandoned(directory, &prefix)?;
        loop {
            let partial = tempfile::Builder::new().prefix(&prefix).tempfile_in(directory)?;
            // Whoever removes what is abandoned may have seen it before it was locked.
            partial.as_file().lock()?;
            if partial.path().exists() {
                return Ok(Self { partial, target: target.to_owned() });
            }
        }
    }

    pub fn path(&self) -> &Path {
        self.partial.path()
    }

    pub fn file(&mut self) -> &mut File {
        self.partial.as_file_mut()
    }

    /// Gives the file its name. One that exists is not replaced.
    pub fn persist_new(self) -> Result<()> {
        self.partial.as_file().sync_all()?;
        self.partial.persist_noclobber(&self.target)?;
        sync_directory(directory_of(&self.target))
    }

    /// Gives the file its name, in place of one that exists: at any moment the name leads to the one or the other.
    pub fn persist_over(self) -> Result<()> {
        self.partial.as_file().sync_all()?;
        self.partial.persist(&self.target)?;
        sync_directory(directory_of(&self.target))
    }
}

/// What a file's name is in, as a path that can be opened.
pub(super) fn directory_of(file: &Path) -> &Path {
    file.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes names that were added or removed outlive a power cut.
pub(super) fn sync_directory(directory: &Path) -> Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

fn prefix(target: &Path) -> Result<OsString> {
    let name = target.file_name().ok_or_else(|| Error::from(ErrorKind::InvalidFilename))?;
    let mut prefix = OsString::from(".");
    prefix.push(name);
    prefix.push(".partial-");
    Ok(prefix)
}

/// One that is being written is locked and stays.
fn remove_abandoned(directory: &Path, prefix: &OsString) -> Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let is_partial = entry.file_name().as_encoded_bytes().starts_with(prefix.as_encoded_bytes());
        if is_partial && File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
            std::fs::remove_file(entry.path()).ok();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
        entries.map(|name| name.into_string().unwrap()).collect()
    }

    #[test]
    fn existing_file_is_not_replaced_unless_asked() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("copy.db");
        PartialFile::create(&target).unwrap().persist_new().unwrap();
        let again = PartialFile::create(&target).unwrap().persist_new();
        assert_eq!(again.unwrap_err().kind(), ErrorKind::AlreadyExists);
        PartialFile::create(&target).unwrap().persist_over().unwrap();
        assert_eq!(names(directory.path()), ["copy.db"]);
    }

    #[test]
    fn abandoned_partial_file_is_removed_and_one_in_use_stays() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("copy.db");
        for name in [".copy.db.partial-dead", ".other.db.partial-dead"] {
            std::fs::write(directory.path().join(name), "half").unwrap();
        }
        let first = PartialFile::create(&target).unwrap();
        let second = PartialFile::create(&target).unwrap();
        assert!(first.path().exists() && second.path().exists());
        assert_eq!(names(directory.path()).len(), 3);
        assert!(!directory.path().join(".copy.db.partial-dead").exists());
    }
}

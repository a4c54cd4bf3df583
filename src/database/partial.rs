//! A file that gets its name only when it is complete. Until then it is `.NAME.partial-…` in the same directory. A killed process leaves
//! that file, and the next attempt for the same name removes it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// The file while it is written; removed on drop.
pub struct PartialFile {
    partial: NamedTempFile,
    target: PathBuf,
}

impl PartialFile {
    /// Creates an empty file with mode 0600.
    pub fn create(target: &Path) -> Result<Self> {
        let directory = directory_of(target);
        let prefix = prefix(target)?;
        remove_abandoned(directory, &prefix)?;
        loop {
            let partial = tempfile::Builder::new().prefix(&prefix).tempfile_in(directory)?;
            // Another process may have removed it as abandoned before it was locked.
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

    /// Renames the file. Fails if the target exists.
    pub fn persist_new(self) -> Result<()> {
        self.partial.as_file().sync_all()?;
        self.partial.persist_noclobber(&self.target)?;
        sync_directory(directory_of(&self.target))
    }

    /// Renames the file atomically over an existing target.
    pub fn persist_over(self) -> Result<()> {
        self.partial.as_file().sync_all()?;
        self.partial.persist(&self.target)?;
        sync_directory(directory_of(&self.target))
    }
}

/// The directory of a file, as a path that can be opened.
pub(super) fn directory_of(file: &Path) -> &Path {
    file.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes added and removed names survive a power failure.
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

/// A file that is being written is locked and stays.
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

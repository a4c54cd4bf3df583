//! The lock file of an SQLite database, `portal.db.lock`. Each process that has the database open holds a shared lock; `restore`, which
//! replaces the database, needs the exclusive one. The empty file stays; a lock ends with its process.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::OpenError;

/// The lock is released on drop.
#[derive(Debug)]
pub(super) struct DatabaseLock {
    _file: File,
}

impl DatabaseLock {
    /// For reading and writing the database. `None` if the lock file cannot be created: then the database cannot be written either, and
    /// opening it gives the better error.
    pub fn share(database: &Path) -> Result<Option<Self>, OpenError> {
        match Self::take(database, File::try_lock_shared, |file| OpenError::BeingRestored { file }) {
            Ok(lock) => Ok(Some(lock)),
            Err(OpenError::Lock { source, .. }) if is_not_writable(&source) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// For replacing the database.
    pub fn take_exclusive(database: &Path) -> Result<Self, OpenError> {
        Self::take(database, File::try_lock, |file| OpenError::InUse { file })
    }

    fn take(
        database: &Path,
        lock: impl Fn(&File) -> Result<(), TryLockError>,
        is_taken: impl Fn(PathBuf) -> OpenError,
    ) -> Result<Self, OpenError> {
        let name = lock_file(database);
        let failed = |source| OpenError::Lock { file: name.clone(), source };
        let file = open(&name).map_err(failed)?;
        match lock(&file) {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                Err(is_taken(std::path::absolute(database).unwrap_or_else(|_| database.to_owned())))
            }
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

fn is_not_writable(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::StorageFull)
}

fn lock_file(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

fn open(name: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_is_shared_by_users_and_exclusive_for_restore() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("portal.db");
        let first = DatabaseLock::share(&database).unwrap();
        let second = DatabaseLock::share(&database).unwrap();
        assert!(matches!(DatabaseLock::take_exclusive(&database), Err(OpenError::InUse { .. })));
        drop((first, second));
        let exclusive = DatabaseLock::take_exclusive(&database).unwrap();
        assert!(matches!(DatabaseLock::share(&database), Err(OpenError::BeingRestored { .. })));
        drop(exclusive);
        DatabaseLock::share(&database).unwrap();
    }
}

//! The backups in a directory. Their names alone say which files belong to the schedule: no other file is ever deleted.

use std::io::Result;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use time::PrimitiveDateTime;
use time::macros::format_description;

use crate::domain::UnixSeconds;

const PREFIX: &str = "order-portal-";
const SUFFIX: &str = ".db";

/// A complete backup.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct BackupFile {
    /// From its name.
    pub written_at: UnixSeconds,
    pub path: PathBuf,
}

/// The file of a backup at that time: `order-portal-20261125T151200Z.db`.
pub(super) fn path_at(directory: &Path, at: UnixSeconds) -> PathBuf {
    directory.join(format!("{PREFIX}{}{SUFFIX}", at.to_string().replace(['-', ':'], "")))
}

/// The backups in the directory, the oldest first.
pub(super) fn list(directory: &Path) -> Result<Vec<BackupFile>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if let Some(written_at) = entry.file_name().to_str().and_then(written_at)
            && entry.file_type()?.is_file()
        {
            files.push(BackupFile { written_at, path: entry.path() });
        }
    }
    files.sort();
    Ok(files)
}

fn written_at(name: &str) -> Option<UnixSeconds> {
    let stamp = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let at = PrimitiveDateTime::parse(stamp, format).ok()?;
    Some(UnixSeconds::new(at.assume_utc().unix_timestamp()))
}

/// Deletes the oldest backups until `keep` are left. The one just `written` stays, even if a wrong clock dated others in the future.
pub(super) fn prune(directory: &Path, keep: NonZeroUsize, written: &Path) -> Result<()> {
    let mut others = list(directory)?;
    others.retain(|file| file.path != written);
    let surplus = others.len().saturating_sub(keep.get() - 1);
    others[..surplus].iter().try_for_each(|file| std::fs::remove_file(&file.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prune_keeps_the_newest_backups_and_all_other_files() {
        let directory = tempfile::tempdir().unwrap();
        let at = |day: i64| UnixSeconds::new(1_790_000_000 + day * 86_400);
        for day in [3, 1, 2] {
            std::fs::write(path_at(directory.path(), at(day)), "").unwrap();
        }
        let others = [
            "order-portal-20200101T000000Z.db-wal",
            "order-portal-20200101T000000Z.db.old",
            "order-portal-20201301T000000Z.db",
            "order-portal-2020101T000000Z.db",
            "order-portal-before-upgrade.db",
            "my-order-portal-20200101T000000Z.db",
            "backup.prom",
        ];
        others.iter().for_each(|name| std::fs::write(directory.path().join(name), "").unwrap());
        std::fs::create_dir(directory.path().join("order-portal-20200101T000000Z.db")).unwrap();
        let prune =
            |keep, day| prune(directory.path(), NonZeroUsize::new(keep).unwrap(), &path_at(directory.path(), at(day)));
        prune(2, 3).unwrap();
        let left: Vec<_> = list(directory.path()).unwrap().into_iter().map(|file| file.written_at).collect();
        assert_eq!(left, [at(2), at(3)]);
        assert!(others.iter().all(|name| directory.path().join(name).exists()));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), others.len() + 3);
        prune(1, 2).unwrap();
        let left = list(directory.path()).unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].written_at, at(2), "the backup just written was deleted");
    }
}

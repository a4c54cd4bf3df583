//! Files and directories that only their owner can read: the database, backups, the development secret, mail in a directory.
//! They are created with their mode, so others can never open them.

use std::fs::File;
use std::path::Path;

/// Creates a directory and its missing parents with mode 0700. An existing one is not changed.
pub fn make_private_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Creates a new file with mode 0600.
///
/// # Errors
/// The I/O error, `AlreadyExists` included; an existing file is not changed.
pub fn make_private_file(file: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_files_and_directories_are_private_and_existing_ones_unchanged() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("data/mail");
        make_private_folder(&folder).unwrap();
        make_private_folder(&folder).unwrap();
        let file = folder.join("letter");
        make_private_file(&file).unwrap();
        std::fs::write(&file, "kept").unwrap();
        assert_eq!(make_private_file(&file).unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "kept");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&directory.path().join("data")), mode(&folder), mode(&file)), (0o700, 0o700, 0o600));
        }
    }
}

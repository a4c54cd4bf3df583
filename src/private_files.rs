//! Files and folders that their owner alone can read: the database, a backup, the development secret, mail in a folder.
//! They get their mode as they are made, so there is no moment in which others could open them.

use std::fs::File;
use std::path::Path;

/// Makes a folder, and what is missing above it, that its owner alone can enter; leaves one that exists as it is.
///
/// # Errors
/// What the system says.
pub fn make_private_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Makes a new file that its owner alone can read.
///
/// # Errors
/// What the system says; a file that exists is left as it is.
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
    fn what_is_made_is_its_owners_alone_and_what_exists_is_left() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("data/mail");
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
            assert_eq!((mode(&place.path().join("data")), mode(&folder), mode(&file)), (0o700, 0o700, 0o600));
        }
    }
}

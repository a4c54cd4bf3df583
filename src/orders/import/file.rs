//! The file of an import. It is read twice, and what is written must be what was validated.

use std::fs::File;
use std::io::{Error, Seek, SeekFrom};

use super::ImportSource;
use super::blocks::{Blocks, Hashes};
use super::error::ImportError;
use super::export::{Export, ImportedOrder};

/// A file that is read from its start as often as needed.
pub(super) struct ImportFile {
    pub(super) name: String,
    file: File,
    hashes: Hashes,
}

impl ImportFile {
    pub(super) fn open(source: &ImportSource) -> Result<Self, ImportError> {
        let (name, file) = match source {
            ImportSource::File(path) => (path.display().to_string(), File::open(path)),
            ImportSource::Stdin => ("standard input".to_owned(), spool_stdin()),
        };
        let hashes = Hashes::default();
        match file {
            Ok(file) => Ok(Self { name, file, hashes }),
            Err(source) => Err(ImportError::Unreadable { file: name, source }),
        }
    }

    pub(super) fn bytes(&self) -> Option<u64> {
        self.file.metadata().ok().map(|about| about.len())
    }

    /// Each order, with the bytes read so far; [`ImportError::Scattered`] where rows of one order stand apart.
    pub(super) fn orders(
        &self,
    ) -> Result<impl Iterator<Item = Result<(ImportedOrder, u64), ImportError>> + use<'_>, ImportError> {
        Ok(self.start()?.into_orders())
    }

    /// All orders of a file in which rows of one order stand apart.
    pub(super) fn gather(&self) -> Result<Vec<ImportedOrder>, ImportError> {
        self.start()?.gather()
    }

    fn start(&self) -> Result<Export<'_>, ImportError> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0)).map_err(|source| ImportError::Unreadable { file: self.name.clone(), source })?;
        Export::open(&self.name, Blocks::new(&self.file, &self.hashes))
    }
}

/// Standard input can be read once alone.
fn spool_stdin() -> Result<File, Error> {
    let mut spool = tempfile::tempfile()?;
    std::io::copy(&mut std::io::stdin().lock(), &mut spool)?;
    Ok(spool)
}

//! The file of an import. It is read twice, and the second pass fails if it changed since the first.

use std::fs::File;
use std::io::{Error, Seek, SeekFrom};

use super::ImportSource;
use super::blocks::{BlockHashes, BlockReader};
use super::error::ImportError;
use super::export::{ExportReader, ImportedOrder};

pub(super) struct ImportFile {
    pub(super) name: String,
    file: File,
    hashes: BlockHashes,
}

impl ImportFile {
    pub(super) fn open(source: &ImportSource) -> Result<Self, ImportError> {
        let (name, file) = match source {
            ImportSource::File(path) => (path.display().to_string(), File::open(path)),
            ImportSource::Stdin => ("standard input".to_owned(), spool_stdin()),
        };
        let hashes = BlockHashes::default();
        match file {
            Ok(file) => Ok(Self { name, file, hashes }),
            Err(source) => Err(ImportError::Unreadable { file: name, source }),
        }
    }

    pub(super) fn bytes(&self) -> Option<u64> {
        self.file.metadata().ok().map(|metadata| metadata.len())
    }

    /// The orders, each with the number of bytes read so far; [`ImportError::NonContiguousRows`] when the rows of an order are not
    /// contiguous.
    pub(super) fn orders(
        &self,
    ) -> Result<impl Iterator<Item = Result<(ImportedOrder, u64), ImportError>> + use<'_>, ImportError> {
        Ok(self.open_reader()?.into_orders())
    }

    /// The orders of a file with non-contiguous rows, read into memory.
    pub(super) fn read_all(&self) -> Result<Vec<ImportedOrder>, ImportError> {
        self.open_reader()?.read_all()
    }

    fn open_reader(&self) -> Result<ExportReader<'_>, ImportError> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0)).map_err(|source| ImportError::Unreadable { file: self.name.clone(), source })?;
        ExportReader::open(&self.name, BlockReader::new(&self.file, &self.hashes))
    }
}

/// Copies standard input, which can be read only once, to a temporary file.
fn spool_stdin() -> Result<File, Error> {
    let mut spool = tempfile::tempfile()?;
    std::io::copy(&mut std::io::stdin().lock(), &mut spool)?;
    Ok(spool)
}

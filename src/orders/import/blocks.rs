//! Reading a file twice and knowing that it is the same: the SHA-256 of each block is kept when it is first read, and a block that reads
//! differently later is an error before any of its rows is parsed.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Error, Read};

use sha2::{Digest, Sha256};

/// Bytes that have one hash; 32 bytes of memory for each of them.
const BLOCK: u64 = 1 << 20;

/// The hashes of a file's blocks, as they were first read.
#[derive(Default)]
pub(super) struct Hashes(RefCell<Vec<[u8; 32]>>);

/// Reads a file block by block and compares each with its hash. The empty block at the end has one too: a file that was cut off or
/// appended to differs there.
pub(super) struct Blocks<'a> {
    file: &'a File,
    hashes: &'a Hashes,
    block: Vec<u8>,
    taken: usize,
    index: usize,
}

impl<'a> Blocks<'a> {
    /// From where the file stands, which is its start.
    pub(super) fn new(file: &'a File, hashes: &'a Hashes) -> Self {
        Self { file, hashes, block: Vec::new(), taken: 0, index: 0 }
    }

    fn next_block(&mut self) -> Result<(), Error> {
        self.block.clear();
        self.taken = 0;
        self.file.take(BLOCK).read_to_end(&mut self.block)?;
        let hash: [u8; 32] = Sha256::digest(&self.block).into();
        let mut hashes = self.hashes.0.borrow_mut();
        match hashes.get(self.index) {
            None => hashes.push(hash),
            Some(known) if *known == hash => {}
            Some(_) => return Err(Error::other(FileChanged)),
        }
        if !self.block.is_empty() {
            self.index += 1;
        }
        Ok(())
    }
}

impl Read for Blocks<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        if self.taken == self.block.len() {
            self.next_block()?;
        }
        let mut rest = &self.block[self.taken..];
        let read = rest.read(buffer)?;
        self.taken += read;
        Ok(read)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the file was changed")]
struct FileChanged;

/// Whether reading failed because the file is not the one that was first read.
pub(super) fn is_change(error: &Error) -> bool {
    error.get_ref().and_then(|cause| cause.downcast_ref::<FileChanged>()).is_some()
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};

    use super::*;

    fn read(file: &File, hashes: &Hashes) -> Result<Vec<u8>, Error> {
        let mut start = file;
        start.seek(SeekFrom::Start(0))?;
        let mut content = Vec::new();
        Blocks::new(file, hashes).read_to_end(&mut content).map(|_| content)
    }

    #[test]
    fn file_changed_anywhere_is_noticed_by_the_second_pass() {
        let whole = usize::try_from(BLOCK).unwrap();
        for length in [0, 1, whole - 1, whole, whole + 1, 2 * whole] {
            let original = vec![b'a'; length];
            let mut appended = original.clone();
            appended.push(b'b');
            let mut versions = vec![appended];
            if length > 0 {
                let mut last = original.clone();
                last[length - 1] = b'c';
                versions.extend([original[..length - 1].to_vec(), Vec::new(), last]);
            }
            for version in versions {
                let mut file = tempfile::tempfile().unwrap();
                file.write_all(&original).unwrap();
                let hashes = Hashes::default();
                assert_eq!(read(&file, &hashes).unwrap(), original);
                assert_eq!(read(&file, &hashes).unwrap(), original, "the same file is refused");
                file.set_len(0).unwrap();
                file.seek(SeekFrom::Start(0)).unwrap();
                file.write_all(&version).unwrap();
                let error = read(&file, &hashes).expect_err("a changed file is read to its end");
                assert!(is_change(&error), "{error}");
            }
        }
    }
}

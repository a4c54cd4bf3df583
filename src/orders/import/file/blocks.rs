//! Reads a file several times and detects a change: the first pass stores the SHA-256 of each block, and a later pass fails on a block
//! with another hash, before it parses a row of it.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Error, Read};

use sha2::{Digest, Sha256};

/// Bytes of a block. Its hash takes 32 bytes of memory.
const BLOCK_SIZE: u64 = 1 << 20;

/// The hashes of the blocks of a file, from the first pass, and of all of them together.
#[derive(Default)]
pub(super) struct BlockHashes {
    blocks: RefCell<Vec<[u8; 32]>>,
    whole: RefCell<Sha256>,
}

impl BlockHashes {
    /// The SHA-256 of what was read so far, in hex.
    pub(super) fn whole_file(&self) -> String {
        self.whole.borrow().clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Reads a file block by block and compares each with its hash. The empty block at the end has a hash too, so that a file that became
/// shorter or longer is detected.
pub(in crate::orders::import) struct BlockReader<'a> {
    file: &'a File,
    hashes: &'a BlockHashes,
    block: Vec<u8>,
    position: usize,
    index: usize,
}

impl<'a> BlockReader<'a> {
    /// The file must be at its start.
    pub(super) fn new(file: &'a File, hashes: &'a BlockHashes) -> Self {
        Self { file, hashes, block: Vec::new(), position: 0, index: 0 }
    }

    fn next_block(&mut self) -> Result<(), Error> {
        self.block.clear();
        self.position = 0;
        self.file.take(BLOCK_SIZE).read_to_end(&mut self.block)?;
        let hash: [u8; 32] = Sha256::digest(&self.block).into();
        let mut hashes = self.hashes.blocks.borrow_mut();
        match hashes.get(self.index) {
            None => {
                self.hashes.whole.borrow_mut().update(&self.block);
                hashes.push(hash);
            }
            Some(known) if *known == hash => {}
            Some(_) => return Err(Error::other(FileChanged)),
        }
        if !self.block.is_empty() {
            self.index += 1;
        }
        Ok(())
    }
}

impl Read for BlockReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        if self.position == self.block.len() {
            self.next_block()?;
        }
        let mut rest = &self.block[self.position..];
        let read = rest.read(buffer)?;
        self.position += read;
        Ok(read)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the file was changed")]
struct FileChanged;

pub(in crate::orders::import) fn is_file_changed(error: &Error) -> bool {
    error.get_ref().and_then(|cause| cause.downcast_ref::<FileChanged>()).is_some()
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};

    use super::*;

    fn read(file: &File, hashes: &BlockHashes) -> Result<Vec<u8>, Error> {
        let mut start = file;
        start.seek(SeekFrom::Start(0))?;
        let mut content = Vec::new();
        BlockReader::new(file, hashes).read_to_end(&mut content).map(|_| content)
    }

    #[test]
    fn hash_of_the_whole_file_is_that_of_its_bytes() {
        let content: Vec<u8> = (0..3 * BLOCK_SIZE + 7).map(|index| index.to_le_bytes()[0]).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        let hashes = BlockHashes::default();
        read(&file, &hashes).unwrap();
        read(&file, &hashes).unwrap();
        let expected: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hashes.whole_file(), expected);
    }

    #[test]
    fn second_pass_detects_a_change_anywhere_in_the_file() {
        let whole = usize::try_from(BLOCK_SIZE).unwrap();
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
                let hashes = BlockHashes::default();
                assert_eq!(read(&file, &hashes).unwrap(), original);
                assert_eq!(read(&file, &hashes).unwrap(), original, "the same file is rejected");
                file.set_len(0).unwrap();
                file.seek(SeekFrom::Start(0)).unwrap();
                file.write_all(&version).unwrap();
                let error = read(&file, &hashes).expect_err("a changed file is accepted");
                assert!(is_file_changed(&error), "{error}");
            }
        }
    }
}

//! The file of a filter, in little-endian numbers:
//!
//! | part | bytes |
//! |---|---|
//! | magic, `OPBREACH` | 8 |
//! | version of the format | 4 |
//! | for each of the 256 parts: seed (8), segment length (4), length of all segments (4), number of fingerprints (4), fingerprints (2 each); an empty part has no fingerprint | |
//! | number of passwords | 8 |
//! | SHA-256 of all before | 32 |

use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use xorf::BinaryFuse16;

use super::{PARTS, Parts};

const MAGIC: &[u8; 8] = b"OPBREACH";
const VERSION: u32 = 1;
const BUFFER_SIZE: usize = 1 << 16;

/// Why a filter cannot be used, with what to do.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    #[error(
        "BREACHED_PASSWORDS names {file}, which cannot be read: {source}; correct the name, or let the server's user read it"
    )]
    Unreadable { file: String, source: std::io::Error },
    #[error(
        "BREACHED_PASSWORDS names {file}, which is no filter of breached passwords; build one with: order-portal breached-passwords build HASHES FILE"
    )]
    Foreign { file: String },
    #[error(
        "BREACHED_PASSWORDS names {file}, a filter in format {version}, and this program reads format 1; build it again with: order-portal breached-passwords build HASHES FILE"
    )]
    OtherVersion { file: String, version: u32 },
    #[error(
        "BREACHED_PASSWORDS names {file}, which is damaged ({problem}); copy it again, or build it again with: order-portal breached-passwords build HASHES FILE"
    )]
    Damaged { file: String, problem: &'static str },
}

/// Writes a filter part by part.
pub(super) struct Writer<W: Write> {
    target: BufWriter<W>,
    hash: Sha256,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(target: W) -> std::io::Result<Self> {
        let mut writer = Self { target: BufWriter::with_capacity(BUFFER_SIZE, target), hash: Sha256::new() };
        writer.write(MAGIC)?;
        writer.write(&VERSION.to_le_bytes())?;
        Ok(writer)
    }

    /// The next of the 256 parts; `None` if it has no password.
    pub(super) fn write_part(&mut self, filter: Option<&BinaryFuse16>) -> std::io::Result<()> {
        let (seed, segment_length, segment_count_length) = filter.map_or((0, 0, 0), |filter| {
            let descriptor = &filter.descriptor;
            (descriptor.seed, descriptor.segment_length, descriptor.segment_count_length)
        });
        let fingerprints = filter.map_or(&[][..], |filter| &filter.fingerprints);
        let count = u32::try_from(fingerprints.len()).map_err(std::io::Error::other)?;
        self.write(&seed.to_le_bytes())?;
        for number in [segment_length, segment_count_length, count] {
            self.write(&number.to_le_bytes())?;
        }
        for chunk in fingerprints.chunks(BUFFER_SIZE) {
            let bytes: Vec<u8> = chunk.iter().flat_map(|fingerprint| fingerprint.to_le_bytes()).collect();
            self.write(&bytes)?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self, passwords: u64) -> std::io::Result<()> {
        self.write(&passwords.to_le_bytes())?;
        let hash = self.hash.finalize();
        self.target.write_all(&hash)?;
        self.target.flush()
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.hash.update(bytes);
        self.target.write_all(bytes)
    }
}

/// Why reading ended early.
enum Problem {
    Io(std::io::Error),
    Damaged(&'static str),
    Foreign,
    OtherVersion(u32),
}

pub(super) fn read(file: &Path) -> Result<Parts, FilterError> {
    let name = || file.display().to_string();
    let parts = File::open(file).map_err(Problem::Io).and_then(|opened| {
        let bytes = opened.metadata().map_err(Problem::Io)?.len();
        Reader { source: BufReader::with_capacity(BUFFER_SIZE, opened), hash: Sha256::new(), left: bytes }.read()
    });
    parts.map_err(|problem| match problem {
        Problem::Io(source) => FilterError::Unreadable { file: name(), source },
        Problem::Damaged(problem) => FilterError::Damaged { file: name(), problem },
        Problem::Foreign => FilterError::Foreign { file: name() },
        Problem::OtherVersion(version) => FilterError::OtherVersion { file: name(), version },
    })
}

struct Reader<R> {
    source: R,
    hash: Sha256,
    /// Bytes up to the end of the file. A number in a damaged file must not lead to a large allocation.
    left: u64,
}

impl<R: Read> Reader<R> {
    fn read(mut self) -> Result<Parts, Problem> {
        if self.left < MAGIC.len() as u64 || self.bytes::<8>()? != *MAGIC {
            return Err(Problem::Foreign);
        }
        let version = self.number()?;
        if version != VERSION {
            return Err(Problem::OtherVersion(version));
        }
        let filters = (0..PARTS).map(|_| self.part()).collect::<Result<Vec<_>, _>>()?;
        let passwords = u64::from_le_bytes(self.bytes()?);
        let expected = std::mem::take(&mut self.hash).finalize();
        let stored = self.bytes::<32>()?;
        if self.left > 0 {
            return Err(Problem::Damaged("it is longer than it should be"));
        }
        if stored[..] != expected[..] {
            return Err(Problem::Damaged("its checksum is wrong"));
        }
        Ok(Parts { filters, passwords })
    }

    fn part(&mut self) -> Result<Option<BinaryFuse16>, Problem> {
        let seed = u64::from_le_bytes(self.bytes()?);
        let [segment_length, segment_count_length, count] = [self.number()?, self.number()?, self.number()?];
        if count == 0 {
            return Ok(None);
        }
        // A look-up reads within these lengths, and with others it would be outside of the fingerprints.
        let has_segments = segment_length.is_power_of_two() && segment_count_length.is_multiple_of(segment_length);
        let length = u64::from(segment_count_length) + 2 * u64::from(segment_length);
        if !has_segments || segment_count_length == 0 || length != u64::from(count) {
            return Err(Problem::Damaged("the lengths in it are wrong"));
        }
        if self.left < 2 * u64::from(count) {
            return Err(Problem::Damaged("it is cut off"));
        }
        let fingerprints = self.fingerprints(count)?;
        // The type of the descriptor is private to the crate.
        let mut filter = BinaryFuse16::try_from(&[seed][..]).map_err(Problem::Damaged)?;
        filter.descriptor.seed = seed;
        filter.descriptor.segment_length = segment_length;
        filter.descriptor.segment_length_mask = segment_length - 1;
        filter.descriptor.segment_count_length = segment_count_length;
        filter.fingerprints = fingerprints;
        Ok(Some(filter))
    }

    fn fingerprints(&mut self, count: u32) -> Result<Box<[u16]>, Problem> {
        let count = count as usize;
        let mut fingerprints: Vec<u16> = Vec::with_capacity(count);
        let mut buffer = vec![0; BUFFER_SIZE];
        while fingerprints.len() < count {
            let bytes = (2 * (count - fingerprints.len())).min(BUFFER_SIZE);
            self.fill(&mut buffer[..bytes])?;
            fingerprints.extend(buffer[..bytes].chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])));
        }
        Ok(fingerprints.into_boxed_slice())
    }

    fn number(&mut self) -> Result<u32, Problem> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Problem> {
        self.source.read_exact(bytes).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => Problem::Damaged("it is cut off"),
            _ => Problem::Io(error),
        })?;
        self.left = self.left.saturating_sub(bytes.len() as u64);
        self.hash.update(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use xorf::Filter;

    use super::*;

    /// A filter of two parts, as a file.
    fn content() -> Vec<u8> {
        let mut content = Vec::new();
        let mut writer = Writer::new(&mut content).unwrap();
        for part in 0..PARTS as u64 {
            let keys: Vec<u64> = (0..100).map(|key| part << 56 | key << 20).collect();
            let filter = (part < 2).then(|| BinaryFuse16::try_from(&keys[..]).unwrap());
            writer.write_part(filter.as_ref()).unwrap();
        }
        writer.finish(200).unwrap();
        content
    }

    fn read_content(content: &[u8]) -> Result<Parts, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        read(file.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn file_is_read_as_written() {
        let parts = read_content(&content()).unwrap();
        assert_eq!((parts.passwords, parts.filters.iter().flatten().count()), (200, 2));
        assert!((0..100).all(|key| parts.filters[1].as_ref().unwrap().contains(&(1 << 56 | key << 20))));
    }

    #[test]
    fn file_of_another_kind_or_version_is_named() {
        for foreign in [&b""[..], b"OPB", b"Name,Email\n", b"PK\x03\x04 and a zip archive"] {
            let error = read_content(foreign).err().unwrap();
            assert!(error.contains("no filter of breached passwords") && error.contains("build"), "{error}");
        }
        let mut newer = content();
        newer[8] = 2;
        let error = read_content(&newer).err().unwrap();
        assert!(error.contains("in format 2") && !error.contains('\n'), "{error}");
        let error = read(Path::new("nowhere/filter")).err().unwrap().to_string();
        assert!(error.contains("nowhere/filter") && error.contains("cannot be read"), "{error}");
    }

    #[test]
    fn damaged_file_is_refused_wherever_the_damage_is() {
        let content = content();
        for length in (8..content.len()).step_by(7) {
            let error = read_content(&content[..length]).err().unwrap();
            assert!(error.contains("it is cut off"), "{length} bytes: {error}");
        }
        assert!(read_content(&[&content[..], b"x"].concat()).err().unwrap().contains("longer than it should be"));
        for position in (12..content.len()).step_by(5) {
            let mut changed = content.clone();
            changed[position] ^= 0x55;
            let error = read_content(&changed).err().unwrap_or_else(|| panic!("byte {position} is not checked"));
            assert!(error.contains("is damaged"), "byte {position}: {error}");
        }
    }
}

//! Builds a filter from a list of SHA-1 hashes: `HASH:COUNT` a line, sorted by hash, as the public collection is distributed.

use std::io::{BufRead, Read};
use std::path::Path;

use xorf::BinaryFuse16;

use super::format::Writer;
use super::{PARTS, part_of};
use crate::database::PartialFile;

/// Longer lines are no hashes.
const MAX_LINE: u64 = 200;
/// Hexadecimal digits of a SHA-1 hash, and of the key.
const HASH_DIGITS: usize = 40;
const KEY_DIGITS: usize = 16;
/// Lines between two calls of the observer.
const OBSERVED_LINES: u64 = 100_000;

/// What was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Built {
    /// Passwords in the filter.
    pub passwords: u64,
    /// Lines with a count that is too low.
    pub left_out: u64,
}

/// Why no filter was built. The file is not changed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("line {line}: {problem}")]
    Line { line: u64, problem: &'static str },
    #[error("cannot be read: {0}")]
    Read(std::io::Error),
    #[error("no hash in it was seen {at_least} times or more; lower --at-least")]
    Empty { at_least: u64 },
    #[error("the filter cannot be written: {0}")]
    Write(std::io::Error),
    #[error("a part of the filter cannot be built: {0}")]
    Part(&'static str),
}

/// Builds the filter of the hashes that were seen at least so often. The list is read once, and only one of 256 parts is in memory.
/// `observe` gets the bytes that were read.
///
/// # Errors
/// [`BuildError`].
pub fn build(
    list: &mut dyn BufRead,
    file: &Path,
    at_least: u64,
    observe: &mut dyn FnMut(u64),
) -> Result<Built, BuildError> {
    let mut target = PartialFile::create(file).map_err(BuildError::Write)?;
    let writer = Writer::new(target.file()).map_err(BuildError::Write)?;
    let mut parts = PartsBuilder { writer, keys: Vec::new(), part: 0 };
    let (mut built, mut last) = (Built { passwords: 0, left_out: 0 }, None);
    let (mut line, mut bytes) = (Vec::new(), 0);
    for number in 1_u64.. {
        line.clear();
        bytes += list.take(MAX_LINE).read_until(b'\n', &mut line).map_err(BuildError::Read)? as u64;
        if number.is_multiple_of(OBSERVED_LINES) {
            observe(bytes);
        }
        if line.is_empty() {
            break;
        }
        let parsed = parse_line(&line).map_err(|problem| BuildError::Line { line: number, problem })?;
        let Some((key, count)) = parsed else { continue };
        if last.is_some_and(|last| key < last) {
            let problem = "the hash is smaller than the one before; use the list ordered by hash, or sort it";
            return Err(BuildError::Line { line: number, problem });
        }
        last = Some(key);
        if count < at_least {
            built.left_out += 1;
        } else if parts.add(key)? {
            built.passwords += 1;
        }
    }
    if built.passwords == 0 {
        return Err(BuildError::Empty { at_least });
    }
    parts.finish(built.passwords)?;
    target.persist_over().map_err(BuildError::Write)?;
    Ok(built)
}

/// The key of the hash, and its count; `None` for an empty line.
fn parse_line(line: &[u8]) -> Result<Option<(u64, u64)>, &'static str> {
    const EXPECTED: &str = "it is not a SHA-1 hash and its count, like 0018A45C4D1DEF81644B54AB7F969B88D65:3 with 40 digits before the colon; unpack a compressed list first";
    let line = line.trim_ascii();
    if line.is_empty() {
        return Ok(None);
    }
    let text = std::str::from_utf8(line).map_err(|_| EXPECTED)?;
    let (hash, count) = text.split_once(':').ok_or(EXPECTED)?;
    let is_hex = hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex && hash.len() == 32 {
        return Err("it is an NTLM hash; use the list of SHA-1 hashes");
    }
    if !is_hex || hash.len() != HASH_DIGITS {
        return Err(EXPECTED);
    }
    let key = u64::from_str_radix(&hash[..KEY_DIGITS], 16).map_err(|_| EXPECTED)?;
    let count = count.trim().parse().map_err(|_| EXPECTED)?;
    Ok(Some((key, count)))
}

/// The parts up to now, and the keys of the current one.
struct PartsBuilder<W: std::io::Write> {
    writer: Writer<W>,
    /// Sorted, each once.
    keys: Vec<u64>,
    part: usize,
}

impl<W: std::io::Write> PartsBuilder<W> {
    /// Adds the next key; returns whether it is a new one.
    fn add(&mut self, key: u64) -> Result<bool, BuildError> {
        while self.part < part_of(key) {
            self.complete_part()?;
        }
        let is_new = self.keys.last() != Some(&key);
        if is_new {
            self.keys.push(key);
        }
        Ok(is_new)
    }

    fn complete_part(&mut self) -> Result<(), BuildError> {
        let keys = &self.keys[..];
        let filter = if keys.is_empty() { None } else { Some(BinaryFuse16::try_from(keys).map_err(BuildError::Part)?) };
        self.writer.write_part(filter.as_ref()).map_err(BuildError::Write)?;
        self.keys.clear();
        self.part += 1;
        Ok(())
    }

    fn finish(mut self, passwords: u64) -> Result<(), BuildError> {
        while self.part < PARTS {
            self.complete_part()?;
        }
        self.writer.finish(passwords).map_err(BuildError::Write)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "0018A45C4D1DEF81644B54AB7F969B88D65AAAAA";
    const TWO: &str = "ff18a45c4d1def81644b54ab7f969b88d65bbbbb";

    fn built(list: &str, at_least: u64) -> Result<Built, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("filter");
        std::fs::write(&file, "before").unwrap();
        let built = build(&mut list.as_bytes(), &file, at_least, &mut |_| {}).map_err(|error| error.to_string());
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!(built.is_err(), std::fs::read(&file).unwrap() == b"before");
        built
    }

    #[test]
    fn rare_hashes_are_left_out_and_duplicates_count_once() {
        let list = format!("\n{ONE}:3\r\n{ONE}:12\r\n{ONE}:40\n{TWO}:10");
        assert_eq!(built(&list, 10), Ok(Built { passwords: 2, left_out: 1 }));
        assert_eq!(built(&list, 1), Ok(Built { passwords: 2, left_out: 0 }));
        assert!(built(&list, 41).unwrap_err().contains("no hash in it was seen 41 times"));
    }

    #[test]
    fn list_that_is_not_one_is_refused_by_line() {
        for (list, part) in [
            (format!("{ONE}:3\n{ONE}\n"), "line 2: it is not a SHA-1 hash and its count"),
            (format!("{ONE}:many\n"), "line 1: it is not"),
            ("password1\n".to_owned(), "line 1: it is not"),
            (format!("{}:3\n", &ONE[..32]), "line 1: it is an NTLM hash"),
            (format!("{TWO}:3\n\n{ONE}:3\n"), "line 3: the hash is smaller than the one before"),
            ("x".repeat(1_000_000), "line 1: it is not"),
            (String::new(), "no hash in it"),
        ] {
            let error = built(&list, 1).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        let binary = built("\u{0}\u{7}", 1).unwrap_err();
        assert!(binary.contains("unpack a compressed list first"), "{binary}");
    }
}

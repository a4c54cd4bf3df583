//! The file of an import: what it is, its encoding and its separator. It is read twice, and the second pass fails if it changed since
//! the first.

mod blocks;
mod encoding;
mod format;
mod kind;

use std::fs::File;
use std::io::{Error, Read, Seek, SeekFrom};

use csv::ReaderBuilder;
use encoding_rs::{Encoding, UTF_8};

use super::ImportSource;
use super::error::ImportError;
pub(super) use blocks::is_file_changed;
use blocks::{BlockHashes, BlockReader};
use encoding::Utf8Reader;
pub(super) use format::Format;

/// The bytes that show what a file is.
const START_SIZE: u64 = 1 << 16;

pub(super) struct ImportFile {
    pub(super) name: String,
    content: Content,
    encoding: &'static Encoding,
    format: Format,
}

enum Content {
    File {
        file: File,
        hashes: BlockHashes,
    },
    /// Compiled in.
    Text(&'static str),
}

type Source<'a> = Box<dyn Read + 'a>;
/// The rows of a file as the csv crate reads them.
pub(super) type CsvReader<'a> = csv::Reader<Utf8Reader<Source<'a>>>;

impl ImportFile {
    /// # Errors
    /// The file cannot be read, is empty, or is not a CSV file.
    pub(super) fn open(source: &ImportSource) -> Result<Self, ImportError> {
        let (name, file) = match source {
            ImportSource::File(path) => (path.display().to_string(), File::open(path)),
            ImportSource::Stdin => ("standard input".to_owned(), spool_stdin()),
        };
        match file {
            Ok(file) => Self::recognize(name, Content::File { file, hashes: BlockHashes::default() }),
            Err(source) => Err(ImportError::Unreadable { file: name, source }),
        }
    }

    /// A file that is compiled in.
    pub(super) fn from_text(text: &'static str) -> Result<Self, ImportError> {
        Self::recognize("text".to_owned(), Content::Text(text))
    }

    fn recognize(name: String, content: Content) -> Result<Self, ImportError> {
        let format = Format::of_commas();
        let mut opened = Self { name, content, encoding: UTF_8, format };
        let mut start = Vec::new();
        opened.source()?.take(START_SIZE).read_to_end(&mut start).map_err(|source| opened.unreadable(source))?;
        let refuse = |(kind, advice)| ImportError::NotCsv { file: opened.name.clone(), kind, advice };
        if let Some(known) = kind::not_a_csv(&start) {
            return Err(refuse(known));
        }
        let encoding = encoding::by_start(&start);
        let text = match encoding == UTF_8 {
            // With its byte-order mark, which is part of what the reader skips before the header row.
            true => String::from_utf8_lossy(&start),
            false => encoding.decode_with_bom_removal(&start).0,
        };
        if let Some(known) = kind::text_not_a_csv(&text) {
            return Err(refuse(known));
        }
        let header = text.lines().next().unwrap_or_default();
        if header.contains('\0') {
            return Err(refuse(("a binary file", "export the orders as CSV")));
        }
        if text.trim_matches(|letter: char| letter.is_whitespace() || "\u{feff},;\"".contains(letter)).is_empty() {
            return Err(ImportError::Empty { file: opened.name });
        }
        opened.format = Format::detect(&text);
        opened.encoding = encoding;
        Ok(opened)
    }

    pub(super) fn bytes(&self) -> Option<u64> {
        match &self.content {
            Content::File { file, .. } => file.metadata().ok().map(|metadata| metadata.len()),
            Content::Text(text) => Some(text.len() as u64),
        }
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// The SHA-256 of the file, after it was read to its end.
    pub(super) fn sha256(&self) -> String {
        match &self.content {
            Content::File { hashes, .. } => hashes.whole_file(),
            Content::Text(_) => String::new(),
        }
    }

    /// What was assumed about the file, for the operator.
    pub(super) fn assumptions(&self) -> Option<String> {
        let encoding = (self.encoding != UTF_8).then(|| format!("its characters as {}", self.encoding.name()));
        let delimiter = self.format.delimiter_name().map(|name| format!("its cells as separated by {name}"));
        let header = self.format.has_title.then(|| format!("line {} as its header row", self.format.skipped_lines + 1));
        let parts: Vec<String> = [encoding, delimiter, header].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| format!("{} was read with {}", self.name, parts.join(" and ")))
    }

    /// The rows from the beginning.
    pub(super) fn reader(&self) -> Result<CsvReader<'_>, ImportError> {
        let mut text = Utf8Reader::new(self.source()?, self.encoding);
        // The mark of another encoding than UTF-8 is removed by the decoder.
        let skipped = self.format.skipped_bytes as u64;
        std::io::copy(&mut (&mut text).take(skipped), &mut std::io::sink())
            .map_err(|source| self.unreadable(source))?;
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true).delimiter(self.format.delimiter).buffer_capacity(1 << 16);
        Ok(builder.from_reader(text))
    }

    /// Changes the encoding of a file that turned out not to be UTF-8; returns whether another one is likely.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn detect_encoding(&mut self) -> Result<bool, ImportError> {
        if self.encoding != UTF_8 {
            return Ok(false);
        }
        let detected = encoding::detect(self.source()?).map_err(|source| self.unreadable(source))?;
        self.encoding = detected.unwrap_or(UTF_8);
        Ok(detected.is_some())
    }

    fn source(&self) -> Result<Source<'_>, ImportError> {
        match &self.content {
            Content::File { file, hashes } => {
                let mut start = file;
                start.seek(SeekFrom::Start(0)).map_err(|source| self.unreadable(source))?;
                Ok(Box::new(BlockReader::new(file, hashes)))
            }
            Content::Text(text) => Ok(Box::new(text.as_bytes())),
        }
    }

    fn unreadable(&self, source: Error) -> ImportError {
        let file = self.name.clone();
        if is_file_changed(&source) { ImportError::Changed { file } } else { ImportError::Unreadable { file, source } }
    }
}

/// Copies standard input, which can be read only once, to a temporary file.
fn spool_stdin() -> Result<File, Error> {
    let mut spool = tempfile::tempfile()?;
    std::io::copy(&mut std::io::stdin().lock(), &mut spool)?;
    Ok(spool)
}

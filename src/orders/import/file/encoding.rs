//! Character encodings: UTF-8, UTF-16 with a byte-order mark, and Windows code pages, which Excel writes.

use std::io::{Error, Read};

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE};

const CHUNK_SIZE: usize = 1 << 16;

/// The encoding that a byte-order mark names. Without one, UTF-16 if every other of the first bytes is NUL, else UTF-8.
pub(super) fn by_start(start: &[u8]) -> &'static Encoding {
    let units = || start.chunks_exact(2).take(8);
    match Encoding::for_bom(start) {
        Some((encoding, _)) => encoding,
        None if start.len() < 16 => UTF_8,
        None if units().all(|unit| unit[0] != 0 && unit[1] == 0) => UTF_16LE,
        None if units().all(|unit| unit[0] == 0 && unit[1] != 0) => UTF_16BE,
        None => UTF_8,
    }
}

/// Decodes a file to UTF-8. A file in UTF-8 passes through unchanged, invalid bytes included.
pub(in crate::orders::import) struct Utf8Reader<R> {
    source: R,
    /// `None` for UTF-8.
    decoder: Option<Decoder>,
    text: Vec<u8>,
    position: usize,
    is_finished: bool,
}

impl<R: Read> Utf8Reader<R> {
    pub(super) fn new(source: R, encoding: &'static Encoding) -> Self {
        let decoder = (encoding != UTF_8).then(|| encoding.new_decoder_with_bom_removal());
        Self { source, decoder, text: Vec::new(), position: 0, is_finished: false }
    }

    fn decode_chunk(&mut self) -> Result<(), Error> {
        let Some(decoder) = &mut self.decoder else { return Ok(()) };
        let mut bytes = vec![0; CHUNK_SIZE];
        let read = self.source.read(&mut bytes)?;
        self.is_finished = read == 0;
        let capacity = decoder.max_utf8_buffer_length(read).unwrap_or(4 * CHUNK_SIZE);
        self.text.resize(capacity, 0);
        let (_, _, written, _) = decoder.decode_to_utf8(&bytes[..read], &mut self.text, self.is_finished);
        self.text.truncate(written);
        self.position = 0;
        Ok(())
    }
}

impl<R: Read> Read for Utf8Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        if self.decoder.is_none() {
            return self.source.read(buffer);
        }
        while self.position == self.text.len() && !self.is_finished {
            self.decode_chunk()?;
        }
        let mut rest = &self.text[self.position..];
        let read = rest.read(buffer)?;
        self.position += read;
        Ok(read)
    }
}

/// The encoding of a file that is not UTF-8; `None` when it is UTF-8 with damage: then most of its special characters are valid.
///
/// # Errors
/// The file cannot be read.
pub(super) fn detect(mut source: impl Read) -> Result<Option<&'static Encoding>, Error> {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    let (mut valid, mut invalid) = (0_u64, 0_u64);
    let mut bytes = vec![0; CHUNK_SIZE];
    loop {
        let read = source.read(&mut bytes)?;
        detector.feed(&bytes[..read], read == 0);
        if read == 0 {
            break;
        }
        for chunk in bytes[..read].utf8_chunks() {
            valid += chunk.valid().chars().filter(|letter| !letter.is_ascii()).count() as u64;
            invalid += u64::from(!chunk.invalid().is_empty());
        }
    }
    Ok((invalid > valid).then(|| detector.guess(None, Utf8Detection::Deny)))
}

#[cfg(test)]
mod tests {
    use encoding_rs::WINDOWS_1252;

    use super::*;

    fn decode(bytes: &[u8]) -> String {
        let mut text = String::new();
        Utf8Reader::new(bytes, by_start(bytes)).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn utf_16_is_decoded_with_and_without_its_byte_order_mark() {
        let text = "Name,Größe 🧀\n".repeat(10_000);
        let units: Vec<u16> = "\u{feff}".encode_utf16().chain(text.encode_utf16()).collect();
        let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        assert_eq!((by_start(&little), by_start(&big)), (UTF_16LE, UTF_16BE));
        assert!(decode(&little) == text && decode(&big) == text);
        assert!(decode(&little[2..]) == text && decode(&big[2..]) == text);
        for start in [&b"Name"[..], b"Name,Email,Total,Currency", &[0; 20]] {
            assert_eq!(by_start(start), UTF_8);
        }
    }

    #[test]
    fn windows_code_page_is_detected_and_damaged_utf_8_is_not_one() {
        let text = "Zoë Müller, Straße 5, Köln".repeat(3);
        let (bytes, ..) = WINDOWS_1252.encode(&text);
        assert_eq!(detect(bytes.as_ref()).unwrap(), Some(WINDOWS_1252));
        assert_eq!(detect(&[text.as_bytes(), b"\xff"].concat()[..]).unwrap(), None);
    }
}

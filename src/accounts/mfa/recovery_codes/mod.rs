//! Recovery codes: ten one-time codes for a lost device, shown once.
//!
//! A code is 120 random bits, so a plain hash is enough to store it (ASVS 5.0 V6.5.2 and NIST SP 800-63B-4 section 3.1.2.2 require a password
//! hash below 112 bits).

pub(super) mod page;
mod store;

use sha2::{Digest, Sha256};

use super::randomness_failed;
use crate::web::Error;

pub(super) use store::{consume, count, exists, remove_added_since, remove_all, replace};

const COUNT: usize = 10;
/// Three times 40 bits: eight digits each.
const BYTES: usize = 15;
/// Crockford's Base32: without the letters that look like digits, and without U.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const DIGITS: usize = BYTES * 8 / 5;

/// The digits of a code. Neither stored nor logged.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RecoveryCode(String);

impl RecoveryCode {
    fn generate() -> Result<Self, getrandom::Error> {
        let mut random = [0_u8; BYTES];
        getrandom::fill(&mut random)?;
        Ok(Self(random.chunks_exact(5).flat_map(digits).collect()))
    }

    /// Reads a code without separators, in any case. Letters that look like a digit count as it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digit = |letter: char| match letter.to_ascii_lowercase() {
            'o' => Some('0'),
            'i' | 'l' => Some('1'),
            letter => ALPHABET.contains(&u8::try_from(letter).ok()?).then_some(letter),
        };
        let digits: String = text.chars().map(digit).collect::<Option<_>>()?;
        (digits.len() == DIGITS).then_some(Self(digits))
    }

    pub(super) fn hash(&self) -> Vec<u8> {
        Sha256::digest(self.0.as_bytes()).to_vec()
    }

    /// `abcd-efgh-…`
    pub(super) fn display(&self) -> String {
        let groups = self.0.as_bytes().chunks(4).map(String::from_utf8_lossy);
        groups.collect::<Vec<_>>().join("-")
    }
}

/// 40 bits as eight digits.
fn digits(bytes: &[u8]) -> [char; 8] {
    let number = bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    std::array::from_fn(|index| char::from(ALPHABET[(number >> (35 - 5 * index) & 31) as usize]))
}

/// Ten new codes.
pub(super) fn generate() -> Result<Vec<RecoveryCode>, Error> {
    let codes = (0..COUNT).map(|_| RecoveryCode::generate()).collect::<Result<_, _>>();
    codes.map_err(|_| randomness_failed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_codes_differ_and_survive_typing() {
        let codes = generate().unwrap();
        let mut hashes: Vec<_> = codes.iter().map(RecoveryCode::hash).collect();
        hashes.sort();
        hashes.dedup();
        assert_eq!(hashes.len(), 10);
        for code in codes {
            let shown = code.display();
            assert_eq!(shown.len(), 29, "{shown}");
            let plain = shown.replace('-', "");
            assert_eq!(RecoveryCode::parse(&plain).unwrap(), code);
            assert_eq!(RecoveryCode::parse(&plain.to_uppercase()).unwrap(), code);
            assert_eq!(RecoveryCode::parse(&plain.replace('0', "O").replace('1', "l")).unwrap(), code);
        }
    }

    #[test]
    fn digits_cover_every_bit() {
        assert_eq!(digits(&[0; 5]).iter().collect::<String>(), "00000000");
        assert_eq!(digits(&[255; 5]).iter().collect::<String>(), "zzzzzzzz");
        assert_eq!(digits(&[0, 0, 0, 0, 1]).iter().collect::<String>(), "00000001");
        assert_eq!(digits(&[0x08, 0, 0, 0, 0]).iter().collect::<String>(), "10000000");
    }

    #[test]
    fn malformed_recovery_codes_are_rejected() {
        for text in ["", "123456", &"a".repeat(23), &"a".repeat(25), &"u".repeat(24), &"é".repeat(24), &"*".repeat(24)]
        {
            assert_eq!(RecoveryCode::parse(text), None, "{text}");
        }
    }
}

//! Breached passwords (ASVS 5.0 V6.2.12): a filter of a public list, which is read at start and kept in memory. No request leaves the
//! machine, and the file holds no password and no hash.
//!
//! | file | purpose |
//! |---|---|
//! | `build.rs` | builds the filter from the list: `order-portal breached-passwords build` |
//! | `format.rs` | the file of the filter |
//!
//! The list has SHA-1 hashes of passwords in UTF-8 as they were leaked, mostly as people typed them. This program stores passwords in NFC.
//! So a password is looked up in both forms: as typed, and in NFC.
//!
//! Invariants: each password of the list that is frequent enough is found; of all others one in 65,536 is found, too.

mod build;
mod format;

use std::path::Path;
use std::sync::Arc;

use sha1::{Digest, Sha1};
use unicode_normalization::UnicodeNormalization;
use xorf::{BinaryFuse16, Filter};

pub use build::{BuildError, Built, build};
pub use format::FilterError;

/// A filter is in so many parts, by the first byte of the hash. A part is built when the sorted list has left it, so building a filter
/// takes the memory of one part.
const PARTS: usize = 256;

/// The filter. Clones share it.
#[derive(Clone)]
pub struct BreachedPasswords(Arc<Parts>);

struct Parts {
    filters: Vec<Option<BinaryFuse16>>,
    passwords: u64,
}

impl BreachedPasswords {
    /// Reads a filter into memory.
    ///
    /// # Errors
    /// [`FilterError`].
    pub fn load(file: &Path) -> Result<Self, FilterError> {
        format::read(file).map(|parts| Self(Arc::new(parts)))
    }

    /// Whether the password, as typed or in NFC, is in the list.
    pub fn contains(&self, typed: &str) -> bool {
        let nfc: String = typed.nfc().collect();
        self.0.contains(key_of(typed)) || (nfc != typed && self.0.contains(key_of(&nfc)))
    }

    /// The number of passwords in the filter.
    pub fn count(&self) -> u64 {
        self.0.passwords
    }
}

impl Parts {
    fn contains(&self, key: u64) -> bool {
        let filter = self.filters.get(part_of(key)).and_then(Option::as_ref);
        filter.is_some_and(|filter| filter.contains(&key))
    }
}

/// The first 64 bits of the SHA-1.
fn key_of(password: &str) -> u64 {
    let hash = Sha1::digest(password.as_bytes());
    hash.iter().take(8).fold(0, |key, byte| key << 8 | u64::from(*byte))
}

fn part_of(key: u64) -> usize {
    key.to_be_bytes()[0].into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    /// The list with a line for each password, as the public one is: sorted, in capitals, with CRLF.
    fn list<'a>(passwords: impl IntoIterator<Item = &'a str>, count: u64) -> String {
        let hash = |password: &str| crate::hex::encode(&Sha1::digest(password.as_bytes())).to_uppercase();
        let mut lines: Vec<String> =
            passwords.into_iter().map(|password| format!("{}:{count}\r\n", hash(password))).collect();
        lines.sort_unstable();
        lines.concat()
    }

    fn filter(list: &str) -> BreachedPasswords {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("filter");
        build(&mut list.as_bytes(), &file, 10, &mut |_| {}).unwrap();
        BreachedPasswords::load(&file).unwrap()
    }

    #[test]
    fn password_is_looked_up_as_typed_and_in_nfc() {
        let (nfc, nfd) = ("\u{fc}ber den Wolken", "u\u{308}ber den Wolken");
        for (stored, typed, is_found) in [(nfc, nfc, true), (nfc, nfd, true), (nfd, nfd, true), (nfd, nfc, false)] {
            assert_eq!(filter(&list([stored], 10)).contains(typed), is_found, "{stored:?} {typed:?}");
        }
    }

    #[test]
    fn false_positives_are_rarer_than_one_in_10_000() {
        let passwords: Vec<String> = (0..30_000).map(|index| format!("listed {index}")).collect();
        let filter = filter(&list(passwords.iter().map(String::as_str), 10));
        assert_eq!(filter.count(), 30_000);
        assert!(passwords.iter().all(|password| filter.contains(password)));
        let found = (0..300_000).filter(|index| filter.contains(&format!("another {index}"))).count();
        assert!(found < 30, "{found} of 300,000 passwords that are not in the list");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn each_password_of_the_list_is_found(passwords in prop::collection::vec(".{0,40}", 1..400)) {
            let distinct: HashSet<&str> = passwords.iter().map(String::as_str).collect();
            // Duplicates stay in the list.
            let filter = filter(&list(passwords.iter().map(String::as_str), 10));
            prop_assert_eq!(filter.count(), distinct.len() as u64);
            for password in &passwords {
                prop_assert!(filter.contains(password), "{:?}", password);
            }
        }
    }
}

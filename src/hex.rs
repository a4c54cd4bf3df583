//! Bytes written as text: two lower-case hex digits each.

/// The bytes in hex.
pub fn encode(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `N` random bytes from the operating system, in hex.
///
/// # Errors
/// When the system has no randomness to give.
pub fn random<const N: usize>() -> Result<String, getrandom::Error> {
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes)?;
    Ok(encode(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_two_digits() {
        assert_eq!(encode(&[0x00, 0x0a, 0xf0, 0xff]), "000af0ff");
        assert_eq!(encode(&[]), "");
    }

    #[test]
    fn random_bytes_are_as_many_as_asked_for_and_never_the_same() {
        let (one, other) = (random::<16>().unwrap(), random::<16>().unwrap());
        assert!(one.len() == 32 && one.bytes().all(|byte| byte.is_ascii_hexdigit()), "{one}");
        assert_ne!(one, other);
    }
}

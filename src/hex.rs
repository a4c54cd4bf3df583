//! Lower-case hexadecimal.

/// Encodes bytes, two digits each.
pub fn encode(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `N` random bytes from the operating system, in hex.
pub fn random<const N: usize>() -> Result<String, getrandom::Error> {
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes)?;
    Ok(encode(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encode_writes_two_digits_for_each_byte() {
        assert_eq!(encode(&[0x00, 0x0a, 0xf0, 0xff]), "000af0ff");
        assert_eq!(encode(&[]), "");
    }

    #[test]
    fn random_has_the_requested_length_and_differs() {
        let (one, other) = (random::<16>().unwrap(), random::<16>().unwrap());
        assert!(one.len() == 32 && one.bytes().all(|byte| byte.is_ascii_hexdigit()), "{one}");
        assert_ne!(one, other);
    }
}

//! The name of a passkey: what its owner calls it, at first a guess.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::{Uuid, uuid};

use crate::web::{Client, escape, user_agent};

const MAX_CHARS: usize = 60;

/// The position of the AAGUID in the authenticator data (WebAuthn level 3 section 6.1).
const AAGUID: std::ops::Range<usize> = 37..53;

/// The best known places that keep passkeys, by the AAGUID that they publish.
const PROVIDERS: [(Uuid, &str); 16] = [
    (uuid!("ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4"), "Google Password Manager"),
    (uuid!("fbfc3007-154e-4ecc-8c0b-6e020557d7bd"), "Apple Passwords"),
    (uuid!("dd4ec289-e01d-41c9-bb89-70fa845d4bf2"), "iCloud Keychain (Managed)"),
    (uuid!("08987058-cadc-4b81-b6e1-30de50dcbe96"), "Windows Hello"),
    (uuid!("9ddd1817-af5a-4672-a2b9-3e3dd95000a9"), "Windows Hello"),
    (uuid!("6028b017-b1d4-4c02-b4b3-afcdafc96bb2"), "Windows Hello"),
    (uuid!("d3452668-01fd-4c12-926c-83a4204853aa"), "Microsoft Password Manager"),
    (uuid!("adce0002-35bc-c60a-648b-0b25f1f05503"), "Chrome on Mac"),
    (uuid!("53414d53-554e-4700-0000-000000000000"), "Samsung Pass"),
    (uuid!("bada5566-a7aa-401f-bd96-45619a55120d"), "1Password"),
    (uuid!("d548826e-79b4-db40-a3d8-11116f7e8349"), "Bitwarden"),
    (uuid!("531126d6-e717-415c-9320-3d9aa6981239"), "Dashlane"),
    (uuid!("b84e4048-15dc-4dd0-8640-f4f60813c8af"), "NordPass"),
    (uuid!("50726f74-6f6e-5061-7373-50726f746f6e"), "Proton Pass"),
    (uuid!("fdb141b2-5d84-443e-8a35-4698c205a502"), "KeePassXC"),
    (uuid!("b5397666-4885-aa6b-cebf-e52262a439a2"), "Chromium Browser"),
];

/// A name without control characters, of 1 to 60 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PasskeyName(String);

impl PasskeyName {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let visible: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
        let name = escape::without_bidi_controls(visible.trim());
        match name.chars().count() {
            0 => Err("Enter a name."),
            length if length > MAX_CHARS => Err("Enter a name of at most 60 characters."),
            _ => Ok(Self(name)),
        }
    }

    /// The name of the place that keeps the passkey, or the device on which it was made. `authenticator_data` is what the browser reports;
    /// nothing but this name depends on it.
    pub(super) fn guess(authenticator_data: Option<&str>, client: &Client) -> Self {
        let provider = authenticator_data.and_then(provider).map(str::to_owned);
        Self(provider.unwrap_or_else(|| format!("Passkey on {}", user_agent::system(&client.user_agent))))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

fn provider(authenticator_data: &str) -> Option<&'static str> {
    let bytes = URL_SAFE_NO_PAD.decode(authenticator_data).ok()?;
    let aaguid = Uuid::from_slice(bytes.get(AAGUID)?).ok()?;
    PROVIDERS.iter().find(|(known, _)| *known == aaguid).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(user_agent: &str) -> Client {
        Client { address: "192.0.2.1".parse().unwrap(), user_agent: user_agent.to_owned() }
    }

    #[test]
    fn passkey_name_is_visible_text_of_60_characters() {
        assert_eq!(PasskeyName::parse("  My\u{0}phone\n").unwrap().as_str(), "My phone");
        assert_eq!(PasskeyName::parse(&"é".repeat(60)).unwrap().as_str(), "é".repeat(60));
        for text in ["", "  ", "\u{202e}", &"a".repeat(61)] {
            assert!(PasskeyName::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn guessed_name_is_the_provider_or_the_system() {
        let windows = client("Mozilla/5.0 (Windows NT 10.0; Win64; x64)");
        let mut data = vec![0; 37];
        data.extend(uuid!("ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4").as_bytes());
        let guess = |data: &[u8]| PasskeyName::guess(Some(&URL_SAFE_NO_PAD.encode(data)), &windows).0;
        assert_eq!(guess(&data), "Google Password Manager");
        assert_eq!(guess(&data[..52]), "Passkey on Windows");
        assert_eq!(guess(&[0; 53]), "Passkey on Windows");
        assert_eq!(PasskeyName::guess(Some("?"), &windows).0, "Passkey on Windows");
        assert_eq!(PasskeyName::guess(None, &client("")).0, "Passkey on an unknown device");
    }
}

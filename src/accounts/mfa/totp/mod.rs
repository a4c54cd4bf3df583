//! TOTP: codes of an authenticator app (RFC 6238 with SHA-1, 6 digits, 30 seconds and one step of skew, which all apps support).
//!
//! A setup takes reauthentication, shows the secret, and is finished by a first code within ten minutes in the same session. Until then the
//! factor is off. Each accepted step is stored, and only a later one is accepted, so a code works once (section 5.2).

pub(super) mod pages;
mod store;

use std::time::Duration;

use fast_qr::{ECL, QRBuilder};
use totp_rs::{Algorithm, Builder, Secret, Totp};

use super::randomness_failed;
use crate::domain::{Email, UnixSeconds};
use crate::web::Error;

pub(super) use store::{
    Factor, accept_step, delete_expired_setups, find, list_of_key, remove_added_since, remove_all, replace_sealed,
};

/// 160 bits, as RFC 4226 section 4 recommends.
const SECRET_BYTES: usize = 20;
pub(super) const DIGITS: u8 = 6;
const STEP_SECONDS: u64 = 30;
const SKEW_STEPS: u16 = 1;
const SETUP_LIFETIME: Duration = Duration::from_mins(10);

/// The secret that the server and the app share. Stored only encrypted.
pub(super) struct TotpSecret(Vec<u8>);

impl TotpSecret {
    fn generate() -> Result<Self, Error> {
        let mut secret = vec![0_u8; SECRET_BYTES];
        getrandom::fill(&mut secret).map_err(|_| randomness_failed())?;
        Ok(Self(secret))
    }

    pub(super) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    fn builder(&self) -> Builder {
        Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_digits(DIGITS)
            .with_step_duration(STEP_SECONDS)
            .with_skew(SKEW_STEPS)
            .with_secret(Secret::from(self.0.as_slice()))
    }

    fn base32(&self) -> String {
        self.totp().secret().to_base32()
    }

    fn totp(&self) -> Totp {
        self.builder().build_noncompliant()
    }

    /// The step of a code that is valid now.
    pub(super) fn step_of(&self, code: &str, now: UnixSeconds) -> Option<i64> {
        let now = u64::try_from(now.get()).ok()?;
        self.totp().check(code, now).and_then(|step| i64::try_from(step).ok())
    }

    /// The URL that apps read from the QR code (Key Uri Format). A colon separates the shop from the address, so neither has one.
    fn url(&self, shop: &str, email: &Email) -> Result<String, Error> {
        let without_colon = |text: &str| text.replace(':', " ").trim().to_owned();
        let builder = self.builder().with_issuer(Some(without_colon(shop)));
        let totp = builder.with_account_name(without_colon(email.as_str())).build();
        totp.and_then(|totp| totp.to_url()).map_err(|error| Error::Internal(error.to_string().into()))
    }
}

/// A QR code as the data of an SVG path, and the length of its sides with the quiet zone.
struct QrCode {
    size: usize,
    path: String,
}

/// The width of the light border that readers need (ISO/IEC 18004).
const QUIET_ZONE: usize = 4;

impl QrCode {
    fn new(text: &str) -> Result<Self, Error> {
        let code = QRBuilder::new(text).ecl(ECL::M).build();
        let code = code.map_err(|error| Error::Internal(format!("{error:?}").into()))?;
        let mut path = String::new();
        for row in 0..code.size {
            let is_dark = |column: usize| code[row][column].value();
            let mut column = 0;
            while column < code.size {
                let end = (column..code.size).find(|next| is_dark(*next) != is_dark(column)).unwrap_or(code.size);
                if is_dark(column) {
                    let (x, y, width) = (column + QUIET_ZONE, row + QUIET_ZONE, end - column);
                    path.push_str(&format!("M{x} {y}h{width}v1h-{width}z"));
                }
                column = end;
            }
        }
        Ok(Self { size: code.size + 2 * QUIET_ZONE, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> TotpSecret {
        TotpSecret::from_bytes(b"12345678901234567890".to_vec())
    }

    /// RFC 6238 appendix B, the last six of its eight digits.
    #[test]
    fn codes_of_the_rfc_are_accepted() {
        for (at, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(secret().step_of(code, UnixSeconds::new(at)), Some(at / 30), "{at}");
        }
    }

    #[test]
    fn code_is_valid_for_one_step_before_and_after_its_own() {
        // The code of the seconds 60 to 89.
        let code = secret().totp().generate(60).to_string();
        for (at, is_valid) in [(0, false), (29, false), (30, true), (60, true), (89, true), (119, true), (120, false)] {
            let step = secret().step_of(&code, UnixSeconds::new(at));
            assert_eq!(step, is_valid.then_some(2), "{at}");
        }
        assert_eq!(secret().step_of(&code, UnixSeconds::new(-1)), None);
    }

    #[test]
    fn url_names_shop_and_address_without_colons() {
        let email = Email::parse("ann@example.com").unwrap();
        let url = secret().url("Shop: two", &email).unwrap();
        let expected = "otpauth://totp/Shop%20%20two:ann%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Shop%20%20two";
        assert_eq!(url, expected);
        assert_eq!(secret().base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }

    #[test]
    fn qr_code_has_every_dark_module_once() {
        let text = secret().url("A shop", &Email::parse("ann@example.com").unwrap()).unwrap();
        let (code, expected) = (QrCode::new(&text).unwrap(), QRBuilder::new(text).ecl(ECL::M).build().unwrap());
        let mut dark = Vec::new();
        for run in code.path.split('M').skip(1) {
            let (place, run) = run.split_once('h').unwrap();
            let (x, y) = place.split_once(' ').unwrap();
            let width: usize = run.split_once('v').unwrap().0.parse().unwrap();
            let (x, y): (usize, usize) = (x.parse().unwrap(), y.parse().unwrap());
            dark.extend((x..x + width).map(|x| (y - QUIET_ZONE, x - QUIET_ZONE)));
        }
        let places = (0..expected.size).flat_map(|y| (0..expected.size).map(move |x| (y, x)));
        let all: Vec<_> = places.filter(|(y, x)| expected[*y][*x].value()).collect();
        assert_eq!(dark, all);
        assert!(code.path.len() < 8000, "{}", code.path.len());
    }
}

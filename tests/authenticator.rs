//! A passkey authenticator in software, with the answers that a browser sends (WebAuthn level 3 sections 5.1 and 6).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const HAS_CREDENTIAL: u8 = 0x40;

/// One passkey, with what its browser claims. Tests change single fields to send what is to be refused.
pub struct Passkey {
    key: EcdsaKeyPair,
    pub id: Vec<u8>,
    pub user_handle: Option<Vec<u8>>,
    pub origin: String,
    pub rp_id: String,
    pub flags: u8,
    /// Increased before each assertion; 0 stays 0, as in most passkeys.
    pub counter: u32,
}

impl Passkey {
    /// A new passkey for the options of `navigator.credentials.create`.
    pub fn create(options: &Value, origin: &str) -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        Self {
            id: Sha256::digest(key.public_key().as_ref()).to_vec(),
            key,
            user_handle: Some(decode(&options["user"]["id"])),
            origin: origin.to_owned(),
            rp_id: options["rp"]["id"].as_str().unwrap().to_owned(),
            flags: USER_PRESENT | USER_VERIFIED,
            counter: 0,
        }
    }

    /// Without user verification, as a stolen security key without its PIN.
    pub fn without_user_verification(mut self) -> Self {
        self.flags = USER_PRESENT;
        self
    }

    /// The answer to `navigator.credentials.create`.
    pub fn attestation(&self, options: &Value) -> Value {
        let mut data = self.authenticator_data(self.flags | HAS_CREDENTIAL);
        data.extend([0; 16]); // AAGUID
        data.extend(u16::try_from(self.id.len()).unwrap().to_be_bytes());
        data.extend(&self.id);
        data.extend(self.cose_key());
        // {"fmt": "none", "attStmt": {}, "authData": data}
        let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59".to_vec();
        object.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        object.extend(&data);
        let response = json!({
            "clientDataJSON": encode(&self.client_data("webauthn.create", options)),
            "attestationObject": encode(&object),
        });
        json!({ "id": encode(&self.id), "rawId": encode(&self.id), "type": "public-key", "response": response,
                "clientExtensionResults": { "credProps": { "rk": true } } })
    }

    /// The answer to `navigator.credentials.get`.
    pub fn assertion(&mut self, options: &Value) -> Value {
        if self.counter > 0 {
            self.counter += 1;
        }
        let data = self.authenticator_data(self.flags);
        let client_data = self.client_data("webauthn.get", options);
        let signed = [data.clone(), Sha256::digest(&client_data).to_vec()].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed).unwrap();
        let response = json!({
            "clientDataJSON": encode(&client_data),
            "authenticatorData": encode(&data),
            "signature": encode(signature.as_ref()),
            "userHandle": self.user_handle.as_deref().map(encode),
        });
        json!({ "id": encode(&self.id), "rawId": encode(&self.id), "type": "public-key", "response": response,
                "clientExtensionResults": {} })
    }

    fn authenticator_data(&self, flags: u8) -> Vec<u8> {
        let mut data = Sha256::digest(self.rp_id.as_bytes()).to_vec();
        data.push(flags);
        data.extend(self.counter.to_be_bytes());
        data
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        json!({ "type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": false })
            .to_string()
            .into_bytes()
    }

    /// {1: 2 (EC2), 3: -7 (ES256), -1: 1 (P-256), -2: x, -3: y}
    fn cose_key(&self) -> Vec<u8> {
        // 04, x, y
        let point = self.key.public_key().as_ref();
        let mut key = b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20".to_vec();
        key.extend(&point[1..33]);
        key.extend(b"\x22\x58\x20");
        key.extend(&point[33..65]);
        key
    }
}

pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn decode(text: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap()
}

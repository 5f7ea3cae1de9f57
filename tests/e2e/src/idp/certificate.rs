//! A throw-away certificate: X.509 (RFC 5280) with one name, signed by its own key, so that who
//! trusts it trusts nobody else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer as _;
use p256::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _};
use rsa::rand_core::OsRng;

/// A certificate and its key, both as PEM.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

impl Certificate {
    /// A fresh one for that host name.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        let key = SigningKey::random(&mut OsRng);
        let secret = p256::SecretKey::from(&key);
        let public = secret.public_key().to_public_key_der()?;
        let certificate = certificate(name, public.as_bytes(), &key);
        Ok(Self {
            certificate: pem("CERTIFICATE", &certificate),
            key: pem("PRIVATE KEY", secret.to_pkcs8_der()?.as_bytes()),
        })
    }
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const GENERALIZED_TIME: u8 = 0x18;

/// ecdsa-with-SHA256, 1.2.840.10045.4.3.2.
const ECDSA_SHA256: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
/// id-at-commonName, 2.5.4.3.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
/// id-ce-subjectAltName, 2.5.29.17.
const SUBJECT_ALT_NAME: [u8; 3] = [0x55, 0x1d, 0x11];

/// The DER form (section 4.1).
fn certificate(name: &str, public: &[u8], key: &SigningKey) -> Vec<u8> {
    let algorithm = der(SEQUENCE, &[&der(OID, &[&ECDSA_SHA256])]);
    let common_name = der(SEQUENCE, &[&der(OID, &[&COMMON_NAME]), &der(UTF8_STRING, &[name.as_bytes()])]);
    let whoever = der(SEQUENCE, &[&der(SET, &[&common_name])]);
    let time = |text: &str| der(GENERALIZED_TIME, &[text.as_bytes()]);
    let names = der(SEQUENCE, &[&der(0x82, &[name.as_bytes()])]);
    let extension = der(SEQUENCE, &[&der(OID, &[&SUBJECT_ALT_NAME]), &der(OCTET_STRING, &[&names])]);
    let content = der(
        SEQUENCE,
        &[
            &der(0xa0, &[&der(INTEGER, &[&[2]])]), // version 3
            &der(INTEGER, &[&[1]]),                // serial number
            &algorithm,
            &whoever, // issuer
            &der(SEQUENCE, &[&time("20200101000000Z"), &time("21200101000000Z")]),
            &whoever, // subject
            public,
            &der(0xa3, &[&der(SEQUENCE, &[&extension])]),
        ],
    );
    let signature: p256::ecdsa::Signature = key.sign(&content);
    let signature = der(BIT_STRING, &[&[0], signature.to_der().as_bytes()]);
    der(SEQUENCE, &[&content, &algorithm, &signature])
}

/// A tag, a length of up to 16 bits, and the content.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let [high, low] = u16::try_from(content.len()).expect("a small certificate").to_be_bytes();
    let head = match (high, low) {
        (0, 0..0x80) => vec![tag, low],
        (0, _) => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [head, content].concat()
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|from| &text[from..(from + 64).min(text.len())]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

//! Public keys out of JWKs (RFC 7518 section 6, RFC 8037 section 2), checked when they are read.

use super::Algorithm;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_compact::alg::RsaPublicKey;
use rsa::BigUint;
use rsa::pkcs8::EncodePublicKey as _;
use rsa::traits::PublicKeyParts as _;
use serde_json::Value;

/// Sizes of RSA keys that are accepted, in bits: smaller ones are unsafe (RFC 7518 section 3.3),
/// larger ones cost more than a request may.
pub const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;
/// The smallest RSA exponent that is accepted (FIPS 186-5 section 5.1).
const MIN_EXPONENT: u32 = 65_537;

/// A public key that has been checked: of an accepted size, and on its curve. Where the host can
/// verify with it, it is also kept as DER SubjectPublicKeyInfo (RFC 5280 section 4.1).
#[derive(Clone, Debug)]
pub enum PublicKey {
    /// RSA.
    Rsa {
        /// The key.
        key: RsaPublicKey,
        /// The same for the host.
        spki_der: Vec<u8>,
    },
    /// A point on P-256.
    P256 {
        /// The key.
        key: p256::ecdsa::VerifyingKey,
        /// The same for the host.
        spki_der: Vec<u8>,
    },
    /// A point on P-384.
    P384 {
        /// The key.
        key: p384::ecdsa::VerifyingKey,
        /// The same for the host.
        spki_der: Vec<u8>,
    },
    /// A point on Ed25519.
    Ed25519(ed25519_dalek::VerifyingKey),
}

impl PublicKey {
    /// Whether the algorithm takes this type of key.
    #[must_use]
    pub const fn fits(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{EdDsa, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        match self {
            Self::Rsa { .. } => matches!(algorithm, Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512),
            Self::P256 { .. } => matches!(algorithm, Es256),
            Self::P384 { .. } => matches!(algorithm, Es384),
            Self::Ed25519(_) => matches!(algorithm, EdDsa),
        }
    }

    pub(super) fn read(jwk: &Value) -> Result<Self, &'static str> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| {
            let encoded = text(name).ok_or("a member of the key is missing")?;
            URL_SAFE_NO_PAD.decode(encoded.trim_end_matches('=')).map_err(|_| "a member of the key is not base64url")
        };
        match (text("kty"), text("crv")) {
            (Some("RSA"), _) => rsa(&bytes("n")?, &bytes("e")?),
            (Some("EC"), Some("P-256")) => p256(&bytes("x")?, &bytes("y")?),
            (Some("EC"), Some("P-384")) => p384(&bytes("x")?, &bytes("y")?),
            (Some("OKP"), Some("Ed25519")) => ed25519(&bytes("x")?),
            (Some("EC" | "OKP"), _) => Err("`crv` is not supported"),
            _ => Err("`kty` is not supported"),
        }
    }
}

fn rsa(n: &[u8], e: &[u8]) -> Result<PublicKey, &'static str> {
    // Looked at before any arithmetic, so that a huge number costs nothing.
    if n.len() > 1_024 || e.len() > 8 {
        return Err("an RSA key must have 2048 to 4096 bits and an exponent of at most 64");
    }
    let (n, e) = (BigUint::from_bytes_be(n), BigUint::from_bytes_be(e));
    if !RSA_BITS.contains(&n.bits()) {
        return Err("an RSA key must have 2048 to 4096 bits");
    }
    if e < BigUint::from(MIN_EXPONENT) {
        return Err("the RSA exponent is smaller than 65537");
    }
    let odd = |number: &BigUint| number.to_bytes_le().first().is_some_and(|b| b & 1 == 1);
    if !odd(&n) || !odd(&e) {
        return Err("the RSA modulus or exponent is even");
    }
    let key = RsaPublicKey::new(n, e).map_err(|_| "the RSA key is not valid")?;
    debug_assert!(RSA_BITS.contains(&key.n().bits()));
    let spki_der = key.to_public_key_der().map_err(|_| "the key cannot be encoded")?.into_vec();
    Ok(PublicKey::Rsa { key, spki_der })
}

fn p256(x: &[u8], y: &[u8]) -> Result<PublicKey, &'static str> {
    if x.len() != 32 || y.len() != 32 {
        return Err("a coordinate has the wrong length");
    }
    let point = p256::EncodedPoint::from_affine_coordinates(x.into(), y.into(), false);
    let key = p256::ecdsa::VerifyingKey::from_encoded_point(&point).map_err(|_| "the point is not on the curve")?;
    let spki_der = p256::PublicKey::from(&key).to_public_key_der().map_err(|_| "the key cannot be encoded")?.into_vec();
    Ok(PublicKey::P256 { key, spki_der })
}

fn p384(x: &[u8], y: &[u8]) -> Result<PublicKey, &'static str> {
    if x.len() != 48 || y.len() != 48 {
        return Err("a coordinate has the wrong length");
    }
    let point = p384::EncodedPoint::from_affine_coordinates(x.into(), y.into(), false);
    let key = p384::ecdsa::VerifyingKey::from_encoded_point(&point).map_err(|_| "the point is not on the curve")?;
    let spki_der = p384::PublicKey::from(&key).to_public_key_der().map_err(|_| "the key cannot be encoded")?.into_vec();
    Ok(PublicKey::P384 { key, spki_der })
}

fn ed25519(x: &[u8]) -> Result<PublicKey, &'static str> {
    let bytes = x.try_into().map_err(|_| "a coordinate has the wrong length")?;
    let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| "the point is not on the curve")?;
    // Every message has a signature under a key of small order.
    if key.is_weak() { Err("the key is of small order") } else { Ok(PublicKey::Ed25519(key)) }
}

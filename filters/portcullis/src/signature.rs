//! Signatures, checked by the proxy where it offers that, else by the module itself.

use crate::host;
use crate::vm::{self, Checker};
use portcullis::authn::keys::{Algorithm, PublicKey};
use portcullis::authn::signature::{PureRust, SignatureCheck, ecdsa_der};
use std::borrow::Cow;

/// Envoy's `verify_signature`, with the pure Rust check behind it.
pub struct Native;

impl SignatureCheck for Native {
    fn verify(&self, algorithm: Algorithm, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        if let Some(verdict) = by_host(algorithm, key, message, signature) {
            vm::count_signature(Checker::Host);
            return verdict;
        }
        vm::count_signature(Checker::Module);
        PureRust.verify(algorithm, key, message, signature)
    }
}

/// The proxy's verdict; `None` where it cannot check this algorithm, has no such function, or is
/// not let to offer it. It knows PKCS #1 and ECDSA, and does not bind a curve to an algorithm: only
/// a key that fits gets here.
fn by_host(algorithm: Algorithm, key: &PublicKey, message: &[u8], signature: &[u8]) -> Option<bool> {
    if !key.fits(algorithm) {
        return None;
    }
    let hash = match algorithm {
        Algorithm::Rs256 | Algorithm::Es256 => "sha256",
        Algorithm::Rs384 | Algorithm::Es384 => "sha384",
        Algorithm::Rs512 => "sha512",
        Algorithm::Ps256 | Algorithm::Ps384 | Algorithm::Ps512 | Algorithm::EdDsa => return None,
    };
    let (key, signature) = match key {
        PublicKey::Rsa { spki_der, .. } => (spki_der, Cow::Borrowed(signature)),
        PublicKey::P256 { spki_der, .. } | PublicKey::P384 { spki_der, .. } => {
            (spki_der, Cow::Owned(ecdsa_der(algorithm, signature)?))
        }
        PublicKey::Ed25519(_) => return None,
    };
    // The key goes into field 2, as DER: the PEM of field 5 fails on older Envoys.
    let fields = [(1, hash.as_bytes()), (2, key.as_slice()), (3, &*signature), (4, message)];
    let result = host::call_foreign_function("verify_signature", &message_of(fields)).ok()?;
    Some(result == SUCCESS)
}

/// A protobuf result with `bool result = 1` true and no error.
const SUCCESS: [u8; 2] = [0x08, 0x01];

/// A protobuf message of fields of bytes: of each its tag, its length as a varint, its content.
fn message_of(fields: [(u8, &[u8]); 4]) -> Vec<u8> {
    // A tag has one byte here, a length at most five.
    let size = fields.iter().map(|(_, content)| content.len().saturating_add(6)).fold(0, usize::saturating_add);
    let mut bytes = Vec::with_capacity(size);
    for (number, content) in fields {
        bytes.push(number.wrapping_shl(3) | 2);
        let mut length = content.len();
        loop {
            let low = u8::try_from(length & 0x7f).unwrap_or(0);
            length = length.wrapping_shr(7);
            if length == 0 {
                bytes.push(low);
                break;
            }
            bytes.push(low | 0x80);
        }
        bytes.extend_from_slice(content);
    }
    bytes
}

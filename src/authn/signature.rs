//! Checking a signature: by the host, or in pure Rust.
//!
//! Both stand behind one trait and answer alike. The host is many times faster; where it does not
//! offer the check, the module does it itself.

use super::keys::{Algorithm, PublicKey};
use jwt_compact::alg::{Ed25519, Es256, Rsa};
use jwt_compact::{Algorithm as Checker, AlgorithmSignature as _};
use p384::ecdsa::signature::Verifier as _;
use rsa::BigUint;
use rsa::traits::PublicKeyParts as _;

/// Who can check signatures.
pub trait SignatureCheck {
    /// Whether `signature` over `message` was made with the private half of `key`.
    fn verify(&self, algorithm: Algorithm, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool;
}

/// The check in pure Rust.
#[derive(Clone, Copy, Debug, Default)]
pub struct PureRust;

impl SignatureCheck for PureRust {
    fn verify(&self, algorithm: Algorithm, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        let rsa = match algorithm {
            Algorithm::Rs256 => Some(Rsa::rs256()),
            Algorithm::Rs384 => Some(Rsa::rs384()),
            Algorithm::Rs512 => Some(Rsa::rs512()),
            Algorithm::Ps256 => Some(Rsa::ps256()),
            Algorithm::Ps384 => Some(Rsa::ps384()),
            Algorithm::Ps512 => Some(Rsa::ps512()),
            Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => None,
        };
        match (algorithm, key, rsa) {
            (_, PublicKey::Rsa { key, .. }, Some(checker)) => {
                // RFC 8017 section 5.2.2: a signature is smaller than the modulus. The `rsa` crate
                // does not look at that for PSS.
                let in_range = signature.len() == key.size() && BigUint::from_bytes_be(signature) < *key.n();
                in_range && check(&checker, key, message, signature)
            }
            (Algorithm::Es256, PublicKey::P256 { key, .. }, None) => check(&Es256, key, message, signature),
            (Algorithm::Es384, PublicKey::P384 { key, .. }, None) => {
                p384::ecdsa::Signature::from_slice(signature).is_ok_and(|s| key.verify(message, &s).is_ok())
            }
            (Algorithm::EdDsa, PublicKey::Ed25519(key), None) => check(&Ed25519, key, message, signature),
            _ => false,
        }
    }
}

fn check<A: Checker>(checker: &A, key: &A::VerifyingKey, message: &[u8], signature: &[u8]) -> bool {
    A::Signature::try_from_slice(signature).is_ok_and(|s| checker.verify_signature(&s, key, message))
}

/// An ECDSA signature as JWS has it, two numbers side by side (RFC 7518 section 3.4), in the ASN.1
/// form that hosts take (RFC 3279 section 2.2.3); `None` where it is not one of this algorithm.
#[must_use]
pub fn ecdsa_der(algorithm: Algorithm, signature: &[u8]) -> Option<Vec<u8>> {
    match algorithm {
        Algorithm::Es256 => Some(p256::ecdsa::Signature::from_slice(signature).ok()?.to_der().as_bytes().to_vec()),
        Algorithm::Es384 => Some(p384::ecdsa::Signature::from_slice(signature).ok()?.to_der().as_bytes().to_vec()),
        _ => None,
    }
}

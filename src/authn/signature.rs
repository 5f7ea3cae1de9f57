//! Checking a signature: by the host, or in pure Rust.
//!
//! Both stand behind one trait and answer alike. The host is many times faster; where it does not
//! offer the check, the module does it itself.

use super::keys::{Algorithm, RsaKey};
use jwt_compact::alg::Rsa;
use jwt_compact::{Algorithm as _, AlgorithmSignature as _};

/// Who can check signatures.
pub trait SignatureCheck {
    /// Whether `signature` over `message` was made with the private half of `key`.
    fn verify(&self, algorithm: Algorithm, key: &RsaKey, message: &[u8], signature: &[u8]) -> bool;
}

/// The check in pure Rust.
#[derive(Clone, Copy, Debug, Default)]
pub struct PureRust;

impl SignatureCheck for PureRust {
    fn verify(&self, algorithm: Algorithm, key: &RsaKey, message: &[u8], signature: &[u8]) -> bool {
        let checker = match algorithm {
            Algorithm::Rs256 => Rsa::rs256(),
        };
        <Rsa as jwt_compact::Algorithm>::Signature::try_from_slice(signature)
            .is_ok_and(|signature| checker.verify_signature(&signature, &key.key, message))
    }
}

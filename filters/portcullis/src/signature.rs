//! Signatures, checked by the proxy where it offers that, else by the module itself.

use crate::host;
use crate::vm::{self, Checker};
use portcullis::authn::keys::{Algorithm, RsaKey};
use portcullis::authn::signature::{PureRust, SignatureCheck};

/// Envoy's `verify_signature`, with the pure Rust check behind it.
pub struct Native;

impl SignatureCheck for Native {
    fn verify(&self, algorithm: Algorithm, key: &RsaKey, message: &[u8], signature: &[u8]) -> bool {
        let hash = match algorithm {
            Algorithm::Rs256 => "sha256",
        };
        // The key goes into field 2, as DER: the PEM of field 5 fails on older Envoys.
        let arguments = [field(1, hash.as_bytes()), field(2, &key.spki_der), field(3, signature), field(4, message)];
        match host::call_foreign_function("verify_signature", &arguments.concat()) {
            Ok(result) => {
                vm::count_signature(Checker::Host);
                result == SUCCESS
            }
            // The proxy has no such function, or is not let to offer it.
            Err(_) => {
                vm::count_signature(Checker::Module);
                PureRust.verify(algorithm, key, message, signature)
            }
        }
    }
}

/// A protobuf result with `bool result = 1` true and no error.
const SUCCESS: [u8; 2] = [0x08, 0x01];

/// A protobuf field of bytes: its tag, its length as a varint, its content.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number.wrapping_shl(3) | 2];
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
    bytes.extend(content);
    bytes
}

//! An issuer with its key, and tokens of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};

/// The issuer's name.
pub const NAME: &str = "https://idp.example";
/// An audience of its tokens.
pub const AUDIENCE: &str = "orders";
/// The id of its key.
pub const KEY_ID: &str = "a";
/// The time of all targets.
pub const NOW: i64 = 1_800_000_000;

/// A private key that hangs on its number alone.
pub fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

/// Its public half as a JWK.
pub fn jwk(key: &SigningKey, id: &str) -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "kid": id, "x": BASE64.encode(key.verifying_key().as_bytes()) })
}

/// A token, signed.
pub fn sign(key: &SigningKey, header: &[u8], claims: &[u8]) -> String {
    let message = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
    let signature = key.sign(message.as_bytes());
    format!("{message}.{}", BASE64.encode(signature.to_bytes()))
}

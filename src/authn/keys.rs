//! Key sets (RFC 7517): which keys of an issuer can check its tokens.

use crate::json;
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
/// The most keys that a set may have.
pub const MAX_KEYS: usize = 100;

/// A signature algorithm of RFC 7518 section 3.1, with the only key type it takes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
}

impl Algorithm {
    /// All algorithms.
    pub const ALL: &'static [Self] = &[Self::Rs256];

    /// The algorithm of this `alg` value.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|a| a.name() == name)
    }

    /// The `alg` value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
        }
    }
}

/// An RSA public key, checked, in the forms that both signature checks need.
#[derive(Clone, Debug)]
pub struct RsaKey {
    /// The key.
    pub key: RsaPublicKey,
    /// The same as DER SubjectPublicKeyInfo (RFC 5280 section 4.1).
    pub spki_der: Vec<u8>,
}

/// One key of a set.
#[derive(Clone, Debug)]
pub struct Key {
    /// `kid`, where it has one.
    pub id: Option<String>,
    /// `alg`, where the set restricts the key to one.
    pub algorithm: Option<Algorithm>,
    /// The public key.
    pub rsa: RsaKey,
}

/// The usable keys of an issuer.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

/// A key that cannot be used, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Skipped {
    /// Its place in `keys`.
    pub index: usize,
    /// Why.
    pub reason: &'static str,
}

impl KeySet {
    /// Takes the usable keys from the members of a JWK set; others are skipped, not an error: sets
    /// hold encryption keys, and one bad key must not spoil the good ones.
    #[must_use]
    pub fn read(keys: &[Value]) -> (Self, Vec<Skipped>) {
        let mut set = Self::default();
        let mut skipped = Vec::new();
        for (index, jwk) in keys.iter().enumerate() {
            match read_key(jwk) {
                _ if index >= MAX_KEYS => skipped.push(Skipped { index, reason: "the set has too many keys" }),
                Ok(key) => set.keys.push(key),
                Err(reason) => skipped.push(Skipped { index, reason }),
            }
        }
        (set, skipped)
    }

    /// Reads a JWK set document.
    ///
    /// # Errors
    /// It is not a JSON object with a list of `keys`.
    pub fn parse(document: &[u8]) -> Result<(Self, Vec<Skipped>), &'static str> {
        let document = json::parse(document).map_err(|_| "not JSON")?;
        let keys = document.get("keys").and_then(Value::as_array).ok_or("`keys` is not a list")?;
        Ok(Self::read(keys))
    }

    /// Whether it has no usable key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys that may have signed a token with this `kid` and algorithm. Without a `kid` in the
    /// token every key fits.
    pub fn candidates(&self, id: Option<&str>, algorithm: Algorithm) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(move |key| {
            key.algorithm.is_none_or(|a| a == algorithm) && (id.is_none() || key.id.as_deref() == id)
        })
    }
}

fn read_key(jwk: &Value) -> Result<Key, &'static str> {
    let text = |name: &str| match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(&**text)),
        Some(_) => Err("a member is not text"),
    };
    if !jwk.is_object() {
        return Err("not an object");
    }
    if text("use")?.is_some_and(|u| u != "sig") {
        return Err("`use` is not `sig`");
    }
    if let Some(operations) = jwk.get("key_ops") {
        let verify = operations.as_array().is_some_and(|list| list.iter().any(|o| o == "verify"));
        if !verify {
            return Err("`key_ops` does not have `verify`");
        }
    }
    let algorithm = match text("alg")? {
        None => None,
        Some(name) => Some(Algorithm::named(name).ok_or("`alg` is not supported")?),
    };
    if text("kty")? != Some("RSA") {
        return Err("`kty` is not supported");
    }
    let number = |name: &str| -> Result<BigUint, &'static str> {
        let encoded = text(name)?.ok_or("`n` or `e` is missing")?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded.trim_end_matches('=')).map_err(|_| "`n` or `e` is not base64url")?;
        Ok(BigUint::from_bytes_be(&bytes))
    };
    let id = text("kid")?.map(Into::into);
    Ok(Key { id, algorithm, rsa: rsa_key(number("n")?, number("e")?)? })
}

fn rsa_key(n: BigUint, e: BigUint) -> Result<RsaKey, &'static str> {
    if !RSA_BITS.contains(&n.bits()) {
        return Err("an RSA key must have 2048 to 4096 bits");
    }
    if e < BigUint::from(MIN_EXPONENT) {
        return Err("the RSA exponent is smaller than 65537");
    }
    let key = RsaPublicKey::new(n, e).map_err(|_| "the RSA key is not valid")?;
    if key.n().to_bytes_le().first().is_none_or(|b| b & 1 == 0)
        || key.e().to_bytes_le().first().is_none_or(|b| b & 1 == 0)
    {
        return Err("the RSA modulus or exponent is even");
    }
    let spki_der = key.to_public_key_der().map_err(|_| "the RSA key cannot be encoded")?.into_vec();
    Ok(RsaKey { key, spki_der })
}

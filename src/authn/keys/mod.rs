//! Key sets (RFC 7517): which keys of an issuer can check its tokens.

mod algorithm;
mod public;
pub mod remote;

use crate::json;
pub use algorithm::Algorithm;
pub use public::{PublicKey, RSA_BITS};
use serde_json::Value;

/// The most keys that a set may have.
pub const MAX_KEYS: usize = 100;

/// One key of a set.
#[derive(Clone, Debug)]
pub struct Key {
    /// `kid`, where it has one.
    pub id: Option<String>,
    /// `alg`, where the set restricts the key to one.
    pub algorithm: Option<Algorithm>,
    /// The public key.
    pub public: PublicKey,
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

    /// The algorithms that some key may be used with.
    #[must_use]
    pub fn algorithms(&self) -> Vec<Algorithm> {
        let usable = |a: &Algorithm| self.candidates(None, *a).next().is_some();
        Algorithm::ALL.iter().copied().filter(usable).collect()
    }

    /// Whether a key has this id, whatever it may be used with.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.id.as_deref() == Some(id))
    }

    /// The keys that may have signed a token with this `kid` and algorithm. Without a `kid` in the
    /// token every key fits.
    pub fn candidates(&self, id: Option<&str>, algorithm: Algorithm) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(move |key| {
            key.public.fits(algorithm)
                && key.algorithm.is_none_or(|a| a == algorithm)
                && (id.is_none() || key.id.as_deref() == id)
        })
    }
}

fn read_key(jwk: &Value) -> Result<Key, &'static str> {
    let text = |name: &str| match jwk.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(&**text)),
        Some(_) => Err("a member is not text"),
    };
    if !jwk.is_object() {
        return Err("not an object");
    }
    if jwk.get("d").is_some() || jwk.get("k").is_some() {
        return Err("it is a private or secret key");
    }
    if text("use")?.is_some_and(|u| u != "sig") {
        return Err("`use` is not `sig`");
    }
    if let Some(operations) = jwk.get("key_ops").filter(|operations| !operations.is_null()) {
        let verify = operations.as_array().is_some_and(|list| list.iter().any(|o| o == "verify"));
        if !verify {
            return Err("`key_ops` does not have `verify`");
        }
    }
    let algorithm = match text("alg")? {
        None => None,
        Some(name) => Some(Algorithm::named(name).ok_or("`alg` is not supported")?),
    };
    let public = PublicKey::read(jwk)?;
    if algorithm.is_some_and(|algorithm| !public.fits(algorithm)) {
        return Err("`alg` does not take this type of key");
    }
    Ok(Key { id: text("kid")?.map(Into::into), algorithm, public })
}

//! Tokens of a throw-away key, good ones and forgeries.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, Mac};
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::{EncodePublicKey, LineEnding};
use rsa::rand_core::OsRng;
use rsa::sha2::Sha256;
use rsa::signature::{SignatureEncoding, Signer};
use rsa::traits::PublicKeyParts;
use rsa::{RsaPrivateKey, RsaPublicKey};
use serde_json::{Value, json};

/// Someone who signs tokens: an RSA-2048 key, made at start and never kept.
#[derive(Debug)]
pub struct Issuer {
    issuer: String,
    audience: String,
    kid: String,
    key: SigningKey<Sha256>,
    public: RsaPublicKey,
}

impl Issuer {
    /// An issuer with a fresh key, for one audience.
    pub fn new(issuer: &str, audience: &str) -> Result<Self> {
        let key = RsaPrivateKey::new(&mut OsRng, 2048)?;
        Ok(Self {
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            kid: "key-1".to_owned(),
            public: key.to_public_key(),
            key: SigningKey::new(key),
        })
    }

    /// Someone with another key who claims to be this issuer, key id and all.
    pub fn impostor(&self) -> Result<Self> {
        Self::new(&self.issuer, &self.audience)
    }

    /// What its tokens say in `iss`.
    pub fn name(&self) -> &str {
        &self.issuer
    }

    /// What its tokens say in `aud`.
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// Its key set, the public part.
    pub fn jwks(&self) -> Value {
        let part = |number: &rsa::BigUint| BASE64.encode(number.to_bytes_be());
        json!({"keys": [{
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid,
            "n": part(self.public.n()), "e": part(self.public.e()),
        }]})
    }

    /// A token with these claims over the usual ones (`iss`, `aud`, `iat`, and `exp` in twelve
    /// hours); a claim that is null here is left out.
    pub fn token(&self, claims: &Value) -> String {
        self.sign(&self.header(), &self.claims(claims))
    }

    /// The header of an honest token.
    pub fn header(&self) -> Value {
        json!({"alg": "RS256", "kid": self.kid, "typ": "JWT"})
    }

    /// The claims that [`Issuer::token`] signs.
    pub fn claims(&self, changes: &Value) -> Value {
        let now = now();
        let usual = json!({
            "iss": self.issuer, "aud": self.audience, "iat": now, "exp": now + 12 * 3600,
        });
        merged(usual, changes)
    }

    /// A token with exactly this header and these claims, signed RS256 whatever the header says.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_raw(header.to_string(), claims.to_string())
    }

    /// A token whose header and payload are these very bytes, for what no JSON library would write.
    pub fn sign_raw(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        let text = signing_input(header, payload);
        join(&text, &self.key.sign(text.as_bytes()).to_bytes())
    }

    /// Forged: says `alg: none`, and has no signature.
    pub fn unsigned(&self, claims: &Value) -> String {
        let header = json!({"alg": "none", "typ": "JWT"});
        join(&signing_input(header.to_string(), self.claims(claims).to_string()), b"")
    }

    /// Forged: HS256 with the public key's PEM text as the secret, for a verifier that lets the
    /// token choose the algorithm.
    pub fn confused(&self, claims: &Value) -> Result<String> {
        let header = json!({"alg": "HS256", "kid": self.kid, "typ": "JWT"});
        let text = signing_input(header.to_string(), self.claims(claims).to_string());
        let secret = self.public.to_public_key_pem(LineEnding::LF)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?;
        mac.update(text.as_bytes());
        Ok(join(&text, &mac.finalize().into_bytes()))
    }

    /// A token that is honest but for its header, where these members stand over the usual ones.
    pub fn with_header(&self, changes: &Value, claims: &Value) -> String {
        self.sign(&merged(self.header(), changes), &self.claims(claims))
    }
}

/// Forged: that token with other claims over its own, under its old signature.
pub fn tampered(token: &str, changes: &Value) -> Result<String> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else { anyhow::bail!("not a compact token") };
    let claims = merged(serde_json::from_slice(&BASE64.decode(payload)?)?, changes);
    Ok(format!("{header}.{}.{signature}", BASE64.encode(claims.to_string())))
}

/// Any three parts as a token, each encoded, nothing checked.
pub fn compact(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>, signature: &[u8]) -> String {
    join(&signing_input(header, payload), signature)
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

pub(crate) fn signing_input(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    format!("{}.{}", BASE64.encode(header), BASE64.encode(payload))
}

pub(crate) fn join(signing_input: &str, signature: &[u8]) -> String {
    format!("{signing_input}.{}", BASE64.encode(signature))
}

/// The members of both, `changes` winning, without those that are null.
pub(crate) fn merged(mut base: Value, changes: &Value) -> Value {
    if let (Some(base), Some(changes)) = (base.as_object_mut(), changes.as_object()) {
        base.extend(changes.clone());
        base.retain(|_, value| !value.is_null());
    }
    base
}

#[cfg(test)]
mod tests {
    use super::*;
    use rsa::pkcs1v15::{Signature, VerifyingKey};
    use rsa::signature::Verifier;

    fn verifies(issuer: &Issuer, token: &str) -> bool {
        let (text, signature) = token.rsplit_once('.').expect("three parts");
        let signature = BASE64.decode(signature).expect("base64url");
        let key = VerifyingKey::<Sha256>::new(issuer.public.clone());
        Signature::try_from(signature.as_slice()).is_ok_and(|signature| key.verify(text.as_bytes(), &signature).is_ok())
    }

    #[test]
    fn only_the_honest_token_verifies() {
        let issuer = Issuer::new("https://idp.test", "api").expect("a key");
        let claims = json!({"sub": "ada", "aud": null});
        let token = issuer.token(&claims);
        assert!(verifies(&issuer, &token));
        assert!(!verifies(&issuer, &issuer.impostor().expect("a key").token(&claims)));
        assert!(!verifies(&issuer, &tampered(&token, &json!({"sub": "bob"})).expect("a token")));
        assert!(!verifies(&issuer, &issuer.confused(&claims).expect("a token")));
        assert!(issuer.unsigned(&claims).ends_with('.'));
    }

    #[test]
    fn null_leaves_a_claim_out() {
        let issuer = Issuer::new("https://idp.test", "api").expect("a key");
        let claims = issuer.claims(&json!({"sub": "ada", "aud": null, "exp": 7}));
        assert_eq!(claims["iss"], "https://idp.test");
        assert_eq!(claims["sub"], "ada");
        assert_eq!(claims["exp"], 7);
        assert_eq!(claims.get("aud"), None);
    }
}

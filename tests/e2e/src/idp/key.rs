//! Signing keys of every accepted algorithm.

use anyhow::{Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use rsa::rand_core::{OsRng, RngCore as _};
use rsa::sha2::{Sha256, Sha384, Sha512};
use rsa::signature::{RandomizedSigner as _, SignatureEncoding as _, Signer as _};
use rsa::traits::PublicKeyParts as _;
use rsa::{RsaPrivateKey, pkcs1v15, pss};
use serde_json::{Value, json};

use crate::tokens;

/// A key that is made at start and never kept.
#[derive(Debug, Clone)]
pub struct Key {
    kid: String,
    algorithm: &'static str,
    secret: Secret,
}

#[derive(Debug, Clone)]
enum Secret {
    Rsa(Box<RsaPrivateKey>),
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    Ed25519(ed25519_dalek::SigningKey),
}

impl Key {
    /// A fresh key of the quickest algorithm.
    pub fn new(kid: &str) -> Self {
        let mut seed = [0; 32];
        OsRng.fill_bytes(&mut seed);
        let secret = Secret::Ed25519(ed25519_dalek::SigningKey::from_bytes(&seed));
        Self { kid: kid.to_owned(), algorithm: "EdDSA", secret }
    }

    /// A fresh key for that algorithm; of RSA-2048 where it is one of RSA.
    pub fn of(algorithm: &'static str, kid: &str) -> Result<Self> {
        let secret = match algorithm {
            "ES256" => Secret::P256(p256::ecdsa::SigningKey::random(&mut OsRng)),
            "ES384" => Secret::P384(p384::ecdsa::SigningKey::random(&mut OsRng)),
            "EdDSA" => return Ok(Self::new(kid)),
            _ if algorithm.starts_with("RS") || algorithm.starts_with("PS") => {
                Secret::Rsa(Box::new(RsaPrivateKey::new(&mut OsRng, 2048)?))
            }
            _ => bail!("no key for {algorithm}"),
        };
        Ok(Self { kid: kid.to_owned(), algorithm, secret })
    }

    /// The same key for another algorithm that takes it, under another id.
    pub fn also(&self, algorithm: &'static str, kid: &str) -> Self {
        Self { kid: kid.to_owned(), algorithm, ..self.clone() }
    }

    /// Its id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> &'static str {
        self.algorithm
    }

    /// Its public part, as a key set has it.
    pub fn jwk(&self) -> Value {
        let text = |bytes: &[u8]| BASE64.encode(bytes);
        let mut jwk = match &self.secret {
            Secret::Rsa(key) => {
                json!({"kty": "RSA", "n": text(&key.n().to_bytes_be()), "e": text(&key.e().to_bytes_be())})
            }
            Secret::P256(key) => {
                let point = key.verifying_key().to_encoded_point(false);
                let [x, y] = [point.x(), point.y()].map(|part| part.map(|part| text(part)));
                json!({"kty": "EC", "crv": "P-256", "x": x, "y": y})
            }
            Secret::P384(key) => {
                let point = key.verifying_key().to_encoded_point(false);
                let [x, y] = [point.x(), point.y()].map(|part| part.map(|part| text(part)));
                json!({"kty": "EC", "crv": "P-384", "x": x, "y": y})
            }
            Secret::Ed25519(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": text(key.verifying_key().as_bytes())})
            }
        };
        jwk["kid"] = self.kid.as_str().into();
        jwk["alg"] = self.algorithm.into();
        jwk["use"] = "sig".into();
        jwk
    }

    /// A token of that issuer, for the orchestration API and for an hour, with these claims over
    /// the usual ones; a claim that is null here is left out.
    pub fn token(&self, issuer: &str, claims: &Value) -> String {
        let now = tokens::now();
        let usual = json!({"iss": issuer, "aud": "orchestration-api", "iat": now, "exp": now + 3_600});
        let header = json!({"alg": self.algorithm, "kid": self.kid, "typ": "JWT"});
        let text = tokens::signing_input(header.to_string(), tokens::merged(usual, claims).to_string());
        tokens::join(&text, &self.sign(text.as_bytes()))
    }

    fn sign(&self, text: &[u8]) -> Vec<u8> {
        match (&self.secret, self.algorithm) {
            (Secret::Rsa(key), "RS256") => {
                pkcs1v15::SigningKey::<Sha256>::new(RsaPrivateKey::clone(key)).sign(text).to_vec()
            }
            (Secret::Rsa(key), "RS384") => {
                pkcs1v15::SigningKey::<Sha384>::new(RsaPrivateKey::clone(key)).sign(text).to_vec()
            }
            (Secret::Rsa(key), "RS512") => {
                pkcs1v15::SigningKey::<Sha512>::new(RsaPrivateKey::clone(key)).sign(text).to_vec()
            }
            (Secret::Rsa(key), "PS256") => {
                pss::SigningKey::<Sha256>::new(RsaPrivateKey::clone(key)).sign_with_rng(&mut OsRng, text).to_vec()
            }
            (Secret::Rsa(key), "PS384") => {
                pss::SigningKey::<Sha384>::new(RsaPrivateKey::clone(key)).sign_with_rng(&mut OsRng, text).to_vec()
            }
            (Secret::Rsa(key), _) => {
                pss::SigningKey::<Sha512>::new(RsaPrivateKey::clone(key)).sign_with_rng(&mut OsRng, text).to_vec()
            }
            (Secret::P256(key), _) => {
                let signature: p256::ecdsa::Signature = key.sign(text);
                signature.to_vec()
            }
            (Secret::P384(key), _) => {
                let signature: p384::ecdsa::Signature = key.sign(text);
                signature.to_vec()
            }
            (Secret::Ed25519(key), _) => key.sign(text).to_bytes().to_vec(),
        }
    }
}

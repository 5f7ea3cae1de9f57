//! Who signs the tokens.

use anyhow::Result;
use portcullis_e2e::idp::Key;
use serde_json::{Value, json};

/// What all tokens say in `iss` and `aud`.
pub const ISSUER: &str = "https://login.example.com/realms/camunda";
/// What they say in `aud`.
pub const AUDIENCE: &str = "orchestration-api";
/// The claim by which Envoy's own filters know who may.
pub const DEPARTMENT: (&str, &str) = ("department", "operations");

/// An identity provider with one key.
#[derive(Debug)]
pub struct Provider(Key);

impl Provider {
    /// One that signs with this algorithm.
    pub fn new(algorithm: &'static str) -> Result<Self> {
        Ok(Self(Key::of(algorithm, "key-1")?))
    }

    /// Its key set.
    pub fn jwks(&self) -> Value {
        json!({"keys": [self.0.jwk()]})
    }

    /// A token for that user, with as much in it as an identity provider would put there. No two
    /// with different numbers are the same.
    pub fn token(&self, user: &str, number: usize) -> String {
        self.0.token(
            ISSUER,
            &json!({
                "jti": format!("onrtro:{number:08}-1f2e-4d3c-8b4a-5968778695a4"),
                "sub": "5f3c1b0e-8d4e-4a55-9f0b-3c1d2e4f5a6b",
                "typ": "Bearer",
                "azp": "orchestration-console",
                "scope": "openid profile email",
                "preferred_username": user,
                DEPARTMENT.0: DEPARTMENT.1,
                "name": "Ada Lovelace",
                "email": "ada@example.com",
                "email_verified": true,
            }),
        )
    }

    /// Tokens with the numbers up to `count`, each for whom `user` says. Signing takes its time, so
    /// every CPU takes a part.
    pub fn tokens(&self, count: usize, user: impl Fn(usize) -> String + Sync) -> Vec<String> {
        let part = count.div_ceil(std::thread::available_parallelism().map_or(1, usize::from));
        std::thread::scope(|scope| {
            let sign = |first: usize| {
                let user = &user;
                scope.spawn(move || {
                    (first..count.min(first + part)).map(|n| self.token(&user(n), n)).collect::<Vec<_>>()
                })
            };
            let parts: Vec<_> = (0..count).step_by(part).map(sign).collect();
            parts.into_iter().flat_map(|part| part.join().expect("signing does not panic")).collect()
        })
    }
}

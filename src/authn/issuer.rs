//! Who may sign tokens.

use super::UnixSeconds;
use super::claims::ClaimRules;
use super::keys::remote::Remote;
use super::keys::{Algorithm, KeySet};

/// An issuer of tokens and how its tokens are read.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// Exactly what `iss` must be.
    pub issuer: String,
    /// One of these must be in `aud`.
    pub audiences: Vec<String>,
    /// Keys of the configuration.
    pub keys: KeySet,
    /// Where its other keys are fetched from.
    pub remote: Option<Remote>,
    /// The algorithms it may use.
    pub algorithms: Vec<Algorithm>,
    /// By how many seconds its clock and ours may differ.
    pub clock_skew: UnixSeconds,
    /// How its claims name the caller.
    pub claims: ClaimRules,
}

/// All configured issuers.
#[derive(Clone, Debug, Default)]
pub struct Issuers(Vec<Issuer>);

impl Issuers {
    /// Issuers, of which no two may have one name.
    #[must_use]
    pub fn new(issuers: Vec<Issuer>) -> Self {
        Self(issuers)
    }

    /// The number of the issuer with exactly this name, and the issuer.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<(usize, &Issuer)> {
        self.0.iter().enumerate().find(|(_, i)| i.issuer == name)
    }

    /// All issuers, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &Issuer> {
        self.0.iter()
    }

    /// The only issuer, where there is only one.
    #[must_use]
    pub fn only(&self) -> Option<&Issuer> {
        if self.0.len() == 1 { self.0.first() } else { None }
    }
}

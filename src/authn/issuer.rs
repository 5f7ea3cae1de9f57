//! Who may sign tokens.

use super::UnixSeconds;
use super::claims::ClaimRules;
use super::keys::remote::Remote;
use super::keys::{Algorithm, KeySet};
use std::collections::BTreeSet;

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

/// Claims that every token is checked by (RFC 7519 section 4.1), and the version of Microsoft Entra's tokens.
const CHECKED: [&str; 7] = ["iss", "aud", "exp", "nbf", "iat", "jti", "ver"];

/// All configured issuers.
#[derive(Clone, Debug, Default)]
pub struct Issuers {
    all: Vec<Issuer>,
    /// The claims that their rules read; `None` where a rule may read any.
    claims: Option<BTreeSet<Box<str>>>,
}

impl Issuers {
    /// Issuers, of which no two may have one name.
    #[must_use]
    pub fn new(all: Vec<Issuer>) -> Self {
        let paths = all.iter().flat_map(|issuer| issuer.claims.paths());
        let claims = paths.map(|path| Some(path.root()?.into())).collect();
        Self { all, claims }
    }

    /// The number of the issuer with exactly this name, and the issuer.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<(usize, &Issuer)> {
        self.all.iter().enumerate().find(|(_, i)| i.issuer == name)
    }

    /// Whether anything reads a claim of this name, whoever's token it stands in.
    #[must_use]
    pub fn read_claim(&self, name: &str) -> bool {
        CHECKED.contains(&name) || self.claims.as_ref().is_none_or(|claims| claims.contains(name))
    }

    /// All issuers, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &Issuer> {
        self.all.iter()
    }

    /// The only issuer, where there is only one.
    #[must_use]
    pub fn only(&self) -> Option<&Issuer> {
        if self.all.len() == 1 { self.all.first() } else { None }
    }
}

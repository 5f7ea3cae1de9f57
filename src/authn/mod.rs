//! Who is calling: credential -> identity.
//!
//! A credential is cut out of the headers ([`credential`]), taken apart and checked ([`token`])
//! with the keys of its issuer ([`keys`], [`signature`]), and its claims are read as the cluster
//! reads them ([`claims`]). Only this module makes an [`Identity`], and only from a verified token.

pub mod cache;
pub mod claims;
pub mod credential;
pub mod header;
mod identity;
pub mod issuer;
pub mod keys;
pub mod signature;
pub mod token;

pub use cache::TokenCache;
pub use identity::{Identity, Subject};
pub use issuer::{Issuer, Issuers};

use crate::reason::Reason;

/// Seconds since 1970-01-01T00:00:00Z.
pub type UnixSeconds = i64;

/// Why a credential is refused: the reason, and for the log what exactly was wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// The reason.
    pub reason: Reason,
    /// What exactly was wrong; never any part of the credential.
    pub detail: &'static str,
}

impl Refused {
    pub(crate) const fn new(reason: Reason, detail: &'static str) -> Self {
        Self { reason, detail }
    }
}

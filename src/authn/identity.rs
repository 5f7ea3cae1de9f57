//! What a verified token says of its bearer.

use super::{Issuer, Refused};
use crate::reason::Reason;
use serde_json::Value;

/// A user or a client; never both.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Subject {
    /// A user, by username.
    User(String),
    /// A client, by client id.
    Client(String),
}

/// Who is calling. It can only be made from a verified token (or, for tests and the command line,
/// be assumed).
#[derive(Clone, Debug)]
pub struct Identity {
    subject: Subject,
    /// Whatever the subject is.
    client_id: Option<String>,
    groups: Option<Vec<String>>,
    claims: String,
}

impl Identity {
    /// Reads verified claims, whose JSON `text` is, by the issuer's rules: a client id wins over a
    /// username, unless the issuer prefers the username.
    pub(super) fn of_verified_claims(claims: &Value, text: String, issuer: &Issuer) -> Result<Self, Refused> {
        let rules = &issuer.claims;
        let reading = rules.read(claims)?;
        let client_id = reading.client_id.clone();
        let subject = match (reading.username, reading.client_id) {
            (Some(username), client) if rules.prefer_username || client.is_none() => Subject::User(username),
            (_, Some(client)) => Subject::Client(client),
            _ => {
                return Err(Refused::new(
                    Reason::IdentityMissing,
                    "the claims name neither a username nor a client id",
                ));
            }
        };
        Ok(Self { subject, client_id, groups: reading.groups, claims: text })
    }

    /// An identity as if a token had said so.
    #[cfg(any(test, feature = "suite"))]
    #[must_use]
    pub fn assumed(subject: Subject, groups: Option<Vec<String>>, claims: &Value) -> Self {
        let client_id = match &subject {
            Subject::User(_) => None,
            Subject::Client(id) => Some(id.clone()),
        };
        Self { subject, client_id, groups, claims: claims.to_string() }
    }

    /// The identity that claims of a token give, as if the token had been verified.
    ///
    /// # Errors
    /// The claims name no one, or not as text.
    #[cfg(any(test, feature = "suite"))]
    pub fn assumed_from_claims(claims: &Value, issuer: &Issuer) -> Result<Self, Refused> {
        Self::of_verified_claims(claims, claims.to_string(), issuer)
    }

    /// The user or client.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The client id that the claims name, also where the caller is a user.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// The groups of the groups claim; `None` where no claim is configured and the groups that the
    /// cluster keeps count instead.
    #[must_use]
    pub fn groups(&self) -> Option<&[String]> {
        self.groups.as_deref()
    }

    /// All claims, as JSON.
    #[must_use]
    pub fn claims(&self) -> &str {
        &self.claims
    }

    /// Roughly how many bytes it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        let groups: usize = self.groups.iter().flatten().map(|g| g.len().saturating_add(size_of::<String>())).sum();
        size_of::<Self>().saturating_add(groups).saturating_add(self.claims.len()).saturating_add(64)
    }
}

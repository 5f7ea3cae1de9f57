//! Who may sign tokens: `issuers`.

use super::keys::JwksSource;
use crate::json::members;

/// One issuer.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename_all = "camelCase"))]
pub struct IssuerSource {
    /// Exactly what `iss` must be.
    pub issuer: String,
    /// One of these must be in `aud`.
    pub audiences: Vec<String>,
    /// Its keys.
    pub jwks: JwksSource,
    /// The algorithms it may use; by default all that its keys allow.
    pub algorithms: Option<Vec<String>>,
    /// By how much its clock and ours may differ.
    #[cfg_attr(feature = "cli", schemars(default = "default_skew"))]
    pub clock_skew: String,
    /// How its claims name the caller.
    #[cfg_attr(feature = "cli", schemars(default))]
    pub claims: ClaimsSource,
}

impl Default for IssuerSource {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            audiences: Vec::new(),
            jwks: JwksSource::default(),
            algorithms: None,
            clock_skew: default_skew(),
            claims: ClaimsSource::default(),
        }
    }
}

members!(IssuerSource {
    issuer: required "issuer",
    audiences: required "audiences",
    jwks: required "jwks",
    algorithms: optional "algorithms",
    clock_skew: optional "clockSkew",
    claims: optional "claims",
});

/// How claims name the caller; names or JSONPath, as in `camunda.security.authentication.oidc`.
#[derive(Clone, Debug)]
#[cfg_attr(
    feature = "cli",
    derive(schemars::JsonSchema),
    schemars(deny_unknown_fields, rename_all = "camelCase", default)
)]
pub struct ClaimsSource {
    /// The username.
    pub username: String,
    /// The client id.
    pub client_id: Option<String>,
    /// Whether a username wins over a client id.
    pub prefer_username: bool,
    /// The groups.
    pub groups: Option<String>,
}

members!(ClaimsSource {
    username: optional "username",
    client_id: optional "clientId",
    prefer_username: optional "preferUsername",
    groups: optional "groups",
});

impl Default for ClaimsSource {
    fn default() -> Self {
        Self { username: "sub".into(), client_id: None, prefer_username: false, groups: None }
    }
}

fn default_skew() -> String {
    "60s".into()
}

//! How requests are forwarded, and those between sites: `forward`, `cors`.

use crate::json::{members, words};

/// How permitted requests are forwarded.
#[derive(Clone, Debug, Default)]
#[cfg_attr(
    feature = "cli",
    derive(schemars::JsonSchema),
    schemars(deny_unknown_fields, rename_all = "camelCase", default)
)]
pub struct ForwardSource {
    /// Whether the caller's identity is put on in headers.
    pub identity_headers: bool,
    /// What becomes of the token.
    pub token: ForwardToken,
}

members!(ForwardSource {
    identity_headers: optional "identityHeaders",
    token: optional "token",
});

/// What becomes of the token.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename_all = "camelCase"))]
pub enum ForwardToken {
    /// It stays where it is.
    #[default]
    Keep,
    /// It is taken off.
    Remove,
}

words!(ForwardToken { Keep: "keep", Remove: "remove" });

/// Requests between sites (Fetch standard, CORS protocol).
#[derive(Clone, Debug, Default)]
#[cfg_attr(
    feature = "cli",
    derive(schemars::JsonSchema),
    schemars(deny_unknown_fields, rename_all = "camelCase", default)
)]
pub struct CorsSource {
    /// What becomes of preflight requests, which carry no credential.
    pub preflight: Preflight,
}

members!(CorsSource {
    preflight: optional "preflight",
});

/// What becomes of preflight requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename_all = "camelCase"))]
pub enum Preflight {
    /// They are refused.
    #[default]
    Deny,
    /// They are forwarded.
    Forward,
}

words!(Preflight { Deny: "deny", Forward: "forward" });

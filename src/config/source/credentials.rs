//! Where a token may stand: `credentials`.

use crate::json::members;

/// Where a token may stand.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename_all = "camelCase"))]
pub struct CredentialSource {
    /// In a header; or
    pub header: Option<HeaderCredential>,
    /// in a cookie.
    pub cookie: Option<CookieCredential>,
}

members!(CredentialSource {
    header: optional "header",
    cookie: optional "cookie",
});

/// A cookie with a token.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename_all = "camelCase"))]
pub struct CookieCredential {
    /// Its name.
    pub name: String,
}

members!(CookieCredential {
    name: required "name",
});

/// A header with a token.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename_all = "camelCase"))]
pub struct HeaderCredential {
    /// Its name.
    pub name: String,
    /// What stands before the token.
    #[cfg_attr(feature = "cli", schemars(default))]
    pub prefix: String,
}

members!(HeaderCredential {
    name: required "name",
    prefix: optional "prefix",
});

pub(super) fn default_credentials() -> Vec<CredentialSource> {
    let header = HeaderCredential { name: "Authorization".into(), prefix: "Bearer ".into() };
    vec![CredentialSource { header: Some(header), cookie: None }]
}

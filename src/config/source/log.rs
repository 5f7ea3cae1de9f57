//! Where decisions can be seen: `decisionLog`, `debug`.

use crate::json::{members, words};

/// Help for those who set things up.
#[derive(Clone, Debug, Default)]
#[cfg_attr(
    feature = "cli",
    derive(schemars::JsonSchema),
    schemars(deny_unknown_fields, rename_all = "camelCase", default)
)]
pub struct DebugSource {
    /// Whether refusals carry the reason in a header.
    pub explain_header: bool,
}

members!(DebugSource {
    explain_header: optional "explainHeader",
});

/// Where decisions can be seen.
#[derive(Clone, Debug, Default)]
#[cfg_attr(
    feature = "cli",
    derive(schemars::JsonSchema),
    schemars(deny_unknown_fields, rename_all = "camelCase", default)
)]
pub struct DecisionLogSource {
    /// As JSON in the filter state, for access logs.
    pub filter_state: bool,
    /// As JSON in the proxy's log, a line each.
    pub lines: bool,
    /// Which decisions get a line.
    pub sample: SampleSource,
    /// What a log says of users and clients.
    pub principals: PrincipalsSource,
}

members!(DecisionLogSource {
    filter_state: optional "filterState",
    lines: optional "lines",
    sample: optional "sample",
    principals: optional "principals",
});

/// Which decisions get a line in the proxy's log: shares from 0 to 1.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    feature = "cli",
    derive(schemars::JsonSchema),
    schemars(deny_unknown_fields, rename_all = "camelCase", default)
)]
pub struct SampleSource {
    /// Of allowed calls.
    pub allow: f64,
    /// Of denied calls.
    pub deny: f64,
}

members!(SampleSource {
    allow: optional "allow",
    deny: optional "deny",
});

impl Default for SampleSource {
    fn default() -> Self {
        Self { allow: 0.0, deny: 1.0 }
    }
}

/// What a log says of users and clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename_all = "camelCase"))]
pub enum PrincipalsSource {
    /// Their names.
    #[default]
    Plain,
    /// The SHA-256 digests of their names.
    Hashed,
}

words!(PrincipalsSource { Plain: "plain", Hashed: "hashed" });

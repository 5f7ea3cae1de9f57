//! What becomes of decisions: `mode`, `shadow`, `unresolved`, `searches`.

use crate::json::{members, words};
use std::collections::BTreeMap;

/// What becomes of decisions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename_all = "camelCase"))]
pub enum Mode {
    /// They are enforced.
    #[default]
    Enforce,
    /// They are only logged and counted.
    Shadow,
}

words!(Mode { Enforce: "enforce", Shadow: "shadow" });

/// How long decisions are only logged and counted.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename_all = "camelCase"))]
pub struct ShadowSource {
    /// The end, in RFC 3339; afterwards they are enforced.
    pub until: String,
}

members!(ShadowSource {
    until: required "until",
});

/// What becomes of an allow that only the cluster can complete.
#[derive(Clone, Debug, Default)]
#[cfg_attr(
    feature = "cli",
    derive(schemars::JsonSchema),
    schemars(deny_unknown_fields, rename_all = "camelCase", default)
)]
pub struct UnresolvedSource {
    /// By default.
    pub default: DeferOrDeny,
    /// For single operations.
    pub operations: BTreeMap<String, DeferOrDeny>,
}

members!(UnresolvedSource {
    default: optional "default",
    operations: optional "operations",
});

/// Left to the cluster, or denied.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename_all = "camelCase"))]
pub enum DeferOrDeny {
    /// Left to the cluster.
    #[default]
    Defer,
    /// Denied.
    Deny,
}

words!(DeferOrDeny { Defer: "defer", Deny: "deny" });

/// What becomes of a search by a principal that holds nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename_all = "camelCase"))]
pub enum Searches {
    /// It is forwarded: the cluster answers without rows.
    #[default]
    Forward,
    /// It is denied.
    Deny,
}

words!(Searches { Forward: "forward", Deny: "deny" });

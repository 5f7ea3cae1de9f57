//! Which requests are judged: `scope`.

use crate::json::members;

/// Which requests are judged, where the proxy serves other applications, too.
#[derive(Clone, Debug, Default)]
#[cfg_attr(
    feature = "cli",
    derive(schemars::JsonSchema),
    schemars(deny_unknown_fields, rename_all = "camelCase", default)
)]
pub struct ScopeSource {
    /// Those whose route names one of these clusters of the proxy,
    pub clusters: Vec<String>,
    /// and those for one of these hosts.
    pub authorities: Vec<String>,
}

members!(ScopeSource {
    clusters: optional "clusters",
    authorities: optional "authorities",
});

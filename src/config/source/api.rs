//! The cluster's API, and who administers all of it: `api`, `clusterAdmin`.

use super::extra::ExtraOperationSource;
use crate::json::members;

/// The cluster's API.
#[derive(Clone, Debug)]
#[cfg_attr(
    feature = "cli",
    derive(schemars::JsonSchema),
    schemars(deny_unknown_fields, rename_all = "camelCase", default)
)]
pub struct ApiSource {
    /// The cluster's version, such as `8.9`.
    pub version: String,
    /// The path before `/v2`; gRPC has none.
    pub base_path: String,
    /// The families of operations that are open.
    pub surfaces: Vec<String>,
    /// Whether the cluster checks tenants.
    pub multi_tenancy: bool,
    /// Operations of the cluster that the catalogue lacks in this version.
    pub extra_operations: Vec<ExtraOperationSource>,
}

members!(ApiSource {
    version: optional "version",
    base_path: optional "basePath",
    surfaces: optional "surfaces",
    multi_tenancy: optional "multiTenancy",
    extra_operations: optional "extraOperations",
});

impl Default for ApiSource {
    fn default() -> Self {
        Self {
            version: "8.9".into(),
            base_path: "/".into(),
            surfaces: vec!["v2".into(), "grpc".into()],
            multi_tenancy: false,
            extra_operations: Vec::new(),
        }
    }
}

/// Who administers the whole cluster, as in `camunda.security.cluster-admin.oidc`; any match counts.
#[derive(Clone, Debug, Default)]
#[cfg_attr(
    feature = "cli",
    derive(schemars::JsonSchema),
    schemars(deny_unknown_fields, rename_all = "camelCase", default)
)]
pub struct ClusterAdminSource {
    /// Clients, by id.
    pub clients: Vec<String>,
    /// Groups, by id.
    pub groups: Vec<String>,
    /// Claims.
    pub claims: Vec<AdminClaimSource>,
}

members!(ClusterAdminSource {
    clients: optional "clients",
    groups: optional "groups",
    claims: optional "claims",
});

/// A claim that makes an administrator.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename_all = "camelCase"))]
pub struct AdminClaimSource {
    /// Its name.
    pub name: String,
    /// What it must be, or hold.
    pub value: String,
}

members!(AdminClaimSource {
    name: required "name",
    value: required "value",
});

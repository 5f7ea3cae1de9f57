//! Operations that the catalogue lacks: `api.extraOperations`.

use crate::json::{members, words};

/// An operation that the catalogue lacks; what it says is what `portcullis operations --json` prints of
/// one that is built in.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename_all = "camelCase"))]
pub struct ExtraOperationSource {
    /// Its id: letters and digits.
    pub operation: String,
    /// Its method.
    pub method: ExtraMethod,
    /// Its path, with `{parameters}`: under `/v2/`, or `/cluster/v2/` for cluster administrators.
    pub path: String,
    /// How the grants are combined.
    pub mode: ExtraMode,
    /// What can satisfy it.
    #[cfg_attr(feature = "cli", schemars(default))]
    pub grants: Vec<ExtraGrantSource>,
    /// Where it names a tenant: `body:/name`, `multipart:name`, `path:name`, `filter` or `key`.
    pub tenant: Option<String>,
    /// Whether the cluster answers it without a credential; needs `mode: none`.
    #[cfg_attr(feature = "cli", schemars(default))]
    pub public: bool,
    /// Whether a caller without any grant may still succeed; needs `mode: all-matched`.
    #[cfg_attr(feature = "cli", schemars(default))]
    pub never_denied: bool,
    /// A remark.
    pub note: Option<String>,
}

members!(ExtraOperationSource {
    operation: required "operation",
    method: required "method",
    path: required "path",
    mode: required "mode",
    grants: optional "grants",
    tenant: optional "tenant",
    public: optional "public",
    never_denied: optional "neverDenied",
    note: optional "note",
});

/// A permission that can satisfy an operation.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename_all = "camelCase"))]
pub struct ExtraGrantSource {
    /// The type of the resource.
    pub resource_type: String,
    /// The permission on it.
    pub permission_type: String,
    /// Where the resource id stands: `wildcard`, `path:name`, `body:/name`, `literal:id`, `key` or
    /// `result-filter`.
    pub resource_id_source: String,
    /// With an id in the body: the member that may hold a key instead, `body:/name`.
    pub resource_key_source: Option<String>,
    /// When it counts: `body:/name=true`, `body:/name=false`, or words for what only the cluster knows.
    pub condition: Option<String>,
}

members!(ExtraGrantSource {
    resource_type: required "resourceType",
    permission_type: required "permissionType",
    resource_id_source: required "resourceIdSource",
    resource_key_source: optional "resourceKeySource",
    condition: optional "condition",
});

/// The method of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename_all = "UPPERCASE"))]
pub enum ExtraMethod {
    /// GET
    #[default]
    Get,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

words!(ExtraMethod { Get: "GET", Post: "POST", Put: "PUT", Patch: "PATCH", Delete: "DELETE" });

/// How the grants of an operation are combined.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename_all = "kebab-case"))]
pub enum ExtraMode {
    /// No grant is needed.
    #[default]
    None,
    /// The one grant.
    Single,
    /// One of the grants.
    AnyOf,
    /// Every grant.
    AllOf,
    /// The one that fits the type behind the key.
    OneByType,
    /// Those of everything that is subscribed, all of them.
    AllMatched,
    /// Cluster administrators alone.
    ClusterAdmin,
    /// Not known; the cluster decides.
    Unmapped,
}

words!(ExtraMode {
    None: "none",
    Single: "single",
    AnyOf: "any-of",
    AllOf: "all-of",
    OneByType: "one-by-type",
    AllMatched: "all-matched",
    ClusterAdmin: "cluster-admin",
    Unmapped: "unmapped"
});

//! The shape of the plugin configuration.

use super::ConfigError;
use crate::json::{self, Misshapen, Shape, Step, members, words};
use crate::policy::Policy;
use serde_json::Value;
use std::collections::BTreeMap;

/// The whole plugin configuration.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename_all = "camelCase"))]
pub struct Configuration {
    /// Of this schema; 1.
    pub version: u64,
    /// In logs, metrics and the belt.
    pub name: String,
    /// Which requests are judged; all, where it is absent.
    pub scope: Option<ScopeSource>,
    /// Who may sign tokens.
    pub issuers: Vec<IssuerSource>,
    /// Where a token may stand.
    #[cfg_attr(feature = "cli", schemars(default = "default_credentials"))]
    pub credentials: Vec<CredentialSource>,
    /// The cluster's API.
    #[cfg_attr(feature = "cli", schemars(default))]
    pub api: ApiSource,
    /// What is granted to whom, readable; or
    pub policy: Option<Policy>,
    /// the same compiled, in base64.
    pub table: Option<String>,
    /// A table, in base64, that is judged beside the live one, counted, and never enforced.
    pub candidate: Option<String>,
    /// Who administers the whole cluster.
    pub cluster_admin: Option<ClusterAdminSource>,
    /// What becomes of decisions.
    #[cfg_attr(feature = "cli", schemars(default))]
    pub mode: Mode,
    /// With `mode: shadow`: until when.
    pub shadow: Option<ShadowSource>,
    /// How permitted requests are forwarded.
    #[cfg_attr(feature = "cli", schemars(default))]
    pub forward: ForwardSource,
    /// What becomes of an allow that only the cluster can complete.
    #[cfg_attr(feature = "cli", schemars(default))]
    pub unresolved: UnresolvedSource,
    /// What becomes of a search by a principal that holds nothing.
    #[cfg_attr(feature = "cli", schemars(default))]
    pub searches: Searches,
    /// How bodies that decide are read.
    #[cfg_attr(feature = "cli", schemars(default))]
    pub body: BodySource,
    /// Operations that need no credential.
    #[cfg_attr(feature = "cli", schemars(default = "default_anonymous"))]
    pub anonymous: Vec<String>,
    /// Requests between sites.
    #[cfg_attr(feature = "cli", schemars(default))]
    pub cors: CorsSource,
    /// Help for those who set things up.
    #[cfg_attr(feature = "cli", schemars(default))]
    pub debug: DebugSource,
    /// Where decisions can be seen.
    #[cfg_attr(feature = "cli", schemars(default))]
    pub decision_log: DecisionLogSource,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            version: 0,
            name: String::new(),
            scope: None,
            issuers: Vec::new(),
            credentials: default_credentials(),
            api: ApiSource::default(),
            policy: None,
            table: None,
            candidate: None,
            cluster_admin: None,
            mode: Mode::default(),
            shadow: None,
            forward: ForwardSource::default(),
            unresolved: UnresolvedSource::default(),
            searches: Searches::default(),
            body: BodySource::default(),
            anonymous: default_anonymous(),
            cors: CorsSource::default(),
            debug: DebugSource::default(),
            decision_log: DecisionLogSource::default(),
        }
    }
}

members!(Configuration {
    version: required "version",
    name: required "name",
    scope: optional "scope",
    issuers: required "issuers",
    credentials: optional "credentials",
    api: optional "api",
    policy: optional "policy",
    table: optional "table",
    candidate: optional "candidate",
    cluster_admin: optional "clusterAdmin",
    mode: optional "mode",
    shadow: optional "shadow",
    forward: optional "forward",
    unresolved: optional "unresolved",
    searches: optional "searches",
    body: optional "body",
    anonymous: optional "anonymous",
    cors: optional "cors",
    debug: optional "debug",
    decision_log: optional "decisionLog",
});

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

/// Where keys come from: inline, fetched, or both.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename_all = "camelCase"))]
pub struct JwksSource {
    /// The key set itself.
    pub inline: Option<InlineSource>,
    /// A key set to fetch.
    pub remote: Option<RemoteSource>,
    /// A key set to fetch from where the issuer's metadata says.
    pub discovery: Option<DiscoverySource>,
}

members!(JwksSource {
    inline: optional "inline",
    remote: optional "remote",
    discovery: optional "discovery",
});

/// A key set to fetch.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename_all = "camelCase"))]
pub struct RemoteSource {
    /// Where it is.
    pub uri: String,
    /// The proxy's cluster to fetch it from.
    pub cluster: String,
    /// How long an answer may take.
    #[cfg_attr(feature = "cli", schemars(default = "default_timeout"))]
    pub timeout: String,
    /// How often it is fetched.
    #[cfg_attr(feature = "cli", schemars(default = "default_refresh"))]
    pub refresh: String,
    /// For how long keys stay good while none can be fetched.
    #[cfg_attr(feature = "cli", schemars(default = "default_max_stale"))]
    pub max_stale: String,
}

impl Default for RemoteSource {
    fn default() -> Self {
        let (timeout, refresh, max_stale) = (default_timeout(), default_refresh(), default_max_stale());
        Self { uri: String::new(), cluster: String::new(), timeout, refresh, max_stale }
    }
}

members!(RemoteSource {
    uri: required "uri",
    cluster: required "cluster",
    timeout: optional "timeout",
    refresh: optional "refresh",
    max_stale: optional "maxStale",
});

/// A key set to fetch from where the issuer's metadata says.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename_all = "camelCase"))]
pub struct DiscoverySource {
    /// The proxy's cluster to fetch both from.
    pub cluster: String,
    /// How long an answer may take.
    #[cfg_attr(feature = "cli", schemars(default = "default_timeout"))]
    pub timeout: String,
    /// How often it is fetched.
    #[cfg_attr(feature = "cli", schemars(default = "default_refresh"))]
    pub refresh: String,
    /// For how long keys stay good while none can be fetched.
    #[cfg_attr(feature = "cli", schemars(default = "default_max_stale"))]
    pub max_stale: String,
}

impl Default for DiscoverySource {
    fn default() -> Self {
        let (timeout, refresh, max_stale) = (default_timeout(), default_refresh(), default_max_stale());
        Self { cluster: String::new(), timeout, refresh, max_stale }
    }
}

members!(DiscoverySource {
    cluster: required "cluster",
    timeout: optional "timeout",
    refresh: optional "refresh",
    max_stale: optional "maxStale",
});

/// A key set (RFC 7517 section 5).
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct InlineSource {
    /// Its keys.
    pub keys: Vec<Value>,
}

/// A key set may have other members, which are let be.
impl Shape for InlineSource {
    fn take(&mut self, value: Value) -> Result<(), Misshapen> {
        let Value::Object(mut set) = value else { return Err(Misshapen::invalid(&value, "an object")) };
        let keys = set.remove("keys").ok_or_else(|| Misshapen::new("missing field `keys`".into()))?;
        self.keys.take(keys).map_err(|error| error.within(Step::Member("keys".into())))
    }
}

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

/// How bodies that decide are read.
#[derive(Clone, Debug)]
#[cfg_attr(
    feature = "cli",
    derive(schemars::JsonSchema),
    schemars(deny_unknown_fields, rename_all = "camelCase", default)
)]
pub struct BodySource {
    /// What is held back until the verdict.
    pub gate: GateSource,
    /// The longest body that is read.
    pub max_bytes: u64,
}

members!(BodySource {
    gate: optional "gate",
    max_bytes: optional "maxBytes",
});

impl Default for BodySource {
    fn default() -> Self {
        Self { gate: GateSource::Hold, max_bytes: 4 * 1024 * 1024 }
    }
}

/// What is held back until the verdict.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename_all = "camelCase"))]
pub enum GateSource {
    /// The whole request.
    Hold,
    /// The end of the body.
    Stream,
}

words!(GateSource { Hold: "hold", Stream: "stream" });

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

fn default_credentials() -> Vec<CredentialSource> {
    let header = HeaderCredential { name: "Authorization".into(), prefix: "Bearer ".into() };
    vec![CredentialSource { header: Some(header), cookie: None }]
}

fn default_anonymous() -> Vec<String> {
    vec!["getStatus".into(), "getLicense".into()]
}

fn default_timeout() -> String {
    "2s".into()
}

fn default_refresh() -> String {
    "5m".into()
}

fn default_max_stale() -> String {
    "24h".into()
}

fn default_skew() -> String {
    "60s".into()
}

/// Reads the shape.
pub(super) fn parse(value: Value) -> Result<Configuration, ConfigError> {
    if !value.is_object() {
        return Err(ConfigError::new("", "the configuration is not a JSON object"));
    }
    json::shape(value).map_err(|error| ConfigError::new(error.path(), error.reason()))
}

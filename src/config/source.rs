//! The shape of the plugin configuration.

use super::ConfigError;
use crate::json;
use crate::policy::Policy;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::Value;
use std::collections::BTreeMap;

/// The whole plugin configuration.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Configuration {
    /// Of this schema; 1.
    #[serde(deserialize_with = "whole")]
    #[cfg_attr(feature = "cli", schemars(with = "u64"))]
    pub version: u64,
    /// In logs, metrics and the belt.
    pub name: String,
    /// Which requests are judged; all, where it is absent.
    #[serde(default)]
    pub scope: Option<ScopeSource>,
    /// Who may sign tokens.
    pub issuers: Vec<IssuerSource>,
    /// Where a token may stand.
    #[serde(default = "default_credentials")]
    pub credentials: Vec<CredentialSource>,
    /// The cluster's API.
    #[serde(default)]
    pub api: ApiSource,
    /// What is granted to whom, readable; or
    #[serde(default)]
    pub policy: Option<Policy>,
    /// the same compiled, in base64.
    #[serde(default)]
    pub table: Option<String>,
    /// A table, in base64, that is judged beside the live one, counted, and never enforced.
    #[serde(default)]
    pub candidate: Option<String>,
    /// Who administers the whole cluster.
    #[serde(default)]
    pub cluster_admin: Option<ClusterAdminSource>,
    /// What becomes of decisions.
    #[serde(default)]
    pub mode: Mode,
    /// With `mode: shadow`: until when.
    #[serde(default)]
    pub shadow: Option<ShadowSource>,
    /// How permitted requests are forwarded.
    #[serde(default)]
    pub forward: ForwardSource,
    /// What becomes of an allow that only the cluster can complete.
    #[serde(default)]
    pub unresolved: UnresolvedSource,
    /// What becomes of a search by a principal that holds nothing.
    #[serde(default)]
    pub searches: Searches,
    /// How bodies that decide are read.
    #[serde(default)]
    pub body: BodySource,
    /// Operations that need no credential.
    #[serde(default = "default_anonymous")]
    pub anonymous: Vec<String>,
    /// Requests between sites.
    #[serde(default)]
    pub cors: CorsSource,
    /// Help for those who set things up.
    #[serde(default)]
    pub debug: DebugSource,
    /// Where decisions can be seen.
    #[serde(default)]
    pub decision_log: DecisionLogSource,
}

/// Which requests are judged, where the proxy serves other applications, too.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ScopeSource {
    /// Those whose route names one of these clusters of the proxy,
    pub clusters: Vec<String>,
    /// and those for one of these hosts.
    pub authorities: Vec<String>,
}

/// One issuer.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct IssuerSource {
    /// Exactly what `iss` must be.
    pub issuer: String,
    /// One of these must be in `aud`.
    pub audiences: Vec<String>,
    /// Its keys.
    pub jwks: JwksSource,
    /// The algorithms it may use; by default all that its keys allow.
    #[serde(default)]
    pub algorithms: Option<Vec<String>>,
    /// By how much its clock and ours may differ.
    #[serde(default = "default_skew")]
    pub clock_skew: String,
    /// How its claims name the caller.
    #[serde(default)]
    pub claims: ClaimsSource,
}

/// Where keys come from: inline, fetched, or both.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct JwksSource {
    /// The key set itself.
    #[serde(default)]
    pub inline: Option<InlineSource>,
    /// A key set to fetch.
    #[serde(default)]
    pub remote: Option<RemoteSource>,
    /// A key set to fetch from where the issuer's metadata says.
    #[serde(default)]
    pub discovery: Option<DiscoverySource>,
}

/// A key set to fetch.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RemoteSource {
    /// Where it is.
    pub uri: String,
    /// The proxy's cluster to fetch it from.
    pub cluster: String,
    /// How long an answer may take.
    #[serde(default = "default_timeout")]
    pub timeout: String,
    /// How often it is fetched.
    #[serde(default = "default_refresh")]
    pub refresh: String,
    /// For how long keys stay good while none can be fetched.
    #[serde(default = "default_max_stale")]
    pub max_stale: String,
}

/// A key set to fetch from where the issuer's metadata says.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DiscoverySource {
    /// The proxy's cluster to fetch both from.
    pub cluster: String,
    /// How long an answer may take.
    #[serde(default = "default_timeout")]
    pub timeout: String,
    /// How often it is fetched.
    #[serde(default = "default_refresh")]
    pub refresh: String,
    /// For how long keys stay good while none can be fetched.
    #[serde(default = "default_max_stale")]
    pub max_stale: String,
}

/// A key set (RFC 7517 section 5).
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct InlineSource {
    /// Its keys.
    pub keys: Vec<Value>,
}

/// How claims name the caller; names or JSONPath, as in `camunda.security.authentication.oidc`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
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

impl Default for ClaimsSource {
    fn default() -> Self {
        Self { username: "sub".into(), client_id: None, prefer_username: false, groups: None }
    }
}

/// Where a token may stand.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CredentialSource {
    /// In a header; or
    #[serde(default)]
    pub header: Option<HeaderCredential>,
    /// in a cookie.
    #[serde(default)]
    pub cookie: Option<CookieCredential>,
}

/// A cookie with a token.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CookieCredential {
    /// Its name.
    pub name: String,
}

/// A header with a token.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HeaderCredential {
    /// Its name.
    pub name: String,
    /// What stands before the token.
    #[serde(default)]
    pub prefix: String,
}

/// The cluster's API.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
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

/// An operation that the catalogue lacks; what it says is what `portcullis operations --json` prints of
/// one that is built in.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
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
    #[serde(default)]
    pub grants: Vec<ExtraGrantSource>,
    /// Where it names a tenant: `body:/name`, `multipart:name`, `path:name`, `filter` or `key`.
    #[serde(default)]
    pub tenant: Option<String>,
    /// Whether the cluster answers it without a credential; needs `mode: none`.
    #[serde(default)]
    pub public: bool,
    /// Whether a caller without any grant may still succeed; needs `mode: all-matched`.
    #[serde(default)]
    pub never_denied: bool,
    /// A remark.
    #[serde(default)]
    pub note: Option<String>,
}

/// A permission that can satisfy an operation.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ExtraGrantSource {
    /// The type of the resource.
    pub resource_type: String,
    /// The permission on it.
    pub permission_type: String,
    /// Where the resource id stands: `wildcard`, `path:name`, `body:/name`, `literal:id`, `key` or
    /// `result-filter`.
    pub resource_id_source: String,
    /// With an id in the body: the member that may hold a key instead, `body:/name`.
    #[serde(default)]
    pub resource_key_source: Option<String>,
    /// When it counts: `body:/name=true`, `body:/name=false`, or words for what only the cluster knows.
    #[serde(default)]
    pub condition: Option<String>,
}

/// The method of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum ExtraMethod {
    /// GET
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

/// How the grants of an operation are combined.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ExtraMode {
    /// No grant is needed.
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
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ClusterAdminSource {
    /// Clients, by id.
    pub clients: Vec<String>,
    /// Groups, by id.
    pub groups: Vec<String>,
    /// Claims.
    pub claims: Vec<AdminClaimSource>,
}

/// A claim that makes an administrator.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AdminClaimSource {
    /// Its name.
    pub name: String,
    /// What it must be, or hold.
    pub value: String,
}

/// What becomes of decisions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// They are enforced.
    #[default]
    Enforce,
    /// They are only logged and counted.
    Shadow,
}

/// How long decisions are only logged and counted.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ShadowSource {
    /// The end, in RFC 3339; afterwards they are enforced.
    pub until: String,
}

/// How permitted requests are forwarded.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ForwardSource {
    /// Whether the caller's identity is put on in headers.
    pub identity_headers: bool,
    /// What becomes of the token.
    pub token: ForwardToken,
}

/// What becomes of the token.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum ForwardToken {
    /// It stays where it is.
    #[default]
    Keep,
    /// It is taken off.
    Remove,
}

/// What becomes of an allow that only the cluster can complete.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct UnresolvedSource {
    /// By default.
    pub default: DeferOrDeny,
    /// For single operations.
    pub operations: BTreeMap<String, DeferOrDeny>,
}

/// Left to the cluster, or denied.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum DeferOrDeny {
    /// Left to the cluster.
    #[default]
    Defer,
    /// Denied.
    Deny,
}

/// What becomes of a search by a principal that holds nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Searches {
    /// It is forwarded: the cluster answers without rows.
    #[default]
    Forward,
    /// It is denied.
    Deny,
}

/// How bodies that decide are read.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct BodySource {
    /// What is held back until the verdict.
    pub gate: GateSource,
    /// The longest body that is read.
    #[serde(deserialize_with = "whole")]
    #[cfg_attr(feature = "cli", schemars(with = "u64"))]
    pub max_bytes: u64,
}

impl Default for BodySource {
    fn default() -> Self {
        Self { gate: GateSource::Hold, max_bytes: 4 * 1024 * 1024 }
    }
}

/// What is held back until the verdict.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum GateSource {
    /// The whole request.
    Hold,
    /// The end of the body.
    Stream,
}

/// Requests between sites (Fetch standard, CORS protocol).
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct CorsSource {
    /// What becomes of preflight requests, which carry no credential.
    pub preflight: Preflight,
}

/// What becomes of preflight requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Preflight {
    /// They are refused.
    #[default]
    Deny,
    /// They are forwarded.
    Forward,
}

/// Help for those who set things up.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct DebugSource {
    /// Whether refusals carry the reason in a header.
    pub explain_header: bool,
}

/// Where decisions can be seen.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
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

/// Which decisions get a line in the proxy's log: shares from 0 to 1.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct SampleSource {
    /// Of allowed calls.
    pub allow: f64,
    /// Of denied calls.
    pub deny: f64,
}

impl Default for SampleSource {
    fn default() -> Self {
        Self { allow: 0.0, deny: 1.0 }
    }
}

/// What a log says of users and clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum PrincipalsSource {
    /// Their names.
    #[default]
    Plain,
    /// The SHA-256 digests of their names.
    Hashed,
}

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

/// A whole number; control planes turn `1` into `1.0`.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let expected = &"a whole number";
    let value = Value::deserialize(deserializer)?;
    let Value::Number(number) = &value else {
        return Err(D::Error::invalid_type(json::unexpected(&value), expected));
    };
    let from_float = || number.as_f64().filter(|f| f.fract() == 0.0 && (0.0..9e15).contains(f));
    #[cfg_attr(not(test), expect(clippy::as_conversions, reason = "checked just above"))]
    let whole = number.as_u64().or_else(|| from_float().map(|f| f as u64));
    whole.ok_or_else(|| D::Error::invalid_value(json::unexpected(&value), expected))
}

/// Reads the shape.
pub(super) fn parse(value: Value) -> Result<Configuration, ConfigError> {
    if !value.is_object() {
        return Err(ConfigError::new("", "the configuration is not a JSON object"));
    }
    json::shape(value).map_err(|error| ConfigError::new(error.path(), error.reason()))
}

//! The shape of the plugin configuration, a file for each of its sections.

mod api;
mod body;
mod credentials;
mod decisions;
mod extra;
mod forward;
mod issuers;
mod keys;
mod log;
mod scope;

pub use api::{ApiSource, ClusterAdminSource};
pub use body::{BodySource, GateSource};
pub use credentials::{CookieCredential, CredentialSource, HeaderCredential};
pub use decisions::{DeferOrDeny, Mode, Searches, ShadowSource, UnresolvedSource};
pub use extra::{ExtraGrantSource, ExtraMethod, ExtraMode, ExtraOperationSource};
pub use forward::{CorsSource, ForwardSource, ForwardToken, Preflight};
pub use issuers::{ClaimsSource, IssuerSource};
pub use keys::JwksSource;
pub use log::{DebugSource, DecisionLogSource, PrincipalsSource};
pub use scope::ScopeSource;

use super::ConfigError;
use crate::json::{self, members};
use crate::policy::Policy;
use credentials::default_credentials;
use serde_json::Value;

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

fn default_anonymous() -> Vec<String> {
    vec!["getStatus".into(), "getLicense".into()]
}

/// Reads the shape.
pub fn parse(value: Value) -> Result<Configuration, ConfigError> {
    if !value.is_object() {
        return Err(ConfigError::new("", "the configuration is not a JSON object"));
    }
    json::shape(value).map_err(|error| ConfigError::new(error.path(), error.reason()))
}

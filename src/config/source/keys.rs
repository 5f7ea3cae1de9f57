//! An issuer's keys: `jwks`.

use crate::json::{Misshapen, Shape, Step, members};
use serde_json::Value;

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

fn default_timeout() -> String {
    "2s".into()
}

fn default_refresh() -> String {
    "5m".into()
}

fn default_max_stale() -> String {
    "24h".into()
}

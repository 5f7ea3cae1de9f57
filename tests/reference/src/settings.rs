//! What of a plugin configuration bears on a decision.

use crate::catalogue::{self, Operation, Version};
use serde_json::Value;

/// The settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The cluster's version.
    pub version: Version,
    /// Operations that are not listed.
    pub extra: Vec<&'static Operation>,
    /// What stands before the API's paths, without a slash at its end.
    pub base: String,
    /// Open surfaces.
    pub surfaces: Vec<String>,
    /// Whether the cluster checks tenants.
    pub multi_tenancy: bool,
    /// Operations that anybody may call.
    pub anonymous: Vec<String>,
    /// Whether a search by a caller that holds nothing is denied.
    pub denies_searches: bool,
    /// Whether what only the cluster can complete is denied.
    pub denies_unresolved: bool,
    /// The same for single operations.
    pub unresolved: Vec<(String, bool)>,
    /// The longest body that is read.
    pub max_bytes: u64,
}

impl Settings {
    /// Reads them from a configuration.
    ///
    /// # Panics
    /// The version is none.
    #[must_use]
    pub fn read(configuration: &Value) -> Self {
        let api = &configuration["api"];
        let texts = |value: &Value, default: &[&str]| match value.as_array() {
            None => default.iter().map(ToString::to_string).collect(),
            Some(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        };
        let unresolved = &configuration["unresolved"];
        let operations = unresolved["operations"].as_object().into_iter().flatten();
        let version = catalogue::version(api["version"].as_str().unwrap_or("8.9")).expect("a version");
        let extra = api["extraOperations"].as_array().into_iter().flatten();
        Self {
            version,
            extra: extra.map(|row| catalogue::extra(row, version)).collect(),
            base: api["basePath"].as_str().unwrap_or("/").trim_end_matches('/').to_owned(),
            surfaces: texts(&api["surfaces"], &["v2", "grpc"]),
            multi_tenancy: api["multiTenancy"] == true,
            anonymous: texts(&configuration["anonymous"], &["getStatus", "getLicense"]),
            denies_searches: configuration["searches"] == "deny",
            denies_unresolved: unresolved["default"] == "deny",
            unresolved: operations.map(|(name, value)| (name.clone(), value == "deny")).collect(),
            max_bytes: configuration["body"]["maxBytes"].as_u64().unwrap_or(4 * 1024 * 1024),
        }
    }
}

//! The tables of a configuration.

use super::ConfigError;
use super::plan::Warning;
use super::source::Configuration;
use crate::policy;
use crate::table::Table;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The table of a configuration: one way to judge, whichever way the policy came.
pub(super) fn live(source: &Configuration, warnings: &mut Vec<Warning>) -> Result<Table, ConfigError> {
    match (&source.policy, &source.table) {
        (Some(policy), None) => {
            let at = |path: &str| if path.is_empty() { "policy".to_owned() } else { format!("policy.{path}") };
            let (bytes, found) = policy::compile(policy, 0).map_err(|e| ConfigError::new(at(&e.path), e.reason))?;
            warnings.extend(found.into_iter().map(|w| Warning { path: at(&w.path), ..w }));
            Table::open(bytes).map_err(|e| ConfigError::new("policy", e.to_string()))
        }
        (None, Some(text)) => open("table", text),
        (Some(_), Some(_)) => Err(ConfigError::new("table", "must not stand beside policy: give one of the two")),
        (None, None) => Err(ConfigError::new("policy", "is missing, and there is no table instead")),
    }
}

/// The table that is judged beside the live one.
pub(super) fn candidate(source: &Configuration) -> Result<Option<Table>, ConfigError> {
    source.candidate.as_deref().map(|text| open("candidate", text)).transpose()
}

/// Opens a table that a field holds.
fn open(field: &str, text: &str) -> Result<Table, ConfigError> {
    let bytes = STANDARD.decode(text).map_err(|e| ConfigError::new(field, format!("is not base64: {e}")))?;
    Table::open(bytes).map_err(|e| ConfigError::new(field, e.to_string()))
}

//! Policies from files.

use crate::json;
use crate::policy::{Collector, Policy};
use crate::suite::{self, SuiteError};
use std::path::Path;

/// Takes the policy in a file, JSON or YAML.
pub fn collect(path: &Path, collector: &mut Collector) -> Result<(), SuiteError> {
    let fail = |at: String, reason: String| {
        let at = if at.is_empty() || at == "." { String::new() } else { format!("{at}: ") };
        SuiteError(format!("{}: {at}{reason}", path.display()))
    };
    let policy: Policy =
        json::shape(suite::document(path)?).map_err(|e| fail(e.path().to_string(), e.inner().to_string()))?;
    collector.policy(&policy).map_err(|e| fail(e.path, e.reason))
}

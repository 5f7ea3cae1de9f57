//! Policies from files: what the API exports, what the cluster's configuration holds, or a table.

pub mod camunda;

use crate::config::{self, Plan};
use crate::json;
use crate::policy::{self, Collector, Policy, Warning};
use crate::printable::Printable;
use crate::suite::{self, SuiteError};
use crate::table::Table;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fs;
use std::io::Read as _;
use std::path::Path;

/// The longest file, in bytes. An export or a table of that size is never held as more than it is,
/// and what it says.
const LONGEST: u64 = 512 * MIB;
/// The longest that is held as a tree of values, which takes many times its bytes: YAML, and a
/// cluster's own configuration.
const LONGEST_TREE: u64 = 16 * MIB;
const MIB: u64 = 1024 * 1024;

fn fail(path: &Path, reason: impl std::fmt::Display) -> SuiteError {
    SuiteError(format!("{}: {}", path.display(), Printable(&reason.to_string())))
}

/// Reads a file, but never more of it than the limit.
fn read(path: &Path) -> Result<Vec<u8>, SuiteError> {
    let file = fs::File::open(path).map_err(|e| fail(path, e))?;
    bounded(path, file.metadata().map_err(|e| fail(path, e))?.len(), LONGEST, "")?;
    let mut bytes = Vec::new();
    // A pipe has no length.
    let length = file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(|e| fail(path, e))?;
    bounded(path, size(length), LONGEST, "")?;
    Ok(bytes)
}

fn size(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn bounded(path: &Path, length: u64, longest: u64, what: &str) -> Result<(), SuiteError> {
    if length > longest {
        return Err(fail(path, format_args!("is longer than {} MiB{what}", longest / MIB)));
    }
    Ok(())
}

/// What stands in a file, as a tree of values.
pub fn document(path: &Path) -> Result<Value, SuiteError> {
    tree(path, &read(path)?)
}

fn tree(path: &Path, bytes: &[u8]) -> Result<Value, SuiteError> {
    bounded(path, size(bytes.len()), LONGEST_TREE, "; only an export in JSON and a table may be")?;
    suite::document_of(path, bytes)
}

/// Takes the policy in a file.
pub fn collect(path: &Path, collector: &mut Collector) -> Result<(), SuiteError> {
    let bytes = read(path)?;
    if Table::is_one(&bytes) {
        let table = Table::open(bytes).map_err(|e| fail(path, e))?;
        return collector.policy(&policy::decode(&table)).map_err(|e| fail(path, e));
    }
    // An export may be large; it is not held as a tree.
    if is_export(&bytes) {
        return collector.json(&bytes).map_err(|e| fail(path, e));
    }
    let document = tree(path, &bytes)?;
    let policy: Policy = match camunda::initialization(&document) {
        Some(found) => {
            let (policy, notices) = found.map_err(|e| fail(path, e))?;
            notices.iter().for_each(|notice| collector.notice(notice));
            policy
        }
        None => json::shape(document).map_err(|e| fail(path, e))?,
    };
    collector.policy(&policy).map_err(|e| fail(path, e))
}

/// Whether a file is JSON, and its first member is a section of a policy.
fn is_export(bytes: &[u8]) -> bool {
    let first = bytes.trim_ascii_start().strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    let sections = ["authorizations", "roles", "groups", "mappingRules", "tenants"];
    first.is_some_and(|first| {
        let name = first.strip_prefix(b"\"").and_then(|rest| rest.split(|byte| *byte == b'"').next());
        first.starts_with(b"}") || name.is_some_and(|name| sections.iter().any(|section| section.as_bytes() == name))
    })
}

/// Opens a table in a file.
pub fn open(path: &Path) -> Result<Table, SuiteError> {
    Table::open(read(path)?).map_err(|e| fail(path, e))
}

/// The table of a file, compiled where it is a policy.
pub fn load(path: &Path) -> Result<(Table, Vec<Warning>), SuiteError> {
    let mut collector = Collector::default();
    collect(path, &mut collector)?;
    let (bytes, warnings) = collector.table(0);
    Ok((Table::open(bytes).map_err(|e| fail(path, e))?, warnings))
}

/// Puts the table of a file into a configuration, in place of its own.
pub fn put(configuration: &mut Value, path: &Path) -> Result<(), SuiteError> {
    let (table, warnings) = load(path)?;
    warn(&warnings);
    if let Some(members) = configuration.as_object_mut() {
        members.remove("policy");
        members.insert("table".into(), STANDARD.encode(table.bytes()).into());
    }
    Ok(())
}

/// The plan of a configuration file, or of the defaults, with the policy of another file in place of its
/// own.
pub fn plan(config: Option<&Path>, policy: Option<&Path>) -> Result<Plan, SuiteError> {
    let given = config.map_or(Ok(json!({})), suite::document)?;
    let mut configuration = suite::configuration_of(given, None)?;
    if let Some(path) = policy {
        put(&mut configuration, path)?;
    }
    let (plan, warnings) = config::read(configuration.to_string().as_bytes()).map_err(|e| SuiteError(e.to_string()))?;
    warn(&warnings);
    Ok(plan)
}

/// Says what in a policy or configuration has no effect.
pub fn warn(warnings: &[Warning]) {
    for warning in warnings {
        eprintln!("portcullis: warning: {warning}");
    }
}

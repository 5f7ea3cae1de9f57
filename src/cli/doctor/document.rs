//! Reads what is to be examined: a live Envoy's `/config_dump`, or a file.

use crate::json::{self, Strict};
use crate::suite::SuiteError;
use serde_json::Value;
use std::fs;
use std::time::Duration;

/// The longest answer of an Envoy that is read, in bytes.
const MAX_DUMP: u64 = 512 * 1024 * 1024;
/// How long a live Envoy may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// One document of a source.
pub struct Document {
    pub value: Value,
}

/// The documents of a source: an address of an Envoy's administration interface
/// (`http://127.0.0.1:9901`), or a file of JSON, or of YAML with one document or several.
///
/// # Errors
/// It cannot be read, or is neither.
pub fn read(source: &str) -> Result<Vec<Document>, SuiteError> {
    let error = |reason: &dyn std::fmt::Display| SuiteError(format!("{source}: {reason}"));
    let bytes = if source.starts_with("http://") {
        fetch(source).map_err(|e| error(&e))?
    } else if source.starts_with("https://") {
        return Err(error(
            &"an Envoy's administration interface is read over http; or give a file of its /config_dump",
        ));
    } else {
        fs::read(source).map_err(|e| error(&e))?
    };
    let live = source.starts_with("http://");
    if live || matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'[')) {
        let value = match json::parse(&bytes) {
            Ok(value) if !live || value.get("configs").is_some() => value,
            Err(reason) if !live => return Err(error(&reason)),
            _ => return Err(error(&"does not answer as an Envoy's administration interface does")),
        };
        return Ok(unpacked(value));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| error(&"not UTF-8"))?;
    let documents: Vec<Strict> = serde_saphyr::from_multiple(text).map_err(|e| error(&e))?;
    let documents: Vec<Document> = documents.into_iter().flat_map(|strict| unpacked(strict.0)).collect();
    if documents.iter().all(|d| !d.value.is_object()) {
        return Err(error(&"neither a config dump, an Envoy configuration, nor a manifest"));
    }
    Ok(documents)
}

/// The objects of a list, as `kubectl get` prints it; anything else as it is.
fn unpacked(value: Value) -> Vec<Document> {
    let is_list = value.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
    let items = value.get("items").and_then(Value::as_array).filter(|_| is_list);
    items.cloned().unwrap_or_else(|| vec![value]).into_iter().map(|value| Document { value }).collect()
}

fn fetch(address: &str) -> Result<Vec<u8>, ureq::Error> {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build().into();
    let base = address.trim_end_matches('/');
    let url = if base.contains("/config_dump") { base.to_owned() } else { format!("{base}/config_dump") };
    agent.get(url).call()?.body_mut().with_config().limit(MAX_DUMP).read_to_vec()
}

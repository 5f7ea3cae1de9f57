//! Reads what is to be examined: a live Envoy's `/config_dump`, or files, and puts together what belongs together.

use super::chain::field;
use crate::json::{self, Strict};
use crate::suite::SuiteError;
use serde_json::Value;
use std::fs;
use std::time::Duration;

/// The longest answer of an Envoy that is read, in bytes.
const MAX_DUMP: u64 = 512 * 1024 * 1024;
/// How long a live Envoy may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Documents that are examined together.
#[derive(Default)]
pub struct Set {
    /// The sources that they come from, for people.
    pub name: String,
    pub documents: Vec<Value>,
}

impl Set {
    fn add(&mut self, other: Self) {
        if !self.name.is_empty() {
            self.name.push_str(", ");
        }
        self.name.push_str(&other.name);
        self.documents.extend(other.documents);
    }

    /// Objects of Kubernetes.
    fn is_manifests(&self) -> bool {
        self.documents.iter().any(|document| document.get("kind").is_some())
    }

    /// What an Envoy is given by a file that it watches.
    fn is_resources(&self) -> bool {
        self.documents.iter().any(|document| document.get("resources").is_some())
    }

    fn is_bootstrap(&self) -> bool {
        self.documents.iter().any(|document| field(document, "static_resources").is_some())
    }
}

/// What belongs together of some sources: all manifests, as they are applied; a bootstrap and the resources of the files
/// that its Envoy watches. Anything else stands by itself.
///
/// # Errors
/// One cannot be read.
pub fn sets(sources: &[String]) -> Result<Vec<Set>, SuiteError> {
    let all = sources.iter().map(|source| Ok(Set { name: source.clone(), documents: read(source)? }));
    let all: Vec<Set> = all.collect::<Result<_, SuiteError>>()?;
    let (manifests, others): (Vec<Set>, Vec<Set>) = all.into_iter().partition(Set::is_manifests);
    let (resources, mut sets): (Vec<Set>, Vec<Set>) = others.into_iter().partition(Set::is_resources);
    let mut bootstraps = sets.iter_mut().filter(|set| set.is_bootstrap());
    let mut apart = Set::default();
    let given = match (bootstraps.next(), bootstraps.next()) {
        (Some(only), None) => only,
        // Whose they are cannot be told.
        _ => &mut apart,
    };
    resources.into_iter().for_each(|set| given.add(set));
    let mut applied = Set::default();
    manifests.into_iter().for_each(|set| applied.add(set));
    sets.extend([apart, applied].into_iter().filter(|set| !set.documents.is_empty()));
    Ok(sets)
}

/// The documents of a source: an address of an Envoy's administration interface
/// (`http://127.0.0.1:9901`), or a file of JSON, or of YAML with one document or several.
///
/// # Errors
/// It cannot be read, or is neither.
fn read(source: &str) -> Result<Vec<Value>, SuiteError> {
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
    let documents: Vec<Value> = documents.into_iter().flat_map(|strict| unpacked(strict.0)).collect();
    if documents.iter().all(|document| !document.is_object()) {
        return Err(error(&"neither a config dump, an Envoy configuration, nor a manifest"));
    }
    Ok(documents)
}

/// The objects of a list, as `kubectl get` prints it; anything else as it is.
fn unpacked(value: Value) -> Vec<Value> {
    let is_list = value.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
    let items = value.get("items").and_then(Value::as_array).filter(|_| is_list);
    items.cloned().unwrap_or_else(|| vec![value])
}

fn fetch(address: &str) -> Result<Vec<u8>, ureq::Error> {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build().into();
    let base = address.trim_end_matches('/');
    let url = if base.contains("/config_dump") { base.to_owned() } else { format!("{base}/config_dump") };
    agent.get(url).call()?.body_mut().with_config().limit(MAX_DUMP).read_to_vec()
}

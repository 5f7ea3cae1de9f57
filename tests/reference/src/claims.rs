//! Mapping rules: does a claim have a value?
//!
//! Only plain paths are read: names in dot or bracket notation, and list positions. A rule with
//! anything else (wildcards, filters, deep scans) is none that this evaluator has an opinion on.

use crate::policy::Rule;
use serde_json::Value;

/// One step of a path.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    Name(String),
    Position(usize),
}

/// Whether the rule's path is one that is read here.
#[must_use]
pub fn is_plain(rule: &Rule) -> bool {
    steps(&rule.claim).is_some()
}

/// Whether the claims fulfil the rule: the claim is that very text, or a list that holds it.
/// Nothing is converted: numbers and booleans fulfil no rule. From Camunda 8.10 on bare names are flat.
#[must_use]
pub fn matches(rule: &Rule, claims: &Value, flat: bool) -> bool {
    let flat_name = || Some(vec![Step::Name(rule.claim.clone())]);
    let path = if flat && !rule.claim.starts_with('$') { flat_name() } else { steps(&rule.claim) };
    let Some(steps) = path else { return false };
    let mut here = claims;
    for step in &steps {
        let next = match (step, here) {
            (Step::Name(name), Value::Object(object)) => object.get(name),
            (Step::Position(position), Value::Array(list)) => list.get(*position),
            _ => None,
        };
        let Some(next) = next else { return false };
        here = next;
    }
    match here {
        Value::String(text) => *text == rule.value,
        Value::Array(list) => list.iter().any(|item| item.as_str() == Some(&rule.value)),
        _ => false,
    }
}

/// `a.b`, `$.a.b`, `$['a.b'].c`, `a[0]`.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = match path.strip_prefix('$') {
        Some(rest) => rest.to_owned(),
        None => format!(".{path}"),
    };
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("['") {
            let (name, after) = after.split_once("']")?;
            if name.is_empty() || name.contains(['\'', '\\', ',']) {
                return None;
            }
            steps.push(Step::Name(name.to_owned()));
            rest = after.to_owned();
        } else if let Some(after) = rest.strip_prefix('[') {
            let (position, after) = after.split_once(']')?;
            steps.push(Step::Position(position.parse().ok()?));
            rest = after.to_owned();
        } else {
            let after = rest.strip_prefix('.')?;
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (name, after) = after.split_at(end);
            let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':');
            if name.is_empty() || !name.chars().all(is_plain) {
                return None;
            }
            steps.push(Step::Name(name.to_owned()));
            rest = after.to_owned();
        }
    }
    (!steps.is_empty()).then_some(steps)
}

//! Members of a configuration by Spring's relaxed names: `issuer-uri`, `issuerUri` and `ISSUER_URI`
//! are one name, and `a.b: x` stands for `a: {b: x}`.

use serde_json::{Map, Value, json};

/// The same with all names in their canonical form, and dotted ones taken apart.
pub fn canonical_tree(value: &Value) -> Value {
    let Some(members) = value.as_object() else { return value.clone() };
    let mut tree = Map::new();
    for (name, inner) in members {
        let name = canonical(name);
        let inner = name.rsplit('.').fold(canonical_tree(inner), |inner, part| json!({ part: inner }));
        merge(&mut tree, inner);
    }
    Value::Object(tree)
}

fn merge(tree: &mut Map<String, Value>, more: Value) {
    let Value::Object(more) = more else { return };
    for (name, inner) in more {
        match (tree.get_mut(&name), inner) {
            (Some(Value::Object(there)), inner @ Value::Object(_)) => merge(there, inner),
            (_, inner) => {
                tree.insert(name, inner);
            }
        }
    }
}

/// The value at a path such as `camunda.security.authentication` of a canonical tree; `None` also
/// for null and for an empty text.
pub fn find<'a>(tree: &'a Value, path: &str) -> Option<&'a Value> {
    let found = canonical(path).split('.').try_fold(tree, |value, part| value.get(part));
    found.filter(|found| !found.is_null() && found.as_str() != Some(""))
}

/// The text at a path; numbers and booleans are texts, too. A placeholder that only the cluster
/// could resolve (`${...}`) counts as absent.
pub fn text(value: &Value, path: &str) -> Option<String> {
    let text = match find(value, path)? {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        _ => return None,
    };
    (!text.contains("${")).then_some(text)
}

/// Whether a switch is on.
pub fn flag(value: &Value, path: &str) -> Option<bool> {
    text(value, path)?.parse().ok()
}

/// The texts of a list, or of a text with commas, as Spring reads one.
pub fn texts(value: &Value, path: &str) -> Vec<String> {
    match find(value, path) {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(Into::into).collect(),
        Some(Value::String(text)) => text.split(',').map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()).collect(),
        _ => Vec::new(),
    }
}

/// The members of the object at a path.
pub fn members<'a>(value: &'a Value, path: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    find(value, path).and_then(Value::as_object).into_iter().flatten()
}

fn canonical(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_')).map(|c| c.to_ascii_lowercase()).collect()
}

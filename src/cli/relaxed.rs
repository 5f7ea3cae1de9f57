//! Members of a configuration by Spring's relaxed names: `issuer-uri`, `issuerUri` and `ISSUER_URI`
//! are one name, `a.b: x` stands for `a: {b: x}`, and `a[0]: x` for `a: [x]`.

use serde_json::{Value, json};

/// How deep a name may lead. What is deeper is no property of the cluster, and the tree is gone through
/// by functions that call themselves.
const DEEPEST: usize = 64;

/// A configuration with all names in their canonical form, dotted ones taken apart, and lists as
/// objects with the members `0`, `1` and so on, however they were written.
#[derive(Debug)]
pub struct Tree {
    pub value: Value,
    /// The places that got two values, of which only the first is kept.
    twice: Vec<String>,
}

impl Tree {
    pub fn new(document: &Value) -> Self {
        let mut tree = Self { value: Value::Null, twice: Vec::new() };
        place(&mut tree.value, "", &[], document, &mut tree.twice);
        tree
    }

    /// Refuses what stands twice at a path, below or above it. It is no matter elsewhere: files of
    /// values have much that is not for the edge.
    pub fn check(&self, path: &str) -> Result<(), String> {
        let path = canonical(path);
        match self.twice.iter().find(|twice| is_within(twice, &path) || is_within(&path, twice)) {
            Some(twice) => Err(format!("{twice}: stands twice, with two values")),
            None => Ok(()),
        }
    }
}

fn is_within(path: &str, whole: &str) -> bool {
    path.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Puts a value where a name leads to, from a place of the tree on.
fn place(slot: &mut Value, at: &str, name: &[String], value: &Value, twice: &mut Vec<String>) {
    if name.is_empty() && !is_container(value) {
        if is_nothing(slot) {
            *slot = value.clone();
        } else if !is_nothing(value) && slot != value {
            twice.push(at.to_owned());
        }
        return;
    }
    if is_nothing(slot) {
        *slot = json!({});
    }
    let Some(members) = slot.as_object_mut() else { return twice.push(at.to_owned()) };
    let mut put = |name: &[String], value: &Value| {
        if let Some((first, rest)) = name.split_first() {
            let inner = members.entry(first.as_str()).or_insert(Value::Null);
            place(inner, &below(at, first), rest, value, twice);
        }
    };
    match value {
        _ if !name.is_empty() => put(name, value),
        Value::Array(items) => items.iter().zip(0_usize..).for_each(|(item, n)| put(&[n.to_string()], item)),
        _ => value.as_object().into_iter().flatten().for_each(|(name, inner)| put(&parts(name), inner)),
    }
}

fn is_container(value: &Value) -> bool {
    value.is_object() || value.is_array()
}

/// Whether a value gives way to any other.
fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("")
}

/// The names in a name such as `a.b[0].c`.
fn parts(name: &str) -> Vec<String> {
    let name = canonical(name);
    let parts = name.split(['.', '[']).map(|part| part.strip_suffix(']').unwrap_or(part));
    let parts: Vec<String> = parts.filter(|part| !part.is_empty()).map(Into::into).collect();
    if parts.is_empty() || parts.len() > DEEPEST { vec![name] } else { parts }
}

/// The path of a member of what stands at a path.
fn below(at: &str, name: &str) -> String {
    match name {
        _ if at.is_empty() => name.to_owned(),
        _ if index(name).is_some() => format!("{at}[{name}]"),
        _ => format!("{at}.{name}"),
    }
}

fn index(name: &str) -> Option<usize> {
    name.parse().ok().filter(|number: &usize| number.to_string() == name)
}

/// The value at a path such as `camunda.security.authentication` of a canonical tree; `None` also
/// for null and for an empty text.
pub fn find<'a>(tree: &'a Value, path: &str) -> Option<&'a Value> {
    let found = canonical(path).split('.').try_fold(tree, |value, part| value.get(part));
    found.filter(|found| !is_nothing(found))
}

/// The text at a path; numbers and booleans are texts, too. A placeholder that only the cluster
/// could resolve (`${...}`) counts as absent.
pub fn text(value: &Value, path: &str) -> Option<String> {
    find(value, path).and_then(as_text).filter(|text| !text.contains("${"))
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// Whether a switch is on.
pub fn flag(value: &Value, path: &str) -> Option<bool> {
    text(value, path)?.parse().ok()
}

/// The texts of a list, or of a text with commas, as Spring reads one.
///
/// # Errors
/// There is something else; the reason begins with the path.
pub fn texts(value: &Value, path: &str) -> Result<Vec<String>, String> {
    let Some(found) = find(value, path) else { return Ok(Vec::new()) };
    if let Some(text) = as_text(found) {
        return Ok(text.split(',').map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()).collect());
    }
    let texts = list(value, path)?.into_iter().zip(0_usize..);
    texts.map(|(item, n)| as_text(item).ok_or_else(|| format!("{path}[{n}]: must be a text"))).collect()
}

/// The items of a list.
///
/// # Errors
/// There is something else, or an item is missing; the reason begins with the path.
pub fn list<'a>(value: &'a Value, path: &str) -> Result<Vec<&'a Value>, String> {
    let no_list = || format!("{path}: must be a list");
    let Some(found) = find(value, path) else { return Ok(Vec::new()) };
    let found = found.as_object().ok_or_else(no_list)?;
    if found.keys().any(|name| index(name).is_none()) {
        return Err(no_list());
    }
    let item = |n: usize| found.get(&n.to_string()).ok_or_else(|| format!("{path}[{n}]: is missing"));
    (0..found.len()).map(item).collect()
}

/// The members of the object at a path.
pub fn members<'a>(value: &'a Value, path: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    find(value, path).and_then(Value::as_object).into_iter().flatten()
}

/// The one of these names that is meant, as Spring reads the name of a constant: letters and digits
/// count, and no case.
pub fn constant(text: String, mut names: impl Iterator<Item = &'static str>) -> String {
    let letters = |name: &str| {
        let letters = name.chars().filter(|c| c.is_alphanumeric());
        letters.map(|c| c.to_ascii_lowercase()).collect::<String>()
    };
    names.find(|name| letters(name) == letters(&text)).map_or(text, Into::into)
}

/// A name as all its spellings are compared.
pub fn canonical(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_')).map(|c| c.to_ascii_lowercase()).collect()
}

//! What a body says, where it says anything.

use crate::catalogue::Operation;
use crate::policy::{Policy, Scope};
use serde_json::{Map, Value, json};

/// A request's body.
#[derive(Clone, Debug)]
pub enum Body {
    /// There is none.
    None,
    /// Nothing can be known about it: it is longer than what is read.
    Unknown,
    /// Its members.
    Object(Map<String, Value>),
}

/// A member of a body.
#[derive(Clone, Copy, Debug)]
pub enum Member<'a> {
    /// It is not there, or null.
    Absent,
    /// Whether it is there cannot be known.
    Unknown,
    /// Its value.
    Is(&'a Value),
}

/// Tenants in a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Named {
    /// None is named.
    Nothing,
    /// These.
    These(Vec<String>),
    /// What is named cannot be known, or is no name.
    Unclear,
}

impl Body {
    /// Reads a body; `None` where it is not one JSON object.
    #[must_use]
    pub fn read(bytes: &[u8], max_bytes: u64) -> Option<Self> {
        if bytes.len() as u64 > max_bytes {
            return Some(Self::Unknown);
        }
        serde_json::from_slice(bytes).ok().map(Self::Object)
    }

    /// Reads a message, written as JSON. The fields of messages inside it are its own; what has no
    /// value, or that of its type, is not there.
    #[must_use]
    pub fn message(bytes: &[u8]) -> Option<Self> {
        fn flatten(object: Map<String, Value>, way: &str, flat: &mut Map<String, Value>) {
            for (name, value) in object {
                match value {
                    Value::Object(inner) => flatten(inner, &format!("{way}{name}."), flat),
                    value if [json!(""), json!("0"), json!(0), json!("PROVIDED")].contains(&value) => {}
                    value => drop(flat.insert(format!("{way}{name}"), value)),
                }
            }
        }
        let mut flat = Map::new();
        flatten(serde_json::from_slice(bytes).ok()?, "", &mut flat);
        Some(Self::Object(flat))
    }

    /// Reads the tenant of a form that is written as plainly as can be; no other.
    #[must_use]
    pub fn form(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (boundary, _) = text.split_once("\r\n").filter(|(line, _)| line.len() > 2 && line.starts_with("--"))?;
        let parts = text.strip_suffix(&format!("{boundary}--\r\n"))?;
        let mut form = Map::new();
        for part in parts.split(boundary).skip(1) {
            let (headers, content) = part.split_once("\r\n\r\n")?;
            if headers.ends_with("form-data; name=\"tenantId\"") {
                form.insert("tenantId".to_owned(), json!(content.strip_suffix("\r\n")?));
            }
        }
        Some(Self::Object(form))
    }

    /// A member, by a source such as `body:/name`.
    #[must_use]
    pub fn member(&self, source: &str) -> Member<'_> {
        let name = source.strip_prefix("body:/").expect("a source in the body");
        match self {
            Self::None => Member::Absent,
            Self::Unknown => Member::Unknown,
            Self::Object(object) => match object.get(name) {
                None | Some(Value::Null) => Member::Absent,
                Some(value) => Member::Is(value),
            },
        }
    }

    /// A condition such as `body:/allowOverride=false`: whether it holds, where that can be known.
    #[must_use]
    pub fn fulfils(&self, condition: &str) -> Option<bool> {
        let (source, wanted) = condition.split_once('=').expect("a condition on the body");
        match self.member(source) {
            Member::Absent => Some(false),
            Member::Is(Value::Bool(value)) => Some(value.to_string() == wanted),
            Member::Is(_) | Member::Unknown => None,
        }
    }

    /// The tenants that a member names: one as text (`tenantId`), or a list (`tenantIds`), unless the
    /// cluster is told to go by others.
    #[must_use]
    pub fn tenants(&self, source: &str, filter: Option<&str>) -> Named {
        let is_list = source.ends_with('s');
        if let Some(filter) = filter
            && let Member::Is(filter) = self.member(filter)
            && *filter != "PROVIDED"
        {
            return Named::Unclear;
        }
        match self.member(source) {
            Member::Absent => Named::Nothing,
            Member::Is(Value::String(tenant)) if !is_list => Named::These(vec![tenant.clone()]),
            Member::Is(Value::Array(list)) if is_list && list.is_empty() => Named::Nothing,
            Member::Is(Value::Array(list)) if is_list => {
                let tenants: Option<Vec<String>> = list.iter().map(|item| item.as_str().map(str::to_owned)).collect();
                tenants.map_or(Named::Unclear, Named::These)
            }
            Member::Is(_) | Member::Unknown => Named::Unclear,
        }
    }
}

/// Bodies that between them have every effect that a body can have on what the grants say: each
/// condition fulfilled, not fulfilled, and unclear; each id that is granted to anybody, another, and
/// none.
#[must_use]
pub fn samples(operation: &Operation, policy: &Policy) -> Vec<Body> {
    let mut samples = vec![Body::None, Body::Unknown];
    let mut add = |name: &str, value: Value| samples.push(Body::Object(Map::from_iter([(name.to_owned(), value)])));
    for alternative in &operation.alternatives {
        if let Some((name, _)) =
            alternative.when.as_deref().and_then(|when| when.strip_prefix("body:/")?.split_once('='))
        {
            [Value::Bool(true), Value::Bool(false)].into_iter().for_each(|value| add(name, value));
        }
        if let Some(name) = alternative.id.strip_prefix("body:/") {
            add(name, Value::from("\0"));
            for grant in &policy.grants {
                if let Scope::Id(id) = &grant.scope {
                    add(name, Value::from(id.as_str()));
                }
            }
        }
    }
    samples
}

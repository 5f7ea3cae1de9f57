//! The list of operations, read from the repository's data, and a naive search in it.

use serde_json::Value;
use std::sync::LazyLock;

/// All operations.
pub static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    let rest = include_str!("../../../src/api/catalogue/operations.json");
    let grpc = include_str!("../../../src/api/catalogue/grpc.json");
    let rows = |text| serde_json::from_str::<Vec<Value>>(text).expect("the catalogue is a JSON list");
    rows(rest).iter().chain(&rows(grpc)).map(operation).collect()
});

/// Resource types with their permissions.
pub static RESOURCES: LazyLock<Vec<(String, Vec<String>)>> = LazyLock::new(|| {
    let text = include_str!("../../../src/api/catalogue/resources.json");
    let types: serde_json::Map<String, Value> = serde_json::from_str(text).expect("a JSON object");
    let permissions = |value: Value| value.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    types.into_iter().map(|(name, value)| (name, permissions(value))).collect()
});

/// A version of the cluster, such as 8.9.
pub type Version = (u32, u32);

/// One operation.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its id.
    pub id: String,
    /// Its surface.
    pub surface: String,
    /// The first version that has it.
    pub since: Version,
    /// The method, or `*`.
    pub method: String,
    /// The path, with `{parameters}`.
    pub path: String,
    /// How the alternatives are joined.
    pub mode: String,
    /// What it requires.
    pub alternatives: Vec<Alternative>,
    /// Whether it succeeds where nothing is concerned, so that missing grants prove nothing.
    pub never_denied: bool,
    /// Where its tenant stands.
    pub tenant: Option<String>,
    /// Where it says that the cluster goes by the caller's own tenants instead.
    pub tenant_filter: Option<String>,
    /// Whether it is never opened.
    pub is_blocked: bool,
}

/// One permission that it requires, or may require.
#[derive(Clone, Debug)]
pub struct Alternative {
    /// The resource type.
    pub resource_type: String,
    /// The permission.
    pub permission: String,
    /// Where the resource's id stands.
    pub id: String,
    /// Where a key may stand instead of that id.
    pub key: Option<String>,
    /// The first version that knows this alternative.
    pub since: Version,
    /// The condition under which it counts.
    pub when: Option<String>,
}

impl Operation {
    /// Whether it is a gRPC call, whose body is a message.
    #[must_use]
    pub fn is_call(&self) -> bool {
        self.surface == "grpc"
    }

    /// Whether anything in a body bears on it.
    #[must_use]
    pub fn looks_at_body(&self) -> bool {
        let in_body = |source: Option<&str>| source.is_some_and(|source| source.starts_with("body:/"));
        in_body(self.tenant.as_deref())
            || self.alternatives.iter().any(|a| in_body(Some(&a.id)) || in_body(a.when.as_deref()))
    }
}

/// Names of parameters with their decoded values.
pub type Parameters = Vec<(String, String)>;

/// An operation with the parameters of a path.
#[derive(Clone, Debug)]
pub struct Route {
    /// The operation.
    pub operation: &'static Operation,
    /// The parameters.
    pub parameters: Parameters,
}

/// Reads `8.10`.
#[must_use]
pub fn version(text: &str) -> Option<Version> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The operation of a method and a path without query; where several fit, a literal segment beats
/// a parameter. `HEAD` is `GET` without the answer's body.
#[must_use]
pub fn find(version: Version, method: &str, path: &str) -> Option<Route> {
    find_with(&[], version, method, path)
}

/// The same among more operations than are listed.
#[must_use]
pub fn find_with(extra: &[&'static Operation], version: Version, method: &str, path: &str) -> Option<Route> {
    let method = if method == "HEAD" { "GET" } else { method };
    let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let mut best: Option<(Vec<bool>, Route)> = None;
    let there = OPERATIONS.iter().filter(|operation| operation.since <= version).chain(extra.iter().copied());
    for operation in there.filter(|o| o.method == method || o.method == "*") {
        let Some((literals, parameters)) = fit(operation, &segments) else { continue };
        if best.as_ref().is_none_or(|(other, _)| literals > *other) {
            best = Some((literals, Route { operation, parameters }));
        }
    }
    best.map(|(_, route)| route)
}

/// Which segments are literal, and the parameters; `None` where the path does not fit.
fn fit(operation: &Operation, segments: &[&str]) -> Option<(Vec<bool>, Parameters)> {
    let (mut literals, mut parameters) = (Vec::new(), Parameters::new());
    let template: Vec<&str> = operation.path.strip_prefix('/')?.split('/').collect();
    for (position, part) in template.iter().enumerate() {
        if *part == "**" {
            return Some((literals, parameters));
        }
        let segment = segments.get(position)?;
        if let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            if segment.is_empty() {
                return None;
            }
            parameters.push((name.to_owned(), decode(segment)?));
            literals.push(false);
        } else if part == segment {
            literals.push(true);
        } else {
            return None;
        }
    }
    (template.len() == segments.len()).then_some((literals, parameters))
}

/// Undoes percent-encoding.
#[must_use]
pub fn decode(segment: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = segment.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            let digit = |position: usize| char::from(digits[position]).to_digit(16);
            bytes.push(u8::try_from(digit(0)? * 16 + digit(1)?).ok()?);
            rest = after;
        } else {
            bytes.push(*byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn operation(row: &Value) -> Operation {
    let since = version(row["since"].as_str().unwrap_or_default()).expect("a version");
    let alternative = |grant: &Value| Alternative {
        resource_type: text(grant, "type"),
        permission: text(grant, "permission"),
        id: source(&grant["id"]).unwrap_or_default(),
        key: source(&grant["key"]),
        since: grant["since"].as_str().map_or(since, |text| version(text).expect("a version")),
        when: grant["when"].as_str().map(str::to_owned),
    };
    Operation {
        id: text(row, "operation"),
        surface: text(row, "surface"),
        since,
        method: text(row, "method"),
        path: text(row, "path"),
        mode: text(row, "mode"),
        alternatives: row["grants"].as_array().into_iter().flatten().map(alternative).collect(),
        never_denied: row["neverDenied"] == true,
        tenant: source(&row["tenant"]),
        tenant_filter: source(&row["tenantFilter"]),
        is_blocked: row["blocked"] == true,
    }
}

/// An operation that a configuration adds. It lives as long as the program, as those do that are listed.
#[must_use]
pub fn extra(row: &Value, version: Version) -> &'static Operation {
    let alternative = |grant: &Value| Alternative {
        resource_type: text(grant, "resourceType"),
        permission: text(grant, "permissionType"),
        id: text(grant, "resourceIdSource"),
        key: source(&grant["resourceKeySource"]),
        since: version,
        when: grant["condition"].as_str().map(str::to_owned),
    };
    let path = text(row, "path");
    Box::leak(Box::new(Operation {
        id: text(row, "operation"),
        surface: if path.starts_with("/cluster/") { "cluster" } else { "v2" }.to_owned(),
        since: version,
        method: text(row, "method"),
        path,
        mode: text(row, "mode"),
        alternatives: row["grants"].as_array().into_iter().flatten().map(alternative).collect(),
        never_denied: row["neverDenied"] == true,
        tenant: source(&row["tenant"]),
        tenant_filter: None,
        is_blocked: false,
    }))
}

/// A source; the fields of a message are members of a body like others, `msg:a(1).b(2)` being
/// `body:/a.b`.
fn source(value: &Value) -> Option<String> {
    let source = value.as_str()?;
    let Some(fields) = source.strip_prefix("msg:") else { return Some(source.to_owned()) };
    let names: Vec<&str> = fields.split('.').map(|field| field.split('(').next().unwrap_or_default()).collect();
    Some(format!("body:/{}", names.join(".")))
}

fn text(row: &Value, name: &str) -> String {
    row[name].as_str().unwrap_or_default().to_owned()
}

//! Turns `operations.json`, `grpc.json` and `resources.json` into static data: nothing of the
//! catalogue is parsed at run time, and a row that says something unknown stops the build.

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

type Row = Map<String, Value>;

fn main() {
    let here = Path::new("src/api/catalogue");
    println!("cargo::rerun-if-changed={}", here.display());
    let resources: Row = read(&here.join("resources.json"));
    let mut operations: Vec<Row> = read(&here.join("operations.json"));
    operations.extend(read::<Vec<Row>>(&here.join("grpc.json")));
    let mut out = String::new();
    write_resources(&mut out, &resources);
    write_operations(&mut out, &operations, &resources);
    write_tree(&mut out, &operations);
    let target = Path::new(&env::var("OUT_DIR").expect("cargo sets OUT_DIR")).join("catalogue.rs");
    fs::write(target, out).expect("OUT_DIR is writable");
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn text<'a>(row: &'a Row, field: &str) -> Option<&'a str> {
    row.get(field).map(|v| v.as_str().unwrap_or_else(|| panic!("{field} is not text: {row:?}")))
}

fn flag(row: &Row, field: &str) -> bool {
    row.get(field).is_some_and(|v| v.as_bool().expect("a flag is true or false"))
}

fn need<'a>(row: &'a Row, field: &str) -> &'a str {
    text(row, field).unwrap_or_else(|| panic!("{field} is missing: {row:?}"))
}

/// Names as static data.
fn texts<'a>(names: impl Iterator<Item = &'a str>) -> String {
    format!("Borrowed(&[{}])", names.map(|name| format!("Borrowed({name:?})")).collect::<Vec<_>>().join(", "))
}

fn optional(text: Option<&str>) -> String {
    text.map_or("None".into(), |text| format!("Some(Borrowed({text:?}))"))
}

fn version(text: &str) -> String {
    let (major, minor) = text.split_once('.').expect("a version is MAJOR.MINOR");
    let number = |s: &str| s.parse::<u8>().expect("a version has numbers");
    format!("Version::new({}, {})", number(major), number(minor))
}

fn write_resources(out: &mut String, resources: &Row) {
    let _ = writeln!(out, "/// Resource types in the order of their numbers.");
    let _ = writeln!(out, "pub static RESOURCES: [Resource; {}] = [", resources.len());
    for (name, permissions) in resources {
        let names: Vec<&String> = permissions.as_object().expect("permissions").keys().collect();
        assert!(names.len() <= 16, "{name} has more permissions than a set can hold");
        let _ = writeln!(out, "    Resource {{ name: {name:?}, permissions: &{names:?} }},");
    }
    let _ = writeln!(out, "];");
}

fn parameters(path: &str) -> Vec<&str> {
    path.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}')).collect()
}

/// A member of a body that may decide.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Member {
    name: String,
    /// The numbers that lead to a field of a protobuf message; none in JSON.
    path: Vec<u32>,
    kind: &'static str,
}

/// `body:/name`, a member of the outermost object, or `msg:name(1).name(2)`, a field of a message.
fn member(source: &str, kind: &'static str) -> Option<Member> {
    if let Some(name) = source.strip_prefix("body:/") {
        assert!(!name.contains('/'), "{source}: only members of the outermost object are read");
        return Some(Member { name: name.into(), path: Vec::new(), kind });
    }
    let step = |step: &str| {
        let (name, number) = step.strip_suffix(')').and_then(|s| s.split_once('(')).expect("a field is name(number)");
        (name.to_owned(), number.parse::<u32>().expect("a field has a number"))
    };
    let (names, path): (Vec<String>, Vec<u32>) = source.strip_prefix("msg:")?.split('.').map(step).unzip();
    Some(Member { name: names.join("."), path, kind })
}

fn parameter_index(row: &Row, name: &str) -> usize {
    let path = need(row, "path");
    parameters(path).iter().position(|p| *p == name).unwrap_or_else(|| panic!("{path} has no {name}"))
}

fn alternative(row: &Row, grant: &Row, resources: &Row, members: &mut Vec<Member>) -> String {
    let (kind, permission) = (need(grant, "type"), need(grant, "permission"));
    let resource = resources.keys().position(|t| t == kind).unwrap_or_else(|| panic!("unknown type {kind}"));
    let names = resources[kind].as_object().expect("permissions");
    let permission = names.keys().position(|p| p == permission).unwrap_or_else(|| panic!("{kind} has no {permission}"));
    let source = need(grant, "id");
    let id = if let Some(id) = member(source, "Text") {
        let key = text(grant, "key").map(|k| member(k, "Number").expect("a key in the body"));
        let key_name = optional(key.as_ref().map(|k| &*k.name));
        let source = format!("IdSource::Body {{ id: Borrowed({:?}), key: {key_name} }}", id.name);
        members.extend([Some(id), key].into_iter().flatten());
        source
    } else if let Some(name) = source.strip_prefix("path:") {
        format!("IdSource::Path({})", parameter_index(row, name))
    } else if let Some(value) = source.strip_prefix("literal:") {
        format!("IdSource::Literal(Borrowed({value:?}))")
    } else {
        match source {
            "wildcard" => "IdSource::Wildcard".into(),
            "key" => "IdSource::Key".into(),
            "result-filter" => "IdSource::ResultFilter".into(),
            other => panic!("unknown id source {other}"),
        }
    };
    let condition = match text(grant, "when") {
        None => "Condition::None".into(),
        Some(when) => match when.split_once('=') {
            Some((pointer, value)) if pointer.starts_with("body:/") => {
                let member = member(pointer, "Flag").expect("checked");
                let condition = format!("Condition::Body {{ member: Borrowed({:?}), equals: {value} }}", member.name);
                members.push(member);
                condition
            }
            _ => format!("Condition::Cluster(Borrowed({when:?}))"),
        },
    };
    let since = version(text(grant, "since").unwrap_or(need(row, "since")));
    format!(
        "Alternative {{ resource: ResourceType({resource}), permission: Permission({permission}), \
         id: {id}, since: {since}, condition: {condition} }}"
    )
}

fn tenant(row: &Row, members: &mut Vec<Member>) -> String {
    let Some(source) = text(row, "tenant") else {
        return "TenantSource::None".into();
    };
    if let Some(name) = source.strip_prefix("multipart:") {
        return format!("TenantSource::BodyOne(Borrowed({name:?}))");
    }
    if let Some(filter) = text(row, "tenantFilter") {
        let ids = member(source, "Texts").expect("a list of tenants in the body");
        let filter = member(filter, "Number").expect("a filter in the body");
        let source = format!("TenantSource::BodyMany {{ ids: {:?}, filter: {:?} }}", ids.name, filter.name);
        members.extend([ids, filter]);
        return source;
    }
    if let Some(one) = member(source, "Text") {
        let source = format!("TenantSource::BodyOne(Borrowed({:?}))", one.name);
        members.push(one);
        return source;
    }
    if let Some(name) = source.strip_prefix("path:") {
        return format!("TenantSource::Path({})", parameter_index(row, name));
    }
    match source {
        "key" => "TenantSource::Key".into(),
        "filter" => "TenantSource::Filter".into(),
        other => panic!("unknown tenant source {other}"),
    }
}

/// How a body is written, by what is looked for in it.
fn form(row: &Row, mut members: Vec<Member>) -> String {
    if let Some(part) = text(row, "tenant").and_then(|source| source.strip_prefix("multipart:")) {
        assert!(members.is_empty(), "{row:?}: only the tenant is read in a multipart body");
        return format!("Form::Multipart(Borrowed({part:?}))");
    }
    members.sort();
    members.dedup();
    if need(row, "surface") != "grpc" {
        assert!(members.iter().all(|m| m.path.is_empty()), "{row:?} has fields of a message");
        return format!("Form::Json({})", texts(members.iter().map(|m| &*m.name)));
    }
    let field = |Member { name, path, kind }: &Member| {
        assert!(!path.is_empty(), "{row:?} has members of JSON");
        format!("Field {{ name: {name:?}, path: &{path:?}, kind: FieldKind::{kind} }}")
    };
    format!("Form::Message(&[{}])", members.iter().map(field).collect::<Vec<_>>().join(", "))
}

fn variant(name: &str) -> String {
    name.split('-').map(|part| part[..1].to_uppercase() + &part[1..].to_lowercase()).collect()
}

fn method(row: &Row) -> String {
    match need(row, "method") {
        "*" => "Method::Any".into(),
        name => format!("Method::{}", variant(name)),
    }
}

fn write_operations(out: &mut String, operations: &[Row], resources: &Row) {
    let _ = writeln!(out, "/// Every operation, in the order of `operations.json`.");
    let _ = writeln!(out, "pub static OPERATIONS: [Operation; {}] = [", operations.len());
    for row in operations {
        let mut members = Vec::new();
        let grants: Vec<String> = row
            .get("grants")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|g| alternative(row, g.as_object().expect("a grant"), resources, &mut members))
            .collect();
        let tenant = tenant(row, &mut members);
        let surface = need(row, "surface");
        let surface = surface[..1].to_uppercase() + &surface[1..];
        let _ = writeln!(
            out,
            "    Operation {{ id: Borrowed({:?}), surface: Surface::{surface}, since: {}, method: {}, \
             path: Borrowed({:?}), parameters: {}, public: {}, blocked: {}, mode: Mode::{}, \
             grants: Borrowed(&[{}]), static_files: {}, never_denied: {}, tenant: {tenant}, body: {}, note: {} }},",
            need(row, "operation"),
            version(need(row, "since")),
            method(row),
            need(row, "path"),
            texts(parameters(need(row, "path")).into_iter()),
            flag(row, "public"),
            flag(row, "blocked"),
            variant(need(row, "mode")),
            grants.join(", "),
            flag(row, "staticFiles"),
            flag(row, "neverDenied"),
            form(row, members),
            optional(text(row, "note")),
        );
    }
    let _ = writeln!(out, "];");
}

/// The tree of path segments under construction; nodes are numbered as they are made.
#[derive(Default)]
struct Node {
    literals: BTreeMap<String, usize>,
    parameter: Option<usize>,
    operations: Vec<(String, usize)>,
    rest: Vec<(String, usize)>,
}

fn write_tree(out: &mut String, operations: &[Row]) {
    let mut nodes = vec![Node::default()];
    for (number, row) in operations.iter().enumerate() {
        let (mut at, mut rest) = (0, false);
        for segment in need(row, "path").split('/').filter(|s| !s.is_empty()) {
            let fresh = nodes.len();
            let next = match segment {
                "**" => {
                    rest = true;
                    break;
                }
                s if s.starts_with('{') => *nodes[at].parameter.get_or_insert(fresh),
                s => *nodes[at].literals.entry(s.into()).or_insert(fresh),
            };
            if next == fresh {
                nodes.push(Node::default());
            }
            at = next;
        }
        let end = if rest { &mut nodes[at].rest } else { &mut nodes[at].operations };
        end.push((method(row), number));
    }
    let list =
        |ends: &[(String, usize)]| ends.iter().map(|(m, n)| format!("({m}, {n})")).collect::<Vec<_>>().join(", ");
    let _ = writeln!(out, "// Path segments of all operations; the root comes first.");
    let _ = writeln!(out, "pub(super) static NODES: [Node; {}] = [", nodes.len());
    for node in &nodes {
        let literals: Vec<(&String, &usize)> = node.literals.iter().collect();
        let _ = writeln!(
            out,
            "    Node {{ literals: &{literals:?}, parameter: {:?}, operations: &[{}], rest: &[{}] }},",
            node.parameter,
            list(&node.operations),
            list(&node.rest),
        );
    }
    let _ = writeln!(out, "];");
}

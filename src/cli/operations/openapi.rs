//! An OpenAPI specification of the cluster -> rules.
//!
//! Camunda's own has `x-required-permissions` (every entry is needed; an entry is a permission, any of
//! several, or `dynamic`) and `x-permission-enforcement`, which says `filter` where the cluster leaves
//! out rows instead of refusing. It says nothing of where a resource's id stands, so the reading is
//! the one that holds whichever id is meant: `*` is enough, any id leaves the rest to the cluster, and
//! who holds nothing is denied. What is left open besides never denies and never allows finally.

use super::rule::{Grant, Permission, Rule};
use crate::api::catalogue::{OPERATIONS, ResourceType, TenantSource};
use crate::api::extra::{Template, is_name};
use crate::suite::{self, SuiteError};
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// How far references lead to references.
const MAX_DEPTH: usize = 16;
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// What a specification says.
#[derive(Debug, Default)]
pub struct Specification {
    /// Its operations, and of each what it leaves open.
    pub rules: Vec<(Rule, Option<String>)>,
    /// What cannot be said as a rule, and why.
    pub left_out: Vec<String>,
}

/// Reads a specification, with the files beside it that it refers to.
///
/// # Errors
/// It cannot be read, or is none.
pub fn read(path: &Path) -> Result<Specification, SuiteError> {
    let files = Files::default();
    let root = files.open(path)?;
    let refuse = |place: &str, reason: &str| SuiteError(format!("{}: {place}: {reason}", path.display()));
    let paths = root.value.get("paths").and_then(Value::as_object);
    let paths = paths.ok_or_else(|| refuse("paths", "is missing: this is no OpenAPI specification"))?;
    let mut specification = Specification::default();
    for (name, item) in paths {
        let item = files.resolve(&root, item).map_err(|why| refuse(&format!("paths.{name}"), &why))?;
        for method in METHODS {
            let Some(operation) = item.value.get(method) else { continue };
            let place = format!("paths.{name}.{method}");
            let Some(operation) = operation.as_object() else { return Err(refuse(&place, "must be an object")) };
            let servers = [operation.get("servers"), item.value.get("servers"), root.value.get("servers")];
            let full = format!("{}{name}", server_path(servers.into_iter().flatten().next()));
            let read = Reading { files: &files, item: &item, operation, method, path: &full };
            match read.rule().map_err(|why| refuse(&place, &why))? {
                Ok(rule) => specification.rules.push(rule),
                Err(why) => specification.left_out.push(format!("{} {full}: {why}", method.to_uppercase())),
            }
        }
    }
    Ok(specification)
}

/// The path of the first server: `{schema}://{host}:{port}/v2` has `/v2`.
fn server_path(servers: Option<&Value>) -> &str {
    let url = servers.and_then(|list| list.get(0)).and_then(|server| server.get("url")).and_then(Value::as_str);
    let after = url.map_or("", |url| url.split_once("://").map_or(url, |(_, rest)| rest));
    let path = after.find('/').and_then(|at| after.get(at..)).unwrap_or("");
    path.trim_end_matches('/')
}

/// A value, and the file it stands in.
#[derive(Clone)]
struct Located {
    file: PathBuf,
    value: Rc<Value>,
}

/// The files of a specification, each read once.
#[derive(Default)]
struct Files(RefCell<BTreeMap<PathBuf, Rc<Value>>>);

impl Files {
    fn open(&self, path: &Path) -> Result<Located, SuiteError> {
        let known = self.0.borrow().get(path).cloned();
        let value = match known {
            Some(value) => value,
            None => Rc::new(suite::document(path)?),
        };
        self.0.borrow_mut().insert(path.to_owned(), Rc::clone(&value));
        Ok(Located { file: path.to_owned(), value })
    }

    /// What a value refers to, where it is a reference, in the end.
    fn resolve(&self, from: &Located, value: &Value) -> Result<Located, String> {
        let mut at = Located { file: from.file.clone(), value: Rc::new(value.clone()) };
        for _ in 0..MAX_DEPTH {
            let Some(reference) = at.value.get("$ref").and_then(Value::as_str).map(str::to_owned) else {
                return Ok(at);
            };
            let (file, pointer) = reference.split_once('#').unwrap_or((&reference, ""));
            // Files of one specification stand together; nothing is fetched.
            if file.contains("://") || Path::new(file).is_absolute() {
                return Err(format!("$ref `{reference}` is not a file beside it"));
            }
            let path = match file {
                "" => at.file.clone(),
                name => at.file.parent().unwrap_or(Path::new("")).join(name),
            };
            let document = self.open(&path).map_err(|e| format!("$ref `{reference}`: {e}"))?;
            let found = document.value.pointer(pointer);
            let found = found.ok_or_else(|| format!("$ref `{reference}` leads nowhere"))?;
            at = Located { file: path, value: Rc::new(found.clone()) };
        }
        Err("its references lead in a circle".into())
    }
}

/// One operation of a specification.
struct Reading<'a> {
    files: &'a Files,
    item: &'a Located,
    operation: &'a Map<String, Value>,
    method: &'a str,
    path: &'a str,
}

/// What is required.
#[derive(Default)]
struct Required {
    /// Of each of these, one.
    all: Vec<Vec<Permission>>,
    /// And what the cluster alone knows.
    open: Vec<String>,
}

type WhyNot = String;

impl Reading<'_> {
    /// The rule, and what is open of it; or why it cannot be one. The outer error is one of the
    /// specification.
    fn rule(&self) -> Result<Result<(Rule, Option<String>), WhyNot>, String> {
        let required = self.required()?;
        if let Err(why) = Template::parse(self.path) {
            return Ok(Err(format!("its path {why}")));
        }
        let for_administrators = self.path.starts_with("/cluster/v2/");
        if !self.path.starts_with("/v2/") && !for_administrators {
            return Ok(Err("it is not below /v2/ or /cluster/v2/".into()));
        }
        let is_empty = required.as_ref().is_some_and(|r| r.all.is_empty() && r.open.is_empty());
        let public = self.operation.get("security").and_then(Value::as_array).is_some_and(Vec::is_empty);
        if public && !is_empty {
            return Ok(Err("it needs no credential, and decides by itself who may".into()));
        }
        let filters = match self.operation.get("x-permission-enforcement").map(Value::as_str) {
            None | Some(Some("reject")) => false,
            Some(Some("filter")) => true,
            Some(_) => return Err("x-permission-enforcement must be filter or reject".into()),
        };
        let (mode, grants, open) = match required {
            _ if for_administrators && !public => ("cluster-admin", Vec::new(), None),
            None => ("unmapped", Vec::new(), Some("the specification does not say what it requires".to_owned())),
            Some(required) => required.combined(filters),
        };
        let tenant = if matches!(mode, "none" | "cluster-admin") { None } else { self.tenant(&grants, filters)? };
        let note = open.as_ref().map(|open| format!("imported; {open}"));
        let rule = Rule {
            operation: self.id()?,
            method: self.method.to_uppercase(),
            path: self.path.to_owned(),
            mode: mode.to_owned(),
            grants,
            tenant,
            public,
            never_denied: false,
            note,
        };
        Ok(Ok((rule, open)))
    }

    /// Its id, or one made of method and path.
    fn id(&self) -> Result<String, String> {
        let words = match self.operation.get("operationId") {
            Some(Value::String(id)) if is_name(id) => return Ok(id.clone()),
            Some(Value::String(id)) => id.clone(),
            None => format!("{} {}", self.method, self.path),
            Some(_) => return Err("operationId must be text".into()),
        };
        let words = words.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        let mut id = String::new();
        for word in words {
            let (first, rest) = word.split_at(1);
            let first = if id.is_empty() { first.to_ascii_lowercase() } else { first.to_ascii_uppercase() };
            id.push_str(&first);
            id.push_str(rest);
        }
        if is_name(&id) { Ok(id) } else { Err("operationId has no letters to make a name of".into()) }
    }

    fn required(&self) -> Result<Option<Required>, String> {
        let Some(entries) = self.operation.get("x-required-permissions") else { return Ok(None) };
        let entries = entries.as_array().ok_or("x-required-permissions must be a list")?;
        let mut required = Required::default();
        for (number, entry) in entries.iter().enumerate() {
            let wrong = |reason: &str| format!("x-required-permissions[{number}] {reason}");
            let text = |entry: &Value, name: &str| {
                entry
                    .get(name)
                    .and_then(Value::as_str)
                    .map(str::to_owned)
                    .ok_or_else(|| wrong("must have resourceType and permissionType, or anyOf, or dynamic: true"))
            };
            if entry.get("dynamic").is_some_and(|dynamic| *dynamic == Value::Bool(true)) {
                let note = entry.get("note").and_then(Value::as_str).unwrap_or("what it requires hangs on the request");
                required.open.push(one_line(note));
                continue;
            }
            let one = [entry.clone()];
            let any: &[Value] = match entry.get("anyOf") {
                Some(list) => list.as_array().filter(|list| !list.is_empty()).ok_or_else(|| wrong("anyOf is empty"))?,
                None => &one,
            };
            let permission = |entry: &Value| Ok((text(entry, "resourceType")?, text(entry, "permissionType")?));
            let any: Vec<Permission> = any.iter().map(permission).collect::<Result<_, String>>()?;
            match any.iter().find(|permission| !is_known(permission)) {
                // Who holds only what no table can hold must not be denied for it.
                Some((resource, permission)) => {
                    required.open.push(format!("{permission} on {resource} is not known here"));
                }
                None => required.all.push(any),
            }
        }
        Ok(Some(required))
    }

    /// Where it names a tenant.
    fn tenant(&self, grants: &[Grant], filters: bool) -> Result<Option<String>, String> {
        if let Some(source) = self.tenant_in_body()? {
            return Ok(Some(source));
        }
        let types = || grants.iter().map(|grant| grant.resource_type.as_str());
        let in_path = self.path.contains("{tenantId}") && !types().any(|kind| kind == "TENANT");
        let source = if in_path {
            "path:tenantId"
        } else if !types().any(has_tenants) {
            return Ok(None);
        } else if filters {
            "filter"
        } else {
            "key"
        };
        Ok(Some(source.to_owned()))
    }

    fn tenant_in_body(&self) -> Result<Option<String>, String> {
        let Some(body) = self.operation.get("requestBody") else { return Ok(None) };
        let body = self.files.resolve(self.item, body)?;
        for (kind, media) in body.value.get("content").and_then(Value::as_object).into_iter().flatten() {
            let source = if kind.starts_with("multipart/form-data") { "multipart:tenantId" } else { "body:/tenantId" };
            if let Some(schema) = media.get("schema")
                && self.has_member(&body, schema, "tenantId", 0)?
            {
                return Ok(Some(source.to_owned()));
            }
        }
        Ok(None)
    }

    /// Whether an object of this schema may have a member, by all that the schema is combined of.
    fn has_member(&self, from: &Located, schema: &Value, name: &str, depth: usize) -> Result<bool, String> {
        if depth == MAX_DEPTH {
            return Ok(false);
        }
        let schema = self.files.resolve(from, schema)?;
        if schema.value.get("properties").and_then(|properties| properties.get(name)).is_some() {
            return Ok(true);
        }
        for combined in ["allOf", "oneOf", "anyOf"] {
            for part in schema.value.get(combined).and_then(Value::as_array).into_iter().flatten() {
                if self.has_member(&schema, part, name, depth.saturating_add(1))? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

impl Required {
    /// As a mode with its grants, and what is open.
    fn combined(self, filters: bool) -> (&'static str, Vec<Grant>, Option<String>) {
        let Self { mut all, mut open } = self;
        if all.is_empty() {
            let open = (!open.is_empty()).then(|| open.join("; "));
            return (if open.is_some() { "unmapped" } else { "none" }, Vec::new(), open);
        }
        let each_is_one = all.iter().all(|any| any.len() == 1);
        let mode = match all.as_slice() {
            [any] if any.len() == 1 => "single",
            [_] => "any-of",
            _ if each_is_one && !filters && open.is_empty() => "all-of",
            _ => {
                // More than a mode can say: who holds none of them is denied, and nobody is sure.
                open.insert(0, "one permission of each of several is needed".into());
                "any-of"
            }
        };
        let condition = (!open.is_empty()).then(|| open.join("; "));
        let id = if filters { "result-filter" } else { "key" };
        let mut grants: Vec<Grant> = Vec::new();
        for permission in all.drain(..).flatten() {
            if grants.iter().all(|grant| grant.permission() != permission) {
                let (resource_type, permission_type) = permission;
                grants.push(Grant {
                    resource_type,
                    permission_type,
                    resource_id_source: id.to_owned(),
                    resource_key_source: None,
                    condition: condition.clone(),
                });
            }
        }
        let mode = if grants.len() == 1 { "single" } else { mode };
        (mode, grants, condition)
    }
}

fn is_known((resource, permission): &Permission) -> bool {
    ResourceType::named(resource).and_then(|resource| resource.permission(permission)).is_some()
}

/// Whether resources of a type belong to tenants, by the operations of the catalogue.
fn has_tenants(resource: &str) -> bool {
    let with_tenant = OPERATIONS.iter().filter(|operation| operation.tenant != TenantSource::None);
    with_tenant.flat_map(|operation| operation.grants.iter()).any(|grant| grant.resource.name() == resource)
}

fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(300).collect()
}

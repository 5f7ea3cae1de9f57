//! One operation, for people and as JSON.

use crate::api::catalogue::{Alternative, Condition, Form, IdSource, Mode, Operation, TenantSource};
use crate::cli::Failure;
use serde_json::{Value, json};
use std::io::Write;

pub fn print(operation: &Operation, out: &mut impl Write) -> Result<(), Failure> {
    writeln!(out, "{}: {} {}", operation.id, operation.method.name(), operation.path)?;
    writeln!(out, "  surface {}, since {}", operation.surface.name(), operation.since)?;
    let public = if operation.public { ", needs no credential in the cluster" } else { "" };
    let blocked = if operation.blocked { ", never opened" } else { "" };
    writeln!(out, "  requires {}{public}{blocked}", mode(operation.mode))?;
    for grant in operation.grants.iter() {
        let when = condition(&grant.condition).map(|c| format!(", when {c}")).unwrap_or_default();
        writeln!(
            out,
            "    {} on {} (id: {}, since {}{when})",
            grant.permission.name(grant.resource),
            grant.resource.name(),
            id_source(operation, &grant.id),
            grant.since,
        )?;
    }
    if let Some(tenant) = tenant(operation) {
        writeln!(out, "  tenant {tenant}")?;
    }
    if let Some(note) = &operation.note {
        writeln!(out, "  {note}")?;
    }
    Ok(())
}

pub fn object(operation: &Operation) -> Value {
    let grant = |grant: &Alternative| {
        json!({
            "resourceType": grant.resource.name(),
            "permissionType": grant.permission.name(grant.resource),
            "resourceIdSource": id_source(operation, &grant.id),
            "since": grant.since.to_string(),
            "condition": condition(&grant.condition),
        })
    };
    json!({
        "operation": operation.id,
        "surface": operation.surface.name(),
        "since": operation.since.to_string(),
        "method": operation.method.name(),
        "path": operation.path,
        "public": operation.public,
        "blocked": operation.blocked,
        "mode": mode(operation.mode),
        "grants": operation.grants.iter().map(grant).collect::<Vec<_>>(),
        "tenant": tenant(operation),
        "note": operation.note,
    })
}

pub const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::None => "none",
        Mode::Single => "single",
        Mode::AnyOf => "any-of",
        Mode::AllOf => "all-of",
        Mode::OneByType => "one-by-type",
        Mode::AllMatched => "all-matched",
        Mode::ClusterAdmin => "cluster-admin",
        Mode::Unmapped => "unmapped",
    }
}

pub fn id_source(operation: &Operation, source: &IdSource) -> String {
    match source {
        IdSource::Wildcard => "wildcard".into(),
        IdSource::Path(number) => format!("path:{}", parameter(operation, *number)),
        IdSource::Body { id, key: None } => in_body(operation, id),
        IdSource::Body { id, key: Some(key) } => {
            format!("{} or key in {}", in_body(operation, id), in_body(operation, key))
        }
        IdSource::Key => "key".into(),
        IdSource::ResultFilter => "result-filter".into(),
        IdSource::Literal(id) => format!("literal:{id}"),
    }
}

/// Where a member of the body stands, as the catalogue's data has it.
pub fn in_body(operation: &Operation, name: &str) -> String {
    match &operation.body {
        Form::Json(_) => format!("body:/{name}"),
        Form::Multipart(_) => format!("multipart:{name}"),
        Form::Message(fields) => {
            let path = fields.iter().find(|field| field.name == name).map(|field| field.path).unwrap_or_default();
            let steps = name.split('.').zip(path).map(|(name, number)| format!("{name}({number})"));
            format!("msg:{}", steps.collect::<Vec<_>>().join("."))
        }
    }
}

fn parameter(operation: &Operation, number: usize) -> &str {
    operation.parameters.get(number).map_or("", |name| name)
}

pub fn condition(condition: &Condition) -> Option<String> {
    match condition {
        Condition::None => None,
        Condition::Body { member, equals } => Some(format!("body:/{member}={equals}")),
        Condition::Cluster(text) => Some(text.clone().into_owned()),
    }
}

pub fn tenant(operation: &Operation) -> Option<String> {
    match &operation.tenant {
        TenantSource::None => None,
        TenantSource::Key => Some("key".into()),
        TenantSource::Filter => Some("filter".into()),
        TenantSource::Path(number) => Some(format!("path:{}", parameter(operation, *number))),
        TenantSource::BodyOne(name) => Some(in_body(operation, name)),
        TenantSource::BodyMany { ids, .. } => Some(in_body(operation, ids)),
    }
}

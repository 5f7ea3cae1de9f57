//! `portcullis operations`

use super::args::OperationsArguments;
use super::{End, Failure};
use crate::api::catalogue::{Alternative, Condition, Form, IdSource, Mode, OPERATIONS, Operation, TenantSource};
use crate::api::route::{self, BasePath};
use serde_json::{Value, json};
use std::io::Write;

pub fn run(arguments: &OperationsArguments, out: &mut impl Write) -> Result<End, Failure> {
    let (Some(method), Some(path)) = (&arguments.method, &arguments.path) else {
        for operation in &OPERATIONS {
            if arguments.json {
                writeln!(out, "{}", object(operation))?;
            } else {
                let Operation { method, path, id, surface, since, .. } = operation;
                writeln!(out, "{:6} {path:75} {id:50} {:16} {since}", method.name(), surface.name())?;
            }
        }
        return Ok(End::Yes);
    };
    let (found, refusal) = match route::find(&BasePath::default(), method.as_bytes(), path.as_bytes()) {
        Ok(Some(route)) => (Some(route.operation), None),
        Ok(None) => (None, Some(("operation_unknown", "no operation has this method and path"))),
        Err(ambiguous) => (None, Some(("path_ambiguous", ambiguous.0))),
    };
    match (found, refusal) {
        (Some(operation), _) if arguments.json => writeln!(out, "{}", object(operation))?,
        (Some(operation), _) => print(operation, out)?,
        (None, Some((reason, detail))) if arguments.json => {
            writeln!(out, "{}", json!({"operation": null, "reason": reason, "detail": detail}))?;
        }
        (None, refusal) => {
            let (reason, detail) = refusal.unwrap_or_default();
            writeln!(out, "{reason}: {detail}")?;
        }
    }
    Ok(if found.is_some() { End::Yes } else { End::No })
}

fn print(operation: &Operation, out: &mut impl Write) -> Result<(), Failure> {
    writeln!(out, "{}: {} {}", operation.id, operation.method.name(), operation.path)?;
    writeln!(out, "  surface {}, since {}", operation.surface.name(), operation.since)?;
    let public = if operation.public { ", needs no credential in the cluster" } else { "" };
    let blocked = if operation.blocked { ", never opened" } else { "" };
    writeln!(out, "  requires {}{public}{blocked}", mode(operation.mode))?;
    for grant in operation.grants {
        let when = condition(grant.condition).map(|c| format!(", when {c}")).unwrap_or_default();
        writeln!(
            out,
            "    {} on {} (id: {}, since {}{when})",
            grant.permission.name(grant.resource),
            grant.resource.name(),
            id_source(operation, grant.id),
            grant.since,
        )?;
    }
    if let Some(tenant) = tenant(operation) {
        writeln!(out, "  tenant {tenant}")?;
    }
    if let Some(note) = operation.note {
        writeln!(out, "  {note}")?;
    }
    Ok(())
}

fn object(operation: &Operation) -> Value {
    let grant = |grant: &Alternative| {
        json!({
            "resourceType": grant.resource.name(),
            "permissionType": grant.permission.name(grant.resource),
            "resourceIdSource": id_source(operation, grant.id),
            "since": grant.since.to_string(),
            "condition": condition(grant.condition),
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

const fn mode(mode: Mode) -> &'static str {
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

fn id_source(operation: &Operation, source: IdSource) -> String {
    match source {
        IdSource::Wildcard => "wildcard".into(),
        IdSource::Path(number) => format!("path:{}", parameter(operation, number)),
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
fn in_body(operation: &Operation, name: &str) -> String {
    match operation.body {
        Form::Json(_) => format!("body:/{name}"),
        Form::Multipart(_) => format!("multipart:{name}"),
        Form::Message(fields) => {
            let path = fields.iter().find(|field| field.name == name).map(|field| field.path).unwrap_or_default();
            let steps = name.split('.').zip(path).map(|(name, number)| format!("{name}({number})"));
            format!("msg:{}", steps.collect::<Vec<_>>().join("."))
        }
    }
}

fn parameter(operation: &Operation, number: usize) -> &'static str {
    operation.parameters.get(number).copied().unwrap_or("")
}

fn condition(condition: Condition) -> Option<String> {
    match condition {
        Condition::None => None,
        Condition::Body { member, equals } => Some(format!("body:/{member}={equals}")),
        Condition::Cluster(text) => Some(text.into()),
    }
}

fn tenant(operation: &Operation) -> Option<String> {
    match operation.tenant {
        TenantSource::None => None,
        TenantSource::Key => Some("key".into()),
        TenantSource::Filter => Some("filter".into()),
        TenantSource::Path(number) => Some(format!("path:{}", parameter(operation, number))),
        TenantSource::BodyOne(name) | TenantSource::BodyMany { ids: name, .. } => Some(in_body(operation, name)),
    }
}

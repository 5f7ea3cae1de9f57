//! `portcullis operations`: the catalogue, which operation a request is, and what another version or
//! specification has.

mod changes;
mod import;
mod openapi;
mod rule;
mod show;

use super::args::{OperationsArguments, OperationsCommand};
use super::{End, Failure, policies};
use crate::api::catalogue::{OPERATIONS, Operation};
use crate::api::route::{self, Routes};
use serde_json::json;
use std::io::Write;

pub fn run(arguments: &OperationsArguments, out: &mut impl Write) -> Result<End, Failure> {
    match &arguments.command {
        Some(OperationsCommand::Import(arguments)) => return import::run(arguments, out),
        Some(OperationsCommand::Diff(arguments)) => return changes::run(arguments, out),
        None => {}
    }
    let routes = match &arguments.config {
        Some(path) => policies::plan(Some(path), None)?.routes,
        None => Routes::default(),
    };
    let is_there = |operation: &Operation| operation.since <= routes.version;
    let (Some(method), Some(path)) = (&arguments.method, &arguments.path) else {
        for operation in OPERATIONS.iter().chain(routes.extra.iter()).filter(|operation| is_there(operation)) {
            if arguments.json {
                writeln!(out, "{}", show::object(operation))?;
            } else {
                let Operation { method, path, id, surface, since, .. } = operation;
                writeln!(out, "{:6} {path:75} {id:50} {:16} {since}", method.name(), surface.name())?;
            }
        }
        return Ok(End::Yes);
    };
    let (reason, detail) = match route::find(&routes, method.as_bytes(), path.as_bytes()) {
        Ok(Some(route)) if is_there(&route.operation) => {
            if arguments.json {
                writeln!(out, "{}", show::object(&route.operation))?;
            } else {
                show::print(&route.operation, out)?;
            }
            return Ok(End::Yes);
        }
        Ok(Some(route)) => {
            let Operation { id, since, .. } = &*route.operation;
            ("operation_unknown", format!("{id} is there since {since}, and api.version is {}", routes.version))
        }
        Ok(None) => ("operation_unknown", "no operation has this method and path".to_owned()),
        Err(ambiguous) => ("path_ambiguous", ambiguous.0.to_owned()),
    };
    if arguments.json {
        writeln!(out, "{}", json!({"operation": null, "reason": reason, "detail": detail}))?;
    } else {
        writeln!(out, "{reason}: {detail}")?;
    }
    Ok(End::No)
}

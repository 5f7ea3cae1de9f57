//! Which families of operations are open, and what some of them need besides grants.

use super::ConfigError;
use super::source::{ApiSource, ClusterAdminSource};
use crate::api::catalogue::{Operation, Surface, Text};
use crate::api::extra::ExtraOperations;
use crate::authz::{AdminClaim, ClusterAdmin};
use crate::jsonpath::JsonPath;
use crate::policy::Warning;
use std::collections::BTreeSet;

pub(super) fn open(api: &ApiSource) -> Result<Vec<Surface>, ConfigError> {
    let known = Surface::ALL.into_iter().filter(|surface| *surface != Surface::PhysicalTenants);
    let read = |(number, name): (usize, &String)| {
        let refused =
            |reason: String| ConfigError::new(format!("api.surfaces[{number}]"), format!("`{name}` {reason}"));
        // Each physical tenant has issuers and grants of its own, which one policy cannot stand for.
        if name == Surface::PhysicalTenants.name() {
            return Err(refused(
                "cannot be opened: a physical tenant has its own identity providers and grants".into(),
            ));
        }
        known.clone().find(|surface| surface.name() == name).ok_or_else(|| {
            let names: Vec<&str> = known.clone().map(Surface::name).collect();
            refused(format!("is not one of {}", names.join(", ")))
        })
    };
    api.surfaces.iter().enumerate().map(read).collect()
}

/// The operations that need no credential. Of a surface that is closed none is open to anyone.
pub(super) fn anonymous(ids: &[String], open: &[Surface], extra: &ExtraOperations) -> Result<Vec<Text>, ConfigError> {
    let mut operations = Vec::new();
    for (number, id) in ids.iter().enumerate() {
        let refused = |reason: &str| ConfigError::new(format!("anonymous[{number}]"), format!("`{id}` {reason}"));
        let operation =
            extra.named(id).or(Operation::named(id)).ok_or_else(|| refused("is not an operation of the catalogue"))?;
        if !operation.public || operation.blocked {
            return Err(refused("is not an operation that the cluster answers without a credential"));
        }
        if open.contains(&operation.surface) {
            operations.push(operation.id.clone());
        }
    }
    Ok(operations)
}

pub(super) fn cluster_admin(
    source: Option<&ClusterAdminSource>,
    open: &[Surface],
    warnings: &mut Vec<Warning>,
) -> Result<ClusterAdmin, ConfigError> {
    let source = source.cloned().unwrap_or_default();
    let mut claims = Vec::new();
    for (number, claim) in source.claims.into_iter().enumerate() {
        if claim.name.is_empty() {
            return Err(ConfigError::new(format!("clusterAdmin.claims[{number}].name"), "is empty"));
        }
        let path = JsonPath::parse(&claim.name).ok();
        claims.push(AdminClaim { name: claim.name, path, value: claim.value });
    }
    let named = |field: &str, ids: Vec<String>| match ids.iter().position(String::is_empty) {
        Some(number) => Err(ConfigError::new(format!("clusterAdmin.{field}[{number}]"), "is empty")),
        None => Ok(ids.into_iter().collect::<BTreeSet<_>>()),
    };
    let admin =
        ClusterAdmin { clients: named("clients", source.clients)?, groups: named("groups", source.groups)?, claims };
    if admin.is_empty() == open.contains(&Surface::Cluster) {
        let reason = if admin.is_empty() {
            "is empty: the surface `cluster` is open, and nobody may use it"
        } else {
            "has no effect: the surface `cluster` is not open"
        };
        warnings.push(Warning { path: "clusterAdmin".into(), reason: reason.into() });
    }
    Ok(admin)
}

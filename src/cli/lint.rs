//! `portcullis lint`: grants that are dead, dangerous or impossible.

use super::args::LintArguments;
use super::{End, Failure, policies};
use crate::api::catalogue::{IdSource, OPERATIONS};
use crate::policy::Collector;
use crate::suite::SuiteError;
use crate::table::{Granted, Membership, Owner, OwnerType, Table};
use serde_json::json;
use std::collections::BTreeSet;
use std::io::Write;

/// A grant worth a look.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Finding {
    kind: &'static str,
    /// Of whom, and on what.
    place: String,
    reason: String,
}

/// Permissions with which a holder can get others.
const DANGEROUS: [(&str, &str, &str); 10] = [
    ("AUTHORIZATION", "CREATE", "the holder can grant anything to anyone, itself included"),
    ("AUTHORIZATION", "UPDATE", "the holder can change what is granted to anyone"),
    ("ROLE", "UPDATE", "the holder can make itself a member of the role"),
    ("ROLE", "CREATE", "the holder can make roles and their members"),
    ("GROUP", "UPDATE", "the holder can make itself a member of the group"),
    ("MAPPING_RULE", "CREATE", "the holder can make any claim a mapping rule"),
    ("MAPPING_RULE", "UPDATE", "the holder can make the mapping rule match its own token"),
    ("TENANT", "UPDATE", "the holder can assign itself to the tenant"),
    ("RESOURCE", "CREATE", "the holder can deploy what the cluster then runs"),
    ("SECRET", "REVEAL", "the holder can read secrets"),
];

pub fn run(arguments: &LintArguments, out: &mut impl Write) -> Result<End, Failure> {
    let mut collector = Collector::default();
    for path in &arguments.policies {
        policies::collect(path, &mut collector)?;
    }
    let (bytes, warnings) = collector.table(0);
    let table = Table::open(bytes).map_err(|e| SuiteError(e.to_string()))?;
    let dead = warnings.into_iter().map(|w| Finding { kind: "dead", place: w.path, reason: w.reason });
    let findings: Vec<Finding> = dead.chain(examine(&table)).collect();
    for Finding { kind, place, reason } in &findings {
        if arguments.json {
            writeln!(out, "{}", json!({ "kind": kind, "place": place, "reason": reason }))?;
        } else {
            writeln!(out, "{kind:10} {place}: {reason}")?;
        }
    }
    Ok(if findings.is_empty() { End::Yes } else { End::No })
}

fn examine(table: &Table) -> Vec<Finding> {
    let members: BTreeSet<u32> = OwnerType::ALL
        .into_iter()
        .flat_map(|kind| table.owners_of(kind))
        .flat_map(|owner| table.members_of(owner, Membership::Roles))
        .collect();
    let mut findings = Vec::new();
    for owner in OwnerType::ALL.into_iter().flat_map(|kind| table.owners_of(kind)) {
        let granted: Vec<Granted> = table.granted(owner).collect();
        if owner.kind == OwnerType::Role && !granted.is_empty() && !members.contains(&owner.number) {
            let place = format!("ROLE {}", table.owner_id(owner));
            findings.push(Finding { kind: "dead", place, reason: "has grants and no members".into() });
        }
        granted.iter().for_each(|grant| examine_grant(table, owner, grant, &granted, &mut findings));
    }
    findings
}

fn examine_grant(table: &Table, owner: Owner, grant: &Granted, all: &[Granted], findings: &mut Vec<Finding>) {
    let id = table.owner_id(owner);
    let star = all
        .iter()
        .find(|other| !other.is_property && other.resource_id == "*" && other.resource_type == grant.resource_type);
    let is_admin = owner.kind == OwnerType::Role && id == "admin";
    let exact = grant.resource_id != "*" && !grant.is_property;
    for permission in &grant.permissions {
        let place =
            || format!("{} {id}: {permission} on {} {}", owner.kind.name(), grant.resource_type, grant.resource_id);
        let mut found = |kind, reason: &str| findings.push(Finding { kind, place: place(), reason: reason.into() });
        if exact && star.is_some_and(|star| star.permissions.contains(permission)) {
            found("dead", "the owner holds it on `*` as well");
        }
        // What never takes effect is no danger.
        if exact && needs_all(&grant.resource_type, permission) {
            found("impossible", "every operation that asks for it asks for it on `*`");
            continue;
        }
        let danger = DANGEROUS.iter().find(|(kind, name, _)| *kind == grant.resource_type && name == permission);
        // The administrators' role is meant to hold everything.
        if let Some((_, _, reason)) = danger.filter(|_| !is_admin) {
            found("dangerous", reason);
        }
    }
}

/// Whether every operation that a permission can satisfy looks at grants on `*` alone.
fn needs_all(resource_type: &str, permission: &str) -> bool {
    let alternatives = OPERATIONS.iter().flat_map(|operation| operation.grants.iter());
    let mut asking = alternatives
        .filter(|a| a.resource.name() == resource_type && a.permission.name(a.resource) == permission)
        .peekable();
    asking.peek().is_some() && asking.all(|a| a.id == IdSource::Wildcard)
}

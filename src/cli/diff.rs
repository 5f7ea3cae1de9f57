//! `portcullis diff`: who gains and who loses what.

use super::args::DiffArguments;
use super::{End, Failure, Progress, policies};
use crate::table::{Granted, Membership, Owner, OwnerType, Table};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt;
use std::io::Write;

/// Something that an owner holds, itself or through its groups and roles.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Right {
    Permission { resource_type: String, resource_id: String, is_property: bool, permission: String },
    Tenant(String),
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Permission { resource_type, resource_id, is_property, permission } => {
                let by = if *is_property { " by property" } else { "" };
                write!(f, "{permission} on {resource_type}{by} {resource_id}")
            }
            Self::Tenant(id) => write!(f, "tenant {id}"),
        }
    }
}

impl Right {
    fn json(&self) -> Value {
        match self {
            Self::Permission { resource_type, resource_id, is_property, permission } => {
                let field = if *is_property { "resourcePropertyName" } else { "resourceId" };
                json!({ "resourceType": resource_type, field: resource_id, "permissionType": permission })
            }
            Self::Tenant(id) => json!({ "tenantId": id }),
        }
    }
}

pub fn run(arguments: &DiffArguments, out: &mut impl Write) -> Result<End, Failure> {
    let progress = Progress::start();
    let (old, _) = policies::load(&arguments.old)?;
    let (new, _) = policies::load(&arguments.new)?;
    progress.say("both policies are read");
    if old.digest() == new.digest() {
        return Ok(End::Yes);
    }
    let mut end = End::Yes;
    for kind in OwnerType::ALL {
        let ids = |table: &Table| table.owners_of(kind).map(|owner| table.owner_id(owner)).collect::<BTreeSet<_>>();
        for id in ids(&old).union(&ids(&new)) {
            let (before, after) = (rights(&old, kind, id), rights(&new, kind, id));
            let gained = after.difference(&before).map(|right| ('+', right));
            let changes: Vec<_> = gained.chain(before.difference(&after).map(|right| ('-', right))).collect();
            if changes.is_empty() {
                continue;
            }
            end = End::No;
            print(kind, id, &changes, arguments.json, out)?;
        }
        progress.say(format_args!("owners of type {} are compared", kind.name()));
    }
    Ok(end)
}

fn print(
    kind: OwnerType,
    id: &str,
    changes: &[(char, &Right)],
    as_json: bool,
    out: &mut impl Write,
) -> Result<(), Failure> {
    if !as_json {
        writeln!(out, "{} {id}", kind.name())?;
    }
    for (sign, right) in changes {
        if as_json {
            let change = if *sign == '+' { "gain" } else { "loss" };
            let (owner_type, right) = (kind.name(), right.json());
            writeln!(out, "{}", json!({ "change": change, "ownerType": owner_type, "ownerId": id, "right": right }))?;
        } else {
            writeln!(out, "  {sign} {right}")?;
        }
    }
    Ok(())
}

/// What an owner holds: its own, and that of its groups and roles.
pub fn rights(table: &Table, kind: OwnerType, id: &str) -> BTreeSet<Right> {
    let Some(own) = table.find(kind, id) else { return BTreeSet::new() };
    let of = |owner: Owner, membership, kind| {
        table.members_of(owner, membership).map(move |number| Owner { kind, number }).collect::<Vec<_>>()
    };
    let groups = of(own, Membership::Groups, OwnerType::Group);
    let with_roles = groups.iter().copied().chain([own]);
    let roles = with_roles.flat_map(|owner| of(owner, Membership::Roles, OwnerType::Role)).collect::<BTreeSet<_>>();
    let owners = [own].into_iter().chain(groups.iter().copied()).chain(roles);
    owners.flat_map(|owner| own_rights(table, owner)).collect()
}

fn own_rights(table: &Table, owner: Owner) -> Vec<Right> {
    let tenants = table.members_of(owner, Membership::Tenants).map(|number| Right::Tenant(table.tenant_id(number)));
    let permissions = table.granted(owner).flat_map(|granted| {
        let Granted { resource_type, resource_id, is_property, permissions } = granted;
        permissions.into_iter().map(move |permission| Right::Permission {
            resource_type: resource_type.clone(),
            resource_id: resource_id.clone(),
            is_property,
            permission,
        })
    });
    permissions.chain(tenants).collect()
}

//! Table -> policy: the way back, for people.

use super::source::{Authorization, Group, Policy, Role, Rule, Tenant};
use crate::table::{Membership, Owner, OwnerType, Table};

/// The members of a role, group or tenant, by their types.
#[derive(Default)]
struct Members([Vec<String>; 5]);

impl Members {
    fn take(&mut self, kind: OwnerType) -> Vec<String> {
        let index = OwnerType::ALL.iter().position(|k| *k == kind);
        index.and_then(|index| self.0.get_mut(index)).map(std::mem::take).unwrap_or_default()
    }
}

/// Who is a member of each of `count` roles, groups or tenants.
fn members(table: &Table, membership: Membership, count: usize) -> Vec<Members> {
    let mut all: Vec<Members> = std::iter::repeat_with(Members::default).take(count).collect();
    for (index, kind) in OwnerType::ALL.into_iter().enumerate() {
        for owner in table.owners_of(kind) {
            for number in table.members_of(owner, membership) {
                let of = usize::try_from(number).ok().and_then(|number| all.get_mut(number));
                if let Some(list) = of.and_then(|members| members.0.get_mut(index)) {
                    list.push(table.owner_id(owner));
                }
            }
        }
    }
    all
}

fn ids(table: &Table, kind: OwnerType) -> Vec<String> {
    table.owners_of(kind).map(|owner| table.owner_id(owner)).collect()
}

/// The policy that a table was made of, without what granted nothing.
#[must_use]
pub fn decode(table: &Table) -> Policy {
    let with = |membership, ids: Vec<String>| {
        let members = members(table, membership, ids.len());
        ids.into_iter().zip(members)
    };
    Policy {
        authorizations: OwnerType::ALL
            .into_iter()
            .flat_map(|kind| table.owners_of(kind))
            .flat_map(|o| grants(table, o))
            .collect(),
        roles: with(Membership::Roles, ids(table, OwnerType::Role))
            .map(|(role_id, mut members)| Role {
                role_id,
                users: members.take(OwnerType::User),
                clients: members.take(OwnerType::Client),
                groups: members.take(OwnerType::Group),
                mapping_rules: members.take(OwnerType::MappingRule),
                ..Role::default()
            })
            .collect(),
        groups: with(Membership::Groups, ids(table, OwnerType::Group))
            .map(|(group_id, mut members)| Group {
                group_id,
                users: members.take(OwnerType::User),
                clients: members.take(OwnerType::Client),
                mapping_rules: members.take(OwnerType::MappingRule),
                ..Group::default()
            })
            .collect(),
        mapping_rules: table
            .claims()
            .map(|(rule, claim_name, claim_value)| Rule {
                mapping_rule_id: table.owner_id(rule),
                claim_name,
                claim_value,
                ..Rule::default()
            })
            .collect(),
        tenants: with(Membership::Tenants, table.tenants().collect())
            .map(|(tenant_id, mut members)| Tenant {
                tenant_id,
                users: members.take(OwnerType::User),
                clients: members.take(OwnerType::Client),
                groups: members.take(OwnerType::Group),
                roles: members.take(OwnerType::Role),
                mapping_rules: members.take(OwnerType::MappingRule),
                ..Tenant::default()
            })
            .collect(),
    }
}

fn grants(table: &Table, owner: Owner) -> impl Iterator<Item = Authorization> + '_ {
    let owner_id = table.owner_id(owner);
    table.granted(owner).map(move |granted| {
        let (resource_id, resource_property_name) = match granted.is_property {
            true => (None, Some(granted.resource_id)),
            false => (Some(granted.resource_id), None),
        };
        Authorization {
            owner_type: owner.kind.name().to_owned(),
            owner_id: owner_id.clone(),
            resource_type: granted.resource_type,
            resource_id,
            resource_property_name,
            permission_types: granted.permissions,
            ..Authorization::default()
        }
    })
}

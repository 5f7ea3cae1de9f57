//! An identity with the owners that a table gives it.

use super::Grant;
use crate::api::catalogue::{Permission, ResourceType};
use crate::authn::{Identity, Subject};
use crate::json;
use crate::jsonpath::Found;
use crate::table::{Grants, Holding, MappingRule, OwnerNumber, OwnerType, Table};
use serde_json::Value;
use std::collections::BTreeSet;
use std::rc::Rc;

/// Who is calling and everything it stands for: itself, its groups, roles and mapping rules.
#[derive(Debug)]
pub struct Principal {
    identity: Rc<Identity>,
    table: Rc<Table>,
    owners: Vec<OwnerNumber>,
    groups: Vec<String>,
}

impl Principal {
    /// Resolves an identity, as deep as the cluster does and no deeper: its own roles and groups,
    /// the roles of those groups, and the same of every mapping rule that matches its claims. Where
    /// groups come from a claim, memberships kept in the cluster do not count.
    #[must_use]
    pub fn resolve(table: &Rc<Table>, identity: Rc<Identity>) -> Self {
        let (kind, id) = match identity.subject() {
            Subject::User(name) => (OwnerType::User, name),
            Subject::Client(id) => (OwnerType::Client, id),
        };
        let own = table.find(kind, id);
        let mut closure = Closure { table, owners: Vec::new(), claimed: identity.groups().is_some() };
        let mut groups: Vec<String> = identity.groups().unwrap_or_default().to_vec();
        closure.owners.extend(own);
        let claimed: Vec<_> = groups.iter().filter_map(|g| table.find(OwnerType::Group, g)).collect();
        claimed.into_iter().for_each(|group| closure.add(group));
        own.into_iter().for_each(|own| closure.add_memberships(own));
        for rule in matching_rules(table, identity.claims()) {
            closure.add(rule);
            closure.add_memberships(rule);
        }
        let owners = closure.owners;
        if identity.groups().is_none() {
            groups = names(table, &owners, OwnerType::Group);
        }
        Self { identity, table: Rc::clone(table), owners, groups }
    }

    /// The identity it was made of.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The table it was resolved with.
    #[must_use]
    pub fn table(&self) -> &Rc<Table> {
        &self.table
    }

    /// Its groups: those of the claim where one is configured, else those of the table.
    #[must_use]
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// The ids of its owners of one type.
    #[must_use]
    pub fn owners_of(&self, kind: OwnerType) -> Vec<String> {
        names(&self.table, &self.owners, kind)
    }

    /// Whether it is assigned to a tenant.
    #[must_use]
    pub fn has_tenant(&self, tenant: &str) -> bool {
        self.owners.iter().filter_map(|n| self.table.owner(*n)).any(|o| o.tenants.iter().any(|t| &**t == tenant))
    }

    /// Its tenants.
    #[must_use]
    pub fn tenants(&self) -> Vec<String> {
        let owners = self.owners.iter().filter_map(|n| self.table.owner(*n));
        let tenants: BTreeSet<&str> = owners.flat_map(|o| o.tenants.iter().map(|t| &**t)).collect();
        tenants.into_iter().map(Into::into).collect()
    }

    /// The grant of a permission on `*`.
    pub(super) fn on_all(&self, resource: ResourceType, permission: Permission) -> Option<Grant> {
        self.first(resource, permission, |g| g.on_all(resource, permission).then_some(Holding::All))
    }

    /// The grant of a permission by a property of the resource.
    pub(super) fn on_property(&self, resource: ResourceType, permission: Permission) -> Option<Grant> {
        self.first(resource, permission, |g| g.on_property(resource, permission).then_some(Holding::Property))
    }

    /// The grant of a permission on exactly this id.
    pub(super) fn on_id(&self, resource: ResourceType, permission: Permission, id: &str) -> Option<Grant> {
        self.first(resource, permission, |g| g.on_id(resource, permission, id).map(Holding::Id))
    }

    /// The grant of a permission on some id, whichever.
    pub(super) fn on_some_id(&self, resource: ResourceType, permission: Permission) -> Option<Grant> {
        self.first(resource, permission, |g| g.on_some_id(resource, permission).map(Holding::Id))
    }

    fn first(
        &self,
        resource: ResourceType,
        permission: Permission,
        holding: impl Fn(&Grants) -> Option<Holding>,
    ) -> Option<Grant> {
        self.owners.iter().filter_map(|number| self.table.owner(*number)).find_map(|owner| {
            Some(Grant {
                owner_type: owner.kind,
                owner_id: Rc::clone(&owner.id),
                resource,
                holding: holding(&owner.grants)?,
                permission,
            })
        })
    }

    /// Roughly how many bytes it takes, without its identity and table.
    #[must_use]
    pub fn size(&self) -> usize {
        let groups: usize = self.groups.iter().map(|g| g.len().saturating_add(size_of::<String>())).sum();
        let owners = self.owners.len().saturating_mul(size_of::<OwnerNumber>());
        size_of::<Self>().saturating_add(groups).saturating_add(owners)
    }
}

/// Owners in the order in which they were reached, each once.
struct Closure<'a> {
    table: &'a Table,
    owners: Vec<OwnerNumber>,
    /// Groups come from a claim.
    claimed: bool,
}

impl Closure<'_> {
    fn add(&mut self, owner: OwnerNumber) {
        if self.owners.contains(&owner) {
            return;
        }
        self.owners.push(owner);
        if let Some(group) = self.table.owner(owner).filter(|o| o.kind == OwnerType::Group) {
            group.roles.iter().for_each(|role| self.add(*role));
        }
    }

    fn add_memberships(&mut self, member: OwnerNumber) {
        let Some(owner) = self.table.owner(member) else {
            return;
        };
        if !self.claimed {
            owner.groups.iter().for_each(|group| self.add(*group));
        }
        owner.roles.iter().for_each(|role| self.add(*role));
    }
}

fn names(table: &Table, owners: &[OwnerNumber], kind: OwnerType) -> Vec<String> {
    let owners = owners.iter().filter_map(|n| table.owner(*n)).filter(|o| o.kind == kind);
    let names: BTreeSet<&str> = owners.map(|o| &*o.id).collect();
    names.into_iter().map(Into::into).collect()
}

fn matching_rules(table: &Table, claims: &str) -> Vec<OwnerNumber> {
    if table.rules().is_empty() {
        return Vec::new();
    }
    let Ok(claims) = json::parse(claims.as_bytes()) else {
        return Vec::new();
    };
    table.rules().iter().filter(|rule| matches(rule, &claims)).map(|rule| rule.owner).collect()
}

/// A text equals; a list holds the text; numbers and booleans never match.
fn matches(rule: &MappingRule, claims: &Value) -> bool {
    let is_text = |value: &Value| value.as_str() == Some(&rule.value);
    match rule.claim.as_ref().map(|path| path.find(claims)) {
        Some(Found::One(Value::Array(items))) => items.iter().any(is_text),
        Some(Found::One(value)) => is_text(value),
        Some(Found::Many(values)) => values.into_iter().any(is_text),
        Some(Found::Missing) | None => false,
    }
}

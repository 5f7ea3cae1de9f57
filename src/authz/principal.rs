//! An identity with the owners that a table gives it.

use super::{Grant, Holding};
use crate::api::catalogue::{Permission, ResourceType, Version};
use crate::authn::{Identity, Subject, claims};
use crate::jsonpath::{Found, JsonPath};
use crate::table::{Column, Membership, Owner, OwnerType, Table};
use serde_json::Value;
use std::collections::BTreeSet;
use std::rc::Rc;

/// Who is calling and everything it stands for: itself, its groups, roles and mapping rules.
///
/// What it may do on anything of a type is kept here; only for an exact id the table is looked at.
#[derive(Debug)]
pub struct Principal {
    identity: Rc<Identity>,
    table: Rc<Table>,
    owners: Box<[Owner]>,
    /// What it holds, by resource type.
    masks: Box<[Masks; ResourceType::COUNT]>,
    /// The columns of its owners' records, by subject and then in the order of the owners.
    columns: Box<[Held]>,
    /// What a candidate table makes of the same identity.
    candidate: Option<Box<Principal>>,
}

/// Permissions on one resource type, as sets of bits.
#[derive(Clone, Copy, Debug, Default)]
struct Masks {
    /// On `*`.
    star: u16,
    /// On some id.
    some: u16,
    /// By a property of the resource.
    property: u16,
}

/// A column of an owner's record.
#[derive(Clone, Copy, Debug)]
struct Held {
    subject: About,
    /// The owner's place among the principal's.
    owner: u32,
    column: Column,
}

/// What a column is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum About {
    Tenants,
    Ids(ResourceType),
    Properties(ResourceType),
}

/// A grant with the names in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Named {
    /// Its owner.
    pub owner: (OwnerType, String),
    /// `*` or the id; `None` where it is by a property of the resource.
    pub resource_id: Option<String>,
}

impl Principal {
    /// Resolves an identity, as deep as the cluster does and no deeper: its own roles and groups,
    /// the roles of those groups, and the same of every mapping rule that matches its claims. Where
    /// groups come from a claim, memberships kept in the cluster do not count. How mapping rules name claims depends on the
    /// cluster's version.
    #[must_use]
    pub fn resolve(table: &Rc<Table>, identity: Rc<Identity>, version: Version) -> Self {
        let (kind, id) = match identity.subject() {
            Subject::User(name) => (OwnerType::User, name),
            Subject::Client(id) => (OwnerType::Client, id),
        };
        let own = table.find(kind, id);
        let mut closure = Closure::new(table, identity.groups().is_some());
        if let Some(own) = own {
            closure.reach(own);
        }
        for group in identity.groups().unwrap_or_default() {
            table.find(OwnerType::Group, group).into_iter().for_each(|group| closure.add(group));
        }
        own.into_iter().for_each(|own| closure.add_memberships(own));
        for rule in matching_rules(table, identity.claims(), version) {
            closure.add(rule);
            closure.add_memberships(rule);
        }
        let owners = closure.owners;
        let mut masks = Box::new([Masks::default(); ResourceType::COUNT]);
        let mut columns = Vec::new();
        for (number, owner) in (0..).zip(&owners) {
            for column in table.columns(*owner) {
                let subject = match (table.resource(&column), Table::membership(&column)) {
                    (Some((resource, is_property)), _) => {
                        let (star, some) = table.permissions(&column);
                        if let Some(masks) = masks.get_mut(resource.index()) {
                            masks.add(star, some, is_property);
                        }
                        if is_property { About::Properties(resource) } else { About::Ids(resource) }
                    }
                    (None, Some(Membership::Tenants)) => About::Tenants,
                    _ => continue,
                };
                columns.push(Held { subject, owner: number, column });
            }
        }
        columns.sort_by_key(|held| held.subject);
        Self {
            identity,
            table: Rc::clone(table),
            owners: owners.into(),
            masks,
            columns: columns.into(),
            candidate: None,
        }
    }

    /// The same, and beside it what a candidate table makes of the identity.
    #[must_use]
    pub fn with_candidate(mut self, candidate: Option<&Rc<Table>>, version: Version) -> Self {
        self.candidate = candidate.map(|table| Box::new(Self::resolve(table, Rc::clone(&self.identity), version)));
        self
    }

    /// What a candidate table makes of the same identity.
    #[must_use]
    pub fn candidate(&self) -> Option<&Self> {
        self.candidate.as_deref()
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
    pub fn groups(&self) -> Vec<String> {
        self.identity.groups().map_or_else(|| self.owners_of(OwnerType::Group), <[String]>::to_vec)
    }

    /// The ids of its owners of one type, sorted.
    #[must_use]
    pub fn owners_of(&self, kind: OwnerType) -> Vec<String> {
        let owners = self.owners.iter().filter(|owner| owner.kind == kind);
        let names: BTreeSet<String> = owners.map(|owner| self.table.owner_id(*owner)).collect();
        names.into_iter().collect()
    }

    /// Whether it is assigned to a tenant.
    #[must_use]
    pub fn has_tenant(&self, tenant: &str) -> bool {
        let number = self.table.tenant(tenant);
        number.is_some_and(|number| self.about(About::Tenants).iter().any(|held| self.table.has(&held.column, number)))
    }

    /// Its tenants, sorted.
    #[must_use]
    pub fn tenants(&self) -> Vec<String> {
        let numbers = self.about(About::Tenants).iter().flat_map(|held| self.table.numbers(held.column));
        let tenants: BTreeSet<String> = numbers.map(|number| self.table.tenant_id(number)).collect();
        tenants.into_iter().collect()
    }

    /// The grant of a permission on `*`.
    pub(super) fn on_all(&self, resource: ResourceType, permission: Permission) -> Option<Grant> {
        Grant::held(self.masks(resource).star, resource, permission, Holding::All)
    }

    /// The grant of a permission by a property of the resource.
    pub(super) fn on_property(&self, resource: ResourceType, permission: Permission) -> Option<Grant> {
        Grant::held(self.masks(resource).property, resource, permission, Holding::Property)
    }

    /// The grant of a permission on some id, whichever.
    pub(super) fn on_some_id(&self, resource: ResourceType, permission: Permission) -> Option<Grant> {
        Grant::held(self.masks(resource).some, resource, permission, Holding::SomeId)
    }

    /// The grant of a permission on exactly this id.
    pub(super) fn on_id(&self, resource: ResourceType, permission: Permission, id: &str) -> Option<Grant> {
        if self.masks(resource).some & permission.bit() == 0 {
            return None;
        }
        // Ids have the same numbers in all records.
        let columns = self.about(About::Ids(resource));
        let number = self.table.id(&columns.first()?.column, id)?;
        let held = columns.iter().map(|held| self.table.permissions_on(&held.column, number));
        held.into_iter().find_map(|held| Grant::held(held, resource, permission, Holding::Id(number)))
    }

    /// The names in a grant of this principal; the first of its owners that holds it.
    #[must_use]
    pub fn named(&self, grant: &Grant) -> Option<Named> {
        let (resource, bit) = (grant.resource, grant.permission.bit());
        let subject =
            if grant.holding == Holding::Property { About::Properties(resource) } else { About::Ids(resource) };
        self.about(subject).iter().find_map(|Held { column, owner, .. }| {
            let number = match grant.holding {
                Holding::All => (self.table.permissions(column).0 & bit != 0).then_some(0),
                Holding::Id(number) => (self.table.permissions_on(column, number) & bit != 0).then_some(number),
                Holding::SomeId | Holding::Property => self.table.first_with(column, bit),
            }?;
            let owner = self.owners.get(usize::try_from(*owner).ok()?)?;
            let resource_id = match grant.holding {
                Holding::Property => None,
                _ => Some(self.table.id_name(column, number)?),
            };
            Some(Named { owner: (owner.kind, self.table.owner_id(*owner)), resource_id })
        })
    }

    /// Roughly how many bytes it takes, without its identity and table.
    #[must_use]
    pub fn size(&self) -> usize {
        let parts = [
            size_of::<Self>(),
            size_of_val(&*self.masks),
            size_of_val(&*self.owners),
            size_of_val(&*self.columns),
            self.candidate.as_deref().map_or(0, Self::size),
        ];
        parts.into_iter().fold(0, usize::saturating_add)
    }

    fn masks(&self, resource: ResourceType) -> Masks {
        self.masks.get(resource.index()).copied().unwrap_or_default()
    }

    /// The columns about one subject.
    fn about(&self, subject: About) -> &[Held] {
        let from = self.columns.partition_point(|held| held.subject < subject);
        let to = self.columns.partition_point(|held| held.subject <= subject);
        self.columns.get(from..to).unwrap_or_default()
    }
}

impl Masks {
    fn add(&mut self, star: u16, some: u16, is_property: bool) {
        if is_property {
            self.property |= some;
        } else {
            self.star |= star;
            self.some |= some;
        }
    }
}

/// Owners in the order in which they were reached, each once.
struct Closure<'a> {
    table: &'a Table,
    owners: Vec<Owner>,
    reached: BTreeSet<Owner>,
    /// Groups come from a claim.
    claimed: bool,
}

impl<'a> Closure<'a> {
    fn new(table: &'a Table, claimed: bool) -> Self {
        Self { table, owners: Vec::new(), reached: BTreeSet::new(), claimed }
    }

    /// Takes an owner in; `false` where it was in already.
    fn reach(&mut self, owner: Owner) -> bool {
        let is_new = self.reached.insert(owner);
        if is_new {
            self.owners.push(owner);
        }
        is_new
    }

    /// Takes an owner in, and a group's roles with it.
    fn add(&mut self, owner: Owner) {
        if self.reach(owner) && owner.kind == OwnerType::Group {
            self.add_members(owner, Membership::Roles, OwnerType::Role);
        }
    }

    fn add_memberships(&mut self, member: Owner) {
        if !self.claimed {
            self.add_members(member, Membership::Groups, OwnerType::Group);
        }
        self.add_members(member, Membership::Roles, OwnerType::Role);
    }

    fn add_members(&mut self, member: Owner, membership: Membership, kind: OwnerType) {
        let table = self.table;
        for column in table.columns(member).filter(|column| Table::membership(column) == Some(membership)) {
            table.numbers(column).for_each(|number| self.add(Owner { kind, number }));
        }
    }
}

/// From this version on a mapping rule's bare name is that claim, as in the settings of claims; before, `$.` was put before
/// it (Camunda's `JsonPathClaimSanitizer`).
const FLAT_NAMES: Version = Version::new(8, 10);

/// The mapping rules that the claims match, in their order.
fn matching_rules(table: &Table, text: &str, version: Version) -> BTreeSet<Owner> {
    let mut rules = BTreeSet::new();
    let mut parsed: Option<Value> = None;
    for path in table.claim_paths() {
        let claims = parsed.get_or_insert_with(|| claims::parsed(text).unwrap_or_default());
        // A path that the cluster cannot read finds nothing.
        let read = if version < FLAT_NAMES { JsonPath::parse(&path) } else { JsonPath::parse_claim(&path) };
        let Ok(found) = read else { continue };
        for value in texts(found.find(claims)) {
            rules.extend(table.rules(&path, value));
        }
    }
    rules
}

/// The texts that a rule compares: a text itself, or those in a list; never numbers and booleans.
fn texts(found: Found<'_>) -> Vec<&str> {
    match found {
        Found::One(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        Found::One(value) => value.as_str().into_iter().collect(),
        Found::Many(values) => values.into_iter().filter_map(Value::as_str).collect(),
        Found::Missing => Vec::new(),
    }
}

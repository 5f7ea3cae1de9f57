//! Policy -> facts: names get numbers, and what can grant nothing is left out with a warning.

use super::facts::{Entry, Facts, GrantColumn};
use super::source::{Authorization, Group, Policy, Role, Rule, Tenant};
use super::{PolicyError, Warning};
use crate::api::catalogue::ResourceType;
use crate::jsonpath::{JsonPath, PathError};
use crate::table::columns::MEMBERSHIPS;
use crate::table::header::SPACES;
use crate::table::{CLAIM_JOINT, Membership, OwnerType, Space};
use std::collections::{BTreeMap, BTreeSet};

/// The longest name, in bytes. With a claim's path and value together it fits in a table.
const LONGEST: usize = 4_096;
/// The properties of a user task that the cluster knows; a later one may know more.
const PROPERTIES: [&str; 3] = ["assignee", "candidateUsers", "candidateGroups"];
/// How many warnings are given; a policy may have as many as grants.
const WARNINGS: usize = 1_000;

/// Names with numbers, in the order in which they came.
#[derive(Debug, Default)]
struct Names(BTreeMap<Box<[u8]>, u32>);

impl Names {
    fn number(&mut self, name: &[u8]) -> u32 {
        if let Some(number) = self.0.get(name) {
            return *number;
        }
        let number = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0.insert(name.into(), number);
        number
    }

    /// The names sorted, and for each number the place of its name among them.
    fn sorted(self) -> (Vec<Box<[u8]>>, Vec<u32>) {
        let most = self.0.values().max().and_then(|most| usize::try_from(*most).ok());
        let mut places = vec![0; most.map_or(0, |most| most.saturating_add(1))];
        let mut names = Vec::with_capacity(self.0.len());
        for (place, (name, number)) in (0..).zip(self.0) {
            if let Some(slot) = usize::try_from(number).ok().and_then(|number| places.get_mut(number)) {
                *slot = place;
            }
            names.push(name);
        }
        (names, places)
    }
}

/// A mapping rule that was named before it was defined.
#[derive(Debug)]
struct Mention {
    rule: u32,
    path: String,
    reason: String,
}

/// Takes policies and gives their facts.
#[derive(Debug)]
pub struct Collector {
    names: [Names; SPACES],
    /// The ids of each column of grants.
    ids: BTreeMap<(ResourceType, bool), Names>,
    /// With numbers in the order in which names came, and columns of grants numbered by type.
    entries: Vec<Entry>,
    /// The mapping rules that there are, with what they ask for.
    rules: BTreeMap<u32, (String, String)>,
    mentions: Vec<Mention>,
    /// Ids of roles, groups, mapping rules and tenants of the document that is being taken.
    seen: BTreeSet<(usize, String)>,
    warnings: Vec<Warning>,
    more_warnings: usize,
}

fn error(path: impl Into<String>, reason: impl Into<String>) -> PolicyError {
    PolicyError { path: path.into(), reason: reason.into() }
}

/// Whether a name can be one: what is longer, or has control characters, is no id that the cluster
/// gives to anything.
fn check(path: impl FnOnce() -> String, name: &str) -> Result<(), PolicyError> {
    if name.len() > LONGEST {
        return Err(error(path(), format!("is longer than {LONGEST} bytes")));
    }
    match name.chars().position(char::is_control) {
        Some(place) => Err(error(path(), format!("has a control character (character {place})"))),
        None => Ok(()),
    }
}

/// The column of grants on a resource type, before those that do not occur are left out.
fn column(resource: ResourceType, is_property: bool) -> u8 {
    let number = resource.index().saturating_mul(2).saturating_add(is_property.into());
    u8::try_from(number.saturating_add(MEMBERSHIPS)).unwrap_or(u8::MAX)
}

fn space_number(space: Space) -> u8 {
    u8::try_from(space.index()).unwrap_or(u8::MAX)
}

impl Default for Collector {
    fn default() -> Self {
        Self {
            names: std::array::from_fn(|_| Names::default()),
            ids: BTreeMap::new(),
            entries: Vec::new(),
            rules: BTreeMap::new(),
            mentions: Vec::new(),
            seen: BTreeSet::new(),
            warnings: Vec::new(),
            more_warnings: 0,
        }
    }
}

impl Collector {
    /// Takes a whole policy.
    pub fn policy(&mut self, policy: &Policy) -> Result<(), PolicyError> {
        self.begin();
        let rules = policy.mapping_rules.iter().enumerate();
        rules.into_iter().try_for_each(|(number, rule)| self.rule(number, rule))?;
        policy.roles.iter().enumerate().try_for_each(|(number, role)| self.role(number, role))?;
        policy.groups.iter().enumerate().try_for_each(|(number, group)| self.group(number, group))?;
        policy.tenants.iter().enumerate().try_for_each(|(number, tenant)| self.tenant(number, tenant))?;
        policy.authorizations.iter().enumerate().try_for_each(|(number, grant)| self.authorization(number, grant))
    }

    /// Begins a document: within one, no role, group, mapping rule or tenant stands twice.
    pub fn begin(&mut self) {
        self.seen.clear();
    }

    /// Adds a warning about the document itself.
    pub fn notice(&mut self, reason: &str) {
        self.warn("", reason);
    }

    fn warn(&mut self, path: impl Into<String>, reason: impl Into<String>) {
        if self.warnings.len() < WARNINGS {
            self.warnings.push(Warning { path: path.into(), reason: reason.into() });
        } else {
            self.more_warnings = self.more_warnings.saturating_add(1);
        }
    }

    fn name(&mut self, path: impl Fn() -> String, space: Space, name: &str) -> Result<u32, PolicyError> {
        check(path, name)?;
        Ok(self.number(space, name.as_bytes()))
    }

    fn number(&mut self, space: Space, name: &[u8]) -> u32 {
        self.names.get_mut(space.index()).map_or(0, |names| names.number(name))
    }

    /// The number of a role, group, mapping rule or tenant, which a document may have once.
    fn define(&mut self, path: &str, space: Space, id: &str) -> Result<u32, PolicyError> {
        let number = self.name(|| path.to_owned(), space, id)?;
        if !self.seen.insert((space.index(), id.to_owned())) {
            return Err(error(path, format!("`{id}` stands twice")));
        }
        Ok(number)
    }

    /// Takes a mapping rule.
    pub fn rule(&mut self, number: usize, rule: &Rule) -> Result<(), PolicyError> {
        let path = |field| format!("mappingRules[{number}].{field}");
        let owner = self.define(&path("mappingRuleId"), Space::Rule, &rule.mapping_rule_id)?;
        let asks = (rule.claim_name.clone(), rule.claim_value.clone());
        if self.rules.insert(owner, asks.clone()).is_some_and(|before| before != asks) {
            let reason = format!("`{}` asks for another claim in another file", rule.mapping_rule_id);
            return Err(error(path("mappingRuleId"), reason));
        }
        match JsonPath::parse(&rule.claim_name) {
            Ok(_) => {}
            Err(PathError::Broken(reason)) => {
                // Later versions take a bare name for the claim's.
                let before = if rule.claim_name.starts_with('$') { "" } else { " before Camunda 8.10" };
                self.warn(path("claimName"), format!("`{}` never finds a claim{before}: {reason}", rule.claim_name));
            }
            Err(PathError::Unsupported(reason)) => {
                return Err(error(path("claimName"), format!("`{}`: {reason}", rule.claim_name)));
            }
        }
        self.name(|| path("claimName"), Space::ClaimPath, &rule.claim_name)?;
        check(|| path("claimValue"), &rule.claim_value)?;
        let claim = [rule.claim_name.as_bytes(), &[CLAIM_JOINT], rule.claim_value.as_bytes()].concat();
        let claim = self.number(Space::Claim, &claim);
        self.member(Space::Claim, claim, Membership::Rules, owner);
        Ok(())
    }

    fn member(&mut self, space: Space, owner: u32, membership: Membership, number: u32) {
        let column = match membership {
            Membership::Groups => 0,
            Membership::Roles => 1,
            Membership::Tenants => 2,
            Membership::Rules => 3,
        };
        self.entries.push(Entry { space: space_number(space), owner, column, number, permissions: 0 });
    }

    /// Makes owners members of something. Mapping rules must exist; all others need not.
    fn members(
        &mut self,
        path: &str,
        membership: Membership,
        number: u32,
        lists: &[(&str, OwnerType, &[String])],
    ) -> Result<(), PolicyError> {
        for (field, kind, ids) in lists {
            for (place, id) in ids.iter().enumerate() {
                let path = || format!("{path}.{field}[{place}]");
                let owner = self.name(path, kind.space(), id)?;
                self.mention(*kind, owner, path, || format!("there is no mapping rule `{id}`"));
                self.member(kind.space(), owner, membership, number);
            }
        }
        Ok(())
    }

    /// Remembers a mapping rule that may not exist.
    fn mention(&mut self, kind: OwnerType, rule: u32, path: impl Fn() -> String, reason: impl Fn() -> String) {
        if kind == OwnerType::MappingRule && !self.rules.contains_key(&rule) {
            self.mentions.push(Mention { rule, path: path(), reason: reason() });
        }
    }

    /// Takes a role.
    pub fn role(&mut self, number: usize, role: &Role) -> Result<(), PolicyError> {
        let path = format!("roles[{number}]");
        let owner = self.define(&format!("{path}.roleId"), Space::Role, &role.role_id)?;
        let lists = [
            ("users", OwnerType::User, &*role.users),
            ("clients", OwnerType::Client, &role.clients),
            ("groups", OwnerType::Group, &role.groups),
            ("mappingRules", OwnerType::MappingRule, &role.mapping_rules),
        ];
        self.members(&path, Membership::Roles, owner, &lists)
    }

    /// Takes a group.
    pub fn group(&mut self, number: usize, group: &Group) -> Result<(), PolicyError> {
        let path = format!("groups[{number}]");
        let owner = self.define(&format!("{path}.groupId"), Space::Group, &group.group_id)?;
        let lists = [
            ("users", OwnerType::User, &*group.users),
            ("clients", OwnerType::Client, &group.clients),
            ("mappingRules", OwnerType::MappingRule, &group.mapping_rules),
        ];
        self.members(&path, Membership::Groups, owner, &lists)?;
        // The API lists under a group the roles it is a member of.
        for (place, role) in group.roles.iter().enumerate() {
            let role = self.name(|| format!("{path}.roles[{place}]"), Space::Role, role)?;
            self.member(Space::Group, owner, Membership::Roles, role);
        }
        Ok(())
    }

    /// Takes a tenant.
    pub fn tenant(&mut self, number: usize, tenant: &Tenant) -> Result<(), PolicyError> {
        let path = format!("tenants[{number}]");
        let owner = self.define(&format!("{path}.tenantId"), Space::Tenant, &tenant.tenant_id)?;
        let lists = [
            ("users", OwnerType::User, &*tenant.users),
            ("clients", OwnerType::Client, &tenant.clients),
            ("groups", OwnerType::Group, &tenant.groups),
            ("roles", OwnerType::Role, &tenant.roles),
            ("mappingRules", OwnerType::MappingRule, &tenant.mapping_rules),
        ];
        self.members(&path, Membership::Tenants, owner, &lists)
    }

    /// Takes a grant.
    pub fn authorization(&mut self, number: usize, grant: &Authorization) -> Result<(), PolicyError> {
        let path = |field: &str| {
            let dot = if field.is_empty() { "" } else { "." };
            format!("authorizations[{number}]{dot}{field}")
        };
        let (id, is_property) = match (&grant.resource_id, &grant.resource_property_name) {
            (Some(id), None) => (id, false),
            (None, Some(name)) => (name, true),
            (Some(_), Some(_)) => return Err(error(path(""), "has both resourceId and resourcePropertyName")),
            (None, None) => return Err(error(path(""), "has neither resourceId nor resourcePropertyName")),
        };
        let unknown = |name: &str| format!("`{name}` is not known; it grants nothing");
        let Some(kind) = OwnerType::named(&grant.owner_type) else {
            self.warn(path("ownerType"), unknown(&grant.owner_type));
            return Ok(());
        };
        let Some(resource) = ResourceType::named(&grant.resource_type) else {
            self.warn(path("resourceType"), unknown(&grant.resource_type));
            return Ok(());
        };
        let mut permissions = 0;
        for (place, name) in grant.permission_types.iter().enumerate() {
            match resource.permission(name) {
                Some(permission) => permissions |= permission.bit(),
                None => self.warn(
                    path(&format!("permissionTypes[{place}]")),
                    format!("`{name}` is not known on {}; it grants nothing", resource.name()),
                ),
            }
        }
        if permissions == 0 {
            self.warn(path("permissionTypes"), "has no known permission; it grants nothing");
            return Ok(());
        }
        if is_property && resource.name() != "USER_TASK" {
            self.warn(path("resourcePropertyName"), "counts for USER_TASK only; it grants nothing");
            return Ok(());
        }
        if id.is_empty() {
            let field = if is_property { "resourcePropertyName" } else { "resourceId" };
            self.warn(path(field), "is empty; it grants nothing");
            return Ok(());
        }
        if is_property && !PROPERTIES.contains(&id.as_str()) {
            let known = PROPERTIES.join(", ");
            self.warn(path("resourcePropertyName"), format!("`{id}` is none of {known}; the cluster may not know it"));
        }
        check(|| path(if is_property { "resourcePropertyName" } else { "resourceId" }), id)?;
        let owner = self.name(|| path("ownerId"), kind.space(), &grant.owner_id)?;
        let reason = || format!("there is no mapping rule `{}`; it grants nothing", grant.owner_id);
        self.mention(kind, owner, || path("ownerId"), reason);
        let ids = self.ids.entry((resource, is_property)).or_default();
        let star = !is_property && id == "*";
        let number = if star { 0 } else { ids.number(id.as_bytes()).saturating_add(1) };
        let (space, column) = (space_number(kind.space()), column(resource, is_property));
        self.entries.push(Entry { space, owner, column, number, permissions });
        Ok(())
    }

    /// The facts of all that was taken, and what in it grants nothing.
    pub fn finish(mut self) -> (Facts, Vec<Warning>) {
        for Mention { rule, path, reason } in std::mem::take(&mut self.mentions) {
            if !self.rules.contains_key(&rule) {
                self.warn(path, reason);
            }
        }
        let Self { names: collected, mut ids, mut entries, rules, mut warnings, more_warnings, .. } = self;
        if more_warnings > 0 {
            warnings.push(Warning { path: String::new(), reason: format!("and {more_warnings} more like these") });
        }
        let is_rule = |space: u8| usize::from(space) == Space::Rule.index();
        let taken = entries.len();
        entries.retain(|entry| !is_rule(entry.space) || rules.contains_key(&entry.owner));
        if entries.len() < taken {
            let mut used = BTreeSet::new();
            used.extend(entries.iter().map(|entry| (entry.column, entry.number)));
            for ((resource, is_property), ids) in &mut ids {
                let column = column(*resource, *is_property);
                ids.0.retain(|_, number| used.contains(&(column, number.saturating_add(1))));
            }
        }

        let mut names: [Vec<Box<[u8]>>; SPACES] = std::array::from_fn(|_| Vec::new());
        let mut places: [Vec<u32>; SPACES] = std::array::from_fn(|_| Vec::new());
        for (index, mut collected) in collected.into_iter().enumerate() {
            if index == Space::Rule.index() {
                collected.0.retain(|_, number| rules.contains_key(number));
            }
            let (sorted, order) = collected.sorted();
            if let (Some(names), Some(places)) = (names.get_mut(index), places.get_mut(index)) {
                (*names, *places) = (sorted, order);
            }
        }
        let place = |space: usize, number: u32| {
            let list = places.get(space)?;
            list.get(usize::try_from(number).ok()?).copied()
        };

        let columns = Columns::new(ids, &entries, &mut names);
        let members = [Space::Group, Space::Role, Space::Tenant, Space::Rule];
        for entry in &mut entries {
            entry.owner = place(entry.space.into(), entry.owner).unwrap_or(0);
            match members.get(usize::from(entry.column)) {
                Some(space) => entry.number = place(space.index(), entry.number).unwrap_or(0),
                None => columns.settle(entry),
            }
        }
        entries.sort_unstable();
        entries.dedup_by(|next, kept| {
            let key = |e: &Entry| (e.space, e.owner, e.column, e.number);
            let is_same = key(next) == key(kept);
            if is_same {
                kept.permissions |= next.permissions;
            }
            is_same
        });
        (Facts { names, columns: columns.columns, entries }, warnings)
    }
}

/// The columns of grants that occur.
struct Columns {
    columns: Vec<GrantColumn>,
    /// By the number of a column before: its number now, and the places of its ids.
    now: BTreeMap<u8, (u8, Vec<u32>)>,
}

impl Columns {
    /// Orders the columns, and names their types and permissions.
    fn new(
        ids: BTreeMap<(ResourceType, bool), Names>,
        entries: &[Entry],
        names: &mut [Vec<Box<[u8]>>; SPACES],
    ) -> Self {
        let mut used: BTreeMap<u8, u16> = BTreeMap::new();
        for entry in entries {
            *used.entry(entry.column).or_default() |= entry.permissions;
        }
        let held = |(resource, is_property)| used.get(&column(resource, is_property)).copied();
        let occurring = || ids.keys().filter_map(|key| Some((key.0, held(*key)?)));
        // Collecting into a set would sort first, which adds a sort of its own for each type to the module.
        let (mut types, mut permissions) = (BTreeSet::new(), BTreeSet::new());
        types.extend(occurring().map(|(resource, _)| resource.name()));
        permissions.extend(occurring().flat_map(|(resource, set)| resource.permissions(set)).map(|(name, _)| name));
        let position = |names: &BTreeSet<&str>, name: &str| {
            u32::try_from(names.iter().position(|n| *n == name).unwrap_or(0)).unwrap_or(0)
        };
        let boxed = |names: &BTreeSet<&str>| names.iter().map(|name| name.as_bytes().into()).collect();
        let mut columns = Vec::new();
        let mut now = BTreeMap::new();
        let type_names = boxed(&types);
        let permission_names = boxed(&permissions);
        for (key, ids) in ids {
            let Some(set) = held(key) else { continue };
            let (resource, is_property) = key;
            let (ids, places) = ids.sorted();
            let number = u8::try_from(columns.len().saturating_add(MEMBERSHIPS)).unwrap_or(u8::MAX);
            now.insert(column(resource, is_property), (number, places));
            let type_name = position(&types, resource.name());
            let of_type = || resource.permissions(set);
            columns.push(GrantColumn {
                resource,
                is_property,
                type_name,
                permissions: of_type().map(|(name, _)| position(&permissions, name)).collect(),
                bits: of_type().map(|(_, bit)| bit).collect(),
                ids,
            });
        }
        for (space, list) in [(Space::Type, type_names), (Space::Permission, permission_names)] {
            if let Some(names) = names.get_mut(space.index()) {
                *names = list;
            }
        }
        Self { columns, now }
    }

    /// Gives an entry its last column, number and permissions.
    fn settle(&self, entry: &mut Entry) {
        let Some((column, places)) = self.now.get(&entry.column) else { return };
        entry.column = *column;
        if let Some(index) = entry.number.checked_sub(1) {
            let place = usize::try_from(index).ok().and_then(|index| places.get(index));
            entry.number = place.map_or(0, |place| place.saturating_add(1));
        }
        let grants = usize::from(*column).checked_sub(MEMBERSHIPS).and_then(|index| self.columns.get(index));
        entry.permissions = grants.map_or(0, |grants| grants.local(entry.permissions));
    }
}

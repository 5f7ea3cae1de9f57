//! The readable source: a policy as the cluster exports it, made into a table.

mod source;

use crate::api::catalogue::ResourceType;
use crate::jsonpath::{JsonPath, PathError};
use crate::table::{MappingRule, OwnerNumber, OwnerType, Table};
pub use source::{Authorization, Group, Policy, Role, Rule, Tenant};
use std::collections::BTreeSet;
use std::fmt;

/// Why a policy cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PolicyError {
    /// Where, such as `authorizations[3].resourceId`.
    pub path: String,
    /// Why.
    pub reason: String,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.reason)
    }
}

impl std::error::Error for PolicyError {}

/// Something in a policy that can grant nothing, as in the cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Warning {
    /// Where.
    pub path: String,
    /// What.
    pub reason: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.reason)
    }
}

/// Makes a table of a policy.
///
/// # Errors
/// Something could be read in two ways, or not at all. What can only grant nothing is a warning.
pub fn compile(policy: &Policy) -> Result<(Table, Vec<Warning>), PolicyError> {
    let mut compiler = Compiler { table: Table::default(), warnings: Vec::new() };
    compiler.rules(&policy.mapping_rules)?;
    compiler.roles(&policy.roles)?;
    compiler.groups(&policy.groups)?;
    compiler.tenants(&policy.tenants)?;
    for (number, authorization) in policy.authorizations.iter().enumerate() {
        compiler.authorization(&format!("authorizations[{number}]"), authorization)?;
    }
    Ok((compiler.table.seal(), compiler.warnings))
}

fn error(path: String, reason: impl Into<String>) -> PolicyError {
    PolicyError { path, reason: reason.into() }
}

/// Refuses an id that stands twice in a list.
fn unique<'a>(list: &str, field: &str, ids: impl Iterator<Item = &'a str>) -> Result<(), PolicyError> {
    let mut seen = BTreeSet::new();
    for (number, id) in ids.enumerate() {
        if !seen.insert(id) {
            return Err(error(format!("{list}[{number}].{field}"), format!("`{id}` stands twice")));
        }
    }
    Ok(())
}

struct Compiler {
    table: Table,
    warnings: Vec<Warning>,
}

impl Compiler {
    fn warn(&mut self, path: String, reason: impl Into<String>) {
        self.warnings.push(Warning { path, reason: reason.into() });
    }

    fn rules(&mut self, rules: &[Rule]) -> Result<(), PolicyError> {
        unique("mappingRules", "mappingRuleId", rules.iter().map(|r| &*r.mapping_rule_id))?;
        for (number, rule) in rules.iter().enumerate() {
            let path = format!("mappingRules[{number}].claimName");
            let claim = match JsonPath::parse(&rule.claim_name) {
                Ok(claim) => Some(claim),
                Err(PathError::Broken(reason)) => {
                    self.warn(path, format!("`{}` never finds a claim: {reason}", rule.claim_name));
                    None
                }
                Err(PathError::Unsupported(reason)) => {
                    return Err(error(path, format!("`{}`: {reason}", rule.claim_name)));
                }
            };
            let owner = self.table.owner_or_new(OwnerType::MappingRule, &rule.mapping_rule_id);
            self.table.add_rule(MappingRule { owner, claim, value: rule.claim_value.clone() });
        }
        Ok(())
    }

    /// The owners that a member list names. Mapping rules must exist; all others need not.
    fn members(&mut self, path: &str, kind: OwnerType, ids: &[String]) -> Vec<OwnerNumber> {
        let mut numbers = Vec::new();
        for (number, id) in ids.iter().enumerate() {
            if kind == OwnerType::MappingRule && self.table.find(kind, id).is_none() {
                self.warn(format!("{path}[{number}]"), format!("there is no mapping rule `{id}`"));
                continue;
            }
            numbers.push(self.table.owner_or_new(kind, id));
        }
        numbers
    }

    fn join_role(&mut self, members: Vec<OwnerNumber>, role: OwnerNumber) {
        for member in members {
            if let Some(owner) = self.table.owner_mut(member) {
                owner.roles.push(role);
            }
        }
    }

    fn roles(&mut self, roles: &[Role]) -> Result<(), PolicyError> {
        unique("roles", "roleId", roles.iter().map(|r| &*r.role_id))?;
        for (number, role) in roles.iter().enumerate() {
            let path = format!("roles[{number}]");
            let owner = self.table.owner_or_new(OwnerType::Role, &role.role_id);
            for (field, kind, ids) in [
                ("users", OwnerType::User, &role.users),
                ("clients", OwnerType::Client, &role.clients),
                ("groups", OwnerType::Group, &role.groups),
                ("mappingRules", OwnerType::MappingRule, &role.mapping_rules),
            ] {
                let members = self.members(&format!("{path}.{field}"), kind, ids);
                self.join_role(members, owner);
            }
        }
        Ok(())
    }

    fn groups(&mut self, groups: &[Group]) -> Result<(), PolicyError> {
        unique("groups", "groupId", groups.iter().map(|g| &*g.group_id))?;
        for (number, group) in groups.iter().enumerate() {
            let path = format!("groups[{number}]");
            let owner = self.table.owner_or_new(OwnerType::Group, &group.group_id);
            for (field, kind, ids) in [
                ("users", OwnerType::User, &group.users),
                ("clients", OwnerType::Client, &group.clients),
                ("mappingRules", OwnerType::MappingRule, &group.mapping_rules),
            ] {
                for member in self.members(&format!("{path}.{field}"), kind, ids) {
                    if let Some(member) = self.table.owner_mut(member) {
                        member.groups.push(owner);
                    }
                }
            }
            // The API lists under a group the roles it is a member of.
            for role in self.members(&format!("{path}.roles"), OwnerType::Role, &group.roles) {
                self.join_role(vec![owner], role);
            }
        }
        Ok(())
    }

    fn tenants(&mut self, tenants: &[Tenant]) -> Result<(), PolicyError> {
        unique("tenants", "tenantId", tenants.iter().map(|t| &*t.tenant_id))?;
        for (number, tenant) in tenants.iter().enumerate() {
            let path = format!("tenants[{number}]");
            for (field, kind, ids) in [
                ("users", OwnerType::User, &tenant.users),
                ("clients", OwnerType::Client, &tenant.clients),
                ("groups", OwnerType::Group, &tenant.groups),
                ("roles", OwnerType::Role, &tenant.roles),
                ("mappingRules", OwnerType::MappingRule, &tenant.mapping_rules),
            ] {
                for member in self.members(&format!("{path}.{field}"), kind, ids) {
                    if let Some(member) = self.table.owner_mut(member) {
                        member.tenants.push(tenant.tenant_id.as_str().into());
                    }
                }
            }
        }
        Ok(())
    }

    fn authorization(&mut self, path: &str, grant: &Authorization) -> Result<(), PolicyError> {
        let id = match (&grant.resource_id, &grant.resource_property_name) {
            (Some(id), None) => Some(id),
            (None, Some(_)) => None,
            (Some(_), Some(_)) => {
                return Err(error(path.into(), "has both resourceId and resourcePropertyName"));
            }
            (None, None) => {
                return Err(error(path.into(), "has neither resourceId nor resourcePropertyName"));
            }
        };
        let Some(kind) = OwnerType::named(&grant.owner_type) else {
            self.warn(format!("{path}.ownerType"), format!("`{}` is not known; it grants nothing", grant.owner_type));
            return Ok(());
        };
        if kind == OwnerType::MappingRule && self.table.find(kind, &grant.owner_id).is_none() {
            self.warn(
                format!("{path}.ownerId"),
                format!("there is no mapping rule `{}`; it grants nothing", grant.owner_id),
            );
            return Ok(());
        }
        let Some(resource) = ResourceType::named(&grant.resource_type) else {
            self.warn(
                format!("{path}.resourceType"),
                format!("`{}` is not known; it grants nothing", grant.resource_type),
            );
            return Ok(());
        };
        let mut permissions = 0;
        for (number, name) in grant.permission_types.iter().enumerate() {
            match resource.permission(name) {
                Some(permission) => permissions |= permission.bit(),
                None => self.warn(
                    format!("{path}.permissionTypes[{number}]"),
                    format!("`{name}` is not known on {}; it grants nothing", resource.name()),
                ),
            }
        }
        if permissions == 0 {
            self.warn(format!("{path}.permissionTypes"), "has no known permission; it grants nothing");
            return Ok(());
        }
        let owner = self.table.owner_or_new(kind, &grant.owner_id);
        let is_task = resource.name() == "USER_TASK";
        if id.is_none() && !is_task {
            self.warn(format!("{path}.resourcePropertyName"), "counts for USER_TASK only; it grants nothing");
            return Ok(());
        }
        if id.is_some_and(String::is_empty) {
            self.warn(format!("{path}.resourceId"), "is empty; it grants nothing");
            return Ok(());
        }
        if let Some(owner) = self.table.owner_mut(owner) {
            match id.map(String::as_str) {
                None => owner.grants.add_property(resource, permissions),
                Some("*") => owner.grants.add_all(resource, permissions),
                Some(id) => owner.grants.add_id(resource, id, permissions),
            }
        }
        Ok(())
    }
}

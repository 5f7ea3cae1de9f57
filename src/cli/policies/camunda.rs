//! What a cluster's own configuration says of its policy: `camunda.security.initialization`, or the
//! Helm values that become it.

use crate::cli::relaxed::{canonical_tree, find, members, text, texts};
use crate::policy::{Authorization, Group, Policy, Role, Rule, Tenant};
use serde_json::Value;

/// Where it stands, in Spring configuration and in Helm values, within what tells them.
const PLACES: [[&str; 2]; 2] = [
    ["camunda.security", "camunda.security.initialization"],
    ["orchestration.security", "orchestration.security.initialization"],
];
/// Default roles by their ids, which relaxed names do not keep.
const DEFAULT_ROLES: [&str; 6] = ["admin", "readonly-admin", "connectors", "app-integrations", "rpa", "task-worker"];

/// The policy in a cluster's configuration, with what a person must look at; `None` where the
/// document is no such configuration.
pub fn initialization(document: &Value) -> Option<Result<(Policy, Vec<String>), String>> {
    let tree = canonical_tree(document);
    let [_, at] = PLACES.into_iter().find(|[within, _]| find(&tree, within).is_some())?;
    Some(find(&tree, at).ok_or_else(|| format!("{at}: is missing")).and_then(|found| policy(&Section { at, found })))
}

/// Whether a configuration has such a section.
pub fn has_initialization(document: &Value) -> bool {
    let tree = canonical_tree(document);
    PLACES.iter().any(|[_, at]| find(&tree, at).is_some())
}

/// The section, and where it stands.
struct Section<'a> {
    at: &'static str,
    found: &'a Value,
}

fn policy(section: &Section<'_>) -> Result<(Policy, Vec<String>), String> {
    let Section { at: place, found } = *section;
    let mut policy = Policy {
        authorizations: items(section, "authorizations", grant)?,
        roles: items(section, "roles", |item| Ok(Role { role_id: item.need("role-id")?, ..role(item)? }))?,
        groups: items(section, "groups", |item| {
            Ok(Group {
                group_id: item.need("group-id")?,
                users: item.names("users")?,
                clients: item.names("clients")?,
                mapping_rules: item.names("mapping-rules")?,
                roles: item.names("roles")?,
                ..Group::default()
            })
        })?,
        mapping_rules: items(section, "mapping-rules", |item| {
            Ok(Rule {
                mapping_rule_id: item.need("mapping-rule-id")?,
                claim_name: item.need("claim-name")?,
                claim_value: item.need("claim-value")?,
                ..Rule::default()
            })
        })?,
        tenants: items(section, "tenants", |item| {
            Ok(Tenant {
                tenant_id: item.need("tenant-id")?,
                users: item.names("users")?,
                clients: item.names("clients")?,
                groups: item.names("groups")?,
                roles: item.names("roles")?,
                mapping_rules: item.names("mapping-rules")?,
                ..Tenant::default()
            })
        })?,
    };
    let mut notices = Vec::new();
    for (name, value) in members(found, "default-roles") {
        let known = DEFAULT_ROLES.into_iter().find(|id| id.replace('-', "") == *name);
        let role_id = known.unwrap_or(name).to_owned();
        let at = format!("{place}.default-roles.{role_id}");
        notices.push(format!("{at}: what the role is granted is not in the cluster's configuration; export it"));
        let more = role(&Item { at, value: value.clone() })?;
        match policy.roles.iter_mut().find(|role| role.role_id == role_id) {
            Some(role) => {
                role.users.extend(more.users);
                role.clients.extend(more.clients);
                role.groups.extend(more.groups);
                role.mapping_rules.extend(more.mapping_rules);
            }
            None => policy.roles.push(Role { role_id, ..more }),
        }
    }
    Ok((policy, notices))
}

fn role(item: &Item) -> Result<Role, String> {
    Ok(Role {
        users: item.names("users")?,
        clients: item.names("clients")?,
        groups: item.names("groups")?,
        mapping_rules: item.names("mapping-rules")?,
        ..Role::default()
    })
}

fn grant(item: &Item) -> Result<Authorization, String> {
    let permissions = item.names("permissions")?;
    Ok(Authorization {
        owner_type: item.need("owner-type")?,
        owner_id: item.need("owner-id")?,
        resource_type: item.need("resource-type")?,
        resource_id: text(&item.value, "resource-id"),
        resource_property_name: text(&item.value, "resource-property-name"),
        permission_types: if permissions.is_empty() { item.names("permission-types")? } else { permissions },
        ..Authorization::default()
    })
}

/// An item of a list, with its place.
struct Item {
    at: String,
    value: Value,
}

impl Item {
    fn need(&self, name: &str) -> Result<String, String> {
        text(&self.value, name)
            .ok_or_else(|| format!("{}.{name}: is missing, or not known before the cluster runs", self.at))
    }

    /// A list of names, or one text with commas.
    fn names(&self, name: &str) -> Result<Vec<String>, String> {
        let names = texts(&self.value, name);
        match names.iter().find(|name| name.contains("${")) {
            Some(open) => Err(format!("{}.{name}: `{open}` is known only when the cluster runs", self.at)),
            None => Ok(names),
        }
    }
}

/// The items of a list; Spring also takes one written as `{0: ..., 1: ...}`.
fn items<T>(section: &Section<'_>, name: &str, read: impl Fn(&Item) -> Result<T, String>) -> Result<Vec<T>, String> {
    let Section { at, found } = *section;
    let item = |number: &dyn std::fmt::Display, value: &Value| {
        read(&Item { at: format!("{at}.{name}[{number}]"), value: canonical_tree(value) })
    };
    match find(found, name) {
        None => Ok(Vec::new()),
        Some(Value::Array(list)) => list.iter().zip(0_usize..).map(|(value, number)| item(&number, value)).collect(),
        Some(Value::Object(list)) => list.iter().map(|(number, value)| item(number, value)).collect(),
        Some(_) => Err(format!("{at}.{name}: must be a list")),
    }
}

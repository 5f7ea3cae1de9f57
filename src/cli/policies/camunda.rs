//! What a cluster's own configuration says of its policy: `camunda.security.initialization`, or the
//! Helm values that become it.

use crate::api::catalogue::{RESOURCES, ResourceType};
use crate::cli::relaxed::{Tree, canonical, constant, find, list, members, text, texts};
use crate::policy::{Authorization, Group, Policy, Role, Rule, Tenant};
use crate::table::OwnerType;
use serde_json::Value;

/// Where it stands, in Spring configuration and in Helm values, within what tells them.
const PLACES: [[&str; 2]; 2] = [
    ["camunda.security", "camunda.security.initialization"],
    ["orchestration.security", "orchestration.security.initialization"],
];
/// Default roles by their ids, which relaxed names do not keep.
const DEFAULT_ROLES: [&str; 6] = ["admin", "readonly-admin", "connectors", "app-integrations", "rpa", "task-worker"];
/// The members of a role beside its id; default roles have these alone.
const ROLE: [&str; 4] = ["users", "clients", "groups", "mapping-rules"];
/// What a section may have, by the cluster's own classes.
const SECTIONS: [(&str, &[&str]); 5] = [
    (
        "authorizations",
        &[
            "owner-type",
            "owner-id",
            "resource-type",
            "resource-id",
            "resource-property-name",
            "permissions",
            "permission-types",
        ],
    ),
    ("roles", &["role-id", "users", "clients", "groups", "mapping-rules", "name", "description"]),
    ("groups", &["group-id", "users", "clients", "mapping-rules", "roles", "name", "description"]),
    ("mapping-rules", &["mapping-rule-id", "claim-name", "claim-value", "name"]),
    ("tenants", &["tenant-id", "users", "clients", "groups", "roles", "mapping-rules", "name", "description"]),
];

/// The policy in a cluster's configuration, with what a person must look at; `None` where the
/// document is no such configuration.
pub fn initialization(document: &Value) -> Option<Result<(Policy, Vec<String>), String>> {
    let tree = Tree::new(document);
    let [_, at] = PLACES.into_iter().find(|[within, _]| find(&tree.value, within).is_some())?;
    Some(read(&tree, at))
}

fn read(tree: &Tree, at: &'static str) -> Result<(Policy, Vec<String>), String> {
    tree.check(at)?;
    let found = find(&tree.value, at).ok_or_else(|| format!("{at}: is missing"))?;
    if !found.is_object() {
        return Err(format!("{at}: must have members"));
    }
    policy(&Section { at, found })
}

/// Whether a configuration has such a section.
pub fn has_initialization(document: &Value) -> bool {
    let tree = Tree::new(document).value;
    PLACES.iter().any(|[_, at]| find(&tree, at).is_some())
}

/// The section, and where it stands.
struct Section<'a> {
    at: &'static str,
    found: &'a Value,
}

fn policy(section: &Section<'_>) -> Result<(Policy, Vec<String>), String> {
    let Section { at: place, .. } = *section;
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
    let mut notices = strangers(section)?;
    for (name, value) in default_roles(section)? {
        let known = DEFAULT_ROLES.into_iter().chain(policy.roles.iter().map(|role| &*role.role_id));
        let known = known.into_iter().find(|id| canonical(id) == *name).map(str::to_owned);
        let at = format!("{place}.default-roles.{}", known.as_ref().unwrap_or(name));
        notices.extend(unknown(&at, value, &ROLE));
        notices.push(match known {
            Some(_) => format!("{at}: what the role is granted is not in the cluster's configuration; export it"),
            None => format!("{at}: is no role that is known here; its id may have had a `-` or `_`, or capitals"),
        });
        let role_id = known.unwrap_or_else(|| name.clone());
        let more = role(&Item { at, value })?;
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

/// Whom the cluster makes members of which default roles.
fn default_roles<'a>(section: &Section<'a>) -> Result<Vec<(&'a String, &'a Value)>, String> {
    let Section { at, found } = *section;
    let roles: Vec<_> = members(found, "default-roles").collect();
    if roles.is_empty() && find(found, "default-roles").is_some_and(|roles| !roles.is_object()) {
        return Err(format!("{at}.default-roles: must have roles as its members"));
    }
    match roles.iter().find(|(_, role)| !role.is_object() && !role.is_null()) {
        Some((name, _)) => Err(format!("{at}.default-roles.{name}: must have lists as its members")),
        None => Ok(roles),
    }
}

/// What is in the section that is not read: a misspelt member would else be lost without a word.
fn strangers(section: &Section<'_>) -> Result<Vec<String>, String> {
    let Section { at, found } = *section;
    let known: Vec<&str> = SECTIONS.into_iter().map(|(name, _)| name).chain(["default-roles", "users"]).collect();
    let mut strangers = unknown(at, found, &known);
    for (name, known) in SECTIONS {
        for (item, number) in list(found, name).map_err(|e| format!("{at}.{e}"))?.into_iter().zip(0_usize..) {
            strangers.extend(unknown(&format!("{at}.{name}[{number}]"), item, known));
        }
    }
    Ok(strangers)
}

/// The members of an object that are none of these.
fn unknown(at: &str, value: &Value, known: &[&str]) -> Vec<String> {
    let names = value.as_object().into_iter().flat_map(|members| members.keys());
    let strange = names.filter(|name| !known.iter().any(|known| canonical(known) == **name));
    strange.map(|name| format!("{at}.{name}: is not known; it is left out")).collect()
}

fn role(item: &Item<'_>) -> Result<Role, String> {
    Ok(Role {
        users: item.names("users")?,
        clients: item.names("clients")?,
        groups: item.names("groups")?,
        mapping_rules: item.names("mapping-rules")?,
        ..Role::default()
    })
}

/// The cluster reads the names of constants as Spring does; an export of its API has them as they are.
fn grant(item: &Item<'_>) -> Result<Authorization, String> {
    let owner_type = constant(item.need("owner-type")?, OwnerType::ALL.into_iter().map(OwnerType::name));
    let resource_type = constant(item.need("resource-type")?, RESOURCES.iter().map(|resource| resource.name));
    let permission = |name| match ResourceType::named(&resource_type) {
        Some(kind) => constant(name, kind.permissions(u16::MAX).map(|(name, _)| name)),
        None => name,
    };
    let permission_types = item.permissions()?.into_iter().map(permission).collect();
    Ok(Authorization {
        owner_id: item.need("owner-id")?,
        resource_id: item.may("resource-id")?,
        resource_property_name: item.may("resource-property-name")?,
        owner_type,
        resource_type,
        permission_types,
        ..Authorization::default()
    })
}

/// An item of a list, with its place.
struct Item<'a> {
    at: String,
    value: &'a Value,
}

impl Item<'_> {
    fn need(&self, name: &str) -> Result<String, String> {
        text(self.value, name)
            .ok_or_else(|| format!("{}.{name}: is missing, or not known before the cluster runs", self.at))
    }

    fn may(&self, name: &str) -> Result<Option<String>, String> {
        find(self.value, name).map(|_| self.need(name)).transpose()
    }

    /// A list of names, or one text with commas.
    fn names(&self, name: &str) -> Result<Vec<String>, String> {
        let names = texts(self.value, name).map_err(|e| format!("{}.{e}", self.at))?;
        match names.iter().find(|name| name.contains("${")) {
            Some(open) => Err(format!("{}.{name}: `{open}` is known only when the cluster runs", self.at)),
            None => Ok(names),
        }
    }

    /// What a grant permits. The cluster says `permissions`, its API `permissionTypes`.
    fn permissions(&self) -> Result<Vec<String>, String> {
        match (self.names("permissions")?, self.names("permission-types")?) {
            (permissions, none) if none.is_empty() => Ok(permissions),
            (none, permissions) if none.is_empty() => Ok(permissions),
            _ => Err(format!("{}: has both permissions and permission-types", self.at)),
        }
    }
}

/// The items of a list.
fn items<T>(
    section: &Section<'_>,
    name: &str,
    read: impl Fn(&Item<'_>) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let Section { at, found } = *section;
    let items = list(found, name).map_err(|e| format!("{at}.{e}"))?;
    let item = |(value, number)| read(&Item { at: format!("{at}.{name}[{number}]"), value });
    items.into_iter().zip(0_usize..).map(item).collect()
}

//! The policy as it stands in its file: plain lists, searched from end to end.

use serde_json::Value;

/// A policy.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// What is granted to whom.
    pub grants: Vec<Grant>,
    /// Roles and who has them.
    pub roles: Vec<Members>,
    /// Groups and who is in them.
    pub groups: Vec<Members>,
    /// Tenants and who is assigned to them.
    pub tenants: Vec<Members>,
    /// Mapping rules.
    pub rules: Vec<Rule>,
}

/// One authorization record.
#[derive(Clone, Debug)]
pub struct Grant {
    /// `USER`, `CLIENT`, `GROUP`, `ROLE` or `MAPPING_RULE`.
    pub owner_type: String,
    /// The owner's id.
    pub owner: String,
    /// The resource type.
    pub resource_type: String,
    /// What of that type.
    pub scope: Scope,
    /// The permissions.
    pub permissions: Vec<String>,
}

/// What a grant covers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Every resource of the type.
    All,
    /// One.
    Id(String),
    /// Those that stand in a relation to the caller, which the cluster knows.
    Property,
}

/// A role, group or tenant.
#[derive(Clone, Debug)]
pub struct Members {
    /// Its id.
    pub id: String,
    /// Usernames in it.
    pub users: Vec<String>,
    /// Client ids in it.
    pub clients: Vec<String>,
    /// Groups in it.
    pub groups: Vec<String>,
    /// Roles in it (of a tenant); for a group, the roles that the group has.
    pub roles: Vec<String>,
    /// Mapping rules in it.
    pub rules: Vec<String>,
}

/// A mapping rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its id.
    pub id: String,
    /// Where the claim is.
    pub claim: String,
    /// What it must be, or hold.
    pub value: String,
}

impl Policy {
    /// Reads the JSON form.
    #[must_use]
    pub fn read(policy: &Value) -> Self {
        Self {
            grants: list(policy, "authorizations").iter().filter_map(grant).collect(),
            roles: list(policy, "roles").iter().map(|role| members(role, "roleId")).collect(),
            groups: list(policy, "groups").iter().map(|group| members(group, "groupId")).collect(),
            tenants: list(policy, "tenants").iter().map(|tenant| members(tenant, "tenantId")).collect(),
            rules: list(policy, "mappingRules").iter().map(rule).collect(),
        }
    }
}

/// A grant; `None` where it can grant nothing to anybody: the resource's id is empty, or neither an
/// id nor a property is named, or that name is empty. Properties count for user tasks alone, whatever their
/// name: a later version may have more. An empty owner is an owner:
/// the caller with that name.
fn grant(value: &Value) -> Option<Grant> {
    let permissions = ["permissionTypes", "permissions"].iter().flat_map(|name| texts(value, name)).collect();
    let resource_type = text(value, "resourceType");
    let scope = match (value["resourceId"].as_str(), value["resourcePropertyName"].as_str()) {
        (Some("*"), None) => Scope::All,
        (Some(id), None) if !id.is_empty() => Scope::Id(id.to_owned()),
        (None, Some(name)) if !name.is_empty() && resource_type == "USER_TASK" => Scope::Property,
        _ => return None,
    };
    let (owner_type, owner) = (text(value, "ownerType"), text(value, "ownerId"));
    Some(Grant { owner_type, owner, resource_type, scope, permissions })
}

fn members(value: &Value, id: &str) -> Members {
    Members {
        id: text(value, id),
        users: texts(value, "users"),
        clients: texts(value, "clients"),
        groups: texts(value, "groups"),
        roles: texts(value, "roles"),
        rules: texts(value, "mappingRules"),
    }
}

fn rule(value: &Value) -> Rule {
    Rule { id: text(value, "mappingRuleId"), claim: text(value, "claimName"), value: text(value, "claimValue") }
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value, name: &str) -> Vec<String> {
    list(value, name).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

//! The shape of a policy: what the cluster's API answers to searches for its authorizations,
//! roles, groups, mapping rules and tenants, with their members listed in place.

use crate::json::{Misshapen, Shape, members};
use serde::Serialize;
use serde_json::Value;

/// A whole policy. Sections may be absent.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Policy {
    /// What is granted to whom.
    pub authorizations: Vec<Authorization>,
    /// Roles with their members.
    pub roles: Vec<Role>,
    /// Groups with their members and roles.
    pub groups: Vec<Group>,
    /// Rules that make whoever carries a claim an owner.
    pub mapping_rules: Vec<Rule>,
    /// Tenants with their members.
    pub tenants: Vec<Tenant>,
}

members!(Policy {
    authorizations: optional "authorizations",
    roles: optional "roles",
    groups: optional "groups",
    mapping_rules: optional "mappingRules",
    tenants: optional "tenants",
});

/// One grant.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Authorization {
    /// `USER`, `CLIENT`, `GROUP`, `ROLE` or `MAPPING_RULE`.
    pub owner_type: String,
    /// The owner's id.
    pub owner_id: String,
    /// Such as `PROCESS_DEFINITION`.
    pub resource_type: String,
    /// `*` or one exact id; there are no patterns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<String>,
    /// Instead of an id: a property of the resource (`USER_TASK` only), such as `assignee`,
    /// `candidateUsers` or `candidateGroups`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_property_name: Option<String>,
    /// Such as `CREATE_PROCESS_INSTANCE`. The cluster's own configuration says `permissions`.
    #[serde(alias = "permissions")]
    pub permission_types: Vec<String>,
    /// In exports; without meaning here.
    #[serde(default, rename = "authorizationKey", skip_serializing)]
    #[cfg_attr(feature = "cli", schemars(with = "Option<serde_json::Value>"))]
    pub(crate) _key: Ignored,
}

members!(Authorization {
    owner_type: required "ownerType",
    owner_id: required "ownerId",
    resource_type: required "resourceType",
    resource_id: optional "resourceId",
    resource_property_name: optional "resourcePropertyName",
    permission_types: required "permissionTypes" or "permissions",
    _key: optional "authorizationKey",
});

/// A role and who is in it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Role {
    /// The role's id.
    pub role_id: String,
    /// Usernames.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// Client ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<String>,
    /// Group ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Ids of mapping rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mapping_rules: Vec<String>,
    #[serde(default, rename = "name", skip_serializing)]
    #[cfg_attr(feature = "cli", schemars(with = "Option<serde_json::Value>"))]
    pub(crate) _name: Ignored,
    #[serde(default, rename = "description", skip_serializing)]
    #[cfg_attr(feature = "cli", schemars(with = "Option<serde_json::Value>"))]
    pub(crate) _description: Ignored,
}

members!(Role {
    role_id: required "roleId",
    users: optional "users",
    clients: optional "clients",
    groups: optional "groups",
    mapping_rules: optional "mappingRules",
    _name: optional "name",
    _description: optional "description",
});

/// A group and who is in it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Group {
    /// The group's id.
    pub group_id: String,
    /// Usernames.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// Client ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<String>,
    /// Ids of mapping rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mapping_rules: Vec<String>,
    /// Roles that the group is a member of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    #[serde(default, rename = "name", skip_serializing)]
    #[cfg_attr(feature = "cli", schemars(with = "Option<serde_json::Value>"))]
    pub(crate) _name: Ignored,
    #[serde(default, rename = "description", skip_serializing)]
    #[cfg_attr(feature = "cli", schemars(with = "Option<serde_json::Value>"))]
    pub(crate) _description: Ignored,
}

members!(Group {
    group_id: required "groupId",
    users: optional "users",
    clients: optional "clients",
    mapping_rules: optional "mappingRules",
    roles: optional "roles",
    _name: optional "name",
    _description: optional "description",
});

/// A mapping rule.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Rule {
    /// The rule's id.
    pub mapping_rule_id: String,
    /// `JSONPath` of the claim.
    pub claim_name: String,
    /// The text that the claim must be, or hold.
    pub claim_value: String,
    #[serde(default, rename = "name", skip_serializing)]
    #[cfg_attr(feature = "cli", schemars(with = "Option<serde_json::Value>"))]
    pub(crate) _name: Ignored,
}

members!(Rule {
    mapping_rule_id: required "mappingRuleId",
    claim_name: required "claimName",
    claim_value: required "claimValue",
    _name: optional "name",
});

/// A tenant and who is assigned to it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Tenant {
    /// The tenant's id.
    pub tenant_id: String,
    /// Usernames.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// Client ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<String>,
    /// Group ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Role ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Ids of mapping rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mapping_rules: Vec<String>,
    #[serde(default, rename = "name", skip_serializing)]
    #[cfg_attr(feature = "cli", schemars(with = "Option<serde_json::Value>"))]
    pub(crate) _name: Ignored,
    #[serde(default, rename = "description", skip_serializing)]
    #[cfg_attr(feature = "cli", schemars(with = "Option<serde_json::Value>"))]
    pub(crate) _description: Ignored,
}

members!(Tenant {
    tenant_id: required "tenantId",
    users: optional "users",
    clients: optional "clients",
    groups: optional "groups",
    roles: optional "roles",
    mapping_rules: optional "mappingRules",
    _name: optional "name",
    _description: optional "description",
});

/// A value that exports have and decisions do not need.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Ignored;

impl Shape for Ignored {
    fn take(&mut self, _: Value) -> Result<(), Misshapen> {
        Ok(())
    }
}

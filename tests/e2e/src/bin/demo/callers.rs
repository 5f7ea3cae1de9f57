//! Who could call, going by a policy.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A policy, as far as the demo looks into it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Policy {
    pub(crate) authorizations: Vec<Authorization>,
    roles: Vec<Role>,
    groups: Vec<Group>,
    mapping_rules: Vec<MappingRule>,
    /// All of it, as it goes to the filter.
    #[serde(skip)]
    pub(crate) source: Value,
}

/// One grant.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Authorization {
    pub(crate) owner_type: String,
    pub(crate) owner_id: String,
    pub(crate) resource_type: String,
    pub(crate) resource_id: String,
    pub(crate) permission_types: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Role {
    role_id: String,
    groups: Vec<String>,
    #[serde(flatten)]
    members: Members,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Group {
    group_id: String,
    #[serde(flatten)]
    members: Members,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Members {
    users: Vec<String>,
    clients: Vec<String>,
    mapping_rules: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct MappingRule {
    mapping_rule_id: String,
    claim_name: String,
    claim_value: String,
}

/// Someone with a token.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Who it is, for people.
    pub(crate) who: String,
    /// What makes the token theirs.
    pub(crate) claims: Value,
}

impl Caller {
    pub(crate) fn user(name: &str) -> Self {
        Self { who: name.to_owned(), claims: json!({"preferred_username": name}) }
    }

    pub(crate) fn client(id: &str) -> Self {
        Self { who: id.to_owned(), claims: json!({"client_id": id}) }
    }

    /// The same caller, with a word on what they are.
    pub(crate) fn called(self, what: &str) -> Self {
        Self { who: format!("{} ({what})", self.who), ..self }
    }
}

impl Policy {
    /// Reads a policy file.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let name = || format!("policy {}", file.display());
        let text = std::fs::read_to_string(file).with_context(name)?;
        let source: Value = if text.trim_start().starts_with('{') {
            serde_json::from_str(&text).with_context(name)?
        } else {
            let first = |error: &str| error.lines().next().unwrap_or_default().to_owned();
            serde_saphyr::from_str(&text).map_err(|error| anyhow!(first(&error.to_string()))).with_context(name)?
        };
        let policy = Self::deserialize(&source).with_context(name)?;
        Ok(Self { source, ..policy })
    }

    /// Someone to whom that owner's grants apply; `None` where nobody is.
    pub(crate) fn caller(&self, owner_type: &str, owner_id: &str) -> Option<Caller> {
        match owner_type {
            "USER" => Some(Caller::user(owner_id)),
            "CLIENT" => Some(Caller::client(owner_id)),
            "GROUP" => {
                let group = self.groups.iter().find(|group| group.group_id == owner_id)?;
                Some(self.member(&group.members)?.called(&format!("group {owner_id}")))
            }
            "ROLE" => {
                let role = self.roles.iter().find(|role| role.role_id == owner_id)?;
                let of_group = || role.groups.iter().find_map(|group| self.caller("GROUP", group));
                Some(self.member(&role.members).or_else(of_group)?.called(&format!("role {owner_id}")))
            }
            "MAPPING_RULE" => {
                let known = |rule: &&MappingRule| rule.mapping_rule_id == owner_id;
                let rule = self.mapping_rules.iter().find(known)?;
                let mut claims = nested(&rule.claim_name, &rule.claim_value);
                claims["preferred_username"] = "mia".into();
                let who = format!("mia (rule {owner_id})");
                Some(Caller { who, claims })
            }
            _ => None,
        }
    }

    fn member(&self, members: &Members) -> Option<Caller> {
        let rule = || members.mapping_rules.iter().find_map(|id| self.caller("MAPPING_RULE", id));
        let client = || members.clients.first().map(|id| Caller::client(id));
        members.users.first().map(|name| Caller::user(name)).or_else(client).or_else(rule)
    }
}

/// Claims in which that name or simple path (`$.a.b`) leads to that value.
fn nested(claim: &str, value: &str) -> Value {
    let Some(path) = claim.strip_prefix("$.") else {
        return json!({claim: value});
    };
    path.rsplit('.').fold(Value::from(value), |inner, name| Value::Object(Map::from_iter([(name.to_owned(), inner)])))
}

//! Users, groups, roles, tenants, mapping rules and authorizations.

use super::{Command, Engine, NOBODY};
use crate::case::Call;
use anyhow::{Result, bail};
use serde_json::{Value, json};

/// What has members.
#[derive(Clone, Copy, Debug)]
pub struct Container {
    /// The type of its records.
    pub kind: &'static str,
    /// What its id is called.
    pub id: &'static str,
}

const GROUP: Container = Container { kind: "GROUP", id: "groupId" };
const ROLE: Container = Container { kind: "ROLE", id: "roleId" };
const TENANT: Container = Container { kind: "TENANT", id: "tenantId" };

/// Kinds of members: in operations' names, in records, and in policies.
pub const MEMBERS: [(&str, &str, &str); 5] = [
    ("User", "USER", "users"),
    ("Client", "CLIENT", "clients"),
    ("Group", "GROUP", "groups"),
    ("Role", "ROLE", "roles"),
    ("MappingRule", "MAPPING_RULE", "mappingRules"),
];

pub fn command(engine: &mut Engine<'_>, call: &Call) -> Result<Option<Command>> {
    if let Some((container, joins, kind)) = membership(&call.operation) {
        return member(engine, call, container, joins, kind).map(Some);
    }
    let Some((intent, what)) = [("create", "CREATE"), ("update", "UPDATE"), ("delete", "DELETE")]
        .into_iter()
        .find_map(|(verb, intent)| Some((intent, call.operation.strip_prefix(verb)?)))
    else {
        return Ok(None);
    };
    let id = &call.id;
    let create = match what {
        "User" => {
            let value = json!({ "username": id, "name": id, "email": "a@example.com", "password": "p" });
            Command::new("USER", "CREATE", value)
        }
        "Group" => Command::new("GROUP", "CREATE", json!({ "groupId": id, "name": id })),
        "Role" => Command::new("ROLE", "CREATE", json!({ "roleId": id, "name": id })),
        "Tenant" => Command::new("TENANT", "CREATE", json!({ "tenantId": id, "name": id })),
        "MappingRule" => {
            let (claim, value) = (call.claim_name.clone(), call.claim_value.clone());
            let claim = claim.unwrap_or_else(|| format!("claim-of-{id}"));
            let value = json!({
                "mappingRuleId": id, "name": id, "claimName": claim, "claimValue": value.unwrap_or_else(|| "v".to_owned()),
            });
            Command::new("MAPPING_RULE", "CREATE", value)
        }
        "Authorization" => return authorization(engine, call, intent).map(Some),
        _ => return Ok(None),
    };
    if intent != "CREATE" && !call.missing {
        engine.ensure(&Command { value: nobodys(create.value.clone()), ..create.clone() })?;
    }
    Ok(Some(Command { intent, ..create }))
}

/// A rule as it is before it is changed: one that no token meets.
fn nobodys(mut value: Value) -> Value {
    if let Some(id) = value["mappingRuleId"].as_str().map(str::to_owned) {
        value["claimName"] = json!(format!("claim-of-{id}"));
        value["claimValue"] = json!("v");
    }
    value
}

/// What an operation such as `unassignUserFromGroup` is about: what has the member, whether it
/// joins, and the member's kind.
#[must_use]
pub fn membership(operation: &str) -> Option<(Container, bool, &'static str)> {
    let kind = |name: &str| MEMBERS.iter().find(|(known, ..)| *known == name).map(|(_, kind, _)| *kind);
    let (joins, rest) = match operation.strip_prefix("unassign") {
        Some(rest) => (false, rest),
        None => (true, operation.strip_prefix("assign")?),
    };
    let (left, right) = rest.split_once(if joins { "To" } else { "From" })?;
    match (left, right) {
        ("Role", "Tenant") => Some((TENANT, joins, "ROLE")),
        ("Role", member) => Some((ROLE, joins, kind(member)?)),
        (member, "Group") => Some((GROUP, joins, kind(member)?)),
        (member, "Tenant") => Some((TENANT, joins, kind(member)?)),
        _ => None,
    }
}

impl Container {
    /// Makes it.
    #[must_use]
    pub fn creation(self, id: &str) -> Command {
        let mut value = json!({ "name": id });
        value[self.id] = json!(id);
        Command::new(self.kind, "CREATE", value)
    }

    /// Adds somebody.
    #[must_use]
    pub fn addition(self, id: &str, kind: &str, member: &str) -> Command {
        let mut value = json!({ "entityId": member, "entityType": kind });
        value[self.id] = json!(id);
        Command::new(self.kind, "ADD_ENTITY", value)
    }

    /// The one whose list in a policy has that name.
    #[must_use]
    pub fn named(list: &str) -> Option<Self> {
        match list {
            "groups" => Some(GROUP),
            "roles" => Some(ROLE),
            "tenants" => Some(TENANT),
            _ => None,
        }
    }
}

fn member(engine: &mut Engine<'_>, call: &Call, container: Container, joins: bool, kind: &str) -> Result<Command> {
    let add = container.addition(&call.id, kind, &call.member);
    if !call.missing {
        engine.ensure(&container.creation(&call.id))?;
        if let Some(members) = match kind {
            "GROUP" => Some(GROUP),
            "ROLE" => Some(ROLE),
            _ => None,
        } {
            engine.ensure(&members.creation(&call.member))?;
        }
        if !joins {
            engine.ensure(&add)?;
        }
    }
    Ok(if joins { add } else { Command { intent: "REMOVE_ENTITY", ..add } })
}

/// A grant as the engine's record.
pub fn grant(grant: &Value) -> Value {
    let matcher = if grant["resourceId"] == "*" { "ANY" } else { "ID" };
    let mut value = grant.clone();
    value["resourceMatcher"] = json!(matcher);
    value
}

fn authorization(engine: &mut Engine<'_>, call: &Call, intent: &'static str) -> Result<Command> {
    let Some(given) = &call.grant else { bail!("{}: no grant", call.operation) };
    let mut value = grant(given);
    if intent == "CREATE" {
        return Ok(Command::new("AUTHORIZATION", "CREATE", value));
    }
    let mut key = NOBODY;
    if !call.missing {
        // One that gives nobody in these worlds anything.
        let mut other = value.clone();
        other["ownerType"] = json!("CLIENT");
        other["ownerId"] = json!(engine.name("nobody"));
        key = engine.make(&Command::new("AUTHORIZATION", "CREATE", other))?.0;
    }
    value["authorizationKey"] = json!(key);
    Ok(Command::about("AUTHORIZATION", intent, key, value))
}

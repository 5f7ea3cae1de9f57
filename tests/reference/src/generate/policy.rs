//! Random policies.

use super::{GRANTED_KEYS, IDS, NAMES, RULES, TENANTS};
use crate::catalogue::{Operation, RESOURCES};
use crate::dice::Dice;
use serde_json::{Value, json};

/// Paths of claims for mapping rules.
const CLAIMS: &[&str] = &["dept", "a.b", "$.a.b", "$['x.y']", "teams", "a.teams", "teams[1]", "x.y", "cognito:groups"];
/// Values of claims for mapping rules.
pub const VALUES: &[&str] = &["ops", "hr", "true", "1"];

pub fn policy(dice: &mut Dice, focus: &[&'static Operation]) -> Value {
    let count = if dice.chance(10) { dice.below(10) } else { 20 + dice.below(100) };
    let grants: Vec<Value> = (0..count).map(|_| grant(dice, focus)).collect();
    let rules: Vec<Value> = dice
        .some(RULES, 60)
        .into_iter()
        .map(|id| json!({ "mappingRuleId": id, "claimName": dice.pick(CLAIMS), "claimValue": dice.pick(VALUES) }))
        .collect();
    let named = |dice: &mut Dice, ids: &[&str], percent, name: &str, kinds: &[&str]| -> Vec<Value> {
        dice.some(ids, percent).into_iter().map(|id| collective(dice, name, id, kinds)).collect()
    };
    json!({
        "authorizations": grants,
        "roles": named(dice, NAMES, 35, "roleId", &["users", "clients", "groups", "mappingRules"]),
        "groups": named(dice, NAMES, 40, "groupId", &["users", "clients", "roles", "mappingRules"]),
        "tenants": named(dice, TENANTS, 70, "tenantId", &["users", "clients", "groups", "roles", "mappingRules"]),
        "mappingRules": rules,
    })
}

/// A role, group or tenant. Its members need not exist.
fn collective(dice: &mut Dice, name: &str, id: &str, kinds: &[&str]) -> Value {
    let mut value = json!({ name: id });
    for kind in kinds {
        if dice.chance(60) {
            let members = if *kind == "mappingRules" { dice.some(RULES, 20) } else { dice.some(NAMES, 12) };
            value[*kind] = json!(members);
        }
    }
    value
}

/// A grant, mostly one that some operation of the focus asks for.
fn grant(dice: &mut Dice, focus: &[&'static Operation]) -> Value {
    let operation = dice.pick(focus);
    let (resource_type, permission) = if operation.alternatives.is_empty() || dice.chance(10) {
        let (name, permissions) = &RESOURCES[dice.below(RESOURCES.len())];
        (name.as_str(), permissions[dice.below(permissions.len())].as_str())
    } else {
        let alternative = &operation.alternatives[dice.below(operation.alternatives.len())];
        (alternative.resource_type.as_str(), alternative.permission.as_str())
    };
    let mut permissions = vec![permission];
    match dice.below(20) {
        0 => permissions = vec!["DELETE", "READ", "UPDATE"],
        1 => permissions.push("FLY"),
        2 => permissions.push(permission),
        3 => permissions = vec![],
        4 => permissions = RESOURCES.iter().filter(|(name, _)| name == resource_type).flat_map(names).collect(),
        _ => (),
    }
    let resource_type = if dice.chance(2) { "SPACESHIP" } else { resource_type };
    let owner_type = dice.pick(&["USER", "CLIENT", "GROUP", "ROLE", "MAPPING_RULE", "USER", "GROUP"]);
    let owner_type = if dice.chance(1) { dice.pick(&["UNSPECIFIED", "user"]) } else { owner_type };
    let owner = match owner_type {
        "MAPPING_RULE" => dice.pick(RULES),
        _ if dice.chance(50) => dice.pick(&NAMES[..5]),
        _ => dice.pick(NAMES),
    };
    let mut value = json!({
        "ownerType": owner_type,
        "ownerId": owner,
        "resourceType": resource_type,
        "permissionTypes": permissions,
    });
    let property = if resource_type == "USER_TASK" { 35 } else { 3 };
    if dice.chance(property) {
        value["resourcePropertyName"] =
            json!(dice.pick(&["assignee", "candidateUsers", "candidateGroups", "shoeSize", ""]));
    } else {
        let id = match dice.below(20) {
            0..=4 => "*",
            5 => "",
            6..=8 => dice.pick(GRANTED_KEYS),
            _ => dice.pick(IDS),
        };
        value["resourceId"] = json!(id);
    }
    value
}

fn names(row: &'static (String, Vec<String>)) -> impl Iterator<Item = &'static str> {
    row.1.iter().map(String::as_str)
}

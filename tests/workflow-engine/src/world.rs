//! A policy in the workflow engine.

use crate::case::{Principal, World};
use crate::commands::{Command, Container, Engine, MEMBERS, grant};
use crate::harness::Harness;
use anyhow::{Context, Result};
use serde_json::{Value, json};

/// The default roles that the engine makes, by their last grant and member.
const LAST_GRANT: (&str, &str) = ("connectors", "DOCUMENT");
const LAST_MEMBER: &str = "connectors";

/// Opens a new engine that has that policy.
///
/// # Errors
/// The engine refuses a part of it.
pub fn open<'a>(harness: &'a mut Harness, world: &World) -> Result<Engine<'a>> {
    harness.open(world.multi_tenancy, world.groups_claim, world.defaults)?;
    if world.defaults {
        let (owner, resource) = LAST_GRANT;
        harness.wait_for("AUTHORIZATION", "CREATED", &json!({ "ownerId": owner, "resourceType": resource }))?;
        harness.wait_for("TENANT", "ENTITY_ADDED", &json!({ "entityId": LAST_MEMBER }))?;
    }
    let mut engine = Engine { harness, names: 0 };
    let list = |name: &str| world.policy.get(name).and_then(Value::as_array).into_iter().flatten();
    for rule in list("mappingRules") {
        let mut value = rule.clone();
        value["name"] = rule["mappingRuleId"].clone();
        engine.make(&Command::new("MAPPING_RULE", "CREATE", value))?;
    }
    let containers =
        || ["groups", "roles", "tenants"].into_iter().filter_map(|name| Some((name, Container::named(name)?)));
    for (name, container) in containers().filter(|_| !world.defaults) {
        for item in list(name) {
            engine.make(&container.creation(text(item, container.id)?))?;
        }
    }
    for (name, container) in containers() {
        for item in list(name) {
            let id = text(item, container.id)?;
            for (_, kind, members) in MEMBERS {
                for member in item[members].as_array().into_iter().flatten().filter_map(Value::as_str) {
                    engine.make(&container.addition(id, kind, member))?;
                }
            }
        }
    }
    for authorization in list("authorizations") {
        engine.make(&Command::new("AUTHORIZATION", "CREATE", grant(authorization)))?;
    }
    Ok(engine)
}

fn text<'a>(item: &'a Value, name: &str) -> Result<&'a str> {
    item[name].as_str().with_context(|| format!("no {name} in {item}"))
}

/// A caller as the harness takes one.
#[must_use]
pub fn caller(principal: &Principal) -> Value {
    serde_json::to_value(principal).unwrap_or_default()
}

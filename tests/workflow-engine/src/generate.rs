//! Random worlds: a policy, and callers with calls on which its grants bear. The universe is small,
//! so that names meet.
//!
//! What calls change (users, roles, grants of their own) bears names that no policy has, so that
//! one call never bears on the next.

use crate::case::{Call, Kind, Principal, World};
use crate::commands::MEMBERS;
use crate::grpc;
use portcullis_reference::catalogue::{self, OPERATIONS};
use portcullis_reference::dice::Dice;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Processes and decisions.
const IDS: &[&str] = &["proc", "order", "Proc", "p1"];
/// What calls create, change and delete.
const ENTITIES: &[&str] = &["e1", "e2", "E1"];
const GROUPS: &[&str] = &["g1", "g2", "/g1", "G1"];
const ROLES: &[&str] = &["r1", "r2"];
const RULES: &[&str] = &["m1", "m2", "m3"];
const TENANTS: &[&str] = &["t1", "t2", "T1"];
/// The same name as a user and as a client are two.
const USERS: &[&str] = &["alice", "bob"];
const CLIENTS: &[&str] = &["app", "alice"];
/// The version that is asked.
const VERSION: (u32, u32) = (8, 8);

/// Calls on one policy.
#[derive(Clone, Debug)]
pub struct Made {
    /// The policy and the settings.
    pub world: World,
    /// Who calls what.
    pub calls: Vec<(Principal, Call)>,
}

/// So many calls in a random world.
#[must_use]
pub fn world(seed: u64, calls: usize) -> Made {
    made(seed, calls, call)
}

/// The same with calls that the gRPC API has, too, also such as are newer than the version that is
/// asked.
#[must_use]
pub fn world_over_grpc(seed: u64, calls: usize) -> Made {
    made(seed, calls, |dice, number, multi_tenancy| {
        loop {
            let made = if dice.chance(15) { newer(dice) } else { call(dice, number, multi_tenancy) };
            if !grpc::requests(&made).is_empty() {
                return made;
            }
        }
    })
}

fn made(seed: u64, calls: usize, call: impl Fn(&mut Dice, usize, bool) -> Call) -> Made {
    let mut dice = Dice::new(seed);
    let mut world = World { multi_tenancy: dice.chance(30), groups_claim: dice.chance(25), ..World::default() };
    let calls: Vec<Call> = (0..calls).map(|number| call(&mut dice, number, world.multi_tenancy)).collect();
    world.policy = policy(&mut dice, &calls);
    let calls = calls.into_iter().map(|call| (principal(&mut dice, world.groups_claim), call)).collect();
    Made { world, calls }
}

fn principal(dice: &mut Dice, groups_claim: bool) -> Principal {
    let mut principal = Principal::default();
    if dice.chance(65) {
        principal.username = Some(dice.pick(USERS).to_owned());
    } else {
        principal.client_id = Some(dice.pick(CLIENTS).to_owned());
    }
    if groups_claim && dice.chance(80) {
        principal.groups = Some(dice.some(&owned(GROUPS), 40));
    }
    let department = [json!("ops"), json!("Ops"), json!(["dev", "ops"]), json!([["ops"]]), json!("ops dev"), json!(1)];
    let roles = [json!(["admin"]), json!("admin"), json!([]), json!({ "admin": true })];
    if dice.chance(50) {
        principal.claims.insert("dept".to_owned(), department[dice.below(department.len())].clone());
    }
    if dice.chance(40) {
        principal.claims.insert("realm".to_owned(), json!({ "roles": roles[dice.below(roles.len())] }));
    }
    if dice.chance(30) {
        principal.claims.insert("dotted.name".to_owned(), json!("yes"));
    }
    principal
}

/// A policy whose grants are mostly such as the calls need, by many ways.
fn policy(dice: &mut Dice, calls: &[Call]) -> Map<String, Value> {
    let rules = [("m1", "dept", "ops"), ("m2", "realm.roles", "admin"), ("m3", "$['dotted.name']", "yes")];
    let rules: Vec<Value> = rules
        .iter()
        .map(|(id, claim, value)| json!({ "mappingRuleId": id, "claimName": claim, "claimValue": value }))
        .collect();
    let mut policy = Map::new();
    policy.insert("mappingRules".to_owned(), json!(rules));
    let mut containers = |name: &str, id: &str, ids: &[&str], kinds: &[&str]| {
        let items: Vec<Value> = ids.iter().map(|item| container(dice, id, item, kinds)).collect();
        policy.insert(name.to_owned(), json!(items));
    };
    containers("groups", "groupId", GROUPS, &["users", "clients", "mappingRules"]);
    containers("roles", "roleId", ROLES, &["users", "clients", "groups", "mappingRules"]);
    containers(
        "tenants",
        "tenantId",
        &[TENANTS, &["<default>"]].concat(),
        &["users", "clients", "groups", "roles", "mappingRules"],
    );
    policy.insert("authorizations".to_owned(), grants(dice, calls));
    policy
}

fn container(dice: &mut Dice, id: &str, item: &str, kinds: &[&str]) -> Value {
    let mut value = json!({});
    value[id] = json!(item);
    for kind in kinds {
        let names = match *kind {
            "users" => USERS,
            "clients" => CLIENTS,
            "groups" => GROUPS,
            "roles" => ROLES,
            _ => RULES,
        };
        let members = dice.some(names, 25);
        if !members.is_empty() {
            value[kind] = json!(members);
        }
    }
    value
}

/// An owner, a resource type and an id: what the cluster keeps one grant for.
type Place = (&'static str, String, String, String);

fn grants(dice: &mut Dice, calls: &[Call]) -> Value {
    let needed: Vec<Need> = calls.iter().flat_map(needs).collect();
    let mut grants: BTreeMap<Place, BTreeSet<String>> = BTreeMap::new();
    for _ in 0..=dice.below(2 * calls.len() + 2) {
        let (kind, owner) = owner(dice);
        let Need { resource, permissions, id } =
            if dice.chance(85) && !needed.is_empty() { needed[dice.below(needed.len())].clone() } else { noise(dice) };
        let id = match dice.below(20) {
            0..9 => "*".to_owned(),
            9..16 => id,
            16..18 => dice.pick(IDS).to_owned(),
            18 => dice.pick(&["pro*", "proc ", "PROC", "**", "%2A"]).to_owned(),
            _ => dice.pick(ENTITIES).to_owned(),
        };
        grants.entry((kind, owner, resource, id)).or_default().extend(permissions);
    }
    let grants = grants.into_iter().map(|((kind, owner, resource, id), permissions)| {
        json!({
            "ownerType": kind, "ownerId": owner, "resourceType": resource, "resourceId": id,
            "permissionTypes": permissions,
        })
    });
    grants.collect()
}

fn owner(dice: &mut Dice) -> (&'static str, String) {
    let (kind, name) = match dice.below(20) {
        0..6 => ("USER", dice.pick(USERS)),
        6..9 => ("CLIENT", dice.pick(CLIENTS)),
        9..13 => ("ROLE", dice.pick(ROLES)),
        13..17 => ("GROUP", dice.pick(GROUPS)),
        _ => ("MAPPING_RULE", dice.pick(RULES)),
    };
    (kind, name.to_owned())
}

/// Permissions on a resource.
#[derive(Clone, Debug)]
struct Need {
    resource: String,
    permissions: Vec<String>,
    id: String,
}

/// What may make a call succeed.
fn needs(call: &Call) -> Vec<Need> {
    let operation = OPERATIONS.iter().find(|operation| operation.id == call.operation);
    let ids = [&call.ids, &call.message_start, &call.message_catch, &call.signal_start, &call.signal_catch];
    let mut ids: Vec<&String> = ids.into_iter().flatten().collect();
    if ids.is_empty() {
        ids.push(if call.id.is_empty() { &call.name } else { &call.id });
    }
    let alternatives = operation.into_iter().flat_map(|operation| &operation.alternatives);
    let known = alternatives.filter(|alternative| alternative.since <= VERSION);
    let need = |(resource, permission): (&String, &String)| {
        let (resource, permissions) = (resource.clone(), vec![permission.clone()]);
        ids.iter()
            .map(move |id| Need { resource: resource.clone(), permissions: permissions.clone(), id: (*id).clone() })
            .collect::<Vec<_>>()
    };
    known.flat_map(|alternative| need((&alternative.resource_type, &alternative.permission))).collect()
}

/// Anything.
fn noise(dice: &mut Dice) -> Need {
    let (resource, permissions) = &SUPPORTED[dice.below(SUPPORTED.len())];
    let some = dice.some(permissions, 50);
    let permissions = if some.is_empty() { vec![permissions[0].clone()] } else { some };
    Need { resource: resource.clone(), permissions, id: dice.pick(IDS).to_owned() }
}

/// Resource types with what version 8.8 knows of them.
static SUPPORTED: std::sync::LazyLock<Vec<(String, Vec<String>)>> = std::sync::LazyLock::new(|| {
    let text = include_str!("../../../src/api/catalogue/resources.json");
    let types: BTreeMap<String, BTreeMap<String, String>> = serde_json::from_str(text).unwrap_or_default();
    let known = |since: &str| catalogue::version(since).is_some_and(|since| since <= VERSION);
    let types = types.into_iter().map(|(name, permissions)| {
        (name, permissions.into_iter().filter(|(_, since)| known(since)).map(|(name, _)| name).collect::<Vec<_>>())
    });
    types.filter(|(_, permissions)| !permissions.is_empty()).collect()
});

/// A call; its number makes names that no other one has.
fn call(dice: &mut Dice, number: usize, multi_tenancy: bool) -> Call {
    let mut call = match dice.below(100) {
        0..14 => named("createProcessInstance", dice, |call, dice| call.by_key = dice.chance(25)),
        14..32 => {
            let operations = [
                "cancelProcessInstance",
                "modifyProcessInstance",
                "migrateProcessInstance",
                "resolveIncident",
                "createElementInstanceVariables",
                "activateAdHocSubProcessActivities",
            ];
            named(dice.pick(&operations), dice, |_, _| ())
        }
        32..37 => named("activateJobs", dice, |call, dice| {
            call.ids = dice.some(&owned(IDS), 40);
            call.other_type = dice.chance(5);
        }),
        37..47 => {
            let operation = dice.pick(&["completeJob", "failJob", "throwJobError", "updateJob"]);
            named(operation, dice, |call, dice| {
                let attribute = (call.operation == "updateJob").then(|| dice.pick(&["retries", "timeout", ""]));
                call.attribute = attribute.filter(|name| !name.is_empty()).map(str::to_owned);
            })
        }
        47..60 => listened(dice, number),
        60..68 => {
            let operation = dice.pick(&["createDeployment", "deleteResource"]);
            let kind = dice.pick(&[Kind::Bpmn, Kind::Dmn, Kind::Form, Kind::Resource]);
            named(operation, dice, |call, _| call.kind = Some(kind))
        }
        68..70 => named("getResource", dice, |_, _| ()),
        70..75 => named("evaluateDecision", dice, |call, dice| call.by_key = dice.chance(25)),
        75..82 => task(dice),
        82..87 => {
            let operations = [
                "cancelProcessInstancesBatchOperation",
                "resolveIncidentsBatchOperation",
                "migrateProcessInstancesBatchOperation",
                "modifyProcessInstancesBatchOperation",
                "cancelBatchOperation",
                "suspendBatchOperation",
                "resumeBatchOperation",
                "pinClock",
                "resetClock",
            ];
            Call { operation: dice.pick(&operations).to_owned(), ..Call::default() }
        }
        _ => identity(dice),
    };
    let makes =
        ["createDeployment", "activateJobs", "activateAdHocSubProcessActivities"].contains(&call.operation.as_str());
    let is_new = call.operation.starts_with("create")
        && !call.operation.ends_with("Variables")
        && call.operation != "createProcessInstance";
    call.missing = dice.chance(5) && !makes && !is_new && call.name.is_empty();
    let has_tenant = !call.id.is_empty() && !ENTITIES.contains(&call.id.as_str()) || !call.name.is_empty();
    if multi_tenancy && has_tenant {
        let tenant = [None, Some("<default>"), Some("t1"), Some("t2"), Some("T1")];
        call.tenant = tenant[dice.below(tenant.len())].map(str::to_owned);
    }
    if call.operation == "activateJobs" {
        if multi_tenancy {
            let mut tenants = dice.some(&owned(TENANTS), 25);
            tenants.push(call.tenant.clone().unwrap_or_else(|| "<default>".to_owned()));
            tenants.dedup();
            call.tenants = Some(tenants);
        } else if dice.chance(30) {
            call.tenants = Some(vec!["<default>".to_owned()]);
        }
    }
    call
}

/// A call that the engine of this version does not have, or that is no command.
fn newer(dice: &mut Dice) -> Call {
    let operations = ["getTopology", "updateJob", "assignProcessInstanceBusinessId", "evaluateConditionals"];
    named(dice.pick(&operations), dice, |call, dice| {
        call.attribute = (call.operation == "updateJob").then(|| "priority".to_owned());
        let has_tenant = call.operation == "evaluateConditionals" && dice.chance(70);
        call.tenant = has_tenant.then(|| dice.pick(&["<default>", "t1", "t2"]).to_owned());
    })
}

fn named(operation: &str, dice: &mut Dice, more: impl FnOnce(&mut Call, &mut Dice)) -> Call {
    let mut call = Call { operation: operation.to_owned(), id: dice.pick(IDS).to_owned(), ..Call::default() };
    more(&mut call, dice);
    call
}

/// A message or signal, and what waits for it.
fn listened(dice: &mut Dice, number: usize) -> Call {
    let operation = dice.pick(&["publishMessage", "correlateMessage", "broadcastSignal"]);
    let mut call = Call { operation: operation.to_owned(), name: format!("name-{number}"), ..Call::default() };
    let (mut starts, mut catches) = (Vec::new(), Vec::new());
    for id in owned(IDS) {
        match dice.below(6) {
            0 | 1 => starts.push(id),
            2 => catches.push(id),
            _ => (),
        }
    }
    if operation == "broadcastSignal" {
        (call.signal_start, call.signal_catch) = (starts, catches);
    } else {
        (call.message_start, call.message_catch) = (starts, catches);
    }
    call
}

fn task(dice: &mut Dice) -> Call {
    let operation = dice.pick(&["assignUserTask", "unassignUserTask", "updateUserTask", "completeUserTask"]);
    named(operation, dice, |call, dice| {
        if operation == "assignUserTask" {
            call.assignee = Some(dice.pick(&["alice", "carol"]).to_owned());
            call.claims = dice.chance(50);
        }
        call.task_assignee = dice.chance(40).then(|| dice.pick(USERS).to_owned());
        call.task_candidate_group = dice.chance(30).then(|| dice.pick(GROUPS).to_owned());
    })
}

fn identity(dice: &mut Dice) -> Call {
    let id = dice.pick(ENTITIES).to_owned();
    let what = dice.pick(&["User", "Group", "Role", "Tenant", "MappingRule", "Authorization", "member", "member"]);
    let mut call = Call { id, ..Call::default() };
    if what == "member" {
        let (container, kinds): (_, &[usize]) = match dice.below(3) {
            0 => ("Group", &[0, 1, 4]),
            1 => ("Role", &[0, 1, 2, 4]),
            _ => ("Tenant", &[0, 1, 2, 3, 4]),
        };
        let (member, kind, _) = MEMBERS[dice.pick(kinds)];
        let joins = dice.chance(60);
        let (left, right) = if container == "Role" { ("Role", member) } else { (member, container) };
        let verb = if joins { ("assign", "To") } else { ("unassign", "From") };
        call.operation = format!("{}{left}{}{right}", verb.0, verb.1);
        // A rule must be there; who has it becomes a member of what grants nothing.
        call.member = if kind == "MAPPING_RULE" { "m1" } else { "mallory" }.to_owned();
        return call;
    }
    call.operation = format!("{}{what}", dice.pick(&["create", "update", "delete"]));
    if what == "Authorization" {
        call.grant = Some(json!({
            "ownerType": "USER", "ownerId": "mallory", "resourceType": "PROCESS_DEFINITION",
            "resourceId": call.id, "permissionTypes": ["CREATE_PROCESS_INSTANCE"],
        }));
    }
    call
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

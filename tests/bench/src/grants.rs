//! Who may do what: so many grants, the same for Portcullis and for Envoy's own filters, and the
//! calls that go with them.

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis::json;
use portcullis::policy as source;
use portcullis_e2e::client::Request;
use serde_json::{Value, json};

use crate::random::Random;

/// Who holds all grants.
pub const USER: &str = "ada";
/// As many grants as most cases have.
pub const FEW: usize = 10;
/// How many others hold them too, by a role.
pub const MEMBERS: usize = 5_000;

/// The name of one of the others.
pub fn member(number: usize) -> String {
    format!("member-{number}")
}

/// The paths that may be read, in the order of the grants.
pub fn paths(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(path)
}

fn path(group: usize) -> String {
    format!("/v2/groups/group-{group}")
}

/// The grants as a policy of Portcullis: each on one group.
pub fn policy(count: usize) -> Value {
    let owner = json!({"ownerType": "USER", "ownerId": USER});
    json!({"authorizations": (0..count).map(|n| grant(&owner, "GROUP", "READ", &format!("group-{n}"))).collect::<Vec<_>>()})
}

/// What many users may do with many processes, without a pattern that a table could be small by, and
/// one grant of [`USER`] on a group of that number.
pub fn organisation(count: usize, group: usize) -> Value {
    let (users, processes) = (count / 20, count / 50);
    let mut random = Random::new();
    let mut name = |letter: char| format!("{letter}{:07x}", random.below(1 << 28));
    let users: Vec<String> = (0..users).map(|_| name('u') + "@example.com").collect();
    let processes: Vec<String> = (0..processes).map(|_| name('p')).collect();
    let permissions = ["READ_PROCESS_DEFINITION", "READ_PROCESS_INSTANCE", "CREATE_PROCESS_INSTANCE"];
    let others = (1..count).map(|_| {
        let owner = json!({"ownerType": "USER", "ownerId": users[random.below(users.len())]});
        let permission = permissions[random.below(permissions.len())];
        grant(&owner, "PROCESS_DEFINITION", permission, &processes[random.below(processes.len())])
    });
    let one = grant(&json!({"ownerType": "USER", "ownerId": USER}), "GROUP", "READ", &format!("group-{group}"));
    json!({"authorizations": others.chain([one]).collect::<Vec<_>>()})
}

/// A policy as a compiled table, the form for so many.
pub fn table(policy: &Value) -> Result<String> {
    let (table, _) = source::compile(&json::shape(policy.clone())?, 0)?;
    Ok(STANDARD.encode(table))
}

/// The same by a role that many have.
pub fn members_policy() -> Value {
    let owner = json!({"ownerType": "ROLE", "ownerId": "operators"});
    json!({
        "authorizations": (0..FEW).map(|n| grant(&owner, "GROUP", "READ", &format!("group-{n}"))).collect::<Vec<_>>(),
        "roles": [{"roleId": "operators", "users": (0..MEMBERS).map(member).collect::<Vec<_>>()}],
    })
}

/// Grants on processes, which the body of a call names.
pub fn processes_policy() -> Value {
    let owner = json!({"ownerType": "USER", "ownerId": USER});
    let process = |n| grant(&owner, "PROCESS_DEFINITION", "CREATE_PROCESS_INSTANCE", &format!("process-{n}"));
    json!({"authorizations": (0..FEW).map(process).collect::<Vec<_>>()})
}

fn grant(owner: &Value, resource: &str, permission: &str, id: &str) -> Value {
    let mut grant = owner.clone();
    grant["resourceType"] = resource.into();
    grant["resourceId"] = id.into();
    grant["permissionTypes"] = json!([permission]);
    grant
}

/// A call that the grant in the middle allows: whoever tries one after the other has tried half of
/// them then.
pub fn granted(count: usize) -> Request {
    plain(Request::get(path(count / 2)))
}

/// A call that only a grant on the group of that number allows.
pub fn of_group(number: usize) -> Request {
    plain(Request::get(path(number)))
}

/// A call that no grant allows.
pub fn not_granted() -> Request {
    plain(Request::get("/v2/groups/unknown"))
}

/// A call whose body of 1 KB says what is asked for.
pub fn start(process: &str) -> Request {
    let body = json!({"variables": {"note": "x".repeat(940)}, "processDefinitionId": process});
    plain(Request::post("/v2/process-instances", &body))
}

/// The header fields of a plain client.
fn plain(request: Request) -> Request {
    request.header("user-agent", "bench").header("accept", "application/json")
}

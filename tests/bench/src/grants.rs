//! Who may do what: ten grants, the same for Portcullis and for Envoy's own filters, and the calls
//! that go with them.

use portcullis_e2e::client::Request;
use portcullis_e2e::tokens::Issuer;
use serde_json::{Value, json};

/// Who holds all grants.
pub const USER: &str = "ada";

/// The groups that the user may read, one grant each.
const GROUPS: std::ops::Range<u32> = 0..10;

/// The paths that the user may GET, in the order of the grants.
pub fn paths() -> impl Iterator<Item = String> {
    GROUPS.map(path)
}

/// The grants as a policy of Portcullis.
pub fn policy() -> Value {
    let grant = |group| {
        json!({
            "ownerType": "USER", "ownerId": USER, "permissionTypes": ["READ"],
            "resourceType": "GROUP", "resourceId": format!("group-{group}"),
        })
    };
    json!({"authorizations": GROUPS.map(grant).collect::<Vec<_>>()})
}

/// A call that the last of the grants allows. The header fields are those of a plain client.
pub fn granted() -> Request {
    call(GROUPS.end - 1)
}

/// A call that no grant allows.
pub fn not_granted() -> Request {
    call(GROUPS.end)
}

/// The user's token, with as much in it as an identity provider would put there. No two with
/// different numbers are the same.
pub fn token(issuer: &Issuer, number: usize) -> String {
    issuer.token(&json!({
        "jti": format!("onrtro:{number:08}-1f2e-4d3c-8b4a-5968778695a4"),
        "sub": "5f3c1b0e-8d4e-4a55-9f0b-3c1d2e4f5a6b",
        "typ": "Bearer",
        "azp": "orchestration-console",
        "scope": "openid profile email",
        "preferred_username": USER,
        "name": "Ada Lovelace",
        "email": "ada@example.com",
        "email_verified": true,
    }))
}

fn call(group: u32) -> Request {
    Request::get(path(group)).header("user-agent", "bench").header("accept", "application/json")
}

fn path(group: u32) -> String {
    format!("/v2/groups/group-{group}")
}

//! What several test files share: a small policy, its callers, and what they ask for.
#![allow(dead_code, reason = "each test file uses a part of it")]

use portcullis_e2e::client::{self, Request, Response};
use portcullis_e2e::envoy::{Envoy, Launch};
use portcullis_e2e::gateway::{Gateway, Listener};
use portcullis_e2e::tokens::Issuer;
use portcullis_e2e::upstream::Upstream;
use serde_json::{Value, json};

/// Someone who signs tokens, and a cluster.
pub struct World {
    pub issuer: Issuer,
    pub upstream: Upstream,
}

/// Who may do what: `ada` everything, `dora` only with one id, so that her bodies decide.
fn policy() -> Value {
    let grant = |owner: &str, kind: &str, id: &str, permission: &str| {
        json!({
            "ownerType": "USER", "ownerId": owner, "resourceType": kind, "resourceId": id,
            "permissionTypes": [permission],
        })
    };
    json!({"authorizations": [
        grant("ada", "PROCESS_DEFINITION", "*", "CREATE_PROCESS_INSTANCE"),
        grant("ada", "DECISION_DEFINITION", "*", "CREATE_DECISION_INSTANCE"),
        grant("dora", "PROCESS_DEFINITION", "invoice", "CREATE_PROCESS_INSTANCE"),
        grant("dora", "DECISION_DEFINITION", "credit-check", "CREATE_DECISION_INSTANCE"),
    ]})
}

impl World {
    pub fn new() -> Self {
        Self {
            issuer: Issuer::new("https://idp.test", "orchestration-api").expect("a key"),
            upstream: Upstream::start().expect("an upstream"),
        }
    }

    /// The shipped configuration before this cluster, without a listener.
    pub fn gateway(&self) -> Gateway {
        Gateway::new(self.upstream.addr()).expect("the shipped configuration")
    }

    /// The shipped listener, for this issuer's tokens and the policy above.
    pub fn guarded(&self, listener: Listener) -> Listener {
        listener.issuer(&self.issuer).policy(&policy())
    }

    pub fn token(&self, user: &str) -> String {
        self.issuer.token(&json!({"preferred_username": user}))
    }

    pub fn get(&self, user: &str) -> Request {
        Request::get("/v2/topology").bearer(self.token(user))
    }

    /// `createProcessInstance` for that process.
    pub fn create(&self, user: &str, process: &str) -> Request {
        let body = json!({"processDefinitionId": process});
        Request::post("/v2/process-instances", &body).bearer(self.token(user))
    }
}

//! What is asked, and by whom.

use anyhow::{Result, bail};
use portcullis_e2e::client::Request;
use portcullis_e2e::tokens::{Issuer, now};
use serde_json::{Value, json};

use crate::callers::{Authorization, Caller, Policy};

/// Where a key is needed that only a cluster could know.
const KEY: &str = "2251799813685249";

/// One call of the demo.
#[derive(Debug)]
pub(crate) struct Call {
    /// Who calls, for people.
    pub(crate) who: String,
    /// The call, for people.
    pub(crate) what: String,
    /// What is sent.
    pub(crate) request: Request,
    /// The same without its token.
    pub(crate) bare: Request,
    /// Whether the token is an honest one.
    pub(crate) honest: bool,
}

/// A call without a caller.
#[derive(Debug, Clone)]
struct Ask {
    method: &'static str,
    path: String,
    body: Option<Value>,
    /// What stands in the body that decides, for people.
    about: String,
}

impl Ask {
    fn get(path: &str) -> Self {
        Self { method: "GET", path: path.to_owned(), body: None, about: String::new() }
    }

    fn post(path: &str, body: Value) -> Self {
        Self { method: "POST", body: Some(body), ..Self::get(path) }
    }

    fn about(self, about: &str) -> Self {
        Self { about: about.to_owned(), ..self }
    }

    fn start(process: &str) -> Self {
        let body = json!({"processDefinitionId": process});
        Self::post("/v2/process-instances", body).about(process)
    }

    fn evaluate(decision: &str) -> Self {
        let body = json!({"decisionDefinitionId": decision, "variables": {}});
        Self::post("/v2/decision-definitions/evaluation", body).about(decision)
    }

    fn activate() -> Self {
        let body = json!({"type": "charge-card", "timeout": 60000, "maxJobsToActivate": 5});
        Self::post("/v2/jobs/activation", body)
    }

    fn search(what: &str) -> Self {
        Self::post(&format!("/v2/{what}/search"), json!({}))
    }

    /// Whether the call itself says which resource it is about.
    fn decides(&self) -> bool {
        !self.about.is_empty() || self.body.is_none()
    }

    fn by(&self, who: &str, token: Option<String>, honest: bool) -> Call {
        let mut bare = Request::new(self.method, &self.path);
        if let Some(body) = &self.body {
            bare = bare.json(body);
        }
        let request = token.map_or_else(|| bare.again(), |token| bare.again().bearer(token));
        let what = format!("{} {}", bare.line(), self.about).trim_end().to_owned();
        Call { who: who.to_owned(), what, request, bare, honest }
    }

    fn by_caller(&self, caller: &Caller, issuer: &Issuer) -> Call {
        self.by(&caller.who, Some(issuer.token(&caller.claims)), true)
    }
}

/// The calls for the sample policy.
pub(crate) fn of_the_sample(issuer: &Issuer) -> Result<Vec<Call>> {
    let admin = Caller::user("ada").called("administrator");
    let developer = Caller::user("dora").called("developer");
    let worker = Caller::client("invoice-worker").called("client");
    let mut clerk = Caller::user("finn").called("finance");
    clerk.claims["department"] = "finance".into();

    let mut calls = Vec::new();
    let mut add = |caller: &Caller, ask: Ask| calls.push(ask.by_caller(caller, issuer));
    add(&admin, Ask::start("payroll"));
    add(&admin, Ask::get("/v2/groups/developers"));
    add(&developer, Ask::start("invoice"));
    add(&developer, Ask::start("payroll"));
    add(&developer, Ask::search("process-instances"));
    add(&developer, Ask::get("/v2/users/ada"));
    add(&worker, Ask::activate());
    add(&worker, Ask::post(&format!("/v2/jobs/{KEY}/completion"), json!({"variables": {}})));
    add(&worker, Ask::post(&format!("/v2/process-instances/{KEY}/cancellation"), json!({})));
    add(&clerk, Ask::evaluate("credit-check"));
    add(&clerk, Ask::evaluate("salary"));
    calls.extend(bad(&developer, &Ask::start("invoice"), issuer)?);
    Ok(calls)
}

/// Calls for any policy: for each kind of owner one that uses a grant and one that goes beyond it.
pub(crate) fn of_any(policy: &Policy, issuer: &Issuer) -> Result<Vec<Call>> {
    let mut calls = Vec::new();
    let mut base: Option<(Caller, Ask)> = None;
    for kind in ["ROLE", "GROUP", "USER", "CLIENT", "MAPPING_RULE"] {
        let of_kind = policy.authorizations.iter().filter(|grant| grant.owner_type == kind);
        let uses =
            || of_kind.clone().filter_map(|grant| Some((grant, use_of(grant)?, policy.caller(kind, &grant.owner_id)?)));
        let telling = uses().find(|(grant, ask, _)| ask.decides() && grant.resource_id != "*");
        let Some((grant, ask, caller)) = telling.or_else(|| uses().next()) else {
            continue;
        };
        calls.push(ask.by_caller(&caller, issuer));
        calls.extend(beyond(policy, grant).map(|ask| ask.by_caller(&caller, issuer)));
        if base.as_ref().is_none_or(|(_, before)| ask.decides() && !before.decides()) {
            base = Some((caller, ask));
        }
    }
    let Some((caller, ask)) = base else {
        bail!("the policy has no authorization that the demo knows a call and a caller for");
    };
    calls.extend(bad(&caller, &ask, issuer)?);
    Ok(calls)
}

/// The calls that should not get far, whatever the policy.
fn bad(caller: &Caller, ask: &Ask, issuer: &Issuer) -> Result<Vec<Call>> {
    let forged = |who: &str, token: String| ask.by(who, Some(token), false);
    let but = |name: &str, value: Value| {
        let mut claims = caller.claims.clone();
        claims[name] = value;
        issuer.token(&claims)
    };
    let any = |ask: Ask| ask.by_caller(caller, issuer);
    Ok(vec![
        ask.by_caller(&Caller::user("nobody"), issuer),
        forged("expired token", but("exp", (now() - 3600).into())),
        forged("forged token", issuer.impostor()?.token(&caller.claims)),
        forged("token with alg none", issuer.unsigned(&caller.claims)),
        forged("token for another API", but("aud", "other-api".into())),
        ask.by("no token", None, false),
        Ask::get("/v2/status").by("no token", None, false),
        any(Ask::post("/v2/setup;a=b/user", json!({"username": "eve"}))),
        any(Ask::post("/v2/setup/user", json!({"username": "eve"}))),
        any(Ask::get("/v2/no-such-thing")),
    ])
}

/// A call for which that grant is needed, best one that names the resource; `None` where the demo
/// knows none.
fn use_of(grant: &Authorization) -> Option<Ask> {
    let asks = || {
        let permissions = grant.permission_types.iter();
        permissions.filter_map(|one| call_for(&grant.resource_type, one, &grant.resource_id))
    };
    asks().find(Ask::decides).or_else(|| asks().next())
}

/// A call for which the grant's owner, by itself, has nothing.
fn beyond(policy: &Policy, grant: &Authorization) -> Option<Ask> {
    let others = [
        ("PROCESS_DEFINITION", "CREATE_PROCESS_INSTANCE", "some-other-process"),
        ("DECISION_DEFINITION", "CREATE_DECISION_INSTANCE", "some-other-decision"),
        ("MESSAGE", "CREATE", "some-other-message"),
        ("TENANT", "DELETE", "some-other-tenant"),
    ];
    let holds = |kind: &str, permission: &str| {
        policy.authorizations.iter().any(|held| {
            (&held.owner_type, &held.owner_id) == (&grant.owner_type, &grant.owner_id)
                && held.resource_type == kind
                && held.resource_id == "*"
                && held.permission_types.iter().any(|p| p == permission)
        })
    };
    let free = others.into_iter().find(|(kind, permission, _)| !holds(kind, permission));
    free.and_then(|(kind, permission, id)| call_for(kind, permission, id))
}

fn call_for(resource_type: &str, permission: &str, id: &str) -> Option<Ask> {
    let id = if id == "*" { "anything" } else { id };
    let instance = format!("/v2/process-instances/{KEY}");
    Some(match (resource_type, permission) {
        ("PROCESS_DEFINITION", "CREATE_PROCESS_INSTANCE") => Ask::start(id),
        ("PROCESS_DEFINITION", "READ_PROCESS_DEFINITION") => Ask::search("process-definitions"),
        ("PROCESS_DEFINITION", "READ_PROCESS_INSTANCE") => Ask::search("process-instances"),
        ("PROCESS_DEFINITION", "UPDATE_PROCESS_INSTANCE") => Ask::activate(),
        ("PROCESS_DEFINITION", "CANCEL_PROCESS_INSTANCE") => Ask::post(&format!("{instance}/cancellation"), json!({})),
        ("PROCESS_DEFINITION", "READ_USER_TASK") => Ask::search("user-tasks"),
        ("PROCESS_DEFINITION", "UPDATE_USER_TASK") => Ask::post(&format!("/v2/user-tasks/{KEY}/completion"), json!({})),
        ("DECISION_DEFINITION", "CREATE_DECISION_INSTANCE") => Ask::evaluate(id),
        ("DECISION_DEFINITION", "READ_DECISION_DEFINITION") => Ask::search("decision-definitions"),
        ("DECISION_DEFINITION", "READ_DECISION_INSTANCE") => Ask::search("decision-instances"),
        ("MESSAGE", "CREATE") => {
            let body = json!({"name": id, "correlationKey": "4711"});
            Ask::post("/v2/messages/publication", body).about(id)
        }
        ("AUTHORIZATION", "READ") => Ask::search("authorizations"),
        _ => {
            let kind = match resource_type {
                "USER" => "users",
                "GROUP" => "groups",
                "ROLE" => "roles",
                "TENANT" => "tenants",
                "MAPPING_RULE" => "mapping-rules",
                _ => return None,
            };
            let path = format!("/v2/{kind}/{}", encode(id));
            match permission {
                "READ" => Ask::get(&path),
                "DELETE" => Ask { method: "DELETE", ..Ask::get(&path) },
                _ => return None,
            }
        }
    })
}

/// An id as one path segment.
fn encode(id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte);
    let one = |byte: u8| {
        if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    id.bytes().map(one).collect()
}

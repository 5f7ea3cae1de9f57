//! The property: what the cluster would allow is never denied here; what is finally allowed here,
//! the cluster would allow.

use crate::case::{Case, Verdict, World};
use crate::rest::{Names, Request};
use anyhow::{Result, anyhow};
use portcullis::authn::Subject;
use portcullis::config::{self, Plan};
use portcullis::suite::{self, BodySource, Caller, CaseRequest};
use serde_json::{Map, Value, json};
use std::fmt;
use std::rc::Rc;

/// What Portcullis says to a call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Ours {
    /// It is refused.
    Deny,
    /// It is forwarded, and the cluster decides.
    Deferred,
    /// It is forwarded, and the cluster will do it.
    Final,
}

impl fmt::Display for Ours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deny => "deny",
            Self::Deferred => "allow (deferred)",
            Self::Final => "allow (final)",
        })
    }
}

/// Why the two together break the property; `None` where they keep it.
#[must_use]
pub fn broken(case: &Case, verdict: Verdict, ours: Ours) -> Option<&'static str> {
    let is_allowed = matches!(verdict, Verdict::Allow | Verdict::Filtered | Verdict::FilteredSome);
    // To somebody who is not assigned to its tenant, the cluster says that a thing is not there.
    let is_refused = verdict == Verdict::Deny || (verdict == Verdict::NotFound && !case.call.finds_nothing());
    match ours {
        Ours::Deny if is_allowed => Some("denied here, and the cluster allows it"),
        Ours::Final if is_refused => Some("finally allowed here, and the cluster refuses it"),
        _ => None,
    }
}

/// Whether the edge knows all that the cluster decides by, so that it must say the same.
#[must_use]
pub fn is_known(case: &Case, request: &Request) -> bool {
    request.names == Names::All && (request.names_tenant || !case.world.multi_tenancy) && !case.call.missing
}

/// What a cluster's settings are in a plugin's configuration.
#[must_use]
pub fn configuration(world: &World) -> Map<String, Value> {
    let mut api = json!({ "version": "8.8" });
    if world.multi_tenancy {
        api["multiTenancy"] = json!(true);
    }
    let mut configuration = Map::new();
    configuration.insert("api".to_owned(), api);
    configuration
}

/// Portcullis with a policy.
///
/// # Errors
/// It refuses the policy.
pub fn plan(world: &World, policy: &Value) -> Result<Rc<Plan>> {
    let whole = suite::configuration(configuration(world), Some(policy.clone()));
    let (plan, _) = config::read(whole.to_string().as_bytes()).map_err(|error| anyhow!("{error}"))?;
    Ok(Rc::new(plan))
}

/// What Portcullis says, and its explanation.
///
/// # Errors
/// The request cannot be made.
pub fn ours(plan: &Rc<Plan>, case: &Case, request: &Request) -> Result<(Ours, Value)> {
    let request = case_request(&request.value).map_err(|error| anyhow!(error))?;
    let explanation = suite::decide(plan, &caller(case), &request, 0).explain();
    let ours = match (explanation["decision"].as_str(), explanation["certainty"].as_str()) {
        (Some("allow"), Some("final")) => Ours::Final,
        (Some("allow"), _) => Ours::Deferred,
        _ => Ours::Deny,
    };
    Ok((ours, explanation))
}

fn case_request(request: &Value) -> Result<CaseRequest, String> {
    if let Some(call) = request["grpc"].as_str() {
        return CaseRequest::grpc(call, Some(&request["message"]), Vec::new(), None);
    }
    let text = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
    let headers = request["headers"].as_object().into_iter().flatten();
    let headers = headers.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()));
    let body = match (&request["body"], request["rawBody"].as_str()) {
        (Value::Null, None) => None,
        (Value::Null, Some(raw)) => Some(BodySource::Raw(raw.to_owned())),
        (body, _) => Some(BodySource::Json(body.clone())),
    };
    CaseRequest::new(text("method"), text("path"), headers.collect(), body)
}

fn caller(case: &Case) -> Caller {
    let principal = &case.principal;
    let subject = match (&principal.client_id, &principal.username) {
        (Some(id), _) => Subject::Client(id.clone()),
        (None, name) => Subject::User(name.clone().unwrap_or_default()),
    };
    let claims = Value::Object(principal.claims.clone());
    Caller::Principal { subject, groups: groups(case), claims }
}

/// The groups of a caller that count: those of the claim, where the cluster reads one.
#[must_use]
pub fn groups(case: &Case) -> Option<Vec<String>> {
    case.world.groups_claim.then(|| case.principal.groups.clone().unwrap_or_default())
}

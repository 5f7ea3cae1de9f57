//! Cases -> decisions.

use super::{Caller, Case, CaseRequest, Suite};
use crate::authn::credential::Source;
use crate::authn::signature::PureRust;
use crate::authn::{Identity, Refused, UnixSeconds};
use crate::config::Plan;
use crate::decision::Decision;
use crate::judge::{BodyStep, Memory, Step, Surroundings};
use crate::reason::Reason;
use crate::request::Request;
use serde_json::{Map, Value, json};
use std::rc::Rc;

/// A case and what came of it.
#[derive(Clone, Debug)]
pub struct Verdict<'a> {
    /// The case.
    pub case: &'a Case,
    /// The explanation of the decision.
    pub actual: Value,
    /// Whether it has all that was expected.
    pub pass: bool,
}

impl Verdict<'_> {
    /// What `portcullis test --json` prints of it.
    #[must_use]
    pub fn line(&self, suite: &Suite) -> Value {
        json!({
            "suite": suite.name,
            "name": self.case.name,
            "pass": self.pass,
            "expected": self.case.expect,
            "actual": self.actual,
        })
    }
}

/// Runs all cases, in their order.
pub fn run(suite: &Suite, now: UnixSeconds) -> impl Iterator<Item = Verdict<'_>> {
    let now = suite.now.unwrap_or(now);
    suite.cases.iter().map(move |case| {
        let actual = decide(&suite.plan, &case.caller, &case.request, now).explain();
        let pass = includes(&actual, &case.expect);
        Verdict { case, actual, pass }
    })
}

/// Whether an explanation has every member that is expected of it.
#[must_use]
pub fn includes(actual: &Value, expected: &Map<String, Value>) -> bool {
    expected.iter().all(|(name, expected)| match (actual.get(name), expected) {
        (Some(actual @ Value::Object(_)), Value::Object(expected)) => includes(actual, expected),
        (Some(actual), expected) => actual == expected,
        (None, _) => false,
    })
}

/// Decides one request.
#[must_use]
pub fn decide(plan: &Rc<Plan>, caller: &Caller, request: &CaseRequest, now: UnixSeconds) -> Decision {
    let credential = match (caller, plan.credentials.first()) {
        (Caller::Token(token), Some(Source::Header { name, prefix })) => {
            Some((name.clone(), header_value(prefix, token)))
        }
        (Caller::Token(token), Some(Source::Cookie { name })) => Some(("cookie".to_owned(), format!("{name}={token}"))),
        _ => None,
    };
    let headers: Vec<(Vec<u8>, Vec<u8>)> = request
        .headers
        .iter()
        .chain(&credential)
        .map(|(name, value)| (name.to_ascii_lowercase().into_bytes(), value.clone().into_bytes()))
        .collect();
    let headers: Vec<(&[u8], &[u8])> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    let head = Request { method: request.method.as_bytes(), path: request.path.as_bytes(), headers: &headers };
    let step = match caller {
        Caller::Nobody | Caller::Token(_) => {
            let mut memory = Memory::new(&plan.issuers);
            plan.judge(&head, &mut Surroundings { now, signatures: &PureRust, memory: &mut memory, waited: None })
        }
        Caller::Principal { subject, groups, claims } => {
            plan.judge_as(Ok(Identity::assumed(subject.clone(), groups.clone(), claims)), &head)
        }
        Caller::Claims(claims) => plan.judge_as(identity(plan, claims), &head),
    };
    match step {
        Step::Decided(decision) => decision,
        // Here nothing can be fetched.
        Step::NeedsKeys { .. } => plan.without_keys(&head),
        Step::NeedsBody(pending) => match pending.push(request.body.as_deref().unwrap_or(&[]), true) {
            BodyStep::Decided(decision) => decision,
            BodyStep::More(pending) => pending.refuse(Reason::BodyUnreadable),
        },
    }
}

/// A credential as it stands in its header. The prefix may have been written out.
fn header_value(prefix: &str, token: &str) -> String {
    let head = token.get(..prefix.len());
    if head.is_some_and(|head| head.eq_ignore_ascii_case(prefix)) {
        token.to_owned()
    } else {
        format!("{prefix}{token}")
    }
}

/// The identity of claims, by the rules of the issuer that they name; where they name none, of the
/// only one.
fn identity(plan: &Plan, claims: &Value) -> Result<Identity, Refused> {
    if claims.get("iss").is_some_and(|iss| !iss.is_string()) {
        return Err(Refused { reason: Reason::TokenMalformed, detail: "iss is not text" });
    }
    let issuer = match claims.get("iss") {
        Some(name) => name.as_str().and_then(|name| plan.issuers.named(name)).map(|(_, issuer)| issuer),
        None => plan.issuers.only(),
    };
    let unknown = Refused { reason: Reason::IssuerUnknown, detail: "iss is missing or none of the configured issuers" };
    Identity::assumed_from_claims(claims, issuer.ok_or(unknown)?)
}

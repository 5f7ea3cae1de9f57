//! The engine and the reference, asked the same.

use crate::evaluate::{Call, Outcome, evaluate};
use crate::policy::Policy;
use crate::principal::Caller;
use crate::settings::Settings;
use portcullis::authn::Subject;
use portcullis::config::{self, Plan};
use portcullis::suite::{self, CaseRequest};
use serde_json::{Map, Value, json};
use std::fmt;
use std::rc::Rc;

/// What was decided, by whichever of the two.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Answer {
    /// Denied, with the reason.
    Deny(String),
    /// Allowed, with the certainty.
    Allow(String),
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deny(reason) => write!(f, "deny ({reason})"),
            Self::Allow(certainty) => write!(f, "allow ({certainty})"),
        }
    }
}

impl Answer {
    /// What the reference said.
    #[must_use]
    pub fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Deny(reason) => Self::Deny(reason.to_owned()),
            Outcome::Deferred => Self::Allow("deferred".to_owned()),
            Outcome::Final => Self::Allow("final".to_owned()),
        }
    }

    /// What the engine said, from its explanation.
    #[must_use]
    pub fn explained(explanation: &Value) -> Self {
        let text = |name: &str| explanation[name].as_str().unwrap_or_default().to_owned();
        if explanation["decision"] == "deny" { Self::Deny(text("reason")) } else { Self::Allow(text("certainty")) }
    }

    /// As a suite expects it.
    fn expectation(&self) -> Value {
        match self {
            Self::Deny(reason) => json!({ "decision": "deny", "reason": reason }),
            Self::Allow(certainty) => json!({ "decision": "allow", "certainty": certainty }),
        }
    }
}

/// Both evaluators with one policy and configuration.
pub struct Both {
    /// The engine's.
    pub plan: Rc<Plan>,
    /// The reference's settings.
    pub settings: Settings,
    /// The policy as the reference reads it.
    pub policy: Policy,
}

impl Both {
    /// Prepares both.
    ///
    /// # Errors
    /// The engine refuses the configuration.
    pub fn new(configuration: Map<String, Value>, policy: Value) -> Result<Self, String> {
        let lists = Policy::read(&policy);
        let configuration = suite::configuration(configuration, Some(policy));
        let settings = Settings::read(&configuration);
        let (plan, _) = config::read(configuration.to_string().as_bytes()).map_err(|error| error.to_string())?;
        Ok(Self { plan: Rc::new(plan), settings, policy: lists })
    }

    /// What the engine says.
    #[must_use]
    pub fn engine(&self, caller: &Caller, call: &Call) -> Answer {
        let name = caller.name.clone();
        let subject = if caller.is_client { Subject::Client(name) } else { Subject::User(name) };
        let (groups, claims) = (caller.groups.clone(), caller.claims.clone());
        let body = call.body.as_deref().map(|body| String::from_utf8_lossy(body).into_owned());
        let request = CaseRequest::with_json(call.method.clone(), call.path.clone(), Vec::new(), body);
        let request = request.expect("a message that its call can have");
        let principal = suite::Caller::Principal { subject, groups, claims };
        Answer::explained(&suite::decide(&self.plan, &principal, &request, 0).explain())
    }

    /// What the reference says.
    #[must_use]
    pub fn reference(&self, caller: &Caller, call: &Call) -> Answer {
        Answer::of(evaluate(&self.settings, &self.policy, caller, call))
    }
}

/// A request about which the two do not agree.
#[derive(Clone, Debug)]
pub struct Disagreement {
    /// The seed of its world.
    pub seed: u64,
    /// What of the configuration is not the default.
    pub configuration: Map<String, Value>,
    /// The policy.
    pub policy: Value,
    /// Who asks.
    pub caller: Caller,
    /// What is asked.
    pub call: Call,
    /// What the engine says.
    pub engine: Answer,
    /// What the reference says.
    pub reference: Answer,
}

impl Disagreement {
    /// A suite whose one case expects what the reference says, as YAML (which JSON is).
    #[must_use]
    pub fn suite(&self) -> String {
        let mut principal = json!({ "claims": self.caller.claims });
        principal[if self.caller.is_client { "clientId" } else { "username" }] = json!(self.caller.name);
        if let Some(groups) = &self.caller.groups {
            principal["groups"] = json!(groups);
        }
        let mut request = json!({ "method": self.call.method, "path": self.call.path });
        if let Some(body) = &self.call.body {
            request["rawBody"] = json!(String::from_utf8_lossy(body));
        }
        let case = json!({
            "name": format!("seed {}: the engine says {}", self.seed, self.engine),
            "principal": principal,
            "request": request,
            "expect": self.reference.expectation(),
        });
        let suite = json!({ "policy": self.policy, "config": self.configuration, "cases": [case] });
        serde_json::to_string_pretty(&suite).unwrap_or_default()
    }

    /// The same with everything left out that the difference does not need.
    #[must_use]
    pub fn shrunk(mut self) -> Self {
        loop {
            let mut is_smaller = false;
            for candidate in self.smaller() {
                if let Some(candidate) = candidate.asked_again() {
                    (self, is_smaller) = (candidate, true);
                    break;
                }
            }
            if !is_smaller {
                return self;
            }
        }
    }

    /// Whether the two still differ in the same way.
    fn asked_again(self) -> Option<Self> {
        let both = Both::new(self.configuration.clone(), self.policy.clone()).ok()?;
        let is_same = both.engine(&self.caller, &self.call) == self.engine
            && both.reference(&self.caller, &self.call) == self.reference;
        is_same.then_some(self)
    }

    /// All with one thing less.
    fn smaller(&self) -> Vec<Self> {
        let mut all = Vec::new();
        for name in self.configuration.keys() {
            let mut candidate = self.clone();
            candidate.configuration.remove(name);
            all.push(candidate);
        }
        for policy in without_one(&self.policy) {
            all.push(Self { policy, ..self.clone() });
        }
        for claims in without_one(&self.caller.claims) {
            all.push(Self { caller: Caller { claims, ..self.caller.clone() }, ..self.clone() });
        }
        for groups in without_one(&json!(self.caller.groups)) {
            let groups = groups.as_array().into_iter().flatten().filter_map(|group| Some(group.as_str()?.to_owned()));
            all.push(Self { caller: Caller { groups: Some(groups.collect()), ..self.caller.clone() }, ..self.clone() });
        }
        all
    }
}

/// A value without one of its members or items, at any depth; never without what is no container.
fn without_one(value: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    match value {
        Value::Array(list) => {
            for position in 0..list.len() {
                let mut shorter = list.clone();
                shorter.remove(position);
                all.push(Value::Array(shorter));
            }
            for (position, item) in list.iter().enumerate() {
                for smaller in without_one(item) {
                    let mut list = list.clone();
                    list[position] = smaller;
                    all.push(Value::Array(list));
                }
            }
        }
        Value::Object(object) => {
            for (name, member) in object {
                if matches!(member, Value::Array(list) if list.is_empty()) {
                    let mut object = object.clone();
                    object.remove(name);
                    all.push(Value::Object(object));
                }
                for smaller in without_one(member) {
                    let mut object = object.clone();
                    object.insert(name.clone(), smaller);
                    all.push(Value::Object(object));
                }
            }
        }
        _ => (),
    }
    all
}

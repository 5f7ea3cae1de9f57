//! Random policies with requests. The universe is small, so that names meet.

mod policy;
mod request;
mod text;

use crate::catalogue::{OPERATIONS, Operation};
use crate::dice::Dice;
use crate::evaluate::Call;
use crate::principal::Caller;
use serde_json::{Map, Value, json};

/// Usernames, client ids, group and role ids: the same words, since only the owner's type may tell
/// them apart.
const NAMES: &[&str] = &["alice", "bob", "worker", "ops", "hr", "/ops", "Ops", "ünal", "a b", "*", ""];
/// Ids of mapping rules.
const RULES: &[&str] = &["ops", "r1", "r2", "r3"];
/// Ids of tenants.
const TENANTS: &[&str] = &["<default>", "acme", "globex", "Acme"];
/// Ids of resources.
const IDS: &[&str] =
    &["p", "q", "P", "pp", "p*", "*p", "**", "p.q", "p q", "<default>", "acme", "alice", "ops", "r1", "ünal", "12"];
/// Keys, good and bad.
const KEYS: &[&str] =
    &["12", "2251799813685249", "7", "0", "12", "007", "+12", "-12", "00", "12x", "x", "1.0", "1e1", "٣", "12 "];

/// A configuration with its policy, and requests to be judged by it.
#[derive(Clone, Debug)]
pub struct World {
    /// What of the plugin configuration is not the default.
    pub configuration: Map<String, Value>,
    /// The policy.
    pub policy: Value,
    /// Operations that many grants and requests are about.
    focus: Vec<&'static Operation>,
    dice: Dice,
}

impl World {
    /// The world of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let v2: Vec<&'static Operation> = OPERATIONS.iter().filter(|o| o.surface == "v2").collect();
        let special: Vec<&'static Operation> = v2.iter().copied().filter(|o| is_special(o)).collect();
        let mut focus: Vec<_> = (0..4).map(|_| dice.pick(&v2)).collect();
        focus.extend((0..3).map(|_| dice.pick(&special)));
        let configuration = configuration(&mut dice, &focus);
        let policy = policy::policy(&mut dice, &focus);
        Self { configuration, policy, focus, dice }
    }

    /// The next request.
    pub fn request(&mut self) -> (Caller, Call) {
        let operation = if self.dice.chance(75) {
            self.dice.pick(&self.focus)
        } else {
            &OPERATIONS[self.dice.below(OPERATIONS.len())]
        };
        let operation = if operation.surface == "v2" { operation } else { self.focus[0] };
        (request::caller(&mut self.dice), request::call(&mut self.dice, operation))
    }
}

/// Whether an operation has more to it than one grant on a key, a filter or `*`.
fn is_special(operation: &Operation) -> bool {
    operation.mode != "single" && operation.mode != "none"
        || operation.tenant.as_deref().is_some_and(|tenant| tenant != "key" && tenant != "filter")
        || operation.alternatives.iter().any(|a| a.id.contains(':') || a.when.is_some())
}

fn configuration(dice: &mut Dice, focus: &[&'static Operation]) -> Map<String, Value> {
    let mut unresolved = Map::new();
    for operation in focus {
        if dice.chance(15) {
            unresolved.insert(operation.id.clone(), json!(dice.pick(&["defer", "deny"])));
        }
    }
    let value = json!({
        "api": { "version": dice.pick(&["8.8", "8.9", "8.10", "8.10", "8.10"]), "multiTenancy": dice.chance(40) },
        "searches": dice.pick(&["forward", "deny"]),
        "unresolved": { "default": dice.pick(&["defer", "defer", "defer", "deny"]), "operations": unresolved },
        "body": { "maxBytes": dice.pick(&[60, 300, 4096, 4096, 4096]) },
    });
    value.as_object().cloned().unwrap_or_default()
}

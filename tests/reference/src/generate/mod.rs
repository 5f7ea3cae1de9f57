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
/// Keys that grants name. No cluster has another form of them.
const GRANTED_KEYS: &[&str] = &["12", "2251799813685249", "7"];
/// Keys that requests name, good and bad.
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
    base: &'static str,
    dice: Dice,
}

impl World {
    /// The world of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::of(Dice::new(seed))
    }

    /// The same world, with requests of these dice.
    #[must_use]
    pub fn asked(self, dice: Dice) -> Self {
        Self { dice, ..self }
    }

    /// The world of these dice.
    #[must_use]
    pub fn of(mut dice: Dice) -> Self {
        let open: Vec<&'static Operation> = OPERATIONS.iter().filter(|o| is_open(o)).collect();
        let some = |fits: fn(&Operation) -> bool| open.iter().copied().filter(|o| fits(o)).collect::<Vec<_>>();
        let (joined, with_body) = (some(has_joined_grants), some(|o| o.looks_at_body()));
        let mut focus: Vec<_> = (0..3).map(|_| dice.pick(&open)).collect();
        focus.extend([dice.pick(&joined), dice.pick(&joined), dice.pick(&with_body), dice.pick(&with_body)]);
        let base = dice.pick(&["", "", "", "/engine", "/a/b"]);
        let configuration = configuration(&mut dice, &focus, base);
        let policy = policy::policy(&mut dice, &focus);
        Self { configuration, policy, focus, base, dice }
    }

    /// The next request.
    pub fn request(&mut self) -> (Caller, Call) {
        let any = &OPERATIONS[self.dice.below(OPERATIONS.len())];
        let is_any = self.dice.chance(20) && is_open(any);
        let operation = if is_any { any } else { self.dice.pick(&self.focus) };
        let denied = &self.configuration["unresolved"]["operations"]["activateJobs"];
        let may_lack = operation.id != "activateJobs" || denied != "deny";
        let caller = request::caller(&mut self.dice);
        let mut call = request::call(&mut self.dice, operation, may_lack);
        // Only REST has a base path; a call under it is none.
        if !operation.is_call() || self.dice.chance(2) {
            call.path = format!("{}{}", self.base, call.path);
        }
        (caller, call)
    }
}

/// Whether an operation is one that by default can be called.
fn is_open(operation: &Operation) -> bool {
    operation.surface == "v2" || operation.is_call()
}

/// Whether an operation asks for more than one grant, or for one under a condition.
fn has_joined_grants(operation: &Operation) -> bool {
    operation.mode != "single" && operation.mode != "none"
}

fn configuration(dice: &mut Dice, focus: &[&'static Operation], base: &str) -> Map<String, Value> {
    let mut unresolved = Map::new();
    for operation in focus {
        if dice.chance(15) {
            unresolved.insert(operation.id.clone(), json!(dice.pick(&["defer", "deny"])));
        }
    }
    let value = json!({
        "api": {
            "version": dice.pick(&["8.8", "8.9", "8.10", "8.10", "8.10"]),
            "multiTenancy": dice.chance(40),
            "basePath": format!("{base}/"),
        },
        "searches": dice.pick(&["forward", "deny"]),
        "unresolved": { "default": dice.pick(&["defer", "defer", "defer", "deny"]), "operations": unresolved },
        "body": { "maxBytes": dice.pick(&[60, 300, 4096, 4096, 4096]) },
    });
    value.as_object().cloned().unwrap_or_default()
}

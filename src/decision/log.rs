//! Decisions for people: which of them are logged, and what a log may say of the caller.

use super::Decision;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::cell::Cell;
use std::fmt::Write as _;

/// What is logged of decisions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogRules {
    /// Each decision goes into the filter state, for access logs.
    pub filter_state: bool,
    /// Decisions go into the proxy's log, a line each.
    pub lines: bool,
    /// The share of allowed calls that get a line.
    pub allow: Share,
    /// The share of denied calls that get a line.
    pub deny: Share,
    /// What a log says of the caller.
    pub principals: Principals,
}

/// What a log says of the caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Principals {
    /// The username or client id.
    Plain,
    /// Its SHA-256 digest. It hides nothing from those who can try all names.
    Hashed,
}

/// A share from none to all, in millionths.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share(u32);

impl Share {
    const WHOLE: u32 = 1_000_000;
    /// All.
    pub const ALL: Self = Self(Self::WHOLE);

    /// A share from 0 to 1; `None` for anything else.
    #[must_use]
    pub fn new(part: f64) -> Option<Self> {
        if !(0.0..=1.0).contains(&part) {
            return None;
        }
        // In range, so that nothing is cut off but what is below a millionth.
        #[cfg_attr(not(test), expect(clippy::as_conversions, reason = "from 0 to 1,000,000"))]
        let millionths = (part * f64::from(Self::WHOLE)).round() as u32;
        Some(Self(millionths))
    }
}

/// Picks the decisions that get a line: evenly, the first of each kind among them unless its share
/// is zero.
#[derive(Debug)]
pub struct Sampler {
    owed: [Cell<u32>; 2],
}

impl Default for Sampler {
    fn default() -> Self {
        let start = || Cell::new(Share::WHOLE.saturating_sub(1));
        Self { owed: [start(), start()] }
    }
}

impl Sampler {
    /// Whether this decision gets a line.
    #[must_use]
    pub fn picks(&self, decision: &Decision, rules: &LogRules) -> bool {
        let [allow, deny] = &self.owed;
        let (owed, share) = if decision.is_allow() { (allow, rules.allow) } else { (deny, rules.deny) };
        if !rules.lines {
            return false;
        }
        let total = owed.get().saturating_add(share.0);
        let picked = total >= Share::WHOLE;
        owed.set(if picked { total.saturating_sub(Share::WHOLE) } else { total });
        picked
    }
}

impl Decision {
    /// The decision for logs, as one JSON object: what [`Decision::explain`] says, what exactly was
    /// wrong, what a candidate table would have decided, and whether shadow mode forwarded what
    /// would have been denied.
    #[must_use]
    pub fn log(&self, shadowed: bool, principals: Principals) -> Value {
        let mut whole = self.explain();
        if let Some(whole) = whole.as_object_mut() {
            whole.extend(self.detail().map(|detail| ("detail".to_owned(), Value::from(detail))));
            whole.extend(self.candidate.map(|candidate| ("candidate".to_owned(), candidate.log())));
            whole.extend(shadowed.then(|| ("shadow".to_owned(), Value::from(true))));
        }
        if principals == Principals::Hashed {
            hide(&mut whole);
        }
        whole
    }
}

/// Puts digests in place of the names of users and clients.
fn hide(whole: &mut Value) {
    for member in ["username", "clientId"] {
        replace(whole.pointer_mut(&format!("/principal/{member}")));
    }
    let owner = whole.pointer("/grant/ownerType").and_then(Value::as_str);
    if matches!(owner, Some("USER" | "CLIENT")) {
        replace(whole.pointer_mut("/grant/ownerId"));
    }
}

fn replace(name: Option<&mut Value>) {
    if let Some(name) = name
        && let Some(text) = name.as_str()
    {
        *name = json!(digest(text));
    }
}

fn digest(text: &str) -> String {
    let mut digest = String::from("sha256:");
    for byte in Sha256::digest(text) {
        // Writing to a String does not fail.
        let _written = write!(digest, "{byte:02x}");
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::Outcome;
    use crate::reason::Reason;

    fn denial() -> Decision {
        let outcome = Outcome::Deny { reason: Reason::TokenMissing, detail: None };
        Decision { outcome, operation: None, principal: None, table: "".into(), candidate: None }
    }

    fn lines(deny: f64, of: usize) -> usize {
        let deny = Share::new(deny).unwrap();
        let rules =
            LogRules { filter_state: false, lines: true, allow: Share::ALL, deny, principals: Principals::Plain };
        let sampler = Sampler::default();
        (0..of).filter(|_| sampler.picks(&denial(), &rules)).count()
    }

    #[test]
    fn a_share_of_decisions_gets_a_line() {
        assert_eq!([lines(1.0, 10), lines(0.5, 10), lines(0.0, 10)], [10, 5, 0]);
        assert_eq!([lines(0.01, 1), lines(0.01, 100), lines(0.01, 101), lines(0.01, 10_000)], [1, 1, 2, 100]);
        assert_eq!([Share::new(-0.1), Share::new(1.1), Share::new(f64::NAN)], [None; 3]);
    }

    #[test]
    fn hashed_names_stand_nowhere() {
        let mut whole = json!({
            "principal": {"username": "alice", "groups": ["ops"]},
            "grant": {"ownerType": "USER", "ownerId": "alice"},
        });
        hide(&mut whole);
        let text = whole.to_string();
        assert!(!text.contains("alice") && text.contains("ops"));
        // printf alice | sha256sum
        let known = "sha256:2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90";
        assert_eq!([&whole["principal"]["username"], &whole["grant"]["ownerId"]], [known, known]);
        let mut by_role = json!({"grant": {"ownerType": "ROLE", "ownerId": "admin"}});
        hide(&mut by_role);
        assert_eq!(by_role["grant"]["ownerId"], "admin");
    }
}

//! What a candidate table would have decided, beside what the live one did.

use super::{Decision, Outcome};
use crate::authz::{Certainty, Verdict};
use crate::reason::Reason;
use serde_json::{Value, json};

/// What a candidate table would have decided. It changes nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Candidate {
    /// To forward.
    Allow(Certainty, Reason),
    /// To refuse.
    Deny(Reason),
    /// Nothing without the body, which the live table did not need.
    Unread,
}

impl Candidate {
    /// The outcome of a verdict.
    #[must_use]
    pub fn of(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Allow(permit) => Self::Allow(permit.certainty(), permit.reason()),
            Verdict::Deny(reason) => Self::Deny(*reason),
            Verdict::NeedsBody => Self::Unread,
        }
    }

    /// The outcome in one word, as counters have it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Allow(Certainty::Final, _) => "allow",
            Self::Allow(Certainty::Deferred, _) => "defer",
            Self::Deny(_) => "deny",
            Self::Unread => "unread",
        }
    }

    /// The outcome as logs have it.
    #[must_use]
    pub fn log(self) -> Value {
        match self {
            Self::Allow(certainty, reason) => {
                json!({ "decision": "allow", "certainty": certainty.name(), "reason": reason.code() })
            }
            Self::Deny(reason) => json!({ "decision": "deny", "certainty": null, "reason": reason.code() }),
            Self::Unread => json!({ "decision": null, "certainty": null, "reason": null }),
        }
    }
}

impl Decision {
    /// The same, with what a candidate would have decided.
    #[must_use]
    pub fn beside(self, candidate: Option<Candidate>) -> Self {
        Self { candidate, ..self }
    }

    /// The outcomes of the live table and of the candidate, each in one word.
    #[must_use]
    pub fn compared(&self) -> Option<(&'static str, &'static str)> {
        let live = match &self.outcome {
            Outcome::Allow(permit) if permit.certainty() == Certainty::Deferred => "defer",
            Outcome::Allow(_) => "allow",
            Outcome::Deny { .. } => "deny",
        };
        Some((live, self.candidate?.word()))
    }
}

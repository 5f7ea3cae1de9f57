//! What was decided, with everything that explains it.

mod candidate;
pub mod log;

pub use candidate::Candidate;

use crate::api::catalogue::OperationRef;
use crate::authn::Subject;
use crate::authz::{Grant, Named, Permit, Principal};
use crate::reason::Reason;
use crate::table::OwnerType;
use serde_json::{Value, json};
use std::rc::Rc;

/// Forward, or refuse.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The request is forwarded.
    Allow(Permit),
    /// The request is refused.
    Deny {
        /// Why.
        reason: Reason,
        /// For the log: what exactly was wrong, where the reason alone does not say.
        detail: Option<&'static str>,
    },
}

/// A decision.
#[derive(Clone, Debug)]
pub struct Decision {
    /// What was decided.
    pub outcome: Outcome,
    /// The operation that was asked for, where it is known.
    pub operation: Option<OperationRef>,
    /// Who asked, where it is known.
    pub principal: Option<Rc<Principal>>,
    /// Digest of the table that decided.
    pub table: Rc<str>,
    /// What the candidate table would have decided, where there is one.
    pub candidate: Option<Candidate>,
}

impl Decision {
    /// Whether the request is forwarded.
    #[must_use]
    pub fn is_allow(&self) -> bool {
        matches!(self.outcome, Outcome::Allow(_))
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match &self.outcome {
            Outcome::Allow(permit) => permit.reason(),
            Outcome::Deny { reason, .. } => *reason,
        }
    }

    /// For the log: what exactly was wrong, where the reason alone does not say.
    #[must_use]
    pub fn detail(&self) -> Option<&'static str> {
        match &self.outcome {
            Outcome::Allow(_) => None,
            Outcome::Deny { detail, .. } => *detail,
        }
    }

    /// The decision as one JSON object: what `portcullis explain --json` prints.
    #[must_use]
    pub fn explain(&self) -> Value {
        let (decision, certainty, grant) = match &self.outcome {
            Outcome::Allow(permit) => ("allow", Some(permit.certainty().name()), permit.grant()),
            Outcome::Deny { .. } => ("deny", None, None),
        };
        json!({
            "decision": decision,
            "certainty": certainty,
            "status": self.reason().status(),
            "reason": self.reason().code(),
            "operation": self.operation.as_ref().map(|o| &*o.id),
            "principal": self.principal.as_deref().map(explain_principal),
            "grant": grant.zip(self.principal.as_deref()).and_then(|(grant, principal)| explain_grant(principal, grant)),
            "table": &*self.table,
        })
    }
}

fn explain_principal(principal: &Principal) -> Value {
    let (kind, id) = match principal.identity().subject() {
        Subject::User(name) => ("username", name),
        Subject::Client(id) => ("clientId", id),
    };
    json!({
        kind: id,
        "groups": principal.groups(),
        "roles": principal.owners_of(OwnerType::Role),
        "mappingRules": principal.owners_of(OwnerType::MappingRule),
        "tenants": principal.tenants(),
    })
}

/// A grant with its names, which its principal knows.
fn explain_grant(principal: &Principal, grant: &Grant) -> Option<Value> {
    let Named { owner: (owner_type, owner_id), resource_id } = principal.named(grant)?;
    Some(json!({
        "ownerType": owner_type.name(),
        "ownerId": owner_id,
        "resourceType": grant.resource.name(),
        "resourceId": resource_id,
        "permissionType": grant.permission.name(grant.resource),
    }))
}

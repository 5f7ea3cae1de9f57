//! Principal x operation -> permit, denial, or a wish to see the body.

use super::alternative::{Held, evaluate};
use super::tenant::{self, Named};
use super::{Certainty, Holding, Permit, Principal, Rules, Unresolved};
use crate::api::body::Body;
use crate::api::catalogue::{Alternative, Condition, IdSource, Mode, Operation, TenantSource};
use crate::api::route::Route;
use crate::reason::Reason;

/// What comes of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is forwarded.
    Allow(Permit),
    /// It is refused, for this reason.
    Deny(Reason),
    /// The body decides; ask again with it.
    NeedsBody,
}

/// Decides an operation that needs no credential and that the configuration opens.
#[must_use]
pub fn anonymous(operation: &Operation) -> Verdict {
    if operation.public && !operation.blocked {
        let permit = Permit::without_grant(Reason::Anonymous);
        Verdict::Allow(if operation.mode == Mode::Unmapped { permit.left_to_cluster() } else { permit })
    } else {
        Verdict::Deny(Reason::OperationBlocked)
    }
}

/// Decides a CORS preflight request, which does nothing.
#[must_use]
pub fn preflight() -> Verdict {
    Verdict::Allow(Permit::without_grant(Reason::Preflight))
}

/// Decides whether a principal may do what a request asks for: first the grants, then the tenant,
/// then what becomes of an allow that only the cluster can complete.
#[must_use]
pub fn decide(route: &Route<'_>, body: Body<'_>, principal: &Principal, rules: &Rules) -> Verdict {
    let operation = &*route.operation;
    let permit = match by_grants(route, body, principal, rules) {
        Verdict::Allow(permit) => permit,
        other => return other,
    };
    let permit = match tenant::named(&operation.tenant, route, body) {
        Named::NotConcerned => permit,
        // Jobs of another tenant are refused even with tenant checks off.
        Named::Unread if rules.multi_tenancy || refuses_other_tenants(operation) => {
            return Verdict::NeedsBody;
        }
        Named::Unread => permit,
        Named::These(tenants) if rules.multi_tenancy => {
            if !tenants.iter().all(|t| principal.has_tenant(t)) {
                return Verdict::Deny(Reason::TenantNotAssigned);
            }
            permit
        }
        // With tenant checks off, the cluster refuses any other tenant in its own way.
        Named::These(tenants) if tenants.iter().all(|t| *t == "<default>") => permit,
        Named::These(_) | Named::Unclear => permit.deferred_by(Reason::DeferredTenant),
        Named::Unknown if rules.multi_tenancy => permit.deferred_by(Reason::DeferredTenant),
        Named::Unknown => permit,
    };
    if permit.certainty() == Certainty::Deferred && unresolved(operation, rules) == Unresolved::Deny {
        return Verdict::Deny(Reason::Unresolved);
    }
    Verdict::Allow(permit)
}

fn refuses_other_tenants(operation: &Operation) -> bool {
    matches!(operation.tenant, TenantSource::BodyMany { .. })
}

/// What the cluster filters is complete as it is; only an operation that is named itself is denied.
fn unresolved(operation: &Operation, rules: &Rules) -> Unresolved {
    let by_default = if operation.filters() { Unresolved::Defer } else { rules.unresolved };
    rules.unresolved_operations.get(&operation.id).copied().unwrap_or(by_default)
}

fn by_grants(route: &Route<'_>, body: Body<'_>, principal: &Principal, rules: &Rules) -> Verdict {
    let operation = &*route.operation;
    let alternatives = operation.grants.iter().filter(|a| a.since <= rules.version);
    // What the cluster filters it never denies.
    let held = |a: &Alternative| match evaluate(a, route, body, principal) {
        Held::Nothing if a.id == IdSource::ResultFilter && !rules.deny_empty_searches => {
            Held::Permit(Permit::deferred(Reason::DeferredFilter))
        }
        held => held,
    };
    match operation.mode {
        Mode::None => Verdict::Allow(Permit::without_grant(Reason::NoPermissionRequired)),
        Mode::ClusterAdmin => rules.cluster_admin.decide(principal.identity(), &principal.groups()),
        Mode::Unmapped => Verdict::Allow(Permit::deferred(Reason::DeferredUnmapped)),
        _ if operation.static_files && is_static(route.last_segment()) => {
            Verdict::Allow(Permit::without_grant(Reason::NoPermissionRequired))
        }
        Mode::Single | Mode::AnyOf => verdict(best(alternatives.map(held))),
        Mode::AllOf => all_of(alternatives.map(|a| (a, held(a)))),
        Mode::OneByType => all_or_some(alternatives.map(held), Verdict::Deny(Reason::PermissionMissing)),
        Mode::AllMatched if operation.never_denied => {
            all_or_some(alternatives.map(held), Verdict::Allow(Permit::deferred(Reason::DeferredKey)))
        }
        Mode::AllMatched => all_or_some(alternatives.map(held), Verdict::Deny(Reason::PermissionMissing)),
    }
}

/// What the web applications give to everyone: the page that says what one may not use, and files
/// of these kinds.
fn is_static(last_segment: &str) -> bool {
    const KINDS: [&str; 9] = [".css", ".js", ".js.map", ".jpg", ".png", "woff2", ".ico", ".svg", "/forbidden"];
    KINDS.iter().any(|kind| format!("/{last_segment}").ends_with(kind))
}

fn verdict(held: Held) -> Verdict {
    match held {
        Held::Permit(permit) => Verdict::Allow(permit),
        Held::Body => Verdict::NeedsBody,
        Held::Elsewhere => Verdict::Deny(Reason::ResourceNotGranted),
        Held::Nothing => Verdict::Deny(Reason::PermissionMissing),
    }
}

/// A final permit beats one that the body may still give, that beats a deferred one, and so on.
fn best(all: impl Iterator<Item = Held>) -> Held {
    let rank = |held: &Held| match held {
        Held::Permit(permit) if permit.certainty() == Certainty::Final => 0,
        Held::Body => 1,
        Held::Permit(_) => 2,
        Held::Elsewhere => 3,
        Held::Nothing => 4,
    };
    all.min_by_key(rank).unwrap_or(Held::Nothing)
}

/// Every alternative must be held; one under a condition that only the cluster can evaluate never
/// denies, but leaves the rest to the cluster unless it is held on `*`.
fn all_of<'a>(all: impl Iterator<Item = (&'a Alternative, Held)>) -> Verdict {
    let mut permit: Option<Permit> = None;
    let mut open = false;
    for (alternative, held) in all {
        let conditional = matches!(alternative.condition, Condition::Cluster(_));
        let on_all = matches!(&held, Held::Permit(p) if p.grant().is_some_and(|g| g.holding == Holding::All));
        match held {
            _ if conditional => open = open || !on_all,
            // One that is not sure makes the whole unsure.
            Held::Permit(held) => {
                let is_final = held.certainty() == Certainty::Final;
                permit = Some(permit.filter(|first| is_final || first.certainty() != Certainty::Final).unwrap_or(held));
            }
            worse => return verdict(worse),
        }
    }
    match permit {
        Some(permit) if open => Verdict::Allow(permit.deferred_by(Reason::DeferredCondition)),
        Some(permit) => Verdict::Allow(permit),
        None => Verdict::Deny(Reason::PermissionMissing),
    }
}

/// Final where all alternatives are held on `*`; which of them count, only the cluster knows, so
/// any of them on anything is enough to go on.
fn all_or_some(all: impl Iterator<Item = Held>, nothing: Verdict) -> Verdict {
    let mut first: Option<Permit> = None;
    let mut complete = true;
    for held in all {
        match held {
            Held::Permit(permit) => {
                complete = complete && permit.grant().is_some_and(|g| g.holding == Holding::All);
                first = Some(first.unwrap_or(permit));
            }
            _ => complete = false,
        }
    }
    match first {
        Some(permit) if permit.grant().is_none() => Verdict::Allow(permit),
        Some(permit) => Verdict::Allow(permit.settled(complete)),
        None => nothing,
    }
}

impl Permit {
    /// Final by `*`, or deferred to what the key means.
    fn settled(self, complete: bool) -> Self {
        let (certainty, reason) = if complete {
            (Certainty::Final, Reason::GrantedWildcard)
        } else {
            (Certainty::Deferred, Reason::DeferredKey)
        };
        Self { certainty, reason, grant: self.grant }
    }
}

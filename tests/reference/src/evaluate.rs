//! The decision.

use crate::body::{self, Body, Member, Named};
use crate::catalogue::{self, Alternative, Operation, Route};
use crate::policy::{Policy, Scope};
use crate::principal::{Caller, Principal};
use crate::settings::Settings;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method.
    pub method: String,
    /// The path, with its query.
    pub path: String,
    /// The body.
    pub body: Option<Vec<u8>>,
}

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It is refused, for this reason.
    Deny(&'static str),
    /// It is forwarded, and the cluster decides the rest.
    Deferred,
    /// It is forwarded, and the cluster will do it.
    Final,
}

/// How well one requirement is met, from worst to best.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Met {
    /// The permission is held on nothing.
    Nowhere,
    /// It is held, but not on this resource.
    Elsewhere,
    /// It may be held on this resource.
    Perhaps,
    /// It is held on this resource.
    Yes,
}

struct Asked<'a> {
    settings: &'a Settings,
    policy: &'a Policy,
    principal: &'a Principal,
    route: &'a Route,
    body: &'a Body,
}

/// The operation of a request.
#[must_use]
pub fn route(settings: &Settings, call: &Call) -> Option<Route> {
    let path = call.path.split('?').next().unwrap_or_default();
    let route_of = |path| catalogue::find_with(&settings.extra, settings.version, &call.method, path);
    let rest = path.strip_prefix(&settings.base).and_then(route_of).filter(|route| !route.operation.is_call());
    rest.or_else(|| route_of(&call.path).filter(|route| route.operation.is_call()))
}

/// Judges a request.
#[must_use]
pub fn evaluate(settings: &Settings, policy: &Policy, caller: &Caller, call: &Call) -> Outcome {
    let Some(route) = route(settings, call) else { return Outcome::Deny("operation_unknown") };
    let operation = route.operation;
    if operation.is_blocked || !settings.surfaces.contains(&operation.surface) {
        return Outcome::Deny("operation_blocked");
    }
    if settings.anonymous.contains(&operation.id) {
        return Outcome::Final;
    }
    let principal = Principal::of(policy, caller, settings.version >= (8, 10));
    let asked = |body| Asked { settings, policy, principal: &principal, route: &route, body };

    // Would the grants say the same whatever stands in the body?
    let bodies = body::samples(operation, policy);
    let mut outcomes: Vec<Outcome> = bodies.iter().map(|body| by_grants(&asked(body))).collect();
    outcomes.dedup();
    if let [deny @ Outcome::Deny(_)] = outcomes.as_slice() {
        return *deny;
    }
    // A body that cannot change the outcome is not read: neither is the tenant in it seen then, nor
    // that it is no JSON. A condition is read also where another alternative may do as well. A list
    // of tenants is always looked for: jobs of tenants that the caller is not assigned to are
    // refused even where tenants are not checked.
    let may_do = |a: &Alternative| has_body_condition(a) && met(&asked(&Body::None), a) >= Met::Perhaps;
    let is_decisive =
        outcomes.len() > 1 || outcomes == [Outcome::Deferred] && counted(settings, operation).into_iter().any(may_do);
    let tenants = operation.tenant.as_deref().unwrap_or_default();
    let is_read = is_decisive
        || tenants == "body:/tenantIds" && call.body.is_some()
        || tenants.starts_with("body:/") && tenants.ends_with("tenantId") && settings.multi_tenancy
        || tenants.starts_with("multipart:") && settings.multi_tenancy;
    let body = if is_read {
        let bytes = call.body.as_deref().unwrap_or_default();
        let read = match tenants.split_once(':') {
            Some(("multipart", _)) => Body::form(bytes),
            _ if operation.is_call() => Body::message(if bytes.is_empty() { b"{}" } else { bytes }),
            _ => Body::read(bytes, settings.max_bytes),
        };
        match read {
            Some(body) => body,
            None => return Outcome::Deny("body_unreadable"),
        }
    } else {
        Body::None
    };
    let outcome = match by_grants(&asked(&body)) {
        deny @ Outcome::Deny(_) => deny,
        outcome => by_tenant(&asked(&body), outcome),
    };
    if outcome == Outcome::Deferred && denies_unresolved(settings, operation) {
        Outcome::Deny("unresolved")
    } else {
        outcome
    }
}

/// What the grants say.
fn by_grants(asked: &Asked<'_>) -> Outcome {
    let operation = asked.route.operation;
    let known = counted(asked.settings, operation);
    match operation.mode.as_str() {
        "none" => Outcome::Final,
        "unmapped" => Outcome::Deferred,
        "single" | "any-of" => {
            let met: Vec<Met> = known.iter().filter_map(|alternative| under_condition(asked, alternative)).collect();
            let best = met.into_iter().max().unwrap_or(Met::Nowhere);
            match outcome(best) {
                Outcome::Deny(_) if is_search(operation) && !asked.settings.denies_searches => Outcome::Deferred,
                outcome => outcome,
            }
        }
        // Every part. A condition says here when the part is required: it proves nothing where the
        // part is missing, and does not matter where it is met.
        "all-of" => {
            let parts = known.iter().map(|part| {
                let met = met(asked, part);
                if part.when.is_some() { met.max(Met::Perhaps) } else { met }
            });
            outcome(parts.min().unwrap_or(Met::Yes))
        }
        // Which of them counts, the cluster knows. The conditions say no more than that.
        "one-by-type" | "all-matched" => {
            let met: Vec<Met> = known.iter().map(|alternative| met(asked, alternative)).collect();
            if met.iter().all(|met| *met == Met::Yes) {
                return Outcome::Final;
            }
            match outcome(met.into_iter().max().unwrap_or(Met::Nowhere)) {
                Outcome::Deny(_) if operation.never_denied => Outcome::Deferred,
                Outcome::Final => Outcome::Deferred,
                outcome => outcome,
            }
        }
        mode => unreachable!("{mode}: no mode of an operation of an open surface"),
    }
}

/// The alternatives that the cluster's version knows.
fn counted<'a>(settings: &Settings, operation: &'a Operation) -> Vec<&'a Alternative> {
    operation.alternatives.iter().filter(|a| a.since <= settings.version).collect()
}

fn has_body_condition(alternative: &Alternative) -> bool {
    alternative.when.as_deref().is_some_and(|when| when.starts_with("body:/"))
}

fn outcome(met: Met) -> Outcome {
    match met {
        Met::Nowhere => Outcome::Deny("permission_missing"),
        Met::Elsewhere => Outcome::Deny("resource_not_granted"),
        Met::Perhaps => Outcome::Deferred,
        Met::Yes => Outcome::Final,
    }
}

/// How well an alternative is met, its condition included; `None` where it does not count. That a
/// permission is held elsewhere is worth saying even then.
fn under_condition(asked: &Asked<'_>, alternative: &Alternative) -> Option<Met> {
    let holds = match &alternative.when {
        None => Some(true),
        Some(condition) if has_body_condition(alternative) => asked.body.fulfils(condition),
        Some(_) => None,
    };
    match holds {
        Some(false) => Some(met(asked, alternative)).filter(|met| *met == Met::Elsewhere),
        Some(true) => Some(met(asked, alternative)),
        None => Some(met(asked, alternative).min(Met::Perhaps)),
    }
}

/// How well an alternative is met by the grants of the principal.
fn met(asked: &Asked<'_>, alternative: &Alternative) -> Met {
    let mut scopes = Vec::new();
    for grant in &asked.policy.grants {
        let is_owned = asked.principal.owners.iter().any(|(kind, id)| grant.owner_type == *kind && grant.owner == *id);
        if is_owned
            && grant.resource_type == alternative.resource_type
            && grant.permissions.contains(&alternative.permission)
        {
            scopes.push(&grant.scope);
        }
    }
    if scopes.is_empty() {
        // What the cluster filters it never refuses.
        let is_filtered = alternative.id == "result-filter" && !asked.settings.denies_searches;
        return if is_filtered { Met::Perhaps } else { Met::Nowhere };
    }
    if scopes.contains(&&Scope::All) {
        return Met::Yes;
    }
    if alternative.id == "wildcard" {
        return Met::Elsewhere;
    }
    match known_id(asked, alternative) {
        None => Met::Perhaps,
        Some(id) if scopes.contains(&&Scope::Id(id.clone())) => Met::Yes,
        Some(_) if scopes.contains(&&Scope::Property) => Met::Perhaps,
        Some(_) => Met::Elsewhere,
    }
}

/// The id of the resource, where it can be read in the request.
fn known_id(asked: &Asked<'_>, alternative: &Alternative) -> Option<String> {
    if let Some(name) = alternative.id.strip_prefix("path:") {
        let (_, value) = asked.route.parameters.iter().find(|(parameter, _)| parameter == name)?;
        let is_readable = !name.ends_with("Key") || is_canonical_number(value);
        return is_readable.then(|| value.clone());
    }
    if let Some(id) = alternative.id.strip_prefix("literal:") {
        return Some(id.to_owned());
    }
    if alternative.id.starts_with("body:/") {
        if let Some(key) = &alternative.key
            && !matches!(asked.body.member(key), Member::Absent)
        {
            return None;
        }
        return match asked.body.member(&alternative.id) {
            Member::Is(value) => value.as_str().map(str::to_owned),
            Member::Absent | Member::Unknown => None,
        };
    }
    None
}

/// Digits without a leading zero: the only form of a number that is compared as text.
fn is_canonical_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0')
}

/// What the tenants make of an allow.
fn by_tenant(asked: &Asked<'_>, allowed: Outcome) -> Outcome {
    let Some(source) = asked.route.operation.tenant.as_deref() else { return allowed };
    let named = if let Some(name) = source.strip_prefix("path:") {
        let values = asked.route.parameters.iter().filter(|(parameter, _)| parameter == name);
        Named::These(values.map(|(_, value)| value.clone()).collect())
    } else if source.starts_with("multipart:") {
        asked.body.tenants("body:/tenantId", None)
    } else if source.starts_with("body:/") {
        asked.body.tenants(source, asked.route.operation.tenant_filter.as_deref())
    } else {
        Named::Nothing
    };
    if asked.settings.multi_tenancy {
        match named {
            Named::Nothing | Named::Unclear => Outcome::Deferred,
            Named::These(tenants) if tenants.iter().all(|tenant| asked.principal.tenants.contains(tenant)) => allowed,
            Named::These(_) => Outcome::Deny("tenant_not_assigned"),
        }
    } else {
        match named {
            Named::Nothing => allowed,
            Named::These(tenants) if tenants.iter().all(|tenant| tenant == "<default>") => allowed,
            Named::These(_) | Named::Unclear => Outcome::Deferred,
        }
    }
}

/// Whether the operation answers with what the caller may see.
fn is_search(operation: &Operation) -> bool {
    !operation.alternatives.is_empty() && operation.alternatives.iter().all(|a| a.id == "result-filter")
}

fn denies_unresolved(settings: &Settings, operation: &Operation) -> bool {
    match settings.unresolved.iter().find(|(name, _)| *name == operation.id) {
        Some((_, denies)) => *denies,
        None => settings.denies_unresolved && !is_search(operation),
    }
}

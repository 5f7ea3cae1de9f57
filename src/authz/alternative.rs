//! One alternative of an operation, held against what the principal holds.

use super::{Grant, Permit, Principal};
use crate::api::body::{Body, Member};
use crate::api::catalogue::{Alternative, Condition, IdSource};
use crate::api::route::Route;
use crate::reason::Reason;

/// How far an alternative satisfies an operation, from best to worst.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Held {
    /// It does: finally, or as far as can be known here.
    Permit(Permit),
    /// The body decides and has not been read.
    Body,
    /// The permission is held on other resources only.
    Elsewhere,
    /// The permission is not held.
    Nothing,
}

impl Held {
    fn by(reason: Reason, grant: Option<Grant>) -> Self {
        grant.map_or(Self::Nothing, |grant| Self::Permit(Permit::of_grant(reason, grant)))
    }
}

/// Evaluates one alternative, with its condition.
pub(super) fn evaluate(alternative: &Alternative, route: &Route<'_>, body: Body<'_>, principal: &Principal) -> Held {
    let held = by_id(alternative, route, body, principal);
    match (&alternative.condition, held) {
        (_, held @ (Held::Elsewhere | Held::Nothing)) | (Condition::None, held) => held,
        (Condition::Cluster(_), Held::Permit(permit)) => Held::Permit(permit.deferred_by(Reason::DeferredCondition)),
        (Condition::Cluster(_), Held::Body) => Held::Body,
        (Condition::Body { member, equals }, held) => match (body, held) {
            (Body::Unread, _) => Held::Body,
            (Body::Unknown, Held::Permit(permit)) => Held::Permit(permit.deferred_by(Reason::DeferredBody)),
            (Body::Read(members), Held::Permit(permit)) => match members.get(member) {
                Some(Member::Bool(value)) if value == equals => Held::Permit(permit),
                None | Some(Member::Bool(_)) => Held::Nothing,
                // The cluster reads some texts as booleans.
                Some(_) => Held::Permit(permit.deferred_by(Reason::DeferredCondition)),
            },
            (_, held) => held,
        },
    }
}

fn by_id(alternative: &Alternative, route: &Route<'_>, body: Body<'_>, principal: &Principal) -> Held {
    let (resource, permission) = (alternative.resource, alternative.permission);
    if let Some(grant) = principal.on_all(resource, permission) {
        return Held::Permit(Permit::of_grant(Reason::GrantedWildcard, grant));
    }
    let some = || principal.on_some_id(resource, permission);
    let elsewhere = || {
        if some().is_some() { Held::Elsewhere } else { Held::Nothing }
    };
    let by_property = || Held::by(Reason::DeferredProperty, principal.on_property(resource, permission));
    let exactly = |id: Option<&str>| id.and_then(|id| principal.on_id(resource, permission, id));
    let or_property = |held: Held| match held {
        Held::Permit(_) | Held::Body => held,
        worse => match by_property() {
            Held::Nothing => worse,
            property => property,
        },
    };
    match &alternative.id {
        IdSource::Wildcard => elsewhere(),
        // The cluster reads a key as a number, so `007` is the key 7, and no grant names it.
        IdSource::Path(number) if route.is_odd_key(*number) => or_property(Held::by(Reason::DeferredKey, some())),
        IdSource::Path(number) => match exactly(route.parameter(*number)) {
            Some(grant) => Held::by(Reason::GrantedId, Some(grant)),
            None => or_property(elsewhere()),
        },
        IdSource::Literal(id) => match exactly(Some(id)) {
            Some(grant) => Held::by(Reason::GrantedId, Some(grant)),
            None => elsewhere(),
        },
        IdSource::Key => or_property(Held::by(Reason::DeferredKey, some())),
        IdSource::ResultFilter => match Held::by(Reason::DeferredFilter, some()) {
            Held::Nothing => Held::by(Reason::DeferredFilter, principal.on_property(resource, permission)),
            held => held,
        },
        IdSource::Body { id, key } => {
            let Some(some) = some() else {
                return by_property();
            };
            let members = match body {
                Body::Unread => return Held::Body,
                Body::Unknown => return Held::by(Reason::DeferredBody, Some(some)),
                Body::Read(members) => members,
            };
            if key.as_ref().is_some_and(|key| members.get(key).is_some()) {
                return Held::by(Reason::DeferredKey, Some(some));
            }
            match members.get(id) {
                Some(Member::Text(id)) => match exactly(Some(id)) {
                    Some(grant) => Held::by(Reason::GrantedId, Some(grant)),
                    None => or_property(Held::Elsewhere),
                },
                _ => Held::by(Reason::DeferredBody, Some(some)),
            }
        }
    }
}

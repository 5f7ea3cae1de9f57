//! The tenants that a request names.

use crate::api::body::{Body, Member};
use crate::api::catalogue::TenantSource;
use crate::api::route::Route;

/// What a request says of tenants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Named<'a> {
    /// The operation concerns no tenant.
    NotConcerned,
    /// It may name one in the body, which has not been read.
    Unread,
    /// It names these.
    These(Vec<&'a str>),
    /// Which one, only the cluster knows: none is named, or it hangs on a key.
    Unknown,
    /// It names one in a way that only the cluster can read.
    Unclear,
}

/// Reads the tenants of a request.
pub(super) fn named<'a>(source: &TenantSource, route: &'a Route<'_>, body: Body<'a>) -> Named<'a> {
    match source {
        TenantSource::None => Named::NotConcerned,
        TenantSource::Key | TenantSource::Filter => Named::Unknown,
        TenantSource::Path(number) => route.parameter(*number).map_or(Named::Unknown, |t| Named::These(vec![t])),
        TenantSource::BodyOne(name) => in_body(body, name, |member| match member {
            Member::Text(tenant) => Some(vec![tenant]),
            _ => None,
        }),
        TenantSource::BodyMany { filter, .. } if goes_by_own_tenants(body, filter) => Named::Unclear,
        TenantSource::BodyMany { ids, .. } => in_body(body, ids, |member| match member {
            Member::Texts(tenants) => Some(tenants.iter().map(String::as_str).collect()),
            _ => None,
        }),
    }
}

/// Whether the cluster may pass over the tenants that are listed: `PROVIDED` is what it does anyway.
fn goes_by_own_tenants(body: Body<'_>, filter: &str) -> bool {
    match body {
        Body::Unread | Body::Unknown => false,
        Body::Read(members) => members.get(filter).is_some_and(|f| *f != Member::Text("PROVIDED".into())),
    }
}

/// The tenants of a member that `read` takes in the form that the operation has for it.
fn in_body<'a>(body: Body<'a>, name: &str, read: impl Fn(&'a Member) -> Option<Vec<&'a str>>) -> Named<'a> {
    match body {
        Body::Unread => Named::Unread,
        Body::Unknown => Named::Unclear,
        Body::Read(members) => match members.get(name).map(read) {
            None => Named::Unknown,
            Some(None) => Named::Unclear,
            Some(Some(tenants)) if tenants.is_empty() => Named::Unknown,
            Some(Some(tenants)) => Named::These(tenants),
        },
    }
}

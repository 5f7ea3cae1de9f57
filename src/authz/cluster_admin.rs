//! Who administers the whole cluster: a rule of the configuration, beside all grants, as
//! `camunda.security.cluster-admin.oidc` is for the cluster.

use super::{Permit, Verdict};
use crate::authn::{Identity, claims};
use crate::jsonpath::{Found, JsonPath};
use crate::reason::Reason;
use serde_json::Value;
use std::collections::BTreeSet;

/// The clients, groups and claims, any of which makes an administrator.
#[derive(Clone, Debug, Default)]
pub struct ClusterAdmin {
    /// Clients, by id.
    pub clients: BTreeSet<String>,
    /// Groups, by id.
    pub groups: BTreeSet<String>,
    /// Claims.
    pub claims: Vec<AdminClaim>,
}

/// A claim that makes an administrator.
#[derive(Clone, Debug)]
pub struct AdminClaim {
    /// Its name.
    pub name: String,
    /// The name read as JSONPath, where it is one.
    pub path: Option<JsonPath>,
    /// What it must be, or hold.
    pub value: String,
}

/// How surely somebody is an administrator.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Is {
    No,
    Perhaps,
    Yes,
}

impl ClusterAdmin {
    /// Whether anybody is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty() && self.groups.is_empty() && self.claims.is_empty()
    }

    /// Decides an operation that only administrators may do.
    pub(super) fn decide(&self, identity: &Identity, groups: &[String]) -> Verdict {
        let best = [self.by_client(identity), self.by_group(identity, groups), self.by_claim(identity)];
        let permit = Permit::without_grant(Reason::ClusterAdmin);
        match best.into_iter().max() {
            Some(Is::Yes) => Verdict::Allow(permit),
            Some(Is::Perhaps) => Verdict::Allow(permit.left_to_cluster()),
            _ => Verdict::Deny(Reason::PermissionMissing),
        }
    }

    /// The client id counts here also where a username wins over it (Camunda's
    /// `ClusterAdminJwtAuthenticationConverter`).
    fn by_client(&self, identity: &Identity) -> Is {
        if identity.client_id().is_some_and(|id| self.clients.contains(id)) { Is::Yes } else { Is::No }
    }

    /// Groups of the token count; whether those count that the cluster itself keeps is not certain.
    fn by_group(&self, identity: &Identity, groups: &[String]) -> Is {
        match groups.iter().any(|group| self.groups.contains(group)) {
            true if identity.groups().is_some() => Is::Yes,
            true => Is::Perhaps,
            false => Is::No,
        }
    }

    fn by_claim(&self, identity: &Identity) -> Is {
        if self.claims.is_empty() {
            return Is::No;
        }
        let Some(claims) = claims::parsed(identity.claims()) else {
            return Is::No;
        };
        self.claims.iter().map(|rule| rule.holds(&claims)).max().unwrap_or(Is::No)
    }
}

impl AdminClaim {
    /// A plain name is a claim of the outermost object; one with dots or brackets may be meant as a
    /// path. Where the two readings differ, or a number or boolean would have to count as text, the
    /// cluster decides.
    fn holds(&self, claims: &Value) -> Is {
        let flat = claims.get(&self.name).map_or(Is::No, |value| self.fits(value));
        let deep = match self.path.as_ref().map(|path| path.find(claims)) {
            Some(Found::One(value)) => self.fits(value),
            Some(Found::Many(values)) => values.into_iter().map(|value| self.fits(value)).max().unwrap_or(Is::No),
            Some(Found::Missing) | None => Is::No,
        };
        match (flat, deep) {
            (Is::Yes, Is::Yes) => Is::Yes,
            (Is::No, Is::No) => Is::No,
            _ => Is::Perhaps,
        }
    }

    fn fits(&self, value: &Value) -> Is {
        match value {
            Value::String(text) if *text == self.value => Is::Yes,
            Value::Array(items) => {
                items.iter().filter(|item| !item.is_array()).map(|i| self.fits(i)).max().unwrap_or(Is::No)
            }
            Value::Bool(_) | Value::Number(_) => {
                let text = value.to_string();
                if text == self.value { Is::Perhaps } else { Is::No }
            }
            _ => Is::No,
        }
    }
}

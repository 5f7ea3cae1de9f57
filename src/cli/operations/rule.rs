//! What an operation requires, as far as a specification can say it, too: what is built in, imported
//! and compared.

use super::show;
use crate::api::catalogue::{Alternative, Form, IdSource, Mode, Operation, TenantSource, Version};
use serde::Serialize;
use std::collections::BTreeSet;

/// A permission on a type of resource.
pub type Permission = (String, String);

/// An operation and what it requires; written as an element of `api.extraOperations`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// Its id.
    pub operation: String,
    /// Its method.
    pub method: String,
    /// Its path, with `{parameters}`.
    pub path: String,
    /// How the grants are combined.
    pub mode: String,
    /// What can satisfy it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<Grant>,
    /// Where it names a tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Whether the cluster answers it without a credential.
    #[serde(skip_serializing_if = "is_false")]
    pub public: bool,
    /// Whether a caller without any grant may still succeed.
    #[serde(skip_serializing_if = "is_false")]
    pub never_denied: bool,
    /// A remark on the rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A permission that can satisfy an operation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// The type of resource.
    pub resource_type: String,
    /// The permission on it.
    pub permission_type: String,
    /// Where the resource id stands.
    pub resource_id_source: String,
    /// Where a key may stand instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_key_source: Option<String>,
    /// When it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
}

impl Rule {
    /// The rule of a built-in operation in a version; `None` where it is not there.
    pub fn of(operation: &Operation, version: Version) -> Option<Self> {
        let grant = |alternative: &Alternative| {
            let (id, key) = match &alternative.id {
                IdSource::Body { id, key } => {
                    let member = |name: &str| show::in_body(operation, name);
                    (member(id), key.as_deref().map(member))
                }
                id => (show::id_source(operation, id), None),
            };
            let resource = alternative.resource;
            Grant {
                resource_type: resource.name().to_owned(),
                permission_type: alternative.permission.name(resource).to_owned(),
                resource_id_source: id,
                resource_key_source: key,
                condition: show::condition(&alternative.condition),
            }
        };
        (operation.since <= version).then(|| Self {
            operation: operation.id.clone().into_owned(),
            method: operation.method.name().to_owned(),
            path: operation.path.clone().into_owned(),
            mode: show::mode(operation.mode).to_owned(),
            grants: operation.grants.iter().filter(|a| a.since <= version).map(grant).collect(),
            tenant: show::tenant(operation),
            public: operation.public,
            never_denied: operation.never_denied,
            note: operation.note.as_deref().map(str::to_owned),
        })
    }

    /// Whether a built-in operation can be written as an extra one.
    pub fn can_be_extra(operation: &Operation) -> bool {
        !operation.blocked
            && !operation.static_files
            && !matches!(operation.body, Form::Message(_))
            && !matches!(operation.tenant, TenantSource::BodyMany { .. })
            && (operation.mode == Mode::None || !operation.public)
    }

    /// What it asks for, whichever way it is combined.
    pub fn permissions(&self) -> BTreeSet<Permission> {
        self.grants.iter().map(Grant::permission).collect()
    }

    /// Whether the cluster leaves out what the caller may not see, and refuses nobody.
    pub fn filters(&self) -> bool {
        self.never_denied || self.grants.iter().any(|grant| grant.resource_id_source == "result-filter")
    }

    /// Whether somebody who holds these permissions, on whatever it be, is not refused outright.
    pub fn may_be_satisfied(&self, held: &BTreeSet<Permission>) -> bool {
        let mut grants = self.grants.iter().filter(|grant| self.mode != "all-of" || grant.condition.is_none());
        let is_held = |grant: &Grant| held.contains(&grant.permission());
        match self.mode.as_str() {
            "none" | "unmapped" | "cluster-admin" => true,
            _ if self.filters() => true,
            "all-of" => grants.all(is_held),
            _ => grants.any(is_held),
        }
    }

    /// What it requires, in a line.
    pub fn requirement(&self) -> String {
        match self.mode.as_str() {
            "none" if self.public => return "no credential".into(),
            "none" => return "any identity".into(),
            "unmapped" => return "what the cluster decides".into(),
            "cluster-admin" => return "a cluster administrator".into(),
            _ => {}
        }
        let grant = |Grant { resource_type, permission_type, condition, .. }: &Grant| {
            let when = condition.as_deref().map(|when| format!(" [{when}]")).unwrap_or_default();
            format!("{permission_type} on {resource_type}{when}")
        };
        let with = if matches!(self.mode.as_str(), "all-of" | "all-matched") { " and " } else { " or " };
        self.grants.iter().map(grant).collect::<Vec<_>>().join(with)
    }
}

impl Grant {
    /// The type of resource, and the permission on it.
    pub fn permission(&self) -> Permission {
        (self.resource_type.clone(), self.permission_type.clone())
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde asks for it")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

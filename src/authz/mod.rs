//! May the caller: identity x table -> principal; principal x operation -> permit or denial.
//!
//! Only this module makes a [`Permit`].

mod alternative;
mod cluster_admin;
mod decide;
mod principal;
mod tenant;

pub use cluster_admin::{AdminClaim, ClusterAdmin};
pub use decide::{Verdict, anonymous, decide, preflight};
pub use principal::{Named, Principal};

use crate::api::catalogue::{Permission, ResourceType, Text, Version};
use crate::reason::Reason;
use std::collections::BTreeMap;

/// How sure an allow is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Certainty {
    /// The cluster allows it, too.
    Final,
    /// The cluster decides what cannot be known here.
    Deferred,
}

impl Certainty {
    /// The name in explanations.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Final => "final",
            Self::Deferred => "deferred",
        }
    }
}

/// The grant that decided. Its names are looked up only where somebody asks:
/// [`Principal::named`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grant {
    /// The type of the resource.
    pub resource: ResourceType,
    /// The permission.
    pub permission: Permission,
    /// On what it is held.
    pub holding: Holding,
}

/// On what a permission is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holding {
    /// On `*`.
    All,
    /// On the id with this number.
    Id(u32),
    /// On some id, whichever.
    SomeId,
    /// By a property of the resource.
    Property,
}

impl Grant {
    /// The grant of a permission that is in this set.
    fn held(set: u16, resource: ResourceType, permission: Permission, holding: Holding) -> Option<Self> {
        (set & permission.bit() != 0).then_some(Self { resource, permission, holding })
    }
}

/// Leave to forward a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Permit {
    certainty: Certainty,
    reason: Reason,
    grant: Option<Grant>,
}

impl Permit {
    fn of_grant(reason: Reason, grant: Grant) -> Self {
        let certainty = match reason {
            Reason::GrantedWildcard | Reason::GrantedId => Certainty::Final,
            _ => Certainty::Deferred,
        };
        Self { certainty, reason, grant: Some(grant) }
    }

    const fn deferred(reason: Reason) -> Self {
        Self { certainty: Certainty::Deferred, reason, grant: None }
    }

    const fn without_grant(reason: Reason) -> Self {
        Self { certainty: Certainty::Final, reason, grant: None }
    }

    /// The same, with the last word left to the cluster.
    fn left_to_cluster(self) -> Self {
        Self { certainty: Certainty::Deferred, ..self }
    }

    /// The same for a reason that leaves the rest to the cluster; one that is deferred already
    /// keeps its own.
    fn deferred_by(self, reason: Reason) -> Self {
        match self.certainty {
            Certainty::Final => Self { certainty: Certainty::Deferred, reason, grant: self.grant },
            Certainty::Deferred => self,
        }
    }

    /// How sure it is.
    #[must_use]
    pub fn certainty(&self) -> Certainty {
        self.certainty
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The grant that decided, where one did.
    #[must_use]
    pub fn grant(&self) -> Option<&Grant> {
        self.grant.as_ref()
    }
}

/// What becomes of an allow that only the cluster can complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Unresolved {
    /// It is forwarded, for the cluster to decide.
    #[default]
    Defer,
    /// It is denied.
    Deny,
}

/// What the configuration says about decisions.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The API version of the cluster: what is newer does not exist.
    pub version: Version,
    /// Whether the cluster checks tenants.
    pub multi_tenancy: bool,
    /// What becomes of an allow that only the cluster can complete.
    pub unresolved: Unresolved,
    /// The same for single operations, by their ids.
    pub unresolved_operations: BTreeMap<Text, Unresolved>,
    /// A search by a principal that holds nothing is denied.
    pub deny_empty_searches: bool,
    /// Who administers the whole cluster.
    pub cluster_admin: ClusterAdmin,
}

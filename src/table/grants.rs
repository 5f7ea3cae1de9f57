//! The grants of one owner.

use crate::api::catalogue::{Permission, ResourceType};
use std::collections::BTreeMap;
use std::rc::Rc;

/// What one owner has been granted, by resource type. Permissions are sets of bits.
#[derive(Clone, Debug, Default)]
pub struct Grants(BTreeMap<ResourceType, OnType>);

#[derive(Clone, Debug, Default)]
struct OnType {
    /// Permissions on `*`.
    all: u16,
    /// Permissions by a property of the resource.
    property: u16,
    /// Permissions on some id.
    some: u16,
    /// Permissions on each id.
    ids: BTreeMap<Rc<str>, u16>,
}

/// How an owner holds a permission.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Holding {
    /// On `*`.
    All,
    /// On this id.
    Id(Rc<str>),
    /// By a property of the resource.
    Property,
}

impl Grants {
    /// Adds permissions on `*`.
    pub(crate) fn add_all(&mut self, resource: ResourceType, permissions: u16) {
        self.0.entry(resource).or_default().all |= permissions;
    }

    /// Adds permissions by property.
    pub(crate) fn add_property(&mut self, resource: ResourceType, permissions: u16) {
        self.0.entry(resource).or_default().property |= permissions;
    }

    /// Adds permissions on one id.
    pub(crate) fn add_id(&mut self, resource: ResourceType, id: &str, permissions: u16) {
        let grants = self.0.entry(resource).or_default();
        grants.some |= permissions;
        let entry = grants.ids.entry(id.into()).or_default();
        *entry |= permissions;
    }

    /// Whether the permission is held on `*`.
    #[must_use]
    pub fn on_all(&self, resource: ResourceType, permission: Permission) -> bool {
        self.0.get(&resource).is_some_and(|g| g.all & permission.bit() != 0)
    }

    /// Whether the permission is held by a property of the resource.
    #[must_use]
    pub fn on_property(&self, resource: ResourceType, permission: Permission) -> bool {
        self.0.get(&resource).is_some_and(|g| g.property & permission.bit() != 0)
    }

    /// The id, where the permission is held on exactly this one.
    #[must_use]
    pub fn on_id(&self, resource: ResourceType, permission: Permission, id: &str) -> Option<Rc<str>> {
        let (id, permissions) = self.0.get(&resource)?.ids.get_key_value(id)?;
        (permissions & permission.bit() != 0).then(|| Rc::clone(id))
    }

    /// The first id on which the permission is held.
    #[must_use]
    pub fn on_some_id(&self, resource: ResourceType, permission: Permission) -> Option<Rc<str>> {
        let grants = self.0.get(&resource).filter(|g| g.some & permission.bit() != 0)?;
        grants.ids.iter().find(|(_, p)| **p & permission.bit() != 0).map(|(id, _)| Rc::clone(id))
    }
}

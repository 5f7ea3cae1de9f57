//! Resource types and the permissions that each supports.

use super::RESOURCES;

/// A resource type and the permissions that exist on it.
#[derive(Debug)]
pub struct Resource {
    /// The name in an authorization, such as `PROCESS_DEFINITION`.
    pub name: &'static str,
    /// Its permissions, in the order of their numbers.
    pub permissions: &'static [&'static str],
}

/// The number of a resource type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ResourceType(pub(super) u8);

/// The number of a permission within its resource type, from 0 to 15.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Permission(pub(super) u8);

impl ResourceType {
    /// How many resource types there are.
    pub const COUNT: usize = RESOURCES.len();

    /// The resource type of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let number = RESOURCES.iter().position(|r| r.name == name)?;
        Some(Self(u8::try_from(number).ok()?))
    }

    /// Its number, below [`Self::COUNT`].
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        RESOURCES.get(self.index()).map_or("", |r| r.name)
    }

    /// The permissions in a set, by name and bit, in the order of their names.
    pub fn permissions(self, set: u16) -> impl Iterator<Item = (&'static str, u16)> {
        let all = RESOURCES.get(self.index()).map_or(&[][..], |r| r.permissions);
        let bit = |number| Permission(number).bit();
        all.iter().zip((0..).map(bit)).filter(move |(_, bit)| set & bit != 0).map(|(name, bit)| (*name, bit))
    }

    /// The permission of this name on this type.
    #[must_use]
    pub fn permission(self, name: &str) -> Option<Permission> {
        let number = RESOURCES.get(self.index())?.permissions.iter().position(|p| *p == name)?;
        Some(Permission(u8::try_from(number).ok()?))
    }
}

impl Permission {
    /// The permission as a set of one.
    #[must_use]
    pub fn bit(self) -> u16 {
        1_u16.checked_shl(u32::from(self.0)).unwrap_or(0)
    }

    /// Its name on `resource`.
    #[must_use]
    pub fn name(self, resource: ResourceType) -> &'static str {
        let permissions = RESOURCES.get(resource.index()).map_or(&[][..], |r| r.permissions);
        permissions.get(usize::from(self.0)).copied().unwrap_or("")
    }
}

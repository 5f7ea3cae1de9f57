//! The columns that an owner's record can have: one for each kind of membership, and for each
//! resource type one of ids and one of properties.

use super::bits::{Bits, Cursor, width};
use super::dictionary::Dictionary;
use crate::api::catalogue::{Permission, ResourceType};

/// Memberships have the first columns: groups, roles, tenants, mapping rules.
pub const MEMBERSHIPS: usize = 4;
/// The most permissions of a column.
const PERMISSIONS: usize = 16;

/// A kind of membership, by its column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Membership {
    /// Of groups.
    Groups,
    /// Of roles.
    Roles,
    /// Of tenants.
    Tenants,
    /// The mapping rules of a claim.
    Rules,
}

/// What one column of grants is about.
#[derive(Clone, Debug)]
pub struct Grants {
    /// The number of the resource type's name, and what it is in the catalogue.
    pub type_name: u32,
    /// The same in the catalogue; `None` where that does not know it: it then grants nothing.
    pub resource: Option<ResourceType>,
    /// Whether its ids are names of properties.
    pub is_property: bool,
    /// The numbers of the permissions' names, and what each is in the catalogue.
    pub permissions: Vec<(u32, Option<Permission>)>,
    /// The names of ids; number 0 is `*`, the first name has 1.
    pub ids: Dictionary,
    /// Where the sets of permissions stand, and how many there are.
    sets: u32,
    count: u32,
}

impl Grants {
    /// Reads the description of a column; names are told by `of`.
    pub fn read(
        cursor: &mut Cursor<'_>,
        resource: impl Fn(u32) -> Option<ResourceType>,
        permission: impl Fn(ResourceType, u32) -> Option<Permission>,
    ) -> Option<Self> {
        let type_name = cursor.bytes(2)?;
        let is_property = match cursor.bytes(1)? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let resource = resource(type_name);
        let known = usize::try_from(cursor.bytes(1)?).ok().filter(|count| *count <= PERMISSIONS)?;
        let mut permissions = Vec::with_capacity(known);
        for _ in 0..known {
            let name = cursor.bytes(2)?;
            permissions.push((name, resource.and_then(|resource| permission(resource, name))));
        }
        let count = cursor.bytes(4)?;
        let sets = cursor.at;
        cursor.skip(count.checked_mul(16)?)?;
        let ids = Dictionary::read(cursor)?;
        Some(Self { type_name, resource, is_property, permissions, ids, sets, count })
    }

    /// How many numbers its lists can have: ids and `*`.
    pub fn bound(&self) -> u32 {
        self.ids.count.saturating_add(1)
    }

    /// How many bits the number of a set of permissions has.
    pub fn set_width(&self) -> u32 {
        width(self.count.saturating_sub(1))
    }

    /// A set of permissions as the table has it: a bit for each of its permissions.
    pub fn set(&self, bits: &Bits, number: u32) -> u16 {
        if number >= self.count {
            return 0;
        }
        let at = self.sets.saturating_add(number.saturating_mul(16));
        u16::try_from(bits.number(at, 16)).unwrap_or(0)
    }

    /// A set of permissions as the catalogue has it.
    pub fn known(&self, set: u16) -> u16 {
        let bit = |index: u32| 1_u16.unbounded_shl(index);
        let held = (0..).zip(&self.permissions).filter(|(index, _)| set & bit(*index) != 0);
        held.filter_map(|(_, (_, permission))| *permission).fold(0, |known, permission| known | permission.bit())
    }
}
